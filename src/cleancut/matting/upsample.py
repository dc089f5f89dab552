"""From a small matte to a large one, with the edges that the large picture shows.

Around every pixel of the small picture alpha is fitted as an affine function of colour, and that
function is applied to the colours of the large picture: He and Sun, "Fast Guided Filter", arXiv
1505.00996. What the fit leaves over of the small matte is added back, so that the answer, seen
small, stays the small matte's (back-projection in one step).
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cleancut.arrays import full_scale

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.arrays import Alpha, Rgb, Tensor

    Planes = NDArray[np.float32]

#: Colours closer together than this (0..1, squared) are taken for one colour.
_EPSILON = 1e-4
#: Side of the tiles that are upsampled at once.
_TILE_PX = 256


def colour_model(
    guide: Tensor, alpha: Alpha, *, radius: int = 1, epsilon: float = _EPSILON
) -> Tensor:
    """Local affine models of ``alpha`` (h, w) in the colours of ``guide`` (h, w, 3), in 0..1.

    The result is (h, w, 4): alpha is about ``model[..., :3] . colour + model[..., 3]``, and exactly
    that for the colours of ``guide`` themselves. ``radius`` of the windows is in pixels.
    """
    size = (2 * radius + 1, 2 * radius + 1)

    def mean(image: Tensor) -> Tensor:
        return cv2.blur(image, size, borderType=cv2.BORDER_REFLECT)

    channels = list(cv2.split(guide))
    mu = [mean(c) for c in channels]
    level = mean(alpha)
    joint = [mean(c * alpha) - m * level for c, m in zip(channels, mu, strict=True)]

    def spread(i: int, j: int) -> Tensor:
        product: Tensor = mean(channels[i] * channels[j]) - mu[i] * mu[j]
        return np.maximum(product, 0) + np.float32(epsilon) if i == j else product

    l00 = np.sqrt(spread(0, 0))
    l10, l20 = spread(0, 1) / l00, spread(0, 2) / l00
    l11 = np.sqrt(np.maximum(spread(1, 1) - l10 * l10, np.float32(epsilon / 4)))
    l21 = (spread(1, 2) - l20 * l10) / l11
    l22 = np.sqrt(np.maximum(spread(2, 2) - l20 * l20 - l21 * l21, np.float32(epsilon / 4)))
    y0 = joint[0] / l00
    y1 = (joint[1] - l10 * y0) / l11
    y2 = (joint[2] - l20 * y0 - l21 * y1) / l22
    a2 = y2 / l22
    a1 = (y1 - l21 * a2) / l11
    a0 = (y0 - l10 * a1 - l20 * a2) / l00
    slopes = [mean(a) for a in (a0, a1, a2)]
    fitted = sum(s * c for s, c in zip(slopes, channels, strict=True))
    merged: Tensor = cv2.merge([*slopes, alpha - fitted])
    return merged


def paint(base: Alpha, rgb: Rgb, model: Tensor, share: Alpha) -> Alpha:
    """``base`` (H, W) with the model's alpha blended in where ``share`` says; a new array.

    ``model`` (h, w, 4) is that of ``colour_model``, ``share`` (h, w) in 0..1 is how much of it is
    wanted; both are stretched over the picture. Works in tiles, and only where ``share`` is not 0.
    """
    out = base.copy()
    height, width = base.shape
    scale = np.float32(1 / full_scale(rgb))
    tiles = [
        (top, left) for top in range(0, height, _TILE_PX) for left in range(0, width, _TILE_PX)
    ]

    def tile(corner: tuple[int, int]) -> None:
        top, left = corner
        inner = np.s_[top : min(top + _TILE_PX, height), left : min(left + _TILE_PX, width)]
        part = _stretched(share, inner, base.shape)
        if not part.any():
            return
        slopes = _stretched(model, inner, base.shape)
        colours = np.multiply(rgb[inner], scale, dtype=np.float32)
        found = cv2.transform(slopes[..., :3] * colours, np.ones((1, 3), np.float32))
        found = np.clip(found.reshape(part.shape) + slopes[..., 3], 0, 1)
        out[inner] += part * (found - out[inner])

    with ThreadPoolExecutor(min(os.cpu_count() or 1, 4)) as pool:
        list(pool.map(tile, tiles))
    return out


def _stretched(image: Tensor, inner: tuple[slice, slice], size: tuple[int, int]) -> Tensor:
    """The ``inner`` part of ``image`` stretched to ``size``, bilinear; reads only what it needs."""
    rows, columns = inner
    steps = image.shape[0] / size[0], image.shape[1] / size[1]
    high, wide = rows.stop - rows.start, columns.stop - columns.start
    # Pixel centres: (i + 0.5) * step - 0.5.
    matrix = np.array(
        [
            [steps[1], 0, (columns.start + 0.5) * steps[1] - 0.5],
            [0, steps[0], (rows.start + 0.5) * steps[0] - 0.5],
        ]
    )
    first_y = max(0, int(np.floor(matrix[1, 2])) - 1)
    first_x = max(0, int(np.floor(matrix[0, 2])) - 1)
    last_y = min(image.shape[0], int(np.ceil(rows.stop * steps[0])) + 2)
    last_x = min(image.shape[1], int(np.ceil(columns.stop * steps[1])) + 2)
    matrix[:, 2] -= (first_x, first_y)
    if steps == (1.0, 1.0):
        return image[rows, columns]
    stretched: Tensor = cv2.warpAffine(
        np.ascontiguousarray(image[first_y:last_y, first_x:last_x]),
        matrix,
        (wide, high),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return stretched
