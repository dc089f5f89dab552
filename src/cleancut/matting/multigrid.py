"""A band of pixels solved with conjugate gradients, preconditioned by algebraic multigrid.

Coarse levels join 2 x 2 pixels to one (plain aggregation) and take their matrix from the fine one
(Galerkin), so they keep the edges that the picture gives the fine matrix. The stencil of 5 x 5
weights becomes one of 3 x 3 and stays one. See Trottenberg, Oosterlee and Schüller, "Multigrid",
2001, appendix A.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]
    Mask = NDArray[np.bool_]
    Offsets = tuple[tuple[int, int], ...]

#: With fewer unknowns than this a level is inverted.
_FEWEST = 60
#: Damping of the Jacobi steps before and after a coarse correction.
_DAMPING = np.float32(0.6)
#: Piecewise constant corrections are too small: their energy at the steps is overstated.
_OVERSHOOT = np.float32(1.0)
_NINE: Offsets = tuple((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1))


class Band:
    """A symmetric matrix over the pixels of a mask: one weight for each neighbour and pixel.

    ``weights`` is (len(offsets), N), in the order of ``np.flatnonzero(mask)``; what it holds for
    neighbours outside the mask is not part of the matrix.
    """

    def __init__(self, weights: Vector, mask: Mask, offsets: Offsets) -> None:
        rim = max(max(y, x) for y, x in offsets)
        height, width = mask.shape
        self.weights, self.mask, self.offsets = weights, mask, offsets
        self.centre = offsets.index((0, 0))
        self._rim = rim
        self._plane = np.zeros((height + 2 * rim) * (width + 2 * rim), np.float32)
        stride = width + 2 * rim
        y, x = np.divmod(np.flatnonzero(mask), width)
        self._pixels = y * stride + x  # places from the corner of the rim
        self._shifted = [self._plane[(rim + dy) * stride + rim + dx :] for dy, dx in offsets]
        self._found = np.empty(self._pixels.size, np.float32)
        self.inverse_diagonal = 1 / np.maximum(weights[self.centre], np.float32(1e-12))

    def times(self, vector: Vector) -> Vector:
        """Matrix times ``vector`` (N,)."""
        self._shifted[self.centre][self._pixels] = vector
        total: Vector = self.weights[self.centre] * vector
        for row, values in enumerate(self._shifted):
            if row != self.centre:
                values.take(self._pixels, out=self._found, mode="clip")
                np.multiply(self._found, self.weights[row], out=self._found)
                total += self._found
        return total

    def pull(self, plane: Vector) -> Vector:
        """What the values outside the mask add: the weights times ``plane`` (H, W), (N,)."""
        rim = self._rim
        whole = self._plane.reshape(plane.shape[0] + 2 * rim, -1)
        whole[rim:-rim, rim:-rim] = plane
        total = self.times(np.zeros(self._pixels.size, np.float32))
        whole[:] = 0
        return total

    def inner_weights(self) -> Vector:
        """The weights with zero for neighbours outside the mask."""
        self._shifted[self.centre][self._pixels] = 1
        inside = np.stack([np.take(v, self._pixels, mode="clip") for v in self._shifted])
        return inside * self.weights


@dataclass(frozen=True, slots=True, eq=False)
class _Level:
    band: Band
    parents: NDArray[np.intp]  # the coarse unknown that each fine one belongs to
    coarse: int


class Multigrid:
    """Preconditioner: an approximate inverse of ``band``, symmetric and positive definite."""

    def __init__(self, band: Band) -> None:
        self._levels: list[_Level] = []
        while band.weights.shape[1] > _FEWEST and len(self._levels) < 16:
            level, band = _coarsen(band)
            self._levels.append(level)
        self._last = band
        self._inverse = _inverse(band) if band.weights.shape[1] <= 4 * _FEWEST else None

    def __call__(self, rest: Vector) -> Vector:
        """The correction (N,) for a residual ``rest`` (N,)."""
        return self._cycle(rest, 0)

    def _cycle(self, rest: Vector, depth: int) -> Vector:
        if depth == len(self._levels):
            if self._inverse is None:
                rough: Vector = self._last.inverse_diagonal * rest
                return rough
            exact: Vector = np.einsum("ij,j->i", self._inverse, rest)  # see _inner
            return exact
        level = self._levels[depth]
        smooth = _DAMPING * level.band.inverse_diagonal
        x: Vector = smooth * rest
        left = rest - level.band.times(x)
        summed = np.bincount(level.parents, left, level.coarse).astype(np.float32)
        x += _OVERSHOOT * self._cycle(summed, depth + 1)[level.parents]
        x += smooth * (rest - level.band.times(x))
        return x


def _coarsen(band: Band) -> tuple[_Level, Band]:
    height, width = band.mask.shape
    rows, columns = (height + 1) // 2, (width + 1) // 2
    y, x = np.divmod(np.flatnonzero(band.mask), width)
    cell = (y // 2) * columns + x // 2
    coarse_mask = np.zeros(rows * columns, bool)
    coarse_mask[cell] = True
    number = np.cumsum(coarse_mask) - 1
    parents = number[cell]
    count = int(np.count_nonzero(coarse_mask))
    weights = np.zeros((9, count), np.float32)
    inner = band.inner_weights()
    parity = 2 * (y % 2) + x % 2
    # Pixels of one parity belong to different cells, so that sums can be assigned.
    for kind in range(4):
        own = np.flatnonzero(parity == kind)
        into = parents[own]
        for row, (dy, dx) in enumerate(band.offsets):
            slot = _NINE.index(((kind // 2 + dy) // 2, (kind % 2 + dx) // 2))
            weights[slot, into] += inner[row][own]
    coarse = Band(weights, coarse_mask.reshape(rows, columns), _NINE)
    return _Level(band, parents, count), coarse


def _inverse(band: Band) -> Vector | None:
    size, width = band.weights.shape[1], band.mask.shape[1] + 4
    # The last row and column take what is outside the mask.
    number = np.full(np.add(band.mask.shape, 4), size)
    number[2:-2, 2:-2][band.mask] = np.arange(size)
    flat = number.reshape(-1)
    home = np.flatnonzero(flat < size)
    matrix = np.zeros((size + 1, size + 1))
    for row, (dy, dx) in enumerate(band.offsets):
        matrix[np.arange(size), flat[home + dy * width + dx]] = band.weights[row]
    matrix = (matrix + matrix.T)[:size, :size] / 2
    matrix[np.diag_indices(size)] *= 1 + 1e-6
    try:
        np.linalg.cholesky(matrix)
        return np.linalg.inv(matrix).astype(np.float32)
    except np.linalg.LinAlgError:
        return None


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """``values`` (N,), their ``residual`` by the norm of the right side, how long they took."""

    values: Vector
    residual: float
    iterations: int


def _inner(a: Vector, b: Vector) -> float:
    return float(np.einsum("i,i->", a, b))  # BLAS would wake a thread pool for so little


def _norm(a: Vector) -> float:
    return math.sqrt(_inner(a, a))


def solve(
    band: Band, right_side: Vector, start: Vector, *, tolerance: float, max_iterations: int
) -> Found:
    """Solve ``band x = right_side`` with conjugate gradients from ``start``.

    Stops when the residual is ``tolerance`` times the norm of ``right_side``, after
    ``max_iterations``, or when rounding has used up what float32 can resolve.
    """
    precondition = Multigrid(band)
    x = start.copy()
    rest = right_side - band.times(x)
    scale = _norm(right_side) or _norm(rest) or 1.0
    direction = precondition(rest)
    power = _inner(rest, direction)
    taken = 0
    while _norm(rest) > tolerance * scale and taken < max_iterations:
        image = band.times(direction)
        curvature = _inner(direction, image)
        if not (power > 0 and curvature > 0):
            break
        step = np.float32(power / curvature)
        x += step * direction
        rest -= step * image
        better = precondition(rest)
        power, before = _inner(rest, better), power
        direction *= np.float32(power / before)
        direction += better
        taken += 1
    return Found(x, _norm(rest) / scale, taken)
