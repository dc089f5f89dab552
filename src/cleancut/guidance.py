"""What the user knows about one picture: trimap, mask, matte, scribbles, points, boxes.

Files, arrays and images stay as they were handed in; points and boxes are read here, from text or
numbers. ``matting.guidance`` turns all of it into arrays of the picture's size.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeAlias

from cleancut.errors import BadOption

if TYPE_CHECKING:
    from os import PathLike

    from numpy.typing import NDArray
    from PIL.Image import Image

    from cleancut.imaging.files import Readable
    from cleancut.imaging.picture import Picture

    #: A path, file bytes, an open file, a PIL image, an array, or a decoded picture.
    Source: TypeAlias = (
        str
        | PathLike[str]
        | bytes
        | bytearray
        | memoryview
        | Readable
        | Image
        | NDArray[Any]
        | Picture
    )
    #: "x,y;x,y", or pairs; a number is pixels, "50%" a share of the width or height
    Points: TypeAlias = str | Sequence[tuple[float | str, float | str]]
    #: "x0,y0,x1,y1", or four values
    Rectangle: TypeAlias = str | tuple[float | str, float | str, float | str, float | str]
    #: left, top, right, bottom in whole pixels, right and bottom exclusive
    Span: TypeAlias = tuple[int, int, int, int]

#: The fields of ``Guidance`` that are pictures of the picture's own size, and of those the ones
#: that take the place of a network.
PICTURES = ("trimap", "mask", "matte", "scribbles")
GIVEN = ("trimap", "mask", "matte")
#: A click is a mark, not a drawing: more of them are a mistake or an attack.
MAX_POINTS = 256

_POINTS_HINT = "like 120,80 or '120,80;40%,55%' (x from the left, y from the top)"
_BOX_HINT = "like 40,30,600,700 or 10%,5%,90%,100% (left, top, right, bottom)"


@dataclass(frozen=True, slots=True)
class Length:
    """A coordinate: ``value`` in pixels, or in percent of the picture's width or height."""

    value: float
    percent: bool = False

    def pixels(self, side: int) -> float:
        """In pixels of a picture whose width or height is ``side``."""
        return self.value / 100 * side if self.percent else self.value

    def __str__(self) -> str:
        return f"{self.value:.15g}{'%' if self.percent else ''}"


Point: TypeAlias = tuple[Length, Length]
Sides: TypeAlias = tuple[Length, Length, Length, Length]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Guidance:
    """What the user says about one picture, in pixels of the upright picture; all of it optional.

    ``trimap`` is white where the subject surely is, black where it is not, grey where the matte is
    to be solved. ``mask`` is a first matte instead of a network's, soft or hard. ``matte`` is a
    finished one, taken as it is. ``scribbles`` is a picture of the same size with green marks on
    what to keep and red ones on what to remove; with a ``matte`` only what they cover changes, and
    blue ones solve it anew.
    ``keep_points`` and ``remove_points`` are "x,y;x,y", ``keep_box`` (the subject lies in it) and
    ``roi`` (look only there) "x0,y0,x1,y1", each number in pixels or percent, or the numbers
    themselves. Points and boxes are checked on construction (``BadOption``), the pictures when
    they are read. Trimap, mask and matte exclude each other.
    """

    trimap: Source | None = None
    mask: Source | None = None
    matte: Source | None = None
    scribbles: Source | None = None
    keep_points: Points | None = None
    remove_points: Points | None = None
    keep_box: Rectangle | None = None
    roi: Rectangle | None = None

    def __post_init__(self) -> None:
        brought = [f"--{name}" for name in GIVEN if getattr(self, name) is not None]
        if len(brought) > 1:
            raise BadOption(
                f"{' and '.join(brought)} contradict each other: each is the whole first matte",
                hint="leave one of them out" if len(brought) == 2 else "give one of them",
            )
        for name in ("keep_points", "remove_points", "keep_box", "roi"):
            if isinstance(value := getattr(self, name), Iterator):  # can be read once only
                object.__setattr__(self, name, tuple(value))
        for name in ("keep_points", "remove_points"):
            parse_points(getattr(self, name), name)
        for name in ("keep_box", "roi"):
            parse_box(getattr(self, name), name)

    def is_empty(self) -> bool:
        """Whether nothing was said at all; an empty sequence of points says nothing."""
        return not (
            any(
                getattr(self, field.name) is not None
                for field in fields(self)
                if not field.name.endswith("_points")
            )
            or parse_points(self.keep_points, "keep_points")
            or parse_points(self.remove_points, "remove_points")
        )


def parse_points(value: Points | None, name: str) -> tuple[Point, ...]:
    """Points of ``"x,y;x,y"`` or of pairs; ``name`` is the field, for errors (``BadOption``)."""
    if value is None:
        return ()
    label = _flag(name)
    if isinstance(value, str):
        pairs: list[Any] = [part.split(",") for part in value.split(";") if part.strip()]
        if not pairs:
            raise BadOption(f"{label}: no point in {value!r}", hint=_POINTS_HINT)
    else:
        pairs = _items(value, label, _POINTS_HINT)
    if len(pairs) > MAX_POINTS:
        raise BadOption(
            f"{label}: {len(pairs)} points, at most {MAX_POINTS} are taken",
            hint="draw a scribble picture instead: --scribbles FILE",
        )
    points = []
    for pair in pairs:
        numbers = _items(pair, label, _POINTS_HINT)
        if len(numbers) != 2:
            raise BadOption(f"{label}: {_told(numbers)} is not a point", hint=_POINTS_HINT)
        x, y = (_length(number, label, _POINTS_HINT) for number in numbers)
        points.append((x, y))
    return tuple(points)


def parse_box(value: Rectangle | None, name: str) -> Sides | None:
    """Sides of ``"x0,y0,x1,y1"`` or of four numbers; ``name`` is the field, for errors."""
    if value is None:
        return None
    label = _flag(name)
    parts = value.split(",") if isinstance(value, str) else _items(value, label, _BOX_HINT)
    if len(parts) != 4:
        raise BadOption(f"{label}: {_told(parts)} is not a box", hint=_BOX_HINT)
    left, top, right, bottom = (_length(part, label, _BOX_HINT) for part in parts)
    for low, high in ((left, right), (top, bottom)):
        if low.percent == high.percent and low.value >= high.value:
            raise BadOption(
                f"{label}: {left},{top},{right},{bottom} has no area",
                hint="give left,top,right,bottom: the third number above the first, "
                "the fourth above the second",
            )
    return left, top, right, bottom


def points_in(
    value: Points | None, name: str, height: int, width: int
) -> tuple[tuple[int, int], ...]:
    """(x, y) of each point in whole pixels; one outside the picture is a ``BadOption``."""
    found = []
    for x, y in parse_points(value, name):
        column, row = x.pixels(width), y.pixels(height)
        if not (0 <= column <= width and 0 <= row <= height):
            raise BadOption(
                f"{_flag(name)}: the point {x},{y} lies outside the picture, "
                f"which is {width} x {height} pixels",
                hint="count from the upper left corner of the upright picture",
            )
        found.append((min(int(column), width - 1), min(int(row), height - 1)))
    return tuple(found)


def box_in(value: Rectangle | None, name: str, height: int, width: int) -> Span | None:
    """The box in whole pixels, cut off at the frame; ``BadOption`` if nothing of it is left."""
    sides = parse_box(value, name)
    if sides is None:
        return None
    left, top = (math.floor(s.pixels(n)) for s, n in zip(sides[:2], (width, height), strict=True))
    right, bottom = (
        math.ceil(s.pixels(n)) for s, n in zip(sides[2:], (width, height), strict=True)
    )
    span = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    if span[0] >= span[2] or span[1] >= span[3]:
        raise BadOption(
            f"{_flag(name)}: {','.join(map(str, sides))} holds no pixel of the picture, "
            f"which is {width} x {height}",
            hint="count from the upper left corner of the upright picture",
        )
    return span


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _items(value: Any, label: str, hint: str) -> list[Any]:
    try:
        items = list(value)
    except TypeError:
        raise BadOption(f"{label}: {value!r} is not understood", hint=hint) from None
    return items


def _told(parts: Sequence[object]) -> str:
    return repr(",".join(str(part).strip() for part in parts)[:60])


def _length(value: object, label: str, hint: str) -> Length:
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(-?\d{1,9}(?:\.\d{1,9})?)\s*(px|%)?\s*", value)
        if match:
            return Length(float(match[1]), match[2] == "%")
    elif not isinstance(value, bool):
        try:
            number = float(value)  # type: ignore[arg-type]  # numpy's numbers too
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if math.isfinite(number):
            return Length(number)
    raise BadOption(f"{label}: {str(value)[:40]!r} is not a number", hint=hint)
