"""A decoded picture with what must survive into the output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cleancut.arrays import Alpha, Rgb

#: Notes on what decoding left out.
FIRST_FRAME = "first_frame: the file holds several pictures, and the first one was taken"
ICC_IGNORED = "icc_ignored: the colour profile is broken or of another kind, and was left out"


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """Pixels at decoded depth, upright, in the colour space of ``icc``.

    ``rgb`` is (H, W, 3) uint8 or uint16. ``alpha`` is the picture's own transparency, (H, W)
    float32 in [0, 1], or None for an opaque picture. ``icc`` is an RGB profile (None means sRGB).
    ``exif`` is a TIFF-structured block with the orientation reset to 1, ``dpi`` is (x, y) in
    pixels per inch. ``format`` is the source's name in lower case ("jpeg", "png", "array").
    ``notes`` are what a user may want to know about decoding.
    """

    rgb: Rgb
    alpha: Alpha | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None
    format: str = "array"
    notes: tuple[str, ...] = ()

    @property
    def height(self) -> int:
        """Rows of pixels."""
        return int(self.rgb.shape[0])

    @property
    def width(self) -> int:
        """Columns of pixels."""
        return int(self.rgb.shape[1])

    @property
    def is_16_bit(self) -> bool:
        """Whether the pixels are uint16."""
        return self.rgb.dtype.itemsize == 2
