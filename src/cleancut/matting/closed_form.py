"""Closed-form matting: solve the alpha of the unknown band from the colours around it.

Levin, Lischinski and Weiss, "A Closed-Form Solution to Natural Image Matting", TPAMI 2008: in
every 3 x 3 window alpha is an affine function of colour, which gives a quadratic form in alpha,
the matting Laplacian L. Its minimum under the known pixels is a linear system in the unknown ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cleancut.arrays import check_alpha, check_rgb
from cleancut.errors import BadArray, BadOption

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.arrays import Alpha, Rgb

    Vector = NDArray[np.float32]
    Index = NDArray[np.intp]
    Mask = NDArray[np.bool_]

DT = np.float32
_CHUNK = 1 << 17
_WINDOW = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
_STENCIL = [(y, x) for y in range(-2, 3) for x in range(-2, 3)]
_CENTRE = _STENCIL.index((0, 0))
#: Unknown pixels solved at once: about 110 bytes each.
_MOST_UNKNOWNS = 1_000_000
#: Rows and columns of already solved pixels that two neighbouring parts share.
_OVERLAP = 16
#: A level of the pyramid with fewer unknown pixels than this is solved without a coarser one.
_FEWEST_UNKNOWNS = 2_000


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """``alpha`` (H, W) in [0, 1]; how the solver fared at full size.

    ``iterations`` is the largest number that any part of the band needed. Where ``converged`` is
    False, ``alpha`` holds the guess in the band (without a guess, the best that was reached).
    """

    alpha: Alpha
    converged: bool
    iterations: int


def solve(
    rgb: Rgb,
    trimap: Alpha,
    *,
    guess: Alpha | None = None,
    epsilon: float = 1e-6,
    tolerance: float = 1e-3,
    max_iterations: int = 1000,
) -> Solution:
    """Alpha of the unknown pixels of ``trimap``; the known ones stay exactly 0 and 1.

    ``rgb`` is (H, W, 3), ``trimap`` (H, W) holding 0, 1 and anything between for unknown,
    ``guess`` (H, W) in [0, 1] a first answer, as from a net: where the solver starts, and what is
    returned if it does not arrive. ``epsilon`` pulls alpha towards a constant in flat windows
    (colours in 0..1, squared). The solver stops when the residual is ``tolerance`` times that of
    an empty band, or after ``max_iterations`` for each part. Raises ``BadArray`` and ``BadOption``.

    The band is solved coarse to fine, each size starting from the one below it. At full size it
    is solved whole, or, with more than a million unknown pixels, in overlapping parts whose rims
    are held at the coarser answer.
    """
    check_rgb(rgb)
    for name, plane in (("trimap", trimap), ("guess", guess)):
        if plane is not None:
            check_alpha(plane, name)
            if plane.shape != rgb.shape[:2]:
                raise BadArray(f"picture {rgb.shape[:2]} and {name} {plane.shape} differ in size")
    if not (epsilon > 0 and tolerance > 0 and max_iterations >= 1):
        raise BadOption(
            "closed form: epsilon, tolerance and max_iterations must be above zero",
            hint="leave them out to use the defaults",
        )
    unknown = (trimap > 0) & (trimap < 1)
    start = np.where(unknown, 0.5 if guess is None else guess, trimap).astype(np.float32)
    if not unknown.any():
        return Solution(start, converged=True, iterations=0)
    if unknown.all():
        return Solution(start, converged=False, iterations=0)
    limits = _Limits(epsilon, tolerance, max_iterations)
    alpha, converged, iterations = _solve_level(rgb, trimap, start, limits)
    if not np.isfinite(alpha).all():
        alpha, converged = start, False
    if not converged and guess is not None:
        alpha = start
    return Solution(np.clip(alpha, 0, 1), converged, iterations)


@dataclass(frozen=True, slots=True)
class _Limits:
    epsilon: float
    tolerance: float
    max_iterations: int


def _solve_level(
    rgb: Rgb, trimap: Alpha, start: Alpha, limits: _Limits
) -> tuple[Alpha, bool, int]:
    """Solve one size of the pyramid, after the one half as large."""
    unknown = (trimap > 0) & (trimap < 1)
    height, width = trimap.shape
    alpha = start.copy()
    if min(height, width) >= 16 and np.count_nonzero(unknown) > _FEWEST_UNKNOWNS:
        half = (width // 2, height // 2)
        small, small_trimap, small_start = (
            cv2.resize(plane, half, interpolation=cv2.INTER_AREA) for plane in (rgb, trimap, start)
        )
        # A mean of known zeros and ones is neither; a mean of ones may miss 1 by rounding.
        small_trimap = np.where(small_trimap > 1 - 1e-6, np.float32(1), small_trimap)
        coarse, _, _ = _solve_level(small, small_trimap, small_start, limits)
        finer = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
        alpha[unknown] = finer[unknown]
    converged, iterations = True, 0
    for box in _parts(unknown):
        top, left, bottom, right = box
        # Two pixels around a part: the windows of its outermost pixels reach that far.
        reach = np.s_[max(top - 2, 0) : bottom + 2, max(left - 2, 0) : right + 2]
        wanted = unknown[reach].copy()
        inside = np.zeros_like(wanted)
        y, x = top - max(top - 2, 0), left - max(left - 2, 0)
        inside[y : y + bottom - top, x : x + right - left] = True
        wanted &= inside
        solved, arrived, taken = _solve_part(_unit(rgb[reach]), alpha[reach], wanted, limits)
        alpha[reach][wanted] = solved
        converged, iterations = converged and arrived, max(iterations, taken)
    return alpha, converged, iterations


def _unit(rgb: Rgb) -> NDArray[np.float32]:
    white = np.iinfo(rgb.dtype).max if rgb.dtype.kind == "u" else 1
    return np.multiply(rgb, np.float32(1 / white), dtype=np.float32)


def _parts(unknown: Mask) -> Iterator[tuple[int, int, int, int]]:
    """Boxes (top, left, bottom, right) that cover the unknown pixels, few enough in each."""
    rows, columns = np.flatnonzero(unknown.any(axis=1)), np.flatnonzero(unknown.any(axis=0))
    if rows.size == 0:
        return
    boxes = [(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)]
    while boxes:
        top, left, bottom, right = boxes.pop()
        high, wide = bottom - top, right - left
        count = int(np.count_nonzero(unknown[top:bottom, left:right]))
        if count == 0:
            continue
        if count <= _MOST_UNKNOWNS or max(high, wide) <= 4 * _OVERLAP:
            yield top, left, bottom, right
        elif high >= wide:
            middle = top + high // 2
            boxes.append((middle - _OVERLAP, left, bottom, right))
            boxes.append((top, left, middle + _OVERLAP, right))
        else:
            middle = left + wide // 2
            boxes.append((top, middle - _OVERLAP, bottom, right))
            boxes.append((top, left, bottom, middle + _OVERLAP))


def _solve_part(
    image: NDArray[np.float32], alpha: Alpha, wanted: Mask, limits: _Limits
) -> tuple[Vector, bool, int]:
    """Values of the ``wanted`` pixels; all others of ``alpha`` are held as they are."""
    # A rim of two pixels without windows saves every look-up its bounds check.
    image = cv2.copyMakeBorder(image, 2, 2, 2, 2, cv2.BORDER_REPLICATE)
    wanted = np.pad(wanted, 2)
    plane = np.pad(alpha, 2).astype(DT)
    pixels = np.flatnonzero(wanted)
    stencil = laplacian(image, wanted, limits.epsilon)
    offsets = [y * wanted.shape[1] + x for y, x in _STENCIL]
    field = plane.reshape(-1)

    def product(x: Vector) -> Vector:
        field[pixels] = x
        total = stencil[_CENTRE] * x
        for weights, offset in zip(stencil, offsets, strict=True):
            if offset:
                total += weights * field[pixels + offset]
        return total

    start = field[pixels].astype(DT)
    right_side = -product(np.zeros_like(start))
    field[:] = 0  # from here on `product` sees the unknown pixels alone
    return _conjugate_gradients(product, right_side, start, stencil[_CENTRE], limits)


def laplacian(image: NDArray[np.float32], wanted: Mask, epsilon: float) -> Vector:
    """Rows of the matting Laplacian for the ``wanted`` pixels, as (25, N) stencil weights.

    ``image`` is (H, W, 3) in [0, 1]. Row d holds the weight of the pixel at ``_STENCIL[d]`` from
    each wanted pixel, in the order of ``np.flatnonzero(wanted)``. Only windows wholly inside the
    picture count. A window adds ``1[i = j] - (1 + d_i . d_j) / 9`` for each pair of its pixels,
    with ``d`` the centred colours whitened by the window's covariance plus ``epsilon / 9``.
    """
    height, width = wanted.shape
    touched = cv2.dilate(wanted.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    whole = np.zeros_like(touched)
    whole[1:-1, 1:-1] = touched[1:-1, 1:-1]
    centres = np.flatnonzero(whole)
    count = int(np.count_nonzero(wanted))
    number = np.full(height * width, count, np.intp)  # pixels that are not wanted share one row
    number[wanted.reshape(-1)] = np.arange(count)
    rows = np.zeros((25, count + 1), DT)
    for first in range(0, centres.size, _CHUNK):
        places = [centres[first : first + _CHUNK] + y * width + x for y, x in _WINDOW]
        whitened = _whiten(np.stack([image.reshape(-1, 3)[at].T for at in places]), epsilon)
        slots = [number[at] for at in places]
        for i, (y0, x0) in enumerate(_WINDOW):
            for j, (y1, x1) in enumerate(_WINDOW[i:], start=i):
                value = (whitened[i] * whitened[j]).sum(axis=0)
                value = (i == j) - (1 + value) / 9
                rows[_STENCIL.index((y1 - y0, x1 - x0)), slots[i]] += value
                if i != j:
                    rows[_STENCIL.index((y0 - y1, x0 - x1)), slots[j]] += value
    return rows[:, :count]


def _whiten(colours: NDArray[np.float32], epsilon: float) -> NDArray[np.float64]:
    """Colours (9, 3, K) of K windows, centred and multiplied by the inverse Cholesky factor."""
    # float64: the covariance of a nearly flat window is tiny against the colours it comes from.
    c = colours.astype(np.float64)
    c -= c.mean(axis=0)
    cov = np.einsum("iak,ibk->abk", c, c) / 9
    ridge = epsilon / 9
    l00 = np.sqrt(cov[0, 0] + ridge)
    l10, l20 = cov[1, 0] / l00, cov[2, 0] / l00
    l11 = np.sqrt(cov[1, 1] - l10 * l10 + ridge)
    l21 = (cov[2, 1] - l20 * l10) / l11
    l22 = np.sqrt(cov[2, 2] - l20 * l20 - l21 * l21 + ridge)
    c[:, 0] /= l00
    c[:, 1] = (c[:, 1] - l10 * c[:, 0]) / l11
    c[:, 2] = (c[:, 2] - l20 * c[:, 0] - l21 * c[:, 1]) / l22
    return c


def _conjugate_gradients(
    product: Callable[[Vector], Vector],
    right_side: Vector,
    x: Vector,
    diagonal: Vector,
    limits: _Limits,
) -> tuple[Vector, bool, int]:
    """Solve ``product(x) = right_side``, preconditioned by the diagonal (Jacobi)."""
    scale = 1 / np.maximum(diagonal, np.float32(1e-12))
    rest = right_side - product(x)
    goal = limits.tolerance * float(np.linalg.norm(right_side))
    direction = scale * rest
    power = float(np.dot(rest, direction))
    for iteration in range(limits.max_iterations):
        if float(np.linalg.norm(rest)) <= goal:
            return x, True, iteration
        image = product(direction)
        curvature = float(np.dot(direction, image))
        if not (power > 0 and curvature > 0):
            break
        step = DT(power / curvature)
        x = x + step * direction
        rest -= step * image
        image = scale * rest
        power, before = float(np.dot(rest, image)), power
        direction *= DT(power / before)
        direction += image
    return x, float(np.linalg.norm(rest)) <= goal, limits.max_iterations
