"""Single figures of a comparison, read so that systems can be held against each other."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cleancut.catalog import ModelSpec, catalog, default_models
from cleancut.compare.comparison import AUTO
from cleancut.compare.measures import BY_KEY

if TYPE_CHECKING:
    from cleancut.compare.comparison import Comparison, Group, System

#: A figure of one system by its id; None where it was not measured.
Reader = Callable[["Comparison", str], float | None]
#: How clips are cut unless somebody asks otherwise.
USUAL_HOW = ("recurrent", "steadied")
ALONE = "frame by frame"


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over several clips: the median, and the worst with its name."""

    median: float
    worst: float
    where: str
    clips: int


def over_sets(
    comparison: Comparison, id_: str, key: str, groups: Collection[Group] = ()
) -> float | None:
    """The mean of a figure over all sets of ``groups`` (none: of all), each weighing the same.

    None unless the system has it on every set on which any system has it: means over different
    sets say nothing about each other. A set counts where the figure means something for its truths,
    soft or yes-or-no. ``missed`` is a key too.
    """
    measure = BY_KEY.get(key)
    facts = {one.name: one for one in comparison.sets}
    found: dict[str, float] = {}
    wanted: set[str] = set()
    for scores in comparison.scores:
        about = facts.get(scores.set)
        if about is None or (groups and about.group not in groups):
            continue
        if measure and not (measure.binary if about.binary else measure.exact):
            continue
        value = scores.missed if key == "missed" else scores.figures.get(key)
        if value is not None:
            wanted.add(scores.set)
            if scores.system == id_:
                found[scores.set] = value
    return statistics.fmean(found.values()) if found and set(found) == wanted else None


def accuracy(key: str, *groups: Group) -> Reader:
    """Reads ``over_sets``."""
    return lambda comparison, id_: over_sets(comparison, id_, key, groups)


def warm(comparison: Comparison, id_: str) -> float | None:
    """Median seconds of a 0.7-megapixel picture in a running process."""
    speed = comparison.speed_of(id_)
    return statistics.median(speed.warm) if speed and speed.warm else None


def cold(comparison: Comparison, id_: str) -> float | None:
    """Median seconds of a whole process for one 0.7-megapixel picture."""
    speed = comparison.speed_of(id_)
    return statistics.median(speed.cold) if speed and speed.cold else None


def warm_large(comparison: Comparison, id_: str) -> float | None:
    """Median seconds of a 12-megapixel picture in a running process."""
    speed = comparison.speed_of(id_)
    return statistics.median(speed.warm_large) if speed and speed.warm_large else None


def peak_mb(comparison: Comparison, id_: str) -> float | None:
    """Peak memory for a 0.7-megapixel picture, in MB."""
    found = comparison.resources_of(id_)
    return found.peak_mb if found else None


def cpu_s(comparison: Comparison, id_: str) -> float | None:
    """Processor seconds of a 0.7-megapixel picture in a running process."""
    found = comparison.resources_of(id_)
    return found.warm_cpu_s if found else None


def weights_mb(comparison: Comparison, id_: str) -> float | None:
    """Size of the weights in MB."""
    system = comparison.system(id_)
    return system.weights_mb if system else None


def on_clips(
    comparison: Comparison, id_: str, key: str, hows: Iterable[str] = USUAL_HOW
) -> Spread | None:
    """A figure over clips with soft truths, of the first of ``hows`` there is; "seconds" is a key.

    None unless the system has every clip that any system has. The median, since a network for
    people loses a clip with a cat by a figure that would drown the others.
    """
    exact = [row for row in comparison.video if not row.binary]
    wanted = {row.clip for row in exact}
    for how in hows:
        found = {}
        for row in exact:
            value = row.seconds if key == "seconds" else row.figures.get(key)
            if row.system == id_ and row.how == how and value is not None:
                found[row.clip] = value
        if found and set(found) == wanted:
            where = max(found, key=lambda clip: found[clip])
            return Spread(statistics.median(found.values()), found[where], where, len(found))
    return None


def clips(key: str) -> Reader:
    """Reads the median of ``on_clips``."""

    def read(comparison: Comparison, id_: str) -> float | None:
        spread = on_clips(comparison, id_, key)
        return spread.median if spread else None

    return read


def rate(comparison: Comparison, id_: str) -> float | None:
    """Frames of a clip a second, the network's and the edges' work, without decoding."""
    spread = on_clips(comparison, id_, "seconds")
    return 1.0 / spread.median if spread and spread.median > 0 else None


def feature(name: str) -> Reader:
    """Reads 1 where the system's tool was found to have that feature, 0 where it has not."""

    def read(comparison: Comparison, id_: str) -> float | None:
        system = comparison.system(id_)
        deployed = comparison.deployment_of(system.tool) if system else None
        found = deployed.features.get(name) if deployed else None
        return None if found is None else float(found)

    return read


def pinned(comparison: Comparison, id_: str) -> float | None:
    """1 where the sha256 of the weights is known, so that others can run the same; else 0."""
    system = comparison.system(id_)
    return float(bool(system.weights)) if system else None


def rows_of(system: System) -> tuple[ModelSpec, ...]:
    """The catalog's rows that a system of ours runs, of ``auto`` those that it asked, or ()."""
    if system.kind != "ours":
        return ()
    if system.model == AUTO:
        return _asked(system) or default_models()
    row = catalog().get(system.model)
    return (row,) if row else ()


def _asked(system: System) -> tuple[ModelSpec, ...]:
    """The rows whose downloads ``system`` ran, () if they are not told or not known any more."""
    rows = tuple(
        row
        for row in catalog().values()
        if row.weights and all(weight.sha256 in system.pinned for weight in row.weights)
    )
    known = {weight.sha256 for row in rows for weight in row.weights}
    return rows if known == set(system.pinned) else ()
