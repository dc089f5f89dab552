"""Graphics: logos, icons, text and flat art on a flat or smooth background."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from cleancut.arrays import check_rgb
from cleancut.errors import BadArray
from cleancut.matting.backdrop import Backdrop, find_backdrop
from cleancut.matting.ramp import find_ramps
from cleancut.matting.strokes import Strokes, find_strokes
from cleancut.matting.unmix import (
    CLEAN_REACH,
    RINGING_REACH,
    distance_to,
    find_subject,
    measure_noise,
    unmix,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.arrays import Alpha, Rgb, Tensor

_SMALLEST_SIDE = 16
_SAMPLE_TILE = 256
_SAMPLE_TILES = 10
_SAMPLE_COLOURS = 60_000
#: Levels (of 255) from the background at which a pixel counts as subject while judging.
_APART = 12.0
#: A 3 x 3 neighbourhood that spans more levels is an edge.
_EDGE = 12
#: Fewer pixels tell nothing.
_FEWEST = 64
#: A colour is isolated if this share of the pixels within 12 levels lies within 2.
_ISOLATED = 0.75
#: With less background than the rest it is a frame around something.
_MOST_SUBJECT = 0.75
#: With more of the rim fading out it is shaded or glowing, not drawn.
_MOST_FAINT = 0.15
#: With more of the rim still fading in at the longest ramp it is a glow or shading.
_MOST_ENDLESS = 0.15
#: Text and line icons leave most of a picture empty, are mostly edge, and stand on calm ground.
_MOST_STROKES, _MOST_INNER, _MOST_SPREAD = 0.15, 0.66, 5.0

#: With more of a drawing open inside its outlines it is worth telling: letters have less.
NOTABLY_OPEN = 0.4

#: Certainties ``judge`` gives: for colours alone from the least to the most, then weaker evidence.
_BY_COLOUR = (0.80, 1.0)
_BY_CALM = 0.70
_BY_STROKES = 0.70


@dataclass(frozen=True, slots=True, eq=False)
class Graphic:
    """A drawing, taken off its background.

    ``alpha`` is (H, W) float32 in 0..1, holes included. ``foreground`` is (H, W, 3) of the
    picture's type and range: straight colours; only soft pixels differ from the picture.
    ``background`` is what it stood on. ``certainty`` is 0.7 to 1.
    """

    alpha: Alpha
    foreground: Rgb
    background: Backdrop
    certainty: float


class Traits(NamedTuple):
    """What tells a drawing from a photograph, measured where the subject is.

    ``subject``: share of the picture that is not background. ``inner``: share of the subject
    that is no edge (3 x 3 pixels within 12 levels). ``settled``: share of the inner pixels on
    isolated colours, those whose neighbouring shades (3 to 12 levels away) next to nobody has.
    ``flat``: share of the subject whose 3 x 3 pixels are equal. ``restless``: share of the inner
    pixels where a channel turns from rising to falling or back: noise. ``rough``: share of the
    subject in patches of 5 x 5 pixels and more that are neither flat nor edges: texture, shading.
    """

    subject: float
    inner: float
    settled: float
    flat: float
    restless: float
    rough: float


def unmix_graphic(rgb: Rgb) -> Graphic | None:
    """Take a logo, icon, text or flat art off its flat or smooth background; None for the rest.

    ``rgb`` is (H, W, 3); float32 must be finite. Raises ``BadArray`` for anything else. None means
    that this is not surely a drawing, or that its background is a photograph: ask a network.

    What is transparent: every pixel of the background's colour, wherever it is. Holes of letters
    are, and so is a white letter on a red disc on a white page, for no pixel tells the two apart.
    Of the enclosed regions of 477 public icons put on white, 70 % (63 % by area) are holes in the
    source; where a white part should stay, fill the holes of the matte afterwards. Soft pixels
    are un-mixed in sRGB code values (see ``unmix``).

    How it decides (measured with 3,680 photographs, 171 of them cut out and put on white, on a
    gradient, and on white as JPEG with a shadow; none passes):

    - The frame of the picture is flat or smooth (``find_backdrop``); 96 % of photographs end here.
    - At most 0.75 of the picture is subject. Drawings have 0.02 to 0.53; photographs in a black
      frame, which look most like drawings otherwise, have 0.9 and more.
    - ``drawn``, the share of the subject on isolated flat colours, is 0.20 or more and ``rough``
      0.30 at most. The nearest photograph has 0.04 (0.13 when reduced to 64 colours); enlarging,
      denoising or a poor JPEG do not change that: shades of real things are never isolated.
    - Shaded drawings without noise: ``restless`` up to 0.015 and ``rough`` up to 0.03 on a clean
      background (photographs: 0.106 and 0.05), with ``flat`` areas or, for thin strokes, with 0.9
      of the inner pixels on isolated colours.
    - Thin strokes, whose colours a JPEG or a blur has smeared (``find_strokes``): at most 0.15 of
      the picture and mostly edge; ``inked`` 0.98 or more, ``stray`` 0.03, ``halo`` 0.06 and
      ``thick`` 0.16 at most. Of 1,130 thumbnails of photographs on a flat page none passes
      as strokes (one framed picture, with a page and a logo of its own, and one buckle pass by
      colour); the nearest have 0.957, 0.054, 0.027, 0.05 and 0.981, 0.024, 0.087, 0.08.
    - The rim of the subject leads, within 24 to 64 pixels, to a colour that stands out from the
      background: ``faint`` and ``endless`` of ``find_ramps`` are 0.15 at most.

    Small JPEG text of low quality, shaded logos in JPEG files, text blurred by more than a
    stroke's width and drawings with noise all over fail these tests and are left to a network.
    """
    check_rgb(rgb)
    if min(rgb.shape[:2]) < _SMALLEST_SIDE:
        return None
    levels = _levels(rgb)
    backdrop = find_backdrop(levels)
    if backdrop is None:
        return None
    seen = traits(levels, backdrop)
    certainty = judge(seen, backdrop.spread)
    if seen is not None and certainty <= 0 and may_be_strokes(seen, backdrop.spread):
        windows = _tiles(levels, backdrop, max(_APART, 2 * backdrop.spread))
        certainty = judge_strokes(find_strokes(levels, windows, backdrop))
    if certainty <= 0:
        return None
    distance = distance_to(levels, backdrop)
    noise = measure_noise(distance, backdrop.spread)
    subject = find_subject(distance, noise)
    reach = RINGING_REACH if noise.ringing else CLEAN_REACH
    ramps = find_ramps(distance, subject, reach, noise.level)
    if ramps.faint > _MOST_FAINT or ramps.endless > _MOST_ENDLESS:
        return None
    alpha, foreground = unmix(rgb, distance, subject, ramps, backdrop, noise)
    return Graphic(alpha, foreground, backdrop, certainty)


def _levels(rgb: Rgb) -> NDArray[np.uint8]:
    """``rgb`` in levels of 0..255, enough to look at."""
    pixels: Tensor = rgb
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    elif pixels.dtype == np.float32:
        if not np.isfinite(pixels).all():
            raise BadArray(
                "picture: holds values that are not finite", hint="replace NaN and infinity"
            )
        pixels = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    return pixels


def traits(levels: NDArray[np.uint8], backdrop: Backdrop) -> Traits | None:
    """Measure ``Traits`` on the tiles of ``levels`` (H, W, 3) that hold most of the subject.

    None where less than 64 pixels are subject.
    """
    away = max(_APART, 2 * backdrop.spread)
    counts = np.zeros(5)
    colours = []
    for rows, columns in _tiles(levels, backdrop, away):
        tile = np.ascontiguousarray(levels[rows, columns])
        field = np.rint(backdrop.window(rows, columns)).astype(np.uint8)
        subject = _largest(cv2.absdiff(tile, field)) > away
        found, inner = _count(tile, subject)
        counts += found
        colours.append(tile[inner])
    whole, flat, turns, triples, rough = counts
    if whole < _FEWEST:
        return None
    inside = np.concatenate(colours)
    return Traits(
        subject=float(np.mean(_sample(levels, backdrop, away)[2])),
        inner=len(inside) / whole,
        settled=_settled(inside),
        flat=flat / whole,
        restless=turns / max(triples, 1),
        rough=rough / whole,
    )


def _largest(pixels: Tensor) -> NDArray[np.uint8]:
    red, green, blue = cv2.split(pixels)
    largest: Tensor = cv2.max(cv2.max(red, green), blue)
    return largest


def _count(
    tile: NDArray[np.uint8], subject: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The sums behind ``Traits`` for one tile, and its inner pixels."""
    box = np.ones((3, 3), np.uint8)
    span = _largest(cv2.subtract(cv2.dilate(tile, box), cv2.erode(tile, box)))
    inner = subject & (span <= _EDGE)
    turns = triples = 0
    for turned in (False, True):
        pixels, middle = (tile.swapaxes(0, 1), inner.T) if turned else (tile, inner)
        rises, falls = pixels[1:] > pixels[:-1], pixels[1:] < pixels[:-1]
        turn = (rises[:-1] & falls[1:]) | (falls[:-1] & rises[1:])
        anywhere = turn[..., 0] | turn[..., 1] | turn[..., 2]
        turns += int(np.count_nonzero(anywhere & middle[1:-1]))
        triples += int(np.count_nonzero(middle[1:-1]))
    medium = (subject & (span > 4) & (span <= 40)).view(np.uint8)
    rough = cv2.morphologyEx(medium, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    flat = np.count_nonzero(subject & (span == 0))
    whole = np.count_nonzero(subject)
    sums = (whole, flat, turns, triples, np.count_nonzero(rough))
    return np.array(sums, np.float64), inner


def _settled(colours: NDArray[np.uint8]) -> float:
    """Share of ``colours`` (N, 3) on the (at most 16) commonest isolated ones."""
    if len(colours) < _FEWEST:
        return 0.0
    some = colours[:: 1 + len(colours) // _SAMPLE_COLOURS].astype(np.int16)
    cell = some.astype(np.int32) >> 2
    key = (cell[:, 0] << 12) | (cell[:, 1] << 6) | cell[:, 2]
    total, left = 0, np.ones(len(some), bool)
    for _ in range(16):
        counts = np.bincount(key[left], minlength=1)
        if counts.max(initial=0) < max(8, 0.005 * len(some)):
            break
        centre = np.median(some[key == int(counts.argmax())], axis=0)
        distance = np.abs(some - centre).max(axis=1)
        here, around = np.count_nonzero(distance <= 2), np.count_nonzero(distance <= 12)
        if here >= _ISOLATED * around:
            total += int(here)
        left &= distance > 4
    return total / len(some)


def _tiles(levels: Tensor, backdrop: Backdrop, away: float) -> list[tuple[slice, slice]]:
    """The whole picture if it is small, else windows with subject in them, at full resolution."""
    height, width = levels.shape[:2]
    if height * width <= _SAMPLE_TILES * _SAMPLE_TILE**2:
        return [(slice(0, height), slice(0, width))]
    y, x, apart = _sample(levels, backdrop, away)
    across = -(-width // _SAMPLE_TILE)
    place = (y[apart] // _SAMPLE_TILE) * across + x[apart] // _SAMPLE_TILE
    counts = np.bincount(place, minlength=1)
    fullest = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    chosen = fullest[:: max(1, -(-len(fullest) // _SAMPLE_TILES))]
    corners = [(int(i) // across * _SAMPLE_TILE, int(i) % across * _SAMPLE_TILE) for i in chosen]
    return [
        (slice(top, min(top + _SAMPLE_TILE, height)), slice(left, min(left + _SAMPLE_TILE, width)))
        for top, left in corners
    ]


def _sample(levels: Tensor, backdrop: Backdrop, away: float) -> tuple[Tensor, Tensor, Tensor]:
    """Rows and columns of a grid of at most 256 x 256 pixels, and which of them are subject."""
    height, width = levels.shape[:2]
    step = -(-max(height, width) // 256)
    rows, columns = np.arange(0, height, step), np.arange(0, width, step)
    y, x = (part.ravel() for part in np.meshgrid(rows, columns, indexing="ij"))
    return y, x, np.abs(levels[y, x] - backdrop.at(y, x)).max(axis=1) > away


def judge(seen: Traits | None, spread: float) -> float:
    """Certainty in 0..1 that this is a drawing; 0 is a no. ``spread`` is the backdrop's."""
    if seen is None or seen.subject > _MOST_SUBJECT:
        return 0.0
    drawn = seen.settled * seen.inner
    if drawn >= 0.20 and seen.rough <= 0.30:
        low, high = _BY_COLOUR
        return low + (high - low) * min(1.0, float(drawn - 0.20) / 0.5)
    quiet = seen.restless <= 0.015 and seen.rough <= 0.03 and spread <= 1.5
    if quiet and seen.flat >= 0.15 and seen.inner >= 0.6:
        return _BY_CALM
    if quiet and seen.settled >= 0.90 and seen.inner >= 0.04:
        return _BY_CALM
    return 0.0


def may_be_strokes(seen: Traits, spread: float) -> bool:
    """Whether ``seen`` is little and thin enough for text or a line icon."""
    thin = seen.subject <= _MOST_STROKES and seen.inner <= _MOST_INNER
    return thin and spread <= _MOST_SPREAD


def judge_strokes(strokes: Strokes) -> float:
    """Certainty in 0..1 that thin things are drawn; 0 is a no."""
    drawn = strokes.inked >= 0.98 and strokes.stray <= 0.03
    thin = strokes.thick <= 0.16 and strokes.halo <= 0.06
    return _BY_STROKES if drawn and thin else 0.0


def open_share(alpha: Alpha) -> float:
    """How much of what a drawing's outlines enclose is transparent, 0..1; ``alpha`` is (H, W).

    Holes of letters are, and so are white faces and white shirts that were drawn on white.
    """
    filled = alpha >= 0.5
    count, labels = cv2.connectedComponents((~filled).view(np.uint8), connectivity=4)
    outside = np.zeros(count, np.bool_)
    for side in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        outside[side] = True
    outside[0] = True
    holes = int(np.count_nonzero(~outside[labels]))
    return holes / max(holes + int(np.count_nonzero(filled)), 1)
