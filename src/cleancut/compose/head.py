"""Putting one person's head where a photo for a document wants it.

The crown is the matte's: whatever stands on the head counts as hair. The chin is the face's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from cleancut.arrays import full_scale
from cleancut.compose.crop import Box, subject_box
from cleancut.errors import ManyPeople, NoPerson

if TYPE_CHECKING:
    from cleancut.arrays import Alpha, Rgb
    from cleancut.compose.place import Move
    from cleancut.face import Face, Point
    from cleancut.options import Canvas

#: A face that is less sure than this is not the person whose head is placed. Dogs reach .83.
SURE = 0.85
#: Of the largest face's height: smaller ones are pictures on shirts and people far behind.
_AS_LARGE = 1 / 3
#: The eyes are made level from the first on; beyond the second the head was meant to lean.
_LEVEL_FROM_DEG, _LEVEL_TO_DEG = 1.0, 15.0
#: With the nose so far from the middle of the face, the head is turned away (see ``Face.yaw``).
_TURNED = 0.22
#: Hair this sparse, as a share of the face's width, does not make a head higher: single strands.
_HAIR_SHARE = 0.08
#: Rows without hair, as a share of the face's height, that end a head; and how far hair may reach.
_GAP_SHARE, _HIGHEST = 0.03, 1.2
#: A crown so near to the picture's upper edge, as a share of the face, is cut off by it.
_CUT_SHARE = 0.02
_STRIP_ROWS = 256


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """A cutout with the eyes level: ``head`` reaches from the crown to the chin, in its pixels.

    ``foreground`` and ``alpha`` are of the picture's size; ``turn`` is by how many
    degrees, and about which point, they were turned. ``notes`` are what an office that takes photos
    for documents might object to, and what was done about it.
    """

    foreground: Rgb
    alpha: Alpha
    head: Box
    turn: tuple[float, Point] | None = None
    notes: tuple[str, ...] = ()

    def also(self, rgb: Rgb) -> Rgb:
        """Another picture of the same size, (H, W, 3), turned like the cutout."""
        if self.turn is None:
            return rgb
        return turned(rgb, np.ones(rgb.shape[:2], np.float32), *self.turn)[0]


def pose(foreground: Rgb, alpha: Alpha, faces: Sequence[Face]) -> Pose:
    """The cutout turned so that the eyes of its one person are level, and where the head is.

    ``foreground`` is (H, W, 3), ``alpha`` (H, W), ``faces`` those of the picture in its pixels.
    Only a lean of 1 to 15 degrees is taken out. Raises ``NoPerson`` and ``ManyPeople``.
    """
    face = only_face(faces, alpha)
    notes = []
    roll, turn = face.roll_deg, None
    if _LEVEL_FROM_DEG <= abs(roll) <= _LEVEL_TO_DEG:
        turn = (roll, face.centre)
        foreground, alpha = turned(foreground, alpha, *turn)
        face = _turned_face(face, roll)
        notes.append(f"levelled: turned by {abs(roll):.1f} degrees, so that the eyes are level")
    elif abs(roll) > _LEVEL_TO_DEG:
        notes.append(f"head_tilted: the head leans by {abs(roll):.0f} degrees; it was left so")
    if abs(face.yaw) > _TURNED:
        notes.append("head_turned: the face looks to the side, not into the camera")
    head = head_box(alpha, face)
    if sides := _cut_sides(head, face, alpha.shape[1]):
        notes.append(f"head_cut: the picture ends in the head, {' and '.join(sides)}")
    return Pose(foreground, alpha, head, turn, tuple(notes))


def only_face(faces: Sequence[Face], alpha: Alpha) -> Face:
    """The face of the one person in matte ``alpha`` (H, W).

    Faces that were cut away do not count, nor those less than a third as large as the largest.
    Raises ``NoPerson`` and ``ManyPeople``.
    """
    within = [face for face in faces if _is_kept(face, alpha)]
    largest = max((face.height for face in within if face.score >= SURE), default=None)
    if largest is None:
        raise NoPerson(
            "no face was found in the subject",
            hint="take a photo of one person from the front, or leave out --head",
        )
    people = [face for face in within if face.height >= _AS_LARGE * largest]
    if len(people) > 1:
        raise ManyPeople(
            f"{len(people)} people were found in the subject",
            hint="crop the picture to one of them, or frame one with --keep-box",
        )
    return people[0]


def head_box(alpha: Alpha, face: Face) -> Box:
    """From the crown to the chin, from cheek to cheek, of an upright ``face`` in ``alpha`` (H, W).

    The crown is the highest row above the face where there is hair, a hat or a bun that hangs
    together with it; single strands do not count. Hands above a head count as far as 1.2 heights
    of the face.
    """
    height, width = alpha.shape
    left, right = (
        min(max(round(cheek[0]), 0), width) for cheek in (face.left_cheek, face.right_cheek)
    )
    left, right = min(left, right, width - 1), max(left, right, left + 1)
    chin = min(max(round(face.chin[1]), 1), height)
    start = min(max(round(face.forehead[1]), 0), chin - 1)
    highest = max(0, math.floor(start - _HIGHEST * face.height))
    thick = (alpha[highest:start, left:right] >= 0.5).sum(axis=1) >= max(
        1.0, _HAIR_SHARE * (right - left)
    )
    crown, gap = start, 0
    for row in range(start - 1, highest - 1, -1):
        if thick[row - highest]:
            crown, gap = row, 0
            continue
        gap += 1
        if gap > _GAP_SHARE * face.height:
            break
    return Box(left, crown, right, chin)


def fit_notes(alpha: Alpha, move: Move, canvas: Canvas) -> tuple[str, ...]:
    """What is missing on ``canvas`` after ``move`` of a cutout with matte ``alpha`` (H, W)."""
    box = subject_box(alpha)
    if box is None:
        return ()
    gap = canvas.height - (box.bottom * move.scale + move.top)
    if gap < 1:
        return ()
    share = gap / canvas.height
    return (f"short_body: the picture ends {share:.0%} of the canvas above its lower edge",)


def turned(foreground: Rgb, alpha: Alpha, angle_deg: float, centre: Point) -> tuple[Rgb, Alpha]:
    """The cutout turned counter-clockwise by ``angle_deg`` about ``centre``, at the same size.

    Colours are weighed by ``alpha``, so that nothing hidden bleeds in; they are 0 where nothing
    shows.
    """
    height, width = alpha.shape
    matrix = cv2.getRotationMatrix2D(centre, angle_deg, 1.0)

    def warped(plane: Any) -> Any:
        return cv2.warpAffine(plane, matrix, (width, height), flags=cv2.INTER_CUBIC)

    weight = warped(alpha)
    colours = np.zeros_like(foreground)
    full = full_scale(foreground)
    for channel in range(3):  # one at a time: floats of a whole picture are large
        plane: Any = np.ascontiguousarray(foreground[..., channel])
        shown = warped(cv2.multiply(plane, alpha, dtype=cv2.CV_32F))
        for top in range(0, height, _STRIP_ROWS):
            rows = slice(top, top + _STRIP_ROWS)
            colour = np.rint(shown[rows] / np.maximum(weight[rows], 1e-6))
            colour[weight[rows] < 1e-6] = 0
            colours[rows, :, channel] = np.clip(colour, 0, full, out=colour)
    return colours, np.clip(weight, 0, 1, out=weight)


def _cut_sides(head: Box, face: Face, width: int) -> list[str]:
    """Where the head reaches the edges of a picture that is ``width`` pixels wide."""
    near = _CUT_SHARE * face.height
    cheeks = (face.left_cheek[0], face.right_cheek[0])
    ends = {
        "above": head.top <= near,
        "on the left": min(cheeks) <= near,
        "on the right": max(cheeks) >= width - near,
    }
    return [side for side, cut in ends.items() if cut]


def _is_kept(face: Face, alpha: Alpha) -> bool:
    """Whether most of what makes a face is in the matte."""
    height, width = alpha.shape
    inside = 0.0
    points = (face.left_eye, face.right_eye, face.nose, face.mouth)
    for x, y in points:
        if 0 <= x < width and 0 <= y < height:
            inside += float(alpha[int(y), int(x)])
    return inside >= 0.5 * len(points)


def _turned_face(face: Face, angle_deg: float) -> Face:
    """``face`` after ``turned`` by the same angle about its own centre."""
    matrix = cv2.getRotationMatrix2D(face.centre, angle_deg, 1.0)

    def there(point: Point) -> Point:
        x, y = matrix @ np.array([*point, 1.0])
        return float(x), float(y)

    return face.moved(there)
