"""From a matte to a clean yes-or-no mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from cleancut.arrays import check_alpha

if TYPE_CHECKING:
    from cleancut.arrays import Alpha

_SIGMA = 2.0
_REACH = 8  # 4 sigma


def binarise(alpha: Alpha) -> Alpha:
    """Smooth yes-or-no mask of ``alpha``: what rembg 2.0.86 calls ``post_process_mask``.

    ``alpha`` is (H, W) in [0, 1] and is taken as 8-bit levels. Specks thinner than a plus of
    3 x 3 pixels are removed (opening), the rest is blurred (Gaussian, sigma 2 pixels, cut at 4
    sigma, mirrored at the frame) and cut at level 127. The result is (H, W) float32 holding 0 and
    1: every soft edge is gone, which is what the option is for. Raises ``BadArray``.
    """
    check_alpha(alpha)
    level = np.rint(alpha * np.float32(255)).astype(np.uint8)
    plus = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    opened = cv2.morphologyEx(level, cv2.MORPH_OPEN, plus)
    offset = np.arange(-_REACH, _REACH + 1)
    bell = np.exp(-0.5 / _SIGMA**2 * offset**2)
    bell /= bell.sum()
    # float64 decides ties at level 127 as rembg does.
    blurred = cv2.sepFilter2D(opened, cv2.CV_64F, bell, bell, borderType=cv2.BORDER_REFLECT)
    return (blurred >= 127).astype(np.float32)
