"""How the picture moves from one frame to another, and where that can be believed.

Dense inverse search (Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016;
OpenCV's) on small grey copies. A pixel's flow is believed where the way there and back ends where
it began (Sundaram, Brox, Keutzer, ECCV 2010) and both ends look alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cleancut.imaging.resize import fit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.arrays import Rgb, Tensor

    Grey = NDArray[np.uint8]
    Floats = NDArray[np.float32]

#: Longer side of the pictures that motion is found in, in pixels.
LOOK_PX = 512
#: Slack of the way there and back, in small pixels, and what of it grows with the motion's length.
_SLACK_PX, _SLACK_SHARE = 0.5, 0.05
#: Difference of the two ends, in grey levels after a small blur, at which half the trust is gone.
_ALIKE = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A frame as motion sees it: ``grey`` (h, w) uint8; ``smooth`` the same, blurred, float32."""

    grey: Grey
    smooth: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """Where each pixel of one frame lies in another.

    ``offset`` is (h, w, 2) float32, x and y in pixels of the small picture; ``trust`` (h, w)
    float32 in 0..1 is how far that can be believed.
    """

    offset: Floats
    trust: Floats


def look(view: Rgb) -> Look:
    """The small grey copy of ``view`` ((H, W, 3) uint8) that motion is found in."""
    height, width = view.shape[:2]
    scale = min(1.0, LOOK_PX / max(height, width))
    small = fit(view, max(16, round(height * scale)), max(16, round(width * scale)))
    grey: Grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    smooth: Tensor = cv2.GaussianBlur(grey, (5, 5), 1.0).astype(np.float32)
    return Look(grey, smooth)


def search(one: Look, other: Look, first: Floats | None = None) -> Floats:
    """Where each pixel of ``one`` lies in ``other``: (h, w, 2) float32 offsets in small pixels.

    ``first`` is a guess to begin from.
    """
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    finder.setUseSpatialPropagation(True)
    offset: Tensor = finder.calc(one.grey, other.grey, None if first is None else first.copy())
    return offset


def checked(one: Look, other: Look, there: Floats, back: Floats) -> Flow:
    """``there`` (from ``one`` to ``other``) with how far it agrees with ``back`` and the colours."""
    x, y = places(there)
    returned = cv2.remap(back, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    missed = cv2.magnitude(*cv2.split(there + returned))
    length = cv2.magnitude(*cv2.split(there))
    closes = np.clip(2 - missed / (_SLACK_PX + _SLACK_SHARE * length), 0, 1)
    seen = cv2.remap(other.smooth, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    apart = np.abs(seen - one.smooth) / np.float32(_ALIKE)
    trust = closes / (1 + apart * apart)
    rows, columns = there.shape[:2]
    trust[(x < -0.5) | (y < -0.5) | (x > columns - 0.5) | (y > rows - 0.5)] = 0
    return Flow(there, trust)


def places(offset: Floats) -> tuple[Floats, Floats]:
    """Columns and rows that ``offset`` (h, w, 2) leads to, each (h, w) float32."""
    rows, columns = offset.shape[:2]
    x = offset[..., 0] + np.arange(columns, dtype=np.float32)
    y = offset[..., 1] + np.arange(rows, dtype=np.float32)[:, None]
    return x, y


def carried(plane: Tensor, offset: Floats, how: int = cv2.INTER_CUBIC) -> Tensor:
    """``plane`` ((H, W) float32 in 0..1) of the other frame, moved to where this one has it.

    ``offset`` (h, w, 2) may be smaller than the plane.
    """
    height, width = plane.shape[:2]
    rows, columns = offset.shape[:2]
    if (rows, columns) != (height, width):
        offset = cv2.resize(offset, (width, height), interpolation=cv2.INTER_LINEAR)
        offset = offset * np.array([width / columns, height / rows], np.float32)
    x, y = places(offset)
    moved: Tensor = cv2.remap(plane, x, y, how, borderMode=cv2.BORDER_REPLICATE)
    return np.clip(moved, 0, 1, out=moved)


def chained(first: Flow, second: Flow) -> Flow:
    """From one frame over another to a third: ``first`` leads to where ``second`` begins."""
    x, y = places(first.offset)
    onward = cv2.remap(second.offset, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    trust = cv2.remap(second.trust, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return Flow(first.offset + onward, first.trust * trust)
