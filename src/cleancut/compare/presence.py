"""Which systems of a comparison could run on this machine now."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from cleancut.compare.readings import rows_of
from cleancut.weights.resolve import is_pulled

if TYPE_CHECKING:
    from cleancut.compare.comparison import Comparison, System


def here(comparison: Comparison) -> frozenset[str]:
    """The ids of the systems that are on this machine as they were measured; nothing is loaded.

    ``auto`` is, if all the models are that ``models pull`` gets; another tool, if its command is on
    the path. Weights are judged by name and size.
    """
    return frozenset(system.id for system in comparison.systems if is_here(system))


def is_here(system: System) -> bool:
    """Whether that one is."""
    if system.kind == "peer":
        return shutil.which(system.tool) is not None
    rows = rows_of(system)
    return bool(rows) and all(is_pulled(row) for row in rows)
