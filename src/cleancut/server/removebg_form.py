"""The fields of remove.bg's API v1.0: read, checked in its own terms, and turned into options."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cleancut.errors import BadOption
from cleancut.option_values import parse_background, parse_placing
from cleancut.options import Options
from cleancut.server.removebg_faults import Refused, shown

#: Megapixels of the result at most, by ``size``; the second half are older names.
SIZES: dict[str, float] = {
    "preview": 0.25,
    "full": 25.0,
    "50MP": 50.0,
    "auto": 25.0,
    "small": 0.25,
    "regular": 0.25,
    "medium": 1.5,
    "hd": 4.0,
    "4k": 25.0,
}
TYPES = ("auto", "person", "product", "car", "animal", "graphic", "transportation")
TYPE_LEVELS = ("1", "2", "latest", "none")
FORMATS = ("auto", "png", "jpg", "webp", "zip")
CHANNELS = ("rgba", "alpha")
SHADOWS = ("none", "auto", "car", "3D", "drop")
#: Which shadow ``auto`` is, by type.
AUTO_SHADOW = {
    "car": "car",
    "product": "drop",
    "person": "3D",
    "animal": "drop",
    "transportation": "3D",
    "graphic": "drop",
    "other": "drop",
}
#: Shadows as the library makes them: light from above and close to the ground under a car, from
#: the upper left and further away for the others ("angle, blur, distance").
_SHADOW_LIGHT = {"car": "90,3%,1%", "3D": "120,5%,5%", "drop": "135,2%,2%"}
#: What type 1 calls by name; the rest is "other".
_COARSE = ("person", "product", "animal", "car")

_SHARE = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)(px|%)?", re.ASCII)
_MOST_MARGIN = {"px": 500.0, "%": 50.0}
_HEX = re.compile(r"[0-9a-fA-F]{3,8}", re.ASCII)

Unit = Literal["px", "%"]
Measure = tuple[float, Unit]


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What a request asks for, checked; ``options`` and ``guidance`` say it in our words."""

    megapixels: float
    type: str
    type_level: str
    format: str
    channels: str
    roi: tuple[Measure, Measure, Measure, Measure] | None
    crop: bool
    crop_margin: str
    scale: str | None
    position: str | None
    shadow: str | None
    bg_color: str | None

    def options(self, defaults: Options, background: Path | None = None) -> Options:
        """The options of the cutout; what remove.bg has no field for is as in ``defaults``."""
        mask = self.channels == "alpha" and self.format != "zip"
        behind = str(background) if background is not None else self.bg_color
        changes: dict[str, Any] = {
            "format": self._format(behind, mask=mask),
            "only_mask": mask,
            "crop": self.crop,
            "margin": self.crop_margin if self.crop else "0",
            "scale": self.scale,
            "position": self.position,
            "max_output_megapixels": self.megapixels,
            "max_side_px": None,
            "shadow": None if mask else self.shadow,
            "background": None if mask else behind,
            "fail_if_empty": True,
        }
        return defaults.with_(**changes)

    def guidance(self) -> dict[str, str]:
        """Guidance for the engine: the region of interest, where one was given."""
        if self.roi is None:
            return {}
        words = (f"{value:f}".rstrip("0").rstrip(".") + unit for value, unit in self.roi)
        return {"roi": ",".join(words)}

    def check_roi(self, size: tuple[int, int]) -> None:
        """Raise ``Refused`` where the region leaves a picture of ``size`` (width, height)."""
        if self.roi is None:
            return
        ends = [
            value if unit == "px" else value / 100 * size[at % 2]
            for at, (value, unit) in enumerate(self.roi)
        ]
        if any(end > size[at % 2] + 1e-6 for at, end in enumerate(ends)):
            raise Refused(
                "roi_exceeds_bounds",
                f"The region of interest leaves the image, which has {size[0]}x{size[1]} pixels.",
            )
        if ends[0] >= ends[2] or ends[1] >= ends[3]:
            raise Refused("roi_region_empty", "The region of interest has no area.")

    def kind(self, *, is_person: bool) -> str | None:
        """What ``X-Type`` says: the type that was asked for, or what the networks can tell."""
        if self.type_level == "none":
            return None
        found = ("person" if is_person else "other") if self.type == "auto" else self.type
        if self.type_level == "1":
            return found if found in _COARSE else "other"
        return "graphics" if found == "graphic" else found

    def _format(self, behind: str | None, *, mask: bool) -> str:
        if self.format != "auto":
            return self.format
        if mask or behind is None:
            return "png"
        found = parse_background(behind)
        opaque = found is None or getattr(found, "opacity", 1.0) >= 1
        return "jpg" if opaque else "png"


def read_form(fields: Mapping[str, str]) -> Form:
    """Read and check the fields of a request. Raises ``Refused``; unknown fields are ignored."""
    kind = _choice(fields, "type", TYPES)
    _flag(fields, "semitransparency", default=True)
    size = _value(fields, "size", "preview")
    if size not in SIZES:
        raise _invalid("size", size, f"Use one of: {', '.join(SIZES)}.")
    scale, position = _value(fields, "scale", None), _value(fields, "position", None)
    _check_placing(scale, position)
    margin = _value(fields, "crop_margin", "0")
    _check_margin(margin)
    return Form(
        megapixels=SIZES[size],
        type=kind,
        type_level=_choice(fields, "type_level", TYPE_LEVELS),
        format=_choice(fields, "format", FORMATS),
        channels=_choice(fields, "channels", CHANNELS),
        roi=_roi(_value(fields, "roi", None)),
        crop=_flag(fields, "crop", default=False),
        crop_margin=margin,
        scale=None if scale == "original" else scale,
        position=None if position == "original" and scale in (None, "original") else position,
        shadow=_shadow(fields, kind),
        bg_color=_colour(_value(fields, "bg_color", None)),
    )


def _value(fields: Mapping[str, str], name: str, default: Any) -> Any:
    value = fields.get(name, "").strip()
    return value or default


def _invalid(name: str, value: str, detail: str) -> Refused:
    return Refused(f"invalid_{name}", f"{shown(value)} is not a valid value for {name}. {detail}")


def _choice(fields: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    value: str = _value(fields, name, choices[0])
    if value not in choices:
        raise _invalid(name, value, f"Use one of: {', '.join(choices)}.")
    return value


def _flag(fields: Mapping[str, str], name: str, *, default: bool) -> bool:
    value: str = _value(fields, name, "true" if default else "false").lower()
    if value not in ("true", "false", "1", "0"):
        raise _invalid(name, value, "Use true or false.")
    return value in ("true", "1")


def _measure(word: str) -> Measure | None:
    match = _SHARE.fullmatch(word)
    return (float(match[1]), "%" if match[2] == "%" else "px") if match else None


def _roi(value: str | None) -> tuple[Measure, Measure, Measure, Measure] | None:
    """``x1 y1 x2 y2``; None for the whole picture."""
    if value is None:
        return None
    found = [_measure(word) for word in value.split()]
    hint = "Give x1 y1 x2 y2, each in px or %, like '10% 10% 90% 90%'."
    if len(found) != 4:
        raise _invalid("roi", value, hint)
    left, top, right, bottom = found
    if left is None or top is None or right is None or bottom is None:
        raise _invalid("roi", value, hint)
    if any(unit == "%" and number > 100 for number, unit in (left, top, right, bottom)):
        raise Refused("roi_exceeds_bounds", "The region of interest goes beyond 100%.")
    for low, high in ((left, right), (top, bottom)):
        if low[1] == high[1] and low[0] >= high[0]:
            raise Refused("roi_region_empty", "The region of interest has no area.")
    whole = ((0.0, 100.0), (0.0, 100.0))
    if all(
        low[0] == start and high == (end, "%")
        for (low, high), (start, end) in zip(((left, right), (top, bottom)), whole, strict=True)
    ):
        return None
    return left, top, right, bottom


def _check_margin(value: str) -> None:
    found = [_measure(word) for word in value.split()]
    if len(found) not in (1, 2, 4) or None in found:
        raise _invalid("crop_margin", value, "Give 1, 2 or 4 values in px or %, like '10%'.")
    for measure in found:
        if measure is not None and measure[0] > _MOST_MARGIN[measure[1]]:
            raise _invalid(
                "crop_margin", value, "A margin is at most 50% of the subject, or 500px."
            )


def _check_placing(scale: str | None, position: str | None) -> None:
    try:
        parse_placing(scale, None)
    except BadOption:
        raise _invalid("scale", scale or "", "Use original, or 10% to 100%.") from None
    try:
        parse_placing(None, position)
    except BadOption:
        raise _invalid(
            "position", position or "", "Use original, center, or one or two values like '30% 70%'."
        ) from None


def _shadow(fields: Mapping[str, str], kind: str) -> str | None:
    """The shadow for a subject of type ``kind``, as our option; None for none.

    With ``type=auto`` what the subject is cannot be known before it is cut out: it is "other".
    """
    subject = "other" if kind == "auto" else kind
    wanted = "none"
    if _flag(fields, "add_shadow", default=False) and subject == "car":
        wanted = "car"
    wanted = _by_type(fields, "shadow_type", subject) or wanted
    for value in (wanted, *_all(fields, "shadow_type")):
        if value not in SHADOWS:
            raise _invalid("shadow_type", value, f"Use one of: {', '.join(SHADOWS)}.")
    opacity = _by_type(fields, "shadow_opacity", subject) or "auto"
    for value in (opacity, *_all(fields, "shadow_opacity")):
        level = _measure(value)
        if value != "auto" and (level is None or level[0] > 100 or not value[-1].isdigit()):
            raise _invalid("shadow_opacity", value, "Use auto, or 0 to 100.")
    if wanted == "auto":
        wanted = AUTO_SHADOW[subject]
    if wanted == "none":
        return None
    if opacity == "auto":
        opacity = "90" if wanted == "car" else "50"
    return f"drop:{opacity},{_SHADOW_LIGHT[wanted]}"


def _by_type(fields: Mapping[str, str], name: str, subject: str) -> str | None:
    """The value of ``name[subject]``, else that of ``name``.

    A list is also taken as one text: ``$type=$value`` pairs with commas or spaces between them.
    """
    found: str | None = _value(fields, f"{name}[{subject}]", None)
    return found or _value(fields, name, None)


def _all(fields: Mapping[str, str], name: str) -> list[str]:
    """Every value that was given for ``name``, whatever the type."""
    begin = f"{name}["
    values = []
    for field, value in fields.items():
        if field.startswith(begin) and value.strip():
            if not field.endswith("]") or field[len(begin) : -1] not in AUTO_SHADOW:
                raise _invalid(name, field, f"The types are: {', '.join(AUTO_SHADOW)}.")
            values.append(value.strip())
    return values


def _colour(value: str | None) -> str | None:
    """``bg_color`` as our option: hex digits with or without ``#``, or a colour's name."""
    if value is None:
        return None
    word = f"#{value}" if _HEX.fullmatch(value) and len(value) in (3, 4, 6, 8) else value
    try:
        found = parse_background(word)
    except BadOption:
        found = None
    if found is None or found.colour is None:
        raise _invalid("bg_color", value, "Use a hex code like 81d4fa or 81d4fa77, or a name.")
    return word
