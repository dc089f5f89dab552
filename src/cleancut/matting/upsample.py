"""From a small matte to a large one, with the edges that the large picture shows.

Around every pixel of the small picture alpha is fitted as an affine function of colour, and that
function is applied to the colours of the large picture: He and Sun, "Fast Guided Filter", arXiv
1505.00996. What the fit leaves over of the small matte is added back, so that the answer, seen
small, stays the small matte's (back-projection in one step).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cleancut.arrays import full_scale
from cleancut.imaging.threads import each
from cleancut.matting.place import Place

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.arrays import Alpha, Rgb, Tensor

    Planes = NDArray[np.float32]
    Part = tuple[slice, slice]

#: Colours closer together than this (0..1, squared) are taken for one colour.
_EPSILON = 1e-4
#: Side of the tiles that are upsampled at once.
_TILE_PX = 128


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


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A small picture's colour model, and where it belongs.

    ``model`` (h, w, 4) is that of ``colour_model``, ``share`` (h, w), or one value for all of it,
    how much of it is wanted (0..1).
    """

    model: Tensor
    share: Alpha
    place: Place

    @classmethod
    def over_all(cls, model: Tensor) -> Layer:
        """All of ``model`` over all of a picture."""
        return cls(model, np.ones((1, 1), np.float32), Place(model.shape[:2]))

    def share_at(self, shape: tuple[int, int], place: Place) -> Alpha:
        """``share`` as seen from another division of the picture, ``shape`` (rows, columns)."""
        inner = slice(0, shape[0]), slice(0, shape[1])
        cells, matrix = _cells(self, inner, place)
        return _stretched(self.share[cells], matrix, shape)


def paint(base: Alpha, rgb: Rgb, layer: Layer, place: Place | None = None) -> Alpha:
    """``base`` (H, W) with the layer's alpha blended in where its share says; a new array.

    ``rgb`` (H, W, 3) are the colours that its model is asked about. ``place`` says which part of
    the picture these are, all of it if None. Works in tiles, and only where the share is not 0.
    """
    out = base.copy()
    paint_over(out, rgb, layer, place)
    return out


def paint_over(out: Alpha, rgb: Rgb, layer: Layer, place: Place | None = None) -> None:
    """``paint`` that writes into ``out``, which holds the base."""
    own = place or Place(out.shape)
    uniform = layer.share.size == 1
    # The fourth channel becomes full scale, so that the offset is one more product.
    scale = np.full((1, 4), 1 / full_scale(rgb), np.float32)

    def tile(inner: Part) -> None:
        cells, matrix = _cells(layer, inner, own)
        if not (layer.share if uniform else layer.share[cells]).any():
            return
        base = out[inner]
        mixed = _stretched(layer.model[cells], matrix, base.shape)
        mixed = mixed * cv2.cvtColor(np.ascontiguousarray(rgb[inner]), cv2.COLOR_RGB2RGBA)
        found: Tensor = cv2.transform(mixed, scale).reshape(base.shape)
        np.clip(found, 0, 1, out=found)
        found -= base
        found *= layer.share if uniform else _stretched(layer.share[cells], matrix, base.shape)
        base += found

    spans = [_span(layer, own, out.shape, axis) for axis in (0, 1)]
    each(tile, [(rows, columns) for rows in spans[0] for columns in spans[1]])


def _span(layer: Layer, own: Place, size: tuple[int, ...], axis: int) -> list[slice]:
    """The tiles' rows (axis 0) or columns, as far as the layer reaches."""
    step = own.grid[axis] / layer.place.grid[axis]
    ends = (layer.place.corner[axis], layer.place.corner[axis] + layer.model.shape[axis])
    first, last = (min(max(round(end * step - own.corner[axis]), 0), size[axis]) for end in ends)
    return [slice(at, min(at + _TILE_PX, last)) for at in range(first, last, _TILE_PX)]


def _cells(layer: Layer, inner: Part, own: Place) -> tuple[Part, Tensor]:
    """Which cells of a layer lie under ``inner`` of what is painted, and the way to them.

    The way is the 2 x 3 matrix from pixels of ``inner`` to those cells.
    """
    cells, matrix = [], np.zeros((2, 3))
    for axis in (0, 1):
        step = layer.place.grid[axis] / own.grid[axis]
        # Pixel centres: (i + 0.5) * step - 0.5.
        start = (own.corner[axis] + inner[axis].start + 0.5) * step - layer.place.corner[axis] - 0.5
        stop = start + (inner[axis].stop - inner[axis].start) * step
        most = layer.model.shape[axis]
        first = min(max(0, math.floor(start) - 1), most - 1)
        cells.append(slice(first, max(first + 1, min(most, math.ceil(stop) + 2))))
        matrix[1 - axis, 1 - axis], matrix[1 - axis, 2] = step, start - first
    return (cells[0], cells[1]), matrix


def _stretched(image: Tensor, matrix: Tensor, size: tuple[int, ...]) -> Tensor:
    """``image`` looked up at where ``matrix`` leads the pixels of ``size``, bilinear."""
    if image.shape[:2] == size[:2] and (matrix == np.eye(2, 3)).all():
        return image
    stretched: Tensor = cv2.warpAffine(
        np.ascontiguousarray(image),
        matrix,
        (size[1], size[0]),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return stretched
