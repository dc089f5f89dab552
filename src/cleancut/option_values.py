"""What the texts in ``Options`` mean: widths, areas, margins, places, backgrounds and shadows.

Every reader takes the text a user wrote and returns a frozen value, or raises ``BadOption`` with an
example of what could stand there. Nothing here imports more than the standard library.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from cleancut.colours import parse_colour
from cleancut.errors import BadOption

#: A number without a sign, with ``px``, ``%`` or nothing behind it.
_MEASURE = re.compile(r"\s*(\d{1,9}(?:\.\d{1,9})?|\.\d{1,9})\s*(px|%)?\s*", re.ASCII)


def flag(name: str) -> str:
    """The command line's spelling of a field: ``max_side_px`` -> ``--max-side``."""
    return "--" + re.sub(r"_px$", "", name).replace("_", "-")


@dataclass(frozen=True, slots=True)
class Length:
    """A width on the picture: ``px`` pixels, or ``share`` of the subject's longer side."""

    px: float = 0.0
    share: float = 0.0

    @property
    def positive(self) -> bool:
        """Whether it is more than nothing."""
        return self.px > 0 or self.share > 0

    def pixels(self, longer_side: float) -> float:
        """The width in pixels where the subject's longer side is ``longer_side`` pixels."""
        return self.px + self.share * longer_side


def parse_length(text: str, name: str) -> Length:
    """``"1.5"`` or ``"1.5px"`` is pixels (to 1000), ``"0.5%"`` a share of the subject (to 25 %).

    ``name`` is the field that an error names.
    """
    found = _measure(text)
    if found is None or found[0] > (25 if found[1] else 1000):
        raise BadOption(
            f"{flag(name)}: {text!r} is not a width", hint="like 2 or 1.5 (pixels, to 1000) or 0.5%"
        )
    return Length(share=found[0] / 100) if found[1] else Length(px=found[0])


@dataclass(frozen=True, slots=True)
class Area:
    """An area on the picture: ``px`` pixels, or ``share`` of all the picture's pixels."""

    px: float = 0.0
    share: float = 0.0

    @property
    def positive(self) -> bool:
        """Whether it is more than nothing."""
        return self.px > 0 or self.share > 0

    def pixels(self, height: int, width: int) -> float:
        """The area in pixels of a picture of ``height`` x ``width``."""
        return self.px + self.share * height * width


def parse_area(text: str, name: str) -> Area:
    """``"400"`` or ``"400px"`` is pixels, ``"0.1%"`` a share of the picture."""
    found = _measure(text)
    if found is None or (found[1] and found[0] > 100):
        raise BadOption(f"{flag(name)}: {text!r} is not an area", hint="like 400 (pixels) or 0.1%")
    return Area(share=found[0] / 100) if found[1] else Area(px=found[0])


@dataclass(frozen=True, slots=True)
class Margin:
    """Space around a crop: ``pixels``, or ``share`` of the subject's longer side."""

    pixels: int = 0
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Margins:
    """Space around a crop, side by side."""

    top: Margin = Margin()
    right: Margin = Margin()
    bottom: Margin = Margin()
    left: Margin = Margin()

    @classmethod
    def even(cls, margin: Margin) -> Margins:
        """The same on all four sides."""
        return cls(margin, margin, margin, margin)


def parse_margin(text: str) -> Margins:
    """``"12"`` or ``"12px"`` is pixels, ``"5%"`` a share of the subject's longer side.

    One value is for all sides, two are top and bottom, left and right; four are top, right, bottom,
    left.
    """
    words = str(text).split()
    if len(words) == 2 and words[1] in ("px", "%"):  # "12 px"
        words = ["".join(words)]
    sides = [_margin(word, text) for word in words]
    if len(sides) == 1:
        return Margins.even(sides[0])
    if len(sides) == 2:
        return Margins(sides[0], sides[1], sides[0], sides[1])
    if len(sides) == 4:
        return Margins(*sides)
    raise BadOption(
        f"--margin: {text!r} are {len(sides)} values",
        hint="give 1, 2 (top and bottom, left and right) or 4 (top, right, bottom, left)",
    )


def _margin(word: str, text: str) -> Margin:
    found = _measure(word)
    if found is None or found[0] > (1000 if found[1] else 100_000):
        raise BadOption(f"--margin: {text!r} is not a width", hint="like 12 (pixels) or 5%")
    return Margin(share=found[0] / 100) if found[1] else Margin(pixels=round(found[0]))


@dataclass(frozen=True, slots=True)
class Placing:
    """Where the subject goes in the frame, and how large.

    ``scale`` is the share of the frame that its box fits into, None for its own size. ``x`` and
    ``y`` are the shares of the free room that come left of it and above it; None where its centre
    stays where it is, as far as it then fits.
    """

    scale: float | None = None
    x: float | None = None
    y: float | None = None


def parse_placing(scale: str | None, position: str | None) -> Placing | None:
    """What ``"80%"`` and ``"30% 70%"`` mean; None where the subject stays as it is.

    ``scale`` is ``original`` or 10 to 100 percent; ``position`` is ``original``, ``center``, or one
    or two values of 0 to 100 percent, horizontally and vertically. Who scales puts it in the
    centre, unless a position is given.
    """
    share = None if scale in (None, "original") else parse_percent(scale, 10)
    if share is None and scale not in (None, "original"):
        raise BadOption(f"--scale: {scale!r} is not a scale", hint="original, or 10% to 100%")
    words = ("center" if share else "original") if position is None else str(position)
    if words.strip() == "original":
        return Placing(share) if share else None
    places = [0.5 if word == "center" else parse_percent(word, 0) for word in words.split()]
    if not 1 <= len(places) <= 2 or None in places:
        raise BadOption(
            f"--position: {position!r} is not a position",
            hint="original, center, or like 30% or '30% 70%' (horizontally, vertically)",
        )
    return Placing(share, places[0], places[-1])


def parse_percent(word: str | None, least: float) -> float | None:
    """The share that ``"80%"`` means; None where it is no percent from ``least`` to 100."""
    found = _measure(word or "")
    if found is None or not found[1] or not least <= found[0] <= 100:
        return None
    return found[0] / 100


@dataclass(frozen=True, slots=True)
class AlphaMatting:
    """Which part of a matte is solved again: 8-bit levels, and ``erode`` in pixels."""

    foreground: int = 240
    background: int = 10
    erode: int = 10


def parse_alpha_matting(text: str | None) -> AlphaMatting | None:
    """``"240,10,10"``: above is subject, below is background, less so many pixels of each.

    Levels are 0 to 255, pixels 0 to 1000.
    """
    if text is None:
        return None
    words = str(text).split(",")
    numbers = [int(w) for w in words if re.fullmatch(r"\s*\d{1,4}\s*", w, re.ASCII)]
    if not len(numbers) == len(words) == 3 or max(numbers[:2]) > 255 or numbers[2] > 1000:
        raise BadOption(
            f"--alpha-matting: {text!r} is not understood",
            hint="like 240,10,10: subject above, background below (0 to 255), pixels (to 1000)",
        )
    return AlphaMatting(*numbers)


@dataclass(frozen=True, slots=True)
class Background:
    """What a subject is put on: exactly one of these is set.

    ``colour`` is (R, G, B) in 0..255, ``path`` an image file, ``blur_px`` a radius in pixels,
    ``blur_share`` a radius as a share of the picture's longer side. ``opacity`` (0..1) is that of
    the colour.
    """

    colour: tuple[int, int, int] | None = None
    path: str | None = None
    blur_px: float | None = None
    blur_share: float | None = None
    opacity: float = 1.0


def parse_background(text: str | None) -> Background | None:
    """Read a background: a CSS colour, an image path, ``blur``, ``blur:20`` (px) or ``blur:2%``."""
    if text is None or text.strip() == "transparent":
        return None
    word = text.strip()
    if re.fullmatch(r"blur(:.*)?", word):
        return _parse_blur(word)
    if (colour := parse_colour(word)) is not None:
        return Background(colour=colour[:3], opacity=colour[3] / 255)
    if word.startswith("#") or not re.search(r"[./\\]", word):
        raise BadOption(
            f"--background: {text!r} is neither a colour, an image file nor blur",
            hint="like white, '#ffcc00', beach.jpg or blur:20",
        )
    return Background(path=word)


def _parse_blur(word: str) -> Background:
    if word == "blur":
        return Background(blur_share=0.02)
    found = _measure(word.removeprefix("blur:"))
    if found is None:
        raise BadOption(
            f"--background: {word!r} is not a blur", hint="like blur, blur:20 or blur:2%"
        )
    radius, percent = found
    if not 0 < radius <= (25 if percent else 2000):
        raise BadOption("--background: blur radius out of range", hint="up to 2000 pixels or 25%")
    return Background(blur_share=radius / 100) if percent else Background(blur_px=radius)


@dataclass(frozen=True, slots=True)
class Shadow:
    """What becomes of the shadow: ``keep`` the picture's own, or ``drop`` a made one.

    The rest describes a made one: ``opacity`` in 0..1; ``angle_deg`` is where the light comes from,
    counter-clockwise from the right (90 above, 135 upper left); ``blur`` is the width over which
    the edge fades, ``distance`` how far the shadow is moved.
    """

    kind: Literal["keep", "drop"]
    opacity: float = 0.4
    angle_deg: float = 135.0
    blur: Length = Length(share=0.02)
    distance: Length = Length(share=0.02)


def parse_shadow(text: str | None) -> Shadow | None:
    """Read ``keep``, ``drop`` or ``drop:OPACITY,ANGLE,BLUR,DISTANCE``.

    Opacity is in percent, the angle in degrees, blur and distance like ``"12"`` or ``"2%"``. Values
    may be left out from the right; the distance is the blur's width where only that is given.
    """
    if text is None:
        return None
    kind, colon, rest = text.strip().partition(":")
    if kind in ("keep", "drop") and not colon:
        return Shadow(kind="keep" if kind == "keep" else "drop")
    words = [word.strip() for word in rest.split(",")]
    if kind != "drop" or not 1 <= len(words) <= 4:
        raise _no_shadow(text)
    opacity = _measure(words[0])
    if opacity is None or opacity[0] > 100 or words[0].endswith("px"):
        raise _no_shadow(text, "the opacity is 0 to 100 percent")
    shadow = Shadow(kind="drop", opacity=opacity[0] / 100)
    angle = _angle(words[1]) if len(words) > 1 else shadow.angle_deg
    if angle is None:
        raise _no_shadow(text, "the angle is -360 to 360 degrees")
    blur = parse_length(words[2], "shadow") if len(words) > 2 else shadow.blur
    distance = parse_length(words[3], "shadow") if len(words) > 3 else blur
    return Shadow("drop", shadow.opacity, angle, blur, distance)


def _angle(word: str) -> float | None:
    if not re.fullmatch(r"[+-]?\d{1,3}(\.\d{1,6})?", word, re.ASCII):
        return None
    value = float(word)
    return value if math.fabs(value) <= 360 else None


def _no_shadow(text: str, why: str = "") -> BadOption:
    reason = f"; {why}" if why else ""
    return BadOption(
        f"--shadow: {text!r} is not a shadow{reason}", hint="like keep, drop or drop:40,135,2%"
    )


def _measure(text: str) -> tuple[float, bool] | None:
    """The number, and whether it is percent."""
    match = _MEASURE.fullmatch(str(text))
    return (float(match[1]), match[2] == "%") if match else None


def check_number(
    value: float | None, name: str, low: float, high: float, *, whole: bool = False
) -> None:
    """Raise ``BadOption`` unless ``value`` is None or a number from ``low`` to ``high``."""
    if value is None:
        return
    kinds = int if whole else int | float
    if isinstance(value, bool) or not isinstance(value, kinds) or not math.isfinite(value):
        raise BadOption(
            f"{flag(name)}: {value!r} is not a {'whole ' if whole else ''}number",
            hint=f"{low:g} to {high:g}",
        )
    if not low <= value <= high:
        raise BadOption(f"{flag(name)}: {value:g} is out of range", hint=f"{low:g} to {high:g}")
