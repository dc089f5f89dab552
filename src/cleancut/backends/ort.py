"""ONNX Runtime: the only file that imports it.

Settings measured on IS-Net 1024x1024 (176 MB as f32, 2 cores): without the memory pattern the peak
falls from 2.25 to 1.36 GB and a run is as fast; without the arena it is 10 to 60 % slower. Idle
threads that spin save nothing and burn a core for each waiting request.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cleancut.backends import machine
from cleancut.backends.base import Device, Placement, Precision, Shape
from cleancut.backends.elf import missing_libraries
from cleancut.backends.faults import check_feeds, check_file, failed_run, one_line, pick_outputs
from cleancut.backends.onnxfile import corrupt, read_signature
from cleancut.errors import BackendUnavailable, CleancutError

if TYPE_CHECKING:
    from cleancut.arrays import Tensor

_TELEMETRY = "ORT_DISABLE_TELEMETRY"


@contextmanager
def _without_telemetry() -> Iterator[None]:
    """Import ONNX Runtime with its telemetry off; a setting of the user's stays.

    Builds of 2026 make a device id and a database in the home folder while they are imported, and
    report to their maker. Only the environment at that moment turns it off;
    ``disable_telemetry_events()`` comes too late. If somebody has imported it before, nothing can
    be done, and nothing is.
    """
    if _TELEMETRY in os.environ:
        yield
        return
    os.environ[_TELEMETRY] = "1"
    try:
        yield
    finally:
        del os.environ[_TELEMETRY]


with _without_telemetry():
    import onnxruntime

CPU = "CPUExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
#: GPU providers in order of preference. TensorRT is only taken when named: it builds an engine
#: for minutes on first use.
GPU_PROVIDERS = (
    "CUDAExecutionProvider",
    "MIGraphXExecutionProvider",
    "ROCMExecutionProvider",
    "CoreMLExecutionProvider",
    "DmlExecutionProvider",
)
#: Providers that can be told to compute in f16.
F16_PROVIDERS = (TENSORRT, "CoreMLExecutionProvider", "MIGraphXExecutionProvider")

_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
}
_GPU_HINT = f"run: {machine.GPU_WHEEL}"


class OrtSession:
    """A graph in ONNX Runtime. ``run`` may be called from any number of threads.

    On the processor they take turns: the runs share the same threads, so that two at once take as
    long as one after the other, and need twice the memory (U2-Net small, three at once: 1.1 GB
    instead of 0.5).
    """

    def __init__(self, session: Any, placement: Placement, outputs: Sequence[str] | None) -> None:
        self._session = session
        self._turn = threading.Lock() if placement.device == "cpu" else nullcontext()
        self.placement = placement
        self.inputs: Mapping[str, Shape] = {
            port.name: tuple(
                size if isinstance(size, int) and size > 0 else None for size in port.shape
            )
            for port in session.get_inputs()
        }
        self._dtypes = {
            port.name: np.dtype(_DTYPES.get(port.type, np.float32)) for port in session.get_inputs()
        }
        self.outputs: Sequence[str] = pick_outputs(
            outputs, [port.name for port in session.get_outputs()]
        )

    def run(self, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Run the graph once; see ``Session.run``."""
        ready = check_feeds(feeds, self.inputs, self._dtypes)
        try:
            with self._turn:
                answers = self._session.run(list(self.outputs), ready)
        except Exception as error:
            raise failed_run(error, "ONNX Runtime") from error
        return dict(zip(self.outputs, answers, strict=True))


def open_session(
    path: Path,
    *,
    device: Device,
    precision: Precision = "f32",
    provider: str | None = None,
    outputs: Sequence[str] | None = None,
    threads: int | None = None,
    cache_dir: Path | None = None,
    reason: str = "requested",
) -> OrtSession:
    """Load the ONNX file at ``path`` on exactly the device asked for.

    ``provider`` is ONNX Runtime's name; without it the best one installed for ``device`` is taken.
    ``outputs`` are the only ones computed and returned. ``cache_dir`` keeps TensorRT engines.

    Raises ``BackendUnavailable`` if the device or precision cannot be had (there is no fall-back to
    the CPU), ``WeightsMissing`` or ``WeightsCorrupt`` for the file, ``InferenceFailed`` if the
    runtime refuses the graph, ``OutOfMemory``.
    """
    path = check_file(path)
    pick_outputs(outputs, read_signature(path).outputs)
    provider = _pick_provider(device, provider)
    _check_precision(provider, precision)
    if provider in ("CUDAExecutionProvider", TENSORRT):
        _preload_cuda()
    settings = _provider_options(provider, precision, cache_dir)
    chain: list[Any] = [(provider, settings)] if provider == CPU else [(provider, settings), CPU]
    try:
        session = onnxruntime.InferenceSession(
            str(path), _session_options(threads), providers=chain, enable_fallback=0
        )
    except Exception as error:
        raise _failed_load(error, path, provider) from error
    # ONNX Runtime drops a provider whose libraries do not load, and says so only in its log.
    actual = session.get_providers()[0]
    if actual != provider:
        raise _unusable(provider)
    placement = Placement("ort", "cpu" if provider == CPU else "gpu", precision, provider, reason)
    return OrtSession(session, placement, outputs)


def gpu_providers() -> tuple[str, ...]:
    """GPU providers compiled into the installed wheel, best first, TensorRT last.

    That one is listed does not mean that its libraries are there; opening a session shows.
    """
    available = onnxruntime.get_available_providers()
    return tuple(name for name in (*GPU_PROVIDERS, TENSORRT) if name in available)


def has_engine(cache_dir: Path | None) -> bool:
    """True if a TensorRT engine was built before, so that none is built for minutes now."""
    return cache_dir is not None and any((cache_dir / "tensorrt").glob("*.engine"))


def _session_options(threads: int | None) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # failures come back as exceptions; a library does not print
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    if threads is not None:
        options.intra_op_num_threads = threads
    return options


def _provider_options(
    provider: str, precision: Precision, cache_dir: Path | None
) -> dict[str, str]:
    f16 = precision == "f16"
    if provider == "CUDAExecutionProvider":
        # The default search tries every convolution algorithm for seconds on each new shape.
        return {"cudnn_conv_algo_search": "HEURISTIC", "arena_extend_strategy": "kSameAsRequested"}
    if provider == TENSORRT:
        options = {"trt_fp16_enable": "True" if f16 else "False"}
        if cache_dir is not None:
            options |= {
                "trt_engine_cache_enable": "True",
                "trt_engine_cache_path": str(cache_dir / "tensorrt"),
            }
        return options
    if provider == "MIGraphXExecutionProvider":
        return {"migraphx_fp16_enable": "1" if f16 else "0"}
    return {}


def _pick_provider(device: Device, provider: str | None) -> str:
    available = onnxruntime.get_available_providers()
    if provider is None:
        usable = [CPU] if device == "cpu" else [n for n in GPU_PROVIDERS if n in available]
        if not usable:
            raise BackendUnavailable(
                "the installed ONNX Runtime has no GPU provider", hint=_GPU_HINT
            )
        return usable[0]
    if provider not in available:
        raise BackendUnavailable(
            f"the installed ONNX Runtime has no {provider}; it has {', '.join(available)}",
            hint=_GPU_HINT if device == "gpu" else "run: pip install onnxruntime",
        )
    if (provider == CPU) != (device == "cpu"):
        raise BackendUnavailable(
            f"{provider} does not run on the {device}", hint="leave it out, or use another device"
        )
    return provider


def _check_precision(provider: str, precision: Precision) -> None:
    if precision == "f32" or (precision == "f16" and provider in F16_PROVIDERS):
        return
    if precision == "int8" and provider == CPU:
        return
    hint = (
        "use --backend openvino, or --precision f32" if provider == CPU else "use --precision f32"
    )
    raise BackendUnavailable(f"ONNX Runtime does not compute {precision} on {provider}", hint=hint)


def _failed_load(error: Exception, path: Path, provider: str) -> CleancutError:
    kind = type(error).__name__
    if kind in ("InvalidProtobuf", "InvalidGraph", "NoModel", "NoSuchFile"):
        return corrupt(path)
    if provider != CPU and kind in ("EPFail", "RuntimeError", "ValueError"):
        return _unusable(provider, one_line(error))
    return failed_run(error, "ONNX Runtime")


def _unusable(provider: str, why: str = "no device, or a driver that is too old") -> CleancutError:
    missing = missing_library(provider)
    hint = "run: nvidia-smi" if provider in ("CUDAExecutionProvider", TENSORRT) else _GPU_HINT
    if "libcuda.so.1" in missing:
        hint = "install the NVIDIA driver; run: nvidia-smi"
    elif missing:
        hint = "run: pip install 'onnxruntime-gpu[cuda,cudnn]'"
        if provider == TENSORRT:
            hint += " tensorrt"
    return BackendUnavailable(f"{provider} cannot be used: {missing or why}", hint=hint)


def _preload_cuda() -> None:
    """Load CUDA and cuDNN from the ``nvidia-*`` wheels, which no loader path leads to."""
    preload = getattr(onnxruntime, "preload_dlls", None)
    if preload is None:
        return
    # It reports missing libraries with print(); only its own module is silenced, not sys.stdout.
    onnxruntime.__dict__["print"] = lambda *_args, **_kwargs: None
    try:
        preload()
    except Exception:
        return  # what matters is whether the provider loads, which is checked after
    finally:
        onnxruntime.__dict__.pop("print", None)


def missing_library(provider: str) -> str:
    """Which libraries a provider of the installed wheel needs and does not find; empty if none."""
    stem = {"CUDAExecutionProvider": "cuda", TENSORRT: "tensorrt", "ROCMExecutionProvider": "rocm"}
    if provider not in stem or sys.platform != "linux":
        return ""
    _preload_cuda()
    name = f"libonnxruntime_providers_{stem[provider]}.so"
    missing = missing_libraries(Path(onnxruntime.__file__).parent / "capi" / name)
    return f"{', '.join(missing)} not found" if missing else ""
