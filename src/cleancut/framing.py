"""Where a cutout goes on the output: crop, place, canvas, background, size, print sheet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cleancut.compose.background import blurred, cover, over, over_colour, solid_colour
from cleancut.compose.canvas import cut_sides, fit, fit_subject, head_move
from cleancut.compose.crop import Box, crop, subject_box, with_margin
from cleancut.compose.head import fit_notes
from cleancut.compose.place import Move, moved, place
from cleancut.compose.sheet import lay_sheet
from cleancut.errors import ImageTooLarge
from cleancut.imaging.color import from_srgb, to_srgb
from cleancut.imaging.metadata import exif_at
from cleancut.imaging.picture import Picture
from cleancut.imaging.resize import shrunk, size_within
from cleancut.option_sizes import grid_of
from cleancut.options import (
    parse_background,
    parse_canvas,
    parse_head,
    parse_margin,
    parse_placing,
    parse_sheet,
)

if TYPE_CHECKING:
    from cleancut.arrays import Alpha, Rgb
    from cleancut.compose.head import Pose
    from cleancut.options import Canvas, Options

WHITE = (255, 255, 255)
#: Subjects that are enlarged by more than this look soft, which is worth a note.
_SOFT = 1.5


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the cutout goes: ``frame`` is what is kept of the picture, in its pixels.

    With a ``canvas``, ``move`` takes the picture's pixels to the canvas's. ``notes`` are what a
    user may want to know about it.
    """

    frame: Box
    canvas: Canvas | None = None
    move: Move | None = None
    notes: tuple[str, ...] = ()

    @property
    def page(self) -> Box:
        """The canvas as a box of its own pixels; the frame where there is no canvas."""
        if self.canvas is None:
            return self.frame
        return Box(0, 0, self.canvas.width, self.canvas.height)


def lay_out(alpha: Alpha, options: Options, *, head: Box | None = None) -> Layout:
    """Where the cutout of matte ``alpha`` goes.

    ``head`` is the person's, from the crown to the chin, where ``options.head`` asks for one.
    """
    frame = _frame(alpha, options)
    canvas = parse_canvas(options.canvas)
    if canvas is None:
        return Layout(frame)
    wanted = parse_head(options.head)
    placing = parse_placing(options.scale, options.position)
    box = subject_box(alpha) if placing else None
    notes: tuple[str, ...] = ()
    if wanted is not None and head is not None:
        move = head_move(head, canvas, wanted)
        notes = fit_notes(alpha, move, canvas)
    elif placing is not None and box is not None:
        move = fit_subject(box, frame, canvas, placing)
    else:
        move = fit(frame, canvas)
    sides = cut_sides(alpha, move, canvas)
    if head is not None:  # above and below have notes of their own
        sides = tuple(side for side in sides if side in ("left", "right"))
    if sides:
        told = (
            f"cut_off: the picture ends in the subject ({', '.join(sides)}); the edge is straight"
        )
        notes += (told,)
    if move.scale > _SOFT:
        notes += (
            f"enlarged: shown {move.scale:.1f} times as large as in the picture; a larger picture "
            "would be sharper",
        )
    return Layout(frame, canvas, move, notes)


def framed(foreground: Rgb, alpha: Alpha, layout: Layout, options: Options) -> tuple[Rgb, Alpha]:
    """The cutout as ``layout`` says: the subject where it was or where it was asked to be."""
    if layout.move is not None:
        hidden = options.keep_hidden_rgb
        return moved(foreground, alpha, layout.move, layout.page, hidden=hidden)
    placing = parse_placing(options.scale, options.position)
    box = subject_box(alpha) if placing else None
    if placing is None or box is None:
        return crop(foreground, layout.frame), crop(alpha, layout.frame)
    return place(foreground, alpha, box, layout.frame, placing, hidden=options.keep_hidden_rgb)


def original(
    picture: Picture, alpha: Alpha, layout: Layout, options: Options, posed: Pose | None
) -> Rgb | None:
    """The picture's own colours where ``framed`` puts the cutout of ``alpha`` (H, W).

    None but for a format that holds them: a document of layers.
    """
    if not options.is_layered:
        return None
    colours = picture.rgb if posed is None else posed.also(picture.rgb)
    colours, _ = framed(colours, alpha, layout, options.with_(keep_hidden_rgb=True))
    size = _size(colours, options)
    return colours if size == colours.shape[:2] else shrunk(Picture(colours), *size).rgb


def backdrop(
    picture: Picture, own: Alpha, options: Options, background: Picture | None, layout: Layout
) -> Rgb | None:
    """The background behind ``layout``, in the picture's colours; None for a transparent one.

    ``own`` is the subject's matte, which a blurred background does without. ``background`` holds
    the pixels where ``options.background`` names an image.
    """
    wanted = parse_background(options.background)
    if wanted is None or wanted.opacity < 1:
        return None
    page = layout.page
    if wanted.colour is not None:
        like: Any = np.broadcast_to(picture.rgb[:1, :1], (page.height, page.width, 3))
        return solid_colour(like, in_profile(wanted.colour, picture))
    if background is not None:
        pixels = background.rgb
        if background.icc != picture.icc:
            pixels = from_srgb(to_srgb(pixels, background.icc), picture.icc)
        if layout.move is not None:
            return cover(pixels, page.height, page.width, picture.rgb)
        # All that is seen, also where a margin reaches beyond the picture.
        left, top = min(0, page.left), min(0, page.top)
        right, bottom = max(picture.width, page.right), max(picture.height, page.bottom)
        whole = cover(pixels, bottom - top, right - left, picture.rgb)
        seen = Box(page.left - left, page.top - top, page.right - left, page.bottom - top)
        return crop(whole, seen)
    longer = max(picture.height, picture.width)
    radius = wanted.blur_px or (wanted.blur_share or 0.0) * longer
    soft = blurred(picture.rgb, own, radius)
    if layout.move is None:
        return crop(soft, page, replicate=True)
    return cover(crop(soft, _behind(layout.move, page, soft)), page.height, page.width, soft)


def shrink(
    foreground: Rgb, alpha: Alpha, backdrop: Rgb | None, options: Options
) -> tuple[Rgb, Alpha, Rgb | None]:
    """No larger than the output may be."""
    size = _size(foreground, options)
    if size == alpha.shape:
        return foreground, alpha, backdrop
    small = shrunk(Picture(foreground, alpha), *size)
    assert small.alpha is not None
    behind = None if backdrop is None else shrunk(Picture(backdrop), *size).rgb
    return small.rgb, small.alpha, behind


def _size(rgb: Rgb, options: Options) -> tuple[int, int]:
    """Height and width of ``rgb`` in the output."""
    most = options.max_output_megapixels
    pixels = None if most is None else most * 1e6
    return size_within(rgb.shape[0], rgb.shape[1], options.max_side_px, pixels)


def tint(foreground: Rgb, alpha: Alpha, picture: Picture, options: Options) -> tuple[Rgb, Alpha]:
    """Colours and alpha over a background colour that is not opaque, if that was asked for."""
    wanted = parse_background(options.background)
    if wanted is None or wanted.colour is None or wanted.opacity >= 1:
        return foreground, alpha
    return over_colour(foreground, alpha, in_profile(wanted.colour, picture), wanted.opacity)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page of copies, (H, W, 3), and how many there are in a note."""

    pixels: Rgb
    notes: tuple[str, ...]


def repeat(foreground: Rgb, alpha: Alpha, composite: Rgb | None, options: Options) -> Sheet | None:
    """The print sheet of the cutout that ``options`` ask for; None for none.

    What is transparent is white on it.
    """
    canvas = parse_canvas(options.canvas)
    paper = parse_sheet(options.sheet, canvas)
    if canvas is None or paper is None:
        return None
    grid = grid_of(paper, canvas)
    assert grid is not None  # looked at when the options were read
    if composite is None:
        composite = over(foreground, alpha, solid_colour(foreground, WHITE))
    copies = "1 copy" if grid.copies == 1 else f"{grid.copies} copies"
    note = f"sheet: {copies} of {canvas.text} on {paper.text}"
    return Sheet(lay_sheet(composite, paper, grid), (note,))


def metadata(
    picture: Picture, layout: Layout, options: Options
) -> tuple[bytes | None, tuple[float, float] | None]:
    """EXIF and dpi of the output: the picture's, with the canvas's dpi where that has one."""
    exif = None if options.strip else picture.exif
    dots = None if layout.canvas is None else layout.canvas.dpi
    if dots is None:
        return exif, None if options.strip else picture.dpi
    return exif_at(exif, dots), (dots, dots)


def in_profile(colour: tuple[int, int, int], picture: Picture) -> tuple[int, int, int]:
    """An sRGB colour in the colours of ``picture``."""
    red, green, blue = from_srgb(np.array([[colour]], np.uint8), picture.icc)[0, 0]
    return int(red), int(green), int(blue)


def _frame(alpha: Alpha, options: Options) -> Box:
    """What is kept: the subject with its margin where a crop was asked for, else everything."""
    box = subject_box(alpha) if options.crop else None
    if box is None:
        return Box(0, 0, alpha.shape[1], alpha.shape[0])
    frame = with_margin(box, parse_margin(options.margin))
    # Half of the subject's size on every side, as many ask for, makes four times the picture.
    largest = 4 * max(alpha.size, options.max_megapixels * 1e6)
    if options.canvas is None and frame.width * frame.height > largest:
        raise ImageTooLarge(
            f"the crop with its margin would have {frame.width} x {frame.height} pixels",
            hint="give a smaller margin, or a share of the subject like 5%",
        )
    return frame


def _behind(move: Move, page: Box, pixels: Rgb) -> Box:
    """The part of a picture that lies behind the canvas; as near as it can be, and never beyond."""
    height, width = pixels.shape[:2]
    wide = max(1, round(page.width / move.scale))
    tall = max(1, round(page.height / move.scale))
    if wide > width or tall > height:
        return Box(0, 0, width, height)
    left = min(max(0, round(-move.left / move.scale)), width - wide)
    top = min(max(0, round(-move.top / move.scale)), height - tall)
    return Box(left, top, left + wide, top + tall)
