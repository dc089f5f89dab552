from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from cleancut.engine import Engine
from cleancut.errors import BadOption, InputNotFound
from cleancut.options import Options
from cleancut.video import live
from cleancut.video.camera_in import Camera
from cleancut.video.frame import Frame, VideoInfo
from cleancut.video.live import LiveReport, Newest, check_opaque, quick_options, run_live
from cleancut.video.options import VideoOptions

from . import moving
from .moving import HEIGHT, WIDTH

OPTIONS = Options(model="echo", background="#00ff00")
VIDEO = VideoOptions(engine="image", look_ahead=0)


def pictures(count: int) -> list[np.ndarray]:
    return list(moving.pictures(count))


class Fake:
    """A camera that shows what it is told, as fast as it is told."""

    def __init__(self, frames: list[np.ndarray], pause_s: float = 0.0, rise: bool = False) -> None:
        self.info = VideoInfo("camera", WIDTH, HEIGHT, Fraction(1, 25), rate=Fraction(25))
        self._frames, self._pause_s, self._rise = frames, pause_s, rise

    def frames(self) -> Iterator[Frame]:
        for number, rgb in enumerate(self._frames):
            time.sleep(self._pause_s)
            yield Frame(number, rgb, rgb)
        if self._rise:
            raise InputNotFound("the camera stopped: unplugged")


class Screen:
    def __init__(self, slow_s: float = 0.0) -> None:
        self.asked: list[Any] = []
        self.frames: list[np.ndarray] = []
        self._slow_s = slow_s

    def open(self, size: tuple[int, int], rate: float) -> Screen:
        self.asked.append((size, rate))
        return self

    def send(self, rgb: np.ndarray) -> None:
        time.sleep(self._slow_s)
        self.frames.append(rgb)


def _run(camera: Any, screen: Screen, **more: Any) -> LiveReport:
    return run_live(camera, screen.open, Engine(OPTIONS), OPTIONS, VIDEO, **more)


def test_frames_go_from_the_camera_to_the_screen() -> None:
    screen = Screen()
    made = _run(Fake(pictures(30), pause_s=0.01), screen)
    assert screen.asked == [((WIDTH, HEIGHT), 25.0)]
    assert made.frames == len(screen.frames) > 5
    assert screen.frames[0].shape == (HEIGHT, WIDTH, 3)
    assert screen.frames[0].dtype == np.uint8
    assert made.networks == ("echo",)
    assert made.latency_ms_p95 is not None
    assert made.to_dict()["fps"] > 0


def test_a_slow_screen_gets_the_newest_frames_and_the_others_are_counted() -> None:
    screen = Screen(slow_s=0.05)
    made = _run(Fake(pictures(60), pause_s=0.005), screen)
    assert made.dropped > 10
    assert made.frames < 30


def test_mirrored_frames_are_mirrored() -> None:
    shown = []
    for mirror in (False, True):
        screen = Screen()
        _run(Fake([pictures(1)[0]] * 12, pause_s=0.01), screen, mirror=mirror)
        shown.append(screen.frames[-1].astype(int))
    assert np.abs(shown[0] - shown[1]).max() > 50
    assert np.abs(shown[0] - shown[1][:, ::-1]).max() <= 12


def test_it_ends_when_asked_and_lets_go_of_the_camera() -> None:
    before = threading.active_count()
    screen = Screen()
    made = _run(
        Fake(pictures(500), pause_s=0.005), screen, cancelled=lambda: len(screen.frames) >= 3
    )
    assert made.frames == 3
    assert threading.active_count() == before


def test_a_camera_that_goes_away_is_an_error() -> None:
    with pytest.raises(InputNotFound, match="unplugged"):
        _run(Fake(pictures(20), pause_s=0.005, rise=True), Screen())


def test_a_camera_that_falls_silent_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PATIENCE_S", 0.05)
    with pytest.raises(InputNotFound, match="no frame"):
        _run(Fake(pictures(20), pause_s=0.5), Screen())


def test_a_source_of_ffmpegs_own_goes_all_the_way() -> None:
    container = av.open("testsrc=size=64x48:rate=50:duration=1,realtime", format="lavfi")
    camera = Camera(container)
    screen = Screen()
    try:
        made = _run(camera, screen)
    finally:
        camera.close()
    assert made.frames + made.dropped > 20
    assert (screen.frames[-1] != screen.frames[0]).any()


def test_it_reports_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_EVERY_S", 0.02)
    told: list[LiveReport] = []
    _run(Fake(pictures(40), pause_s=0.01), Screen(), on_report=told.append)
    assert told
    assert told[0].frames < told[-1].frames


def test_transparent_frames_are_refused_before_anything_opens() -> None:
    for options in (Options(), Options(background="#ffffff80")):
        with pytest.raises(BadOption, match="transparency"):
            check_opaque(options, VideoOptions())
    check_opaque(Options(background="blur"), VideoOptions())
    check_opaque(Options(), VideoOptions(matte_only=True))


def test_quick_engines_are_preferred_where_nothing_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from cleancut.weights import resolve

    here = {"selfie", "modnet"}
    monkeypatch.setattr(resolve, "is_pulled", lambda spec: spec.id in here)
    options, video, notes = quick_options(Options(), VideoOptions())
    assert (options.model, video.look_ahead, len(notes)) == ("selfie", 0, 1)
    here.add("rvm")
    assert quick_options(Options(), VideoOptions())[1].engine == "rvm"
    allowed, video, _ = quick_options(Options(commercial_only=True), VideoOptions())
    assert (allowed.model, video.engine) == ("selfie", "auto")
    assert quick_options(Options(model="isnet"), VideoOptions())[0].model == "isnet"


def test_the_newest_frame_wins() -> None:
    gate = threading.Event()

    def source() -> Iterator[Frame]:
        for number in range(5):
            yield Frame(number, *[pictures(1)[0]] * 2)
        gate.set()

    newest = Newest(source())
    assert gate.wait(2)
    found = newest.take(1)
    assert found is not None
    assert (found[0].pts, newest.dropped) == (4, 4)
    assert newest.take(1) is None
    assert newest.stop()
