"""A finished matte solved again in some places, and left as it is everywhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from cleancut.arrays import check_alpha, check_rgb
from cleancut.matting import closed_form
from cleancut.matting.brush import rim_of, soft_rim
from cleancut.matting.refine import Refined
from cleancut.matting.sampling import sample
from cleancut.matting.trimap import SURE, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from cleancut.arrays import Alpha, Rgb
    from cleancut.matting.closed_form import Mask

    Part = tuple[slice, slice]

#: Colours are taken from this far around a mark; nothing beyond has a say.
REACH_PX = 96
#: Windows of the matting Laplacian reach so far: marks closer than twice that are solved together.
_WINDOW_PX = 2
#: With more separate marks than this, all are solved in one window.
_MOST_MARKS = 64
#: Pull to what the colours alone say, where that can be trusted.
_PULL = np.float32(0.01)
_GAVE_UP = "retouch_gave_up: a marked place could not be solved again and stays as it was"


def solve_again(rgb: Rgb, alpha: Alpha, again: Mask, *, core: Mask | None = None) -> Refined:
    """``alpha`` (H, W) with what ``again`` (H, W) marks solved from the colours of ``rgb``.

    What lies around a mark holds as it is, also where it is soft. All else is the same to the bit,
    and no pixel more than ``REACH_PX`` from a mark matters. Where the surroundings all have one
    alpha, the mark gets that. Marks beside ``core`` (H, W), where ``alpha`` is a stroke's word, are
    its soft rim (``matting.brush``). A mark that cannot be solved is told in the notes. Raises
    ``BadArray``.
    """
    check_rgb(rgb)
    check_alpha(alpha)
    result = alpha.copy()
    notes: tuple[str, ...] = ()
    for part, wanted in _places(again):
        solved = _solved(rgb[part], alpha[part], wanted, again[part])
        if solved is None:
            notes = (_GAVE_UP,)
        else:
            result[part][wanted] = solved[wanted]
    if core is not None and core.any() and (rim := rim_of(again, core)).any():
        part = _around(_span(rim), rim)
        result[part] = soft_rim(rgb[part], alpha[part], result[part], rim[part], core[part])
    return Refined(result, notes)


def _places(again: Mask) -> Iterator[tuple[Part, Mask]]:
    """Windows around marks that do not touch each other, and what is marked in each."""
    if not again.any():
        return
    whole = _around(_span(again), again)
    marked = again[whole]
    near = cv2.dilate(marked.view(np.uint8), _square(_WINDOW_PX))
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
    if count - 1 > _MOST_MARKS:
        yield whole, marked
        return
    for label in range(1, count):
        left, top, wide, high = (int(number) for number in boxes[label, :4])
        inner = _around([(top, top + high), (left, left + wide)], marked)
        part = tuple(
            slice(one.start + most.start, one.stop + most.start)
            for one, most in zip(inner, whole, strict=True)
        )
        yield (part[0], part[1]), marked[inner] & (labels[inner] == label)


def _span(mark: Mask) -> list[tuple[int, int]]:
    """The rows and the columns that hold all of ``mark``."""
    seen = (np.flatnonzero(mark.any(axis=axis)) for axis in (1, 0))
    return [(int(line[0]), int(line[-1]) + 1) for line in seen]


def _around(spans: list[tuple[int, int]], plane: Mask) -> Part:
    """Rows and columns with ``REACH_PX`` more on each side, as far as ``plane`` has them."""
    rows, columns = (
        slice(max(start - REACH_PX, 0), min(stop + REACH_PX, side))
        for (start, stop), side in zip(spans, plane.shape, strict=True)
    )
    return rows, columns


def _square(reach: int) -> NDArray[np.uint8]:
    return np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)


def _solved(rgb: Rgb, alpha: Alpha, wanted: Mask, unknown: Mask) -> Alpha | None:
    """The matte of one window; None where there is nothing to solve from, or no answer.

    ``unknown`` holds other marks too, whose alphas say nothing.
    """
    grown = cv2.dilate(wanted.view(np.uint8), _square(_WINDOW_PX)) > 0
    around = alpha[grown & ~wanted]
    if around.size == 0:
        return None
    low, high = float(around.min()), float(around.max())
    if low == high:
        return np.full_like(alpha, low)
    seen = None
    if high - low > SURE:  # else there is no edge, and whatever the colours say is noise
        reach = cv2.dilate(wanted.view(np.uint8), _square(REACH_PX)) > 0
        seen = sample(rgb, np.where(reach & ~unknown, alpha, UNKNOWN), wanted)
    guess, weight = (None, None) if seen is None else (seen[0], seen[1] * _PULL)
    trimap = np.where(wanted, np.float32(UNKNOWN), np.float32(1))
    found = closed_form.solve(rgb, trimap, guess=guess, weight=weight, known=alpha)
    return found.alpha if found.converged else None
