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

    from cleancut.arrays import Alpha, Rgb, Tensor

    Vector = NDArray[np.float32]
    Mask = NDArray[np.bool_]

_WINDOW = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
_STENCIL = [(y, x) for y in range(-2, 3) for x in range(-2, 3)]
_CENTRE = _STENCIL.index((0, 0))
#: Windows whose weights are worked out at once.
_CHUNK = 1 << 17
#: What is solved in one go: unknown pixels cost about 150 bytes each, all others 16.
_MOST_UNKNOWNS = 1_000_000
_MOST_PIXELS = 16_000_000
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
    epsilon: float = 1e-7,
    tolerance: float = 1e-4,
    max_iterations: int = 2000,
) -> Solution:
    """Alpha of the unknown pixels of ``trimap``; the known ones stay exactly 0 and 1.

    ``rgb`` is (H, W, 3), ``trimap`` (H, W) holding 0, 1 and anything between for unknown,
    ``guess`` (H, W) in [0, 1] a first answer, as from a net: where the solver starts, and what is
    returned if it does not arrive. ``epsilon`` pulls alpha towards a constant in flat windows
    (colours in 0..1, squared). The solver stops when the residual is ``tolerance`` times that of
    an empty band, or after ``max_iterations`` for each part. With nothing known there is nothing
    to solve: that is the guess too, not converged. Raises ``BadArray`` and ``BadOption``.

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
    if rgb.dtype.kind == "f" and not np.isfinite(rgb).all():
        raise BadArray("picture: holds values that are not finite", hint="replace NaN and infinity")
    if not (epsilon > 0 and tolerance > 0 and max_iterations >= 1):
        raise BadOption(
            "closed form: epsilon, tolerance and max_iterations must be above zero",
            hint="leave them out to use the defaults",
        )
    unknown = (trimap > 0) & (trimap < 1)
    start = np.where(unknown, 0.5 if guess is None else guess, trimap).astype(np.float32)
    if not unknown.any():
        return Solution(start, converged=True, iterations=0)
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


def _solve_level(rgb: Rgb, trimap: Alpha, start: Alpha, limits: _Limits) -> tuple[Alpha, bool, int]:
    """Solve one size of the pyramid, after the one half as large."""
    unknown = (trimap > 0) & (trimap < 1)
    if unknown.all():
        return start, False, 0
    height, width = trimap.shape
    alpha = start.copy()
    if min(height, width) >= 16 and np.count_nonzero(unknown) > _FEWEST_UNKNOWNS:
        half = (width // 2, height // 2)
        halved: list[Tensor] = [
            cv2.resize(plane, half, interpolation=cv2.INTER_AREA) for plane in (rgb, trimap, start)
        ]
        small, small_trimap, small_start = halved
        # A mean of known zeros and ones is neither; a mean of ones may miss 1 by rounding.
        small_trimap = np.where(small_trimap > 1 - 1e-6, np.float32(1), small_trimap)
        coarse, _, _ = _solve_level(small, small_trimap, small_start, limits)
        finer: Tensor = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
        alpha[unknown] = finer[unknown]
    converged, iterations = True, 0
    for box in _parts(unknown):
        top, left, bottom, right = box
        # Two pixels around a part: the windows of its outermost pixels reach that far.
        reach = np.s_[max(top - 2, 0) : bottom + 2, max(left - 2, 0) : right + 2]
        wanted = np.zeros_like(unknown[reach])
        y, x = top - reach[0].start, left - reach[1].start
        inside = np.s_[y : y + bottom - top, x : x + right - left]
        wanted[inside] = unknown[top:bottom, left:right]
        solved, arrived, taken = _solve_part(rgb[reach], alpha[reach], wanted, limits)
        alpha[reach][wanted] = solved
        converged, iterations = converged and arrived, max(iterations, taken)
    return alpha, converged, iterations


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
        fits = count <= _MOST_UNKNOWNS and high * wide <= _MOST_PIXELS
        if fits or max(high, wide) <= 4 * _OVERLAP:
            yield top, left, bottom, right
        elif high >= wide:
            middle = top + high // 2
            boxes.append((middle - _OVERLAP, left, bottom, right))
            boxes.append((top, left, middle + _OVERLAP, right))
        else:
            middle = left + wide // 2
            boxes.append((top, middle - _OVERLAP, bottom, right))
            boxes.append((top, left, bottom, middle + _OVERLAP))


def _solve_part(rgb: Rgb, alpha: Alpha, wanted: Mask, limits: _Limits) -> tuple[Vector, bool, int]:
    """Values of the ``wanted`` pixels; all others of ``alpha`` are held as they are."""
    stencil = laplacian(rgb, wanted, limits.epsilon)
    # A rim of two pixels (their weights are zero) saves the look-ups their bounds check.
    plane = np.pad(alpha, 2)
    field = plane.reshape(-1)
    origin = 2 * plane.shape[1] + 2
    pixels = np.flatnonzero(np.pad(wanted, 2)) - origin
    shifted = [field[origin + y * plane.shape[1] + x :] for y, x in _STENCIL]
    found = np.empty(pixels.size, np.float32)

    def product(x: Vector) -> Vector:
        shifted[_CENTRE][pixels] = x
        total: Vector = stencil[_CENTRE] * x
        for weights, values in zip(stencil, shifted, strict=True):
            if values is not shifted[_CENTRE]:
                np.take(values, pixels, out=found, mode="clip")  # "raise" would buffer `out`
                np.multiply(found, weights, out=found)
                total += found
        return total

    start = shifted[_CENTRE][pixels]
    right_side = -product(np.zeros_like(start))
    field[:] = 0  # from here on `product` sees the unknown pixels alone
    return _conjugate_gradients(product, right_side, start, stencil[_CENTRE], limits)


def laplacian(rgb: Rgb, wanted: Mask, epsilon: float) -> Vector:
    """Rows of the matting Laplacian for the ``wanted`` pixels, as (25, N) stencil weights.

    Row d holds the weight of the pixel at ``_STENCIL[d]`` from each wanted pixel, in the order of
    ``np.flatnonzero(wanted)``. Only windows wholly inside ``rgb`` (H, W, 3) count. A window adds
    ``1[i = j] - (1 + d_i . d_j) / 9`` for each pair of its pixels, with ``d`` the centred colours
    whitened by the window's covariance plus ``epsilon / 9`` (Levin et al., equation 12).
    """
    height, width = wanted.shape
    touched = cv2.dilate(wanted.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    whole = np.zeros_like(touched)
    whole[1:-1, 1:-1] = touched[1:-1, 1:-1]
    centres = np.flatnonzero(whole)
    count = int(np.count_nonzero(wanted))
    number = np.full(height * width, count, np.int32)  # pixels that are not wanted share one row
    number[wanted.reshape(-1)] = np.arange(count, dtype=np.int32)
    colours = np.ascontiguousarray(rgb).reshape(-1, 3)
    white = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}.get(rgb.dtype, 1)
    rows = np.zeros((25, count + 1), np.float32)
    for first in range(0, centres.size, _CHUNK):
        places = [centres[first : first + _CHUNK] + y * width + x for y, x in _WINDOW]
        whitened = _whiten(np.stack([colours[at].T for at in places]) / float(white), epsilon)
        slots = [number[at] for at in places]
        for i, (y0, x0) in enumerate(_WINDOW):
            for j, (y1, x1) in enumerate(_WINDOW[i:], start=i):
                value = (i == j) - (1 + (whitened[i] * whitened[j]).sum(axis=0)) / 9
                rows[_STENCIL.index((y1 - y0, x1 - x0)), slots[i]] += value
                if i != j:
                    rows[_STENCIL.index((y0 - y1, x0 - x1)), slots[j]] += value
    return rows[:, :count]


def _whiten(colours: Tensor, epsilon: float) -> NDArray[np.float64]:
    """Colours (9, 3, K) of K windows, centred and multiplied by the inverse Cholesky factor."""
    # float64: the covariance of a nearly flat window is tiny against the colours it comes from.
    c: NDArray[np.float64] = colours.astype(np.float64)
    c -= c.mean(axis=0)
    cov = np.einsum("iak,ibk->abk", c, c) / 9
    ridge = epsilon / 9
    l00 = np.sqrt(cov[0, 0] + ridge)
    l10, l20 = cov[1, 0] / l00, cov[2, 0] / l00
    l11 = np.sqrt(np.maximum(cov[1, 1] - l10 * l10, 0) + ridge)
    l21 = (cov[2, 1] - l20 * l10) / l11
    l22 = np.sqrt(np.maximum(cov[2, 2] - l20 * l20 - l21 * l21, 0) + ridge)
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
    x = x.copy()
    rest = right_side - product(x)
    goal = limits.tolerance * float(np.linalg.norm(right_side) or np.linalg.norm(rest))
    direction = scale * rest
    power = float(np.dot(rest, direction))
    taken = 0
    while float(np.linalg.norm(rest)) > goal and taken < limits.max_iterations:
        image = product(direction)
        curvature = float(np.dot(direction, image))
        if not (power > 0 and curvature > 0):  # rounding has used up what float32 can resolve
            break
        step = np.float32(power / curvature)
        x += step * direction
        rest -= step * image
        image = scale * rest
        power, before = float(np.dot(rest, image)), power
        direction *= np.float32(power / before)
        direction += image
        taken += 1
    return x, float(np.linalg.norm(rest)) <= goal, taken
