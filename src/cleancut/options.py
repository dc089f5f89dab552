"""Every knob of a cutout, in one frozen dataclass that validates itself.

The command line's flags, form fields and the cache key are all derived from these fields, so a
knob is stated once. A field's flag is its name with ``-`` for ``_`` and without the unit
(``max_side_px`` is ``--max-side``).
"""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_args

from cleancut.errors import BadOption

Format = Literal["png", "webp", "jpg", "avif", "tiff"]
BackendChoice = Literal["auto", "ort", "openvino"]
DeviceChoice = Literal["auto", "cpu", "gpu"]
PrecisionChoice = Literal["auto", "f32", "bf16", "f16"]
CompressChoice = Literal["fast", "small"]


def _knob(default: Any, help_: str, **extra: Any) -> Any:
    return field(default=default, metadata={"help": help_, **extra})


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a picture is cut out; every value is checked on construction (``BadOption``)."""

    model: str = _knob(
        "auto",
        "model by name, or a path to an .onnx file; auto takes the best one that is pulled",
        metavar="NAME",
    )
    recipe: str | None = _knob(
        None,
        "how to feed an .onnx file given as model, like 'size=320 mean=0.5 std=1'",
        metavar="TEXT",
    )
    backend: BackendChoice = _knob("auto", "runtime; auto takes the one measured to be fastest")
    device: DeviceChoice = _knob("auto", "cpu or gpu; gpu without a usable one is an error")
    precision: PrecisionChoice = _knob("auto", "arithmetic of the network")
    commercial_only: bool = _knob(
        False,
        "refuse models that are not clearly usable commercially",
        env="CLEANCUT_COMMERCIAL_ONLY",
    )
    format: Format | None = _knob(
        None, "output format; without it the output's suffix decides, else png"
    )
    quality: int | None = _knob(
        None, "1 to 100 for webp, jpg and avif (100: webp lossless)", metavar="N"
    )
    compress: CompressChoice = _knob(
        "fast", "png: fast, or small (a tenth to a fifth smaller, ten times slower to write)"
    )
    only_mask: bool = _knob(False, "write the matte as a grey picture")
    background: str | None = _knob(
        None,
        "put the subject on a colour ('#fff', 'white'), an image file, or blur[:radius] ('blur:20' "
        "in pixels, 'blur:2%%' of the longer side)",
        metavar="WHAT",
    )
    crop: bool = _knob(False, "crop to the subject")
    margin: str = _knob(
        "0", "space around the crop, in pixels or percent of the subject ('12' or '5%%')"
    )
    max_side_px: int | None = _knob(
        None, "shrink the output to this longest side, in pixels", metavar="N"
    )
    decontaminate: bool = _knob(True, "remove the old background's colour from soft edges")
    keep_hidden_rgb: bool = _knob(False, "keep the colours under fully transparent pixels")
    minmax: bool = _knob(
        False, "stretch the matte to 0..1 where the model's official recipe does (old rembg look)"
    )
    recut: bool = _knob(False, "run the model even if the picture is already cut out")
    strip: bool = _knob(
        False, "drop EXIF (GPS included) and DPI from the output; colours stay right"
    )
    fail_if_empty: bool = _knob(False, "make a picture without a subject an error")
    max_megapixels: float = _knob(120.0, "refuse larger pictures before decoding them", metavar="N")

    def __post_init__(self) -> None:
        self._check_types()
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            if value not in choices and not (name == "format" and value is None):
                raise BadOption(
                    f"{flag(name)}: {value!r} is not a choice",
                    hint=f"one of: {', '.join(choices)}",
                )
        if not self.model:
            raise BadOption("--model: empty name", hint="run: cleancut models list")
        _number(self.quality, "quality", 1, 100, whole=True)
        _number(self.max_side_px, "max_side_px", 1, 100_000, whole=True)
        _number(self.max_megapixels, "max_megapixels", 0.01, 10_000)
        parse_margin(self.margin)
        background = parse_background(self.background)
        if self.recipe and not self.model.lower().endswith(".onnx"):
            raise BadOption(
                "--recipe needs --model FILE.onnx", hint="catalog models carry their own recipe"
            )
        if self.only_mask and background is not None:
            raise BadOption(
                "--only-mask and --background contradict each other", hint="leave one of them out"
            )

    def _check_types(self) -> None:
        for knob in fields(self):
            value = getattr(self, knob.name)
            if value is None and knob.default is not None:
                raise BadOption(f"{flag(knob.name)}: None is no value", hint="leave it out")
            if knob.name in ("model", "background") and isinstance(value, os.PathLike):
                object.__setattr__(self, knob.name, os.fspath(value))
            elif isinstance(knob.default, bool) and not isinstance(value, bool):
                raise BadOption(f"{flag(knob.name)}: {value!r} is not True or False")
            elif knob.name in _TEXTS and not isinstance(value, str | type(knob.default)):
                raise BadOption(f"{flag(knob.name)}: {value!r} is not text", hint=_TEXTS[knob.name])

    @classmethod
    def from_mapping(cls, values: dict[str, Any]) -> Options:
        """Build from names and values; an unknown name is a ``BadOption``, never ignored."""
        known = {f.name for f in fields(cls)}
        if unknown := set(values) - known:
            name = sorted(unknown)[0]
            raise BadOption(f"unknown option {name!r}", hint=f"known: {', '.join(sorted(known))}")
        return cls(**values)

    def with_(self, **changes: Any) -> Options:
        """A copy with some values changed, validated again."""
        return Options.from_mapping({**asdict(self), **changes}) if changes else replace(self)

    def to_json(self) -> str:
        """Canonical JSON of what differs from the defaults: sorted, compact; part of cache keys."""
        changed = {
            f.name: getattr(self, f.name)
            for f in fields(self)
            if getattr(self, f.name) != f.default
        }
        return json.dumps(changed, sort_keys=True, separators=(",", ":"))


#: Fields that take one of a few words.
CHOICES: dict[str, tuple[str, ...]] = {
    "backend": get_args(BackendChoice),
    "device": get_args(DeviceChoice),
    "precision": get_args(PrecisionChoice),
    "format": get_args(Format),
    "compress": get_args(CompressChoice),
}


#: Fields that hold text, each with what it may look like.
_TEXTS = {
    "model": "a name like 'isnet', or a path to an .onnx file",
    "recipe": "like 'size=320 mean=0.5 std=1'",
    "background": "a colour like '#fff', a path to a picture, or 'blur:20'",
}


def flag(name: str) -> str:
    """The command line's spelling of a field: ``max_side_px`` -> ``--max-side``."""
    return "--" + re.sub(r"_px$", "", name).replace("_", "-")


@dataclass(frozen=True, slots=True)
class Margin:
    """Space around a crop: ``pixels``, or ``share`` of the subject's longer side."""

    pixels: int = 0
    share: float = 0.0


def parse_margin(text: str) -> Margin:
    """``"12"`` or ``"12px"`` is pixels, ``"5%"`` a share of the subject's longer side."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(px|%)?\s*", str(text))
    if not match or float(match[1]) > (1000 if match[2] == "%" else 100_000):
        raise BadOption(f"--margin: {text!r} is not a width", hint="like 12 (pixels) or 5%")
    if match[2] == "%":
        return Margin(share=float(match[1]) / 100)
    return Margin(pixels=round(float(match[1])))


@dataclass(frozen=True, slots=True)
class Background:
    """What a subject is put on: exactly one of these is set.

    ``colour`` is (R, G, B) in 0..255, ``path`` an image file, ``blur_px`` a radius in pixels,
    ``blur_share`` a radius as a share of the picture's longer side.
    """

    colour: tuple[int, int, int] | None = None
    path: str | None = None
    blur_px: float | None = None
    blur_share: float | None = None


def parse_background(text: str | None) -> Background | None:
    """Read a background: a CSS colour, an image path, ``blur``, ``blur:20`` (px) or ``blur:2%``."""
    if text is None or text.strip() == "transparent":
        return None
    word = text.strip()
    if re.fullmatch(r"blur(:.*)?", word):
        return _parse_blur(word)
    if (colour := _parse_colour(word)) is not None:
        return Background(colour=colour)
    if word.startswith("#") or not re.search(r"[./\\]", word):
        raise BadOption(
            f"--background: {text!r} is neither a colour, an image file nor blur",
            hint="like white, '#ffcc00', beach.jpg or blur:20",
        )
    return Background(path=word)


def _parse_blur(word: str) -> Background:
    match = re.fullmatch(r"blur(?::(\d+(?:\.\d+)?)(px|%)?)?", word)
    if not match:
        raise BadOption(
            f"--background: {word!r} is not a blur", hint="like blur, blur:20 or blur:2%"
        )
    if match[1] is None:
        return Background(blur_share=0.02)
    radius = float(match[1])
    if not 0 < radius <= (25 if match[2] == "%" else 2000):
        raise BadOption("--background: blur radius out of range", hint="up to 2000 pixels or 25%")
    return Background(blur_share=radius / 100) if match[2] == "%" else Background(blur_px=radius)


def _parse_colour(word: str) -> tuple[int, int, int] | None:
    from PIL import ImageColor  # here, so that options stay importable without third-party code

    try:
        red, green, blue, *alpha = ImageColor.getrgb(word)
    except ValueError:
        return None
    return None if alpha else (red, green, blue)


def _number(
    value: float | None, name: str, low: float, high: float, *, whole: bool = False
) -> None:
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
