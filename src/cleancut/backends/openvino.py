"""OpenVINO: the only file that imports it.

Compiled graphs are kept in ``cache_dir``, one folder for each model file and setting: on IS-Net a
second process then loads in 0.25 s instead of 0.85 s.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cleancut.backends.base import Device, Placement, Precision, Shape
from cleancut.backends.faults import check_feeds, check_file, failed_run, pick_outputs
from cleancut.backends.onnxfile import corrupt, read_signature
from cleancut.errors import BackendUnavailable, CleancutError

if TYPE_CHECKING:
    from cleancut.arrays import Tensor

_CONVERTER = "openvino.tools.ovc"
_import_lock = threading.Lock()
_ABANDONED_AFTER_S = 3600.0


@contextmanager
def _without_converter() -> Iterator[None]:
    """Import OpenVINO without its model converter.

    ``openvino/__init__.py`` imports the converter inside ``try/except ImportError``. It is never
    used here, costs 0.1 s and brings a telemetry package with it. ``None`` in ``sys.modules`` makes
    that one import raise ImportError. If somebody has loaded the converter already, it stays.
    """
    with _import_lock:
        if _CONVERTER in sys.modules or "openvino" in sys.modules:
            yield
            return
        sys.modules[_CONVERTER] = None  # type: ignore[assignment]
        try:
            yield
        finally:
            del sys.modules[_CONVERTER]


with _without_converter():
    import openvino


class OpenVinoSession:
    """A compiled graph and a pool of infer requests, which share one copy of the weights."""

    def __init__(
        self,
        compiled: Any,
        placement: Placement,
        inputs: Sequence[str],
        outputs: Sequence[str],
    ) -> None:
        self._compiled = compiled
        self._idle: list[Any] = []
        self._lock = threading.Lock()
        self.placement = placement
        # OpenVINO folds casts away and gives one port several names; the file's name is the one
        # that callers know.
        self._sources = _ports(compiled.inputs, inputs)
        self._sinks = _ports(compiled.outputs, outputs)
        ports = {name: compiled.inputs[index] for name, index in self._sources.items()}
        self.inputs: Mapping[str, Shape] = {
            name: tuple(
                None if size.is_dynamic else size.get_length() for size in port.partial_shape
            )
            for name, port in ports.items()
        }
        self._dtypes = {
            name: np.dtype(port.element_type.to_dtype()) for name, port in ports.items()
        }
        self.outputs: Sequence[str] = tuple(outputs)

    def run(self, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Run the graph once; see ``Session.run``."""
        ready = check_feeds(feeds, self.inputs, self._dtypes)
        with self._lock:
            request = self._idle.pop() if self._idle else None
        try:
            if request is None:
                request = self._compiled.create_infer_request()
            for name, port in self._sources.items():
                request.set_input_tensor(port, openvino.Tensor(ready[name], shared_memory=True))
            request.infer()
            answers = {
                name: np.array(request.get_output_tensor(port).data)
                for name, port in self._sinks.items()
            }
        except Exception as error:
            # The request is not put back: its state after a failure is unknown.
            raise failed_run(error, "OpenVINO") from error
        with self._lock:
            self._idle.append(request)
        return answers


def _ports(ports: Sequence[Any], names: Sequence[str]) -> dict[str, int]:
    """Index of the port that answers to each name."""
    return {
        name: next(index for index, port in enumerate(ports) if name in port.names)
        for name in names
    }


def open_session(
    path: Path,
    *,
    device: Device,
    precision: Precision = "f32",
    provider: str | None = None,
    outputs: Sequence[str] | None = None,
    threads: int | None = None,
    cache_dir: Path | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    reason: str = "requested",
) -> OpenVinoSession:
    """Load the ONNX file at ``path`` on exactly the device asked for.

    ``provider`` is OpenVINO's device name ("CPU", "GPU.1"); ``outputs`` are the only ones computed
    and returned. ``cache_dir`` keeps compiled graphs; if it cannot be written, none are kept.
    ``shapes`` fixes those of all inputs, which may be a third faster than any.

    Raises ``BackendUnavailable`` if the device or precision cannot be had, ``WeightsMissing`` or
    ``WeightsCorrupt`` for the file, ``InferenceFailed`` if the runtime refuses the graph,
    ``OutOfMemory``.
    """
    path = check_file(path)
    signature = read_signature(path)
    wanted = pick_outputs(outputs, signature.outputs)
    core = openvino.Core()
    target = _pick_device(core, device, provider)
    _check_precision(core, target, precision)
    config = _config(target, precision, threads)
    all_wanted = set(wanted) == set(signature.outputs)
    try:
        files = [path, *(path.parent / name for name in signature.external)]
        kept = None if all_wanted else wanted
        compiled = _compile(core, files, target, config, kept, shapes, cache_dir)
        return OpenVinoSession(
            compiled,
            Placement("openvino", device, precision, target, reason),
            signature.inputs,
            wanted,
        )
    except CleancutError:
        raise
    except Exception as error:
        if "parse" in str(error).lower() or "Unable to read the model" in str(error):
            raise corrupt(path) from error
        raise failed_run(error, "OpenVINO") from error


def devices() -> tuple[str, ...]:
    """OpenVINO's device names on this machine: "CPU", "GPU", "GPU.1", "NPU"."""
    return tuple(openvino.Core().available_devices)


def _pick_device(core: Any, device: Device, provider: str | None) -> str:
    if device == "cpu" and provider in (None, "CPU"):
        return "CPU"  # always there; listing the devices would load the GPU plugin
    found = [name for name in core.available_devices if name.startswith("GPU")]
    if device == "gpu" and (provider in found or (provider is None and found)):
        return provider or found[0]
    raise BackendUnavailable(
        f"OpenVINO finds no {provider or 'GPU'} to run on as {device}; it drives Intel GPUs only",
        hint="use --device cpu, or install the Intel GPU driver (package intel-opencl-icd)",
    )


def _check_precision(core: Any, target: str, precision: Precision) -> None:
    """Refuse what OpenVINO would silently replace by f32."""
    if precision == "f32" or (precision == "int8" and target == "CPU"):
        return
    wanted = "BF16" if precision == "bf16" else "FP16"
    if (precision == "f16") == target.startswith("GPU") and wanted in core.get_property(
        target, "OPTIMIZATION_CAPABILITIES"
    ):
        return
    raise BackendUnavailable(
        f"OpenVINO's {target} device does not compute {precision} on this machine",
        hint="use --precision f32",
    )


def _config(target: str, precision: Precision, threads: int | None) -> dict[str, Any]:
    config: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        # The layers of an int8 graph that stay in float: f32 is as fast as bf16 there, and exact.
        "INFERENCE_PRECISION_HINT": "f32" if precision == "int8" else precision,
    }
    if target == "CPU":
        # Pinned threads of two processes sit on the same cores; unpinned is not slower alone.
        config["ENABLE_CPU_PINNING"] = False
        if threads is not None:
            config["INFERENCE_NUM_THREADS"] = threads
    return config


def _compile(
    core: Any,
    files: Sequence[Path],
    target: str,
    config: dict[str, Any],
    wanted: Sequence[str] | None,
    shapes: Mapping[str, tuple[int, ...]] | None,
    cache_dir: Path | None,
) -> Any:
    """Compile, through the cache if there is one. Trouble with the cache only costs time.

    ``files`` are the model and those that hold weights of it.
    """
    path = files[0]
    if cache_dir is None:
        return _compile_into(core, path, target, config, wanted, shapes)
    entry = _entry(cache_dir, files, target, config, wanted, shapes)
    if entry.is_dir():
        with suppress(RuntimeError):
            cached = config | {"CACHE_DIR": str(entry)}
            return _compile_into(core, path, target, cached, wanted, shapes)
        shutil.rmtree(entry, ignore_errors=True)
    # OpenVINO writes straight into its folder. A private one, renamed when complete, never shows
    # half a file to another process, nor leaves one behind when this process is killed.
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        _sweep(cache_dir, entry)
        staging = cache_dir / f".compiling-{secrets.token_hex(8)}"
        staging.mkdir()  # not mkdtemp, whose folders no other user of a shared cache may read
    except OSError:
        return _compile_into(core, path, target, config, wanted, shapes)
    try:
        cached = config | {"CACHE_DIR": str(staging)}
        try:
            compiled = _compile_into(core, path, target, cached, wanted, shapes)
        except RuntimeError:  # a full disk, or the graph itself: the second try tells
            return _compile_into(core, path, target, config, wanted, shapes)
        with suppress(OSError):  # another process was first
            readable = staging.stat().st_mode & 0o444
            for blob in staging.iterdir():
                blob.chmod(readable)
            staging.rename(entry)
        return compiled
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _compile_into(
    core: Any,
    path: Path,
    target: str,
    config: dict[str, Any],
    wanted: Sequence[str] | None,
    shapes: Mapping[str, tuple[int, ...]] | None,
) -> Any:
    if wanted is None and shapes is None and path.suffix == ".onnx":
        # By path, the cache is looked up without reading the model.
        return core.compile_model(str(path), target, config)
    # Named explicitly: for other suffixes OpenVINO tries every format it knows, and prints.
    frontend = openvino.frontend.FrontEndManager().load_by_framework("onnx")
    model = frontend.convert(frontend.load(str(path)))
    if wanted is not None:
        for result in model.get_results():
            if result.input_value(0).names.isdisjoint(wanted):
                model.remove_result(result)
    if shapes is not None:
        model.reshape({name: list(shape) for name, shape in shapes.items()})
    return core.compile_model(model, target, config)


def _entry(
    cache_dir: Path,
    files: Sequence[Path],
    target: str,
    config: dict[str, Any],
    wanted: Sequence[str] | None,
    shapes: Mapping[str, tuple[int, ...]] | None,
) -> Path:
    """Folder of one compiled graph: what was asked for, then the state of files and runtime."""
    stats = [path.stat() for path in files]
    seen = [f"{stat.st_size}|{stat.st_mtime_ns}" for stat in stats]
    asked = f"{files[0]}|{target}|{sorted(config.items())}|{wanted and sorted(wanted)}"
    if shapes is not None:
        asked += f"|{sorted(shapes.items())}"
    state = "|".join([*seen, openvino.get_version()])
    digests = (hashlib.sha256(text.encode()).hexdigest()[:16] for text in (asked, state))
    return cache_dir / "openvino-{}-{}".format(*digests)


def _sweep(cache_dir: Path, entry: Path) -> None:
    """Remove what ``entry`` replaces, and what killed processes left behind."""
    asked, _, _ = entry.name.rpartition("-")
    for old in cache_dir.glob(f"{asked}-*"):
        shutil.rmtree(old, ignore_errors=True)
    for left in cache_dir.glob(".compiling-*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED_AFTER_S:
                shutil.rmtree(left, ignore_errors=True)
