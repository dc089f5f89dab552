"""Bytes to ``Picture``: limits before work, upright, at full depth, with its metadata."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cleancut.errors import (
    CleancutError,
    ImageTooLarge,
    OutOfMemory,
    UnreadableImage,
)
from cleancut.extras import extra
from cleancut.imaging.adopt import assemble, from_array, from_pil, from_pil_pixels
from cleancut.imaging.chunks import decode_png, decode_webp, read_png, read_webp
from cleancut.imaging.files import read_bytes
from cleancut.imaging.jpeg import TRUNCATED, TRUNCATED_HINT, decode_rgb
from cleancut.imaging.jpeg import read_header as read_jpeg
from cleancut.imaging.metadata import (
    Header,
    check_size,
    per_inch,
    quiet_warnings,
    upright_exif,
)
from cleancut.imaging.picture import FIRST_FRAME
from cleancut.imaging.sniff import sniff

if TYPE_CHECKING:
    from PIL import Image

    from cleancut.imaging.picture import Picture

__all__ = ["DEFAULT_MAX_MEGAPIXELS", "decode", "from_array", "from_pil", "read_bytes"]

DEFAULT_MAX_MEGAPIXELS = 120.0


def decode(data: bytes, *, max_megapixels: float = DEFAULT_MAX_MEGAPIXELS) -> Picture:
    """Decode JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF or HEIC bytes.

    The pixel count is checked against ``max_megapixels`` from the header, before any pixel is
    decoded. PNG and TIFF keep 16 bits. CMYK and grey profiles are converted to sRGB; an RGB profile
    is kept and the pixels stay in its space. Of an animation the first frame is taken.

    Raises ``UnreadableImage`` (not a picture, truncated, damaged), ``UnsupportedFormat``,
    ``ImageTooLarge``, ``MissingDependency`` (HEIC without its extra), ``OutOfMemory``.
    """
    format_ = sniff(data)
    try:
        return _DECODERS[format_](data, max_megapixels)
    except CleancutError:
        raise
    except MemoryError as error:
        raise _too_little_memory() from error
    except Exception as error:  # the seam to every decoder: a hostile file can break them anywhere
        detail = " ".join(f"{error}".split()) or type(error).__name__
        if "insufficient memory" in detail.lower():  # OpenCV's and libpng's words
            raise _too_little_memory() from error
        if "bomb" in type(error).__name__.lower():
            raise ImageTooLarge(
                f"a part of the picture is larger than the whole may be: {detail}",
                hint="save it again with an image editor",
            ) from error
        truncated = "truncated" in detail.lower() or "unexpected end of file" in detail.lower()
        raise UnreadableImage(
            TRUNCATED if truncated else f"the {format_.upper()} is damaged: {detail:.200}",
            hint=TRUNCATED_HINT,
        ) from error


def _too_little_memory() -> OutOfMemory:
    return OutOfMemory("not enough memory to decode the picture", hint="shrink it")


def _decode_jpeg(data: bytes, max_megapixels: float) -> Picture:
    header = read_jpeg(data, max_megapixels)
    if header.channels == 4:
        from PIL import JpegImagePlugin

        # Pillow takes CMYK as Adobe writes it, inverted, which is how all of them are found.
        return from_pil_pixels(JpegImagePlugin.JpegImageFile(io.BytesIO(data)), header)
    rgb = decode_rgb(data, header)
    return assemble(header, rgb[..., 0] if header.channels == 1 and header.icc else rgb)


def _decode_png(data: bytes, max_megapixels: float) -> Picture:
    png = read_png(data)
    header = png.header
    check_size(header.width, header.height, max_megapixels)
    key = png.transparency
    samples: Any
    if png.is_direct:
        samples = decode_png(png)
        if png.colour_type == 4:
            samples = samples[..., [0, 3]]
    else:
        from PIL import PngImagePlugin

        palette = png.colour_type == 3
        plain = io.BytesIO(png.stripped(keep_transparency=palette))
        image = PngImagePlugin.PngImageFile(plain)
        if palette:
            return from_pil_pixels(image, header)
        samples = np.asarray(image.convert("L"))
        if key is not None:  # the key counts in stored steps, the samples are stretched to 255
            step = 255 // (2**header.bits - 1)
            key = (int.from_bytes(key, "big") * step % 65536).to_bytes(2, "big")
    if key is not None and png.colour_type in (0, 2) and len(key) == 2 * header.channels:
        samples = _with_key(samples, np.frombuffer(key, ">u2").astype(samples.dtype)[::-1])
    return assemble(header, samples, bgr=True)


def _with_key(samples: Any, key: Any) -> Any:
    """Alpha from the one transparent colour of a tRNS chunk (PNG 3rd edition, 11.3.1.1)."""
    planes = samples if samples.ndim == 3 else samples[..., None]
    top = np.iinfo(samples.dtype).max
    opaque = np.where((planes == key).all(axis=2), 0, top).astype(samples.dtype)
    return np.dstack([samples, opaque])


def _decode_webp(data: bytes, max_megapixels: float) -> Picture:
    header, animated = read_webp(data)
    check_size(header.width, header.height, max_megapixels)
    if animated:
        from PIL import WebPImagePlugin

        return from_pil_pixels(WebPImagePlugin.WebPImageFile(io.BytesIO(data)), header)
    return assemble(header, decode_webp(data, header), bgr=True)


def _decode_gif(data: bytes, max_megapixels: float) -> Picture:
    from PIL import GifImagePlugin

    width, height = np.frombuffer(data, "<u2", 2, 6).tolist()
    check_size(width, height, max_megapixels)
    image = GifImagePlugin.GifImageFile(io.BytesIO(data))
    check_size(image.width, image.height, max_megapixels)
    image.load()
    header = Header("gif", image.width, image.height)
    frame = image.convert("RGBA" if image.has_transparency_data else "RGB")
    try:
        image.seek(1)
    except (EOFError, OSError, SyntaxError, ValueError):
        return from_pil_pixels(frame, header)
    return from_pil_pixels(frame, replace(header, notes=(FIRST_FRAME,)))


def _decode_bmp(data: bytes, max_megapixels: float) -> Picture:
    from PIL import BmpImagePlugin

    image = BmpImagePlugin.BmpImageFile(io.BytesIO(data))
    check_size(image.width, image.height, max_megapixels)
    x, y = image.info.get("dpi") or (0.0, 0.0)
    header = Header("bmp", image.width, image.height, dpi=per_inch(x, y, unit="inch"))
    if image.mode == "RGBA" and image.getchannel("A").getextrema() == (0, 0):
        # Writers that leave the fourth byte at zero mean "unused", not "invisible".
        return from_pil_pixels(image.convert("RGB"), header)
    return from_pil_pixels(image, header)


def _decode_avif(data: bytes, max_megapixels: float) -> Picture:
    from PIL import AvifImagePlugin

    with quiet_warnings():
        image = AvifImagePlugin.AvifImageFile(io.BytesIO(data))
    header = _header_of(image, "avif")
    check_size(header.width, header.height, max_megapixels)
    if image.is_animated:
        header = replace(header, notes=(FIRST_FRAME,))
    return from_pil_pixels(image, header)


def _decode_heic(data: bytes, max_megapixels: float) -> Picture:
    with extra("heic"):
        import pillow_heif

    container = pillow_heif.open_heif(data)
    width, height = container.size
    check_size(width, height, max_megapixels)
    image: Image.Image = container.to_pillow()
    # libheif has turned the pixels already, and pillow-heif has reset the tag to say so.
    return from_pil_pixels(image, replace(_header_of(image, "heic"), orientation=1))


def _header_of(image: Image.Image, format_: str) -> Header:
    exif, orientation = upright_exif(image.info.get("exif"))
    return Header(
        format_,
        image.width,
        image.height,
        orientation=orientation,
        icc=image.info.get("icc_profile") or None,
        exif=exif,
    )


def _decode_tiff(data: bytes, max_megapixels: float) -> Picture:
    from cleancut.imaging.tiff import decode_tiff

    return decode_tiff(data, max_megapixels)


_DECODERS = {
    "jpeg": _decode_jpeg,
    "png": _decode_png,
    "webp": _decode_webp,
    "gif": _decode_gif,
    "bmp": _decode_bmp,
    "avif": _decode_avif,
    "heic": _decode_heic,
    "tiff": _decode_tiff,
}
