"""A small picture of a cutout, for the contact sheet."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cleancut.result import Encoded

#: Longer side of a thumbnail, in pixels, and its WebP quality (0 to 100).
SIDE_PX = 240
_QUALITY = 80


def thumbnail(encoded: Encoded) -> bytes:
    """The cutout as WebP, its longer side at most ``SIDE_PX``, transparency included.

    Every k-th pixel down to twice the size, then means in 8 bits, colours weighted by alpha: 3 ms
    of processor time at any size, most of it WebP's.
    """
    import cv2
    import numpy as np
    from PIL import Image

    rgb, alpha = _pixels(encoded)
    step = max(1, max(rgb.shape[:2]) // (2 * SIDE_PX))
    rgb = rgb[::step, ::step]
    if rgb.dtype != np.uint8:
        rgb = (rgb >> 8).astype(np.uint8)
    scale = min(1.0, SIDE_PX / max(rgb.shape[:2]))
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    if alpha is None:
        small: Any = cv2.resize(np.ascontiguousarray(rgb), size, interpolation=cv2.INTER_AREA)
    else:
        share = cv2.convertScaleAbs(np.ascontiguousarray(alpha[::step, ::step]), alpha=255)
        mixed = cv2.multiply(np.ascontiguousarray(rgb), cv2.merge([share] * 3), scale=1 / 255)
        mixed = cv2.resize(mixed, size, interpolation=cv2.INTER_AREA)
        share = cv2.merge([cv2.resize(share, size, interpolation=cv2.INTER_AREA)] * 3)
        if encoded.format == "jpg":  # written on white
            small = cv2.add(mixed, 255 - share)
        else:
            small = np.dstack([cv2.divide(mixed, share, scale=255), share[..., 0]])
    file = io.BytesIO()
    Image.fromarray(small).save(file, "WEBP", quality=_QUALITY, method=0)
    return file.getvalue()


def _pixels(encoded: Encoded) -> tuple[Any, Any]:
    """Colours (H, W, 3) and alpha (H, W) in 0..1, None for an opaque picture."""
    import cv2

    result = encoded.result
    if result is None:
        from cleancut.imaging.decode import decode

        if encoded.format == "zip":
            from cleancut.imaging.zipped import read_zip

            colour, matte = (
                decode(file, max_megapixels=float("inf")) for file in read_zip(encoded.data)
            )
            return colour.rgb, matte.rgb[..., 0].astype("float32") / 255
        if encoded.format == "psd":
            from cleancut.imaging.psd import read_merged

            colours, share = read_merged(encoded.data)
            full = 65535 if colours.dtype.itemsize == 2 else 255
            return colours, None if share is None else share.astype("float32") / full
        picture = decode(encoded.data, max_megapixels=float("inf"))
        return picture.rgb, picture.alpha
    if result.options.only_mask:
        grey = cv2.convertScaleAbs(result.alpha, alpha=255)
        return cv2.merge([grey] * 3), None
    if result.composite is not None:
        return result.composite, None
    return result.foreground, result.alpha
