"""How the subject moves, as one sheet: what is inside it carries its outline along.

At an outline, and in hair, dense flow mixes what lies before with what lies behind. Only flow well
inside the subject is taken, and continued outwards by affine motions fitted around every place
(moving least squares: Schaefer, McPhail, Warren, SIGGRAPH 2006), each as wide as the subject moves
as one piece: a stiff subject is one motion, whose error is far below a pixel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from cleancut.video.flow import Flow, Look, in_places, places

if TYPE_CHECKING:
    from cleancut.arrays import Alpha, Tensor
    from cleancut.video.flow import Floats

#: Inside begins at this alpha, and so many small pixels from where it ends.
_INSIDE, _MARGIN_PX = 0.9, 4
#: A subject with fewer small pixels inside is too thin to have a motion of its own.
_FEWEST = 40
#: Texture (least eigenvalue of the structure tensor) that a flow needs to be half as good as any.
_TEXTURE = 20.0
#: Fits are made in a picture so many times smaller than the look, and in cells of so many of its
#: pixels.
_COARSE, _CELL_PX = 3, 4
#: Widths of the fits as standard deviations, in cells, and the share of the whole picture that is
#: mixed in, for where nothing is near.
_WIDTHS, _FAR_SHARE = (1.7, 4.3, 18.0), 0.001
#: A wider fit is taken where it misses the flow by less than the first, not by the second (pixels
#: of the look).
_GOOD_PX, _BAD_PX = 0.2, 0.5
#: Where even the narrowest misses it by so much, the subject deforms: details are a quarter exact.
_DEFORMS_PX = 0.4
#: Grey levels, and levels for each of gradient, that the two ends may differ by at half trust.
_LEVELS, _PER_SLOPE = 6.0, 0.5


def subject_flow(dense: Flow, alpha: Alpha, one: Look, other: Look) -> Flow:
    """The subject's motion from ``one`` to ``other``, continued over the whole picture.

    ``alpha`` (H, W) is its matte in ``one``. The trust says where the colours bear it out; without
    a subject large enough it is ``dense``.
    """
    rows, columns = dense.trust.shape
    small: Tensor = cv2.resize(alpha, (columns, rows), interpolation=cv2.INTER_AREA)
    side = 2 * _MARGIN_PX + 1
    solid = (small > _INSIDE).astype(np.uint8)
    core = cv2.erode(solid, np.ones((side, side), np.uint8), borderValue=1)
    if cv2.countNonZero(core) < _FEWEST:
        return dense
    texture = _texture(one)
    weight = core * (dense.trust * texture / (texture + np.float32(_TEXTURE)) + np.float32(1e-4))
    coarse = (max(2, columns // _COARSE), max(2, rows // _COARSE))
    field: Tensor = cv2.resize(dense.offset, coarse, interpolation=cv2.INTER_AREA)
    where: Tensor = cv2.resize(weight.astype(np.float32), coarse, interpolation=cv2.INTER_AREA)
    fit, missed = _fitted(field, where)
    offset: Tensor = cv2.resize(fit, (columns, rows), interpolation=cv2.INTER_LINEAR)
    stiff = 1 / np.square(1 + np.square(missed / np.float32(_DEFORMS_PX)))
    exact: Tensor = cv2.resize(stiff, (columns, rows), interpolation=cv2.INTER_LINEAR)
    return Flow(offset, _borne_out(offset, one, other), exact)


def _borne_out(offset: Floats, one: Look, other: Look) -> Floats:
    """How alike both ends of ``offset`` look, (h, w) in 0..1; 0 where it leads out of sight."""
    x, y = places(offset)
    seen = cv2.remap(other.smooth, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    across = cv2.Sobel(one.smooth, cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(one.smooth, cv2.CV_32F, 0, 1, scale=1 / 8)
    # Not OpenCV's magnitude: its last digit differs from call to call.
    slope = np.sqrt(np.square(across) + np.square(down))
    apart = (seen - one.smooth) / (_LEVELS + _PER_SLOPE * slope)
    trust: Floats = (1 / np.square(1 + np.square(apart))).astype(np.float32)
    trust[~in_places(x, y)] = 0
    return trust


def _texture(one: Look) -> Floats:
    """How well a motion shows at each pixel (Shi and Tomasi, CVPR 1994), (h, w) from 0 up."""
    least: Tensor = cv2.cornerMinEigenVal(one.smooth, 9, ksize=3)
    # OpenCV's scale is that of floats in 0..1; this is squared grey levels a pixel.
    return np.maximum(least * np.float32(255.0**2 / 4), 0)


def _fitted(field: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """``field`` (h, w, 2) by affine motions, each as wide as it may be; only ``weight`` counts.

    Also by how much that misses the field around each place, (h, w), both in pixels of the look.
    """
    spread = _Spread(field, weight)
    out, missed = spread.fit(_WIDTHS[0])
    for width in _WIDTHS[1:]:
        fit, wider = spread.fit(width)
        share = np.clip((_BAD_PX - wider) / (_BAD_PX - _GOOD_PX), 0, 1)
        out = out + (fit - out) * share[..., None]
        missed = missed + (wider - missed) * share
    return out, missed


class _Spread:
    """A field (h, w, 2) and weights (h, w) that affine motions are fitted to."""

    def __init__(self, field: Floats, weight: Floats) -> None:
        rows, columns = weight.shape
        self._field, self._weight = field, weight
        x = np.arange(columns, dtype=np.float32) / columns - 0.5
        y = np.arange(rows, dtype=np.float32) / rows - 0.5
        self._x = np.ascontiguousarray(np.broadcast_to(x, weight.shape))
        self._y = np.ascontiguousarray(np.broadcast_to(y[:, None], weight.shape))
        self._moments = self._weighed(weight)
        self._mass = _cells(weight)

    def fit(self, width: float) -> tuple[Floats, Floats]:
        """The field by motions as wide as ``width`` (cells), and by how much that misses it.

        Least squares, twice, the second time without slips.
        """
        fit = self._solved(self._moments, width)
        miss = np.abs(self._field - fit).sum(axis=2)
        usual = max(0.03, 1.5 * float(np.median(miss[self._weight > 0.1 * self._weight.max()])))
        trusted = self._weight / (1 + np.square(miss * np.float32(1 / usual)))
        fit = self._solved(self._weighed(trusted), width)
        off = np.minimum(np.square(self._field - fit).sum(axis=2), np.float32(4)) * self._weight
        near = cv2.GaussianBlur(np.dstack([_cells(off), self._mass]), (0, 0), 5.0)
        mean = np.sqrt(near[..., 0] / (near[..., 1] + np.float32(1e-6)))
        missed: Tensor = self._enlarged(mean.astype(np.float32))
        return fit, missed

    def _weighed(self, weight: Floats) -> Floats:
        """Cells of the moments: of places, (h, w, 6), then of ``field`` by places, twice 3."""
        x, y = self._x, self._y
        wx, wy = weight * x, weight * y
        planes = [weight, wx, wy, wx * x, wx * y, wy * y]
        for axis in (0, 1):
            moved = self._field[..., axis] * weight
            planes += [moved, moved * x, moved * y]
        return np.dstack([_cells(np.dstack(planes[at : at + 4])) for at in (0, 4, 8)])

    def _solved(self, moments: Floats, width: float) -> Floats:
        near = cv2.GaussianBlur(moments, (0, 0), width, borderType=cv2.BORDER_CONSTANT)
        near = near + np.float32(_FAR_SHARE) * moments.mean(axis=(0, 1))
        motion = self._enlarged(_solve(near))
        x, y = self._x, self._y
        u = motion[..., 0] + motion[..., 1] * x + motion[..., 2] * y
        v = motion[..., 3] + motion[..., 4] * x + motion[..., 5] * y
        return np.dstack([u, v])

    def _enlarged(self, cells: Floats) -> Floats:
        rows, columns = self._weight.shape
        whole: Tensor = cv2.resize(cells, (columns, rows), interpolation=cv2.INTER_LINEAR)
        return whole


def _cells(planes: Floats) -> Floats:
    """Means of ``planes`` (h, w) or (h, w, up to 4) over cells."""
    rows, columns = planes.shape[:2]
    grid = (max(2, round(columns / _CELL_PX)), max(2, round(rows / _CELL_PX)))
    means: Tensor = cv2.resize(planes, grid, interpolation=cv2.INTER_AREA)
    return means


def _solve(sums: Floats) -> Floats:
    """The affine motions of moments (h, w, 12): (h, w, 6), u and v as constant, by x, by y."""
    m = sums.astype(np.float64)
    mass = m[..., 0] + 1e-12
    system = np.empty((*m.shape[:2], 3, 3))
    for row, column, plane in ((0, 0, 0), (0, 1, 1), (0, 2, 2), (1, 1, 3), (1, 2, 4), (2, 2, 5)):
        system[..., row, column] = system[..., column, row] = m[..., plane]
    # A slope must be shown by more than a few pixels side by side.
    system[..., 0, 0] += 1e-12
    for axis in (1, 2):
        system[..., axis, axis] += 2e-4 * mass + 1e-12
    right = np.stack([m[..., 6:9], m[..., 9:12]], axis=-1)
    found = np.linalg.solve(system, right)
    return np.moveaxis(found, -1, -2).reshape(*m.shape[:2], 6).astype(np.float32)
