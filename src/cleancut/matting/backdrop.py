"""A flat or smooth background, found from the frame of a picture and fitted to the rest of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.arrays import Tensor

    Floats = NDArray[np.float64]

#: Samples along each side of the frame, and rings of the frame that are looked at.
_FRAME_SAMPLES = 96
_FRAME_RINGS = 3
#: Samples along the longer side when the fit is carried from the frame into the picture.
_GRID = 96
#: A pixel this near the fit (levels of 255) belongs to the background while it is being fitted.
_NEAR = 6.0
#: At least this share of the frame must lie near the fit, or there is no such background.
FRAME_SHARE = 0.90
#: Highest degree of the polynomial: 4 follows linear and radial gradients and vignettes.
_DEGREE = 4
#: Rounds of reweighting.
_ROUNDS = 4
#: A higher degree must bring the median distance below this share of the lower one's.
_WORTH = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class Backdrop:
    """Colour as a polynomial of the place, in levels of 0..255.

    ``coefficients`` is (d + 1, d + 1, 3): element (i, j) belongs to ``y**i * x**j`` with x and y
    running from -1 to 1 across the picture; d = 0 is one flat colour. ``size`` is (height, width).
    ``spread`` is the distance to the fit (levels, largest channel) that 99 % of the background
    pixels keep.
    """

    coefficients: Floats
    size: tuple[int, int]
    spread: float

    @property
    def flat(self) -> bool:
        """Whether it is one colour everywhere."""
        return bool(self.coefficients.shape[0] == 1)

    @property
    def colour(self) -> tuple[float, float, float]:
        """Its colour in the middle of the picture, 0..1."""
        red, green, blue = np.clip(self.coefficients[0, 0] / 255, 0, 1)
        return float(red), float(green), float(blue)

    def window(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Its colours in a part of the picture, (rows, columns, 3) in levels of 0..255."""
        y = np.arange(self.size[0])[rows]
        x = np.arange(self.size[1])[columns]
        degree = self.coefficients.shape[0]
        upright = np.vander(_unit(y, self.size[0]), degree, increasing=True)
        across = np.vander(_unit(x, self.size[1]), degree, increasing=True).astype(np.float32)
        along = np.einsum("yi,ijc->ycj", upright, self.coefficients).astype(np.float32)
        field = (along.reshape(-1, degree) @ across.T).reshape(y.size, 3, x.size)
        seen: Tensor = np.clip(field.transpose(0, 2, 1), 0, 255)
        return seen

    def at(self, y: Tensor, x: Tensor) -> NDArray[np.float32]:
        """Its colours at the pixels ``y``, ``x``, (N, 3) in levels of 0..255."""
        degree = self.coefficients.shape[0]
        if degree == 1:
            colour = np.clip(self.coefficients[0, 0], 0, 255).astype(np.float32)
            return np.broadcast_to(colour, (y.size, 3))
        terms = _terms(_unit(y, self.size[0]), _unit(x, self.size[1]), degree - 1)
        flat = self.coefficients.reshape(-1, 3)[_kept(degree - 1)]
        return np.clip(terms @ flat, 0, 255).astype(np.float32)


def find_backdrop(levels: Tensor) -> Backdrop | None:
    """The smooth background on which the frame of a picture lies; None if there is none.

    ``levels`` is (H, W, 3) uint8 with both sides 16 pixels or more. Reads a few ten thousand
    pixels, whatever the size. The frame (three rings) is fitted with a quadric by iteratively
    reweighted least squares, then the pixels that continue it inwards with one colour, a quadric
    and a quartic, the first of them that leaves no more than noise.
    """
    height, width = levels.shape[:2]
    y, x = _frame(height, width)
    seen = levels[y, x].astype(np.float64)
    median = np.median(seen, axis=0)
    flat = np.abs(seen - median).max(axis=1) <= 1
    if flat.mean() >= FRAME_SHARE:
        fit = median.reshape(1, 1, 3)
        return Backdrop(fit, (height, width), _spread(np.abs(seen[flat] - median).max(axis=1)))
    frame_fit, distance = _fit(seen, _unit(y, height), _unit(x, width), 2)
    if np.mean(distance <= 2 * _NEAR) < FRAME_SHARE:
        return None
    step = max(1, -(-max(height, width) // _GRID))
    rows, columns = np.arange(0, height, step), np.arange(0, width, step)
    inner_y, inner_x = (part.ravel() for part in np.meshgrid(rows, columns, indexing="ij"))
    y, x = np.concatenate([y, inner_y]), np.concatenate([x, inner_x])
    seen = np.concatenate([seen, levels[inner_y, inner_x].astype(np.float64)])
    found = _carry(frame_fit, seen, (y, x), (height, width))
    frame = found.at(y[: distance.size], x[: distance.size])
    outside = np.abs(frame - seen[: distance.size]).max(axis=1) > max(_NEAR, 2 * found.spread)
    return None if np.mean(outside) > 1 - FRAME_SHARE else found


def _carry(
    fit: Floats, seen: Floats, places: tuple[Tensor, Tensor], size: tuple[int, int]
) -> Backdrop:
    """``fit`` of the frame, carried over all of ``seen`` in widening degrees."""
    y, x = places
    frame = Backdrop(fit, size, 0.0)
    best, median = frame, np.inf
    near = np.abs(frame.at(y, x) - seen).max(axis=1) <= 2 * _NEAR
    for degree in (0, 2, _DEGREE, _DEGREE):
        if np.count_nonzero(near) < 50:
            break
        trial, distance = _fit(seen[near], _unit(y[near], size[0]), _unit(x[near], size[1]), degree)
        typical = float(np.median(distance))
        if typical > _WORTH * median and degree != _DEGREE:
            break
        best, median = Backdrop(trial, size, _spread(distance)), typical
        if best.spread <= 1.5:
            break
        near = np.abs(best.at(y, x) - seen).max(axis=1) <= (2 * _NEAR if degree < 2 else _NEAR)
    return best


def _spread(distance: Floats) -> float:
    return float(np.quantile(distance, 0.99)) if distance.size else 0.0


def _frame(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Rows and columns of evenly spread pixels of the outermost rings."""
    rows = np.linspace(0, height - 1, _FRAME_SAMPLES).astype(np.intp)
    columns = np.linspace(0, width - 1, _FRAME_SAMPLES).astype(np.intp)
    y, x = [], []
    for ring in range(_FRAME_RINGS):
        y += [np.full_like(columns, ring), np.full_like(columns, height - 1 - ring), rows, rows]
        x += [columns, columns, np.full_like(rows, ring), np.full_like(rows, width - 1 - ring)]
    return np.concatenate(y), np.concatenate(x)


def _unit(place: Tensor, length: int) -> Floats:
    return np.asarray(place, np.float64) * (2 / max(length - 1, 1)) - 1


def _kept(degree: int) -> NDArray[np.bool_]:
    """Which of (degree + 1)² products of powers have no more than ``degree`` in all."""
    i, j = np.indices((degree + 1, degree + 1))
    return (i + j <= degree).ravel()


def _terms(y: Floats, x: Floats, degree: int) -> Floats:
    upright = np.vander(y, degree + 1, increasing=True)
    across = np.vander(x, degree + 1, increasing=True)
    products = (upright[:, :, None] * across[:, None, :]).reshape(y.size, -1)
    kept: Floats = products[:, _kept(degree)]
    return kept


def _fit(seen: Floats, y: Floats, x: Floats, degree: int) -> tuple[Floats, Floats]:
    """Robust polynomial through ``seen`` (N, 3): coefficients and each sample's distance."""
    terms = _terms(y, x, degree)
    weight = np.ones(len(seen))
    solution: Floats = np.zeros((terms.shape[1], 3))
    distance: Floats = np.zeros(len(seen))
    for _ in range(_ROUNDS):
        weighted = terms * weight[:, None]
        normal = weighted.T @ terms + 1e-9 * len(seen) * np.eye(terms.shape[1])
        solution = np.linalg.solve(normal, weighted.T @ seen).astype(np.float64)
        distance = np.abs(seen - terms @ solution).max(axis=1).astype(np.float64)
        scale = max(2.0, 1.5 * float(np.median(distance)))
        weight = 1 / (1 + (distance / scale) ** 4) ** 2
    coefficients = np.zeros(((degree + 1) ** 2, 3))
    coefficients[_kept(degree)] = solution
    return coefficients.reshape(degree + 1, degree + 1, 3), distance
