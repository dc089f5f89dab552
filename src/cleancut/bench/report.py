"""One table of both sides: Markdown, which a terminal shows well too, and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from cleancut.backends.machine import cpu_limit, cpu_model
from cleancut.bench.measure import Figure
from cleancut.errors import BadOption, InputNotFound

BEGIN = "<!-- bench start: begin -->"
END = "<!-- bench start: end -->"
_HEAD = ("metric", "{peer}", "cleancut", "ratio", "target", "met?")


@dataclass(frozen=True, slots=True)
class Row:
    """One metric of both sides; less is better, except with ``at_least``.

    ``unit`` is "s", "ms", "/s", "MB", "%", "x", "" for a count or " " for another figure.
    ``target`` is what cleancut's median must not exceed, or with ``at_least`` must reach; None
    where nothing was promised.
    """

    number: int
    metric: str
    unit: str
    rembg: Figure | None
    cleancut: Figure | None
    target: float | None = None
    at_least: bool = False

    @property
    def ratio(self) -> float | None:
        """How many times better ours is by the medians."""
        if self.rembg is None or self.cleancut is None:
            return None
        ours, theirs = self.cleancut.median, self.rembg.median
        over, under = (ours, theirs) if self.at_least else (theirs, ours)
        return over / under if under else None

    @property
    def met(self) -> bool | None:
        """Whether our median reaches the target; None without a target or a figure."""
        if self.target is None or self.cleancut is None:
            return None
        if self.at_least:
            return self.cleancut.median >= self.target
        return self.cleancut.median <= self.target


@dataclass(frozen=True, slots=True)
class Report:
    """What one run of the benchmark found; ``peer`` is the heading of the other side's column."""

    date: str
    runs: int
    machine: str
    software: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    peer: str = "rembg"

    @classmethod
    def of_today(
        cls,
        runs: int,
        software: tuple[str, ...],
        rows: Sequence[Row],
        notes: Sequence[str],
        *,
        peer: str = "rembg",
    ) -> Report:
        """A report of this machine and day."""
        return cls(
            date=datetime.now(timezone.utc).date().isoformat(),
            runs=runs,
            machine=f"{cpu_model()}, {cpu_limit()} cores",
            software=software,
            rows=tuple(rows),
            notes=tuple(notes),
            peer=peer,
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values, each single measurement included."""
        rows = []
        for row in self.rows:
            facts = {**asdict(row), "ratio": row.ratio, "met": row.met}
            for side, figure in (("rembg", row.rembg), ("cleancut", row.cleancut)):
                if figure is not None:
                    facts[side] |= {"median": figure.median, "min": figure.minimum}
            rows.append(facts)
        return {**asdict(self), "rows": rows}


def to_markdown(report: Report) -> str:
    """The report as Markdown, its table's columns aligned."""
    cells = [
        (
            f"{row.number}. {row.metric}",
            _shown(row.rembg, row.unit),
            _shown(row.cleancut, row.unit),
            "" if row.ratio is None else f"{row.ratio:.1f}x",
            "" if row.target is None else _target(row),
            {None: "", True: "yes", False: "NO"}[row.met],
        )
        for row in report.rows
    ]
    lines = [
        f"{report.date}, {report.machine}. Median of up to {report.runs} runs a side, taken in"
        " turns, (best).",
        "",
        *table([cell.format(peer=report.peer) for cell in _HEAD], cells),
        "",
        *(f"- {line}" for line in (*report.software, *report.notes)),
    ]
    return "\n".join(lines)


def write_block(path: Path, text: str, *, markers: tuple[str, str] = (BEGIN, END)) -> None:
    """Replace what stands between the two ``markers`` of the document at ``path``.

    Raises ``InputNotFound``, ``BadOption`` if the markers are missing, ``OutputNotWritable``.
    """
    from cleancut.imaging.files import write_atomic

    try:
        document = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputNotFound(f"{path} cannot be read as text", hint="check the path") from error
    begin, end = markers
    if document.count(begin) != 1 or document.count(end) != 1:
        raise BadOption(
            f"{path} has no single block for the results", hint=f"add lines {begin} and {end}"
        )
    before, _, rest = document.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise BadOption(f"{path}: the end marker stands before the begin marker")
    write_atomic(path, f"{before}{begin}\n{text}\n{end}{after}".encode())


def _shown(figure: Figure | None, unit: str) -> str:
    if figure is None:
        return "not measured"
    if unit == "":
        return f"{figure.median:.0f}"
    digits = 0 if unit == "MB" else 1 if unit in ("%", "ms") else 2 if figure.median >= 0.2 else 3
    text = f"{figure.median:.{digits}f} {unit}".strip()
    one = len(figure.values) == 1 or unit == "%"
    best = max(figure.values) if unit in ("/s", "x") else figure.minimum
    return text if one else f"{text} ({best:.{digits}f})"


def _target(row: Row) -> str:
    if row.unit == "" and row.target == 0:
        return "none"
    return f"{'>=' if row.at_least else '<='} {row.target:g} {row.unit}".strip()


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table with aligned columns, all but the first to the right."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = [cells[0].ljust(widths[0])]
        padded += [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return [line(head), f"| {' | '.join(rule)} |", *(line(row) for row in rows)]
