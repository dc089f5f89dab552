"""The columns of a comparison: those of ``bench accuracy``, and what its claims are about."""

from __future__ import annotations

from cleancut.bench.measures import MEASURES as OF_BENCH
from cleancut.bench.measures import Measure

#: Raised when a figure changes: what was scored before is scored again.
VERSION = 1

OF_EDGES = (
    Measure(
        "hair", "hair", 2, exact=True,
        about="How far opacity is off in hair, fur and other soft edges alone, in thousandths.",
    ),
    Measure(
        "hard", "hard hair", 1, exact=True,
        about="Share of truly half-transparent hair that is answered with all or nothing, in %.",
    ),
    Measure(
        "jagged", "jagged", 2, exact=True,
        about="Steps, blocks and noise along clean edges, in % of all change of opacity there: "
        "1 can be seen, an enlarged mask has 20.",
    ),
    Measure(
        "blurred", "blurred", 2, exact=True,
        about="How many times wider clean edges are than they should be (1: no wider).",
    ),
)  # fmt: skip
MEASURES: tuple[Measure, ...] = OF_BENCH + OF_EDGES
BY_KEY: dict[str, Measure] = {measure.key: measure for measure in MEASURES}
