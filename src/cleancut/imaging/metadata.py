"""What a file says about its picture: size, profile, EXIF, resolution, orientation."""

from __future__ import annotations

import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
from numpy.typing import NDArray

from cleancut.errors import ImageTooLarge, UnreadableImage
from cleancut.imaging.exif import RATIONAL, SHORT, fields, is_exif, orientation_in

#: A profile larger than this is not kept: real ones are 0.5 kB to 3 MB.
MAX_ICC_BYTES = 8 << 20
#: EXIF in JPEG ends at 64 kB; PNG, WebP and AVIF set no limit, so we do.
MAX_EXIF_BYTES = 4 << 20

_RESOLUTIONS = (0x011A, 0x011B)
_RESOLUTION_UNIT = 0x0128
_INCH = 2
_warnings_lock = threading.RLock()
_METRES_PER_INCH = 0.0254

_Array = TypeVar("_Array", bound=NDArray[Any])


@dataclass(frozen=True, slots=True)
class Header:
    """What is known before any pixel is decoded.

    ``width`` and ``height`` are those of the stored pixels, before ``orientation`` (EXIF, 1..8)
    is applied. ``bits`` is the depth of one sample, ``channels`` counts the stored samples of a
    pixel. ``exif`` starts with the TIFF header.
    """

    format: str
    width: int
    height: int
    bits: int = 8
    channels: int = 3
    orientation: int = 1
    icc: bytes | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()


@contextmanager
def quiet_warnings() -> Iterator[None]:
    """Keep Pillow's warnings about broken tags from the host, whose filters are process-wide.

    One thread at a time, so that two cannot restore each other's filters.
    """
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def check_size(width: int, height: int, max_megapixels: float) -> None:
    """Raise ``ImageTooLarge`` above ``max_megapixels``, ``UnreadableImage`` for an empty size."""
    if width <= 0 or height <= 0:
        raise UnreadableImage(
            f"the picture is broken: its header says {width} x {height} pixels",
            hint="open it in an image editor and save it again",
        )
    megapixels = width * height / 1e6
    if megapixels > max_megapixels:
        raise ImageTooLarge(
            f"{width} x {height} pixels ({megapixels:.0f} megapixels) is more than the limit of "
            f"{max_megapixels:g} megapixels",
            hint=f"use --max-megapixels {int(megapixels) + 1} if the file can be trusted",
        )


def upright_exif(exif: bytes | None) -> tuple[bytes | None, int]:
    """Split EXIF into (the same block with orientation 1, the orientation it had).

    Only the two bytes of the orientation value change, so that maker notes, which point into the
    block by absolute offset, stay valid. A block that cannot be parsed is dropped: (None, 1).
    """
    if not exif:
        return None, 1
    block = exif.removeprefix(b"Exif\0\0")
    if len(block) > MAX_EXIF_BYTES or not is_exif(block):
        return None, 1
    try:
        found = orientation_in(block)
        if found is None:
            return block, 1
        value, field = found
        patched = bytearray(block)
        struct.pack_into(field.order + "H", patched, field.at, 1)
    except struct.error:
        return None, 1
    return bytes(patched), value if 1 <= value <= 8 else 1


def exif_at(exif: bytes | None, dpi: float) -> bytes | None:
    """The same EXIF block with another resolution, where it states one (EXIF 2.32, 4.6.4 A).

    What cannot be parsed stays as it is.
    """
    if exif is None or not is_exif(exif):
        return exif
    patched = bytearray(exif)
    try:
        for field in fields(exif):
            if field.tag in _RESOLUTIONS and field.kind == RATIONAL and field.count == 1:
                (place,) = struct.unpack_from(field.order + "I", exif, field.at)
                if place < 8:  # the header is there
                    return exif
                struct.pack_into(field.order + "II", patched, place, round(dpi * 100), 100)
            elif field.tag == _RESOLUTION_UNIT and field.kind == SHORT and field.count == 1:
                struct.pack_into(field.order + "H", patched, field.at, _INCH)
    except struct.error:
        return exif
    return bytes(patched)


def orient(pixels: _Array, orientation: int) -> _Array:
    """Turn stored pixels (H, W) or (H, W, C) upright; EXIF 2.32, tag 0x0112."""
    if orientation in (5, 7):
        turned = cv2.transpose(pixels)
        if orientation == 7:
            turned = cv2.rotate(turned, cv2.ROTATE_180)
    elif orientation in (2, 4):
        turned = cv2.flip(pixels, 1 if orientation == 2 else 0)
    elif orientation in (3, 6, 8):
        codes = {3: cv2.ROTATE_180, 6: cv2.ROTATE_90_CLOCKWISE, 8: cv2.ROTATE_90_COUNTERCLOCKWISE}
        turned = cv2.rotate(pixels, codes[orientation])
    else:
        return pixels
    return turned  # type: ignore[return-value]


def per_inch(x: float, y: float, *, unit: str) -> tuple[float, float] | None:
    """Resolution in pixels per inch from a density per "inch", "cm" or "metre"; None if absurd."""
    scale = {"inch": 1.0, "cm": 2.54, "metre": _METRES_PER_INCH}.get(unit)
    if scale is None:
        return None
    dpi = (x * scale, y * scale)
    if not all(0.1 < value < 1e5 for value in dpi):
        return None
    # 150 dpi is stored as 5906 pixels per metre, which reads back as 150.012.
    return tuple(  # type: ignore[return-value]
        float(round(value)) if abs(value - round(value)) < 0.0128 else value for value in dpi
    )
