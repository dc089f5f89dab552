from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cleancut.bench.peer import MARK, REQUIREMENT, VERSION, lend_weights, prepare
from cleancut.errors import MissingDependency

PROGRAMS = "Scripts" if sys.platform == "win32" else "bin"
SUFFIX = ".exe" if sys.platform == "win32" else ""
COMPLETE = {"rembg": VERSION, "gradio": "6", "onnxruntime": "1"}


class FakeVenv:
    """Stands in for the commands: makes the files that they would make."""

    def __init__(self, folder: Path, holds: dict[str, str], fails: str = "") -> None:
        self.folder = folder
        self.holds = holds
        self.fails = fails
        self.steps: list[str] = []
        self.asked: list[str] = []

    def __call__(self, argv: list[str], timeout_s: float) -> str:
        step = "venv" if "venv" in argv else "install" if "pip" in argv else "ask"
        self.steps.append(step)
        if step == self.fails:
            raise subprocess.CalledProcessError(1, argv, "", "WARNING: x\nERROR: no such thing\n")
        if step == "venv":
            self.program("python")
        if step == "install":
            self.asked = argv[argv.index("--disable-pip-version-check") + 1 :]
            self.program("rembg")
            self.holds = COMPLETE
        return json.dumps(self.holds) if step == "ask" else ""

    def program(self, name: str) -> None:
        path = self.folder / PROGRAMS / f"{name}{SUFFIX}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def quiet(line: str) -> None:
    pass


def test_a_new_folder_is_made_and_filled(tmp_path: Path) -> None:
    run = FakeVenv(tmp_path / "peer", {})
    peer = prepare(tmp_path / "peer", tell=quiet, run=run)
    assert run.steps == ["venv", "ask", "install", "ask"]
    assert run.asked == [REQUIREMENT]
    assert peer.versions == COMPLETE
    assert peer.command == tmp_path / "peer" / PROGRAMS / f"rembg{SUFFIX}"


def test_for_a_gpu_the_libraries_of_cuda_come_along(tmp_path: Path) -> None:
    run = FakeVenv(tmp_path / "peer", {})
    prepare(tmp_path / "peer", tell=quiet, run=run, gpu=True)
    assert run.asked == [f"rembg[gpu,cli]=={VERSION}", "onnxruntime-gpu[cuda,cudnn]"]
    run = FakeVenv(tmp_path / "plain", COMPLETE)
    run.program("python")
    run.program("rembg")
    with pytest.raises(MissingDependency, match=r"lacks rembg\[gpu"):
        prepare(tmp_path / "plain", tell=quiet, run=run, gpu=True)  # somebody else's


def test_a_complete_one_is_used_as_it_is(tmp_path: Path) -> None:
    run = FakeVenv(tmp_path, COMPLETE)
    run.program("python")
    run.program("rembg")
    prepare(tmp_path, tell=quiet, run=run)
    assert run.steps == ["ask"]


@pytest.mark.parametrize("holds", [{}, {"rembg": VERSION}])
def test_an_environment_of_somebody_else_is_never_installed_into(
    tmp_path: Path, holds: dict[str, str]
) -> None:
    run = FakeVenv(tmp_path, holds)
    run.program("python")
    run.program("rembg")
    with pytest.raises(MissingDependency, match="did not make"):
        prepare(tmp_path, tell=quiet, run=run)
    assert run.steps == ["ask"]


def test_an_own_one_left_half_done_is_completed(tmp_path: Path) -> None:
    run = FakeVenv(tmp_path, {"rembg": VERSION})
    (tmp_path / MARK).touch()
    run.program("python")
    run.program("rembg")
    prepare(tmp_path, tell=quiet, run=run)
    assert run.steps == ["ask", "install", "ask"]


def test_another_version_is_refused_and_nothing_is_installed(tmp_path: Path) -> None:
    run = FakeVenv(tmp_path, {"rembg": "2.0.1"})
    run.program("python")
    with pytest.raises(MissingDependency, match=r"2\.0\.1"):
        prepare(tmp_path, tell=quiet, run=run)
    assert run.steps == ["ask"]


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").touch()
    run = FakeVenv(tmp_path, {})
    with pytest.raises(MissingDependency, match="not a virtual environment"):
        prepare(tmp_path, tell=quiet, run=run)
    assert run.steps == []


@pytest.mark.parametrize("step", ["venv", "ask", "install"])
def test_a_failing_step_is_one_error_with_the_reason(tmp_path: Path, step: str) -> None:
    with pytest.raises(MissingDependency, match="no such thing") as caught:
        prepare(tmp_path / "peer", tell=quiet, run=FakeVenv(tmp_path / "peer", {}, fails=step))
    assert caught.value.hint


def test_weights_lie_under_the_names_that_rembg_looks_for(tmp_path: Path) -> None:
    ours = tmp_path / "isnet-fp16.onnx"
    ours.write_bytes(b"network")
    lend_weights({"isnet": ours, "u2netp": ours}, tmp_path / "home")
    lend_weights({"isnet": ours}, tmp_path / "home")
    assert (tmp_path / "home" / "isnet-general-use.onnx").read_bytes() == b"network"
    assert (tmp_path / "home" / "u2netp.onnx").read_bytes() == b"network"
    assert ours.exists()


@pytest.mark.parametrize("said", ["", "hello", "[1]", "3", '"rembg"', "[" * 100_000])
def test_an_environment_that_talks_nonsense_is_one_error(tmp_path: Path, said: str) -> None:
    run = FakeVenv(tmp_path, COMPLETE)
    run.program("python")
    with pytest.raises(MissingDependency):
        prepare(tmp_path, tell=quiet, run=lambda *_: said)


def test_an_environment_that_hangs_is_not_waited_for_as_long_as_an_installation(
    tmp_path: Path,
) -> None:
    FakeVenv(tmp_path, COMPLETE).program("python")

    def hangs(argv: list[str], timeout_s: float) -> str:
        assert timeout_s <= 120
        raise subprocess.TimeoutExpired(argv, timeout_s)

    with pytest.raises(MissingDependency, match="too long"):
        prepare(tmp_path, tell=quiet, run=hangs)
