"""Where names stand in a scatter, so that none covers another or a point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

#: Distances from a point at which a name is tried, in pixels, nearest first.
_RINGS = (9.0, 16.0, 26.0, 40.0, 58.0, 80.0, 110.0, 150.0, 200.0, 260.0)
#: Directions, in degrees from the right, anticlockwise: beside, above, below, then the corners.
_DIRECTIONS = (0, 180, 90, 270, 35, 145, 325, 215, 65, 115, 245, 295)
#: Half the side of a marker and the room around a name, in pixels.
_MARKER, _ROOM = 6.0, 2.5


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels."""

    left: float
    bottom: float
    right: float
    top: float

    def overlap(self, other: Box) -> float:
        """The area both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(0.0, width) * max(0.0, height)

    def outside(self, frame: Box) -> float:
        """The area of it that lies beyond ``frame``."""
        return (self.right - self.left) * (self.top - self.bottom) - self.overlap(frame)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a name went; ``far`` if a line should lead from the point to it."""

    box: Box
    far: bool


def place(
    points: Sequence[tuple[float, float]], sizes: Sequence[tuple[float, float]], frame: Box
) -> list[Place]:
    """A place for the name of each point: ``sizes`` are (width, height), all in pixels.

    Greedy, the most crowded point first; each name takes the nearest place that covers no name and
    no marker, and where there is none the one that covers least.
    """
    markers = [Box(x - _MARKER, y - _MARKER, x + _MARKER, y + _MARKER) for x, y in points]
    placed: dict[int, Place] = {}

    def crowd(index: int) -> float:
        x, y = points[index]
        return -sum(1 / (20 + math.dist((x, y), other)) for other in points)

    for index in sorted(range(len(points)), key=lambda i: (crowd(i), i)):
        taken = [*markers, *(one.box for one in placed.values())]
        placed[index] = _best(points[index], sizes[index], taken, frame)
    return [placed[index] for index in range(len(points))]


def _best(
    point: tuple[float, float], size: tuple[float, float], taken: Sequence[Box], frame: Box
) -> Place:
    best: tuple[float, Place] | None = None
    for number, ring in enumerate(_RINGS):
        for degrees in _DIRECTIONS:
            box = _at(point, size, ring, math.radians(degrees))
            cost = sum(box.overlap(other) for other in taken) + 4 * box.outside(frame)
            if cost < 0.01:
                return Place(box, number > 1)
            if best is None or cost < best[0]:
                best = cost, Place(box, number > 1)
    assert best is not None
    return best[1]


def _at(point: tuple[float, float], size: tuple[float, float], ring: float, angle: float) -> Box:
    """The box whose nearest edge or corner lies ``ring`` away from the point."""
    width, height = size[0] + 2 * _ROOM, size[1] + 2 * _ROOM
    x = point[0] + math.cos(angle) * (ring + width / 2)
    y = point[1] + math.sin(angle) * (ring + height / 2)
    return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
