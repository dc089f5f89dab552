from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

from cleancut.engine import Engine
from cleancut.errors import BadOption, ImageTooLarge, UnreadableVideo
from cleancut.options import Options
from cleancut.video.options import VideoOptions
from cleancut.video.pipe import PipeReport, run_pipe

from .moving import HEIGHT, WIDTH, pictures

SIZE = (WIDTH, HEIGHT)


class Trickle(io.RawIOBase):
    """A pipe that gives a few bytes at a time, and takes as few."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = io.BytesIO(data)
        self.flushed: list[int] = []

    def readable(self) -> bool:
        return True

    def readinto(self, room: Any) -> int:
        part = self.data.read(min(len(room), 1000))
        room[: len(part)] = part
        return len(part)

    def write(self, part: Any) -> int:
        return self.data.write(bytes(part[:1500]))

    def flush(self) -> None:
        self.flushed.append(self.data.tell())


def _run(data: bytes, out: Any = None, pixels: Any = "rgb24", **more: Any) -> Any:
    target = out or io.BytesIO()
    video = more.pop("video", VideoOptions(engine="image", look_ahead=0))
    limit = more.pop("size", SIZE)
    options = Options(model="echo", **more)
    source = io.BytesIO(data)
    made = run_pipe(source, target, Engine(options), options, video, size=limit, pixels=pixels)
    return made, target


def _bytes(count: int) -> bytes:
    return b"".join(picture.tobytes() for picture in pictures(count))


def test_as_many_frames_come_out_as_go_in_as_straight_rgba() -> None:
    made, out = _run(_bytes(5))
    frames = np.frombuffer(out.getvalue(), np.uint8).reshape(5, HEIGHT, WIDTH, 4)
    assert (made.frames, made.pixels, made.size, made.networks) == (5, "rgba", SIZE, ("echo",))
    assert made.latency_ms_p95 >= made.latency_ms_median > 0
    for frame, picture in zip(frames, pictures(5), strict=True):
        shown = picture[..., :3].mean(axis=2) > 200
        assert (frame[shown][:, 3] > 150).all()


def test_every_frame_is_flushed_by_itself_through_pipes_that_take_little() -> None:
    out = Trickle()
    source = Trickle(_bytes(3))
    options, video = Options(model="echo"), VideoOptions(engine="image", look_ahead=0)
    run_pipe(source, out, Engine(options), options, video, size=SIZE)  # type: ignore[arg-type]
    whole = WIDTH * HEIGHT * 4
    assert out.flushed == [whole, 2 * whole, 3 * whole]
    assert out.data.getvalue() == _run(_bytes(3))[1].getvalue()


def test_over_a_background_it_is_rgb24() -> None:
    made, out = _run(_bytes(2), background="#00ff00")
    assert made.pixels == "rgb24"
    assert len(out.getvalue()) == 2 * WIDTH * HEIGHT * 3
    video = VideoOptions(engine="image", look_ahead=0, side_by_side=True)
    made, out = _run(_bytes(2), video=video)
    assert made.size == (2 * WIDTH, HEIGHT)
    assert len(out.getvalue()) == 2 * 2 * WIDTH * HEIGHT * 3


def test_alpha_that_comes_in_stays_out() -> None:
    rgba = np.full((HEIGHT, WIDTH, 4), 255, np.uint8)
    rgba[:, :20, 3] = 0
    _, out = _run(rgba.tobytes(), pixels="rgba")
    frame = np.frombuffer(out.getvalue(), np.uint8).reshape(HEIGHT, WIDTH, 4)
    assert not frame[:, :18].any()
    assert (frame[:, 24:, 3] > 250).all()


def test_a_look_ahead_delays_but_loses_nothing() -> None:
    video = VideoOptions(engine="image", look_ahead=2)
    made, out = _run(_bytes(6), video=video)
    assert made.frames == 6
    assert len(out.getvalue()) == 6 * WIDTH * HEIGHT * 4


def test_an_end_within_a_frame_is_an_error_after_the_whole_ones() -> None:
    out = io.BytesIO()
    with pytest.raises(UnreadableVideo, match="frame 2 ends after 100 of 9216 bytes"):
        _run(_bytes(2) + b"x" * 100, out)
    assert len(out.getvalue()) == 2 * WIDTH * HEIGHT * 4


def test_nothing_in_is_nothing_out() -> None:
    made, out = _run(b"")
    assert (made.frames, out.getvalue()) == (0, b"")
    assert isinstance(made, PipeReport)
    assert made.to_dict()["latency_ms_median"] is None


def test_limits_come_before_memory() -> None:
    with pytest.raises(ImageTooLarge):
        _run(b"", size=(16000, 16000))
    with pytest.raises(BadOption):
        _run(b"", pixels="yuv")
