"""Backgrounds, and the over operator that puts a cutout on one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from cleancut.arrays import full_scale
from cleancut.imaging.encode import quantise

if TYPE_CHECKING:
    from cleancut.arrays import Alpha, Rgb

#: Blurring happens at this size; for radii under 2 pixels there, at up to twice as much.
BLUR_SIDE_PX = 1024
STRIP_ROWS = 256
#: Rows and columns that are mixed at once, where that is done in bytes.
_TILE = (32, 256)
#: Side of JPEG's blocks, and how many rows of pixels are spread at once.
_BLOCK = 8
BLOCK_ROWS = 64 * _BLOCK
#: A blur of this standard deviation, in pixels, loses nothing when it is enlarged linearly.
_WORK_SIGMA = 4.0
#: How little a soft pixel counts as background: its transparency to this power.
_CLEAR_POWER = 6
#: With less background than this share of a blur's weight, colours come from farther away.
_ENOUGH = 0.02


def over(foreground: Rgb, alpha: Alpha, background: Rgb) -> Rgb:
    """``foreground`` over ``background`` (Porter and Duff, "Compositing Digital Images", 1984).

    Both (H, W, 3), uint8 or uint16 alike; ``alpha`` (H, W) float32 in 0..1, straight. The matte is
    quantised to the pictures' depth first and the sum is exact integer arithmetic, so the result
    equals what a viewer shows for the same cutout saved as PNG.
    """
    if foreground.dtype == np.uint8 and background.dtype == np.uint8:
        mixed_bytes: Rgb = _over_bytes(foreground, alpha, background)
        return mixed_bytes
    top = full_scale(foreground)
    bits = 8 * foreground.dtype.itemsize
    # top * top + top // 2 just fits in twice the bits.
    wide = np.uint16 if top == 255 else np.uint32
    out = np.empty_like(foreground)
    for y in range(0, foreground.shape[0], STRIP_ROWS):
        rows = slice(y, y + STRIP_ROWS)
        weight = quantise(alpha[rows], bits).astype(wide)[..., None]
        mixed = np.multiply(foreground[rows], weight, dtype=wide)
        mixed += np.multiply(background[rows], top - weight, dtype=wide)
        mixed += wide(top // 2)
        mixed //= wide(top)
        out[rows] = mixed
    return out


def _over_bytes(foreground: Any, alpha: Alpha, background: Any) -> Any:
    """The same sums: b + (f - b) a / 255, rounded once, and no tie can occur.

    In tiles that stay in the processor's cache; most show one of the two pictures alone.
    """
    out = np.empty(foreground.shape, np.uint8)
    for y in range(0, foreground.shape[0], _TILE[0]):
        rows = slice(y, y + _TILE[0])
        weights = quantise(alpha[rows], 8)
        behind = np.ascontiguousarray(background[rows])  # a plain colour is no array of its own
        for x in range(0, foreground.shape[1], _TILE[1]):
            columns = slice(x, x + _TILE[1])
            weight, back = weights[:, columns], behind[:, columns]
            front, part = foreground[rows, columns], out[rows, columns]
            low, high, _, _ = cv2.minMaxLoc(weight)
            if high == 0 or low == 255:
                part[:] = back if high == 0 else front
                continue
            change: Any = cv2.subtract(front, back, dtype=cv2.CV_16S)
            share = cv2.merge([weight, weight, weight])
            change = cv2.multiply(change, share, scale=1 / 255, dtype=cv2.CV_16S)
            part[:] = cv2.add(back, change, dtype=cv2.CV_8U)
    return out


def solid_colour(like: Rgb, colour: tuple[int, int, int]) -> Rgb:
    """A picture of one ``colour`` ((R, G, B) in 0..255) of the size and depth of ``like``."""
    flat: Any = (np.array(colour) * (full_scale(like) // 255)).astype(like.dtype)
    page: Rgb = np.broadcast_to(flat, like.shape)
    return page


def over_colour(
    foreground: Rgb, alpha: Alpha, colour: tuple[int, int, int], opacity: float
) -> tuple[Rgb, Alpha]:
    """Straight colours and alpha of ``foreground`` over one ``colour`` that lets through itself.

    Colours mix by what each contributes to the sum (Porter and Duff, 1984). ``opacity`` is 0..1.
    """
    backdrop = solid_colour(foreground, colour)
    if opacity >= 1:
        return over(foreground, alpha, backdrop), np.ones_like(alpha)
    if opacity <= 0:
        return foreground, alpha
    below = np.float32(opacity) * (1 - alpha)
    total = alpha + below
    share = np.divide(alpha, total, out=np.zeros_like(alpha), where=total > 0)
    return over(foreground, share, backdrop), np.minimum(total, 1, dtype=np.float32)


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
    (Knutsson and Westin, "Normalized and Differential Convolution", 1993); soft edges, which show
    both, weigh little. ``radius_px`` is the standard deviation of the Gaussian in pixels of
    ``rgb``. What lies far inside the subject is filled from coarser and coarser blurs.
    """
    height, width = rgb.shape[:2]
    longer = max(height, width)
    # A wide blur needs few pixels, a narrow one enough of them to stay narrow.
    finest = min(1.0, BLUR_SIDE_PX / longer)
    scale = min(1.0, max(finest, 2 / max(radius_px, 0.3)), 2 * BLUR_SIDE_PX / longer)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    small *= np.float32(1 / full_scale(rgb))
    clear = 1 - cv2.dilate(
        cv2.resize(alpha, size, interpolation=cv2.INTER_AREA), np.ones((3, 3), np.uint8)
    )
    weight = clear**_CLEAR_POWER
    if weight.max() < 1e-3:  # the subject fills the frame: there is no background to show
        weight = np.ones_like(weight)
    # Colour times weight, and weight: shrunk and blurred alike, their quotient stays a mean.
    layer = np.dstack([small * weight[..., None], weight])
    sigma = max(radius_px * scale, 0.3)
    if sigma > 2 * _WORK_SIGMA:
        fewer = _WORK_SIGMA / sigma
        size = (max(1, round(size[0] * fewer)), max(1, round(size[1] * fewer)))
        layer = cv2.resize(layer, size, interpolation=cv2.INTER_AREA)
        sigma = _WORK_SIGMA
    back = np.clip(_filled(_gauss(layer, sigma)), 0.0, 1.0)
    # 16 bits while it grows: smooth, and half the memory of floats.
    deep = cv2.resize(quantise(back, 16), (width, height), interpolation=cv2.INTER_LINEAR)
    out: Any = deep if rgb.dtype == np.uint16 else cv2.convertScaleAbs(deep, alpha=1 / 257)
    blurry: Rgb = out
    return blurry


def spread(rgb: Rgb, alpha: Alpha) -> Rgb:
    """``rgb`` with the nearest visible colours where ``alpha`` will be stored as zero; a new array.

    For files that hold colours and matte apart. A hidden pixel gets the mean of what is visible in
    its block of 8 x 8, which are JPEG's: a jump from colours to nothing would ring into the edge.
    """
    height, width = alpha.shape
    blocks = (-(-height // _BLOCK), -(-width // _BLOCK))
    means = np.empty((*blocks, 4), np.float32)
    wide = np.zeros((BLOCK_ROWS, blocks[1] * _BLOCK, 4), np.float32)
    for y in range(0, height, BLOCK_ROWS):
        share = alpha[y : y + BLOCK_ROWS, :, None]
        rows = share.shape[0]
        np.multiply(rgb[y : y + rows], share, out=wide[:rows, :width, :3], dtype=np.float32)
        wide[:rows, :width, 3:] = share
        wide[rows:] = 0
        count = -(-rows // _BLOCK)
        part = cv2.resize(wide[: count * _BLOCK], (blocks[1], count), interpolation=cv2.INTER_AREA)
        means[y // _BLOCK : y // _BLOCK + count] = part
    near: Any = np.clip(_filled(means), 0, full_scale(rgb)).astype(rgb.dtype)
    out: Rgb = rgb.copy()
    least = np.float32(0.5 / full_scale(rgb))
    for y in range(0, height, BLOCK_ROWS):
        hidden = alpha[y : y + BLOCK_ROWS] < least
        first, last = y // _BLOCK, -(-(y + hidden.shape[0]) // _BLOCK)
        fill = near[first:last].repeat(_BLOCK, axis=0).repeat(_BLOCK, axis=1)
        np.copyto(out[y : y + BLOCK_ROWS], fill[: hidden.shape[0], :width], where=hidden[..., None])
    return out


def _filled(layer: np.ndarray) -> np.ndarray:
    """Colours of (h, w, 4) weighted colours and weights; from afar where the weight is little."""
    known = layer[..., 3:]
    colour: np.ndarray = layer[..., :3] / np.maximum(known, 1e-6)
    height, width = known.shape[:2]
    if known.min() >= _ENOUGH or max(height, width) <= 2:
        return colour
    half = ((width + 1) // 2, (height + 1) // 2)
    coarse = _filled(_gauss(cv2.resize(layer, half, interpolation=cv2.INTER_AREA), 1.0))
    coarse = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    trust = np.minimum(known / np.float32(_ENOUGH), 1)
    filled: np.ndarray = colour * trust + coarse * (1 - trust)
    return filled


def _gauss(plane: np.ndarray, sigma: float) -> np.ndarray:
    blurry: np.ndarray = cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return blurry
