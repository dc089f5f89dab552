"""From a picture to a cutout: pure functions over arrays, in the order a person would tell them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from cleancut.compose.background import over
from cleancut.compose.crop import subject_box
from cleancut.compose.head import pose
from cleancut.errors import NoSubject
from cleancut.framing import backdrop, framed, lay_out, metadata, original, repeat, shrink, tint
from cleancut.imaging.resize import upsample_alpha
from cleancut.matting.binarise import binarise
from cleancut.matting.edges import adjust_edges
from cleancut.matting.foreground import clear_hidden, estimate_foreground
from cleancut.matting.guidance import enforce
from cleancut.matting.refine import refine_levels
from cleancut.matting.shadow import drop_shadow, keep_shadow, under
from cleancut.options import (
    parse_alpha_matting,
    parse_area,
    parse_length,
    parse_shadow,
)
from cleancut.panel import judge, single
from cleancut.result import Result
from cleancut.subject import Mark, find_subject, model_view, unmarked
from cleancut.version import PIPELINE_VERSION as PIPELINE_VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cleancut.arrays import Alpha, Rgb
    from cleancut.face import Face
    from cleancut.imaging.picture import Picture
    from cleancut.matting.guidance import Marks
    from cleancut.models.base import Model
    from cleancut.options import Options, Shadow
    from cleancut.panel import Panel
    from cleancut.subject import Subject

#: With a smaller share of pixels at alpha .5 or more there is nothing one would call a subject.
EMPTY_SHARE = 0.001
#: ... unless this share is (nearly) opaque: a bird in the sky is small, but the net is sure of it.
SURE_SHARE = 5e-5


def cutout(
    picture: Picture,
    panel: Panel,
    options: Options,
    *,
    marks: Marks | None = None,
    background: Picture | None = None,
    faces: Sequence[Face] = (),
    mark: Mark = unmarked,
) -> Result:
    """Cut the subject out of ``picture``.

    ``marks`` is what the user said about it: definite pixels come out exactly so.

    ``background`` holds the pixels where ``options.background`` names an image, ``faces`` are those
    of the picture where ``options.head`` is set. ``mark`` is called with a stage's name when it is
    done, for timing. Raises ``NoSubject`` with ``options.fail_if_empty``, ``NoPerson`` and
    ``ManyPeople`` with ``options.head``.
    """
    subject = find_subject(picture, panel, options, marks=marks, mark=mark)
    notes = [*picture.notes, *subject.notes]
    own = edged(picture.rgb, subject.alpha, options, marks)
    mark("edges")
    foreground, tidy = _colours(picture, subject, own, options)
    alpha = own if picture.alpha is None else own * picture.alpha
    mark("foreground")

    own_pixels, coverage = alpha, float(cv2.mean(alpha)[0])
    notes += _nothing(alpha, coverage, options)
    wanted = parse_shadow(options.shadow)
    if wanted and wanted.kind == "keep":
        found = keep_shadow(picture.rgb, subject.alpha)
        foreground, alpha = under(foreground, alpha, found.opacity)
        notes += found.notes
    posed = None if options.head is None else pose(foreground, alpha, faces)
    if posed is not None:
        foreground, alpha = posed.foreground, posed.alpha
        notes += posed.notes
    layout = lay_out(alpha, options, head=None if posed is None else posed.head)
    notes += layout.notes
    untouched = original(picture, alpha, layout, options, posed)
    behind = backdrop(picture, own, options, background, layout)
    foreground, alpha = framed(foreground, alpha, layout, options)
    if wanted and wanted.kind == "drop":
        foreground, alpha = under(foreground, alpha, _dropped(alpha, wanted))
    foreground, alpha, behind = shrink(foreground, alpha, behind, options)
    if not (tidy or options.keep_hidden_rgb):
        foreground = clear_hidden(foreground, alpha)
    composite = None if behind is None else over(foreground, alpha, behind)
    box = subject_box(alpha)
    foreground, alpha = tint(foreground, alpha, picture, options)
    if (sheet := repeat(foreground, alpha, composite, options)) is not None:
        foreground = composite = sheet.pixels
        alpha, box = np.ones(composite.shape[:2], np.float32), None
        notes += sheet.notes
    exif, dpi = metadata(picture, layout, options)
    mark("compose")
    return Result(
        foreground=foreground,
        alpha=alpha,
        composite=composite,
        original=untouched,
        behind=None if untouched is None else behind,
        matte=own_pixels,
        box=box,
        coverage=coverage,
        size=(picture.width, picture.height),
        models=subject.models,
        placement=subject.placement,
        confidence=None if subject.confidence is None else subject.confidence.value,
        reasons=() if subject.confidence is None else subject.confidence.reasons,
        notes=tuple(notes),
        icc=picture.icc,
        exif=exif,
        dpi=dpi,
        options=options,
    )


def matte(picture: Picture, model: Model, *, minmax: bool = False) -> Alpha:
    """One model's plain matte of ``picture`` at full size, (H, W) float32 in 0..1, unrefined.

    The picture's own transparency is not in it. ``minmax`` stretches it where the model's official
    recipe does.
    """
    small = judge(model_view(picture), single(model), minmax=minmax).alpha
    return upsample_alpha(small, picture.height, picture.width)


def is_empty(alpha: Alpha) -> bool:
    """Whether a matte holds nothing that one would call a subject."""
    if np.count_nonzero(alpha >= 0.5) >= EMPTY_SHARE * alpha.size:
        return False
    return bool(np.count_nonzero(alpha >= 0.9) < SURE_SHARE * alpha.size)


def _nothing(alpha: Alpha, coverage: float, options: Options) -> list[str]:
    """A note if there is no subject; ``NoSubject`` where that was asked for."""
    if not is_empty(alpha):
        return []
    if options.fail_if_empty:
        raise NoSubject(
            f"no subject found (coverage {coverage:.2%})",
            hint="try another --model, or leave out --fail-if-empty",
        )
    return [f"no_subject: nothing stands out (coverage {coverage:.2%})"]


def _colours(picture: Picture, subject: Subject, own: Alpha, options: Options) -> tuple[Rgb, bool]:
    """The subject's colours, and whether they are cleared already where nothing shows.

    They are, in the same pass, where nothing will change the matte any more.
    """
    if subject.foreground is not None and own is subject.alpha:
        return subject.foreground, False
    if not options.decontaminate:
        return picture.rgb, False
    resampled = (
        options.max_side_px or options.max_output_megapixels or options.scale or options.canvas
    )
    final = not (options.shadow or resampled or picture.alpha is not None)
    clear = final and not options.keep_hidden_rgb
    return estimate_foreground(picture.rgb, own, clear=clear), clear


def edged(rgb: Rgb, alpha: Alpha, options: Options, marks: Marks | None = None) -> Alpha:
    """The matte with its edge as asked for; the very same array where nothing was."""
    if not options.changes_edges:
        return alpha
    if options.binarise:
        alpha = binarise(alpha)
    levels = parse_alpha_matting(options.alpha_matting)
    if levels is not None:
        alpha = refine_levels(
            rgb,
            alpha,
            foreground=levels.foreground,
            background=levels.background,
            erode=levels.erode,
        )
    longer = _longer_side(alpha)
    outwards = parse_length(options.grow, "grow").pixels(longer)
    inwards = parse_length(options.shrink, "shrink").pixels(longer)
    edged = adjust_edges(
        alpha,
        threshold=options.threshold,
        min_area_px=parse_area(options.min_area, "min_area").pixels(*alpha.shape),
        keep_largest=options.keep_largest,
        fill_holes=options.fill_holes,
        grow_px=outwards - inwards,
        feather_px=parse_length(options.feather, "feather").pixels(longer),
    )
    return edged if marks is None else enforce(edged, marks)


def _dropped(alpha: Alpha, wanted: Shadow) -> Alpha:
    """The opacity of a made shadow; it needs the room that a margin gives it."""
    longer = _longer_side(alpha)
    return drop_shadow(
        alpha,
        opacity=wanted.opacity,
        angle_deg=wanted.angle_deg,
        distance_px=wanted.distance.pixels(longer),
        blur_px=wanted.blur.pixels(longer),
    )


def _longer_side(alpha: Alpha) -> int:
    """Of the subject, in pixels; of the picture where there is no subject."""
    box = subject_box(alpha)
    return max(box.width, box.height) if box else max(alpha.shape)
