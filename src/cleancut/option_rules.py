"""Which options need each other, and which contradict each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cleancut.errors import BadOption, ImageTooLarge
from cleancut.option_sizes import LEAST_MEGAPIXELS, parse_canvas, parse_head, parse_sheet
from cleancut.option_values import flag, parse_background, parse_length, parse_shadow


def check_together(values: Mapping[str, Any]) -> None:
    """Raise ``BadOption`` where options, by name, do not go together; ``ImageTooLarge``.

    The texts of widths, places, backgrounds, shadows and sizes are read on the way.
    """
    grow, shrink = (parse_length(values[name], name) for name in ("grow", "shrink"))
    if grow.positive and shrink.positive:
        raise _contradiction("--grow", "--shrink")
    if values["recipe"] and not values["model"].lower().endswith(".onnx"):
        raise BadOption(
            "--recipe needs --model FILE.onnx", hint="catalog models carry their own recipe"
        )
    shown = {
        "--background": parse_background(values["background"]),
        "--shadow": parse_shadow(values["shadow"]),
        **_packed(values),
    }
    if values["layers"] and values["format"] != "tiff":
        raise _contradiction("--layers", f"--format {values['format']}")
    if values["only_mask"]:
        _refuse("--only-mask", shown)
    _check_page(values)


def _check_page(values: Mapping[str, Any]) -> None:
    """What an output of exact size needs, and what it cannot go with."""
    canvas = parse_canvas(values["canvas"])
    head = parse_head(values["head"])
    sheet = parse_sheet(values["sheet"], canvas)
    if canvas is None:
        if head is not None:
            raise BadOption("--head needs --canvas", hint="like --canvas 35x45mm")
        return
    _refuse("--canvas", _set(values, "max_side_px", "max_output_megapixels"))
    if head is not None:
        _refuse("--head", _set(values, "crop", "scale", "position"))
    if sheet is not None:
        _refuse("--sheet", {**_set(values, "only_mask"), **_packed(values)})
    largest = max(values["max_megapixels"], LEAST_MEGAPIXELS)
    for name, page in (("canvas", canvas), ("sheet", sheet)):
        if page is not None and page.megapixels > largest:
            raise ImageTooLarge(
                f"{flag(name)}: {page.width} x {page.height} pixels are more than the limit of "
                f"{largest:g} megapixels",
                hint="give a smaller size, or fewer dpi",
            )


def _set(values: Mapping[str, Any], *names: str) -> dict[str, object]:
    """Flags of the options among ``names`` that are on, with their values."""
    return {flag(name): values[name] for name in names if values[name] not in (None, False)}


def _packed(values: Mapping[str, Any]) -> dict[str, object]:
    """The format, if it holds more than one picture."""
    kind = values["format"]
    packed = {f"--format {kind}": kind} if kind in ("zip", "psd") else {}
    return {**packed, **_set(values, "layers")}


def _refuse(name: str, others: Mapping[str, object]) -> None:
    for other, value in others.items():
        if value is not None:
            raise _contradiction(name, other)


def _contradiction(one: str, other: str) -> BadOption:
    return BadOption(f"{one} and {other} contradict each other", hint="leave one of them out")
