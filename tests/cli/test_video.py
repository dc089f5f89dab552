from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cleancut import Options
from cleancut.cli.main import main
from cleancut.cli.video_targets import plan
from cleancut.errors import BadOption
from cleancut.video.options import VideoOptions
from tests.video.moving import clip, frames_of

ECHO = ["--model", "echo"]


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return clip(tmp_path / "talk.mp4")


def names() -> list[str]:
    return sorted(path.name for path in Path.cwd().iterdir())


def test_a_video_becomes_what_its_name_says(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["video", "talk.mp4", "-o", "out.mkv", *ECHO]) == 0
    assert len(frames_of("out.mkv")) == 20
    told = capsys.readouterr()
    assert told.out == ""
    assert "talk.mp4 -> out.mkv  (echo, 20 frames" in told.err


def test_json_is_one_line_with_facts_and_the_report_is_a_file(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["video", "talk.mp4", "-o", "out.mkv", "--json", "--report", "r.json", *ECHO]
    assert main(command) == 0
    told = capsys.readouterr()
    facts = json.loads(told.out)
    assert (facts["input"], facts["output"], facts["frames"]) == ("talk.mp4", "out.mkv", 20)
    assert told.err == ""
    assert json.loads(Path("r.json").read_text())["frames"] == 20


def test_a_span_of_time_is_cut_out(source: Path) -> None:
    command = ["video", "talk.mp4", "-o", "out.mkv", "--from", "0.5", "--to", "0:01", "-q", *ECHO]
    assert main(command) == 0
    assert len(frames_of("out.mkv")) == 5


def test_several_videos_are_done_in_turn_and_one_that_fails_stops_none(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("broken.mp4").write_text("no video\n" * 100)
    clip(Path("walk.mp4"), 5)
    names = ["talk.mp4", "broken.mp4", "walk.mp4"]
    assert main(["video", *names, "-o", "out/*.mkv", "-q", *ECHO]) == 5
    assert sorted(path.name for path in Path("out").iterdir()) == ["talk.mkv", "walk.mkv"]
    assert "[unreadable-video] broken.mp4" in capsys.readouterr().err


def test_info_tells_what_is_known_and_writes_nothing(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["video", "talk.mp4", "--info"]) == 0
    line = capsys.readouterr().out
    assert "64x48" in line
    assert line.startswith("talk.mp4: mov/mp4 (h264), ")
    assert "10 frames a second" in line
    assert main(["video", "talk.mp4", "--info", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["width"] == 64
    assert names() == ["talk.mp4"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no video was named"),
        (["nosuch.mp4"], "no such file"),
        (["empty", "-o", "a.webm"], "empty"),
        (["talk.mp4", "-o", "a"], "not clear"),
        (["talk.mp4", "-o", "a.wbm"], "did you mean .webm"),
        (["talk.mp4", "-o", "a.mp4"], "--background"),
        (["talk.mp4", "-o", "-"], "stdout"),
        (["talk.mp4", "-o", ""], "empty"),
        (["talk.mp4", "-o", "talk.mp4", "-b", "red"], "never overwritten"),
        (["talk.mp4", "-o", "a.webm", "--from", "9"], "0:02 long"),
        (["talk.mp4", "-o", "a.webm", "--from", "5", "--to", "4"], "not after"),
        (["talk.mp4", "-o", "a.webm", "--from", "soon"], "not a time"),
        (["talk.mp4", "-o", "a.webm", "--crop"], "unknown option --crop"),
        (["talk.mp4", "-o", "a.webm", "--matte-only", "-b", "red"], "contradict"),
        (["talk.mp4", "-o", "a.webm", "--jobs", "0"], "--jobs"),
        (["talk.mp4", "-o", "a.webm", "--rate", "24"], "--rate is for numbered pictures"),
        (["a still.jpg"], "cleancut cut 'a still.jpg'"),
        (["talk.mp4", "talk.mp4", "-o", "a.webm"], "out/*.webm"),
    ],
)
def test_what_cannot_be_done_is_one_line_with_the_next_step(
    source: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    Path("empty").mkdir()
    Path("a still.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
    assert main(["video", *words, *ECHO]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    (line,) = told.err.strip().splitlines()
    assert line.startswith("cleancut: error [")
    assert said in line
    assert "; " in line
    assert names() == ["a still.jpg", "empty", "talk.mp4"]


def test_targets_take_the_names_of_their_videos() -> None:
    options, video = Options(), VideoOptions()
    assert plan(["a/b.mp4"], None, options, video) == [("a/b.mp4", "a/b.cutout.webm")]
    opaque = Options(background="#fff")
    assert plan(["b.mp4"], None, opaque, video) == [("b.mp4", "b.cutout.mp4")]
    assert plan(["x/a.mp4", "y/a.mov"], "out/*.mov", options, video) == [
        ("x/a.mp4", "out/a.mov"),
        ("y/a.mov", "out/a-2.mov"),
    ]
    assert plan(["x/a.mp4"], "out/", options, video) == [("x/a.mp4", "out/a.cutout.webm")]
    assert plan(["a.mp4", "b.mp4"], "out/", options, video)[1] == ("b.mp4", "out/b.cutout.webm")
    assert plan(["shot/%05d.png"], None, options, video)[0][1] == "shot/shot.cutout.webm"
    with pytest.raises(BadOption):
        plan(["a.mp4", "b.mp4"], "c.webm", options, video)


def start(words: list[str], folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "cleancut", "video", *words],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for one process")
def test_ctrl_c_leaves_the_parts_and_says_how_to_go_on(tmp_path: Path) -> None:
    clip(tmp_path / "long.mp4", 600, rate=25)
    words = ["long.mp4", "-o", "out.mkv", *ECHO, "--report", "r.json"]
    with start(words, tmp_path) as child:
        parts = tmp_path / ".out.mkv.parts"
        until = time.monotonic() + 60
        while not list(parts.glob("*/00000.json")) and time.monotonic() < until:
            time.sleep(0.01)
        child.send_signal(signal.SIGINT)
        _, told = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "run the same command again" in told
    assert "Traceback" not in told
    assert not (tmp_path / "out.mkv").exists()
    with start(words, tmp_path) as child:
        _, told = child.communicate(timeout=120)
    assert child.returncode == 0, told
    assert json.loads((tmp_path / "r.json").read_text())["frames_kept"] > 0
    assert not parts.exists()


def test_help_and_parsing_import_nothing_heavy() -> None:
    code = (
        "import sys\nfrom cleancut.cli.main import main\n"
        "try:\n    main(['video', '--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'cv2', 'av', 'onnxruntime', 'openvino'} & set(sys.modules)\n"
        "sys.exit(1 if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert done.returncode == 0
