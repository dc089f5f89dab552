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

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]
    Mask = NDArray[np.bool_]

#: With fewer unknowns than this a level is inverted.
_FEWEST = 60
#: Damping of the Jacobi steps before and after a coarse correction.
_DAMPING = np.float32(0.6)
#: Piecewise constant corrections are too small: their energy at the steps is overstated.
_OVERSHOOT = np.float32(1.0)
#: By reach of the stencil and by a pixel's place in its cell (0 or 1): which runs of neighbours lie
#: in the cell before it, in its own and in the one after.
_JOINED = {
    (2, 0): ((0, 2), (2, 4), (4, 5)),
    (2, 1): ((0, 1), (1, 3), (3, 5)),
    (1, 0): ((0, 1), (1, 3), None),
    (1, 1): (None, (0, 2), (2, 3)),
}


class Band:
    """A symmetric matrix over the pixels of a mask: one weight for each neighbour and pixel.

    ``weights`` is (K * K, N), in the order of ``np.flatnonzero(mask)``, for the K x K neighbours
    row by row; what it holds for neighbours outside the mask is not part of the matrix.

    Inside, values lie in *slots*: those of the mask's pixels, and of pixels beside them in their
    row, which stay zero. So the neighbours in a pixel's own row lie beside it, and those of another
    row are found by a single look-up for all of them.
    """

    def __init__(self, weights: Vector, mask: Mask) -> None:
        size = math.isqrt(weights.shape[0])
        rim = size // 2
        height, width = mask.shape
        self.mask, self.rim = mask, rim
        stride = width + 2 * rim
        wide = np.zeros((height + 2 * rim, stride), np.uint8)
        wide[rim:-rim, rim:-rim] = mask
        kept = cv2.dilate(wide, np.ones((1, size), np.uint8))
        places = np.flatnonzero(kept)
        # The first slot lies beside a pixel, so it is always zero: there what is nowhere is found.
        number = np.zeros(wide.size, np.intp)
        number[places] = np.arange(places.size)
        #: Slots of the mask's pixels.
        self.own = np.flatnonzero(wide.reshape(-1)[places])
        self.count = places.size
        self._rows = [number.take(places + dy * stride, mode="clip") for dy in range(-rim, rim + 1)]
        self._weights = np.zeros((size, size, places.size), np.float32)
        self._weights.reshape(size * size, -1)[:, self.own] = weights
        self._seen = np.zeros((size, places.size + 2 * rim), np.float32)
        step = self._seen.strides
        self._windows = np.lib.stride_tricks.as_strided(
            self._seen, (size, size, places.size), (step[0], step[1], step[1]), writeable=False
        )
        self._products = np.empty_like(self._weights)
        self._places, self._stride = places, stride
        diagonal = np.maximum(self._weights[rim, rim], np.float32(1e-12))
        self.inverse_diagonal = np.where(self._weights[rim, rim] == 0, 0, 1 / diagonal)

    def slots(self, values: Vector) -> Vector:
        """Values of the mask's pixels (N,) as slots."""
        spread: Vector = np.zeros(self.count, np.float32)
        spread[self.own] = values
        return spread

    def times(self, vector: Vector) -> Vector:
        """Matrix times ``vector``, both slots."""
        self._look(vector)
        return self._summed()

    def pull(self, plane: Vector) -> Vector:
        """What the values outside the mask add, as slots: the weights times ``plane`` (H, W).

        ``plane`` is zero inside the mask.
        """
        rim = self.rim
        wide = np.pad(plane, rim).reshape(-1)
        for row in range(2 * rim + 1):
            inner = self._seen[row, rim:-rim]
            wide.take(self._places + (row - rim) * self._stride, out=inner, mode="clip")
        return self._summed()

    def inner_weights(self) -> Vector:
        """The weights as (K, K, slots), with zero for neighbours outside the mask."""
        ones = np.zeros(self.count, np.float32)
        ones[self.own] = 1
        self._look(ones)
        inner: Vector = self._weights * self._windows
        return inner

    def neighbours(self, dy: int, dx: int) -> NDArray[np.intp]:
        """Slots of the neighbours of the mask's pixels; 0, which is always zero, where none is."""
        beside: NDArray[np.intp] = self.own + dx
        return beside if dy == 0 else self._rows[self.rim + dy][beside]

    def _summed(self) -> Vector:
        """Weights times what was looked up, summed: four times as fast as ``einsum``."""
        np.multiply(self._weights, self._windows, out=self._products)
        total: Vector = np.add.reduce(self._products.reshape(-1, self.count), axis=0)
        return total

    def _look(self, vector: Vector) -> None:
        for row, slots in enumerate(self._rows):
            inner = self._seen[row, self.rim : -self.rim]
            if row == self.rim:
                inner[:] = vector
            else:
                vector.take(slots, out=inner, mode="clip")


@dataclass(frozen=True, slots=True, eq=False)
class _Level:
    band: Band
    parents: NDArray[np.intp]  # the coarse slot that each fine one belongs to
    coarse: int


class Multigrid:
    """Preconditioner: an approximate inverse of ``band``, symmetric and positive definite."""

    def __init__(self, band: Band) -> None:
        self._levels: list[_Level] = []
        while band.own.size > _FEWEST and len(self._levels) < 16:
            level, band = _coarsen(band)
            self._levels.append(level)
        self._last = band
        self._inverse = _inverse(band) if band.own.size <= 4 * _FEWEST else None

    def __call__(self, rest: Vector) -> Vector:
        """The correction for a residual ``rest``, both slots."""
        return self._cycle(rest, 0)

    def _cycle(self, rest: Vector, depth: int) -> Vector:
        if depth == len(self._levels):
            if self._inverse is None:
                rough: Vector = self._last.inverse_diagonal * rest
                return rough
            own = self._last.own
            return self._last.slots(np.einsum("ij,j->i", self._inverse, rest[own]))  # see _inner
        level = self._levels[depth]
        smooth = _DAMPING * level.band.inverse_diagonal
        x: Vector = smooth * rest
        left = rest - level.band.times(x)
        summed = np.bincount(level.parents, left, level.coarse).astype(np.float32)
        x += _OVERSHOOT * self._cycle(summed, depth + 1).take(level.parents, mode="clip")
        np.subtract(rest, level.band.times(x), out=left)
        left *= smooth
        x += left
        return x


def _coarsen(band: Band) -> tuple[_Level, Band]:
    height, width = band.mask.shape
    rows, columns = (height + 1) // 2, (width + 1) // 2
    y, x = np.divmod(np.flatnonzero(band.mask), width)
    cell = (y // 2) * columns + x // 2
    coarse_mask = np.zeros(rows * columns, bool)
    coarse_mask[cell] = True
    number = np.cumsum(coarse_mask) - 1
    weights = np.zeros((3, 3, int(np.count_nonzero(coarse_mask))), np.float32)
    inner = band.inner_weights()
    # The fine pixels of each cell, by their place in it; the first slot is zero.
    fine = np.zeros((2, 2, weights.shape[2]), np.intp)
    fine[y % 2, x % 2, number[cell]] = band.own
    for down in range(2):
        for across in range(2):
            part = inner.take(fine[down, across], axis=2, mode="clip")
            for row, rows_of in enumerate(_JOINED[band.rim, down]):
                if rows_of is None:
                    continue
                lines = np.add.reduce(part[slice(*rows_of)], axis=0)
                for column, columns_of in enumerate(_JOINED[band.rim, across]):
                    if columns_of is not None:
                        sums = weights[row, column]
                        np.add(sums, lines[slice(*columns_of)].sum(axis=0), out=sums)
    coarse = Band(weights.reshape(9, -1), coarse_mask.reshape(rows, columns))
    parents = np.zeros(band.count, np.intp)
    parents[band.own] = coarse.own[number[cell]]
    return _Level(band, parents, coarse.count), coarse


def _inverse(band: Band) -> Vector | None:
    size = band.own.size
    inner = band.inner_weights()
    # The last row and column take what is outside the mask.
    number = np.full(band.count, size)
    number[band.own] = np.arange(size)
    matrix = np.zeros((size + 1, size + 1))
    for dy in range(-band.rim, band.rim + 1):
        for dx in range(-band.rim, band.rim + 1):
            other = number[band.neighbours(dy, dx)]
            matrix[np.arange(size), other] = inner[band.rim + dy, band.rim + dx, band.own]
    matrix = (matrix + matrix.T)[:size, :size] / 2
    matrix[np.diag_indices(size)] *= 1 + 1e-6
    try:
        np.linalg.cholesky(matrix)
        return np.linalg.inv(matrix).astype(np.float32)
    except np.linalg.LinAlgError:
        return None


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """``values`` as slots, their ``residual`` by the norm of the right side, how long they took."""

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
    """Solve ``band x = right_side`` with conjugate gradients from ``start``, all of them slots.

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
