from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from cleancut.cli.distill_progress import Pace
from cleancut.cli.main import main
from cleancut.distill.config import config_text
from cleancut.distill.log import Step, read_log
from tests.distill.small import config_with, labels_in, make_pairs, small_net, small_onnx


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cleancut.distill.train.started", small_net)


def _words(folder: Path, run: str = "run", **changes: object) -> list[str]:
    """The words of a training of discs."""
    (folder / f"{run}.toml").write_text(config_text(config_with(**changes)), "utf-8")
    if not (folder / "labels").is_dir():
        labels_in(folder)
    return [
        *("distill", "train", str(folder / f"{run}.toml"), "--device", "cpu", "-o"),
        *(str(folder / run), "--labels", str(folder / "labels")),
        *("--photos", str(folder / "labels" / "photos")),
    ]


@pytest.mark.usefixtures("_small")
def test_a_training_says_how_far_it_is_and_what_is_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = _words(tmp_path)
    assert main([*words, "--until", "4"]) == 0
    told = capsys.readouterr().err
    assert "4 of 6 steps" in told
    assert "same command again to go on" in told
    assert main([*words, "--pairs", str(tmp_path / "pairs"), "--limit", "1"]) == 0
    told = capsys.readouterr().err
    assert "the best student is in best.pt" in told
    assert "cleancut distill export" in told
    assert json.loads((tmp_path / "run" / "origin.json").read_text("utf-8"))["photographs"]


INTERRUPTED = """
import signal, sys
from cleancut.cli.main import main
from cleancut.distill import train
from tests.distill.small import Small

class Interrupted(Small):
    asked = 0

    def forward(self, image):
        self.asked += 1
        if self.asked == 3:
            signal.raise_signal(signal.SIGINT)
        return super().forward(image)

train.started = lambda *_: Interrupted()
sys.exit(main(sys.argv[1:]))
"""


def test_ctrl_c_finishes_the_step_and_exits_130(tmp_path: Path) -> None:
    """In a process of its own: what exporters leave behind in one does not survive a signal."""
    words = _words(tmp_path, save_every=100)
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, *words], cwd=root, capture_output=True, text=True
    )
    assert done.returncode == 130, done.stderr
    assert "finishing this step" in done.stderr
    assert "same command again to go on" in done.stderr
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["step"] == 3


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["--until", "0"], 2, "--until 0"),
        (["--init", "x.onnx"], 2, "--init"),
        (["--device", "tpu"], 2, "--device tpu"),
        (["--threads", "0"], 2, "--threads 0"),
        (["--backgrounds", "nowhere"], 2, "holds no pictures"),
        (["--photos", "nowhere"], 2, "photographs are not in"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], code: int, said: str
) -> None:
    assert main([*_words(tmp_path), *more]) == code
    told = capsys.readouterr().err.strip()
    assert said in told
    assert "\n" not in told


def test_a_run_begins_from_a_checkpoint_of_another(tmp_path: Path) -> None:
    words = _words(tmp_path, steps=1, batch=1)
    assert main([*words, "-q"]) == 0
    first = tmp_path / "run" / "checkpoint.pt"
    again = _words(tmp_path, "again", steps=1, batch=1, rate=0.0)
    assert main([*again, "-q", "--init", str(first)]) == 0
    one = torch.load(first, weights_only=True)["ema"]
    two = torch.load(tmp_path / "again" / "checkpoint.pt", weights_only=True)["model"]
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_tuning_prints_before_and_after_and_writes_a_model_that_cuts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["distill", "tune", str(small_onnx(tmp_path / "net.onnx")), "--device", "cpu"]
    words += ["--pairs", str(make_pairs(tmp_path / "mine", 8)), "-o", str(tmp_path / "run")]
    words += ["--steps", "6", "--batch", "2", "--rate", "0.1"]
    mine = tmp_path / "mine.onnx"
    assert main([*words, "--export", str(mine)]) == 0
    shown = capsys.readouterr()
    assert "before" in shown.out
    assert "7 pictures to learn from, 1 held back" in shown.err
    assert main([*words, "--json", "-q"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["after"]["mine"]["mad"] < facts["before"]["mine"]["mad"]
    photo, cut = tmp_path / "mine" / "image" / "p0.png", tmp_path / "cut.png"
    assert main(["cut", str(photo), "--model", str(mine), "-o", str(cut), "-q"]) == 0
    assert cut.is_file()


def test_the_pace_counts_from_the_first_step_of_this_sitting() -> None:
    pace = Pace(100)
    assert pace.figures() == "starting"
    pace.add(Step(51, 1.0, {}, 1e-4, 60.0))
    assert "left" not in pace.figures()
    pace.add(Step(52, 1.0, {}, 1e-4, 62.0))
    assert "52 of 100 steps, 1:36 left, loss 1.000, rate 1.0e-04, 0.50 steps a second" in (
        pace.figures()
    )
    pace.add(Step(53, float("nan"), {}, 1e-4, 64.0, skipped=True))
    assert "loss 1.000" in pace.figures()
    assert pace.figures().endswith("1 skipped")


_ENVIRON = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}


def _trained(words: list[str], *before: str) -> str:
    """What a process says that trains to the end."""
    done = subprocess.run(
        [sys.executable, *before, "-m", "cleancut", *words],
        env=_ENVIRON,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_killed_process_goes_on_and_ends_with_the_same_weights(tmp_path: Path) -> None:
    """The real student, killed for real."""
    changes = {"steps": 6, "batch": 1, "save_every": 1}
    _trained(_words(tmp_path, "whole", **changes))
    words = _words(tmp_path, "killed", **changes)
    checkpoint = tmp_path / "killed" / "checkpoint.pt"
    process = subprocess.Popen([sys.executable, "-m", "cleancut", *words, "-q"], env=_ENVIRON)
    while process.poll() is None and not checkpoint.is_file():
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert 0 < torch.load(checkpoint, weights_only=True)["step"] < 6, "killed too late to prove it"
    _trained(words)
    one, other = (
        torch.load(tmp_path / run / "checkpoint.pt", weights_only=True)["model"]
        for run in ("whole", "killed")
    )
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_two_processes_under_torchrun_learn_from_twice_as_many_pictures(tmp_path: Path) -> None:
    words = _words(tmp_path, steps=2, batch=1, save_every=1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torchrun = ("-m", "torch.distributed.run", "--nproc-per-node=2", f"--master-port={port}")
    told = _trained(words, *torchrun)
    assert told.count("2 of 2 steps;") == 1, "the first process alone tells"
    both = read_log(tmp_path / "run" / "log.jsonl")
    assert [line["step"] for line in both] == [1, 2]
    alone = _words(tmp_path, "alone", steps=2, batch=1, save_every=1)
    _trained(alone)
    one = read_log(tmp_path / "alone" / "log.jsonl")
    assert both[0]["loss"] != one[0]["loss"], "the mean over two pictures, not one"
