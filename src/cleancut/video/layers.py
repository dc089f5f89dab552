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
#: Cells that the fits are made in, in pixels of the plane that is fitted (a half of the look).
_CELL_PX = 6
#: Widths of the fits as standard deviations, in the same pixels, and the share of a far wider one
#: that is mixed in, for where nothing is near.
_WIDTHS, _FAR, _FAR_SHARE = (10.0, 26.0, 110.0), 4.0, 0.01
#: A wider fit is taken where it misses the flow by less than the first, not by the second (pixels
#: of the look).
_GOOD_PX, _BAD_PX = 0.2, 0.5
#: Where even the narrowest misses it by so much, the subject deforms: details are a quarter exact.
_DEFORMS_PX = 0.5
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
    half = (max(1, columns // 2), max(1, rows // 2))
    field: Tensor = cv2.resize(dense.offset, half, interpolation=cv2.INTER_AREA)
    where: Tensor = cv2.resize(weight.astype(np.float32), half, interpolation=cv2.INTER_AREA)
    fit, missed = _fitted(field, where)
    offset: Tensor = cv2.resize(fit, (columns, rows), interpolation=cv2.INTER_LINEAR)
    stiff = 1 / np.square(1 + np.square(missed / np.float32(_DEFORMS_PX)))
    exact: Tensor = cv2.resize(stiff, (columns, rows), interpolation=cv2.INTER_LINEAR)
    return Flow(offset, _borne_out(offset, one, other), exact)


def _borne_out(offset: Floats, one: Look, other: Look) -> Floats:
    """How alike both ends of ``offset`` look, (h, w) in 0..1; 0 where it leads out of sight."""
    x, y = places(offset)
    seen = cv2.remap(other.smooth, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    slope = cv2.magnitude(
        cv2.Sobel(one.smooth, cv2.CV_32F, 1, 0, scale=1 / 8),
        cv2.Sobel(one.smooth, cv2.CV_32F, 0, 1, scale=1 / 8),
    )
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
    out = _affine(field, weight, _WIDTHS[0])
    missed = 2 * _missed(field, out, weight)
    for width in _WIDTHS[1:]:
        fit = _affine(field, weight, width)
        wider = 2 * _missed(field, fit, weight)
        share = np.clip((_BAD_PX - wider) / (_BAD_PX - _GOOD_PX), 0, 1)
        out = out + (fit - out) * share[..., None]
        missed = missed + (wider - missed) * share
    return out, missed


def _missed(field: Floats, fit: Floats, weight: Floats) -> Floats:
    """By how much ``fit`` misses ``field`` around each place, (h, w) in its pixels."""
    miss = np.minimum(np.square(field - fit).sum(axis=2), np.float32(4)) * weight
    planes = _around(np.dstack([miss, weight]), 5 * _CELL_PX)
    rows, columns = weight.shape
    mean = np.sqrt(planes[..., 0] / (planes[..., 1] + np.float32(1e-6)))
    whole: Tensor = cv2.resize(mean, (columns, rows), interpolation=cv2.INTER_LINEAR)
    return whole


def _affine(field: Floats, weight: Floats, width: float) -> Floats:
    """Affine motions around every place, by least squares; twice, the second time without slips."""
    rows, columns = weight.shape
    x = np.broadcast_to((np.arange(columns, dtype=np.float32) / columns - 0.5), weight.shape)
    y = np.broadcast_to((np.arange(rows, dtype=np.float32) / rows - 0.5)[:, None], weight.shape)
    trusted, fit = weight, field
    for again in (False, True):
        if again:
            miss = np.abs(field - fit).sum(axis=2)
            usual = max(0.03, 1.5 * float(np.median(miss[weight > 0.1 * weight.max()])))
            trusted = weight / (1 + np.square(miss / np.float32(usual)))
        u, v = field[..., 0] * trusted, field[..., 1] * trusted
        wx, wy = trusted * x, trusted * y
        moments = (trusted, wx, wy, wx * x, wx * y, wy * y, u, u * x, u * y, v, v * x, v * y)
        planes = np.dstack(moments)
        near = _around(planes, width) + np.float32(_FAR_SHARE) * _around(planes, _FAR * width)
        solved = cv2.resize(_solve(near), (columns, rows), interpolation=cv2.INTER_LINEAR)
        fit = np.dstack(
            [
                solved[..., 0] + solved[..., 1] * x + solved[..., 2] * y,
                solved[..., 3] + solved[..., 4] * x + solved[..., 5] * y,
            ]
        )
    return fit


def _around(planes: Floats, width: float) -> Floats:
    """Gaussian means of ``planes`` on a grid of cells."""
    rows, columns = planes.shape[:2]
    grid = (max(2, round(columns / _CELL_PX)), max(2, round(rows / _CELL_PX)))
    four = (planes[..., at : at + 4] for at in range(0, planes.shape[2], 4))  # all it can at once
    cells = np.dstack([cv2.resize(some, grid, interpolation=cv2.INTER_AREA) for some in four])
    sigma = width / _CELL_PX
    blurred: Tensor = cv2.GaussianBlur(cells, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
    return blurred


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
