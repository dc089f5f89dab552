"""How far the mattes of a clip are from the truth in time; picture by picture, see ``metrics``.

Never to be read alone: a frozen matte is perfectly steady.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from cleancut.errors import BadArray
from cleancut.metrics import iou

if TYPE_CHECKING:
    from cleancut.arrays import Alpha


def dtssd(mattes: Sequence[Alpha], truths: Sequence[Alpha]) -> float:
    """How much the changes from frame to frame differ from the true changes, x 100.

    The root of the mean square over the picture, averaged over all pairs of neighbouring frames
    (0 for a single one); mattes are (H, W) in 0..1. Erofeev et al., "Perceptually motivated
    benchmark for video matting", BMVC 2015. A constant error counts as soon as it moves along.
    """
    if len(mattes) != len(truths):
        raise BadArray(f"{len(mattes)} mattes and {len(truths)} true ones")
    changes = zip(pairwise(mattes), pairwise(truths), strict=True)
    found = [
        float(np.sqrt(np.mean(np.square((b - a) - (d - c), dtype=np.float64))))
        for (a, b), (c, d) in changes
    ]
    return 100.0 * fmean(found) if found else 0.0


def iou_wobble(mattes: Sequence[Alpha], truths: Sequence[Alpha]) -> float:
    """By how much the IoU with the truth changes from frame to frame, mean, x 100.

    For truths that are yes-or-no, whose own edges jump too much for ``dtssd``.
    """
    if len(mattes) != len(truths):
        raise BadArray(f"{len(mattes)} mattes and {len(truths)} true ones")
    scores = [iou(matte, truth) for matte, truth in zip(mattes, truths, strict=True)]
    changes = [abs(after - before) for before, after in pairwise(scores)]
    return 100.0 * fmean(changes) if changes else 0.0
