"""Where the subject is: from a picture to its matte at full size, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from cleancut.arrays import full_scale
from cleancut.compose.background import over, solid_colour
from cleancut.imaging.color import to_srgb
from cleancut.imaging.resize import glimpse, shrink_to, upsample_alpha
from cleancut.matting.confidence import Confidence, judge_matte
from cleancut.matting.fusion import UNSURE, agreement, resized, softness
from cleancut.matting.graphic import NOTABLY_OPEN, open_share, unmix_graphic
from cleancut.matting.guidance import crop_for, enforce, guide
from cleancut.matting.light import brightened, hard_light
from cleancut.matting.refine import refine, refine_trimap
from cleancut.matting.retouch import solve_again
from cleancut.matting.transparency import LOOK_PX, NOTABLE, semi_transparent_share
from cleancut.panel import judge

if TYPE_CHECKING:
    from cleancut.arrays import Alpha, Rgb
    from cleancut.backends.base import Placement
    from cleancut.guidance import Span
    from cleancut.imaging.picture import Picture
    from cleancut.matting.graphic import Graphic
    from cleancut.matting.guidance import Marks
    from cleancut.options import Options, RefineChoice
    from cleancut.panel import Panel, Verdict

#: With at least this share of fully transparent pixels a picture is a cutout already.
CUT_SHARE = 0.10
#: Colour conversion for the model's view happens at no more than this size.
VIEW_SIDE_PX = 2048


_UNDECIDED = "refine_skipped: the networks are undecided, and no edge can be found in doubt"

Mark: TypeAlias = Callable[[str], None]
#: Rows and columns of a picture.
Part: TypeAlias = tuple[slice, slice]


def unmarked(stage: str) -> None:
    """The default of ``mark``: nobody is timing."""


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """What was found in a picture.

    ``alpha`` is (H, W) float32 in 0..1, without the picture's own transparency. ``foreground``
    holds straight colours where they are known without estimating. ``models`` are the ids of the
    networks that were asked, the one that was believed first. ``confidence`` is None where the
    user's own word was taken.
    """

    alpha: Alpha
    foreground: Rgb | None = None
    models: tuple[str, ...] = ()
    placement: Placement | None = None
    notes: tuple[str, ...] = ()
    confidence: Confidence | None = None


def find_subject(
    picture: Picture,
    panel: Panel,
    options: Options,
    *,
    marks: Marks | None = None,
    mark: Mark = unmarked,
) -> Subject:
    """The matte of ``picture``, from whoever knows it best: the user, the picture, the networks.

    ``marks`` is what the user said; where it is definite it is respected to the pixel. ``mark`` is
    called with a stage's name when it is done, for timing.
    """
    if marks is not None and marks.trimap is not None:
        found = _from_trimap(picture, marks.trimap, options)
    elif marks is not None and marks.mask is not None:
        found = _from_mask(picture, marks.mask, options)
    elif marks is not None and marks.matte is not None:
        found = Subject(_within(picture, marks.matte), models=("matte",))
    elif is_cut_out(picture) and not options.recut:
        note = "already_cut: the picture has a transparent background; --recut runs the model"
        found = Subject(np.ones_like(picture.alpha), picture.rgb, notes=(note,))
    else:
        found = _looked_at(picture, panel, options, marks, mark)
    if marks is None:
        return found
    alpha = guide(picture.rgb, found.alpha, marks) if marks.drawn else found.alpha
    notes = found.notes
    if marks.again is not None:
        solved = solve_again(picture.rgb, alpha, marks.again, core=marks.keep | marks.remove)
        alpha, notes = solved.alpha, (*notes, *solved.notes)
    mark("guide")
    return replace(found, alpha=enforce(alpha, marks), foreground=None, notes=notes)


def _from_trimap(picture: Picture, trimap: Alpha, options: Options) -> Subject:
    solved = refine_trimap(picture.rgb, trimap, level=options.refine)
    return Subject(solved.alpha, models=("trimap",), notes=solved.notes)


def _from_mask(picture: Picture, mask: Alpha, options: Options) -> Subject:
    refined = refine(picture.rgb, mask, level=options.refine, sharp=True)
    return Subject(refined.alpha, models=("mask",), notes=refined.notes)


def _within(picture: Picture, matte: Alpha) -> Alpha:
    """A finished ``matte`` (H, W) by the picture's own transparency, which it may not exceed.

    So a result's alpha, handed in as the matte of its picture, comes out again as it is.
    """
    if picture.alpha is None:
        return matte
    share = np.divide(matte, picture.alpha, out=np.ones_like(matte), where=picture.alpha > matte)
    return np.minimum(share, np.float32(1))


def _looked_at(
    picture: Picture, panel: Panel, options: Options, marks: Marks | None, mark: Mark
) -> Subject:
    """What the picture itself or the networks say, within the window that the user gave."""
    view = model_view(picture)
    if options.model == "auto" and marks is None and picture.alpha is None:
        graphic = unmix_graphic(view)
        mark("graphic")
        if graphic is not None:
            found = _drawn(picture, graphic, exact=view is picture.rgb)
            return found if options.fill_holes else replace(found, notes=_open_outline(graphic))
    lifted = brightened(view)
    shown = view if lifted is None else lifted
    ask = partial(judge, panel=panel, thorough=options.refine == "best", minmax=options.minmax)
    verdict, part = ask(shown), (slice(None), slice(None))
    if marks is not None and marks.window is not None:
        verdict, part = _closer_look(picture, shown, verdict, marks.window, ask)
    mark("model")
    doubt = softness(verdict.alpha)
    level: RefineChoice = options.refine if doubt <= UNSURE else "off"
    notes = () if level == options.refine or verdict.alpha.max() < 0.5 else (_UNDECIDED,)
    refined = refine(picture.rgb[part], verdict.alpha, level=level, sharp=verdict.matting)
    alpha = refined.alpha
    if alpha.shape != picture.rgb.shape[:2]:
        alpha = np.zeros(picture.rgb.shape[:2], np.float32)
        alpha[part] = refined.alpha
    mark("refine")
    warnings = _warnings(view, alpha, dark=lifted is not None)
    mark("checks")
    return Subject(
        alpha,
        models=verdict.models,
        placement=verdict.placement,
        notes=(*notes, *refined.notes, *warnings),
        confidence=judge_matte(doubt, verdict.agreement),
    )


def _drawn(picture: Picture, graphic: Graphic, *, exact: bool) -> Subject:
    """A graphic, un-mixed; its colours hold for the picture that was looked at only."""
    sure = Confidence(graphic.certainty)
    if exact:
        return Subject(graphic.alpha, graphic.foreground, ("graphic",), confidence=sure)
    alpha = upsample_alpha(graphic.alpha, picture.height, picture.width)
    return Subject(alpha, models=("graphic",), confidence=sure)


def _open_outline(graphic: Graphic) -> tuple[str, ...]:
    """A note where most of a drawing is open: a white face on white, or just a frame."""
    share = open_share(graphic.alpha)
    if share < NOTABLY_OPEN:
        return ()
    what = f"{share:.0%} of what the drawing encloses has the background's colour and is"
    return (f"open_outline: {what} transparent; --fill-holes keeps it",)


def _closer_look(
    picture: Picture, view: Rgb, whole: Verdict, span: Span, ask: Callable[[Rgb], Verdict]
) -> tuple[Verdict, Part]:
    """The verdict on the part of the picture around ``span``, and where that part lies.

    The mean of a look at the part and one at the whole: each loses subjects that the other keeps.
    """
    height, width = picture.height, picture.width
    left, top, right, bottom = crop_for(span, height, width)
    part = slice(top, bottom), slice(left, right)
    if (right - left, bottom - top) == (width, height):
        return whole, part

    def scaled(plane: Any) -> Any:
        y, x = plane.shape[0] / height, plane.shape[1] / width
        rows = slice(int(top * y), max(round(bottom * y), int(top * y) + 1))
        return plane[rows, int(left * x) : max(round(right * x), int(left * x) + 1)]

    near, far = ask(np.ascontiguousarray(scaled(view))), scaled(whole.alpha)
    mean: Alpha = (near.alpha + resized(far, near.alpha)) * np.float32(0.5)
    models = tuple(dict.fromkeys((*near.models, *whole.models)))
    agreed = agreement(near.alpha, far)
    return replace(near, alpha=mean, models=models, agreement=agreed), part


def _warnings(view: Rgb, alpha: Alpha, *, dark: bool) -> tuple[str, ...]:
    """Notes on light and glass that a user should check the result for."""
    notes = []
    seen = glimpse(alpha, LOOK_PX)
    if dark:
        notes.append("hard_light: very dark, so the networks were shown a brightened copy")
    elif (why := hard_light(view, seen)) is not None:
        notes.append(f"hard_light: {why}; check the edge")
    share = semi_transparent_share(seen) if seen.max() >= 0.5 else 0.0
    if share >= NOTABLE:
        notes.append(
            f"semi_transparent: {share:.0%} of the subject is see-through or undecided; check it"
        )
    return tuple(notes)


def model_view(picture: Picture) -> Rgb:
    """What a network sees: sRGB, and something visible under transparent pixels.

    Without a colour profile and transparency these are the picture's own pixels, not a copy.
    """
    if picture.icc is None and picture.alpha is None:
        return picture.rgb
    view = shrink_to(picture, VIEW_SIDE_PX)
    rgb = to_srgb(view.rgb, view.icc)
    if view.alpha is None:
        return rgb
    return over(rgb, view.alpha, solid_colour(rgb, _contrast(rgb, view.alpha)))


def is_cut_out(picture: Picture) -> bool:
    """Whether the picture came in with its background already transparent."""
    if picture.alpha is None:
        return False
    return float(np.mean(picture.alpha < 1 / 255)) >= CUT_SHARE


def _contrast(rgb: Rgb, alpha: Alpha) -> tuple[int, int, int]:
    """White, or dark grey where the visible pixels are light themselves."""
    luma = rgb.mean(axis=2) / full_scale(rgb)
    visible = float((luma * alpha).sum() / max(float(alpha.sum()), 1e-6))
    return (64, 64, 64) if visible > 0.7 else (255, 255, 255)
