"""From a matte to a trimap: what is surely subject, surely background, and what is to be solved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from cleancut.arrays import check_alpha
from cleancut.errors import BadOption

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.arrays import Alpha

UNKNOWN = 0.5
#: A net that is this close to 0 or 1 is sure.
SURE = 0.05


def from_doubt(alpha: Alpha, *, doubt: Alpha | None = None, reach: int = 2) -> Alpha:
    """Trimap of a net's ``alpha``: what it is sure of, less a rim of ``reach`` pixels, is known.

    Sure is below 0.05 or above 0.95, and where ``doubt`` (H, W, 0..1) is given, under a half of it.
    So the unknown band is as wide as the net is unsure, and ``2 * reach`` pixels where it is not.
    Beyond the picture's frame things go on as they are at it. The result is (H, W) float32 holding
    0, 0.5 (unknown) and 1. Raises ``BadArray`` and ``BadOption``.
    """
    check_alpha(alpha)
    if reach < 0:
        raise BadOption(f"reach: {reach} is below zero", hint="give a size in pixels, 0 or more")
    calm = np.ones(alpha.shape, bool) if doubt is None else check_alpha(doubt, "doubt") < 0.5
    element = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    trimap = np.full(alpha.shape, UNKNOWN, np.float32)
    for level, sure in ((0, (alpha < SURE) & calm), (1, (alpha > 1 - SURE) & calm)):
        trimap[cv2.erode(sure.view(np.uint8), element) > 0] = level
    return trimap


def from_thresholds(
    alpha: Alpha, *, foreground: int = 240, background: int = 10, erode: int = 10
) -> Alpha:
    """Trimap of ``alpha`` by thresholds and erosion, pixel for pixel as rembg 2.0.86 makes it.

    ``alpha`` is (H, W) in [0, 1] and is compared as 8-bit levels (0..255, rounded): above
    ``foreground`` is subject, below ``background`` is background. Both are then eroded by a square
    of ``erode`` pixels (by a plus of 3 x 3 pixels if ``erode`` is 0); outside the picture counts
    as background, never as subject, so a subject cut off by the frame gets an unknown rim there.
    The result is (H, W) float32 holding 0, 0.5 (unknown) and 1, where rembg has 0, 128 and 255.
    Raises ``BadArray``, or ``BadOption`` for levels outside 0..255 and a negative ``erode``.
    """
    check_alpha(alpha)
    for name, level in (("foreground", foreground), ("background", background)):
        if not 0 <= level <= 255:
            raise BadOption(
                f"{name} threshold: {level} is not an 8-bit level", hint="give a value in 0..255"
            )
    if erode < 0:
        raise BadOption(f"erode: {erode} is below zero", hint="give a size in pixels, 0 or more")
    level = np.rint(alpha * np.float32(255))
    element = (
        cv2.getStructuringElement(cv2.MORPH_RECT, (erode, erode))
        if erode
        else cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    )

    def eroded(mask: NDArray[np.bool_], outside: int) -> Alpha:
        seen = mask.astype(np.uint8)
        kept = cv2.erode(seen, element, borderType=cv2.BORDER_CONSTANT, borderValue=(outside,))
        return kept.astype(np.float32)

    subject = eroded(level > foreground, 0)
    backdrop = eroded(level < background, 1)
    trimap = np.full(alpha.shape, UNKNOWN, np.float32)
    trimap[subject > 0] = 1
    trimap[backdrop > 0] = 0
    return trimap
