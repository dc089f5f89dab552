"""The process that works on a video: real videos, hostile ones, and a server that is killed."""

from __future__ import annotations

import importlib.util
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from cleancut.errors import Cancelled, CleancutError, OutputNotWritable
from cleancut.options import Options
from cleancut.server.settings import Settings
from cleancut.server.video_form import VideoWish
from cleancut.server.video_work import VideoChild
from cleancut.video.options import VideoOptions
from tests.server.process import gone, running
from tests.server.stand_ins import until

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("av") is None, reason="the extra video is not installed"
)


def make_clip(path: Path, *, frames: int = 10, size: tuple[int, int] = (64, 48)) -> Path:
    """A bright disc that wanders over dark ground, as H.264 in MP4 at 10 frames a second."""
    import av

    width, height = size
    y, x = np.mgrid[:height, :width]
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for n in range(frames):
            disc = np.hypot(y - height / 2, x - width / 3 - n % 20) < height / 4
            rgb = np.where(disc[..., None], 220, 25).astype(np.uint8).repeat(3, axis=2)
            for packet in stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")):
                out.mux(packet)
        for packet in stream.encode():
            out.mux(packet)
    return path


def settings_in(tmp_path: Path, **more: Any) -> Settings:
    return Settings(**{"data": tmp_path / "data", "options": Options(model="echo"), **more})


def wish(**video: Any) -> VideoWish:
    return VideoWish(
        options=Options(model="echo", background="white"), video=VideoOptions(**video), output="mp4"
    )


def rendered(settings: Settings, source: Path, target: Path, wanted: VideoWish) -> Any:
    heard: list[Any] = []
    return VideoChild(settings).run(
        source, target, wanted.order(source, target, None), heard.append
    )


def test_a_child_makes_the_video(tmp_path: Path) -> None:
    import av

    source, target = make_clip(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    facts = rendered(settings_in(tmp_path), source, target, wish())
    assert (facts["frames"], facts["size"]) == (10, [64, 48])
    with av.open(str(target)) as made:
        assert sum(1 for _ in made.decode(video=0)) == 10


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"not a video at all", "unreadable-video"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "unreadable-video"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "unreadable-video"),
    ],
)
def test_what_is_no_video_fails_with_its_reason(tmp_path: Path, data: bytes, code: str) -> None:
    (source := tmp_path / "in").write_bytes(data)
    with pytest.raises(CleancutError) as failed:
        rendered(settings_in(tmp_path), source, tmp_path / "out.mp4", wish())
    assert failed.value.code == code
    assert "root:" not in str(failed.value)


def test_what_no_container_takes_fails_with_words_for_a_video(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4")
    (target := tmp_path / "out.mp4").mkdir()
    with pytest.raises(OutputNotWritable, match=r"^what becomes of this video cannot be written"):
        rendered(settings_in(tmp_path), source, target, wish())


def test_a_longer_video_than_is_taken_is_refused_and_a_part_of_it_done(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, max_video_minutes=0.05)
    source, target = make_clip(tmp_path / "in.mp4", frames=60), tmp_path / "out.mp4"
    with pytest.raises(CleancutError) as failed:
        rendered(settings, source, target, wish())
    assert failed.value.code == "image-too-large"
    assert rendered(settings, source, target, wish(start="1", stop="2"))["frames"] == 10


def test_a_process_that_dies_takes_only_its_video_along(tmp_path: Path) -> None:
    (child := tmp_path / "child.py").write_text(
        "import os, sys\n"
        "sys.stdin.readline()\n"
        "sys.stdout.write('{\"ready\": true}\\n'); sys.stdout.flush()\n"
        "sys.stdin.readline()\n"
        "os.abort()\n"
    )
    video = VideoChild(settings_in(tmp_path), command=(sys.executable, str(child)))
    with pytest.raises(CleancutError) as failed:
        video.run(tmp_path / "in", tmp_path / "out.mp4", "{}", lambda _: None)
    assert failed.value.code == "crashed"
    assert "video" in failed.value.message


def test_stopping_ends_the_process(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    source, target = make_clip(tmp_path / "in.mp4", frames=3000), tmp_path / "out.mp4"
    video, seen, raised = VideoChild(settings), threading.Event(), []

    def work() -> None:
        try:
            video.run(source, target, wish().order(source, target, None), lambda _: seen.set())
        except Cancelled as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert seen.wait(60)
    pid = video.pid
    assert pid is not None
    video.stop()
    thread.join(10)
    assert raised
    assert gone(pid)
    assert not target.exists()


@pytest.mark.slow
def test_a_video_goes_on_where_a_killed_server_left_it(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", frames=900, size=(320, 240))
    data = clip.read_bytes()
    words = ("--memory-limit", "2GB")
    with running(tmp_path / "data", *words) as server:
        files = {"video": ("in.mp4", data, "video/mp4")}
        asked = {"background": "white", "output": "mp4"}
        answer = httpx.post(f"{server.url}/v1/jobs", files=files, data=asked, timeout=30)
        assert answer.status_code == 202, answer.text
        job = answer.json()["id"]
        folder = tmp_path / "data" / "videos" / f"{job}-0"
        parts = until(lambda: [*folder.rglob("*.json")], seconds=60)
        server.kill()
    before = {path: path.stat().st_mtime_ns for path in parts}
    with running(tmp_path / "data", *words) as server:
        end = time.monotonic() + 90
        while (found := httpx.get(f"{server.url}/v1/jobs/{job}?wait=5", timeout=20).json())[
            "status"
        ] not in ("done", "failed"):
            assert time.monotonic() < end
            for path, changed in before.items():
                assert not path.exists() or path.stat().st_mtime_ns == changed, "made again"
        assert found["status"] == "done", found
        assert found["items"][0]["facts"]["frames"] == 900
        assert httpx.get(found["items"][0]["result"]).status_code == 200
    assert not folder.exists()
