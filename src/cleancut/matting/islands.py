"""Which parts of a matte belong to the subject: islands are dropped, holes are filled.

Soft pixels follow the opaque part that they surround, so hair stays with its head and the haze of
a removed object goes with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from cleancut.arrays import check_alpha, strips

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.arrays import Alpha, Tensor

    Mask = NDArray[np.bool_]

#: Pixels of at least this alpha hang together.
_HAZE = 0.05
#: From here on a pixel is subject.
_SOLID = 0.5
#: An object this small beside the largest one is a lock of hair, if it is close.
_SATELLITE = 0.02
#: How far hair reaches without being seen to, as a share of the picture's longer side.
_REACH = 0.015
#: Distances between objects are measured in a matte of at most this many pixels.
_WORK_PIXELS = 1_000_000
#: Labels are looked up and summed for this many pixels at a time: numpy widens them to 8 bytes.
_STRIP_PIXELS = 1 << 22
#: A hole becomes as opaque as the highest of these levels that encloses it; the last means opaque.
_LEVELS = ((0.5, 0.5), (0.75, 0.75), (0.9, 1.0))


def remove_islands(alpha: Alpha, min_area_px: float) -> Alpha:
    """``alpha`` without islands whose area, the sum of their alpha, is below ``min_area_px``.

    An island is what hangs together at alpha 0.05 or more, diagonals included: a lock of hair that
    is joined to its head by faint strands is none. Removed pixels and their fringe become 0.
    Raises ``BadArray``.
    """
    check_alpha(alpha)
    labels, areas = _weighed(alpha >= _HAZE, alpha)
    small = areas < min_area_px
    small[0] = False
    if not small.any():
        return alpha.copy()
    gone = _looked_up(small, labels)
    fringe = cv2.dilate(gone.view(np.uint8), np.ones((7, 7), np.uint8)).view(np.bool_)
    fringe &= labels == 0
    return np.where(gone | fringe, np.float32(0), alpha)


def keep_largest(alpha: Alpha) -> Alpha:
    """``alpha`` with its largest object only.

    Objects are what hangs together at alpha 0.5 or more, the largest is that with the largest sum
    of alpha. With it stay the soft pixels that are joined or near to it (1.5 % of the longer side)
    and nearer than to any other object, and objects smaller than a fiftieth of it under the same
    condition: locks of hair. A matte that is nowhere 0.5 is split at 0.05. Raises ``BadArray``.
    """
    check_alpha(alpha)
    solid = alpha >= _SOLID
    if not solid.any():
        solid = alpha >= _HAZE
    cores, weights = _weighed(solid, alpha)
    if weights.size < 2:
        return alpha.copy()
    largest = int(weights.argmax())
    main = cores == largest
    near = _around(main, alpha)
    belongs = weights < _SATELLITE * weights[largest]
    belongs[0] = False
    kept = main
    if belongs.any():
        belongs &= _among(cores, near & solid & ~main, weights.size)
        if belongs.any():
            belongs[largest] = True
            kept = _looked_up(belongs, cores)
    belongs[largest] = True
    stays = near & ~solid
    if not belongs[1:].all():
        stays &= _nearer(kept, solid & ~kept)
    stays |= kept
    return np.where(stays, alpha, np.float32(0))


def fill_holes(alpha: Alpha) -> Alpha:
    """``alpha`` with its holes closed; never below ``alpha``.

    A hole is a region below alpha 0.5, hard or soft, from which no path leads to the picture's
    frame. It becomes as opaque as what encloses it: fully where that is 0.9 or more, else 0.75 or
    0.5, so that gaps between strands of hair do not turn solid. Regions between 0.5 and 0.9 that
    something more opaque encloses are holes as well: networks leave such weak spots. Raises
    ``BadArray``.
    """
    check_alpha(alpha)
    out = alpha.copy()
    for level, value in _LEVELS:
        # A frame of outside around the picture: one fill reaches all that is open.
        low = cv2.copyMakeBorder(
            (alpha < level).view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=(1,)
        )
        cv2.floodFill(low, None, (0, 0), (2,), flags=4)
        hole = low[1:-1, 1:-1] == 1
        if value == 1:  # the rest of the rim
            hole = cv2.dilate(hole.view(np.uint8), np.ones((3, 3), np.uint8)).view(np.bool_)
        out[hole] = np.maximum(out[hole], np.float32(value))
    return out


def _weighed(mask: Mask, alpha: Alpha) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Labels of the parts of ``mask`` (0: none) and the sum of ``alpha`` in each; 0 for none."""
    count, labels = cv2.connectedComponents(mask.view(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    found: Tensor = labels
    sums = np.zeros(count)
    if count < 2:
        return found, sums
    # What is likely the largest is summed by its mask, and only the rest pixel by pixel.
    likely = np.bincount(found[::8, ::8].ravel(), minlength=count)
    likely[0] = -1
    main = int(likely.argmax())
    own = found == main
    sums[main] = cv2.mean(alpha, mask=own.view(np.uint8))[0] * np.count_nonzero(own)
    rest = np.flatnonzero(mask ^ own)
    sums += np.bincount(found.reshape(-1)[rest], alpha.reshape(-1)[rest], minlength=count)
    return found, sums


def _looked_up(table: Mask, labels: Tensor) -> Mask:
    """``table[labels]``, (H, W)."""
    found = np.empty(labels.shape, np.bool_)
    for rows in strips(labels, _STRIP_PIXELS):
        np.take(table, labels[rows], out=found[rows], mode="clip")
    return found


def _among(labels: Tensor, mask: Mask, count: int) -> Mask:
    """(count,) which labels occur in ``mask``, which holds few pixels."""
    found = np.zeros(count, np.bool_)
    found[labels.reshape(-1)[np.flatnonzero(mask)]] = True
    return found


def _around(main: Mask, alpha: Alpha) -> Mask:
    """Where the soft pixels of ``main``, one part, may be: joined to it, or close by."""
    haze: Tensor = cv2.connectedComponents((alpha >= _HAZE).view(np.uint8), connectivity=8)[1]
    # It hangs together, so all of it has one label.
    joined: Mask = haze == haze.reshape(-1)[int(main.argmax())]
    small, step = _small(main)
    close = _distance(small) * step <= max(2.0, _REACH * max(alpha.shape))
    joined |= _large(close, alpha.shape)
    return joined


def _nearer(one: Mask, other: Mask) -> Mask:
    """Where ``one`` is at least as near as ``other``."""
    return _large(_distance(_small(one)[0]) <= _distance(_small(other)[0]), one.shape)


def _small(mask: Mask) -> tuple[Mask, float]:
    """``mask`` in fewer pixels, of which each one is set that holds any of it, and their size."""
    step = max(1.0, (mask.size / _WORK_PIXELS) ** 0.5)
    if step == 1:
        return mask, 1.0
    size = (max(1, round(mask.shape[1] / step)), max(1, round(mask.shape[0] / step)))
    share: Tensor = cv2.resize(
        mask.view(np.uint8) * np.uint8(255), size, interpolation=cv2.INTER_AREA
    )
    return share > 0, step


def _large(mask: Mask, shape: tuple[int, ...]) -> Mask:
    large: Tensor = cv2.resize(
        mask.view(np.uint8), (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST
    )
    return large.view(np.bool_)


def _distance(mask: Mask) -> Tensor:
    """Distance to ``mask`` in pixels."""
    away: Tensor = cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_L2, 5)
    return away
