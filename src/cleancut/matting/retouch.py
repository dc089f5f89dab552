"""A finished matte solved again in some places, and left as it is everywhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from cleancut.arrays import check_alpha, check_rgb
from cleancut.matting import closed_form
from cleancut.matting.refine import Refined

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cleancut.arrays import Alpha, Rgb
    from cleancut.matting.closed_form import Mask

    Part = tuple[slice, slice]

#: Marks that are closer than this to each other are solved together.
_APART_PX = 8
#: With more separate marks than this, all are solved in one window.
_MOST_MARKS = 64
_REACH_PX = 2
_GAVE_UP = "retouch_gave_up: a place could not be solved again and stays as it was"


def solve_again(rgb: Rgb, alpha: Alpha, again: Mask) -> Refined:
    """``alpha`` (H, W) with what ``again`` (H, W) marks solved from the colours of ``rgb``.

    What lies around it holds as it is, also where it is soft; it is the same to the bit in the
    result. Where all of the surroundings have one alpha, the marked place gets that. Raises
    ``BadArray``.
    """
    check_rgb(rgb)
    check_alpha(alpha)
    result = alpha.copy()
    notes: tuple[str, ...] = ()
    for part, wanted in _places(again):
        solved = _solved(rgb[part], alpha[part], wanted)
        if solved is None:
            notes = (_GAVE_UP,)
            continue
        result[part][wanted] = solved[wanted]
    return Refined(result, notes)


def _places(again: Mask) -> Iterator[tuple[Part, Mask]]:
    """Windows around marks that do not reach each other, and what is marked in each."""
    near = cv2.dilate(again.view(np.uint8), np.ones((_APART_PX + 1,) * 2, np.uint8))
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
    if count - 1 > _MOST_MARKS:
        yield (slice(None), slice(None)), again
        return
    height, width = again.shape
    for label in range(1, count):
        left, top, wide, high = (int(number) for number in boxes[label, :4])
        part = (
            slice(max(top - _REACH_PX, 0), min(top + high + _REACH_PX, height)),
            slice(max(left - _REACH_PX, 0), min(left + wide + _REACH_PX, width)),
        )
        yield part, again[part] & (labels[part] == label)


def _solved(rgb: Rgb, alpha: Alpha, wanted: Mask) -> Alpha | None:
    """The matte of one window; None where there is nothing to solve from, or no answer."""
    ring = cv2.dilate(wanted.view(np.uint8), np.ones((5, 5), np.uint8)) > wanted
    around = alpha[ring]
    if around.size == 0:
        return None
    if around.min() == around.max():
        return np.full_like(alpha, around[0])
    trimap = np.where(wanted, np.float32(0.5), np.float32(1))
    found = closed_form.solve(rgb, trimap, known=alpha)
    return found.alpha if found.converged else None
