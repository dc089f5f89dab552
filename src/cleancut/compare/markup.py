"""Pieces of the report as HTML. Every text from outside goes through ``text``."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from cleancut.compare.fact_tables import NOBODY

if TYPE_CHECKING:
    from cleancut.compare.advice import Advice
    from cleancut.compare.claims import Claim
    from cleancut.compare.gallery import Exhibit, Tile
    from cleancut.compare.ranking import Reason
    from cleancut.compare.svg import Chart
    from cleancut.compare.tables import Cell, Column, Table

_VERDICTS = {"confirmed": "yes", "partly": "maybe", "not confirmed": "no", "not measured": ""}
_COMMERCIAL = {"yes": "yes", "unclear": "maybe", "no": "no"}
#: Reasons on a card; the advice itself has them all.
_REASONS = 4
#: Figures under a picture.
_SAID = (("mad", "error", 1), ("hair", "hair", 1), ("iou", "IoU", 3))


def text(value: object) -> str:
    """Safe in an element and in a quoted attribute; control characters become visible."""
    clean = "".join(
        letter if letter.isprintable() or letter == "\n" else "\N{REPLACEMENT CHARACTER}"
        for letter in str(value)
    )
    return escape(clean, quote=True)


def table(made: Table) -> str:
    """A table in a frame that scrolls sideways; its note follows."""
    if not made.rows or not made.columns:
        return ""
    words = all(column.words for column in made.columns)
    sorts = len(made.rows) > 2 and not words
    names = ' class="sorts"' if sorts else ""
    heads = [f'<th scope="col">{text(made.first) or "<span>fact</span>"}</th>']
    heads += map(_head, made.columns)
    lines = []
    for row in made.rows:
        about = f"<small>{text(row.about)}</small>" if row.about else ""
        cells = "".join(map(_cell, made.columns, row.cells))
        mark = f' data-system="{text(row.system)}"' if row.system else ""
        lines.append(f'<tr{mark}><th scope="row">{text(row.name)}{about}</th>{cells}</tr>')
    note = f'<p class="note">{text(made.note)}</p>' if made.note else ""
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{text(made.title)}">'
        f"<table{names}><caption>{text(made.title)}</caption>"
        f"<thead><tr>{''.join(heads)}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
        f"{note}"
    )


def _head(column: Column) -> str:
    about = f' title="{text(column.about)}"' if column.about else ""
    arrow = " ↑" if column.more else ""
    mark = ' class="w"' if column.words else ""
    return f'<th scope="col"{mark}{about}>{text(column.title)}{arrow}</th>'


def _cell(column: Column, cell: Cell) -> str:
    names = ["best"] if cell.best else []
    names += ["w"] if column.words else []
    names += [f"h{cell.shade}"] if cell.shade is not None else []
    mark = f' class="{" ".join(names)}"' if names else ""
    value = "" if cell.value is None else f' data-value="{cell.value!r}"'
    return f"<td{mark}{value}>{text(cell.text)}</td>"


def chart(drawn: Chart) -> str:
    """A chart with its message under it."""
    return (
        f'<figure class="chart"><div class="scroll" tabindex="0" role="group"'
        f' aria-label="{text(drawn.title)}">{drawn.svg}</div>'
        f"<figcaption><b>{text(drawn.title)}.</b> {text(drawn.says)}</figcaption></figure>"
    )


def tag(words: str, kind: str) -> str:
    """A word in a coloured frame: ``kind`` is "yes", "maybe", "no" or ""."""
    return f'<span class="tag {kind}">{text(words)}</span>'


def card(advice: Advice) -> str:
    """What to use for one thing: the pick, why, its licence, the command, who comes next."""
    parts = [f"<h3>{text(advice.title)}</h3>"]
    if not advice.picks:
        parts += [f'<p class="pick">{NOBODY}</p>', f'<p class="small">{text(advice.nothing)}</p>']
        return f'<article class="card">{"".join(parts)}</article>'
    pick = advice.picks[0]
    commercial = pick.licence.commercial
    also = (
        "" if pick.title == pick.system else f' <span class="soft small">{text(pick.title)}</span>'
    )
    parts += [
        f'<p class="pick">{text(pick.system)}{also}</p>',
        f'<p class="soft small">{text(advice.about)}</p>',
    ]
    if not advice.met:
        parts.append(
            f"<p>{tag('nobody meets all needs', 'maybe')} {text('; '.join(pick.unmet))}</p>"
        )
    parts.append(f"<ul>{''.join(map(_reason, pick.reasons[:_REASONS]))}</ul>")
    parts.append(
        f"<p>{tag(f'commercial use: {commercial}', _COMMERCIAL.get(commercial, ''))}"
        f' <span class="small">weights {text(pick.licence.weights)}</span></p>'
    )
    if pick.against:
        parts.append(f'<p class="small">Against it: {text("; ".join(pick.against))}.</p>')
    parts.append(f"<pre><code>{text(chr(10).join(pick.commands))}</code></pre>")
    parts += [f'<p class="small">{line}</p>' for line in _others(advice)]
    return f'<article class="card">{"".join(parts)}</article>'


def _reason(reason: Reason) -> str:
    place = f"best of {reason.among}" if reason.rank == 1 else f"{reason.rank}. of {reason.among}"
    return (
        f'<li><span>{text(reason.title)} <span class="soft">({place})</span></span>'
        f"<span>{text(reason.told)}</span></li>"
    )


def _others(advice: Advice) -> list[str]:
    lines = []
    if len(advice.picks) > 1:
        second = advice.picks[1]
        lines.append(f"Next: <b>{text(second.system)}</b>, {text(second.behind)}.")
    if advice.licensed is not None:
        licensed = advice.licensed
        lines.append(
            f"First whose commercial use is a clear yes: <b>{text(licensed.system)}</b>,"
            f" {text(licensed.behind)}."
        )
    return lines


def claim(found: Claim) -> str:
    """A sentence of articles, the verdict, our figures."""
    kind = _VERDICTS.get(found.verdict, "")
    return (
        f'<article class="claim {kind}"><h3>{tag(found.verdict, kind)} {text(found.sentence)}</h3>'
        f"<p>{text(found.found)}</p>"
        f'<p class="soft small">Counts as confirmed if: {text(found.says)}.</p></article>'
    )


def image(webp: bytes, alt: str, name: str = "", size: tuple[int, int] | None = None) -> str:
    """An embedded picture."""
    mark = f' class="{name}"' if name else ""
    room = f' width="{size[0]}" height="{size[1]}"' if size else ""
    data = b64encode(webp).decode("ascii")
    return f'<img{mark}{room} alt="{text(alt)}" loading="lazy" src="data:image/webp;base64,{data}">'


def exhibit(shown: Exhibit) -> str:
    """One picture: the original, the truth, and every system's answer."""
    tiles = [_plain(shown, "original", shown.whole, shown.crop, "the frame is the crop above")]
    if shown.truth_whole is not None and shown.truth_crop is not None:
        tiles.append(_plain(shown, "truth", shown.truth_whole, shown.truth_crop, "the true cutout"))
    tiles += [_tile(shown, tile) for tile in shown.tiles]
    why = f"Chosen because {text(shown.why)}." if shown.why else ""
    missing = f" No answer: {text(', '.join(shown.missing))}." if shown.missing else ""
    return (
        f'<section class="exhibit"><h3>{text(shown.name)}</h3>'
        f'<p class="soft small">{text(shown.group)}. {why}{missing}</p>'
        f'<ul class="tiles">{"".join(tiles)}</ul></section>'
    )


def _plain(shown: Exhibit, name: str, whole: bytes, crop: bytes, says: str) -> str:
    board = " board" if name == "truth" else ""
    return (
        '<li class="tile own">'
        f"{image(crop, f'{name} of {shown.name}, enlarged', f'crop{board}')}"
        f'<span class="pair"><span class="sole{board}">'
        f"{image(whole, f'{name} of {shown.name}', '', shown.size)}</span></span>"
        f"<p><b>{name}</b>{says}</p></li>"
    )


def _tile(shown: Exhibit, tile: Tile) -> str:
    figures = ", ".join(
        f"{title} {tile.figures[key]:.{digits}f}"
        for key, title, digits in _SAID
        if key in tile.figures
    )
    alone, error = " sole", ""
    if tile.error is not None:
        drawn = image(tile.error, f"errors of {tile.system} on {shown.name}", "", shown.size)
        alone, error = "", f'<span class="error">{drawn}</span>'
    return (
        f'<li class="tile" data-system="{text(tile.system)}">'
        f"{image(tile.crop, f'{tile.system} on {shown.name}, enlarged', 'crop board')}"
        f'<span class="pair"><span class="board{alone}">'
        f"{image(tile.whole, f'{tile.system} on {shown.name}', '', shown.size)}</span>"
        f"{error}</span>"
        f"<p><b>{text(tile.system)}</b>{text(figures)}</p></li>"
    )


def listing(lines: Iterable[str]) -> str:
    """A list of texts; "" without any."""
    items = "".join(f"<li>{text(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""


def terms(pairs: Sequence[tuple[str, str]]) -> str:
    """Words and what they mean."""
    items = "".join(f"<dt>{text(word)}</dt><dd>{text(meaning)}</dd>" for word, meaning in pairs)
    return f'<dl class="terms">{items}</dl>'
