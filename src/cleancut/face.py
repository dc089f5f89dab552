"""What is known about one face in a picture."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

#: A point in a picture's pixels: x to the right, y downwards, both from the upper left corner.
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Face:
    """One face, in the picture's pixels; left and right are the viewer's.

    ``score`` is how sure the networks are, 0..1. ``forehead`` is where the hair usually begins,
    ``left_cheek`` and ``right_cheek`` are the outermost points of the face beside the ears.
    """

    score: float
    left_eye: Point
    right_eye: Point
    nose: Point
    mouth: Point
    chin: Point
    forehead: Point
    left_cheek: Point
    right_cheek: Point

    @property
    def centre(self) -> Point:
        """Between forehead and chin."""
        return _middle(self.forehead, self.chin)

    @property
    def height(self) -> float:
        """From the forehead to the chin, in pixels."""
        return math.dist(self.forehead, self.chin)

    @property
    def roll_deg(self) -> float:
        """How far the line of the eyes leans to the right: positive is clockwise."""
        dx, dy = (self.right_eye[at] - self.left_eye[at] for at in (0, 1))
        return math.degrees(math.atan2(dy, dx))

    @property
    def yaw(self) -> float:
        """Where the nose is between the cheeks: 0 is the middle, -1 and 1 are the cheeks."""
        before = math.dist(self.left_cheek, self.nose)
        after = math.dist(self.nose, self.right_cheek)
        return (before - after) / max(before + after, 1e-6)

    def moved(self, move: Callable[[Point], Point]) -> Face:
        """The face with ``move`` done to every one of its points."""
        return Face(self.score, *(move(getattr(self, name)) for name in POINTS))

    def scaled(self, scale: float) -> Face:
        """The face in a picture that is ``scale`` times as large."""
        return self.moved(lambda point: (point[0] * scale, point[1] * scale))


#: The fields of ``Face`` that are points, in their order.
POINTS = (
    "left_eye",
    "right_eye",
    "nose",
    "mouth",
    "chin",
    "forehead",
    "left_cheek",
    "right_cheek",
)


def _middle(one: Point, other: Point) -> Point:
    return ((one[0] + other[0]) / 2, (one[1] + other[1]) / 2)
