"""From a matte to polygons with holes, in the picture's own pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import cv2
import numpy as np

from cleancut.annotation.export import MAX_TOLERANCE_PX, TOLERANCE_PX
from cleancut.arrays import check_alpha
from cleancut.errors import BadOption

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.arrays import Alpha

#: (x, y) of a corner; (0, 0) is the upper left corner of the first pixel, not its middle.
Ring: TypeAlias = tuple[tuple[float, float], ...]

#: A pixel is subject from here on.
LEVEL = 0.5
#: Islands and holes below this are specks.
SPECK_PX = 16


@dataclass(frozen=True, slots=True)
class Part:
    """An island of the subject: its outline, and those of the holes in it, the other way round."""

    outer: Ring
    holes: tuple[Ring, ...] = ()


@dataclass(frozen=True, slots=True)
class Annotation:
    """Where the subject of a picture of ``width`` x ``height`` pixels is.

    ``parts`` are its islands, the largest first; there are none in a picture without a subject.
    ``box`` is (left, top, right, bottom), right and bottom exclusive, ``area`` the subject's
    pixels. ``runs``, where there are holes, are the lengths of runs of background and subject in
    turn, column by column, as COCO counts them.
    """

    width: int
    height: int
    parts: tuple[Part, ...] = ()
    box: tuple[int, int, int, int] | None = None
    area: int = 0
    runs: tuple[int, ...] | None = None


def annotate(
    alpha: Alpha, *, tolerance_px: float = TOLERANCE_PX, speck_px: float = SPECK_PX
) -> Annotation:
    """The outlines of what has ``alpha`` (H, W) of 0.5 or more.

    Outlines run along the edges of pixels and are simplified by at most ``tolerance_px`` (0 to
    100; Douglas and Peucker, 1973). Islands and holes of fewer than ``speck_px`` pixels are left
    out. Raises ``BadArray``, ``BadOption``.
    """
    if not 0 <= tolerance_px <= MAX_TOLERANCE_PX:
        raise BadOption(f"tolerance: {tolerance_px} is out of range", hint="0 to 100 pixels")
    height, width = check_alpha(alpha).shape
    solid = (alpha >= LEVEL).astype(np.uint8)
    left, top, across, down = cv2.boundingRect(solid)
    rings, inner, kept = _rings(solid[top : top + down, left : left + across], speck_px)
    solid[top : top + down, left : left + across] = kept
    if not rings:
        return Annotation(width, height)
    left_kept, top_kept, across, down = cv2.boundingRect(solid)

    def ring(points: Any) -> Ring:
        found = cv2.approxPolyDP(points, 2 * tolerance_px, closed=True)
        found = points if len(found) < 3 else found
        return tuple((left + x / 2, top + y / 2) for x, y in found[:, 0].tolist())

    parts = tuple(
        Part(ring(points), tuple(ring(hole) for hole in inner.get(at, ()))) for at, points in rings
    )
    return Annotation(
        width,
        height,
        parts,
        (left_kept, top_kept, left_kept + across, top_kept + down),
        int(cv2.countNonZero(solid)),
        _runs(solid) if inner else None,
    )


def _rings(
    solid: NDArray[np.uint8], speck_px: float
) -> tuple[list[tuple[int, Any]], dict[int, list[Any]], NDArray[np.uint8]]:
    """Outer rings by number, largest first; holes by their island's; ``solid`` without specks.

    Each pixel becomes a closed square of 3 x 3 points, two to the pixel, so that OpenCV's contours,
    which run through the middles of points, run along the edges of pixels.
    """
    rows, columns = solid.shape
    middles = np.zeros((2 * rows + 1, 2 * columns + 1), np.uint8)
    middles[1::2, 1::2] = solid
    points: Any = cv2.dilate(middles, np.ones((3, 3), np.uint8))
    contours, tree = cv2.findContours(points, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    areas = [cv2.contourArea(contour) / 4 for contour in contours]
    outer: list[tuple[int, Any]] = []
    inner: dict[int, list[Any]] = {}
    for at, contour in enumerate(contours):
        island = int(tree[0][at][3])
        if areas[at] < speck_px:
            cv2.drawContours(points, contours, at, 0 if island < 0 else 1, cv2.FILLED)
        elif island < 0:
            outer.append((at, contour))
        elif areas[island] >= speck_px:
            inner.setdefault(island, []).append(contour)
    outer.sort(key=lambda row: -areas[row[0]])
    return outer, inner, points[1::2, 1::2]


def _runs(solid: NDArray[np.uint8]) -> tuple[int, ...]:
    flat = solid.T.ravel()
    ends = np.flatnonzero(np.diff(flat)) + 1
    edges = np.concatenate([[0], ends, [flat.size]])
    runs = tuple(np.diff(edges).tolist())
    return (0, *runs) if flat[0] else runs


def joined(rings: Iterable[Ring]) -> Ring:
    """One ring for several, with a bridge of no width to each next one, where they are nearest.

    Formats without holes, or with one ring an object, hold islands and holes in this way.
    """
    first, *others = rings
    whole: Sequence[tuple[float, float]] = first
    for ring in others:
        here, there = np.asarray(whole), np.asarray(ring)
        apart = ((here[:, None] - there[None]) ** 2).sum(axis=2)
        at, to = divmod(int(apart.argmin()), len(ring))
        bridged = (*ring[to:], *ring[: to + 1])
        whole = (*whole[: at + 1], *bridged, *whole[at:])
    return tuple(whole)
