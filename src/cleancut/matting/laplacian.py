"""The matting Laplacian on a band of pixels, as stencil weights.

Levin, Lischinski and Weiss, "A Closed-Form Solution to Natural Image Matting", TPAMI 2008: in
every 3 x 3 window alpha is an affine function of colour; how far it is from one, summed over all
windows, is a quadratic form in alpha, and its matrix is the matting Laplacian.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from cleancut.arrays import full_scale

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.arrays import Rgb, Tensor

    Vector = NDArray[np.float32]
    Mask = NDArray[np.bool_]

_WINDOW = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
#: Offsets (y, x) of a pixel's neighbours, in the order of the stencil's rows.
STENCIL = tuple((y, x) for y in range(-2, 3) for x in range(-2, 3))
_ROW = {offset: row for row, offset in enumerate(STENCIL)}
#: Windows whose weights are worked out at once: their arrays stay in the processor's cache.
_CHUNK = 1 << 15


def laplacian(rgb: Rgb, wanted: Mask, epsilon: float) -> Vector:
    """Rows of the matting Laplacian for the ``wanted`` pixels, as (25, N) stencil weights.

    Row d holds the weight of the pixel at ``STENCIL[d]`` from each wanted pixel, in the order of
    ``np.flatnonzero(wanted)``. Only windows wholly inside ``rgb`` (H, W, 3) count. A window adds
    ``1[i = j] - (1 + d_i . d_j) / 9`` for each pair of its pixels, with ``d`` the centred colours
    whitened by the window's covariance plus ``epsilon / 9`` (Levin et al., equation 12; colours in
    0..1, squared).
    """
    height, width = wanted.shape
    pixels = np.flatnonzero(wanted)
    rows = np.zeros((25, pixels.size), np.float32)
    whole = np.zeros((height, width), bool)
    if min(height, width) >= 3:
        touched = cv2.dilate(wanted.view(np.uint8), np.ones((3, 3), np.uint8)) > 0
        whole[1:-1, 1:-1] = touched[1:-1, 1:-1]
    # A rim of one pixel around the plane of window numbers saves bounds checks.
    margin = np.full((height + 2, width + 2), -1, np.intp)
    y, x = np.divmod(pixels, width)
    home = (y + 1) * (width + 2) + x + 1
    centres = np.flatnonzero(whole)
    colours = np.ascontiguousarray(rgb).reshape(-1, 3)
    for first in range(0, centres.size, _CHUNK):
        some = centres[first : first + _CHUNK]
        # Wanted pixels that lie in these windows: the numbers grow row by row, like the pixels.
        start = int(np.searchsorted(pixels, some[0] - width - 1))
        stop = int(np.searchsorted(pixels, some[-1] + width + 1, side="right"))
        number = margin.reshape(-1)
        slots = (some // width + 1) * (width + 2) + some % width + 1
        number[slots] = np.arange(some.size)
        seats = [number[home[start:stop] - (dy * (width + 2) + dx)] for dy, dx in _WINDOW]
        number[slots] = -1
        places = [some + dy * width + dx for dy, dx in _WINDOW]
        values = np.stack([colours[at].T for at in places]) * np.float64(1 / full_scale(rgb))
        _add_windows(rows[:, start:stop], _whiten(values, epsilon), seats)
    return rows


def _add_windows(rows: Vector, whitened: Vector, seats: list[NDArray[np.intp]]) -> None:
    """Add the weights of K windows; ``seats[i]`` names the window whose i-th pixel each row is."""
    value = np.zeros(whitened.shape[2] + 1, np.float32)  # the last stays 0: index -1 is no window
    part = np.empty(whitened.shape[2], np.float32)
    found = np.empty(rows.shape[1], np.float32)
    for i, (y0, x0) in enumerate(_WINDOW):
        for j, (y1, x1) in enumerate(_WINDOW[i:], start=i):
            inner = value[:-1]
            np.multiply(whitened[i, 0], whitened[j, 0], out=inner)
            for axis in (1, 2):
                np.multiply(whitened[i, axis], whitened[j, axis], out=part)
                inner += part
            inner += np.float32(1 - 9 * (i == j))
            inner *= np.float32(-1 / 9)
            np.take(value, seats[i], out=found, mode="wrap")
            rows[_ROW[y1 - y0, x1 - x0]] += found
            if i != j:
                np.take(value, seats[j], out=found, mode="wrap")
                rows[_ROW[y0 - y1, x0 - x1]] += found


def _whiten(colours: Tensor, epsilon: float) -> Vector:
    """Colours (9, 3, K) of K windows, centred and multiplied by the inverse Cholesky factor."""
    # float64: the covariance of a nearly flat window is tiny against the colours it comes from.
    c: NDArray[np.float64] = colours - colours.mean(axis=0)
    ridge = epsilon / 9

    def covariance(a: int, b: int) -> NDArray[np.float64]:
        products: NDArray[np.float64] = np.einsum("ik,ik->k", c[:, a], c[:, b])
        return products / 9

    l00 = np.sqrt(covariance(0, 0) + ridge)
    l10, l20 = covariance(1, 0) / l00, covariance(2, 0) / l00
    l11 = np.sqrt(np.maximum(covariance(1, 1) - l10 * l10, 0) + ridge)
    l21 = (covariance(2, 1) - l20 * l10) / l11
    l22 = np.sqrt(np.maximum(covariance(2, 2) - l20 * l20 - l21 * l21, 0) + ridge)
    c[:, 0] /= l00
    c[:, 1] = (c[:, 1] - l10 * c[:, 0]) / l11
    c[:, 2] = (c[:, 2] - l20 * c[:, 0] - l21 * c[:, 1]) / l22
    return c.astype(np.float32)
