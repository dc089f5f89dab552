"""From a picture to a cutout: pure functions over arrays, in the order a person would tell them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from cleancut.arrays import full_scale
from cleancut.compose.background import blurred, cover, over, solid_colour
from cleancut.compose.crop import crop, subject_box, with_margin
from cleancut.errors import NoSubject
from cleancut.imaging.color import from_srgb, to_srgb
from cleancut.imaging.picture import Picture
from cleancut.imaging.resize import shrink_to, upsample_alpha
from cleancut.matting.foreground import clear_hidden, estimate_foreground
from cleancut.models.recipe import stretch
from cleancut.options import parse_background, parse_margin
from cleancut.result import Result

if TYPE_CHECKING:
    from cleancut.arrays import Alpha, Rgb
    from cleancut.compose.crop import Box
    from cleancut.models.base import Model
    from cleancut.options import Options

#: Part of every cache key: raise it whenever the pixels of a result change.
PIPELINE_VERSION = 1

#: With a smaller share of pixels at alpha .5 or more there is nothing one would call a subject.
EMPTY_SHARE = 0.001
#: ... unless this share is (nearly) opaque: a bird in the sky is small, but the net is sure of it.
SURE_SHARE = 5e-5
#: With at least this share of fully transparent pixels a picture is a cutout already.
CUT_SHARE = 0.10
#: Colour conversion for the model's view happens at no more than this size.
VIEW_SIDE_PX = 2048

Mark = Callable[[str], None]


def _unmarked(stage: str) -> None:
    """The default of ``mark``: nobody is timing."""


def cutout(
    picture: Picture,
    model: Model,
    options: Options,
    *,
    background: Picture | None = None,
    mark: Mark = _unmarked,
) -> Result:
    """Cut the subject out of ``picture``.

    ``background`` holds the pixels where ``options.background`` names an image. ``mark`` is called
    with a stage's name when it is done, for timing. Raises ``NoSubject`` with
    ``options.fail_if_empty``.
    """
    notes = list(picture.notes)
    if is_cut_out(picture) and not options.recut:
        notes.append(
            "already_cut: the picture has a transparent background; --recut runs the model"
        )
        own, foreground = np.ones_like(picture.alpha), picture.rgb
    else:
        own = matte(picture, model, minmax=options.minmax)
        mark("model")
        foreground = estimate_foreground(picture.rgb, own) if options.decontaminate else picture.rgb
    alpha = own if picture.alpha is None else own * picture.alpha
    mark("foreground")

    coverage = float(alpha.mean(dtype=np.float64))
    if is_empty(alpha):
        if options.fail_if_empty:
            raise NoSubject(
                f"no subject found (coverage {coverage:.2%})",
                hint="try another --model, or leave out --fail-if-empty",
            )
        notes.append(f"no_subject: nothing stands out (coverage {coverage:.2%})")
    box = subject_box(alpha)
    backdrop = _backdrop(picture, own, options, background)
    foreground, alpha, backdrop, box = _frame(foreground, alpha, backdrop, box, options)
    if not options.keep_hidden_rgb:
        foreground = clear_hidden(foreground, alpha)
    composite = None if backdrop is None else over(foreground, alpha, backdrop)
    mark("compose")
    return Result(
        foreground=foreground,
        alpha=alpha,
        composite=composite,
        box=box,
        coverage=coverage,
        size=(picture.width, picture.height),
        model=model.spec.id,
        placement=model.placement,
        notes=tuple(notes),
        icc=picture.icc,
        exif=None if options.strip else picture.exif,
        dpi=None if options.strip else picture.dpi,
        options=options,
    )


def matte(picture: Picture, model: Model, *, minmax: bool = False) -> Alpha:
    """The model's matte of ``picture`` at full size, (H, W) float32 in 0..1.

    The picture's own transparency is not in it. ``minmax`` stretches it where the model's official
    recipe does.
    """
    small = model.predict(model_view(picture)).alpha
    if minmax and model.spec.recipe.minmax:
        small = stretch(small)
    return upsample_alpha(small, picture.height, picture.width)


def model_view(picture: Picture) -> Rgb:
    """What the network sees: sRGB, and something visible under transparent pixels.

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


def is_empty(alpha: Alpha) -> bool:
    """Whether a matte holds nothing that one would call a subject."""
    if float(np.mean(alpha >= 0.5)) >= EMPTY_SHARE:
        return False
    return float(np.mean(alpha >= 0.9)) < SURE_SHARE


def _contrast(rgb: Rgb, alpha: Alpha) -> tuple[int, int, int]:
    """White, or dark grey where the visible pixels are light themselves."""
    luma = rgb.mean(axis=2) / full_scale(rgb)
    visible = float((luma * alpha).sum() / max(float(alpha.sum()), 1e-6))
    return (64, 64, 64) if visible > 0.7 else (255, 255, 255)


def _backdrop(
    picture: Picture, own: Alpha, options: Options, background: Picture | None
) -> Rgb | None:
    """The background at the picture's size and in its colour space; None for a transparent one."""
    wanted = parse_background(options.background)
    if wanted is None:
        return None
    if wanted.colour is not None:
        red, green, blue = from_srgb(np.array([[wanted.colour]], np.uint8), picture.icc)[0, 0]
        return solid_colour(picture.rgb, (int(red), int(green), int(blue)))
    if background is not None:
        pixels = background.rgb
        if background.icc != picture.icc:
            pixels = from_srgb(to_srgb(pixels, background.icc), picture.icc)
        return cover(pixels, picture.height, picture.width, picture.rgb)
    longer = max(picture.height, picture.width)
    return blurred(picture.rgb, own, wanted.blur_px or (wanted.blur_share or 0.0) * longer)


def _frame(
    foreground: Rgb, alpha: Alpha, backdrop: Rgb | None, box: Box | None, options: Options
) -> tuple[Rgb, Alpha, Rgb | None, Box | None]:
    """Crop to the subject and shrink, as asked for; the box follows."""
    if options.crop and box is not None:
        frame = with_margin(box, parse_margin(options.margin))
        foreground, alpha = crop(foreground, frame), crop(alpha, frame)
        backdrop = None if backdrop is None else crop(backdrop, frame, replicate=True)
        box = subject_box(alpha)
    longer = max(alpha.shape)
    if options.max_side_px is not None and longer > options.max_side_px:
        small = shrink_to(Picture(foreground, alpha), options.max_side_px)
        assert small.alpha is not None
        foreground, alpha = small.rgb, small.alpha
        if backdrop is not None:
            backdrop = shrink_to(Picture(backdrop), options.max_side_px).rgb
        box = subject_box(alpha)
    return foreground, alpha, backdrop, box
