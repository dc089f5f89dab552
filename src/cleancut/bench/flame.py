"""Where the time of one picture goes, as an SVG of nested bars."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

#: What the stages of ``Result.timings`` are called in the drawing.
_COLOURS = ("#d9622b", "#e3892f", "#e9ac3d", "#c94f4f", "#b86fb0", "#6f86c9", "#4d9c8f", "#7aa650")
_WIDTH, _BAR, _GAP, _LEFT = 900, 30, 6, 10
_NARROW = 64


def flame(pictures: Mapping[str, Mapping[str, float]]) -> str:
    """An SVG with two rows a picture: its whole time, and below it the stages in their order.

    ``pictures`` maps a title to milliseconds by stage; all bars share one scale. What is too narrow
    to carry its name is named below, in the same order.
    """
    longest = max(sum(stages.values()) for stages in pictures.values())
    scale = (_WIDTH - 2 * _LEFT) / longest
    parts: list[str] = []
    top = _LEFT
    for title, stages in pictures.items():
        total = sum(stages.values())
        parts.append(_bar(_LEFT, top, total * scale, "#888888", f"{title}: {total:.0f} ms"))
        top += _BAR + 2
        left, untold = float(_LEFT), []
        for number, (stage, ms) in enumerate(stages.items()):
            width = ms * scale
            text = f"{stage} {ms:.0f}"
            fits = width >= _NARROW
            parts.append(_bar(left, top, width, _COLOURS[number % 8], text if fits else "", text))
            if not fits and ms >= 0.5:
                untold.append(text)
            left += width
        top += _BAR + 16
        parts.append(
            f'<text x="{_LEFT}" y="{top - 2}" class="small">{escape(", ".join(untold))}</text>'
        )
        top += _GAP + 14
    style = (
        "text{font:13px sans-serif;fill:#fff}.small{font-size:12px;fill:#888}"
        "rect{stroke:#fff;stroke-width:.6}"
    )
    size = f'viewBox="0 0 {_WIDTH} {top}" width="{_WIDTH}" height="{top}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    return "\n".join(
        [head, "<title>milliseconds by stage</title>", f"<style>{style}</style>", *parts, "</svg>"]
    )


def _bar(left: float, top: int, width: float, colour: str, text: str, title: str = "") -> str:
    place = f'x="{left:.1f}" y="{top}" width="{max(width, 0.5):.1f}" height="{_BAR}"'
    hover = f"<title>{escape(title or text)} ms</title>" if title else ""
    label = f'<text x="{left + 6:.1f}" y="{top + 20}">{escape(text)}</text>' if text else ""
    return f'<rect {place} fill="{colour}">{hover}</rect>{label}'
