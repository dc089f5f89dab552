"""Where a runtime's errors become ours, and feeds are checked before they reach native code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cleancut.backends.base import Shape
from cleancut.errors import InferenceFailed, OutOfMemory, RunError, WeightsMissing

if TYPE_CHECKING:
    from cleancut.arrays import Tensor

_MEMORY_SIGNS = (
    "bad_alloc",
    "bad allocation",
    "out of memory",
    "failed to allocate",
    "cannot allocate",
    "cuda_error_out_of_memory",
    "cudaerrormemoryallocation",
    "status_alloc_failed",
    "allocation_failed",  # cuDNN 9: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED
    "is smaller than requested bytes",
    "out_of_host_memory",
    "out_of_device_memory",
    "exceeds available memory",
)


def one_line(error: BaseException, limit: int = 200) -> str:
    """The part of a runtime's message that says something, on one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith("Exception from ")] or lines
    text = " ".join(telling) or type(error).__name__
    return text if len(text) <= limit else text[: limit - 3] + "..."


def failed_run(error: BaseException, runtime: str) -> RunError:
    """The typed error of a run (or load) that ``runtime`` gave up."""
    text = str(error).lower()
    if isinstance(error, MemoryError) or any(sign in text for sign in _MEMORY_SIGNS):
        return OutOfMemory(
            f"{runtime} ran out of memory",
            hint="use a smaller model, or run fewer at the same time",
        )
    return InferenceFailed(
        f"{runtime} failed: {one_line(error)}", hint="try another runtime: --backend ort|openvino"
    )


def check_file(path: Path) -> Path:
    """Return ``path`` made absolute; raise ``WeightsMissing`` if there is no such file."""
    path = Path(path).absolute()
    if not path.is_file():
        raise WeightsMissing(f"no such model file: {path}", hint="run: cleancut models list")
    return path


def pick_outputs(wanted: Sequence[str] | None, graph: Sequence[str]) -> tuple[str, ...]:
    """``wanted`` in the caller's order, or all of ``graph``; unknown names are refused."""
    if wanted is None:
        return tuple(graph)
    unknown = [name for name in wanted if name not in graph]
    if unknown or not wanted:
        raise InferenceFailed(
            f"the model has no output {', '.join(map(repr, unknown)) or 'selected'}",
            hint=f"its outputs are: {', '.join(graph)}",
        )
    return tuple(wanted)


def check_feeds(
    feeds: Mapping[str, Tensor], inputs: Mapping[str, Shape], dtypes: Mapping[str, np.dtype]
) -> dict[str, Tensor]:
    """``feeds`` as contiguous arrays, or ``InferenceFailed`` naming what does not fit the graph."""
    if feeds.keys() != inputs.keys():
        given = ", ".join(sorted(feeds)) or "nothing"
        raise InferenceFailed(
            f"the graph takes {', '.join(sorted(inputs))}, not {given}",
            hint="the catalog row does not describe this file",
        )
    ready = {}
    for name, shape in inputs.items():
        array = np.asarray(feeds[name])
        if array.dtype == np.float32 and dtypes[name] == np.float16:
            array = array.astype(np.float16)  # an export in halves throughout
        fits = array.ndim == len(shape) and all(
            want is None or want == have for want, have in zip(shape, array.shape, strict=True)
        )
        if not fits or array.size == 0 or array.dtype != dtypes[name]:
            wanted = "x".join("?" if size is None else str(size) for size in shape)
            given = "x".join(map(str, array.shape))
            raise InferenceFailed(
                f"input {name!r} takes {wanted} {dtypes[name]}, got {given} {array.dtype}",
                hint="the catalog row does not describe this file",
            )
        ready[name] = np.ascontiguousarray(array)
    return ready
