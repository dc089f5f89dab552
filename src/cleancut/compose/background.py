"""Backgrounds, and the over operator that puts a cutout on one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from cleancut.arrays import full_scale
from cleancut.imaging.encode import quantise

if TYPE_CHECKING:
    from cleancut.arrays import Alpha, Rgb

#: Blurring happens at most at this size; a blurred picture holds no finer detail.
BLUR_SIDE_PX = 1024
STRIP_ROWS = 256


def over(foreground: Rgb, alpha: Alpha, background: Rgb) -> Rgb:
    """``foreground`` over ``background`` (Porter and Duff, "Compositing Digital Images", 1984).

    Both (H, W, 3), uint8 or uint16 alike; ``alpha`` (H, W) float32 in 0..1, straight. The matte is
    quantised to the pictures' depth first and the sum is exact integer arithmetic, so the result
    equals what a viewer shows for the same cutout saved as PNG.
    """
    top = full_scale(foreground)
    bits = 8 * foreground.dtype.itemsize
    wide = np.uint32 if top == 255 else np.uint64
    out = np.empty_like(foreground)
    for y in range(0, foreground.shape[0], STRIP_ROWS):
        rows = slice(y, y + STRIP_ROWS)
        a = quantise(alpha[rows], bits)
        strip = background[rows].copy()
        solid = a == top
        strip[solid] = foreground[rows][solid]
        soft = np.nonzero((a > 0) & ~solid)
        weight = a[soft].astype(wide)[:, None]
        front: Any = foreground[rows][soft].astype(wide)
        back: Any = strip[soft]
        mixed = front * weight + back * (top - weight)
        strip[soft] = ((mixed + top // 2) // top).astype(foreground.dtype)
        out[rows] = strip
    return out


def solid_colour(like: Rgb, colour: tuple[int, int, int]) -> Rgb:
    """A picture of one ``colour`` ((R, G, B) in 0..255) of the size and depth of ``like``."""
    flat: Any = (np.array(colour) * (full_scale(like) // 255)).astype(like.dtype)
    page: Rgb = np.broadcast_to(flat, like.shape)
    return page


def cover(background: Rgb, height: int, width: int, like: Rgb) -> Rgb:
    """``background`` scaled to cover ``height`` x ``width``, cropped around its centre.

    The answer has the depth of ``like``.
    """
    h, w = background.shape[:2]
    scale = max(height / h, width / w)
    cut_h, cut_w = min(h, round(height / scale)), min(w, round(width / scale))
    top, left = (h - cut_h) // 2, (w - cut_w) // 2
    cut = background[top : top + max(1, cut_h), left : left + max(1, cut_w)]
    shrinks = scale < 1
    scaled = cv2.resize(
        cut, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    )
    return quantise(scaled, 8 * like.dtype.itemsize)


def blurred(rgb: Rgb, alpha: Alpha, radius_px: float) -> Rgb:
    """The picture's own background out of focus, without a ghost of the subject around it.

    The blur is normalised by the background's weight, so that the subject's colours do not leak
    (Knutsson and Westin, "Normalized and Differential Convolution", 1993). ``radius_px`` is the
    standard deviation of the Gaussian in pixels of ``rgb``.
    """
    height, width = rgb.shape[:2]
    scale = min(1.0, BLUR_SIDE_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    top = np.float32(full_scale(rgb))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA).astype(np.float32) / top
    weight = 1.0 - cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    sigma = max(radius_px * scale, 0.3)
    known = _gauss(weight, sigma)
    # Far inside the subject no background is near: widen the blur until there is some.
    filled = _gauss(small * weight[..., None], sigma) / np.maximum(known, 1e-6)[..., None]
    while known.min() < 0.02 and sigma < max(size):
        sigma *= 2
        wider = _gauss(weight, sigma)
        more = _gauss(small * weight[..., None], sigma) / np.maximum(wider, 1e-6)[..., None]
        trust = np.clip(known / 0.02, 0.0, 1.0)[..., None]
        filled = filled * trust + more * (1 - trust)
        known = np.maximum(known, wider)
    if weight.max() < 1e-3:  # the subject fills the frame: there is no background to show
        filled = _gauss(small, sigma)
    back = cv2.resize(np.clip(filled, 0.0, 1.0), (width, height), interpolation=cv2.INTER_LINEAR)
    out: Rgb = np.rint(back * top).astype(rgb.dtype)
    return out


def _gauss(plane: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
