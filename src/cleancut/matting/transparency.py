"""Large see-through regions: veils, glass, smoke, or what a network could not decide."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from cleancut.imaging.resize import glimpse

if TYPE_CHECKING:
    from cleancut.arrays import Alpha, Tensor

#: Levels between which a pixel is neither subject nor background.
_LOW, _HIGH = 0.15, 0.85
#: Regions are looked for in a matte of this longest side; narrower ones than this are edges.
LOOK_PX = 512
_EDGE_PX = 12
#: From this share of the subject on it is worth telling.
NOTABLE = 0.03


def semi_transparent_share(alpha: Alpha) -> float:
    """The share (0..1) of the subject in wide half-transparent regions; ``alpha`` is (H, W).

    Hair and blurred edges do not count: a region must be wider than a fortieth of the picture's
    longest side.
    """
    small: Tensor = glimpse(alpha, LOOK_PX)
    half = ((small > _LOW) & (small < _HIGH)).astype(np.uint8)
    radius = max(1, round(_EDGE_PX / 2 * max(small.shape) / LOOK_PX))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    wide = cv2.morphologyEx(half, cv2.MORPH_OPEN, disc)
    return float(wide.sum() / max(int(np.count_nonzero(small > _LOW)), 1))
