from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cleancut import Engine, Options
from cleancut.errors import BadOption, Cancelled, OutputNotWritable, UnreadableVideo
from cleancut.video import run as video_run
from cleancut.video.options import VideoOptions
from cleancut.video.order import Part, VideoOrder
from cleancut.video.parts import root_of
from cleancut.video.report import PartReport, Progress
from cleancut.video.run import render_one, render_video
from tests.video.moving import clip, frames_of, same_frames, times_of

ECHO = Options(model="echo")
IMAGE = VideoOptions(engine="image")


def order_for(tmp_path: Path, name: str = "out.mkv", **changes: object) -> VideoOrder:
    source = tmp_path / "in.mp4"
    if not source.exists():
        clip(source)
    base = VideoOrder(
        source=str(source), target=str(tmp_path / name), options=ECHO, video=IMAGE, part_s=0.5
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def test_a_video_keeps_its_frames_and_times_and_gets_a_matte(tmp_path: Path) -> None:
    order = order_for(tmp_path)
    report = render_video(order)
    made = frames_of(order.target)
    assert times_of(order.target) == times_of(order.source)
    assert all(frame.alpha is not None and frame.alpha.max() > 0.5 for frame in made)
    assert (report.frames, report.frames_kept, report.parts) == (20, 0, 4)
    assert report.size == (64, 48)
    assert report.networks == ("echo",)
    assert set(report.busy_s) == {"decode", "matte", "dress", "encode"}
    assert not root_of(Path(order.target)).exists()
    assert json.loads(json.dumps(report.to_dict()))["frames"] == 20


def test_frames_without_a_subject_are_told(tmp_path: Path) -> None:
    for number in range(6):
        grey = np.zeros((48, 64, 3), np.uint8)
        grey[10:30, 10:30] = 255 if number < 2 else 0
        Image.fromarray(grey).save(tmp_path / f"{number}.png")
    order = order_for(tmp_path, source=str(tmp_path / "%d.png"))
    notes = render_video(replace(order, rate="10")).notes
    assert [note for note in notes if "no_subject" in note and "(4 frames, first at 0:00)" in note]


def test_the_result_does_not_depend_on_how_many_jobs_there_were(tmp_path: Path) -> None:
    one, many = order_for(tmp_path, "one.mkv", jobs=1), order_for(tmp_path, "many.mkv", jobs=3)
    render_video(one)
    assert render_video(many).jobs == 3
    assert same_frames(one.target, many.target)


def test_a_run_that_was_called_off_goes_on_where_it_was(tmp_path: Path) -> None:
    order, whole = order_for(tmp_path), order_for(tmp_path, "whole.mkv")
    seen = 0

    def after_some() -> bool:
        nonlocal seen
        seen += 1
        return seen > 12

    with pytest.raises(Cancelled):
        render_video(order, cancelled=after_some)
    assert not Path(order.target).exists()
    report = render_video(order)
    assert report.frames == 20
    assert report.frames_kept == 10
    render_video(whole)
    assert same_frames(order.target, whole.target)


def test_fresh_begins_anew_and_parts_of_another_command_are_told(tmp_path: Path) -> None:
    order = order_for(tmp_path)
    calls = iter([False] * 8 + [True] * 100)
    with pytest.raises(Cancelled):
        render_video(order, cancelled=lambda: next(calls))
    other = replace(order, options=Options(model="echo", feather="2"))
    report = render_video(other)
    assert report.frames_kept == 0
    assert any(note.startswith("other_parts: 1 ") for note in report.notes)
    assert root_of(Path(order.target)).is_dir()
    report = render_video(replace(order, fresh=True))
    assert report.frames_kept == 0
    assert not root_of(Path(order.target)).exists()


def test_parts_over_other_pictures_of_a_folder_are_not_taken(tmp_path: Path) -> None:
    (behind := tmp_path / "behind").mkdir()
    Image.new("RGB", (64, 48), "red").save(behind / "1.png")
    order = order_for(tmp_path, options=Options(model="echo", background=str(behind)))
    calls = iter([False] * 8 + [True] * 100)
    with pytest.raises(Cancelled):
        render_video(order, cancelled=lambda: next(calls))
    Image.new("RGB", (64, 48), "blue").save(behind / "1.png", compress_level=0)
    assert render_video(order).frames_kept == 0


def test_what_a_killed_run_left_half_written_is_not_taken(tmp_path: Path) -> None:
    order = order_for(tmp_path)
    calls = iter([False] * 8 + [True] * 100)
    with pytest.raises(Cancelled):
        render_video(order, cancelled=lambda: next(calls))
    (folder,) = (path for path in root_of(Path(order.target)).iterdir() if path.is_dir())
    (folder / "00000.mkv").write_bytes(b"half")
    (folder / ".cleancut-0123.part").write_bytes(b"draft")
    assert render_video(order).frames_kept == 0
    assert len(frames_of(order.target)) == 20


KILLED = """
import os, signal, sys
from cleancut.video import render
from cleancut.video.order import VideoOrder
from cleancut.video.run import render_video

left = int(sys.argv[2])
within = render._within

def die(part, pts):
    global left
    left -= 1
    if left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return within(part, pts)

render._within = die
render_video(VideoOrder.from_json(sys.argv[1]))
"""


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_a_run_that_was_killed_goes_on_and_comes_out_the_same(tmp_path: Path) -> None:
    order, whole = order_for(tmp_path), order_for(tmp_path, "whole.mkv")
    command = [sys.executable, "-c", KILLED, order.to_json(), "18"]
    killed = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not Path(order.target).exists()
    report = render_video(order)
    assert report.frames == 20
    assert report.frames_kept >= 5
    render_video(whole)
    assert same_frames(order.target, whole.target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mkv", "whole.mkv"]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_a_run_may_be_killed_at_any_moment(tmp_path: Path) -> None:
    order, whole = order_for(tmp_path), order_for(tmp_path, "whole.mkv")
    render_video(whole)
    code = (
        "import sys\nfrom cleancut.video.order import VideoOrder\n"
        "from cleancut.video.run import render_video\nprint('go', flush=True)\n"
        "render_video(VideoOrder.from_json(sys.argv[1]))"
    )
    for pause in (0.05, 0.2, 0.35, 0.5, 0.6, 0.7, 0.8, 1.0):
        with subprocess.Popen(
            [sys.executable, "-c", code, order.to_json()], stdout=subprocess.PIPE
        ) as child:
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(pause)
            child.kill()
    render_video(order)
    assert same_frames(order.target, whole.target)


@pytest.mark.skipif(os.name == "nt", reason="no such names there")
def test_a_name_with_a_colon_in_a_relative_path_is_no_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = order_for(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert render_video(replace(order, target="take:2.mkv")).frames == 20
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "take:2.mkv"]


def test_a_span_begins_and_ends_where_it_was_asked_to(tmp_path: Path) -> None:
    order = order_for(tmp_path, video=VideoOptions(engine="image", start="0.5", stop="1.2"))
    assert render_video(order).frames == 7
    whole = render_video(order_for(tmp_path, "whole.mkv"))
    assert whole.frames == 20
    late = frames_of(tmp_path / "whole.mkv")[5:12]
    for one, other in zip(frames_of(order.target), late, strict=True):
        assert np.array_equal(one.rgb, other.rgb)


@pytest.mark.parametrize(
    "video", [VideoOptions(start="9"), VideoOptions(start="1.95", stop="1.99")]
)
def test_a_span_without_a_frame_is_refused(tmp_path: Path, video: VideoOptions) -> None:
    with pytest.raises(BadOption, match="no frame"):
        render_video(order_for(tmp_path, video=replace(video, engine="image")))
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_numbered_pictures_are_numbered_through_all_parts(tmp_path: Path) -> None:
    order = order_for(tmp_path, "frames/%03d.png")
    assert render_video(order).frames == 20
    names = sorted(path.name for path in (tmp_path / "frames").iterdir())
    assert names == [f"{number:03}.png" for number in range(1, 21)]
    stream = order_for(tmp_path, "out.mkv")
    render_video(stream)
    pictures = frames_of(tmp_path / "frames")
    for one, other in zip(pictures, frames_of(stream.target), strict=True):
        assert one.alpha is not None
        assert other.alpha is not None
        assert np.allclose(one.alpha, other.alpha, atol=1e-6)


def test_progress_rises_to_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_run, "_TELL_EVERY_S", 0.0)
    told: list[Progress] = []
    render_video(order_for(tmp_path), on_progress=told.append)
    frames = [now.frames for now in told if now.stage == "frames"]
    assert frames == sorted(frames)
    assert told[0].stage == "models"
    assert told[-1].stage == "joining"
    assert (told[-1].frames, told[-1].total, told[-1].share) == (20, 20, 1.0)


def test_the_input_is_never_overwritten(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mp4")
    before = source.read_bytes()
    with pytest.raises(OutputNotWritable, match="the input itself"):
        render_video(order_for(tmp_path, "in.mp4", options=Options(model="echo", background="red")))
    assert source.read_bytes() == before


def test_a_file_that_is_no_video_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "in.mp4").write_text("this is no video at all\n" * 50)
    with pytest.raises(UnreadableVideo):
        render_video(order_for(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputNotWritable):
        render_video(order_for(tmp_path, "file/out.mkv"))


def test_an_error_in_a_stage_ends_the_run_and_its_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    from cleancut.video.dress import Dresser

    def broken(self: object, matted: object) -> object:
        raise OutputNotWritable("broken on purpose")

    monkeypatch.setattr(Dresser, "dress", broken)
    for jobs in (1, 2):
        with pytest.raises(OutputNotWritable, match="on purpose"):
            render_video(order_for(tmp_path, jobs=jobs))
    names = {thread.name for thread in threading.enumerate()}
    ours = ("cleancut-decode", "cleancut-matte", "cleancut-dress", "cleancut-part")
    assert not {name for name in names if name.startswith(ours)}


class Elsewhere:
    """A farm that renders here, backwards."""

    workers = 2

    def render(
        self, orders: Sequence[tuple[VideoOrder, Path]], cancelled: Callable[[], bool]
    ) -> Iterator[tuple[Part, PartReport]]:
        for order, path in reversed(orders):
            order = VideoOrder.from_json(order.to_json())
            assert order.part is not None
            made = render_one(order, path, engine=Engine(order.options))
            yield order.part, PartReport.from_json(made.to_json())


def test_parts_that_were_rendered_elsewhere_are_joined_here(tmp_path: Path) -> None:
    here, there = order_for(tmp_path, "here.mkv"), order_for(tmp_path, "there.mkv")
    render_video(here)
    assert render_video(there, farm=Elsewhere()).frames == 20
    assert same_frames(here.target, there.target)


MEMORY = """
import resource, sys
from cleancut.video.order import VideoOrder
from cleancut.video.run import render_video
render_video(VideoOrder.from_json(sys.argv[1]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems count memory otherwise")
def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    peaks = []
    for count in (100, 800):
        source = clip(tmp_path / f"{count}.mp4", count, rate=25, scale=4)
        order = order_for(tmp_path, f"{count}.mkv", source=str(source), part_s=2.0)
        command = [sys.executable, "-c", MEMORY, order.to_json()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=250)
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout) / 1024)
    # The frames that are more have 100 MB of pixels.
    assert peaks[1] - peaks[0] < 40, peaks
