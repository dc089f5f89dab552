"""Words that an option may be, and all options as keyword arguments."""

from __future__ import annotations

from typing import Literal, TypedDict, get_args

Format = Literal["png", "webp", "jpg", "avif", "tiff", "zip", "psd"]
BackendChoice = Literal["auto", "ort", "openvino", "tensorrt"]
DeviceChoice = Literal["auto", "cpu", "gpu"]
PrecisionChoice = Literal["auto", "f32", "bf16", "f16", "int8"]
CompressChoice = Literal["fast", "small"]
RefineChoice = Literal["off", "fast", "best"]

#: Fields that take one of a few words.
CHOICES: dict[str, tuple[str, ...]] = {
    "backend": get_args(BackendChoice),
    "device": get_args(DeviceChoice),
    "precision": get_args(PrecisionChoice),
    "format": get_args(Format),
    "compress": get_args(CompressChoice),
    "refine": get_args(RefineChoice),
}


class OptionChanges(TypedDict, total=False):
    """The fields of ``Options`` as keyword arguments; a test keeps the two alike."""

    model: str
    recipe: str | None
    backend: BackendChoice
    device: DeviceChoice
    precision: PrecisionChoice
    commercial_only: bool
    minmax: bool
    refine: RefineChoice
    decontaminate: bool
    threshold: float | None
    binarise: bool
    alpha_matting: str | None
    keep_largest: bool
    min_area: str
    fill_holes: bool
    grow: str
    shrink: str
    feather: str
    background: str | None
    shadow: str | None
    format: Format | None
    layers: bool
    quality: int | None
    compress: CompressChoice
    only_mask: bool
    crop: bool
    margin: str
    scale: str | None
    position: str | None
    canvas: str | None
    head: str | None
    sheet: str | None
    max_side_px: int | None
    max_output_megapixels: float | None
    keep_hidden_rgb: bool
    strip: bool
    recut: bool
    fail_if_empty: bool
    max_megapixels: float
