"""How the picture moves from one frame to another, and where that can be believed.

Dense inverse search (Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016;
OpenCV's) on small grey copies. A pixel's flow is believed where the way there and back ends where
it began (Sundaram, Brox, Keutzer, ECCV 2010) and both ends look alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from cleancut.imaging.resize import fit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.arrays import Rgb, Tensor

    Grey = NDArray[np.uint8]
    Floats = NDArray[np.float32]
    Mask = NDArray[np.bool_]

#: Longer side of the pictures that motion is found in, and their least side, in pixels.
LOOK_PX, _LEAST_PX = 512, 16
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
    float32 in 0..1 is how far that can be believed. ``exact`` likewise is how far it is right to a
    fraction of a pixel, so that details may be carried along, None where it is nowhere.
    """

    offset: Floats
    trust: Floats
    exact: Floats | None = None


def look(view: Rgb) -> Look:
    """The small grey copy of ``view`` ((H, W, 3) uint8) that motion is found in."""
    height, width = view.shape[:2]
    scale = min(1.0, LOOK_PX / max(height, width))
    rows, columns = (max(_LEAST_PX, round(side * scale)) for side in (height, width))
    grey: Tensor = cv2.cvtColor(fit(view, rows, columns), cv2.COLOR_RGB2GRAY)
    smooth: Tensor = cv2.GaussianBlur(grey, (5, 5), 1.0).astype(np.float32)
    return Look(grey, smooth)


def dense_flow(one: Look, other: Look) -> tuple[Flow, Flow]:
    """How ``one`` moves to ``other``, and back."""
    there, back = _search(one, other), _search(other, one)
    return _checked(one, other, there, back), _checked(other, one, back, there)


def _search(one: Look, other: Look) -> Floats:
    finder: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    # As good as the preset where an outline is to be followed, in half its time.
    finder.setPatchStride(4)
    finder.setGradientDescentIterations(12)
    finder.setVariationalRefinementIterations(3)
    offset: Floats = finder.calc(one.grey, other.grey, None)
    return offset


def _checked(one: Look, other: Look, there: Floats, back: Floats) -> Flow:
    """``there`` with how far it agrees with ``back`` and with the colours."""
    x, y = places(there)
    returned: Tensor = cv2.remap(back, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    missed = _length(there + returned)
    closes = np.clip(2 - missed / (_SLACK_PX + _SLACK_SHARE * _length(there)), 0, 1)
    seen = cv2.remap(other.smooth, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    apart = (seen - one.smooth) / np.float32(_ALIKE)
    trust: Floats = (closes / (1 + np.square(apart))).astype(np.float32)
    trust[~in_places(x, y)] = 0
    return Flow(there, trust)


def places(offset: Floats) -> tuple[Floats, Floats]:
    """Columns and rows that ``offset`` (h, w, 2) leads to, each (h, w) float32."""
    rows, columns = offset.shape[:2]
    x: Tensor = offset[..., 0] + np.arange(columns, dtype=np.float32)
    y: Tensor = offset[..., 1] + np.arange(rows, dtype=np.float32)[:, None]
    return x, y


def in_places(x: Floats, y: Floats) -> Mask:
    """Whether the places (h, w) lie within a picture of that size."""
    rows, columns = x.shape
    inside: Mask = (x > -0.5) & (y > -0.5) & (x < columns - 0.5) & (y < rows - 0.5)
    return inside


def carried(plane: Floats, offset: Floats) -> Floats:
    """``plane`` ((H, W), 0..1) of the other frame, moved to where this one has it; cubic.

    ``offset`` (h, w, 2) may be smaller than the plane.
    """
    height, width = plane.shape[:2]
    x, y = places(enlarged(offset, height, width))
    moved: Tensor = cv2.remap(plane, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.clip(moved, 0, 1, out=moved)


def enlarged(offset: Floats, height: int, width: int) -> Floats:
    """``offset`` (h, w, 2) for pictures of another size."""
    rows, columns = offset.shape[:2]
    if (rows, columns) == (height, width):
        return offset
    larger: Tensor = cv2.resize(offset, (width, height), interpolation=cv2.INTER_LINEAR)
    larger *= np.array([width / columns, height / rows], np.float32)
    return larger


def chained(first: Flow, second: Flow) -> Flow:
    """From one frame over another to a third: ``first`` leads to where ``second`` begins."""
    x, y = places(first.offset)
    onward: Tensor = cv2.remap(
        second.offset, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    trust: Tensor = cv2.remap(second.trust, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return Flow(first.offset + onward, first.trust * trust)


def _length(offset: Floats) -> Floats:
    length: Tensor = np.sqrt(np.square(offset).sum(axis=2))
    return length
