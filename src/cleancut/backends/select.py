"""Which runtime runs a graph: by request, by hardware, by what is installed, and by measuring."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Literal, TypeAlias

from cleancut.backends import cuda, machine
from cleancut.backends.base import BackendName, Device, Placement, Precision, Session
from cleancut.backends.probe import Feeds, Measure, Open, Verdict, compete, forget, recall, remember
from cleancut.backends.probe import measure as measure_runs
from cleancut.errors import BackendUnavailable

__all__ = ["candidates", "forget", "known", "open_best", "open_session"]

Auto: TypeAlias = Literal["auto"]
#: ONNX Runtime's TensorRT is asked for by a name of its own.
Wanted: TypeAlias = BackendName | Literal["auto", "tensorrt"]
#: Exact shapes of a graph's inputs, by name.
Shapes: TypeAlias = Mapping[str, tuple[int, ...]]

_CUDA = "CUDAExecutionProvider"
_CPU = "CPUExecutionProvider"
_COREML = "CoreMLExecutionProvider"
_TENSORRT = "TensorrtExecutionProvider"
_PIP = {"ort": "run: pip install onnxruntime", "openvino": "run: pip install openvino"}


def candidates(
    *,
    backend: Wanted = "auto",
    device: Device | Auto = "auto",
    precision: Precision | Auto = "auto",
    bf16_ok: bool,
) -> list[Placement]:
    """Placements that fit the request and seem possible here, the expected best first.

    ``bf16_ok`` says whether the model keeps its accuracy in bf16; if not, bf16 is only taken when
    ``precision`` asks for it. No runtime is imported unless a GPU is asked for. TensorRT is taken
    where ``backend`` names it only: it builds an engine for minutes, for each network another.

    Raises ``BackendUnavailable`` if the request cannot be met: nothing is silently replaced.
    """
    if backend not in ("auto", "fake"):
        name, module = ("openvino",) * 2 if backend == "openvino" else ("ort", "onnxruntime")
        if not machine.installed(module):
            raise BackendUnavailable(f"{module} is not installed", hint=_PIP[name])
    if backend == "tensorrt":
        return [_tensorrt(device, precision)]
    found = []
    if backend in ("auto", "ort") and machine.installed("onnxruntime"):
        found += _ort(device, precision, bf16_ok)
    if backend in ("auto", "openvino") and machine.installed("openvino"):
        found += _openvino(device, precision, bf16_ok)
    if not found:
        raise _refused(backend, device, precision)
    requested = "auto" not in (backend, device, precision)
    return [
        replace(placement, reason="requested") if requested else placement
        for placement in sorted(found, key=_expected_rank)
    ]


def known(key: str, candidates: Sequence[Placement], cache_dir: Path | None) -> Placement | None:
    """The choice measured before on this machine, without measuring; None if there is none."""
    return candidates[0] if len(candidates) == 1 else recall(key, candidates, cache_dir)


def open_best(
    path: Path,
    *,
    key: str,
    candidates: Sequence[Placement],
    sample: Callable[[], Feeds],
    cache_dir: Path | None = None,
    outputs: Sequence[str] | None = None,
    shapes: Shapes | None = None,
    threads: int | None = None,
    probe: bool = True,
    measure: Measure = measure_runs,
) -> Session:
    """Choose among ``candidates`` and open the winner; ``session.placement.reason`` says why.

    ``key`` names the weights (their sha256). ``sample`` makes one set of feeds of the size met in
    use; it is called only when something is measured. With ``shapes`` the session takes inputs of
    those only. The choice is remembered in ``cache_dir``.
    Without ``probe`` or without ``cache_dir`` a choice measured earlier is used, else the first
    candidate that opens, and the reason starts with "not measured".

    Raises ``BackendUnavailable`` listing each candidate's reason if none works, ``WeightsError``.
    """

    def open_one(candidate: Placement) -> Session:
        return open_session(
            path, candidate, outputs=outputs, cache_dir=cache_dir, shapes=shapes, threads=threads
        )

    verdict = _decide(key, candidates, sample, cache_dir, open_one, probe, measure)
    if verdict.session is not None:
        return verdict.session
    try:
        return open_one(verdict.placement)
    except BackendUnavailable as error:
        if len(candidates) == 1:
            raise
        # Remembered or expected, but it does not open any more (a driver went away).
        forget(key, candidates, cache_dir)
        others = [c for c in candidates if not _same(c, verdict.placement)]
        others = [
            replace(c, reason=f"{verdict.placement} failed ({error.message})") for c in others
        ]
        return open_best(
            path,
            key=key,
            candidates=others,
            sample=sample,
            cache_dir=cache_dir,
            outputs=outputs,
            shapes=shapes,
            threads=threads,
            probe=probe,
            measure=measure,
        )


def open_session(
    path: Path,
    placement: Placement,
    *,
    outputs: Sequence[str] | None = None,
    cache_dir: Path | None = None,
    shapes: Shapes | None = None,
    threads: int | None = None,
) -> Session:
    """Open ``path`` on ``placement``, by the file that knows its runtime.

    ``threads`` defaults to one a physical core within the container's CPU quota.
    """
    threads = machine.thread_count() if threads is None else threads
    # ONNX Runtime gains nothing from knowing the shapes.
    fixed = {} if shapes is None or placement.backend != "openvino" else {"shapes": shapes}
    session: Session = _load(placement.backend).open_session(
        path,
        device=placement.device,
        precision=placement.precision,
        provider=placement.provider,
        outputs=outputs,
        threads=threads,
        cache_dir=cache_dir,
        reason=placement.reason,
        **fixed,
    )
    return session


def _load(backend: BackendName) -> ModuleType:
    """The file that knows ``backend``, or ``BackendUnavailable`` if its package does not load."""
    try:
        if backend == "ort":
            from cleancut.backends import ort

            return ort
        if backend == "openvino":
            from cleancut.backends import openvino

            return openvino
    except (ImportError, OSError) as error:
        raise BackendUnavailable(
            f"{backend} cannot be loaded: {error}", hint=_PIP[backend]
        ) from error
    raise BackendUnavailable("a fake session is made in Python, not opened from a file")


def _decide(
    key: str,
    candidates: Sequence[Placement],
    sample: Callable[[], Feeds],
    cache_dir: Path | None,
    open_one: Open,
    probe: bool,
    measure: Measure,
) -> Verdict:
    if not candidates:
        raise BackendUnavailable("no runtime is left to try", hint="run: cleancut doctor")
    if (placement := known(key, candidates, cache_dir)) is not None:
        return Verdict(placement, None)
    if not probe or not _writable(cache_dir):
        expected = candidates[0]
        return Verdict(replace(expected, reason=f"not measured: {expected.reason}"), None)

    verdict = compete(candidates, open_one=open_one, sample=sample, measure=measure)
    remember(key, candidates, verdict.placement, cache_dir)
    return verdict


def _ort(device: Device | Auto, precision: Precision | Auto, bf16_ok: bool) -> list[Placement]:
    found = []
    if precision == "int8":
        reason = "ONNX Runtime runs int8 everywhere"
        return [Placement("ort", "cpu", "int8", _CPU, reason)] if device != "gpu" else []
    if precision in ("auto", "f32") and device in ("auto", "cpu"):
        found.append(Placement("ort", "cpu", "f32", _CPU, "ONNX Runtime runs f32 everywhere"))
    if device == "cpu" or precision == "bf16" or not (device == "gpu" or _gpu_wheel()):
        return found
    # Only here is the import worth it: a GPU is wanted, or one may well be usable.
    ort = _load("ort")
    usable = [name for name in ort.gpu_providers() if name != _TENSORRT]
    usable = [name for name in usable if device == "gpu" or name != _COREML]
    if precision == "f16":
        usable = [name for name in usable if name in ort.F16_PROVIDERS]
    fast = precision == "auto" and bf16_ok
    return found + [
        Placement("ort", "gpu", ort.gpu_precision(name, precision, fast), name, "a GPU is there")
        for name in usable
    ]


def _tensorrt(device: Device | Auto, precision: Precision | Auto) -> Placement:
    """Where its engine will run; opening it says what it lacks."""
    if device == "cpu":
        raise BackendUnavailable("TensorRT runs on NVIDIA GPUs only", hint="use --device gpu")
    if precision not in ("auto", "f32", "f16"):
        raise BackendUnavailable(
            f"TensorRT is not told to compute {precision}", hint="use --precision f16"
        )
    return Placement("ort", "gpu", "f16" if precision == "f16" else "f32", _TENSORRT, "requested")


def _openvino(device: Device | Auto, precision: Precision | Auto, bf16_ok: bool) -> list[Placement]:
    if precision == "int8":
        reason = "OpenVINO computes int8 fastest"
        return [Placement("openvino", "cpu", "int8", "CPU", reason)] if device != "gpu" else []
    if device == "gpu":
        openvino = _load("openvino")
        wanted: Precision = "f32" if precision == "f32" else "f16"
        return [
            Placement("openvino", "gpu", wanted, name, "an Intel GPU is there")
            for name in openvino.devices()
            if name.startswith("GPU") and precision != "bf16"
        ]
    bf16 = machine.has_bf16() and (precision == "bf16" or (precision == "auto" and bf16_ok))
    if bf16:
        reason = "the processor computes bf16"
        return [Placement("openvino", "cpu", "bf16", "CPU", reason)]
    if precision in ("auto", "f32"):
        return [Placement("openvino", "cpu", "f32", "CPU", "OpenVINO runs f32 on this processor")]
    return []


def _expected_rank(placement: Placement) -> int:
    """GPU, bf16, ONNX Runtime; OpenVINO's f32 may be twice as slow and must prove itself.

    An int8 graph has no others beside it; OpenVINO fuses more of it.
    """
    if placement.device == "gpu":
        return 0
    if placement.precision == "bf16":
        return 1
    if placement.precision == "int8":
        return 2 if placement.backend == "openvino" else 3
    return 2 if placement.backend == "ort" else 3


def _gpu_wheel() -> bool:
    """True if a GPU build of ONNX Runtime is installed and a GPU it may drive is present."""
    wheels = machine.installed("onnxruntime").keys()
    return ("onnxruntime-gpu" in wheels and machine.nvidia_gpu()) or not wheels.isdisjoint(
        {"onnxruntime-directml", "onnxruntime-rocm", "onnxruntime-migraphx"}
    )


def _refused(
    backend: Wanted, device: Device | Auto, precision: Precision | Auto
) -> BackendUnavailable:
    if precision == "int8":
        return BackendUnavailable("int8 is computed on the processor only", hint="use --device cpu")
    if device == "gpu":
        return _no_gpu(backend, precision)
    if precision == "f16":
        return BackendUnavailable("f16 is only computed on a GPU", hint="use --precision f32")
    if precision == "bf16":
        if not machine.has_bf16():
            return BackendUnavailable(
                "this processor has no bf16 instructions", hint="use --precision f32"
            )
        return BackendUnavailable(
            "only OpenVINO computes bf16",
            hint="use --backend openvino" if machine.installed("openvino") else _PIP["openvino"],
        )
    return BackendUnavailable(
        "no runtime is installed" if backend == "auto" else f"{backend} cannot do this here",
        hint=_PIP["ort"],
    )


def _no_gpu(backend: Wanted, precision: Precision | Auto) -> BackendUnavailable:
    """Why there is no candidate for a GPU: NVIDIA's is the one that is told about."""
    if backend == "openvino":
        return BackendUnavailable(
            "OpenVINO finds no Intel GPU here", hint="install Intel's driver, or use --device cpu"
        )
    found = None
    if machine.installed("onnxruntime"):
        ort = _load("ort")
        found = ort.obstacle()
        if found is None and precision == "f16" and _TENSORRT in ort.gpu_providers():
            return BackendUnavailable(
                "of what is installed only TensorRT computes f16 on this GPU, and it builds an "
                "engine for minutes before the first picture",
                hint="add --backend tensorrt, or leave --precision f16 out",
            )
    if found is None:
        return BackendUnavailable(
            "no installed runtime can use a GPU here", hint=f"run: {cuda.GPU_EXTRA}"
        )
    return BackendUnavailable(f"no GPU can be used: {found.problem}", hint=found.hint)


def _same(one: Placement, other: Placement) -> bool:
    return replace(one, reason="") == replace(other, reason="")


def _writable(cache_dir: Path | None) -> bool:
    """Measuring is only worth it if the answer can be kept."""
    if cache_dir is None:
        return False
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        trial = cache_dir / ".writable"
        trial.touch()
        trial.unlink(missing_ok=True)
    except OSError:
        return False
    return True
