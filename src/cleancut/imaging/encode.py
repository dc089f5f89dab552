"""Pixels to bytes: the only place where a matte or a colour is rounded to integers."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from cleancut.arrays import check_alpha, check_rgb
from cleancut.errors import BadArray, BadOption, CleancutError, OutOfMemory
from cleancut.imaging.files import write_atomic
from cleancut.imaging.formats import FORMATS, format_from_suffix, format_of
from cleancut.imaging.png import Compress, Layout, write_png
from cleancut.imaging.zipped import write_zip
from cleancut.option_choices import Format

if TYPE_CHECKING:
    from cleancut.arrays import Alpha, Rgb

__all__ = [
    "FORMATS",
    "Format",
    "encode",
    "encode_mask",
    "format_from_suffix",
    "format_of",
    "quantise",
    "write_atomic",
]

#: Longest side a format can hold.
_MAX_SIDE = {"webp": 16383, "jpg": 65500, "avif": 65536}
_DEFAULT_QUALITY = {"jpg": 92, "webp": 90, "avif": 80}
_JPEG_SEGMENT = 65533 - len(b"Exif\0\0")


@dataclass(frozen=True, slots=True)
class _Meta:
    icc: bytes | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None


def quantise(values: NDArray[Any], bits: int) -> NDArray[Any]:
    """uint8, uint16 or float [0, 1] values of any shape as 8- or 16-bit integers, rounded."""
    wide = bits == 16
    if values.dtype == np.uint8:
        return values.astype(np.uint16) * np.uint16(257) if wide else values
    if values.dtype == np.uint16:
        return values if wide else ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if not wide and values.ndim in (2, 3) and values.dtype == np.float32:
        # Five times as fast as numpy. OpenCV rounds halves to even numbers; a little more, up.
        narrow: NDArray[Any] = cv2.convertScaleAbs(values, alpha=255, beta=1e-4)
        return narrow.reshape(values.shape)
    scaled = values * np.float32(65535 if wide else 255)
    scaled += np.float32(0.5)  # and cut off: rounds half up, twice as fast as rint
    return scaled.astype(np.uint16 if wide else np.uint8)


def encode(
    rgb: Rgb,
    alpha: Alpha | None = None,
    *,
    format: str = "png",  # noqa: A002
    quality: int | None = None,
    compress: Compress = "fast",
    icc: bytes | None = None,
    exif: bytes | None = None,
    dpi: tuple[float, float] | None = None,
    sixteen_bit: bool | None = None,
) -> bytes:
    """A picture file of ``rgb`` (H, W, 3) and straight ``alpha`` (H, W) in [0, 1] or None.

    ``format``: png, webp, jpg, avif, tiff, zip (``rgb`` as color.jpg and ``alpha`` as alpha.png) or
    psd (``rgb`` as a layer and ``alpha`` as its mask).
    ``quality`` 1..100 is for webp (default 90; 100 is lossless), jpg (92) and avif (80).
    ``compress`` is for png, tiff and webp: "small" takes four to twenty times as long for a fifth
    less. ``sixteen_bit`` None means: where ``rgb`` is uint16 and the format is png, tiff or psd.
    ``exif`` starts with the TIFF header; WebP and AVIF have no place for ``dpi``.

    Raises ``BadOption`` (alpha in jpg, 16 bits or a size the format cannot hold),
    ``UnsupportedFormat``, ``BadArray``, ``OutOfMemory``.
    """
    name = format_of(format)
    if name == "zip":
        opaque = np.ones(rgb.shape[:2], np.float32) if alpha is None else alpha
        matte = encode_mask(opaque, format="png", compress=compress, dpi=dpi)
        colour = encode(rgb, None, format="jpg", quality=quality, icc=icc, exif=exif, dpi=dpi)
        return write_zip(colour, matte)
    if name == "psd":
        from cleancut.imaging.psd import encode_psd

        return encode_psd(rgb, alpha, sixteen_bit=sixteen_bit, icc=icc, exif=exif, dpi=dpi)
    check_rgb(rgb)
    _check_float(rgb)
    height, width = rgb.shape[:2]
    if alpha is not None:
        check_alpha(alpha)
        if alpha.shape != (height, width):
            raise BadArray(f"alpha {alpha.shape} and picture {(height, width)} differ in size")
        if name == "jpg":
            raise BadOption(
                "JPEG has no transparency", hint="use --format png or webp, or --background white"
            )
    if sixteen_bit is None:
        sixteen_bit = rgb.dtype == np.uint16 and name in ("png", "tiff")
    _check_options(name, quality, compress, height, width, sixteen_bit)
    bits = 16 if sixteen_bit else 8

    def rows(top: int, bottom: int) -> NDArray[Any]:
        colour = quantise(rgb[top:bottom], bits)
        if alpha is None:
            return colour
        pixels: NDArray[Any] = cv2.cvtColor(np.ascontiguousarray(colour), cv2.COLOR_RGB2RGBA)
        return cv2.insertChannel(quantise(alpha[top:bottom], bits), pixels, 3)

    layout = Layout(width, height, 3 if alpha is None else 4, bits)
    return _write(name, layout, rows, _Meta(icc, exif, dpi), quality, compress, srgb=True)


def encode_mask(
    alpha: Alpha,
    *,
    format: str = "png",  # noqa: A002
    quality: int | None = None,
    compress: Compress = "fast",
    dpi: tuple[float, float] | None = None,
    sixteen_bit: bool = False,
) -> bytes:
    """``alpha`` (H, W) in [0, 1] as a grey picture; options and errors as in ``encode``."""
    name = format_of(format)
    if name in ("zip", "psd"):
        raise BadOption(f"a matte alone needs no {name}", hint="use --format png")
    check_alpha(alpha)
    height, width = alpha.shape
    _check_options(name, quality, compress, height, width, sixteen_bit)
    bits = 16 if sixteen_bit else 8

    def rows(top: int, bottom: int) -> NDArray[Any]:
        return quantise(alpha[top:bottom], bits)

    layout = Layout(width, height, 1, bits)
    return _write(name, layout, rows, _Meta(dpi=dpi), quality, compress, srgb=False)


def _check_float(rgb: Rgb) -> None:
    if rgb.dtype == np.float32 and not (float(rgb.min()) >= 0.0 and float(rgb.max()) <= 1.0):
        raise BadArray("float colours must lie in 0..1", hint="clip them to 0..1")


def _check_options(
    name: Format, quality: int | None, compress: str, height: int, width: int, sixteen_bit: bool
) -> None:
    if quality is not None and not 1 <= quality <= 100:
        raise BadOption(f"quality is {quality}", hint="give a number from 1 to 100")
    if compress not in get_args(Compress):
        raise BadOption(f"compress is {compress!r}", hint="choose fast or small")
    if sixteen_bit and name not in ("png", "tiff"):
        raise BadOption(f"{name} has no 16-bit pixels here", hint="use --format png or tiff")
    limit = _MAX_SIDE.get(name)
    if limit is not None and max(height, width) > limit:
        raise BadOption(
            f"{width} x {height} pixels do not fit into {name}: a side ends at {limit}",
            hint="use --format png or tiff, or --max-side",
        )


def _write(
    name: Format,
    layout: Layout,
    rows: Any,
    meta: _Meta,
    quality: int | None,
    compress: Compress,
    *,
    srgb: bool,
) -> bytes:
    try:
        if name == "png":
            return write_png(
                layout,
                lambda top, bottom: _as_bytes(rows(top, bottom)),
                compress=compress,
                icc=meta.icc,
                exif=meta.exif,
                dpi=meta.dpi,
                srgb=srgb,
            )
        if name == "tiff":
            from cleancut.imaging.tiff_writer import write_tiff

            pixels = rows(0, layout.height)
            return write_tiff(
                pixels,
                level=1 if compress == "fast" else 6,
                icc=meta.icc,
                exif=meta.exif,
                dpi=meta.dpi,
            )
        return _write_with_pillow(name, rows(0, layout.height), meta, quality, compress)
    except CleancutError:
        raise
    except MemoryError as error:
        raise OutOfMemory(
            f"not enough memory to write {layout.width} x {layout.height} pixels as {name}",
            hint="use --max-side",
        ) from error


def _as_bytes(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """(rows, width[, channels]) integers as (rows, bytes of a row), big-endian."""
    if pixels.dtype == np.uint16:
        pixels = pixels.astype(">u2")
    return np.ascontiguousarray(pixels).view(np.uint8).reshape(pixels.shape[0], -1)


def _write_with_pillow(
    name: Format, pixels: NDArray[Any], meta: _Meta, quality: int | None, compress: Compress
) -> bytes:
    from PIL import Image

    options: dict[str, Any] = {"quality": quality or _DEFAULT_QUALITY[name]}
    if meta.icc is not None:
        options["icc_profile"] = meta.icc
    if meta.exif is not None:
        options["exif"] = b"Exif\0\0" + meta.exif
    if name == "jpg":
        if meta.exif is not None and len(meta.exif) > _JPEG_SEGMENT:
            raise BadOption(
                f"the EXIF block ({len(meta.exif)} bytes) does not fit into JPEG (65 kB)",
                hint="use --strip to leave it out, or another format",
            )
        # Full colour resolution: cut edges against a new background are colour edges.
        options |= {"subsampling": "4:4:4", "optimize": False}
        if meta.dpi is not None:
            options["dpi"] = tuple(max(1, round(value)) for value in meta.dpi)
    elif name == "webp":
        # Of six cutouts, in time and bytes of method 4: lossy by method 2 takes .6 for 1.02, and
        # lossless by method 0 without effort .06 for 1.4, which is 0.75 of a fast PNG.
        options |= {"method": 2 if compress == "fast" else 4, "alpha_quality": 100}
        if quality == 100:
            options |= {"lossless": True, "exact": True}
            if compress == "fast":
                options |= {"method": 0, "quality": 0}
    else:
        options |= {"speed": 8}
    out = io.BytesIO()
    try:
        Image.fromarray(pixels).save(out, "JPEG" if name == "jpg" else name.upper(), **options)
    except (OSError, ValueError, RuntimeError, SyntaxError) as error:
        raise BadOption(
            f"the picture cannot be written as {name}: {error}", hint="use --format png"
        ) from error
    return out.getvalue()
