"""Finding the subject, and cropping to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from cleancut.arrays import Alpha
    from cleancut.options import Margin, Margins

#: Fainter than this a pixel does not count as part of the subject's box.
VISIBLE = 0.1


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels, ``right`` and ``bottom`` exclusive; may reach outside the picture."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top


def subject_box(alpha: Alpha, visible: float = VISIBLE) -> Box | None:
    """The smallest box around every pixel of at least ``visible`` alpha; None if there is none."""
    mask = alpha >= visible
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return None
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def with_margin(box: Box, margins: Margins) -> Box:
    """``box`` grown on its four sides; a share counts the box's longer side."""
    longer = max(box.width, box.height)

    def room(side: Margin) -> int:
        return side.pixels + round(side.share * longer)

    return Box(
        box.left - room(margins.left),
        box.top - room(margins.top),
        box.right + room(margins.right),
        box.bottom + room(margins.bottom),
    )


def crop(pixels: np.ndarray, box: Box, *, replicate: bool = False) -> np.ndarray:
    """The part of ``pixels`` ((H, W) or (H, W, C)) inside ``box``.

    What lies outside the picture is zero, or with ``replicate`` the nearest pixel. All of it is
    ``pixels`` itself, no copy.
    """
    height, width = pixels.shape[:2]
    if box == Box(0, 0, width, height):
        return pixels
    inside = pixels[
        max(0, box.top) : min(height, box.bottom), max(0, box.left) : min(width, box.right)
    ]
    pads = (
        max(0, -box.top),
        max(0, box.bottom - height),
        max(0, -box.left),
        max(0, box.right - width),
    )
    if not any(pads):
        return np.ascontiguousarray(inside)
    border = cv2.BORDER_REPLICATE if replicate else cv2.BORDER_CONSTANT
    return cv2.copyMakeBorder(inside, *pads, border, value=0)
