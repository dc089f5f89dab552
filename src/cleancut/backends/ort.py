"""ONNX Runtime: the only file that imports it.

Settings measured on IS-Net 1024x1024 (176 MB as f32, 2 cores): without the memory pattern the peak
falls from 2.25 to 1.36 GB and a run is as fast; without the arena it is 10 to 60 % slower. Idle
threads that spin save nothing and burn a core for each waiting request.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cleancut.backends import cuda, machine
from cleancut.backends.base import Device, Placement, Precision, Shape
from cleancut.backends.elf import loads, missing_libraries
from cleancut.backends.faults import check_feeds, check_file, failed_run, one_line, pick_outputs
from cleancut.backends.freebatch import freed, takes_batches
from cleancut.backends.onnxfile import corrupt, read_signature
from cleancut.errors import BackendUnavailable, CleancutError, InferenceFailed, WeightsCorrupt

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
    import onnxruntime as onnxruntime

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
#: GPU providers in order of preference. TensorRT is only taken when named: it builds an engine
#: for minutes on first use.
GPU_PROVIDERS = (
    CUDA,
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
_NVIDIA = {CUDA: "cuda", TENSORRT: "tensorrt"}
_CUDNN = "libcudnn.so.9"


class OrtSession:
    """A graph in ONNX Runtime. ``run`` may be called from any number of threads.

    On the processor they take turns: the runs share the same threads, so that two at once take as
    long as one after the other, and need twice the memory (U2-Net small, three at once: 1.1 GB
    instead of 0.5).
    """

    def __init__(self, session: Any, placement: Placement, outputs: Sequence[str] | None) -> None:
        self.native = session
        self.memory: Literal["cpu", "cuda"] = "cuda" if placement.provider in _NVIDIA else "cpu"
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
        answers = [port for port in session.get_outputs() if port.name in self.outputs]
        #: Whether all that goes in and comes out is float32.
        self.floats = all(
            port.type == "tensor(float)" for port in (*session.get_inputs(), *answers)
        )

    def run(self, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Run the graph once; see ``Session.run``."""
        ready = check_feeds(feeds, self.inputs, self._dtypes)
        try:
            with self._turn:
                answers = self.native.run(list(self.outputs), ready)
        except Exception as error:
            raise failed_run(error, "ONNX Runtime") from error
        return dict(zip(self.outputs, answers, strict=True))

    def group(self, call: Mapping[str, Tensor]) -> Hashable:
        """Feeds of equal shapes can be joined; see ``batching.Joinable``."""
        if any(shape[0] is not None for shape in self.inputs.values()):
            return None
        return tuple((name, array.shape) for name, array in sorted(call.items()))

    def run_many(self, calls: Sequence[Mapping[str, Tensor]]) -> list[dict[str, Tensor]]:
        """``run`` for several feeds of one group, which are joined along their first axis."""
        if len(calls) == 1:
            return [self.run(calls[0])]
        joined = self.run({name: np.concatenate([c[name] for c in calls]) for name in self.inputs})
        first = next(iter(self.inputs))
        ends = np.cumsum([len(call[first]) for call in calls])[:-1]
        parts = {name: np.split(answer, ends) for name, answer in joined.items()}
        return [{name: parts[name][at] for name in self.outputs} for at in range(len(calls))]


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
    batches: bool | None = None,
) -> OrtSession:
    """Load the ONNX file at ``path`` on exactly the device asked for.

    With ``batches`` (by default on CUDA) the graph's first dimension is freed where that changes no
    answer: ``inputs`` then has None for it.

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
    if obstacle(provider) is not None:
        raise _unusable(provider)
    placement = Placement("ort", "cpu" if provider == CPU else "gpu", precision, provider, reason)

    def opened(graph: str | bytes) -> OrtSession:
        try:
            native = _open(graph, placement, threads, cache_dir)
        except CleancutError:
            raise
        except Exception as error:
            raise _failed_load(error, path, provider) from error
        return OrtSession(native, placement, outputs)

    wanted = provider == CUDA if batches is None else batches
    if wanted and (graph := freed(path)) is not None:
        with suppress(InferenceFailed, WeightsCorrupt):  # of the edited graph: the file decides
            session = opened(graph)
            if takes_batches(session):
                return session
            del session  # before the next is opened: a device may not hold both
    return opened(str(path))


def open_graph(graph: bytes, placement: Placement) -> Any:
    """ONNX Runtime's own session of a small graph, on the device of ``placement``, in f32.

    Raises ``BackendUnavailable`` if that is gone, or what ONNX Runtime raises.
    """
    # TensorRT would build an engine for every size of picture.
    provider = CUDA if placement.provider == TENSORRT else placement.provider
    # Averages in TF32 lie a level off in 2 to 3 % of pixels: u2netp's mattes then by up to 0.024.
    return _open(graph, replace(placement, provider=provider, precision="f32"), None, None)


def _open(
    graph: str | bytes, placement: Placement, threads: int | None, cache_dir: Path | None
) -> Any:
    provider = placement.provider
    chain: list[Any] = [(provider, _provider_options(provider, placement.precision, cache_dir))]
    if provider == TENSORRT:  # what it leaves over
        chain.append((CUDA, _provider_options(CUDA, "f32", None)))
        if cache_dir is not None:  # it makes the last folder only
            cache_dir.mkdir(parents=True, exist_ok=True)
    chain += [CPU] if provider != CPU else []
    session = onnxruntime.InferenceSession(
        graph, _session_options(threads), providers=chain, enable_fallback=0
    )
    # ONNX Runtime drops a provider whose libraries do not load, and says so only in its log.
    if session.get_providers()[0] != provider:
        raise _unusable(provider)
    return session


def gpu_providers() -> tuple[str, ...]:
    """GPU providers compiled into the installed wheel, best first, TensorRT last.

    That one is listed does not mean that its libraries are there; opening a session shows.
    """
    available = onnxruntime.get_available_providers()
    return tuple(name for name in (*GPU_PROVIDERS, TENSORRT) if name in available)


def gpu_precision(provider: str, asked: str, fast: bool) -> Precision:
    """How ``provider`` computes where ``asked`` is wanted; ``fast`` allows for rounded products."""
    if asked == "f16":
        return "f16"
    return "tf32" if fast and provider == CUDA else "f32"


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
    if provider == CUDA:
        # The default search tries every convolution algorithm for seconds on each new shape.
        return {
            "cudnn_conv_algo_search": "HEURISTIC",
            "arena_extend_strategy": "kSameAsRequested",
            "use_tf32": "1" if precision == "tf32" else "0",
        }
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
            raise _no_gpu_provider("the installed ONNX Runtime has no GPU provider")
        return usable[0]
    if provider not in available:
        lacks = f"the installed ONNX Runtime has no {provider}; it has {', '.join(available)}"
        if device == "gpu":
            raise _no_gpu_provider(lacks)
        raise BackendUnavailable(lacks, hint="run: pip install onnxruntime")
    if (provider == CPU) != (device == "cpu"):
        raise BackendUnavailable(
            f"{provider} does not run on the {device}", hint="leave it out, or use another device"
        )
    return provider


def _no_gpu_provider(lacks: str) -> BackendUnavailable:
    """``lacks`` is told where a GPU waits for nothing else, else what it waits for."""
    found = obstacle()
    if found is None or found.remedy == cuda.GPU_EXTRA:
        return BackendUnavailable(lacks, hint=f"run: {cuda.GPU_EXTRA}")
    return BackendUnavailable(f"no GPU can be used: {found.problem}", hint=found.hint)


def _check_precision(provider: str, precision: Precision) -> None:
    if precision == "f32" or (precision == "f16" and provider in F16_PROVIDERS):
        return
    if (precision, provider) in (("int8", CPU), ("tf32", CUDA)):
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


def obstacle(provider: str = CUDA) -> cuda.Obstacle | None:
    """What keeps ``provider`` from running here; None if nothing is known to, or it is not CUDA."""
    if provider not in _NVIDIA:
        return None
    listed = provider in onnxruntime.get_available_providers()
    version = str(getattr(onnxruntime, "cuda_version", ""))
    return cuda.obstacle(
        cuda.Build(
            wheels=machine.installed("onnxruntime"),
            provider=listed,
            cuda=tuple(int(part) for part in version.split(".") if part.isdigit()),
            missing=missing_libraries_of(provider) if listed else (),
        )
    )


def _unusable(provider: str, why: str = "no device, or a driver that is too old") -> CleancutError:
    if (found := obstacle(provider)) is not None:
        return BackendUnavailable(f"{provider} cannot be used: {found.problem}", hint=found.hint)
    hint = "run: nvidia-smi" if provider in _NVIDIA else f"run: {cuda.GPU_EXTRA}"
    return BackendUnavailable(f"{provider} cannot be used: {why}", hint=hint)


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


def _preload_tensorrt(names: Sequence[str]) -> bool:
    """Load ``names`` from the wheel of TensorRT's libraries; False if it is not installed."""
    wheel = find_spec("tensorrt_libs")
    for folder in (wheel and wheel.submodule_search_locations) or ():
        for name in names:
            loads(str(Path(folder) / name))
    return wheel is not None


def missing_libraries_of(provider: str) -> tuple[str, ...]:
    """Which libraries a CUDA provider of the installed wheel needs and does not find."""
    if provider not in _NVIDIA:
        return ()
    _preload_cuda()
    if sys.platform != "linux":
        return ()
    folder = Path(onnxruntime.__file__).parent / "capi"
    path = folder / f"libonnxruntime_providers_{_NVIDIA[provider]}.so"
    missing = missing_libraries(path)
    if missing and provider == TENSORRT and _preload_tensorrt(missing):
        missing = missing_libraries(path)
    # Newer builds open cuDNN when a convolution comes, and do not list it among their needs.
    return tuple(dict.fromkeys([*missing, *(name for name in (_CUDNN,) if not loads(name))]))
