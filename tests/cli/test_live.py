from __future__ import annotations

import io
import json
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cleancut.cli import live
from cleancut.cli.main import main
from cleancut.errors import BadOption

WIDTH, HEIGHT = 64, 48


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the command with bytes on stdin; (exit code, bytes of stdout)."""

    def run(data: bytes, *words: str) -> tuple[int, bytes]:
        out = io.BytesIO()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, write_through=True))
        code = main(["video", "--pipe", "rgb24", "--model", "echo", *words])
        return code, out.getvalue()

    return run


def test_frames_go_through_a_pipe(piped: Any, capsys: pytest.CaptureFixture[str]) -> None:
    frame = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    code, out = piped(frame.tobytes() * 3, "--size", "64x48")
    assert code == 0
    assert len(out) == 3 * WIDTH * HEIGHT * 4
    told = capsys.readouterr().err
    assert "3 frames" in told
    assert "latency" in told


def test_facts_of_a_pipe_are_json_on_stderr(piped: Any, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = piped(bytes(WIDTH * HEIGHT * 3), "--size", "64X48", "--json", "-b", "white")
    assert (code, len(out)) == (0, WIDTH * HEIGHT * 3)
    facts = json.loads(capsys.readouterr().err)
    assert (facts["frames"], facts["pixels"], facts["size"]) == (1, "rgb24", [64, 48])


@pytest.mark.parametrize(
    ("data", "words", "told"),
    [
        (b"x" * 100, ["--size", "64x48"], "100 of 9216 bytes"),
        (b"", [], "--size 1280x720"),
        (b"", ["--size", "64"], "is not a size"),
        (b"", ["--size", "99999x9"], "is not a size"),
        (b"", ["--size", "64x48", "-o", "x.mp4"], "stdin to stdout"),
        (b"", ["--size", "64x48", "in.mp4"], "stdin to stdout"),
        (b"", ["--size", "64x48", "--to", "5"], "are for files"),
        (b"", ["--size", "64x48", "--mirror"], "for cameras"),
    ],
)
def test_what_cannot_be_piped_is_one_line_and_exit_2(
    piped: Any, capsys: pytest.CaptureFixture[str], data: bytes, words: list[str], told: str
) -> None:
    code, _ = piped(data, *words)
    err = capsys.readouterr().err
    assert code == 2
    assert told in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["camera:0"], "-o virtual-camera"),
        (["camera:0", "-o", "out.webm"], "-o virtual-camera"),
        (["camera:0", "-o", "virtual-camera"], "--background blur"),
        (["in.mp4", "-o", "virtual-camera"], "camera:0"),
        (["camera:0", "camera:1", "-o", "virtual-camera", "-b", "blur"], "one camera"),
        (["camera:x", "-b", "blur", "--to", "virtual-camera"], "neither a number nor a device"),
        (["camera:0", "-o", "a.mp4", "--to", "virtual-camera"], "two targets"),
        (["camera:0", "-o", "virtual-camera", "-b", "blur", "--from", "3"], "are for files"),
        (["camera:0", "-o", "virtual-camera", "-b", "blur", "--look-ahead", "2"], "coming frames"),
    ],
)
def test_what_cannot_be_live_says_the_next_step(
    capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    assert main(["video", "--model", "echo", *words]) == 2
    assert told in capsys.readouterr().err


def test_a_camera_runs_until_it_is_ended_and_everything_is_released(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import av

    from cleancut.video import live as room
    from cleancut.video.camera_in import Camera

    told: list[Any] = []

    def make(**asked: Any) -> Any:
        told.append(asked)
        return SimpleNamespace(
            device="/dev/video9",
            send=lambda rgb: told.append(rgb.shape),
            close=lambda: told.append("closed"),
        )

    def camera(source: str, *, size: Any, rate: Any) -> Camera:
        assert (source, size, rate) == ("camera:0", (64, 48), 25)
        return Camera(av.open("testsrc=size=64x48:rate=50:duration=0.6,realtime", format="lavfi"))

    monkeypatch.setitem(sys.modules, "pyvirtualcam", SimpleNamespace(Camera=make))
    monkeypatch.setattr(live, "open_camera", camera)
    monkeypatch.setattr(room, "_EVERY_S", 0.1)
    words = "camera:0 --to virtual-camera:/dev/video9 -b green --json --model echo --size 64x48"
    code = main(["video", *words.split(), "--rate", "25", "--mirror", "-v"])
    said = capsys.readouterr()
    assert code == 0, said.err
    assert told[0] == {"width": 64, "height": 48, "fps": 50.0, "device": "/dev/video9"}
    assert told[1] == (48, 64, 3)
    assert told[-1] == "closed"
    facts = json.loads(said.out)
    assert facts["frames"] == len(told) - 2
    assert "live on /dev/video9" in said.err
    assert "a second" in said.err


def test_sizes_are_width_and_height() -> None:
    assert live.parse_size("1280x720") == (1280, 720)
    for wrong in ("", "1280", "0x10", "-5x10", "1e3x5", "99999x1"):
        with pytest.raises(BadOption):
            live.parse_size(wrong)
