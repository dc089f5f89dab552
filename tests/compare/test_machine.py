from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from cleancut.backends import report
from cleancut.backends.report import Finding
from cleancut.compare import machine as module
from cleancut.compare.machine import ask_nvidia, gpu_hindrance, gpus, machine
from cleancut.compare.vram import VramWatch

needs_scripts = pytest.mark.skipif(sys.platform == "win32", reason="starts a shell script")


def nvidia_smi(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A program of that name, and nothing else, on the path."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/bin{os.pathsep}/usr/bin")


def test_a_machine_knows_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "gpus", tuple)
    found = machine()
    assert found.cpu
    assert found.cores >= 1
    assert found.gpus == ()
    assert found.python.startswith(f"{sys.version_info.major}.")
    if sys.platform == "linux":
        assert found.memory_mb is not None
        assert found.memory_mb > 100


@needs_scripts
def test_nvidias_gpus_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia_smi(tmp_path, monkeypatch, "echo 'NVIDIA A'; echo 'NVIDIA B'")
    assert gpus() == ("NVIDIA A", "NVIDIA B")


@needs_scripts
def test_a_driver_that_fails_names_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia_smi(tmp_path, monkeypatch, "echo 'NVIDIA-SMI has failed'; exit 9")
    assert ask_nvidia("--query-gpu=name") == ()


@pytest.mark.parametrize(
    ("findings", "works"),
    [
        ([], False),
        ([Finding("NVIDIA GPU", True, problem="no CUDA provider")], False),
        ([Finding("NVIDIA GPU", True, devices=("CUDAExecutionProvider",))], True),
    ],
)
def test_a_gpu_is_usable_if_a_runtime_says_so(
    findings: list[Finding], works: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = [
        Finding("onnxruntime", True, devices=("CPUExecutionProvider", "CUDAExecutionProvider")),
        Finding("openvino", True, devices=("CPU",)),
    ]
    monkeypatch.setattr(report, "report", lambda: [*plain, *findings])
    assert (gpu_hindrance() == "") is works


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_gpus_of_other_makers_are_usable_too(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    devices = {"onnxruntime": ("CPUExecutionProvider",), "openvino": ("CPU",)}
    devices[name] += {"openvino": ("GPU.0",), "onnxruntime": ("CoreMLExecutionProvider",)}[name]
    found = [Finding(one, True, devices=given) for one, given in devices.items()]
    monkeypatch.setattr(report, "report", lambda: found)
    assert gpu_hindrance() == ""


@needs_scripts
def test_memory_of_processes_that_came_meanwhile_is_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apps = tmp_path / "apps"
    apps.write_text("1, 5000\n")
    script = f'case "$1" in *apps*) cat {apps};; *) echo 6000;; esac'
    nvidia_smi(tmp_path, monkeypatch, script)
    with VramWatch() as watch:
        apps.write_text("1, 7000\n77, 1000\n78, [N/A]\n")
        _until(lambda: (watch.peak_mb or 0) > 0)
        apps.write_text("1, 7000\n")
    assert watch.peak_mb == pytest.approx(1000 * 1.048576)


@needs_scripts
def test_where_no_process_is_listed_the_gpus_memory_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = tmp_path / "held"
    held.write_text("100\n200\n")
    nvidia_smi(tmp_path, monkeypatch, f'case "$1" in *apps*) ;; *) cat {held};; esac')
    with VramWatch() as watch:
        held.write_text("600\n200\n")
        _until(lambda: (watch.peak_mb or 0) > 0)
    assert watch.peak_mb == pytest.approx(500 * 1.048576)


def test_without_a_driver_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with VramWatch() as watch:
        pass
    assert watch.peak_mb is None


def _until(true: object) -> None:
    assert callable(true)
    deadline = time.monotonic() + 10
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)
