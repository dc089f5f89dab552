"""What a picture takes beside time: memory, processor seconds, energy; of the runs of ``speed``."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import TYPE_CHECKING

from cleancut.compare.comparison import Resources

if TYPE_CHECKING:
    from cleancut.bench.measure import Sample, Turns
    from cleancut.compare.speed import Runs


def resources(runs: Runs) -> tuple[Resources, ...]:
    """What every system took that ran; the medians of its runs, None where nothing was told."""
    found = []
    for system, samples in runs.cold.samples.items():
        if not samples:
            continue
        calls = [told["cpu_s"] for told in runs.told(runs.warm, system)]
        known = [seconds for seconds in calls if seconds is not None]
        found.append(
            Resources(
                system=system,
                peak_mb=_median(runs.cold, system, lambda sample: sample.peak_mb),
                peak_large_mb=_median(runs.large, system, lambda sample: sample.peak_mb),
                cpu_s=_median(runs.cold, system, lambda sample: sample.cpu_s),
                warm_cpu_s=median(known) if known else None,
                vram_mb=runs.vram_mb.get(system),
                energy_j=_median(runs.cold, system, lambda sample: _energy(sample, runs)),
            )
        )
    return tuple(found)


def _energy(sample: Sample, runs: Runs) -> float | None:
    """Joules above what the machine takes when idle; noise may leave less than nothing."""
    if sample.energy_j is None or runs.idle_watts is None:
        return None
    return max(0.0, sample.energy_j - runs.idle_watts * sample.seconds)


def _median(turns: Turns, system: str, value: Callable[[Sample], float | None]) -> float | None:
    figure = turns.figure(system, value)
    return None if figure is None else figure.median
