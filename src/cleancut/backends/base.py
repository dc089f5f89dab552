"""The one thing every runtime is to the rest of cleancut: a session with ``run``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from cleancut.arrays import Tensor

BackendName = Literal["ort", "openvino", "fake"]
Device = Literal["cpu", "gpu"]
#: "tf32" multiplies f32 numbers to ten bits behind the point, as NVIDIA's tensor cores do fastest.
Precision = Literal["f32", "tf32", "bf16", "f16", "int8"]

#: One entry a dimension; None where the graph takes any size.
Shape = tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where and how a graph runs, and why that was chosen.

    ``provider`` is the runtime's own name of the device ("CPUExecutionProvider", "CPU").
    ``reason`` is one clause for ``doctor`` ("measured: 391 ms, ort f32 852 ms").
    """

    backend: BackendName
    device: Device
    precision: Precision
    provider: str
    reason: str

    def __str__(self) -> str:
        return f"{self.backend} {self.device} {self.precision}"


class Session(Protocol):
    """A loaded graph. ``run`` is thread-safe and keeps no state between calls."""

    placement: Placement
    inputs: Mapping[str, Shape]
    outputs: Sequence[str]

    def run(self, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Run the graph once.

        ``feeds`` holds one array per name in ``inputs``; the answer one per name in ``outputs``,
        owned by the caller. Raises ``InferenceFailed`` or ``OutOfMemory``.
        """
        ...
