from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cleancut.backends import gpus, ort
from cleancut.backends.base import Placement
from cleancut.backends.faults import failed_run
from cleancut.errors import BackendUnavailable, OutOfMemory
from tests.backends import graphs, nvidia

CUDA = "CUDAExecutionProvider"
#: Not imported by name, which would bring its telemetry and write into the home folder.
onnxruntime = ort.onnxruntime


@pytest.mark.parametrize("backend", ["ort", "openvino"])
def test_running_a_network_leaves_nothing_in_the_home_folder(backend: str, tmp_path: Path) -> None:
    """Runtimes report to their makers unless kept from it; CI variables would hide that."""
    home = tmp_path / "home"
    home.mkdir()
    net = graphs.conv(tmp_path / "net.onnx")
    code = (
        f"from pathlib import Path; from cleancut.backends import {backend} as backend\n"
        "import numpy as np, os\n"
        f"session = backend.open_session(Path({str(net)!r}), device='cpu')\n"
        "session.run({'picture': np.zeros((1, 3, 16, 16), np.float32)})\n"
        "assert 'ORT_DISABLE_TELEMETRY' not in os.environ"
    )
    environ = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    environ |= {"HOME": str(home), "USERPROFILE": str(home), "LOCALAPPDATA": str(home)}
    subprocess.run([sys.executable, "-c", code], env=environ, check=True, timeout=60)
    assert list(home.rglob("*")) == []


def test_a_users_own_telemetry_setting_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    with ort._without_telemetry():
        assert os.environ["ORT_DISABLE_TELEMETRY"] == "0"
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "0"


@pytest.fixture
def with_cuda_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU wheel, driver and libraries, and still ONNX Runtime lists CUDA and runs on the CPU."""
    monkeypatch.setattr(gpus, "driver", nvidia.driver)
    monkeypatch.setattr(ort, "missing_libraries_of", lambda _: ())
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: [CUDA, "CPUExecutionProvider"]
    )
    real = onnxruntime.InferenceSession

    def fall_back(path: str, options: Any, providers: list[Any], **_: Any) -> Any:
        assert providers[0][0] == CUDA
        return real(path, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "InferenceSession", fall_back)


@pytest.mark.parametrize(
    ("driver", "problem", "hint"),
    [
        (nvidia.driver(), "no GPU provider", "run: pip install 'cleancut[gpu]'"),
        (nvidia.NO_DRIVER, "no NVIDIA driver", "install the NVIDIA driver"),
    ],
)
def test_a_gpu_without_gpu_provider_is_refused_with_the_next_step(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    driver: gpus.Driver,
    problem: str,
    hint: str,
) -> None:
    monkeypatch.setattr(gpus, "driver", lambda: driver)
    with pytest.raises(BackendUnavailable, match=problem) as caught:
        ort.open_session(graphs.conv(tmp_path / "m.onnx"), device="gpu")
    assert hint in caught.value.hint


def test_a_provider_that_is_not_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpus, "driver", nvidia.driver)
    with pytest.raises(BackendUnavailable, match="has no CUDAExecutionProvider; it has"):
        ort.open_session(graphs.conv(tmp_path / "m.onnx"), device="gpu", provider=CUDA)


def test_the_silent_fall_back_to_the_cpu_is_found_out(
    tmp_path: Path, with_cuda_wheel: None, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BackendUnavailable, match=r"CUDAExecutionProvider cannot be used: .+"):
        ort.open_session(graphs.conv(tmp_path / "m.onnx"), device="gpu")
    assert capfd.readouterr() == ("", "")


def test_what_preloading_prints_stays_inside(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def preload() -> None:
        exec("print('Failed to load libcudnn.so.9')", onnxruntime.__dict__)

    monkeypatch.setattr(onnxruntime, "preload_dlls", preload, raising=False)
    ort._preload_cuda()
    assert capsys.readouterr().out == ""
    assert "print" not in onnxruntime.__dict__


def test_a_gpu_provider_on_the_cpu_is_a_contradiction(
    tmp_path: Path, with_cuda_wheel: None
) -> None:
    with pytest.raises(BackendUnavailable, match="does not run on the cpu"):
        ort.open_session(graphs.conv(tmp_path / "m.onnx"), device="cpu", provider=CUDA)


def test_bf16_points_to_the_runtime_that_has_it(tmp_path: Path) -> None:
    with pytest.raises(BackendUnavailable, match="bf16") as caught:
        ort.open_session(graphs.conv(tmp_path / "m.onnx"), device="cpu", precision="bf16")
    assert "--backend openvino" in caught.value.hint


def test_tensorrt_is_never_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        onnxruntime,
        "get_available_providers",
        lambda: ["TensorrtExecutionProvider", CUDA, "CPUExecutionProvider"],
    )
    assert ort.gpu_providers() == (CUDA, "TensorrtExecutionProvider")
    assert ort._pick_provider("gpu", None) == CUDA


@pytest.mark.parametrize("provider", [CUDA, "TensorrtExecutionProvider"])
def test_small_graphs_compute_exactly_beside_any_network(
    provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    class Opened:
        def __init__(self, *_: Any, providers: list[Any], **__: Any) -> None:
            asked.append(providers)

        def get_providers(self) -> list[str]:
            return [CUDA]

    monkeypatch.setattr(onnxruntime, "InferenceSession", Opened)
    ort.open_graph(b"", Placement("ort", "gpu", "tf32", provider, "pretended"))
    ((name, options), _) = asked[0]
    assert (name, options["use_tf32"]) == (CUDA, "0")


def test_what_is_in_the_way_is_told_before_anything_is_opened(
    tmp_path: Path, with_cuda_wheel: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("a session was opened")

    monkeypatch.setattr(onnxruntime, "InferenceSession", never)
    monkeypatch.setattr(ort, "missing_libraries_of", lambda _: ("libcudnn.so.9",))
    with pytest.raises(BackendUnavailable, match=r"libcudnn\.so\.9 not found") as caught:
        ort.open_session(graphs.conv(tmp_path / "m.onnx"), device="gpu")
    assert "pip install 'onnxruntime-gpu[cuda,cudnn]" in caught.value.hint


def test_cudnn_is_missed_though_newer_providers_do_not_list_it() -> None:
    if ort.loads("libcudnn.so.9"):
        pytest.skip("cuDNN is installed here")
    assert "libcudnn.so.9" in ort.missing_libraries_of(CUDA)
    assert ort.missing_libraries_of("CPUExecutionProvider") == ()


@pytest.mark.parametrize("system", ["linux", "win32"])
def test_cuda_is_loaded_from_its_wheels_before_a_session_is_opened(
    system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr(gpus, "driver", nvidia.driver)
    monkeypatch.setattr(ort, "loads", lambda _: True)
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [ort.CUDA, ort.CPU])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: done.append("cuda"), raising=False)
    assert ort.obstacle() is None
    assert done == ["cuda"]


def test_what_tensorrt_leaves_over_goes_to_cuda_and_its_engines_have_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    class Opened:
        def __init__(self, *_: object, providers: list[object], **__: object) -> None:
            asked.extend(providers)

        def get_providers(self) -> list[str]:
            return [ort.TENSORRT]

    monkeypatch.setattr(onnxruntime, "InferenceSession", Opened)
    placement = Placement("ort", "gpu", "f16", ort.TENSORRT, "")
    ort._open(b"", placement, None, tmp_path / "not" / "there")
    assert [one if isinstance(one, str) else one[0] for one in asked] == [
        ort.TENSORRT,
        ort.CUDA,
        ort.CPU,
    ]
    assert (tmp_path / "not" / "there").is_dir()


@pytest.mark.parametrize(
    "text",
    [
        "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
        "Available memory of 12 is smaller than requested bytes of 99",
        "BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 9",
        "CUDA failure 2: out of memory ; GPU=0",
        "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED",
    ],
)
def test_a_full_gpu_is_out_of_memory(text: str) -> None:
    assert isinstance(failed_run(RuntimeError(text), "ONNX Runtime"), OutOfMemory)


def test_tensorrt_is_loaded_from_its_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tensorrt_libs").mkdir()
    (tmp_path / "tensorrt_libs" / "__init__.py").touch()
    loaded: list[str] = []

    def missing(_: Path) -> list[str]:
        return [] if loaded else ["libnvinfer.so.10"]

    monkeypatch.setattr(ort, "loads", lambda name: bool(loaded.append(name)) or True)
    monkeypatch.setattr(ort, "missing_libraries", missing)
    assert ort.missing_libraries_of(ort.TENSORRT) == ("libnvinfer.so.10",)  # no such wheel
    loaded.clear()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert ort.missing_libraries_of(ort.TENSORRT) == ()
    assert loaded[0] == str(tmp_path / "tensorrt_libs" / "libnvinfer.so.10")
