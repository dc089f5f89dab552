"""TIFF: 8 and 16 bit through tifffile, the rest of its zoo through OpenCV and Pillow."""

from __future__ import annotations

import io
import logging
import lzma
import struct
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import tifffile
from isal import isal_zlib
from numpy.typing import NDArray

from cleancut.errors import CleancutError, ImageTooLarge, UnreadableImage, UnsupportedFormat
from cleancut.imaging.adopt import Samples, assemble, from_pil_pixels, to_samples
from cleancut.imaging.jpeg import TRUNCATED, TRUNCATED_HINT
from cleancut.imaging.metadata import (
    MAX_ICC_BYTES,
    Header,
    check_size,
    per_inch,
    quiet_warnings,
    upright_exif,
)
from cleancut.imaging.picture import FIRST_FRAME, Picture

# Without handlers of their own, complaints about odd files end up on stderr.
for _name in ("tifffile", "PIL.TiffImagePlugin"):
    logging.getLogger(_name).addHandler(logging.NullHandler())

_NONE, _LZMA = 1, 34925
_PLAIN = {_NONE, 8, 32946, _LZMA}  # 8 and 32946 are both deflate
#: Tags that say how much memory a reader needs; readers differ on which of two counts.
_ONCE = (256, 257, 258, 277, 278, 284, 322, 323, 32997, 32998)
_SAMPLES_BYTES = 8  # a pixel, as 16-bit RGBA has; more is allowed where there are fewer pixels
_TILE_PIXELS = 1 << 24
#: Deflate shrinks by 1,032 at the most: less than this cannot unpack to more than 256 MB.
_HARMLESS_BYTES = (1 << 28) // 1032
_UNITS = {2: "inch", 3: "cm"}
_ASSOCIATED, _UNASSOCIATED = 1, 2
#: Tags that describe the picture rather than the file's structure; TIFF 6.0 and EXIF 2.32.
_DESCRIPTIVE = (270, 271, 272, 305, 306, 315, 316, 33432, 34665, 34853)


@dataclass(frozen=True, slots=True)
class _Layout:
    photometric: int
    compression: int
    planar: bool
    extra: int | None
    kind: str  # "u" or "f"


def decode_tiff(data: bytes, max_megapixels: float) -> Picture:
    """First page of a TIFF.

    Grey, grey with alpha, RGB and RGBA of 8, 16 and float 32 bits keep their depth whatever the
    layout; palette, CMYK, YCbCr, Lab and bilevel come as 8 bit. Associated alpha is divided out.
    """
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            if not file.pages:
                raise UnreadableImage(TRUNCATED, hint=TRUNCATED_HINT)
            page: Any = file.pages[0]
            header, layout = _header(data, page, several=_has_second_page(file))
            check_size(header.width, header.height, max_megapixels)
            _check_layout(page, header, max_megapixels)
            _check_complete(data, page)
            samples = _samples(data, page, header, layout)
    except CleancutError:
        raise
    except MemoryError:
        raise
    except Exception as error:  # a hostile file makes the parser fail anywhere
        raise UnreadableImage(
            f"the TIFF is damaged: {' '.join(str(error).split()):.200}", hint=TRUNCATED_HINT
        ) from error
    if samples is None:
        return _decode_with_pillow(data, header)
    if layout.photometric == 0:
        samples = _invert(samples)
    if layout.extra == _ASSOCIATED:
        samples = _unpremultiply(samples)
    return assemble(header, samples)


def _has_second_page(file: tifffile.TiffFile) -> bool:
    try:
        return len(file.pages) > 1 and not file.pages[1].is_reduced  # type: ignore[union-attr]
    except Exception:  # a broken second page is no reason to refuse the first
        return False


def _header(data: bytes, page: Any, *, several: bool) -> tuple[Header, _Layout]:
    def value(tag: int, default: Any = None) -> Any:
        found = page.tags.get(tag)
        return default if found is None else found.value

    icc = value(34675)
    dpi = None
    try:
        (xn, xd), (yn, yd) = value(282), value(283)
        dpi = per_inch(xn / xd, yn / yd, unit=_UNITS.get(int(value(296, 2)), ""))
    except (TypeError, ValueError, ZeroDivisionError):
        pass
    orientation = int(value(274, 1))
    header = Header(
        "tiff",
        int(page.imagewidth),
        int(page.imagelength),
        int(page.bitspersample) if isinstance(page.bitspersample, int) else 0,
        int(page.samplesperpixel),
        orientation if 1 <= orientation <= 8 else 1,
        icc=icc if isinstance(icc, bytes) and len(icc) <= MAX_ICC_BYTES else None,
        exif=_exif(data),
        dpi=dpi,
        notes=(FIRST_FRAME,) if several else (),
    )
    extra = tuple(page.extrasamples)
    kind = np.dtype(page.dtype).kind if page.dtype is not None else "?"
    layout = _Layout(
        int(page.photometric),
        int(page.compression),
        int(page.planarconfig) == 2,
        int(extra[0]) if extra else None,
        kind,
    )
    return header, layout


def _check_layout(page: Any, header: Header, max_megapixels: float) -> None:
    """Refuse what makes readers take more memory than the number of pixels says."""
    if any(len(page.tags.getall(tag, default=())) > 1 for tag in _ONCE):
        raise _damaged("its size is given twice")
    depth = np.atleast_1d(page.bitspersample).max()
    pixel = int(page.imagedepth) * header.channels * -(-int(depth) // 8)
    if header.width * header.height * pixel > max_megapixels * 1e6 * _SAMPLES_BYTES:
        raise ImageTooLarge(
            f"{header.width} x {header.height} pixels of {header.channels} samples, {pixel} bytes"
            f" each, are more than the limit of {max_megapixels:g} megapixels allows",
            hint="save it as 8- or 16-bit RGB",
        )
    if page.is_tiled:
        tile = page.tilewidth * page.tilelength * max(1, page.tiledepth)
        if tile > max(_TILE_PIXELS, header.width * header.height):
            raise _damaged("its tiles are far larger than the picture")


def _check_inflated(data: bytes, page: Any, header: Header, layout: _Layout) -> None:
    """Refuse compression bombs: tifffile would unpack each strip or tile to its end."""
    pixels = page.tilewidth * page.tilelength if page.is_tiled else header.width * header.height
    # Rows may be padded to whole bytes, and tiles hang over the picture's edge.
    limit = 2 * pixels * header.channels * header.bits // 8 + 65536
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False):
        if layout.compression != _LZMA and count <= _HARMLESS_BYTES:
            continue
        if _unpacks_beyond(data[offset : offset + count], layout.compression == _LZMA, limit):
            raise _damaged("it holds more data than its size says")


def _unpacks_beyond(packed: bytes, is_lzma: bool, limit: int) -> bool:
    while packed:
        unpacker: Any = lzma.LZMADecompressor() if is_lzma else isal_zlib.decompressobj()
        limit -= len(unpacker.decompress(packed, limit + 1))
        if limit < 0:
            return True
        # Several LZMA streams after one another count as one.
        packed = unpacker.unused_data if is_lzma and unpacker.eof else b""
    return False


def _damaged(why: str) -> UnreadableImage:
    return UnreadableImage(f"the TIFF is damaged: {why}", hint=TRUNCATED_HINT)


def _check_complete(data: bytes, page: Any) -> None:
    ends = zip(page.dataoffsets, page.databytecounts, strict=False)
    if any(offset + count > len(data) for offset, count in ends) or not page.dataoffsets:
        raise UnreadableImage(TRUNCATED, hint=TRUNCATED_HINT)


def _samples(data: bytes, page: Any, header: Header, layout: _Layout) -> Samples | None:
    """Stored samples (H, W[, C]), channels limited to grey or colour plus alpha; None: Pillow."""
    colours = {0: 1, 1: 1, 2: 3}.get(layout.photometric)
    depth_known = (layout.kind == "u" and header.bits in (8, 16)) or (
        layout.kind == "f" and header.bits == 32
    )
    if colours is None or not depth_known or header.channels < colours:
        return None
    if layout.compression in _PLAIN:
        if layout.compression != _NONE:
            _check_inflated(data, page, header, layout)
        stored: NDArray[Any] = page.asarray(maxworkers=1)
        if stored.ndim == 3 and layout.planar:
            stored = np.moveaxis(stored, 0, -1)
        if layout.kind == "f":
            stored = to_samples(stored)
    elif layout.kind == "u" and header.bits == 16 and not layout.planar:
        stored = _decode_with_opencv(_without_orientation(data, page), header)
    else:
        return None
    if stored.shape[:2] != (header.height, header.width):
        return None
    has_alpha = header.channels > colours and layout.extra in (_ASSOCIATED, _UNASSOCIATED)
    wanted = colours + has_alpha
    if stored.ndim == 3:
        stored = stored[..., 0] if wanted == 1 else stored[..., :wanted]
    return np.ascontiguousarray(stored.astype(stored.dtype.newbyteorder("="), copy=False))


def _without_orientation(data: bytes, page: Any) -> bytes:
    """The same file marked as upright: OpenCV would turn the pixels, some of eight ways wrongly."""
    tag = page.tags.get(274)
    if tag is None:
        return data
    patched = bytearray(data)
    struct.pack_into(page.parent.byteorder + "H", patched, tag.valueoffset, 1)
    return bytes(patched)


def _decode_with_opencv(data: bytes, header: Header) -> NDArray[np.uint16]:
    flags = cv2.IMREAD_UNCHANGED
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    expected = (header.height, header.width) + ((header.channels,) if header.channels > 1 else ())
    if pixels is None or pixels.dtype != np.uint16 or pixels.shape != expected:
        raise UnsupportedFormat(
            "this 16-bit TIFF is compressed in a way that cannot be read",
            hint="save it with LZW, deflate or no compression",
        )
    if header.channels >= 3:
        pixels = pixels[..., [2, 1, 0, 3][: header.channels]]
    return pixels  # type: ignore[return-value]


def _invert(samples: Samples) -> Samples:
    """MinIsWhite to MinIsBlack, alpha untouched."""
    top = np.iinfo(samples.dtype).max
    if samples.ndim == 2:
        return top - samples
    inverted = samples.copy()
    inverted[..., 0] = top - samples[..., 0]
    return inverted


def _unpremultiply(samples: Samples) -> Samples:
    """Divide colour by alpha (TIFF 6.0, associated alpha); colour under alpha 0 becomes 0."""
    if samples.ndim == 2:
        return samples
    top = np.iinfo(samples.dtype).max
    straight = samples.copy()
    for row, source in zip(straight, samples, strict=True):
        alpha = source[..., -1:].astype(np.uint64)
        colour = source[..., :-1].astype(np.uint64) * top
        quotient = (colour + alpha // 2) // np.maximum(alpha, 1)
        row[..., :-1] = np.where(alpha == 0, 0, np.minimum(quotient, top))
    return straight


def _decode_with_pillow(data: bytes, header: Header) -> Picture:
    from PIL import Image, TiffImagePlugin

    try:
        with quiet_warnings():
            image = TiffImagePlugin.TiffImageFile(io.BytesIO(data))
            if sorted(image.size) != sorted((header.width, header.height)):
                raise ValueError("its size is given twice")
            image.load()  # turns it upright by itself
    except MemoryError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageTooLarge(
            f"{header.width} x {header.height} pixels are too many for this kind of TIFF",
            hint="save it as 8- or 16-bit RGB without compression, or shrink it",
        ) from error
    except Exception as error:  # Pillow's plugins raise whatever their parsing runs into
        raise UnreadableImage(
            f"this TIFF cannot be decoded: {' '.join(str(error).split()):.200}",
            hint="save it as ordinary RGB TIFF or PNG",
        ) from error
    upright = Header(
        "tiff",
        image.width,
        image.height,
        icc=header.icc,
        exif=header.exif,
        dpi=header.dpi,
        notes=header.notes,
    )
    return from_pil_pixels(image, upright)


def _exif(data: bytes) -> bytes | None:
    """The descriptive tags, EXIF and GPS of a TIFF as an EXIF block; None if there are none."""
    from PIL import Image

    try:
        with quiet_warnings():
            source, kept = Image.Exif(), Image.Exif()
            source.load(b"Exif\0\0" + data[:8] if len(data) < 8 else data)
            for tag in _DESCRIPTIVE:
                if tag in source:
                    kept[tag] = source.get_ifd(tag) if tag in (34665, 34853) else source[tag]
            block = kept.tobytes() if len(kept) else None
    except Exception:  # broken EXIF never breaks a picture
        return None
    return upright_exif(block)[0]
