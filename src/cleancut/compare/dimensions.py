"""The five dimensions of one system on scales from 0 to 1, for the radar, and what they mean."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cleancut.compare.readings import over_sets, warm

if TYPE_CHECKING:
    from cleancut.compare.comparison import Comparison, System


@dataclass(frozen=True, slots=True)
class Dimension:
    """One axis: a system's ``value`` in ``unit``; ``worst`` times the least of a run is the centre.

    ``worst`` None: the value is a share from 0 (centre) to 1 (rim), and nothing is scaled.
    """

    key: str
    title: str
    unit: str
    value: Callable[[Comparison, System], float | None]
    worst: float | None
    scale: str

    def shown(self, value: float) -> str:
        """The value with its unit."""
        if self.worst is None:
            return f"{value:.0%} {self.unit}"
        digits = 0 if value >= 100 else 1 if value >= 10 else 2
        return f"{value:.{digits}f} {self.unit}"


def _error(comparison: Comparison, system: System) -> float | None:
    return over_sets(comparison, system.id, "mad")


def _seconds(comparison: Comparison, system: System) -> float | None:
    return warm(comparison, system.id)


def _found(comparison: Comparison, system: System) -> float | None:
    missed = over_sets(comparison, system.id, "missed")
    return None if missed is None else 1 - missed


def _disk(comparison: Comparison, system: System) -> float | None:
    tool = comparison.deployment_of(system.tool)
    if tool is None or tool.install_mb is None or system.weights_mb is None:
        return None
    return tool.install_mb + system.weights_mb


def _effort(comparison: Comparison, system: System) -> float | None:
    """The geometric mean of the peak in GB and the processor seconds of a warm picture."""
    found = comparison.resources_of(system.id)
    if found is None or not found.peak_mb or not found.warm_cpu_s:
        return None
    return math.sqrt(found.peak_mb / 1000 * found.warm_cpu_s)


DIMENSIONS = (
    Dimension(
        "accuracy", "accuracy", "MAD", _error, 20, "mean error (MAD) over all sets, logarithmic"
    ),
    Dimension(
        "speed", "speed", "s", _seconds, 30, "seconds of a warm 0.7-megapixel picture, logarithmic"
    ),
    Dimension(
        "generality",
        "generality",
        "found",
        _found,
        None,
        "share of pictures whose subject was found, linear from 0 to 100 %",
    ),
    Dimension(
        "deployment",
        "deployment",
        "MB",
        _disk,
        20,
        "megabytes on disk, tool and weights together, logarithmic",
    ),
    Dimension(
        "resources",
        "resources",
        "√(GB·s)",
        _effort,
        20,
        "geometric mean of peak memory (GB) and processor seconds a picture, logarithmic",
    ),
)


def profile(comparison: Comparison, system: System) -> dict[str, tuple[float, float]]:
    """By key of ``DIMENSIONS``: the value, and where it lies from 0 (centre) to 1 (rim).

    The best system that ran is 1. What was not measured is left out.
    """
    found = {}
    for dimension in DIMENSIONS:
        own = dimension.value(comparison, system)
        if own is None:
            continue
        if dimension.worst is None:
            found[dimension.key] = own, min(1.0, max(0.0, own))
            continue
        values = [dimension.value(comparison, other) for other in comparison.ran if not other.raw]
        least = min((value for value in values if value is not None and value > 0), default=own)
        ratio = math.log(max(own, 1e-9) / max(least, 1e-9)) / math.log(dimension.worst)
        found[dimension.key] = own, min(1.0, max(0.0, 1 - ratio))
    return found


def main_systems(comparison: Comparison, most: int = 12) -> tuple[System, ...]:
    """Those that ran with all their steps, one a model and tool, in the report's order."""
    return tuple(system for system in comparison.ran if not system.raw)[:most]
