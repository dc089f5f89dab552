"""Every knob of a cutout, in one frozen dataclass that validates itself.

The command line's flags, form fields and the cache key are all derived from these fields, so a
knob is stated once. A field's flag is its name with ``-`` for ``_`` and without the unit
(``max_side_px`` is ``--max-side``). Knobs stand in sections, which are the command line's groups
of flags; what their texts mean is read in ``option_values``.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from cleancut.errors import BadOption
from cleancut.option_choices import (
    CHOICES,
    BackendChoice,
    CompressChoice,
    DeviceChoice,
    Format,
    OptionChanges,
    PrecisionChoice,
    RefineChoice,
)
from cleancut.option_rules import check_together
from cleancut.option_sizes import Canvas, Head, parse_canvas, parse_head, parse_sheet
from cleancut.option_values import (
    Area,
    Background,
    Length,
    Margin,
    Margins,
    Placing,
    Shadow,
    check_number,
    flag,
    parse_alpha_matting,
    parse_area,
    parse_background,
    parse_length,
    parse_margin,
    parse_placing,
    parse_shadow,
)
from cleancut.presets import preset_options

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = [
    "CHOICES",
    "SECTIONS",
    "Area",
    "BackendChoice",
    "Background",
    "Canvas",
    "CompressChoice",
    "DeviceChoice",
    "Format",
    "Head",
    "Length",
    "Margin",
    "Margins",
    "OptionChanges",
    "Options",
    "Placing",
    "PrecisionChoice",
    "RefineChoice",
    "Shadow",
    "flag",
    "parse_alpha_matting",
    "parse_area",
    "parse_background",
    "parse_canvas",
    "parse_head",
    "parse_length",
    "parse_margin",
    "parse_placing",
    "parse_shadow",
    "parse_sheet",
]

#: Sections of knobs in the order of the command line's help, each with what it is about.
SECTIONS = {
    "model": "which network, and where it runs",
    "edges": "the matte's edge, in this order: binarise, alpha matting, threshold, islands, holes, "
    "grow or shrink, feather",
    "background": "what the subject stands on",
    "page": "an output of exact size: shops' pictures, ID photos, print sheets",
    "output": "what is written",
    "input": "which pictures are taken, and when to give up",
}


def _knob(section: str, default: Any, help_: str, **extra: Any) -> Any:
    return field(default=default, metadata={"section": section, "help": help_, **extra})


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a picture is cut out; every value is checked on construction (``BadOption``)."""

    model: str = _knob(
        "model",
        "auto",
        "model by name, or a path to an .onnx file; auto takes the best one that is pulled",
        metavar="NAME",
    )
    recipe: str | None = _knob(
        "model",
        None,
        "how to feed an .onnx file given as model, like 'size=320 mean=0.5 std=1'",
        metavar="TEXT",
    )
    backend: BackendChoice = _knob(
        "model",
        "auto",
        "runtime; auto takes the one measured to be fastest, tensorrt builds an engine for minutes",
    )
    device: DeviceChoice = _knob(
        "model", "auto", "cpu or gpu; gpu without a usable one is an error"
    )
    precision: PrecisionChoice = _knob(
        "model",
        "auto",
        "arithmetic of the network; int8 needs a copy made by: cleancut models optimize",
    )
    commercial_only: bool = _knob(
        "model",
        False,
        "refuse models that are not clearly usable commercially",
        env="CLEANCUT_COMMERCIAL_ONLY",
    )
    minmax: bool = _knob(
        "model",
        False,
        "stretch the matte to 0..1 where the model's official recipe does (old rembg look)",
    )
    refine: RefineChoice = _knob(
        "edges",
        "fast",
        "how the edge is brought to full size: off, fast, or best (hair strand by strand, slower)",
    )
    decontaminate: bool = _knob("edges", True, "remove the old background's colour from soft edges")
    threshold: float | None = _knob(
        "edges",
        None,
        "yes-or-no mask at this level, 0.01 to 0.99; with --feather its contour without stairs",
        metavar="LEVEL",
    )
    binarise: bool = _knob(
        "edges", False, "yes-or-no mask without specks, its contour smoothed (rembg's -ppm)"
    )
    alpha_matting: str | None = _knob(
        "edges",
        None,
        "solve again what lies between two levels of the matte and within so many pixels of them, "
        "from the colours around it ('240,10,10', rembg's -a with -af, -ab and -ae)",
        metavar="LEVELS",
    )
    keep_largest: bool = _knob("edges", False, "keep the largest object only, with its hair")
    min_area: str = _knob(
        "edges",
        "0",
        "remove islands smaller than this, in pixels or percent of the picture ('400', '0.1%%')",
        metavar="AREA",
    )
    fill_holes: bool = _knob("edges", False, "make holes inside the subject opaque")
    grow: str = _knob(
        "edges",
        "0",
        "move the edge outwards, in pixels or percent of the subject ('1.5', '0.5%%'); "
        "strands of hair stay thin",
        metavar="WIDTH",
    )
    shrink: str = _knob(
        "edges", "0", "move the edge inwards, likewise; strands of hair stay", metavar="WIDTH"
    )
    feather: str = _knob(
        "edges",
        "0",
        "fade the edge out over this width, likewise, on its inner side, so without a halo",
        metavar="WIDTH",
    )
    background: str | None = _knob(
        "background",
        None,
        "put the subject on a colour ('#fff', 'white', '#ffffff80'), an image file, or "
        "blur[:radius] ('blur:20' in pixels, 'blur:2%%' of the longer side)",
        metavar="WHAT",
    )
    shadow: str | None = _knob(
        "background",
        None,
        "keep: take the subject's own shadow along, from plain backgrounds; drop: cast one, "
        "drop:OPACITY,ANGLE,BLUR[,DISTANCE] ('drop:40,135,2%%' is drop: 40 percent, light from "
        "the upper left, 90 from above; widths in pixels or percent of the subject)",
        metavar="WHAT",
    )
    canvas: str | None = _knob(
        "page",
        None,
        "make the output exactly this large: '2000x2000' (pixels), '35x45mm', '2x2in', with @DPI "
        "behind it (else 300 on paper); all that is kept is fitted into it, or with --scale the "
        "subject",
        metavar="SIZE",
    )
    head: str | None = _knob(
        "page",
        None,
        "make the head, from crown to chin, so high a share of the canvas, with so much room above "
        "it if a second value is given ('70%%', '70%%,10%%'); needs exactly one person",
        metavar="SHARE",
    )
    sheet: str | None = _knob(
        "page",
        None,
        "repeat the canvas on paper of this size, with cut marks: '10x15cm', '4x6in', a4",
        metavar="SIZE",
    )
    format: Format | None = _knob(
        "output",
        None,
        "output format; without it the output's suffix decides, else png; zip holds color.jpg "
        "and alpha.png, psd layers with the matte as a mask",
    )
    layers: bool = _knob(
        "output",
        False,
        "tiff with the layers that a psd has, which Photoshop opens, and with pages for others",
    )
    quality: int | None = _knob(
        "output", None, "1 to 100 for webp, jpg, avif and zip (100: webp lossless)", metavar="N"
    )
    compress: CompressChoice = _knob(
        "output",
        "fast",
        "png and webp: fast, or small (up to a fifth smaller, up to ten times slower to write)",
    )
    only_mask: bool = _knob("output", False, "write the matte as a grey picture")
    crop: bool = _knob("output", False, "crop to the subject")
    margin: str = _knob(
        "output",
        "0",
        "space around the crop, in pixels or percent of the subject ('12' or '5%%'); two values "
        "are top and bottom, left and right, four are top, right, bottom, left ('5%% 12')",
    )
    scale: str | None = _knob(
        "output",
        None,
        "resize the subject so that it fits into this share of the frame, 10%% to 100%%, in its "
        "centre unless --position says otherwise",
        metavar="SHARE",
    )
    position: str | None = _knob(
        "output",
        None,
        "where the subject goes in the frame: original, center, or percent from the left and the "
        "top ('30%%', '30%% 70%%'; 0%% and 100%% touch the frame)",
        metavar="PLACE",
    )
    max_side_px: int | None = _knob(
        "output", None, "shrink the output to this longest side, in pixels", metavar="N"
    )
    max_output_megapixels: float | None = _knob(
        "output", None, "shrink the output to at most so many megapixels", metavar="N"
    )
    keep_hidden_rgb: bool = _knob(
        "output", False, "keep the colours under fully transparent pixels"
    )
    strip: bool = _knob(
        "output", False, "drop EXIF (GPS included) and DPI from the output; colours stay right"
    )
    recut: bool = _knob("input", False, "run the model even if the picture is already cut out")
    fail_if_empty: bool = _knob("input", False, "make a picture without a subject an error")
    max_megapixels: float = _knob(
        "input", 120.0, "refuse larger pictures before decoding them", metavar="N"
    )

    def __post_init__(self) -> None:
        self._check_types()
        if self.layers and self.format is None:
            object.__setattr__(self, "format", "tiff")  # no other format is asked for them
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            if value not in choices and not (name == "format" and value is None):
                raise BadOption(
                    f"{flag(name)}: {value!r} is not a choice",
                    hint=f"one of: {', '.join(choices)}",
                )
        if not self.model:
            raise BadOption("--model: empty name", hint="run: cleancut models list")
        check_number(self.quality, "quality", 1, 100, whole=True)
        check_number(self.max_side_px, "max_side_px", 1, 100_000, whole=True)
        check_number(self.max_output_megapixels, "max_output_megapixels", 0.0001, 10_000)
        check_number(self.max_megapixels, "max_megapixels", 0.01, 10_000)
        check_number(self.threshold, "threshold", 0.01, 0.99)
        parse_margin(self.margin)
        parse_alpha_matting(self.alpha_matting)
        parse_placing(self.scale, self.position)
        parse_area(self.min_area, "min_area")
        parse_length(self.feather, "feather")
        check_together({knob.name: getattr(self, knob.name) for knob in fields(self)})

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

    @classmethod
    def of_preset(cls, name: str, **changes: Unpack[OptionChanges]) -> Options:
        """The options that a preset stands for, some of them changed; ``BadOption`` if unknown.

        ``name`` is one of ``cleancut presets``, or several joined by a plus ("us+4x6in").
        """
        return cls.from_mapping({**preset_options(name), **changes})

    def with_(self, **changes: Any) -> Options:
        """A copy with some values changed, validated again."""
        return Options.from_mapping({**asdict(self), **changes}) if changes else replace(self)

    @property
    def is_layered(self) -> bool:
        """Whether the output holds layers: the picture as it was, and what stands behind."""
        return self.format == "psd" or self.layers

    @property
    def changes_edges(self) -> bool:
        """Whether any of the knobs that change the matte's edge is on."""
        widths = (parse_length(getattr(self, name), name) for name in ("grow", "shrink", "feather"))
        return bool(
            self.threshold is not None
            or self.binarise
            or self.alpha_matting is not None
            or self.keep_largest
            or self.fill_holes
            or parse_area(self.min_area, "min_area").positive
            or any(width.positive for width in widths)
        )

    def to_json(self) -> str:
        """Canonical JSON of what differs from the defaults: sorted, compact; part of cache keys."""
        changed = {
            f.name: getattr(self, f.name)
            for f in fields(self)
            if getattr(self, f.name) != f.default
        }
        return json.dumps(changed, sort_keys=True, separators=(",", ":"))


#: Fields that hold text, each with what it may look like.
_TEXTS = {
    "model": "a name like 'isnet', or a path to an .onnx file",
    "recipe": "like 'size=320 mean=0.5 std=1'",
    "background": "a colour like '#fff', a path to a picture, or 'blur:20'",
    "alpha_matting": "like '240,10,10'",
    "shadow": "'keep', 'drop' or 'drop:40,135,2%'",
    "scale": "like '80%'",
    "position": "'center', '30%' or '30% 70%'",
    "canvas": "'2000x2000', '35x45mm' or '2x2in'",
    "head": "'70%' or '70%,10%'",
    "sheet": "'10x15cm', '4x6in' or 'a4'",
}
