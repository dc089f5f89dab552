"""The report as Markdown: for a terminal, and as the page of the documentation with its charts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cleancut.bench.report import table as lines_of
from cleancut.compare import fact_tables, tables
from cleancut.compare.advice import advise
from cleancut.compare.charts import charts, radar, radar_says
from cleancut.compare.claims import check_claims
from cleancut.compare.dimensions import DIMENSIONS, main_systems
from cleancut.compare.measures import MEASURES
from cleancut.compare.page import METHOD, machine_line
from cleancut.compare.published import published
from cleancut.compare.staleness import stale
from cleancut.compare.svg import standalone
from cleancut.compare.uses import USES
from cleancut.imaging.files import write_atomic

if TYPE_CHECKING:
    from cleancut.compare.advice import Advice, Pick
    from cleancut.compare.comparison import Comparison
    from cleancut.compare.tables import Table

#: First line of the page, as of all that ``docs/generate.py`` makes.
HEAD = "<!-- made by docs/generate.py; run `make docs` -->\n\n"
#: Where the page's charts lie, seen from it.
IMAGES = "images/comparison"
#: Characters that mean something in Markdown or HTML.
_MARKS = str.maketrans({mark: f"\\{mark}" for mark in "\\`*[]<|$"} | {"\n": " ", "\r": " "})


def to_markdown(comparison: Comparison) -> str:
    """Every table, the advice and the claims; no pictures."""
    return "\n".join(_lines(comparison, {}))


def docs_page(comparison: Comparison) -> str:
    """``docs/comparison.md``; its charts are ``docs_images``, below ``IMAGES``."""
    found = {
        chart.name: f"![{_plain(chart.says)}]({IMAGES}/{chart.name}.svg)"
        for chart in charts(comparison)
    }
    if systems := main_systems(comparison):
        words = " ".join(radar_says(comparison, system) for system in systems)
        found["radar"] = f"![{_plain(words)}]({IMAGES}/radar.svg)"
    return HEAD + "\n".join(_lines(comparison, found)) + "\n"


def docs_images(comparison: Comparison) -> dict[str, str]:
    """The page's charts by file name: SVG, dark on white, the same bytes in every run.

    Raises ``MissingDependency`` without the extra ``compare``.
    """
    found = {f"{chart.name}.svg": standalone(chart.svg) for chart in charts(comparison)}
    if systems := main_systems(comparison):
        found["radar.svg"] = standalone(radar(comparison, systems, min(3, len(systems))))
    return found


def write_images(comparison: Comparison, folder: Path) -> tuple[Path, ...]:
    """Write ``docs_images`` into ``folder``, which is made; ``OutputNotWritable``."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, svg in docs_images(comparison).items():
        write_atomic(folder / name, svg.encode("utf-8"))
        written.append(folder / name)
    return tuple(written)


def _lines(comparison: Comparison, drawn: dict[str, str]) -> list[str]:
    """The report, line by line; ``drawn`` is what stands where a chart of that name belongs."""

    def chart(name: str) -> list[str]:
        return [drawn[name], ""] if name in drawn else []

    lines = ["# Background removal compared", "", *_head(comparison), "", "## The answer", ""]
    found = [advise(comparison, use) for use in USES.values()]
    if note := fact_tables.without_truth(comparison):
        lines += [_plain(note), ""]
    if not note or any(advice.picks for advice in found):
        lines += _table(fact_tables.answers(found)) + chart("scatter-all")
        for advice in found:
            lines += _advice(comparison, advice)
    lines += ["## Accuracy", "", *_table(tables.overview(comparison)), *chart("hair")]
    if note := tables.agreement(comparison):
        lines += [_plain(note), ""]
    lines += chart("scatter-people")
    for facts in comparison.sets:
        lines += _table(tables.of_set(comparison, facts), _truth(facts.binary))
    lines += [
        "## Speed",
        "",
        *chart("speed"),
        *_table(tables.speed(comparison)),
        *chart("processors"),
    ]
    lines += ["## Generality", ""]
    for made in tables.generality(comparison):
        lines += _table(made)
    lines += ["## Deployment", ""]
    if tools := fact_tables.deployment(comparison):
        lines += _table(tools)
    if hows := fact_tables.how_found(comparison):
        lines += ["How each fact was found out:", "", *_list(hows), ""]
    lines += _table(fact_tables.contestants(comparison))
    lines += ["## Resources", "", *chart("resources"), *_table(tables.resources(comparison))]
    if cached := fact_tables.repeats(comparison):
        lines += _table(cached)
    lines += ["## All five at once", "", *chart("radar"), *_radars(comparison)]
    if clips := tables.video(comparison):
        lines += ["## Video", ""]
        for made in clips:
            lines += _table(made)
    lines += ["## Claims of articles", "", *_claims(comparison)]
    lines += _published()
    lines += ["## What was left out", "", *(_list(_left_out(comparison)) or ["Nothing."]), ""]
    return [*lines, *_method()]


def _head(comparison: Comparison) -> list[str]:
    facts = [
        f"Measured on {machine_line(comparison.machine)}, {comparison.date}.",
        f"{tables.pictures(comparison)}; {tables.count(len(comparison.ran), 'system')}.",
        *(f"{tool}: {versions}." for tool, versions in fact_tables.software(comparison).items()),
    ]
    facts += [f"Out of date: {line}." for line in stale(comparison)]
    if not comparison.complete:
        facts.append("This run was interrupted: parts of it are missing.")
    lines = _list(facts)
    if comparison.commands:
        lines += ["", "Repeat it:", "", *_code(comparison.commands)]
    return lines


def _table(made: Table, about: str = "") -> list[str]:
    """Title, table, note; nothing if the table is empty."""
    if not made.rows or not made.columns:
        return []
    head = [made.first, *(f"{c.title} ↑" if c.more else c.title for c in made.columns)]
    rows = [
        [
            _plain(row.name),
            *(_strong(cell.text) if cell.best else _plain(cell.text) for cell in row.cells),
        ]
        for row in made.rows
    ]
    if any(row.about for row in made.rows):
        head.insert(1, "")
        for cells, row in zip(rows, made.rows, strict=True):
            cells.insert(1, _plain(row.about))
    note = " ".join(part for part in (about, made.note) if part)
    lines = [
        f"**{_plain(made.title)}**",
        "",
        *lines_of([_plain(title) for title in head], rows),
        "",
    ]
    return lines + ([_plain(note), ""] if note else [])


def _truth(binary: bool | None) -> str:
    if binary is None:
        return ""
    return "Its truth is yes or no." if binary else "Its truth has soft edges."


def _advice(comparison: Comparison, advice: Advice) -> list[str]:
    lines = [f"### {_plain(advice.title)}", "", _plain(f"{advice.about}."), ""]
    if not advice.picks:
        return [*lines, _plain(f"{fact_tables.NOBODY}: {advice.nothing}."), ""]
    pick = advice.picks[0]
    reasons = ", ".join(
        f"{reason.title} {reason.told} ({reason.rank}. of {reason.among})"
        for reason in pick.reasons
    )
    lines += [f"**{_plain(pick.system)}**: {_plain(reasons)}.", ""]
    facts = [f"Licence: {pick.licence}"]
    facts += (
        [f"Needs it does not meet, nor does anybody: {'; '.join(pick.unmet)}"] if pick.unmet else []
    )
    facts += [f"Against it: {'; '.join(pick.against)}"] if pick.against else []
    if len(advice.picks) > 1:
        facts.append(f"Next: {_next(advice.picks[1])}")
    if advice.licensed:
        facts.append(f"First whose commercial use is a clear yes: {_next(advice.licensed)}")
    ran = {system.id for system in comparison.ran}
    facts += [f"Ruled out: {o.system}, {o.why}" for o in advice.ruled_out if o.system in ran]
    return [*lines, *_list(facts), "", *_code(pick.commands), ""]


def _next(pick: Pick) -> str:
    return f"{pick.system}, {pick.behind}"


def _radars(comparison: Comparison) -> list[str]:
    scales = [
        f"{axis.title}: {axis.scale}"
        + (f"; the centre is {axis.worst:g} times the best" if axis.worst else "")
        for axis in DIMENSIONS
    ]
    return [
        "The rim is the best value of this run; the dashed line is the best of all systems.",
        "",
        *_list(scales),
        "",
        *_table(tables.profiles(comparison, main_systems(comparison))),
    ]


def _claims(comparison: Comparison) -> list[str]:
    rows = [
        [_plain(claim.sentence), _strong(claim.verdict), _plain(claim.found)]
        for claim in check_claims(comparison)
    ]
    return [*lines_of(["claim", "verdict", "our figures"], rows), ""]


def _published() -> list[str]:
    rows = published()
    if not rows:
        return []
    return [
        "## Published figures",
        "",
        "**Not measured here.** Figures of others, on other pictures: they cannot be compared with"
        " any figure above, nor with each other across data sets.",
        "",
        *_table(fact_tables.published(rows)),
    ]


def _left_out(comparison: Comparison) -> list[str]:
    absent = [f"{one.id}: {one.reason}" for one in comparison.systems if one.reason]
    return [*absent, *comparison.skipped]


def _method() -> list[str]:
    measures = [f"**{_plain(measure.title)}**: {_plain(measure.about)}" for measure in MEASURES]
    return ["## Method", "", *(f"- {line}" for line in measures), "", *_list(METHOD)]


def _list(lines: Iterable[str]) -> list[str]:
    return [f"- {_plain(line)}" for line in lines]


def _code(lines: Sequence[str]) -> list[str]:
    """Commands; a fence longer than any they hold."""
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [fence, *(_printable(line.replace("\n", " ")) for line in lines), fence]


def _plain(text: str) -> str:
    """Text that can become no link, code, mark-up or new cell."""
    return _printable(text.translate(_MARKS))


def _printable(text: str) -> str:
    """Text that can do nothing to a terminal."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def _strong(text: str) -> str:
    return f"**{_plain(text)}**"
