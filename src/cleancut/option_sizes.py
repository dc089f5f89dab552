"""What the texts of ``canvas``, ``head`` and ``sheet`` mean: sizes on screen and on paper."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from cleancut.errors import BadOption
from cleancut.option_values import flag, parse_percent

#: Dots per inch of a size in millimetres or inches, unless it is given: what photo labs print at.
PRINT_DPI = 300.0
MM_PER_INCH = 25.4
MAX_SIDE_PX = 100_000
#: A canvas may have so many pixels however small ``max_megapixels`` is: A4 at 400 dpi is 15.
LEAST_MEGAPIXELS = 25.0
#: Room between two copies on a sheet, and around all of them where a printer needs it.
GAP_MM = 2.0
OFFICE_EDGE_MM = 5.0
#: Shorter side from which a paper is one for office printers.
OFFICE_MM = 140.0
#: Papers by name, millimetres upright (ISO 216; ANSI/ASME Y14.1 for letter).
PAPERS = {
    "a3": (297.0, 420.0),
    "a4": (210.0, 297.0),
    "a5": (148.0, 210.0),
    "a6": (105.0, 148.0),
    "letter": (215.9, 279.4),
}

_MM = {"mm": 1.0, "cm": 10.0, "in": MM_PER_INCH, '"': MM_PER_INCH}
_NUMBER = r"(\d{1,6}(?:\.\d{1,4})?)"
_SIZE = re.compile(
    rf"\s*{_NUMBER}\s*(mm|cm|in|px|\")?\s*[x×*]\s*{_NUMBER}\s*(mm|cm|in|px|\")?\s*", re.ASCII
)
_DPI = re.compile(r"\s*(\d{1,5}(?:\.\d{1,4})?)\s*(?:dpi)?\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Canvas:
    """A size in whole pixels, and where it is one on paper in millimetres with its dpi.

    ``dpi`` is None for pixels that nothing was said about; ``width_mm`` and ``height_mm`` are None
    then too. ``text`` is the size as it was written, without the dpi.
    """

    width: int
    height: int
    dpi: float | None = None
    width_mm: float | None = None
    height_mm: float | None = None
    text: str = ""

    @property
    def megapixels(self) -> float:
        """10^6 pixels."""
        return self.width * self.height / 1e6


@dataclass(frozen=True, slots=True)
class Head:
    """How high a head is, from the crown to the chin, as a share of the canvas.

    ``top`` is the share of the canvas above the crown, None for what the shape makes right.
    """

    share: float
    top: float | None = None


def parse_canvas(text: str | None, name: str = "canvas", dpi: float | None = None) -> Canvas | None:
    """``"2000x1500"`` is pixels, ``"35x45mm"``, ``"3.5x4.5cm"`` and ``"2x2in"`` are on paper.

    ``@DPI`` behind it gives the dots per inch; sizes on paper have ``dpi`` without it, or 300.
    ``name`` is the field that an error names. Raises ``BadOption``.
    """
    if text is None:
        return None
    size, at, dots = str(text).partition("@")
    given = _dpi(dots, text, name) if at else None
    paper = PAPERS.get(size.strip().lower()) if name == "sheet" else None
    if paper is not None:
        return _on_paper(*paper, given or dpi or PRINT_DPI, size.strip().upper(), name)
    found = _SIZE.fullmatch(size.lower())
    if found is None or (found[2] and found[2] != found[4]):
        raise _no_size(text, name)
    width, height, unit = float(found[1]), float(found[3]), found[4] or "px"
    told = f"{width:g} x {height:g}" + ("" if unit == "px" else f" {unit.replace(chr(34), 'in')}")
    if unit != "px":
        sides = (width * _MM[unit], height * _MM[unit])
        return _on_paper(*sides, given or dpi or PRINT_DPI, told, name)
    if width != int(width) or height != int(height):
        raise BadOption(f"{flag(name)}: {text[:60]!r} are no whole pixels", hint="like 2000x1500")
    made = _checked(Canvas(int(width), int(height), text=told), name)
    if given is None:
        return made
    mm = MM_PER_INCH / given
    return replace(made, dpi=given, width_mm=width * mm, height_mm=height * mm)


def parse_sheet(text: str | None, canvas: Canvas | None) -> Canvas | None:
    """The paper that copies of ``canvas`` go on: ``"10x15cm"``, ``"4x6in"``, ``"a4"``.

    Its dpi is the canvas's. Raises ``BadOption``, also where there is no canvas of a size on paper.
    """
    if text is None:
        return None
    if canvas is None or canvas.dpi is None:
        raise BadOption(
            "--sheet needs --canvas with a size on paper",
            hint="like --canvas 35x45mm, or 600x600@300",
        )
    page = parse_canvas(text, "sheet", canvas.dpi)
    assert page is not None
    if page.dpi is None:
        raise _no_size(text, "sheet")
    if not math.isclose(page.dpi, canvas.dpi):
        raise BadOption(
            f"--sheet has {page.dpi:g} dpi and --canvas {canvas.dpi:g}",
            hint=f"leave the @ of --sheet out, or write it behind --canvas: @{page.dpi:g}",
        )
    if grid_of(page, canvas) is None:
        raise BadOption(
            f"--sheet: {canvas.text} does not fit on {page.text}", hint="give a larger paper"
        )
    return page


@dataclass(frozen=True, slots=True)
class Grid:
    """How copies lie on a sheet: how many across and down, and whether they are turned by 90°.

    ``gap`` is what lies between two, ``left`` and ``top`` is where the first begins, in pixels.
    """

    columns: int
    rows: int
    turned: bool
    gap: int
    left: int
    top: int

    @property
    def copies(self) -> int:
        """How many there are."""
        return self.columns * self.rows


def grid_of(page: Canvas, photo: Canvas) -> Grid | None:
    """As many copies of ``photo`` as ``page`` takes, in its middle; None if it takes none.

    Turned where more fit that way. Copies are ``GAP_MM`` apart. Papers that go through an office
    printer (A5 and larger) keep ``OFFICE_EDGE_MM`` free on all sides; photo paper is printed to its
    edge.
    """
    assert page.dpi is not None
    assert page.width_mm is not None
    assert page.height_mm is not None
    dot = page.dpi / MM_PER_INCH
    gap = math.ceil(GAP_MM * dot)
    office = min(page.width_mm, page.height_mm) >= OFFICE_MM
    edge = math.ceil(OFFICE_EDGE_MM * dot) if office else 0
    best: Grid | None = None
    for turned in (False, True):
        width, height = (photo.height, photo.width) if turned else (photo.width, photo.height)
        columns = max(0, page.width - 2 * edge + gap) // (width + gap)
        rows = max(0, page.height - 2 * edge + gap) // (height + gap)
        if columns * rows > (best.copies if best else 0):
            left = (page.width - columns * (width + gap) + gap) // 2
            top = (page.height - rows * (height + gap) + gap) // 2
            best = Grid(columns, rows, turned, gap, left, top)
    return best


def parse_head(text: str | None) -> Head | None:
    """``"70%"``: the head fills so much of the canvas's height; ``"70%,10%"``: with so much above.

    The head is 10 to 100 percent, both together are at most 100. Raises ``BadOption``.
    """
    if text is None:
        return None
    words = str(text).split(",")
    share = parse_percent(words[0], 10)
    top = parse_percent(words[1], 0) if len(words) == 2 else None
    if len(words) > 2 or share is None or (len(words) == 2 and top is None):
        raise BadOption(
            f"--head: {text[:60]!r} is not understood",
            hint="like 70%, or '70%,10%': the head's height, and the room above it",
        )
    if share + (top or 0.0) > 1:
        raise BadOption(
            f"--head: {text!r} is more than the whole canvas", hint="100% at most, added up"
        )
    return Head(share, top)


def _on_paper(width_mm: float, height_mm: float, dpi: float, text: str, name: str) -> Canvas:
    sides = [round(side / MM_PER_INCH * dpi) for side in (width_mm, height_mm)]
    return _checked(Canvas(sides[0], sides[1], dpi, width_mm, height_mm, text), name)


def _checked(canvas: Canvas, name: str) -> Canvas:
    if not (1 <= canvas.width <= MAX_SIDE_PX and 1 <= canvas.height <= MAX_SIDE_PX):
        raise BadOption(
            f"{flag(name)}: {canvas.width} x {canvas.height} pixels are out of range",
            hint=f"1 to {MAX_SIDE_PX} on a side",
        )
    return canvas


def _dpi(word: str, text: str, name: str) -> float:
    found = _DPI.fullmatch(word.lower())
    if found is None or not 10 <= float(found[1]) <= 10_000:
        raise BadOption(
            f"{flag(name)}: {text[:60]!r} has no dpi behind the @", hint="10 to 10000, like @300"
        )
    return float(found[1])


def _no_size(text: str, name: str) -> BadOption:
    like = "10x15cm, 4x6in or a4" if name == "sheet" else "2000x2000 (pixels), 35x45mm or 2x2in"
    return BadOption(
        f"{flag(name)}: {text[:60]!r} is not a size", hint=f"like {like}, also with @300"
    )
