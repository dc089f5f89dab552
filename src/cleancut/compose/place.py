"""Putting the subject somewhere else in the frame, larger or smaller than it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from cleancut.compose.crop import Box, crop

if TYPE_CHECKING:
    from cleancut.arrays import Alpha, Rgb
    from cleancut.options import Placing

#: Below this alpha a colour is not told from noise: what is stored at 16 bits is more.
_FAINTEST = 1e-6
#: What a filter reads around a pixel, in pixels of what it reads from.
_REACH = 3
#: Subjects that are enlarged so much that they would have fewer pixels than this in the frame.
_TINY_PX = 16
_STRIP_ROWS = 256


@dataclass(frozen=True, slots=True)
class Move:
    """What is at ``x`` in the picture goes to ``scale * x + left`` in the frame; rows likewise."""

    scale: float
    left: float
    top: float


def place(
    foreground: Rgb, alpha: Alpha, box: Box, frame: Box, placing: Placing, *, hidden: bool = False
) -> tuple[Rgb, Alpha]:
    """The cutout within ``frame``, its subject moved and resized as ``placing`` says.

    ``foreground`` is (H, W, 3) uint8 or uint16, ``alpha`` (H, W) float32 in 0..1, straight. ``box``
    is the subject's and ``frame`` what is kept, both in the picture's pixels. All of the cutout
    goes with the subject, however faint and far from it, as far as the frame reaches. Resampling
    weighs colours by alpha, so that nothing hidden bleeds in; a move alone is one of whole pixels
    and changes none. With ``hidden`` the colours of transparent pixels come along, else they are 0.
    """
    return moved(foreground, alpha, move_to(box, frame, placing), frame, hidden=hidden)


def moved(
    foreground: Rgb, alpha: Alpha, move: Move, frame: Box, *, hidden: bool = False
) -> tuple[Rgb, Alpha]:
    """The cutout after ``move``, as far as a frame of this width and height shows it.

    Arguments and resampling as in ``place``.
    """
    if move.scale == 1.0:
        left, top = round(move.left), round(move.top)
        seen = Box(-left, -top, frame.width - left, frame.height - top)
        return crop(foreground, seen), crop(alpha, seen)
    rows, above = _part(frame.height, alpha.shape[0], move.scale, move.top)
    columns, before = _part(frame.width, alpha.shape[1], move.scale, move.left)
    move = Move(move.scale, before, above)
    share = np.ascontiguousarray(alpha[rows, columns])
    weight, corner = _resized(share, move, frame)
    colours = np.empty((*weight.shape, 3), foreground.dtype)
    for channel in range(3):  # one at a time: floats of a whole picture are large
        plane: Any = np.ascontiguousarray(foreground[rows, columns, channel])
        shown, _ = _resized(cv2.multiply(plane, share, dtype=cv2.CV_32F), move, frame)
        behind = _resized(plane, move, frame)[0] if hidden else None
        _divide(shown, weight, behind, colours[..., channel])
        del shown
    seen = Box(-corner[0], -corner[1], frame.width - corner[0], frame.height - corner[1])
    matte = crop(weight, seen)
    return crop(colours, seen), np.clip(matte, 0, 1, out=matte)


def move_to(box: Box, frame: Box, placing: Placing) -> Move:
    """The move that ``placing`` means; ``box`` and ``frame`` in the picture's pixels."""
    scale = 1.0
    if placing.scale is not None:
        scale = placing.scale * min(frame.width / box.width, frame.height / box.height)
    return Move(
        scale,
        start_of(frame.width, box.left - frame.left, box.width, scale, placing.x)
        - box.left * scale,
        start_of(frame.height, box.top - frame.top, box.height, scale, placing.y) - box.top * scale,
    )


def start_of(room: int, start: float, size: float, scale: float, share: float | None) -> float:
    """Where ``size`` pixels begin that began at ``start`` of ``room``; seldom a whole number."""
    free = room - size * scale
    if share is not None:
        return share * free
    return min(max(0.0, start + size / 2 - size * scale / 2), max(0.0, free))


def _part(room: int, side: int, scale: float, start: float) -> tuple[slice, float]:
    """The pixels of a ``side`` that are needed to fill ``room``, and where the first one goes."""
    first = max(0, math.floor(-start / scale) - _REACH)
    last = min(side, math.ceil((room - start) / scale) + _REACH)
    return slice(first, last), start + first * scale


def _resized(plane: Any, move: Move, frame: Box) -> tuple[Any, tuple[int, int]]:
    """(H, W) of any type at its new size, and where in the frame its corner goes (left, top)."""
    if move.scale * _TINY_PX > min(frame.height, frame.width):
        # Enlarged as a whole it would be many times the frame.
        shift = (move.scale - 1) / 2
        matrix = np.array(
            [[move.scale, 0, move.left + shift], [0, move.scale, move.top + shift]], np.float64
        )
        size = (frame.width, frame.height)
        return cv2.warpAffine(plane, matrix, size, flags=cv2.INTER_CUBIC), (0, 0)
    how = cv2.INTER_AREA if move.scale < 1 else cv2.INTER_CUBIC
    if round(min(plane.shape) * move.scale) < 1:  # less than a pixel is one all the same
        height, width = (max(1, round(side * move.scale)) for side in plane.shape)
        resized = cv2.resize(plane, (width, height), interpolation=how)
    else:
        resized = cv2.resize(plane, None, fx=move.scale, fy=move.scale, interpolation=how)
    return resized, (round(move.left), round(move.top))


def _divide(shown: Any, weight: Any, behind: Any, out: Any) -> None:
    """Colours from what was weighted by alpha, as integers into ``out``; all (H, W).

    Where nothing shows they are those of ``behind``, or 0.
    """
    full = np.iinfo(out.dtype).max
    for y in range(0, out.shape[0], _STRIP_ROWS):
        rows = slice(y, y + _STRIP_ROWS)
        colour = np.rint(shown[rows] / np.maximum(weight[rows], _FAINTEST))
        nothing = weight[rows] < _FAINTEST
        colour[nothing] = 0 if behind is None else behind[rows][nothing]
        out[rows] = np.clip(colour, 0, full, out=colour)
