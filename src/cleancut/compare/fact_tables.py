"""The tables of a report that hold facts rather than figures of pictures: tools, models, the cache,
published figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cleancut.compare.tables import Cell, Column, Line, Row, Table, Value, build, titled

if TYPE_CHECKING:
    from cleancut.compare.advice import Advice
    from cleancut.compare.comparison import Comparison, Deployment
    from cleancut.compare.published import Published

#: Where a use has no answer.
NOBODY = "nothing measured fits"
_FEATURES = {
    "batch": "whole folders",
    "resume": "goes on after a crash",
    "cache": "keeps results",
    "api": "HTTP API",
    "web-ui": "web page",
    "video": "videos",
    "python": "Python library",
    "offline": "works offline once set up",
}


def deployment(comparison: Comparison) -> Table | None:
    """What it takes to have each tool: a line a fact, a column a tool; None without any."""
    tools = comparison.deployment
    if not tools:
        return None
    lines: list[tuple[str, str, list[Value]]] = [
        ("version", "", [tool.version for tool in tools]),
        ("on disk, without weights", "install_mb", [_mb(tool.install_mb) for tool in tools]),
        ("downloaded for it", "download_mb", [_mb(tool.download_mb) for tool in tools]),
        ("packages", "packages", [_count(tool.packages) for tool in tools]),
        ("model it takes by itself", "default_model", [tool.default_model for tool in tools]),
        ("weights of that model", "default_weights_mb", [_mb(t.default_weights_mb) for t in tools]),
        (
            "first run without a network",
            "first_run_offline",
            [_said(tool.first_run_offline, "works", "fails") for tool in tools],
        ),
        ("needs a GPU", "needs_gpu", [_said(tool.needs_gpu) for tool in tools]),
    ]
    for key, title in _features(tools):
        lines.append((title, key, [_said(tool.features.get(key)) for tool in tools]))
    lines.append(("licence of the code", "licence", [tool.licence for tool in tools]))
    columns = tuple(Column(tool.tool, more=None, words=True) for tool in tools)
    rows = tuple(
        Row(title, tuple(Cell(str(value or "–")) for value in values))
        for title, _, values in lines
        if any(value not in (None, "") for value in values)
    )
    return Table("What it takes to have each tool", columns, rows, _SIZES, "")


_SIZES = "MB are 10^6 bytes, with every package a tool pulls in."


def how_found(comparison: Comparison) -> tuple[str, ...]:
    """Where each fact of ``deployment`` comes from, a line a tool and fact."""
    return tuple(
        f"{tool.tool}, {key.replace('_', ' ')}: {how}"
        for tool in comparison.deployment
        for key, how in tool.how.items()
    )


def contestants(comparison: Comparison) -> Table:
    """Who took part: weights and licences; also those that did not run."""
    columns = [
        Column("articles call it", more=None, words=True),
        Column("weights MB", 1, more=None),
        Column("licence of the weights", more=None, words=True),
        Column("commercial use", more=None, words=True),
        Column("remark", more=None, words=True),
    ]
    rows: list[Line] = []
    for system in comparison.systems:
        if system.raw:
            continue
        remark = "; ".join(part for part in (system.note, system.reason and "not run") if part)
        values = [system.article, system.weights_mb, system.licence, system.commercial, remark]
        rows.append((*titled(system), values))
    return build("Models and their licences", columns, rows)


def repeats(comparison: Comparison) -> Table | None:
    """What a cache saved, by the share of pictures that came before."""
    found = comparison.repeats
    if found is None or not found.shares:
        return None
    rows: list[Line] = [
        (f"{_share(share)} of pictures came before", "", "", [saved])
        for share, saved in sorted(found.shares.items())
    ]
    return build(
        "What a cache of results saves",
        [Column("time saved", 0, more=None, scale=100, unit=" %")],
        rows,
        first="folder",
        note=f"With {found.model or 'the default model'}: {found.cut_s:.2f} s to cut a picture"
        f" anew, {found.kept_s * 1000:.1f} ms for one that was kept.",
    )


def answers(found: Sequence[Advice]) -> Table:
    """What to take for each use, a line a use."""
    titles = ("take", "commercial use", "because", "next best")
    columns = [Column(title, more=None, words=True) for title in titles]
    lines: list[Line] = []
    for advice in found:
        values: list[Value] = [NOBODY, "", advice.nothing, ""]
        if advice.picks:
            pick = advice.picks[0]
            first = pick.reasons[0] if pick.reasons else None
            why = f"{first.title} {first.told}" if first else ""
            why = why if advice.met else "; ".join((*pick.unmet, why))
            values = [pick.system, pick.licence.commercial, why]
            values.append(advice.picks[1].system if len(advice.picks) > 1 else "")
        lines.append((advice.title, "", "", values))
    return build("Which should I use?", columns, lines, first="for")


def without_truth(comparison: Comparison) -> str:
    """What to do where pictures have no true mattes; "" if some have, or none were cut."""
    if not comparison.sets or any(facts.binary is not None for facts in comparison.sets):
        return ""
    return (
        "These pictures have no true mattes: their figures say who is fast, and not who is right. "
        "Look at the gallery, and ask what was measured on others: cleancut recommend --for USE."
    )


def published(rows: Sequence[Published]) -> Table:
    """Figures that others published; nothing here was measured by us."""
    titles = ("data set", "measure", "value", "source")
    columns = [Column(title, more=None, words=True) for title in titles]
    lines: list[Line] = [
        (row.system, "", row.note, [row.data, row.title, f"{row.value:g}", row.source])
        for row in rows
    ]
    return build("Published figures", columns, lines)


def software(comparison: Comparison) -> Mapping[str, str]:
    """By tool, its versions in one line."""
    return {
        tool: ", ".join(f"{name} {version}" for name, version in versions.items())
        for tool, versions in comparison.software.items()
    }


def _features(tools: Sequence[Deployment]) -> list[tuple[str, str]]:
    keys = dict.fromkeys([*_FEATURES, *(key for tool in tools for key in tool.features)])
    return [(key, _FEATURES.get(key, key)) for key in keys]


def _said(value: bool | None, yes: str = "yes", no: str = "no") -> str:
    return "" if value is None else yes if value else no


def _mb(value: float | None) -> str:
    return "" if value is None else f"{value:.0f} MB" if value >= 10 else f"{value:.1f} MB"


def _count(value: int | None) -> str:
    return "" if value is None else str(value)


def _share(text: str) -> str:
    try:
        return f"{float(text):.0%}"
    except ValueError:
        return text
