"""The report of ``bench accuracy`` as one HTML file: no script, nothing loaded from elsewhere."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape

from cleancut.bench.accuracy import Report, Row
from cleancut.bench.accuracy_table import (
    BY_KEY,
    comparison_cells,
    comparison_head,
    comparisons,
    headline,
    set_cells,
    set_head,
    shown_measures,
    trust_line,
)
from cleancut.bench.score import Scored
from cleancut.bench.thumbs import Worst

_STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 20%, transparent) }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 1720px }
body { padding: 0 1rem }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; font-variant-numeric: tabular-nums }
th, td { border-bottom: 1px solid var(--line); padding: .25rem .6rem; text-align: right }
th:first-child, td:first-child { text-align: left }
.wide { overflow-x: auto }
.worst { display: grid; gap: .5rem; grid-template-columns: repeat(5, minmax(0, 1fr)) }
figure { margin: 0 } img { width: 100%; display: block }
figcaption, .facts { font-size: 13px; opacity: .8 }
section.bad { border-top: 1px solid var(--line); padding: .8rem 0 }
h3 { margin: .2rem 0 }
"""
#: Figures said under the name of a bad picture.
_SAID = ("mad", "grad", "on_white", "iou", "boundary_f")


def to_html(report: Report) -> str:
    """One page: the tables, then the worst pictures of every row, embedded."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        '<meta name=viewport content="width=device-width">',
        f"<title>Accuracy on {escape(report.folder)}</title><style>{_STYLE}</style>",
        f"<h1>Accuracy on {escape(report.folder)}</h1><p>{escape(headline(report))}.</p>",
        *_sets(report),
        *_comparison(report),
    ]
    if trusts := report.trusts():
        lines = [f"<li>{escape(trust_line(label, worth))}" for label, worth in trusts.items()]
        parts.append(f"<h2>Confidence</h2><ul>{''.join(lines)}</ul>")
    for row in report.rows:
        parts += _worst(row)
    if report.skipped:
        lines = [f"<li>{escape(line)}" for line in report.skipped]
        parts.append(f"<h2>{len(lines)} skipped</h2><ul>{''.join(lines)}</ul>")
    return "\n".join(parts) + "\n"


def _sets(report: Report) -> list[str]:
    parts = []
    for name, binary in report.binary.items():
        measures = shown_measures(binary=binary)
        kind = "truth is yes or no" if binary else "truth has soft edges"
        parts.append(f"<h2>{escape(name)}</h2><p>{kind}</p>")
        parts.append(_table(set_head(measures), set_cells(report.summaries(name), measures)))
    return parts


def _comparison(report: Report) -> list[str]:
    found = comparisons(report)
    if report.reference is None or not found:
        return []
    label = report.reference.label
    return [
        f"<h2>Beside {escape(label)}, same pictures</h2>",
        _table(comparison_head(label), comparison_cells(found)),
    ]


def _worst(row: Row) -> list[str]:
    worst = row.gallery.worst
    if not worst:
        return []
    title = f"The worst {len(worst)} of {row.label}, by MAD"
    about = "Difference: red is kept and should not be, blue is lost."
    return [f"<h2>{escape(title)}</h2><p>{about}</p>", *map(_bad, worst)]


def _bad(worst: Worst) -> str:
    scored = worst.scored
    figures = "".join(
        f"<figure><img alt='{name}' loading=lazy"
        f" src='data:image/jpeg;base64,{b64encode(jpeg).decode()}'>"
        f"<figcaption>{name}</figcaption></figure>"
        for name, jpeg in worst.pictures.items()
    )
    return (
        f"<section class=bad><h3>{escape(scored.set)}/{escape(scored.stem)}</h3>"
        f"<p class=facts>{escape(_facts(scored))}</p><div class=worst>{figures}</div></section>"
    )


def _facts(scored: Scored) -> str:
    said = [f"{BY_KEY[key].title} {scored.figures[key]:.{BY_KEY[key].digits}f}" for key in _SAID]
    if scored.model:
        said.append(f"model {scored.model}")
    if scored.confidence is not None:
        said.append(f"confidence {scored.confidence:.2f}")
    if scored.seconds is not None:
        said.append(f"{scored.seconds:.2f} s")
    return " · ".join([*said, *scored.notes])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    titles = "".join(f"<th>{escape(cell)}" for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}" for cell in row) + "</tr>" for row in rows
    )
    return f"<div class=wide><table><tr>{titles}</tr>{body}</table></div>"
