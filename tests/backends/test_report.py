from __future__ import annotations

from collections.abc import Callable

import pytest

from cleancut.backends import cuda, gpus, machine, openvino, ort, report
from tests.backends import nvidia as pretended

CUDA = "CUDAExecutionProvider"
Pretend = Callable[..., None]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Pretend:
    def pretend(*wheels: str, providers: tuple[str, ...] = (), nvidia: bool = False) -> None:
        found = {"onnxruntime": dict.fromkeys(wheels, "1.31.1"), "openvino": {"openvino": "2026.4"}}
        monkeypatch.setattr(machine, "installed", found.__getitem__)
        monkeypatch.setattr(machine, "nvidia_gpu", lambda: nvidia)
        driver = pretended.driver() if nvidia else pretended.NO_DRIVER
        monkeypatch.setattr(gpus, "driver", lambda: driver)
        listed = [*providers, "CPUExecutionProvider"]
        monkeypatch.setattr(ort.onnxruntime, "get_available_providers", lambda: listed)
        monkeypatch.setattr(ort, "missing_libraries_of", lambda _: ())

    return pretend


def by_name() -> dict[str, report.Finding]:
    return {finding.name: finding for finding in report.report()}


def test_a_healthy_machine_has_no_problems() -> None:
    found = by_name()
    assert set(found) >= {"processor", "onnxruntime", "openvino"}
    for name in ("onnxruntime", "openvino"):
        assert (found[name].installed, found[name].problem, found[name].remedy) == (True, "", "")
        assert found[name].devices[0].startswith("CPU")
        assert found[name].version


def test_a_missing_runtime_comes_with_its_pip_line(here: Pretend) -> None:
    here()
    finding = by_name()["onnxruntime"]
    assert not finding.installed
    assert finding.remedy == "pip install onnxruntime"


def test_a_machine_without_gpu_is_not_told_about_gpus(here: Pretend) -> None:
    here("onnxruntime")
    assert "NVIDIA GPU" not in by_name()


def test_gpus_are_listed_with_what_the_driver_runs(here: Pretend) -> None:
    here("onnxruntime", "onnxruntime-gpu", providers=(CUDA,), nvidia=True)
    finding = by_name()["NVIDIA GPU"]
    assert (finding.problem, finding.remedy) == ("", "")
    assert finding.version == "driver for CUDA 13.0"
    assert finding.devices == ("0: Card, 16 GiB, compute 9.0", "1: Card, 16 GiB, compute 9.0")


@pytest.mark.parametrize("nvidia", [True, False])
def test_a_covered_gpu_wheel_is_told_whatever_the_machine_has(here: Pretend, nvidia: bool) -> None:
    here("onnxruntime", "onnxruntime-gpu", nvidia=nvidia)
    finding = by_name()["NVIDIA GPU"]
    assert "onnxruntime 1.31.1 lies on top of onnxruntime-gpu 1.31.1" in finding.problem
    assert finding.remedy == ("pip install --force-reinstall --no-deps onnxruntime-gpu==1.31.1")


def test_an_idle_nvidia_gpu_is_pointed_out(here: Pretend) -> None:
    here("onnxruntime", nvidia=True)
    finding = by_name()["NVIDIA GPU"]
    assert "no CUDA provider" in finding.problem
    assert finding.remedy == cuda.GPU_EXTRA


def test_missing_cuda_libraries_are_named(here: Pretend, monkeypatch: pytest.MonkeyPatch) -> None:
    here("onnxruntime-gpu", providers=(CUDA,), nvidia=True)
    monkeypatch.setattr(ort, "missing_libraries_of", lambda _: ("libcudnn.so.9",))
    finding = by_name()["NVIDIA GPU"]
    assert finding.problem == "libcudnn.so.9 not found"
    assert finding.remedy == "pip install 'onnxruntime-gpu[cuda,cudnn]==1.31.1'"


def test_a_broken_runtime_does_not_break_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> tuple[str, ...]:
        raise RuntimeError("GLIBC_2.38 not found")

    monkeypatch.setattr(openvino, "devices", broken)
    finding = by_name()["openvino"]
    assert "GLIBC_2.38" in finding.problem
    assert "--force-reinstall openvino" in finding.remedy


def test_the_processor_says_whether_it_has_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "has_bf16", lambda: False)
    assert "no bf16 instructions" in by_name()["processor"].devices
