"""What a look at the figures found about one claim, and how figures are put into words."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cleancut.compare.comparison import AUTO, RAW

if TYPE_CHECKING:
    from cleancut.compare.comparison import Comparison, System
    from cleancut.compare.readings import Reader

#: "Nearly as good": an error up to a quarter larger, which hardly anybody sees.
NEARLY = 1.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Tests of one claim: True, False, or None where a figure is lacking.

    ``found`` says our figures in a sentence. ``stand_in``: a smaller network stood in for the one
    that is meant, so that the claim cannot be confirmed.
    """

    tests: tuple[bool | None, ...]
    found: str
    systems: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    stand_in: bool = False


def by_stand_in(test: bool | None) -> bool | None:
    """``test`` of a smaller network: where it fails, nothing is known of the one that is meant."""
    return test or None


def missing(what: str, *keys: str) -> Evidence:
    """Nothing to go by: ``what`` was not measured."""
    return Evidence(tests=(None,), found=f"Not measured: {what}.", keys=keys)


def ran(comparison: Comparison, id_: str) -> str | None:
    """``id_`` if that system was run."""
    system = comparison.system(id_)
    return id_ if system and not system.reason else None


def alike(comparison: Comparison, ids: Iterable[str]) -> dict[str, str]:
    """The row to read for each of ``ids`` that ran: all networks alone, as articles run them.

    Where one of them was run with our refinement only, that row of all: a network alone beside a
    refined one would say nothing.
    """
    there = [id_ for id_ in ids if ran(comparison, id_)]
    raw = all(ran(comparison, id_ + RAW) for id_ in there)
    return {id_: id_ + RAW * raw for id_ in there}


def so_run(rows: Mapping[str, str]) -> str:
    """How ``alike`` has them, for a sentence."""
    return "networks alone" if any(row.endswith(RAW) for row in rows.values()) else "refined by us"


def u2net(comparison: Comparison) -> tuple[str | None, bool]:
    """The id of U2-Net, and whether its small version stands in for it."""
    if found := ran(comparison, "u2net"):
        return found, False
    return ran(comparison, "u2netp"), True


def single(comparison: Comparison, *, raw: bool = False) -> tuple[System, ...]:
    """Our networks that were run, one a row; panels are several."""
    return tuple(
        system
        for system in comparison.ran
        if system.kind == "ours" and system.raw == raw and system.model != AUTO
    )


def figures(comparison: Comparison, ids: Iterable[str], read: Reader) -> dict[str, float]:
    """The figure of each system that has it."""
    found = {id_: read(comparison, id_) for id_ in ids}
    return {id_: value for id_, value in found.items() if value is not None}


def middle(values: Mapping[str, float], without: Sequence[str]) -> float | None:
    """The median of the others; None for fewer than three, which have no middle."""
    others = [value for id_, value in values.items() if id_ not in without]
    return statistics.median(others) if len(others) >= 3 else None


def percent(share: float, digits: int = 0) -> str:
    """0.283 as "28 %"."""
    return f"{share * 100:.{digits}f} %"


def listed(values: Mapping[str, float], digits: int = 1, most: int = 4) -> str:
    """ "modnet 2.3, u2netp 5.1", the least first."""
    best = sorted(values.items(), key=lambda item: item[1])[:most]
    return ", ".join(f"{id_} {value:.{digits}f}" for id_, value in best)


def span(seconds: float) -> str:
    """Seconds as a person says them: "8 ms", "0.24 s", "2.5 s"."""
    if seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"
