"""The tables of a report as plain data; ``page`` and ``markdown`` write them out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median
from typing import TYPE_CHECKING

from cleancut.compare.comparison import GROUPS
from cleancut.compare.dimensions import DIMENSIONS
from cleancut.compare.measures import BY_KEY, MEASURES
from cleancut.compare.readings import over_sets

if TYPE_CHECKING:
    from cleancut.compare.comparison import Comparison, Group, SetFacts, System

#: Shades of a heat table, from the best to the worst.
SHADES = 6
NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: ``more`` if more is better, None if neither is; ``about`` explains it.

    ``heat`` is "ratio" (shaded by its ratio to the column's best), "share" (from 0 to 1) or "".
    """

    title: str
    digits: int = 2
    more: bool | None = False
    about: str = ""
    heat: str = ""
    unit: str = ""
    scale: float = 1.0
    #: Cells are words, or there is nothing better or worse about them.
    words: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in one place: ``value`` sorts, ``shade`` is 0 (best) to ``SHADES`` or None."""

    text: str
    value: float | None = None
    best: bool = False
    shade: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One line: ``system`` is its id, "" for another thing; ``about`` small print by its name."""

    name: str
    cells: tuple[Cell, ...]
    system: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """One table; ``note`` follows it, ``first`` is the title over the names."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: str = ""
    first: str = "system"


#: What a place in a table is made from.
Value = float | str | None
#: Name, id of the system or "", small print, values by column.
Line = tuple[str, str, str, Sequence[Value]]


def build(
    title: str,
    columns: Sequence[Column],
    rows: Sequence[Line],
    *,
    note: str = "",
    first: str = "system",
) -> Table:
    """A table of (name, id, about, values): numbers are written, the best marked, empty columns
    left out."""
    kept = [
        index
        for index in range(len(columns))
        if any(row[3][index] not in (None, "") for row in rows)
    ]
    grid = [[row[3][index] for index in kept] for row in rows]
    shown = [columns[index] for index in kept]
    cells = [_cells(column, [line[number] for line in grid]) for number, column in enumerate(shown)]
    made = tuple(
        Row(name, tuple(column[number] for column in cells), id_, about)
        for number, (name, id_, about, _) in enumerate(rows)
    )
    return Table(title, tuple(shown), made, note, first)


def _cells(column: Column, values: Sequence[Value]) -> list[Cell]:
    numbers = [value for value in values if isinstance(value, int | float)]
    texts = {value: _written(column, value) for value in numbers}
    best = ""
    if numbers and column.more is not None and len(values) > 1:
        best = texts[max(numbers) if column.more else min(numbers)]
    found = []
    for value in values:
        if value is None:
            found.append(Cell(NOTHING))
        elif isinstance(value, str):
            found.append(Cell(value or NOTHING))
        else:
            shade = _shade(column, value, numbers)
            found.append(Cell(texts[value], value, texts[value] == best, shade))
    return found


def _written(column: Column, value: float) -> str:
    return f"{value * column.scale:.{column.digits}f}{column.unit}"


def _shade(column: Column, value: float, numbers: Sequence[float]) -> int | None:
    if column.heat == "share":
        return min(SHADES, math.ceil(value * SHADES))
    if column.heat == "ratio":
        least = max(min(numbers), 1e-6)
        return min(SHADES, int(math.log2(max(value, least) / least) * 1.5 + 0.5))
    return None


def groups_of(comparison: Comparison) -> tuple[Group, ...]:
    """The groups that have true mattes, in the order of the report."""
    known = {facts.group for facts in comparison.sets if facts.binary is not None}
    return tuple(group for group in GROUPS if group in known)


def agreement(comparison: Comparison) -> str:
    """What stands in for accuracy where no picture has a true matte; "" where some have one."""
    if not comparison.sets or groups_of(comparison):
        return ""
    if any(row.agreement is not None for row in comparison.pictures):
        told = "Agreement is with the median of the other systems' mattes: who stands alone is"
        told += " wrong more often."
    else:
        told = "Agreement with the others' median needs four networks that differ; more come with:"
        told += " cleancut models pull."
    return f"These pictures have no true mattes, so nothing says who is right. {told}"


def pictures(comparison: Comparison) -> str:
    """How many pictures of what, in how many sets."""
    if not comparison.sets:
        return "no pictures scored"
    told = count(sum(facts.pictures for facts in comparison.sets), "picture")
    return f"{told} of {comparison.data}, {count(len(comparison.sets), 'set')}"


def count(number: int, what: str) -> str:
    """``number`` with ``what``, which takes an s in the plural."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def overview(comparison: Comparison) -> Table:
    """The figures that decide, a line a system; agreement where there is no truth."""
    hairy: tuple[Group, ...] = ("people", "animals")
    read: dict[Column, Callable[[str], Value]] = {}

    def add(column: Column, key: str, groups: Sequence[Group] = ()) -> None:
        read[column] = lambda system: over_sets(comparison, system, key, groups)

    add(Column("error, all", 1, about="MAD over all sets, each weighing the same"), "mad")
    for group in groups_of(comparison):
        add(Column(f"error, {group}", 1, about=f"MAD on {group}"), "mad", (group,))
    add(Column("hair", 1, about=f"{_about('hair')} People and animals."), "hair", hairy)
    add(Column("hard", 1, about=_about("hard")), "hard", hairy)
    add(Column("jagged", 2, about=_about("jagged")), "jagged")
    add(Column("boundary F", 3, more=True, about=_about("boundary_f")), "boundary_f")
    add(
        Column("missed", 1, scale=100, unit=" %", about="pictures whose subject was not found"),
        "missed",
    )
    failed = Column("no answer", 0, more=None, about="pictures without any answer")
    read[failed] = lambda system: _failed(comparison, system)
    if not groups_of(comparison):
        agrees = Column("agreement", 3, more=None, about="with the median of the other systems")
        read[agrees] = lambda system: agreement_of(comparison, system)
    return build(
        "Accuracy at a glance",
        list(read),
        [
            (*titled(system), [value(system.id) for value in read.values()])
            for system in comparison.ran
        ],
        note="Errors in thousandths of full opacity; less is better, except for boundary F.",
    )


def of_set(comparison: Comparison, facts: SetFacts) -> Table:
    """All figures of one set that mean something for its truths."""
    measures = [m for m in MEASURES if (m.binary if facts.binary else m.exact)]
    columns = [Column(m.title, min(3, m.digits), more=m.more, about=m.about) for m in measures]
    columns += [
        Column("missed", 1, scale=100, unit=" %"),
        Column("s", 2, about="median seconds of a picture in a warm process"),
        Column("no answer", 0, more=None),
    ]
    rows = []
    own = [scores for scores in comparison.scores if scores.set == facts.name]
    for scores in own:
        system = comparison.system(scores.system)
        if system is None:
            continue
        values: list[Value] = [scores.figures.get(m.key) for m in measures]
        values += [scores.missed, scores.seconds, scores.failed or None]
        rows.append((*_name(system), values))
    counts = sorted({scores.pictures for scores in own})
    scored = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}" if counts else 0
    return build(
        facts.name,
        columns,
        rows,
        note=f"Means over {scored} of {facts.pictures} pictures: those that every system answered"
        f"{'' if facts.binary else '; hair and edges over those of them that show such edges'}.",
    )


def speed(comparison: Comparison) -> Table:
    """Seconds, cold and warm, small and large, by processors."""
    counts = sorted({int(k) for row in comparison.speed for k in row.by_threads if k.isdigit()})
    columns = [
        Column("cold", 2, about="a whole process, JPEG to PNG, 0.7 megapixels"),
        Column("first call", 2, about="with loading the network"),
        Column("warm", 3, about="one call in a running process, 0.7 megapixels"),
        Column("warm, 12 MP", 2, about="the same for 12 megapixels"),
        *(Column(f"{n} processor{'s' * (n > 1)}", 3, about="warm, limited") for n in counts),
        Column("GPU", 3),
        Column("runs on", more=None, words=True),
    ]
    rows = []
    for row in comparison.speed:
        system = comparison.system(row.system)
        if system is not None:
            values: list[Value] = [_middle(row.cold), row.first_call, _middle(row.warm)]
            values += [_middle(row.warm_large)]
            values += [row.by_threads.get(str(count)) for count in counts]
            rows.append((*_name(system), [*values, row.gpu, row.runs_on]))
    return build("Seconds a picture", columns, rows, note="Medians; less is better.")


def generality(comparison: Comparison) -> tuple[Table, ...]:
    """Heat tables by group: the error, and the share of subjects that were not found."""
    groups = groups_of(comparison)
    made = []
    for title, key, column in (
        ("Error by group (MAD)", "mad", Column("", 1, heat="ratio")),
        (
            "Subjects not found",
            "missed",
            Column("", 0, more=None, heat="share", unit=" %", scale=100),
        ),
    ):
        columns = [replace(column, title=group) for group in groups]
        rows: list[Line] = [
            (*_name(system), [over_sets(comparison, system.id, key, (group,)) for group in groups])
            for system in comparison.ran
        ]
        made.append(build(title, columns, rows))
    return tuple(table for table in made if table.columns)


def resources(comparison: Comparison) -> Table:
    """Memory, processor time and energy of one picture."""
    columns = [
        Column("peak MB", 0, about="0.7 megapixels, with everything the process started"),
        Column("peak MB, 12 MP", 0),
        Column("processor s, whole process", 2),
        Column("processor s, warm picture", 3),
        Column("GPU MB", 0),
        Column("energy J", 1, about="of the whole package, above idle"),
    ]
    rows: list[Line] = []
    for row in comparison.resources:
        system = comparison.system(row.system)
        if system is not None:
            values = (row.peak_mb, row.peak_large_mb, row.cpu_s, row.warm_cpu_s)
            rows.append((*_name(system), [*values, row.vram_mb, row.energy_j]))
    return build("What one picture takes", columns, rows, note="MB are 10^6 bytes.")


def video(comparison: Comparison) -> tuple[Table, ...]:
    """A table a clip: error, steadiness, seconds a frame."""
    made = []
    for clip in dict.fromkeys(row.clip for row in comparison.video):
        rows = [row for row in comparison.video if row.clip == clip]
        keys = list(dict.fromkeys(key for row in rows for key in row.figures))
        columns = [Column("how", more=None, words=True), *map(_clip_column, keys)]
        columns += [Column("s a frame", 3)]
        lines: list[Line] = []
        for row in rows:
            values: list[Value] = [row.how, *(row.figures.get(key) for key in keys), row.seconds]
            lines.append((row.system, row.system, "", values))
        kind = "its truth is yes or no" if rows[0].binary else "its truth has soft edges"
        made.append(build(f"Clip {clip}", columns, lines, note=f"A clip: {kind}."))
    return tuple(made)


_CLIP_TITLES = {
    "dtssd": ("dtSSD", "what changes from frame to frame and should not (Erofeev et al. 2015)"),
    "wobble": ("wobble", "how much IoU changes from frame to frame"),
}


def _clip_column(key: str) -> Column:
    if measure := BY_KEY.get(key):
        return Column(measure.title, min(3, measure.digits), more=measure.more, about=measure.about)
    title, about = _CLIP_TITLES.get(key, (key, ""))
    return Column(title, 3 if key == "wobble" else 2, about=about)


def profiles(comparison: Comparison, systems: Sequence[System]) -> Table:
    """The five dimensions in figures, as the radars draw them."""
    columns = [
        Column(f"{axis.title}, {axis.unit}", 0, more=True, scale=100, unit=" %")
        if axis.worst is None
        else Column(f"{axis.title}, {axis.unit}", 2, about=axis.scale)
        for axis in DIMENSIONS
    ]
    rows: list[Line] = []
    for system in systems:
        values = [axis.value(comparison, system) for axis in DIMENSIONS]
        rows.append((*_name(system), values))
    return build("The five dimensions in figures", columns, rows)


def titled(system: System) -> tuple[str, str, str]:
    """How a line begins: name, id, small print."""
    return system.id, system.id, "" if system.title == system.id else system.title


def _name(system: System) -> tuple[str, str, str]:
    return system.id, system.id, ""


def _about(key: str) -> str:
    measure = BY_KEY.get(key)
    return measure.about if measure else ""


def _middle(values: Sequence[float]) -> float | None:
    return median(values) if values else None


def _failed(comparison: Comparison, system: str) -> float | None:
    own = [scores.failed for scores in comparison.scores if scores.system == system]
    return float(sum(own)) if own and any(s.failed for s in comparison.scores) else None


def agreement_of(comparison: Comparison, system: str) -> float | None:
    """The mean agreement of a system's answers with the others' median, 0..1, or None."""
    values = [
        row.agreement
        for row in comparison.pictures
        if row.system == system and row.agreement is not None
    ]
    return fmean(values) if values else None
