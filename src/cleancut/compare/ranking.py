"""Scores: the weighted geometric mean of figures of which less is better."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cleancut.compare.uses import Term

#: Scores within this ratio are called close: other pictures could turn them round.
CLOSE = 1.10


@dataclass(frozen=True, slots=True)
class Reason:
    """One figure that counted: ``rank`` of ``among`` (1 is best), ``ratio`` to the best one."""

    title: str
    value: float
    told: str
    rank: int
    among: int
    ratio: float


def score(values: Sequence[float], terms: Sequence[Term]) -> float:
    """The weighted geometric mean of the figures, each at least its floor."""
    parts = sum(term.weight for term in terms)
    logs = (
        term.weight * math.log(max(value, term.floor))
        for value, term in zip(values, terms, strict=True)
    )
    return math.exp(sum(logs) / parts)


def reasons(
    id_: str, values: Mapping[str, Sequence[float]], terms: Sequence[Term]
) -> tuple[Reason, ...]:
    """The figures of ``id_``, each with its rank and its ratio to the best of all ``values``."""
    found = []
    for place, term in enumerate(terms):
        own = values[id_][place]
        column = [max(other[place], term.floor) for other in values.values()]
        mine = max(own, term.floor)
        rank = 1 + sum(other < mine for other in column)
        ratio = mine / min(column)
        found.append(Reason(term.title, own, term.told(own), rank, len(column), round(ratio, 3)))
    return tuple(found)
