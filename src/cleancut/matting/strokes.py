"""Thin strokes of few colours: text and line icons whose colours JPEG or a blur has smeared."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cleancut.arrays import Tensor
    from cleancut.matting.backdrop import Backdrop

#: Levels (of 255) from the background, at least, of what counts as a stroke.
_STRONG = 24.0
#: Strokes are compared with the strongest pixel of this neighbourhood.
_AROUND = np.ones((7, 7), np.uint8)
#: Crests within the first distance (levels) of an ink are of it; next to none lie between that
#: and the second, where other shades of the same thing would be.
_INK, _OTHER = 16, 48
_ALONE = 0.8
#: Inside a stroke JPEG strays from the ink by no more levels than this.
_STRAY = 32
_MOST_INKS = 6
_SAMPLE = 20_000
#: Fewer crests tell nothing.
_FEWEST = 24


class Strokes(NamedTuple):
    """How well a subject is described as strokes of a few inks.

    ``inked``: share of the crests (strongest pixels of their neighbourhood) on isolated colours.
    ``stray``: share of the pixels inside strokes that are of no ink. ``halo``: share of the
    subject that is weak and away from strokes, as the rims of shadows are. ``thick``: share of the
    strokes deeper than 6 pixels inside.
    """

    inked: float
    stray: float
    halo: float
    thick: float


def find_strokes(
    levels: Tensor, windows: Sequence[tuple[slice, slice]], backdrop: Backdrop
) -> Strokes:
    """Measure ``Strokes`` in the ``windows`` of ``levels`` (H, W, 3) uint8."""
    strong, weak = max(_STRONG, 4 * backdrop.spread), max(_STRONG / 2, 2 * backdrop.spread)
    crests, insides = [], []
    halo = whole = thick = filled = 0
    for rows, columns in windows:
        tile = np.ascontiguousarray(levels[rows, columns])
        field = np.rint(backdrop.window(rows, columns)).astype(np.uint8)
        red, green, blue = cv2.split(cv2.absdiff(tile, field))
        height: Tensor = cv2.max(cv2.max(red, green), blue)
        peak: Tensor = cv2.dilate(height, _AROUND)
        crests.append(tile[(height >= peak) & (height > strong)])
        half = ((height > peak / np.float32(2)) & (peak > strong)).view(np.uint8)
        insides.append(tile[cv2.erode(half, np.ones((3, 3), np.uint8)) > 0])
        thick += int(np.count_nonzero(cv2.erode(half, np.ones((13, 13), np.uint8))))
        filled += int(np.count_nonzero(half))
        near: Tensor = cv2.dilate(half, np.ones((5, 5), np.uint8))
        subject = height > weak
        halo += int(np.count_nonzero(subject & (near == 0)))
        whole += int(np.count_nonzero(subject))
    inks, inked = _inks(np.concatenate(crests))
    inside = np.concatenate(insides).astype(np.int16)
    if len(inks) == 0 or len(inside) == 0:
        return Strokes(0.0, 1.0, 1.0, 1.0)
    nearest = np.full(len(inside), 255)
    for ink in inks:
        nearest = np.minimum(nearest, np.abs(inside - ink).max(axis=1))
    stray = float(np.mean(nearest > _STRAY))
    return Strokes(inked, stray, halo / max(whole, 1), thick / max(filled, 1))


def _inks(crests: NDArray[np.uint8]) -> tuple[list[NDArray[np.float64]], float]:
    """The isolated colours among ``crests`` (N, 3), and the share of them that are of one."""
    if len(crests) < _FEWEST:
        return [], 0.0
    some = crests[:: 1 + len(crests) // _SAMPLE].astype(np.int16)
    cell = some.astype(np.int32) >> 4
    key = (cell[:, 0] << 8) | (cell[:, 1] << 4) | cell[:, 2]
    left, inked = np.ones(len(some), bool), np.zeros(len(some), bool)
    inks = []
    for _ in range(_MOST_INKS):
        counts = np.bincount(key[left], minlength=1)
        if counts.max(initial=0) < max(8, 0.03 * len(some)):
            break
        centre = np.median(some[left & (key == counts.argmax())], axis=0)
        centre = np.median(some[np.abs(some - centre).max(axis=1) <= _INK], axis=0)
        distance = np.abs(some - centre).max(axis=1)
        around = distance <= _OTHER
        if np.count_nonzero(distance <= _INK) >= _ALONE * np.count_nonzero(around):
            inked |= around
            inks.append(centre)
        left &= distance > 0.6 * _OTHER
    return inks, float(np.mean(inked))
