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
_CHUNK = 1 << 13


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
    # Windows are numbered from 1, and a rim of one pixel around their plane saves bounds checks.
    number = np.zeros((height + 2) * (width + 2), np.intp)
    y, x = np.divmod(pixels, width)
    home = (y + 1) * (width + 2) + x + 1
    centres = np.flatnonzero(whole)
    colours: Tensor = np.ascontiguousarray(rgb.reshape(-1, 3).T)
    scale = np.float64(1 / full_scale(rgb))
    for first in range(0, centres.size, _CHUNK):
        some = centres[first : first + _CHUNK]
        # Wanted pixels that lie in these windows: the numbers grow row by row, like the pixels.
        start = int(np.searchsorted(pixels, some[0] - width - 1))
        stop = int(np.searchsorted(pixels, some[-1] + width + 1, side="right"))
        slots = (some // width + 1) * (width + 2) + some % width + 1
        number[slots] = np.arange(1, some.size + 1)
        seats = [
            number.take(home[start:stop] - (dy * (width + 2) + dx), mode="clip")
            for dy, dx in _WINDOW
        ]
        number[slots] = 0
        places = np.stack([some + dy * width + dx for dy, dx in _WINDOW])
        values: Tensor = colours.take(places, axis=1, mode="clip") * scale
        _add_windows(rows[:, start:stop], _whiten(values, epsilon), seats)
    return rows


def _add_windows(rows: Vector, whitened: Vector, seats: list[NDArray[np.intp]]) -> None:
    """Add the weights of K windows; ``seats[i]`` names the window whose i-th pixel each row is."""
    value = np.zeros(whitened.shape[2] + 1, np.float32)  # the first stays 0: no window
    inner, products = value[1:], np.empty_like(whitened[0])
    found = np.empty(rows.shape[1], np.float32)
    for i, (y0, x0) in enumerate(_WINDOW):
        for j, (y1, x1) in enumerate(_WINDOW[i:], start=i):
            np.multiply(whitened[i], whitened[j], out=products)
            np.add.reduce(products, axis=0, out=inner)
            if i == j:
                inner -= 1
            for seat, there in ((seats[i], (y1 - y0, x1 - x0)), (seats[j], (y0 - y1, x0 - x1))):
                value.take(seat, out=found, mode="clip")
                row = rows[_ROW[there]]
                np.subtract(row, found, out=row)
                if i == j:
                    break


def _whiten(colours: NDArray[np.float64], epsilon: float) -> Vector:
    """Colours (3, 9, K) of K windows as (9, 4, K), whose products are the windows' weights.

    Centred and multiplied by the inverse Cholesky factor, with a fourth colour that is 1; all by a
    third, so that the product of two pixels is a ninth of ``1 + d_i . d_j``.
    """
    # float64: the covariance of a nearly flat window is tiny against the colours it comes from.
    c = colours - colours.mean(axis=1, keepdims=True)
    ridge = epsilon / 9

    def covariance(a: int, b: int) -> NDArray[np.float64]:
        products: NDArray[np.float64] = np.multiply(c[a], c[b]).sum(axis=0)
        return products / 9

    l00 = np.sqrt(covariance(0, 0) + ridge)
    l10, l20 = covariance(1, 0) / l00, covariance(2, 0) / l00
    l11 = np.sqrt(np.maximum(covariance(1, 1) - l10 * l10, 0) + ridge)
    l21 = (covariance(2, 1) - l20 * l10) / l11
    l22 = np.sqrt(np.maximum(covariance(2, 2) - l20 * l20 - l21 * l21, 0) + ridge)
    c[0] /= l00
    c[1] = (c[1] - l10 * c[0]) / l11
    c[2] = (c[2] - l20 * c[0] - l21 * c[1]) / l22
    whitened = np.full((9, 4, colours.shape[2]), 1 / 3, np.float32)
    np.multiply(c.transpose(1, 0, 2), 1 / 3, out=whitened[:, :3], casting="same_kind")
    return whitened
