"""Matplotlib's SVG as part of a page: no script, no style sheet, no date, words as words.

Colours of the drawing become attributes, so that a page with a strict content policy shows them,
and its ink becomes ``currentColor``, so that a dark page has light words.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from cleancut.extras import extra

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Stands for the colour of words and axes while matplotlib draws.
INK = "#010203"
_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
#: On paper and in files: dark words on white.
_PAPER_INK = "#1b1c1e"
_NAMED = re.compile(r"[a-z][a-z0-9-]*")


@dataclass(frozen=True, slots=True)
class Chart:
    """One drawing: ``title`` above it, ``says`` its message in words, ``svg`` the element."""

    name: str
    title: str
    says: str
    svg: str
    width: float


@contextmanager
def drawing(name: str) -> Iterator[None]:
    """Matplotlib set up for ``element``; ``MissingDependency`` names the extra."""
    with extra("compare"):
        import matplotlib
    settings: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": name,
        "text.parse_math": False,
        "font.family": ["DejaVu Sans"],
        "font.size": 10.5,
        "hatch.linewidth": 0.8,
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "grid.color": INK,
        "grid.alpha": 0.14,
        "grid.linewidth": 0.8,
    } | {f"{part}.color": INK for part in ("text", "xtick", "ytick")}
    settings |= {"axes.edgecolor": INK, "axes.labelcolor": INK}
    with matplotlib.rc_context(rc=settings), warnings.catch_warnings():
        # A name in a script that the measuring font lacks: the browser has another font.
        warnings.filterwarnings("ignore", "Glyph ", UserWarning)
        yield


def element(figure: Figure, name: str, label: str) -> str:
    """The figure as an ``svg`` element whose ids all begin with ``name``; call in ``drawing``."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    assert _NAMED.fullmatch(name)
    FigureCanvasSVG(figure)
    out = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(out, format="svg", transparent=True, metadata=nothing)
    return _own(out.getvalue(), name, label)


def standalone(svg: str) -> str:
    """``element``'s text as a file: dark words on a white card, whatever stands around it."""
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    width, height = box.groups() if box else ("100%", "100%")
    head, rest = svg.split(">", 1)
    head = head.replace("<svg ", f'<svg color="{_PAPER_INK}" ', 1)
    return f'{head}><rect width="{width}" height="{height}" rx="6" fill="#ffffff"/>{rest}\n'


def _own(svg: str, name: str, label: str) -> str:
    svg = svg[svg.index("<svg") :]
    for needless in (
        r"<!--.*?-->",
        r"<metadata>.*?</metadata>",
        r"<style[^>]*>.*?</style>",
        r"<defs>\s*</defs>",
    ):
        svg = re.sub(needless, "", svg, flags=re.DOTALL)
    svg = re.sub(r' style="([^"]*)"', lambda found: _attributes(found[1]), svg)
    pointed = set(re.findall(r'(?:href="|url\()#([^")]+)', svg))
    svg = re.sub(r' id="([^"]+)"', lambda f: f' id="{name}-{f[1]}"' if f[1] in pointed else "", svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', svg).replace("xlink:href", "href")
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", svg)
    svg = svg.replace(INK, "currentColor")
    box = re.search(r'viewBox="([^"]+)"', svg)
    size = box[1].split() if box else ["0", "0", "100", "100"]
    svg = svg[svg.index(">") + 1 :]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{" ".join(size)}"'
        f' width="{size[2]}" height="{size[3]}" role="img" aria-label="{escape(label)}"'
        f' font-family="{_FONTS}" stroke-linejoin="round" stroke-linecap="butt">'
    )
    return re.sub(r"\s*\n\s*", "\n", head + svg).strip()


def _attributes(style: str) -> str:
    """A ``style`` as attributes; the font's family is the element's."""
    kept = []
    for part in style.split(";"):
        key, colon, value = part.strip().partition(":")
        key, value = key.strip(), value.strip()
        if not colon or key == "font-family":
            continue
        if key == "font":
            size = re.search(r"([\d.]+)px", value)
            kept += [("font-size", f"{size[1]}px")] if size else []
            kept += [("font-weight", "600")] if "bold" in value or "700" in value else []
            continue
        kept.append((key, value.replace("'", "").replace("&quot;", "")))
    return "".join(f' {key}="{value}"' for key, value in kept)
