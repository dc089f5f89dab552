from __future__ import annotations

from collections.abc import Callable

import pytest

from cleancut.backends import machine, openvino, ort, report

Pretend = Callable[..., None]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Pretend:
    def pretend(*wheels: str, providers: tuple[str, ...] = (), nvidia: bool = False) -> None:
        found = {"onnxruntime": dict.fromkeys(wheels, "1.31.1"), "openvino": {"openvino": "2026.4"}}
        monkeypatch.setattr(machine, "installed", found.__getitem__)
        monkeypatch.setattr(machine, "nvidia_gpu", lambda: nvidia)
        monkeypatch.setattr(ort, "gpu_providers", lambda: providers)

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


def test_two_wheels_of_one_module_are_a_problem(here: Pretend) -> None:
    here("onnxruntime", "onnxruntime-gpu")
    finding = by_name()["onnxruntime"]
    assert "overwrite each other" in finding.problem
    assert finding.remedy.startswith("pip uninstall -y onnxruntime onnxruntime-gpu && pip install ")


def test_an_idle_nvidia_gpu_is_pointed_out(here: Pretend) -> None:
    here("onnxruntime", nvidia=True)
    finding = by_name()["NVIDIA GPU"]
    assert "no CUDA provider" in finding.problem
    assert "onnxruntime-gpu[cuda,cudnn]" in finding.remedy


def test_missing_cuda_libraries_are_named(here: Pretend, monkeypatch: pytest.MonkeyPatch) -> None:
    here("onnxruntime-gpu", providers=("CUDAExecutionProvider",), nvidia=True)
    monkeypatch.setattr(ort, "missing_library", lambda _: "libcudnn.so.9: cannot open")
    finding = by_name()["NVIDIA GPU"]
    assert "libcudnn.so.9" in finding.problem
    assert finding.remedy == "pip install 'onnxruntime-gpu[cuda,cudnn]'"


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
