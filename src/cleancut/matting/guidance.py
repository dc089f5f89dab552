"""What the user said, as arrays of the picture's size, and a matte that respects it.

``marks_of`` reads and checks, ``guide`` corrects a matte by clicks and scribbles, ``enforce`` is
the last word before a matte leaves: definite pixels are exactly 0 or 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cleancut.errors import BadOption
from cleancut.guidance import box_in, points_in
from cleancut.matting.guide_pictures import check_size, marks_in, matte_in, strokes_in, trimap_in
from cleancut.matting.scribbles import follow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from cleancut.arrays import Alpha, Rgb
    from cleancut.guidance import Guidance, Span
    from cleancut.imaging.picture import Picture

    Mask = NDArray[np.bool_]

#: A click is a disc of this radius, as a share of the picture's longer side.
CLICK_SHARE = 0.0015


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Marks:
    """Guidance as arrays (H, W).

    ``keep`` and ``remove`` are True under points and scribbles, and share no pixel. ``trimap``
    holds 0, 0.5 (unknown) and 1; ``mask`` is a first matte, ``matte`` a finished one. With a
    ``matte`` marks change what they cover and nothing else, but for those of ``clicks``, the points
    to keep and to remove, and ``again`` is True where the matte is to be solved anew. ``box`` and
    ``roi`` are (left, top, right, bottom) in pixels, inside the picture.
    """

    keep: Mask
    remove: Mask
    trimap: Alpha | None = None
    mask: Alpha | None = None
    matte: Alpha | None = None
    clicks: tuple[Mask, Mask] | None = None
    again: Mask | None = None
    box: Span | None = None
    roi: Span | None = None

    @property
    def drawn(self) -> bool:
        """Whether there is a point to keep or to remove, or a scribble that says so."""
        return bool(self.keep.any() or self.remove.any())

    @property
    def given(self) -> bool:
        """Whether the user brings what a network would say: trimap, mask or matte."""
        return not (self.trimap is None and self.mask is None and self.matte is None)

    @property
    def window(self) -> Span | None:
        """Where the subject may be: ``box`` and ``roi`` together; None for everywhere."""
        if self.box is None or self.roi is None:
            return self.box or self.roi
        (a, b, c, d), (e, f, g, h) = self.box, self.roi
        return max(a, e), max(b, f), min(c, g), min(d, h)


def marks_of(
    guidance: Guidance,
    height: int,
    width: int,
    *,
    trimap: Picture | None = None,
    mask: Picture | None = None,
    matte: Picture | None = None,
    scribbles: Picture | None = None,
    seen: Alpha | None = None,
) -> Marks:
    """``guidance`` for a picture of ``height`` x ``width``; its pictures come decoded.

    ``seen`` (H, W) is the picture's own transparency: what it lacks cannot be kept.

    Raises ``BadArray`` for a picture of another size, a coloured or unusable trimap and scribbles
    without a mark, ``BadOption`` for points and boxes outside the picture and for marks that
    contradict each other.
    """
    given = {"trimap": trimap, "mask": mask, "matte": matte, "scribbles": scribbles}
    for name, picture in given.items():
        if picture is not None:
            check_size(picture, name, height, width)
    nothing = np.zeros((height, width), np.bool_)
    keep, remove, again = nothing, nothing, None
    if scribbles is not None and matte is not None:
        keep, remove, again = strokes_in(scribbles)
    elif scribbles is not None:
        keep, remove = marks_in(scribbles)
    keep, remove = _clicked(keep, remove, guidance)
    if again is not None:
        again &= ~(keep | remove)
    marks = Marks(
        keep=keep,
        remove=remove,
        trimap=None if trimap is None else trimap_in(trimap),
        mask=None if mask is None else matte_in(mask, "mask"),
        matte=None if matte is None else matte_in(matte, "matte"),
        clicks=None if matte is None else _clicked(nothing, nothing, guidance),
        again=again if again is not None and again.any() else None,
        box=box_in(guidance.keep_box, "keep_box", height, width),
        roi=box_in(guidance.roi, "roi", height, width),
    )
    _refuse_contradictions(marks)
    if seen is not None:
        _refuse_unseen(marks, guidance, seen)
    return marks


def guide(rgb: Rgb, alpha: Alpha, marks: Marks) -> Alpha:
    """``alpha`` (H, W) corrected by points and scribbles: what they lie on changes as a whole.

    With a finished matte only points do that. Where no mark reaches it is ``alpha`` to the bit;
    pixels under marks are exactly 0 or 1. Without marks, a copy. Raises ``BadArray``.
    """
    guided = follow(rgb, alpha, *(marks.clicks or (marks.keep, marks.remove)))
    guided[marks.keep] = 1
    guided[marks.remove] = 0
    return guided


def enforce(alpha: Alpha, marks: Marks) -> Alpha:
    """``alpha`` with definite pixels exactly 0 or 1, and exactly 0 outside ``box`` and ``roi``.

    The trimap comes first, then points and scribbles, then the boxes.
    """
    fixed = alpha.copy()
    if marks.trimap is not None:
        fixed[marks.trimap == 1] = 1
        fixed[marks.trimap == 0] = 0
    fixed[marks.keep] = 1
    fixed[marks.remove] = 0
    if marks.window is not None:
        left, top, right, bottom = marks.window
        inside = fixed[top:bottom, left:right].copy()
        fixed[:] = 0
        fixed[top:bottom, left:right] = inside
    return fixed


def crop_for(span: Span, height: int, width: int, margin: float = 0.5) -> Span:
    """The part (left, top, right, bottom) that a network should see for a subject in ``span``.

    ``margin`` is the context on each side, as a share of the span's longer side; with less of it
    networks lose the subject (docs/guidance.md). A crop that would leave out less than a tenth of
    the picture is the whole picture.
    """
    left, top, right, bottom = span
    grow = round(margin * max(right - left, bottom - top))
    wide = (
        max(left - grow, 0),
        max(top - grow, 0),
        min(right + grow, width),
        min(bottom + grow, height),
    )
    if (wide[2] - wide[0]) * (wide[3] - wide[1]) >= 0.9 * width * height:
        return 0, 0, width, height
    return wide


def _clicked(keep: Mask, remove: Mask, guidance: Guidance) -> tuple[Mask, Mask]:
    """``keep`` and ``remove`` with the points as small discs."""
    height, width = keep.shape
    radius = round(CLICK_SHARE * max(height, width))
    points = {
        name: points_in(getattr(guidance, name), name, height, width)
        for name in ("keep_points", "remove_points")
    }
    for name, others in (("keep_points", remove), ("remove_points", keep)):
        for x, y in points[name]:
            if others[y, x]:
                raise _contradiction(f"the point {x},{y} lies on a scribble that says the opposite")
    if both := set(points["keep_points"]) & set(points["remove_points"]):
        x, y = min(both)
        raise _contradiction(f"the point {x},{y} is both to keep and to remove")
    (keep_spots, keep_discs), (remove_spots, remove_discs) = (
        (_discs(points[name], 0, keep.shape), _discs(points[name], radius, keep.shape))
        for name in ("keep_points", "remove_points")
    )
    # Discs of clicks that lie close together give way; the clicked pixels themselves never do.
    return (
        keep | keep_spots | (keep_discs & ~remove & ~remove_discs),
        remove | remove_spots | (remove_discs & ~keep & ~keep_discs),
    )


def _discs(points: Iterable[tuple[int, int]], radius: int, shape: tuple[int, ...]) -> Mask:
    """(H, W) discs of ``radius`` pixels around ``points`` (x, y)."""
    sheet = np.zeros(shape, np.bool_)
    for x, y in points:
        top, left = max(y - radius, 0), max(x - radius, 0)
        window = sheet[top : y + radius + 1, left : x + radius + 1]
        rows = np.arange(top, top + window.shape[0])[:, None] - y
        columns = np.arange(left, left + window.shape[1])[None] - x
        window |= rows**2 + columns**2 <= radius**2
    return sheet


def _refuse_contradictions(marks: Marks) -> None:
    if marks.trimap is not None:
        for sheet, level, word in ((marks.keep, 0, "keep"), (marks.remove, 1, "remove")):
            clash = sheet & (marks.trimap == level)
            if clash.any():
                raise _contradiction(
                    f"{int(clash.sum())} pixels are marked to {word} where the trimap is "
                    f"{'black' if level == 0 else 'white'}, first at {_first(clash)}"
                )
    window = marks.window
    if window is None:
        return
    left, top, right, bottom = window
    if left >= right or top >= bottom:
        raise _contradiction("--keep-box and --roi share no pixel")
    if marks.keep.sum() > marks.keep[top:bottom, left:right].sum():
        outside = marks.keep.copy()
        outside[top:bottom, left:right] = False
        raise _contradiction(
            f"a mark to keep, at {_first(outside)}, lies outside --keep-box or --roi "
            f"({left},{top},{right},{bottom})"
        )


def _refuse_unseen(marks: Marks, guidance: Guidance, seen: Alpha) -> None:
    """Clicks on transparent pixels, and marks to keep that touch nothing else."""
    lacking = [
        f"{x},{y}"
        for x, y in points_in(guidance.keep_points, "keep_points", *seen.shape)
        if seen[y, x] == 0
    ]
    if marks.keep.any() and not seen[marks.keep].any():
        lacking.append(_first(marks.keep))
    if lacking:
        raise BadOption(
            f"a mark to keep, at {lacking[0]}, lies where the picture is transparent",
            hint="take the mark away, or start from the picture before it was cut out",
        )


def _first(mask: Mask) -> str:
    y, x = np.unravel_index(int(mask.argmax()), mask.shape)
    return f"{x},{y}"


def _contradiction(message: str) -> BadOption:
    return BadOption(message, hint="take one of the two marks away")
