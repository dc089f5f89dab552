"""What a comparison found, on one screen of a terminal; the whole report is ``markdown``'s."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cleancut.compare import fact_tables, tables
from cleancut.compare.advice import advise
from cleancut.compare.claims import check_claims
from cleancut.compare.page import machine_line
from cleancut.compare.readings import cold, over_sets, peak_mb, warm
from cleancut.compare.staleness import stale
from cleancut.compare.tables import Column, Line, Table, Value
from cleancut.compare.uses import USES

if TYPE_CHECKING:
    from cleancut.compare.comparison import Comparison, System

_WIDTH = 96
#: Lines of what was left out; the report has all.
_MOST_LEFT_OUT = 4
#: Rows of the table; up to so many systems, networks alone are among them. The report has all.
_MOST_SYSTEMS, _FEW_SYSTEMS = 20, 8
_COLUMNS = (
    Column("error", 1),
    Column("in hair", 0),
    Column("missed", 0, scale=100, unit=" %"),
    Column("agreement", 3, more=None),
    Column("warm s", 2),
    Column("cold s", 2),
    Column("peak MB", 0),
    Column("weights MB", 1, more=None),
)


def summary(comparison: Comparison) -> str:
    """The answer by use, a table of the main figures, the claims' verdicts, what is missing.

    About 40 lines of at most 100 characters; names are as they are, control characters too.
    """
    parts = [
        list(_head(comparison)),
        list(_answers(comparison)),
        list(_figures(comparison)),
        list(_claims(comparison)),
        list(_left_out(comparison)),
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _head(comparison: Comparison) -> Iterator[str]:
    ran = tables.count(len(comparison.ran), "system")
    yield from _wrapped(f"{tables.pictures(comparison)}; {ran}; {machine_line(comparison.machine)}")
    for line in stale(comparison):
        yield from _wrapped(f"out of date: {line}")
    if not comparison.complete:
        yield "this run was interrupted: parts of it are missing"


def _answers(comparison: Comparison) -> Iterator[str]:
    """A line a use; only a hint where no figure says who is right."""
    if note := fact_tables.without_truth(comparison):
        yield from _wrapped(note)
        return
    if not comparison.scores:
        return
    yield "Which should I use?"
    for use in USES.values():
        advice = advise(comparison, use)
        if not advice.picks:
            yield _cut(f"  {advice.title:11} –  {advice.nothing}")
            continue
        pick = advice.picks[0]
        why = f"{pick.reasons[0].title} {pick.reasons[0].told}" if pick.reasons else ""
        told = "; ".join(filter(None, ["; ".join(pick.unmet), why]))
        yield _cut(
            f"  {advice.title:11} {pick.system}: {told}; commercial use: {pick.licence.commercial}"
        )


def _figures(comparison: Comparison) -> Iterator[str]:
    main = list(comparison.ran)
    if len(main) > _FEW_SYSTEMS:
        main = [system for system in main if not system.raw]
    rows: list[Line] = [
        (system.id, system.id, "", _values(comparison, system)) for system in main[:_MOST_SYSTEMS]
    ]
    made = tables.build("", _COLUMNS, rows)
    if not made.rows or len(made.columns) < 2:  # sizes alone are no figures
        return
    yield from _columns(made)
    notes = []
    if any(column.title in ("error", "in hair") for column in made.columns):
        notes.append("error: thousandths of opacity, over all sets")
    if any(cell.best for row in made.rows for cell in row.cells):
        notes.append("*: best")
    if (more := len(main) - _MOST_SYSTEMS) > 0:
        notes.append(f"{tables.count(more, 'system')} more in the report")
    if len(main) < len(comparison.ran):
        notes.append("networks alone (:raw) are in the report")
    if notes:
        yield from _wrapped("; ".join(notes), "  ")


def _values(comparison: Comparison, system: System) -> list[Value]:
    id_ = system.id
    return [
        over_sets(comparison, id_, "mad"),
        over_sets(comparison, id_, "hair", ("people", "animals")),
        over_sets(comparison, id_, "missed"),
        None if tables.groups_of(comparison) else tables.agreement_of(comparison, id_),
        warm(comparison, id_),
        cold(comparison, id_),
        peak_mb(comparison, id_),
        system.weights_mb,
    ]


def _columns(made: Table) -> Iterator[str]:
    """The table in aligned columns, all but the first to the right, a star behind the best."""
    head = [made.first, *(f"{column.title} " for column in made.columns)]
    grid = [
        [row.name, *(cell.text + ("*" if cell.best else " ") for cell in row.cells)]
        for row in made.rows
    ]
    widths = [max(len(line[i]) for line in (head, *grid)) for i in range(len(head))]
    widths[0] = min(widths[0], 28)
    for line in (head, *grid):
        cells = [f"{line[0][: widths[0]]:{widths[0]}}"]
        cells += [f"{text:>{width}}" for text, width in zip(line[1:], widths[1:], strict=True)]
        yield f"  {'  '.join(cells)}".rstrip()


def _claims(comparison: Comparison) -> Iterator[str]:
    """A line for each claim that could be judged; the others are counted."""
    claims = check_claims(comparison)
    known = [claim for claim in claims if claim.verdict != "not measured"]
    if not known:
        return
    yield "What articles say"
    for claim in known:
        yield _cut(f"  {claim.verdict:13}  {claim.sentence}")
    if other := len(claims) - len(known):
        yield f"  {'not measured':13}  {other} more"


def _left_out(comparison: Comparison) -> Iterator[str]:
    absent = [one.id for one in comparison.systems if one.reason]
    lines = list(comparison.skipped)
    if not absent and not lines:
        return
    yield "Left out"
    if absent:
        yield from _wrapped(f"not here: {', '.join(absent)}", "  ")
    for line in lines[:_MOST_LEFT_OUT]:
        yield _cut(f"  {line}")
    if (more := len(lines) - _MOST_LEFT_OUT) > 0:
        yield f"  and {more} more in the report"


def _wrapped(text: str, indent: str = "") -> Sequence[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )


def _cut(line: str) -> str:
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 4]} ..."
