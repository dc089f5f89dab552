from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from cleancut.bench import video_peers
from cleancut.bench.measure import Sample
from cleancut.bench.peer import MARK
from cleancut.bench.video_peers import REQUIREMENT, VERSION, Remover, prepare, remover_or_reason
from cleancut.errors import MissingDependency, RunError

PROGRAMS = "Scripts" if sys.platform == "win32" else "bin"
SUFFIX = ".exe" if sys.platform == "win32" else ""
COMPLETE = {"backgroundremover": VERSION, "torch": "2", "onnx": "1", "moviepy": "2"}


class FakeVenv:
    """Stands in for the commands; ``fails`` are words that a failing command line contains."""

    def __init__(self, folder: Path, holds: dict[str, str], *fails: str) -> None:
        self.folder = folder
        self.holds = holds
        self.fails = fails
        self.installed: list[str] = []

    def __call__(self, argv: list[str], timeout_s: float) -> str:
        if any(word in " ".join(argv) for word in self.fails):
            raise subprocess.CalledProcessError(1, argv, "", "WARNING: x\nERROR: no such thing\n")
        if "venv" in argv:
            self.program("python")
        if "pip" in argv:
            self.installed.append(argv[-1])
            self.program("backgroundremover")
            self.holds = COMPLETE
        return json.dumps(self.holds)

    def program(self, name: str) -> None:
        path = self.folder / PROGRAMS / f"{name}{SUFFIX}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(video_peers, "lend_weights", lambda *given: (tmp_path / "w.pth", 2e-6))
    monkeypatch.setattr(video_peers, "_tools", lambda *given: [tmp_path / "tools"])


def quiet(line: str) -> None:
    pass


def test_a_new_folder_is_made_filled_and_lent_our_weights(tmp_path: Path) -> None:
    run = FakeVenv(tmp_path / "peer", {})
    remover, difference = prepare(tmp_path / "peer", tmp_path, tell=quiet, run=run)
    assert run.installed[0].startswith("torch==")
    assert remover.env["U2NETP_PATH"] == str(tmp_path / "w.pth")
    assert remover.env["PATH"].startswith(str(tmp_path / "tools"))
    assert difference == 2e-6


def test_where_no_small_torch_is_had_the_usual_one_comes(tmp_path: Path) -> None:
    run = FakeVenv(tmp_path / "peer", {}, "+cpu")
    prepare(tmp_path / "peer", tmp_path, tell=quiet, run=run)
    assert run.installed == ["onnx"]


def test_a_foreign_environment_is_never_installed_into(tmp_path: Path) -> None:
    run = FakeVenv(tmp_path, {"torch": "2"})
    run.program("python")
    with pytest.raises(MissingDependency, match="did not make"):
        prepare(tmp_path, tmp_path / "work", tell=quiet, run=run)
    assert run.installed == []


def test_another_version_is_refused(tmp_path: Path) -> None:
    run = FakeVenv(tmp_path, {**COMPLETE, "backgroundremover": "0.1"})
    run.program("python")
    run.program("backgroundremover")
    (tmp_path / MARK).touch()
    with pytest.raises(MissingDependency, match=r"0\.1, not"):
        prepare(tmp_path, tmp_path / "work", tell=quiet, run=run)


def test_the_reason_is_told_where_it_cannot_be_had(tmp_path: Path) -> None:
    run = FakeVenv(tmp_path / "peer", {}, REQUIREMENT)
    remover, why = remover_or_reason(tmp_path / "peer", tmp_path, quiet, run)
    assert remover is None
    assert "not measured" in why
    assert "no such thing" in why
    assert remover_or_reason(None, tmp_path, quiet)[1].endswith("as asked")


def test_a_video_that_was_not_written_is_a_failure(tmp_path: Path) -> None:
    words: list[list[str]] = []

    def writes_nothing(argv: list[str], env: Mapping[str, str]) -> Sample:
        words.append(argv)
        return Sample(1.0, None, "")

    remover = Remover(tmp_path / "br", {}, {}, writes_nothing)
    with pytest.raises(RunError, match="wrote no video"):
        remover.matte(tmp_path / "in.mp4", tmp_path / "out.mp4")
    with pytest.raises(RunError, match="wrote no video"):
        remover.transparent(tmp_path / "in.mp4", tmp_path / "out.mov")
    assert "-mk" in words[0]
    assert "-tv" in words[1]
    assert words[1][-2:] == ["-o", str(tmp_path / "out.mov")]
