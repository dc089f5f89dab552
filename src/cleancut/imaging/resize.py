"""Resizing: area where it shrinks, cubic where it grows, each axis by its own rule.

Large pictures are halved first: the mean of 2 x 2 pixels costs a seventh of an area mean by any
other factor, and what is left to shrink is then a quarter.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from cleancut.errors import BadOption

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.arrays import Alpha, Rgb
    from cleancut.imaging.picture import Picture


def fit(rgb: Rgb, height: int, width: int, *, spare: float = 2.0) -> Rgb:
    """(H, W, 3) -> (height, width, 3) of the same dtype; floats stay within [0, 1].

    Area averaging has no aliasing when shrinking, Catmull-Rom-like cubic no blockiness when
    growing; a picture that shrinks along one axis and grows along the other gets both, in that
    order. What halving leaves is at least ``spare`` times the size asked for.
    """
    resized: Rgb = _resize(rgb, height, width, spare)
    return resized


def coarse(rgb: Rgb, height: int, width: int, *, spare: float = 2.0) -> Rgb:
    """What ``fit`` averages by area in the end: (H, W, 3) halved while it is far too large."""
    middle = min(height, rgb.shape[0]), min(width, rgb.shape[1])
    if middle == rgb.shape[:2]:
        return rgb
    thinned: Rgb = _halved_evenly(rgb, _halvings(rgb.shape, *middle, spare))
    return thinned


def halved(plane: Any, times: int = 1) -> Any:
    """Means of 2 x 2 pixels, ``times`` times over; a last odd row or column is cut off.

    (H, W) or (H, W, C) of any type; integers are rounded at each halving. An axis of one pixel
    stays as it is.
    """
    for _ in range(times):
        height, width = (max(1, side // 2) for side in plane.shape[:2])
        rows, columns = (
            2 * half if 2 * half <= side else side
            for half, side in zip((height, width), plane.shape[:2], strict=True)
        )
        plane = cv2.resize(plane[:rows, :columns], (width, height), interpolation=cv2.INTER_AREA)
    return plane


def upsample_alpha(alpha: Alpha, height: int, width: int) -> Alpha:
    """(h, w) matte -> (height, width), cubic and clipped to [0, 1]; area where it shrinks."""
    resized: Alpha = _resize(alpha, height, width)
    if resized is not alpha:  # a mean of ones may come out a rounding step above 1
        np.clip(resized, 0.0, 1.0, out=resized)
    return resized


def glimpse(plane: Any, side_px: int, *, samples: int = 2) -> Any:
    """A picture or matte with its longer side at most ``side_px``, for looking it over; same type.

    Of large ones every k-th pixel is taken before the rest is averaged, so that ``samples`` or more
    are left along each side of a pixel: statistics need no more, and 12 megapixels cost as little
    as 1.
    """
    scale = min(1.0, side_px / max(plane.shape[:2]))
    if scale == 1.0:
        return plane
    step = max(1, int(1 / (samples * scale)))
    height, width = (max(1, round(side * scale)) for side in plane.shape[:2])
    thinned = np.ascontiguousarray(plane[::step, ::step])
    return cv2.resize(thinned, (width, height), interpolation=cv2.INTER_AREA)


def shrink_to(picture: Picture, max_side: int) -> Picture:
    """The picture with its longer side at most ``max_side`` pixels; never enlarged."""
    return shrunk(picture, *size_within(picture.height, picture.width, max_side))


def size_within(
    height: int, width: int, max_side: int | None = None, max_pixels: float | None = None
) -> tuple[int, int]:
    """(height, width) shrunk to what is allowed, in proportion; the same where all of it is."""
    if max_side is not None and max_side < 1:
        raise BadOption(f"max_side is {max_side}", hint="give at least 1 pixel")
    sizes = [(height, width)]
    if max_side is not None and max(height, width) > max_side:
        longer = max(height, width)
        sizes.append(
            (max(1, round(height * max_side / longer)), max(1, round(width * max_side / longer)))
        )
    if max_pixels is not None and height * width > max_pixels:
        scale = math.sqrt(max_pixels / (height * width))
        # Whole numbers are not to be missed by a rounding step, nor the limit by a row.
        short = max(1, int(min(height, width) * scale + 1e-6))
        long = max(1, int(min(max(height, width) * scale + 1e-6, max_pixels / short)))
        sizes.append((short, long) if height <= width else (long, short))
    heights, widths = zip(*sizes, strict=True)
    return min(heights), min(widths)


def shrunk(picture: Picture, height: int, width: int) -> Picture:
    """The picture at a smaller size, colours weighted by alpha; itself at its own."""
    if (height, width) == (picture.height, picture.width):
        return picture
    if picture.alpha is None:
        return replace(picture, rgb=fit(picture.rgb, height, width))
    # Colour must not bleed in from invisible pixels: average it weighted by alpha.
    alpha = upsample_alpha(picture.alpha, height, width)
    top = {1: 255.0, 2: 65535.0, 4: 1.0}[picture.rgb.dtype.itemsize]
    rgb = fit(picture.rgb, height, width)  # hidden pixels keep this
    rgb = rgb.copy() if rgb is picture.rgb else rgb
    share, weight = np.ascontiguousarray(picture.alpha), np.maximum(alpha, 1e-6)
    for channel in range(3):  # one at a time: floats of a whole picture are large
        plane: Any = np.ascontiguousarray(picture.rgb[..., channel])
        colour = _shrink(cv2.multiply(plane, share, dtype=cv2.CV_32F), height, width) / weight
        rounded = np.rint(colour) if top > 1.0 else colour
        np.copyto(
            rgb[..., channel],
            np.clip(rounded, 0.0, top).astype(rgb.dtype),
            where=alpha > 1e-4,
        )
    return replace(picture, rgb=rgb, alpha=alpha)


def _halvings(shape: tuple[int, ...], height: int, width: int, spare: float) -> int:
    ratio = min(shape[0] / height, shape[1] / width)
    return max(0, int(math.log2(ratio / spare)))


def _halved_evenly(plane: Any, times: int) -> Any:
    """``halved``, what does not go into whole cells cut off on both sides alike."""
    cell = 1 << times
    top, left = (side % cell // 2 for side in plane.shape[:2])
    return halved(plane[top:, left:], times)


def _shrink(array: Any, height: int, width: int) -> Any:
    return cv2.resize(array, (width, height), interpolation=cv2.INTER_AREA)


def _resize(array: NDArray[Any], height: int, width: int, spare: float = 2.0) -> Any:
    if height < 1 or width < 1:
        raise BadOption(f"a size of {width} x {height} pixels", hint="give at least 1 x 1")
    if array.shape[:2] == (height, width):
        return array
    middle = (min(height, array.shape[0]), min(width, array.shape[1]))
    resized: Any = array
    if middle != array.shape[:2]:
        resized = _shrink(coarse(array, height, width, spare=spare), *middle)
    if middle != (height, width):
        resized = cv2.resize(resized, (width, height), interpolation=cv2.INTER_CUBIC)
        if array.dtype == np.float32:  # cubic overshoots; integers saturate by themselves
            np.clip(resized, 0.0, 1.0, out=resized)
    return resized
