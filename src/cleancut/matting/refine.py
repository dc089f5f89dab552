"""A net's matte made finer than the net could see: matting in the band of pixels it doubts.

The band is solved in a small picture (closed-form matting, held at the net's matte where the net is
sure) and carried to full size by local colour models. What a net is unsure of, it shows by alphas
between 0 and 1, so the band is as wide as its doubt.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

from cleancut.arrays import check_alpha, check_rgb, full_scale
from cleancut.errors import BadArray, BadOption
from cleancut.imaging.resize import fit, upsample_alpha
from cleancut.matting import closed_form
from cleancut.matting.place import Work
from cleancut.matting.trimap import SURE, UNKNOWN, from_doubt, from_thresholds
from cleancut.matting.upsample import Layer, colour_model, paint, paint_over

if TYPE_CHECKING:
    from cleancut.arrays import Alpha, Rgb, Tensor

    Part = tuple[slice, slice]

Level = Literal["off", "fast", "best"]


@dataclass(frozen=True, slots=True)
class _Pass:
    """One solve: in a picture of ``work_px`` pixels, with a band of ``reach`` pixels around doubt.

    ``weight`` is the pull to the matte before it where that is sure. ``tolerance`` is a matter of
    accuracy as much as of time: of a matte that is mostly doubt the last steps towards the exact
    solution lose more than they gain.
    """

    work_px: int
    reach: int
    weight: float
    epsilon: float = 1e-6
    tolerance: float = 6e-3
    max_iterations: int = 150


#: By level and by whether the net's soft alphas are meant (True) or are doubt (False). A doubtful
#: matte is first solved small, where the certain pixels reach across wide doubt in few steps.
_PASSES: dict[tuple[str, bool], tuple[_Pass, ...]] = {
    ("fast", False): (_Pass(100_000, reach=1, weight=0.01),),
    ("fast", True): (_Pass(150_000, reach=1, weight=0.05, epsilon=1e-7, tolerance=2e-3),),
    ("best", False): (
        _Pass(100_000, reach=1, weight=0.005),
        _Pass(250_000, reach=2, weight=0.1, epsilon=1e-7),
    ),
    ("best", True): (_Pass(400_000, reach=1, weight=0.1, epsilon=1e-7, tolerance=2e-3),),
}
#: The subject is cut out with at least this much around it before it is solved.
_SURROUNDINGS_PX = 16
#: The pull fades with doubt: (2 a - 1) to this power, and never below this share of it.
_POWER = 8
_FLOOR = np.float32(0.02)
#: Closed-form matting leaves this much haze on both sides of an edge.
_STRETCH = 0.03

#: A user's trimap is solved in a picture of this many pixels with ``fast``.
_TRIMAP_PX = 250_000
#: Pull to a guess within a user's trimap, where the guess is sure.
_TRIMAP_WEIGHT = 0.003
_GAVE_UP = "refine_gave_up: the edge could not be solved; the model's matte is used as it is"
_NOTHING_SURE = (
    "refine_gave_up: the model is sure of no part of the subject; its matte is used as it is"
)


@dataclass(frozen=True, slots=True, eq=False)
class Refined:
    """``alpha`` (H, W) at the picture's size; ``notes`` are "code: explanation" lines."""

    alpha: Alpha
    notes: tuple[str, ...] = ()


def refine(
    rgb: Rgb,
    small: Alpha,
    *,
    level: Level,
    unsure: Alpha | None = None,
    sharp: bool = False,
) -> Refined:
    """The matte of ``rgb`` (H, W, 3) at full size, from a net's matte ``small`` (h, w).

    ``off`` is cubic interpolation; ``fast`` and ``best`` find the edge in the picture itself.
    ``unsure`` (any size, 0..1) widens the band where something else speaks against the net.
    ``sharp`` says that the net's soft alphas are meant (a matting net), not doubt. Raises
    ``BadArray`` and ``BadOption``.
    """
    check_rgb(rgb)
    check_alpha(small, "matte")
    height, width = rgb.shape[:2]
    if level != "off" and (level, sharp) not in _PASSES:
        raise BadOption(f"refine: {level!r} is not a choice", hint="one of: off, fast, best")
    box = None
    if level != "off":
        if unsure is not None:
            unsure = upsample_alpha(check_alpha(unsure, "unsure"), *small.shape)
        box = _subject(small, unsure, height, width)
    if box is None:
        return Refined(upsample_alpha(small, height, width))
    layer, note = _solve(rgb, small, box, unsure, _PASSES[level, sharp])
    if layer is None:
        return Refined(upsample_alpha(small, height, width), (note,) if note else ())
    alpha = upsample_alpha(_without_haze(small), height, width)
    paint_over(alpha, rgb, layer)
    return Refined(alpha)


def _subject(alpha: Alpha, unsure: Alpha | None, height: int, width: int) -> Part | None:
    """Where in the picture there may be subject, with some of its surroundings; None: nowhere.

    Both planes are small, the answer is in pixels of the picture.
    """
    there = alpha >= SURE
    if unsure is not None:
        there |= unsure >= SURE
    if not there.any():
        return None
    spans = []
    for axis, size in ((0, height), (1, width)):
        seen = np.flatnonzero(there.any(axis=1 - axis))
        step = size / alpha.shape[axis]
        # Cubic interpolation carries a little of it one pixel further.
        spans.append((math.floor((seen[0] - 1) * step), math.ceil((seen[-1] + 2) * step)))
    more = _SURROUNDINGS_PX + max(stop - start for start, stop in spans) // 16
    rows, columns = (
        slice(max(start - more, 0), min(stop + more, size))
        for (start, stop), size in zip(spans, (height, width), strict=True)
    )
    return rows, columns


def _without_haze(alpha: Alpha) -> Alpha:
    """``alpha`` stretched as the band is, so that no ring of a network's haze stays around it."""
    clear = alpha * np.float32(1 / (1 - 2 * _STRETCH))
    clear -= np.float32(_STRETCH / (1 - 2 * _STRETCH))
    return np.clip(clear, 0, 1, out=clear)


def _solve(
    rgb: Rgb, small: Alpha, box: Part, unsure: Alpha | None, passes: tuple[_Pass, ...]
) -> tuple[Layer | None, str]:
    """Solve what lies in ``box`` in several passes; what is to be painted, and what went wrong.

    None where there is no band to solve, or it could not be.
    """
    layer: Layer | None = None
    for step in passes:
        work = Work.at(step.work_px, box, rgb.shape)
        guide = _shrunk(rgb[work.box], *work.shape)
        matte, doubt = work.look(small), None
        if layer is not None:
            matte = paint(matte, guide, layer, work.place)
        elif unsure is not None:
            doubt = work.look(unsure)
        trimap = from_doubt(matte, doubt=doubt, reach=step.reach)
        band = trimap == UNKNOWN
        if not band.any():
            continue
        if not (trimap == 1).any():
            return None, _NOTHING_SURE
        found = closed_form.solve(
            guide,
            trimap,
            guess=matte,
            weight=_pull(matte, doubt, step.weight),
            epsilon=step.epsilon,
            tolerance=step.tolerance,
            max_iterations=step.max_iterations,
            stretch=_STRETCH,
        )
        if not found.converged:
            return None, _GAVE_UP
        share: Tensor = cv2.dilate(band.astype(np.float32), np.ones((3, 3), np.uint8))
        if layer is not None:
            share = np.maximum(share, np.ceil(layer.share_at(work.shape, work.place)))
        layer = Layer(colour_model(guide, found.alpha), share, work.place)
    return layer, ""


def _pull(matte: Alpha, doubt: Alpha | None, most: float) -> Alpha:
    """How strongly each pixel is held at the matte: by how sure the net is."""
    weight: Alpha = cv2.pow(np.abs(2 * matte - 1), _POWER) * (1 - _FLOOR) + _FLOOR
    if doubt is not None:
        weight = weight * (1 - doubt)
    pull: Alpha = np.clip(weight * np.float32(most), 0, 1)
    return pull


def refine_trimap(rgb: Rgb, trimap: Alpha, *, level: Level, guess: Alpha | None = None) -> Refined:
    """The matte of ``rgb`` (H, W, 3) that keeps to a user's ``trimap`` (H, W).

    What is 0 or 1 in it stays exactly that; anything between is unknown and is solved, at full size
    with ``best``, in a shrunk picture with ``fast``; ``off`` takes ``guess`` (H, W, a net's matte)
    as it is. ``guess`` also holds the unknown pixels where it is sure. Raises ``BadArray`` for bad
    arrays and for a trimap that knows nothing while there is no guess.
    """
    check_rgb(rgb)
    for name, plane in (("trimap", trimap), ("guess", guess)):
        if plane is not None and check_alpha(plane, name).shape != rgb.shape[:2]:
            raise BadArray(
                f"picture {rgb.shape[1]}x{rgb.shape[0]} and {name}"
                f" {plane.shape[1]}x{plane.shape[0]} differ in size",
                hint=f"make the {name} as large as the picture",
            )
    if level not in ("off", "fast", "best"):
        raise BadOption(f"refine: {level!r} is not a choice", hint="one of: off, fast, best")
    unknown = (trimap > 0) & (trimap < 1)
    plain = np.where(unknown, UNKNOWN if guess is None else guess, trimap).astype(np.float32)
    if guess is None and unknown.all():
        raise BadArray(
            "trimap: every pixel is unknown",
            hint="mark some subject white and some background black",
        )
    if level == "off" or not unknown.any():
        return Refined(plain)
    notes: tuple[str, ...] = ()
    if not ((trimap == 1).any() and (trimap == 0).any()):
        notes = ("trimap_one_sided: it marks no subject, or no background; mark some of both",)
    rows, columns = trimap.shape
    if level == "fast":
        rows, columns = _work_size(rows, columns, _TRIMAP_PX)
    small, known, start = _shrunk(rgb, rows, columns), trimap, plain
    if known.shape != (rows, columns):
        known, start = (upsample_alpha(plane, rows, columns) for plane in (trimap, plain))
        known[known > 1 - 1e-6] = 1  # the mean of ones may miss 1 by rounding
    weight = None if guess is None else _pull(start, None, _TRIMAP_WEIGHT)
    found = closed_form.solve(small, known, guess=start, weight=weight)
    if not found.converged:
        return Refined(plain, (*notes, _GAVE_UP))
    alpha = found.alpha
    if alpha.shape != trimap.shape:
        alpha = np.where(
            unknown, paint(plain, rgb, Layer.over_all(colour_model(small, alpha))), trimap
        )
    return Refined(alpha, notes)


def refine_levels(
    rgb: Rgb, alpha: Alpha, *, foreground: int = 240, background: int = 10, erode: int = 10
) -> Alpha:
    """``alpha`` (H, W) solved again from the colours, where two 8-bit levels call it unknown.

    The trimap is that of rembg's ``alpha_matting``, see ``trimap.from_thresholds``. Where there is
    nothing to solve from (no sure subject or no sure background), or the solver does not arrive,
    the matte stays.
    """
    trimap = from_thresholds(alpha, foreground=foreground, background=background, erode=erode)
    if not ((trimap == 0).any() and (trimap == 1).any()):
        return alpha
    solved = closed_form.solve(rgb, trimap, guess=alpha, tolerance=1e-3, stretch=0)
    return solved.alpha


def _work_size(height: int, width: int, pixels: int) -> tuple[int, int]:
    scale = min(1.0, math.sqrt(pixels / (height * width)))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _shrunk(rgb: Rgb, rows: int, columns: int) -> Tensor:
    """The picture at the size it is solved at, float32 in 0..1."""
    small = fit(rgb, rows, columns, spare=1.5)
    return np.multiply(small, np.float32(1 / full_scale(rgb)), dtype=np.float32)
