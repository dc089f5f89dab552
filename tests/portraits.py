"""Drawn people: plain enough to be made in code, human enough for a face detector."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

#: Ellipses of a person whose face is 200 high and centred on (0, 0), from back to front: middle,
#: half axes, colour.
_PERSON = (
    ((0, 330), (190, 170), (40, 50, 90)),  # shoulders
    ((0, 110), (42, 60), (196, 150, 120)),  # neck
    ((0, -28), (92, 112), (60, 40, 30)),  # hair
    ((0, 0), (72, 98), (224, 178, 148)),  # face
    ((0, 60), (50, 34), (218, 170, 140)),
)
_EYE = (
    ((74, 4), (9, 20), (210, 160, 130)),  # ear
    ((30, -29), (19, 6), (60, 40, 30)),  # brow
    ((30, -25), (20, 5), (224, 178, 148)),
    ((30, -12), (19, 12), (190, 140, 115)),
    ((30, -13), (16, 9), (50, 30, 25)),
    ((30, -12), (14, 7), (250, 250, 250)),
    ((30, -12), (6.5, 6.5), (60, 40, 30)),
    ((30, -12), (2.5, 2.5), (10, 10, 10)),
    ((7, 26), (4, 3), (150, 95, 80)),  # nostril
)
_MIDDLE = (
    ((0, 18), (9, 14), (205, 152, 124)),  # nose
    ((0, 10), (4, 18), (235, 195, 165)),
    ((0, 52), (22, 8), (180, 80, 80)),  # mouth
    ((0, 51), (22, 2), (110, 40, 45)),
)
_SHARP = 8  # of cv2's sub-pixels, as a power of two: 3 bits
#: From the middle of the face, in its units.
CROWN, CHIN = -140, 98


@dataclass(frozen=True)
class Person:
    """Where the face's middle is, the scale of the person, and the lean in degrees, clockwise."""

    x: float
    y: float
    scale: float = 1.0
    lean_deg: float = 0.0
    hat: bool = False

    def at(self, x: float, y: float) -> tuple[float, float]:
        turn = math.radians(self.lean_deg)
        along, down = self.scale * x, self.scale * y
        return (
            self.x + along * math.cos(turn) - down * math.sin(turn),
            self.y + along * math.sin(turn) + down * math.cos(turn),
        )


def drawn(
    people: Sequence[Person],
    size: tuple[int, int] = (640, 640),
    backdrop: tuple[int, int, int] = (210, 220, 230),
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A picture (H, W, 3) of ``people`` and its true matte (H, W); ``size`` is width, height."""
    width, height = size
    rgb = np.full((height, width, 3), backdrop, np.uint8)
    matte = np.zeros((height, width), np.uint8)
    for person in people:
        for middle, axes, colour in _parts(person):
            for canvas, paint in ((rgb, colour), (matte, (255,))):
                _ellipse(canvas, person, middle, axes, paint)
    return cv2.GaussianBlur(rgb, (0, 0), 1.2), matte.astype(np.float32) / 255


def _parts(person: Person):  # type: ignore[no-untyped-def]
    if person.hat:
        yield (0, -140), (60, 60), (120, 30, 30)
    yield from _PERSON
    for side in (-1, 1):
        for (x, y), axes, colour in _EYE:
            yield (side * x, y), axes, colour
    yield from _MIDDLE


def _ellipse(canvas, person, middle, axes, colour) -> None:  # type: ignore[no-untyped-def]
    x, y = person.at(*middle)
    centre = (round(_SHARP * x), round(_SHARP * y))
    half = tuple(max(1, round(_SHARP * person.scale * axis)) for axis in axes)
    cv2.ellipse(canvas, centre, half, person.lean_deg, 0, 360, colour, -1, cv2.LINE_AA, 3)
