"""What may be done with a system: code, weights and what they were trained on, read together."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cleancut.compare.readings import rows_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cleancut.compare.comparison import System

#: Characters of what weights were trained on; ``models info`` has it all.
_TOLD = 90


@dataclass(frozen=True, slots=True)
class Licence:
    """What may be done with one system: ``commercial`` reads code, weights and data together."""

    code: str
    weights: str
    data: str
    commercial: str

    @property
    def terms(self) -> str:
        """Weights and what they were trained on, in a line."""
        data = textwrap.shorten(self.data, _TOLD, placeholder=" ...")
        return f"weights {self.weights}" + (f", trained on {data}" if data else "")

    def __str__(self) -> str:
        return f"code {self.code}, {self.terms}; commercial use: {self.commercial}"


def licence_of(system: System) -> Licence:
    """What may be done with ``system``; of our rows the catalog says it, whatever a file says."""
    rows = rows_of(system)
    if not rows:
        return Licence(
            system.licence or "unknown", system.licence or "unknown", "", system.commercial or "?"
        )

    def each(name: str) -> str:
        told = {row.id: str(getattr(row, name) or "unknown") for row in rows}
        if len(set(told.values())) == 1:
            return told[rows[0].id]
        return " / ".join(f"{text} ({id_})" for id_, text in told.items())

    commercial = worst(row.commercial for row in rows)
    return Licence(each("code_licence"), each("weight_licence"), each("training_data"), commercial)


def worst(verdicts: Iterable[str]) -> str:
    """What may be done with all of them together; "" with none."""
    known = set(verdicts)
    return next((verdict for verdict in ("no", "unclear", "yes") if verdict in known), "")
