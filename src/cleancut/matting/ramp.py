"""How wide the soft edges of a drawing are: from where it fades in to where its colour is full."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.arrays import Tensor

#: How far a ramp is followed: this share of the longer side, within these bounds (pixels).
_LONGEST_SHARE = 0.02
_LONGEST = (24, 64)
#: A ramp is over where three pixels bring less than this share of its steepest three.
_LEVELLED = 0.15
#: What lies below this share of what is close behind it is the foot of a ramp, not its top.
_FOOT = 0.25
#: A top that falls below this share within the next pixels was the crest of a thin stroke.
_CREST = 0.85
#: Levels (of 255) that anything drawn stands out from the background at least.
FAINT = 16.0
_CHUNK = 1 << 16
_AHEAD = 6


class Ramps(NamedTuple):
    """The soft edge of a drawing.

    ``core`` is (H, W): fully covered by drawn colour. ``width`` is (H, W) float32: width in pixels
    of the soft edge at the rim pixel nearest to each. ``faint``: share of the rim whose ramp leads
    to nothing that stands out. ``endless``: share of the rim whose ramp goes on for longer than
    is followed.
    """

    core: NDArray[np.bool_]
    width: NDArray[np.float32]
    faint: float
    endless: float


def find_ramps(
    distance: NDArray[np.uint8], subject: NDArray[np.bool_], least: float, level: float
) -> Ramps:
    """Follow ``distance`` (levels from the background) inwards from the rim of ``subject``.

    An edge rises steeply and levels off; how wide it is tells one rendered sharply (``least``
    pixels or fewer) from one that was blurred, enlarged or scanned. A fill whose colour changes
    slowly after a sharp edge levels off at that edge. ``level`` is what noise may add.
    """
    inward = cv2.distanceTransform(subject.view(np.uint8), cv2.DIST_L2, 5)
    rim = np.flatnonzero(subject & (inward < 1.5))
    if rim.size == 0:
        return Ramps(subject.copy(), np.zeros(subject.shape, np.float32), 0.0, 0.0)
    step_y, step_x = _inwards(subject, rim)
    longest = int(np.clip(_LONGEST_SHARE * max(subject.shape), *_LONGEST))
    ends, tops = np.empty(rim.size, np.float32), np.empty(rim.size, np.float32)
    for start in range(0, rim.size, _CHUNK):
        here = slice(start, start + _CHUNK)
        profile = _profile(distance, rim[here], step_y[here], step_x[here], longest + _AHEAD)
        ends[here], tops[here] = _levelling(profile, longest, level)
    width = _spread(np.maximum(ends, least), rim, subject.shape)
    # What is faint beside something strong is its blur or overshoot, however wide, not a colour.
    around: Tensor = cv2.dilate(distance, np.ones((7, 7), np.uint8))
    core = subject & (inward > width) & ((distance > FAINT) | (distance > around >> 2))
    typical = float(np.median(ends))
    if typical > 2 * least:
        core &= ~_gaps(distance, min(int(typical), _LONGEST[0]), level)
    faint = float(np.mean(tops < max(FAINT, 3 * level)))
    return Ramps(core, width, faint, float(np.mean(ends > longest)))


def _gaps(distance: NDArray[np.uint8], width: int, level: float) -> NDArray[np.bool_]:
    """Gaps between drawn parts that a blur of ``width`` has filled up: valleys of ``distance``.

    Those that come down a third of the way to the background somewhere; shallower ones are drawn.
    """
    square = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
    filled: Tensor = cv2.morphologyEx(distance, cv2.MORPH_CLOSE, square)
    depth: Tensor = cv2.subtract(filled, distance)
    valleys = depth > np.maximum(filled >> 4, 4 + level)
    _, labels = cv2.connectedComponents(valleys.view(np.uint8), connectivity=8)
    kept = np.zeros(int(labels.max()) + 1, bool)
    kept[labels[depth > filled / np.float32(3)]] = True
    kept[0] = False
    gaps: NDArray[np.bool_] = kept[labels]
    return gaps


def _inwards(subject: NDArray[np.bool_], rim: Tensor) -> tuple[Tensor, Tensor]:
    """Unit steps (y, x) from each rim pixel into the subject; 0 where it is too thin to tell."""
    mask = cv2.GaussianBlur(subject.view(np.uint8) * np.uint8(255), (0, 0), 2.0)
    down = cv2.Sobel(mask, cv2.CV_16S, 0, 1).reshape(-1)[rim].astype(np.float32)
    right = cv2.Sobel(mask, cv2.CV_16S, 1, 0).reshape(-1)[rim].astype(np.float32)
    length = np.maximum(np.hypot(down, right), 1e-3)
    return down / length, right / length


def _profile(
    distance: NDArray[np.uint8], rim: Tensor, step_y: Tensor, step_x: Tensor, count: int
) -> NDArray[np.float32]:
    """``distance`` at 0 (the background) to ``count`` pixels inwards, (len(rim), count + 1)."""
    height, width = distance.shape
    y, x = np.divmod(rim, width)
    along = np.arange(count, dtype=np.float32)
    rows = np.rint(y[:, None] + step_y[:, None] * along).astype(np.intp).clip(0, height - 1)
    columns = np.rint(x[:, None] + step_x[:, None] * along).astype(np.intp).clip(0, width - 1)
    seen = distance.reshape(-1)[rows * width + columns].astype(np.float32)
    return np.concatenate([np.zeros((len(rim), 1), np.float32), seen], axis=1)


def _levelling(
    profile: NDArray[np.float32], longest: int, level: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Where each profile levels off, and how high it is there.

    Where it falls again at once (a thin stroke), its far side; ``longest`` + 1 where it never
    levels off.
    """
    rise = profile[:, 3:] - profile[:, :-3]
    steepest = np.maximum.accumulate(rise, axis=1)
    ahead = profile.copy()
    for shift in range(1, _AHEAD + 1):
        ahead[:, :-shift] = np.maximum(ahead[:, :-shift], profile[:, shift:])
    usable = slice(0, longest + 1)
    low = profile[:, usable]
    flat = rise[:, usable] <= np.maximum(_LEVELLED * steepest[:, usable], 1 + level)
    flat &= (low > _FOOT * ahead[:, usable]) | (low > FAINT)
    flat[:, 0] = False
    stop = flat.argmax(axis=1)
    never = ~flat.any(axis=1)
    end = np.minimum(stop + stop // 4, longest)
    rows = np.arange(len(profile))
    top = profile[rows, end]
    beyond = np.minimum(profile[rows, end + 1], profile[rows, end + 2])
    crest = (beyond < _CREST * profile[rows, stop]) & (stop > 2)
    found = end.astype(np.float32)
    found[crest] = np.minimum(2 * stop[crest] + 1, longest)
    found[never] = longest + 1
    return found, np.where(never, profile[:, longest], np.maximum(top, profile[rows, stop]))


def _spread(ends: Tensor, rim: Tensor, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """``ends`` of the rim pixels, carried to every pixel from the rim pixel nearest to it."""
    outside = np.ones(shape, np.uint8)
    outside.reshape(-1)[rim] = 0
    _, labels = cv2.distanceTransformWithLabels(
        outside, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    flat = labels.reshape(-1)
    table = np.zeros(int(flat.max()) + 1, np.float32)
    table[flat[rim]] = ends
    spread: Tensor = table[labels]
    return spread
