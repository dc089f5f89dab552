"""Fitting a cutout, its subject or a head into an output of exact size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cleancut.compose.place import Move, start_of

if TYPE_CHECKING:
    from cleancut.arrays import Alpha
    from cleancut.compose.crop import Box
    from cleancut.options import Canvas, Head, Placing

#: Share of the room that a head leaves which comes above it, unless it is said how much.
_ABOVE = 0.4
#: A subject that takes more than this share of a picture's side goes on beyond it.
_CUT_SHARE = 0.01


def fit(frame: Box, canvas: Canvas) -> Move:
    """The move that makes all of ``frame`` as large as ``canvas`` takes, in its middle.

    Where the two have the same shape but for a pixel, the canvas is filled: no line is left open.
    """
    shares = (canvas.width / frame.width, canvas.height / frame.height)
    small, large = min(shares), max(shares)
    over = max(frame.width * large - canvas.width, frame.height * large - canvas.height)
    scale = large if over < 1 else small
    return Move(
        scale,
        (canvas.width - frame.width * scale) / 2 - frame.left * scale,
        (canvas.height - frame.height * scale) / 2 - frame.top * scale,
    )


def fit_subject(box: Box, frame: Box, canvas: Canvas, placing: Placing) -> Move:
    """The move that ``placing`` means on ``canvas`` for the subject in ``box``.

    Without a scale of its own the subject is as large as ``fit`` makes it; without a place it stays
    where ``fit`` puts it, as far as it then fits.
    """
    whole = fit(frame, canvas)
    scale = whole.scale
    if placing.scale is not None:
        scale = placing.scale * min(canvas.width / box.width, canvas.height / box.height)
    more = scale / whole.scale
    left, top = (box.left * whole.scale + whole.left, box.top * whole.scale + whole.top)
    wide, tall = (box.width * whole.scale, box.height * whole.scale)
    return Move(
        scale,
        start_of(canvas.width, left, wide, more, placing.x) - box.left * scale,
        start_of(canvas.height, top, tall, more, placing.y) - box.top * scale,
    )


def head_move(head: Box, canvas: Canvas, wanted: Head) -> Move:
    """The move that makes ``head`` as high as ``wanted`` says, in the middle of ``canvas``.

    ``head`` reaches from the crown to the chin, in the picture's pixels; its middle column is the
    head's.
    """
    scale = wanted.share * canvas.height / head.height
    above = (1 - wanted.share) * _ABOVE if wanted.top is None else wanted.top
    return Move(
        scale,
        canvas.width / 2 - (head.left + head.right) / 2 * scale,
        above * canvas.height - head.top * scale,
    )


def cut_sides(alpha: Alpha, move: Move, canvas: Canvas) -> tuple[str, ...]:
    """Where the picture of matte ``alpha`` (H, W) ends in the subject, to be seen on ``canvas``.

    "left", "top", "right", "bottom": a straight edge that lies within the canvas.
    """
    height, width = alpha.shape
    left, top = move.left, move.top
    right, bottom = width * move.scale + left, height * move.scale + top
    sides = {
        "left": (alpha[:, 0], left >= 1),
        "top": (alpha[0], top >= 1),
        "right": (alpha[:, -1], right <= canvas.width - 1),
        "bottom": (alpha[-1], bottom <= canvas.height - 1),
    }
    return tuple(
        side
        for side, (edge, within) in sides.items()
        if within and np.count_nonzero(edge >= 0.5) > _CUT_SHARE * edge.size
    )
