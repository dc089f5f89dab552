"""Closed-form matting: solve the alpha of the unknown band from the colours around it.

Levin, Lischinski and Weiss, "A Closed-Form Solution to Natural Image Matting", TPAMI 2008, with a
second term that pulls each pixel to a first answer by a weight of its own (a net's matte by its
certainty, samples of the known colours by theirs). The sum of both is a linear system.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cleancut.arrays import check_alpha, check_rgb, full_scale
from cleancut.errors import BadArray, BadOption
from cleancut.matting import multigrid
from cleancut.matting.laplacian import STENCIL, laplacian
from cleancut.matting.place import Place
from cleancut.matting.upsample import Layer, colour_model, paint

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.arrays import Alpha, Rgb, Tensor

    Mask = NDArray[np.bool_]

#: What is solved in one go; a larger band is solved in a shrunk picture and carried up.
_MOST_UNKNOWNS = 500_000
_MOST_PIXELS = 6_000_000
#: A level of the pyramid with fewer unknown pixels than this is solved without a coarser one.
_FEWEST_UNKNOWNS = 5_000
#: Coarse sizes are solved this much more closely: that is cheap there, and spares fine steps.
_COARSE_SHARE = 0.3
#: The least pull of any pixel: where no window reaches, the first answer stays.
_LEAST_WEIGHT = np.float32(1e-6)


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """``alpha`` (H, W) in [0, 1]; how the solver fared at its finest size.

    Where ``converged`` is False, ``alpha`` holds the guess in the band (without a guess, the best
    that was reached).
    """

    alpha: Alpha
    converged: bool
    iterations: int


@dataclass(frozen=True, slots=True)
class _Limits:
    epsilon: float
    tolerance: float
    max_iterations: int


def solve(
    rgb: Rgb,
    trimap: Alpha,
    *,
    guess: Alpha | None = None,
    weight: Alpha | None = None,
    known: Alpha | None = None,
    epsilon: float = 1e-7,
    tolerance: float = 3e-3,
    max_iterations: int = 200,
    stretch: float = 0.02,
) -> Solution:
    """Alpha of the unknown pixels of ``trimap``; the known ones stay exactly 0 and 1.

    ``rgb`` is (H, W, 3), ``trimap`` (H, W) holding 0, 1 and anything between for unknown,
    ``guess`` (H, W) in [0, 1] a first answer, as from a net: where the solver starts, and what is
    returned if it does not arrive. ``weight`` (H, W) in [0, 1] is how strongly each unknown pixel
    is held at the guess (0.01 is much). ``known`` (H, W) in [0, 1] are the alphas that the known
    pixels have, where these are others than 0 and 1. ``epsilon`` pulls alpha towards a constant in
    flat windows (colours in 0..1, squared). The solver stops when the residual is ``tolerance``
    times the right side, or gives up after ``max_iterations``. As the minimum of a quadratic form
    never quite reaches 0 and 1, the band is stretched by ``stretch`` at both ends. With nothing
    known there is nothing to solve: that is the guess too, not converged. Raises ``BadArray`` and
    ``BadOption``.

    The band is solved coarse to fine, each size starting from the one below it. With more than
    half a million unknown pixels the finest size is left to the local colour models of the one
    below.
    """
    check_rgb(rgb)
    planes = {"trimap": trimap, "guess": guess, "weight": weight, "known": known}
    for name, plane in planes.items():
        if plane is not None:
            check_alpha(plane, name)
            if plane.shape != rgb.shape[:2]:
                raise BadArray(f"picture {rgb.shape[:2]} and {name} {plane.shape} differ in size")
    if rgb.dtype.kind == "f" and not np.isfinite(rgb).all():
        raise BadArray("picture: holds values that are not finite", hint="replace NaN and infinity")
    if not (epsilon > 0 and tolerance > 0 and max_iterations >= 1 and 0 <= stretch < 0.5):
        raise BadOption(
            "closed form: epsilon, tolerance and max_iterations must be above zero, stretch in"
            " 0 to 0.5",
            hint="leave them out to use the defaults",
        )
    unknown = (trimap > 0) & (trimap < 1)
    fixed = trimap if known is None else known
    start = np.where(unknown, 0.5 if guess is None else guess, fixed).astype(np.float32)
    if not unknown.any():
        return Solution(start, converged=True, iterations=0)
    if unknown.all():
        return Solution(start, converged=False, iterations=0)
    box = _box(unknown)
    pull = np.zeros((1, 1), np.float32) if weight is None else weight[box]
    problem = _Problem(rgb[box], trimap[box], start[box], pull)
    found = _solve_level(problem, _Limits(epsilon, tolerance, max_iterations), tolerance)
    alpha = start.copy()
    if found.converged or guess is None:
        level = np.float32(stretch)
        solved = np.clip((found.alpha - level) / (1 - 2 * level), 0, 1)
        alpha[box] = np.where(unknown[box], solved, start[box])
    return replace(found, alpha=alpha)


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    rgb: Rgb
    trimap: Alpha
    start: Alpha
    weight: Alpha

    def half(self) -> _Problem:
        height, width = self.trimap.shape
        small = (max(1, width // 2), max(1, height // 2))

        def shrunk(plane: Rgb | Alpha) -> Tensor:
            smaller: Tensor = cv2.resize(plane, small, interpolation=cv2.INTER_AREA)
            return smaller

        trimap = shrunk(self.trimap)
        # A mean of known zeros and ones is neither; a mean of ones may miss 1 by rounding.
        trimap[trimap > 1 - 1e-6] = 1
        start, weight = shrunk(self.start), self.weight
        if weight.size > 1:
            weight = shrunk(weight)
            start = np.where(
                weight > 0, shrunk(self.start * self.weight) / np.maximum(weight, 1e-12), start
            )
            start = np.clip(start, 0, 1).astype(np.float32)
        return _Problem(shrunk(self.rgb), trimap, start, weight)


def _box(unknown: Mask) -> tuple[slice, slice]:
    """What the windows of unknown pixels can reach: two pixels around them, never under three."""
    rows, columns = np.flatnonzero(unknown.any(axis=1)), np.flatnonzero(unknown.any(axis=0))
    top, left = max(int(rows[0]) - 2, 0), max(int(columns[0]) - 2, 0)
    return np.s_[top : int(rows[-1]) + 3, left : int(columns[-1]) + 3]


def _solve_level(problem: _Problem, limits: _Limits, tolerance: float) -> Solution:
    """Solve one size of the pyramid, after the one half as large."""
    unknown = (problem.trimap > 0) & (problem.trimap < 1)
    count = int(np.count_nonzero(unknown))
    alpha = problem.start
    if min(unknown.shape) >= 16 and count > _FEWEST_UNKNOWNS:
        half = problem.half()
        coarse = _solve_level(half, limits, limits.tolerance * _COARSE_SHARE)
        guide = np.multiply(half.rgb, np.float32(1 / full_scale(half.rgb)), dtype=np.float32)
        band = ((half.trimap > 0) & (half.trimap < 1)).astype(np.float32)
        share: Tensor = cv2.dilate(band, np.ones((3, 3), np.uint8))
        model = colour_model(guide, coarse.alpha)
        carried = paint(alpha, problem.rgb, Layer(model, share, Place(share.shape)))
        alpha = np.where(unknown, carried, alpha)
        if count > _MOST_UNKNOWNS or unknown.size > _MOST_PIXELS:
            return replace(coarse, alpha=alpha)
    return _relax(problem, alpha, unknown, replace(limits, tolerance=tolerance))


def _relax(problem: _Problem, alpha: Alpha, unknown: Mask, limits: _Limits) -> Solution:
    """Solve the unknown pixels at this size, starting from ``alpha``."""
    if not unknown.any():
        return Solution(alpha, converged=True, iterations=0)
    weights = laplacian(problem.rgb, unknown, limits.epsilon)
    weight = np.broadcast_to(problem.weight, unknown.shape)[unknown] + _LEAST_WEIGHT
    weights[STENCIL.index((0, 0))] += weight
    band = multigrid.Band(weights, unknown)
    right_side = band.slots(weight * problem.start[unknown])
    right_side -= band.pull(np.where(unknown, 0, alpha))
    found = multigrid.solve(
        band,
        right_side,
        band.slots(alpha[unknown]),
        tolerance=limits.tolerance,
        max_iterations=limits.max_iterations,
    )
    solved = alpha.copy()
    solved[unknown] = np.clip(found.values[band.own], 0, 1)
    fine = bool(np.isfinite(found.values).all()) and found.residual <= limits.tolerance
    return Solution(solved, fine, found.iterations)
