"""Logos, wordmarks and other graphics with exact mattes, made up on the spot.

What is graphic is the subject: everything that is not background, whatever its colour. Holes of
letters and rings are background. Graphics are drawn at twice their size, premultiplied, and averaged
down, so that an edge's alpha is the share of the pixel that is covered.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cleancut.distill.augment import resized
from cleancut.distill.lettering import fonts, lettered, phrase
from cleancut.distill.marks import HOLE, Layer, fitted, mark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cleancut.distill.augment import Bytes

    #: left, top, width, height in pixels
    Box = tuple[int, int, int, int]
    Colour = NDArray[np.float64]

_FINER = 2
#: Share of pictures without a photograph behind that are on white, on plain paint, on a gradient.
_WHITE, _FLAT = 0.55, 0.3
#: Least distance of an ink from a plain background, in levels.
_SEEN = 48


def drawn(
    rng: np.random.Generator, size: int, *, backdrop: Bytes | None = None
) -> tuple[Bytes, Bytes]:
    """A made-up graphic, ``size`` pixels square (uint8 RGB), and its exact matte (uint8).

    On ``backdrop``, a photograph (H, W, 3) of any size, or else on white, a plain colour or a
    gradient. Proportions are those of a wide or tall picture that was stretched to a square, which is
    how a network of square input sees it.
    """
    aspect = float(np.exp(rng.uniform(math.log(0.6), math.log(1.5))))
    wordy = rng.random() < 0.5
    if wordy:
        aspect = float(np.exp(rng.uniform(math.log(0.9), math.log(3))))
    area = _FINER * size
    wide, tall = round(area * math.sqrt(aspect)), round(area / math.sqrt(aspect))
    scene, paper = _backdrop(rng, size, backdrop)
    sheet = _Sheet(wide, tall, _inks(rng, paper))
    margin = rng.uniform(0.03, 0.2)
    x, y = round(margin * wide), round(margin * tall)
    box = (x, y, wide - 2 * x, tall - 2 * y)
    (_with_words if wordy else _without_words)(rng, sheet, box, holes=paper is None)
    if rng.random() < 0.12:
        sheet.turn(rng.uniform(-25, 25))
    ink, matte = resized(sheet.colours, size, size), resized(sheet.alpha, size, size)
    behind = cv2.multiply(scene, cv2.merge([255 - matte] * 3), scale=1 / 255)
    return cv2.add(ink, behind), matte


class _Sheet:
    """Ink on nothing: premultiplied colours and alpha, uint8, and the inks to be used."""

    def __init__(self, wide: int, tall: int, inks: Sequence[Colour]) -> None:
        self.colours: Bytes = np.zeros((tall, wide, 3), np.uint8)
        self.alpha: Bytes = np.zeros((tall, wide), np.uint8)
        self.inks = inks

    def lay(self, mask: Bytes, ink: Colour | Bytes | None, left: int, top: int) -> None:
        """Ink through a mask; None takes what is there away. A picture as ink is a gradient."""
        tall, wide = self.alpha.shape
        cut = mask[max(0, -top) : tall - top, max(0, -left) : wide - left]
        left, top = max(0, left), max(0, top)
        if not cut.size:
            return
        part = np.s_[top : top + cut.shape[0], left : left + cut.shape[1]]
        rest = cv2.bitwise_not(cut)
        self.alpha[part] = cv2.multiply(self.alpha[part], rest, scale=1 / 255)
        self.colours[part] = cv2.multiply(self.colours[part], cv2.merge([rest] * 3), scale=1 / 255)
        if ink is None:
            return
        self.alpha[part] += cut
        if ink.ndim == 1:
            paint = cv2.merge([cv2.convertScaleAbs(cut, alpha=level / 255) for level in ink])
        else:
            gradient = cv2.resize(
                ink.astype(np.uint8), cut.shape[::-1], interpolation=cv2.INTER_LINEAR
            )
            paint = cv2.multiply(gradient, cv2.merge([cut] * 3), scale=1 / 255)
        self.colours[part] = cv2.add(self.colours[part], paint)

    def turn(self, degrees: float) -> None:
        """All of it around the middle."""
        tall, wide = self.alpha.shape
        move = cv2.getRotationMatrix2D((wide / 2, tall / 2), degrees, 0.85)
        self.colours = cv2.warpAffine(self.colours, move, (wide, tall))
        self.alpha = cv2.warpAffine(self.alpha, move, (wide, tall))


def _backdrop(
    rng: np.random.Generator, size: int, photo: Bytes | None
) -> tuple[Bytes, Colour | None]:
    """What lies behind, and its colour if it is one."""
    if photo is not None:
        scene = resized(photo, size, size)
        if rng.random() < 0.35:
            scene = cv2.GaussianBlur(scene, (0, 0), float(np.exp(rng.uniform(0, 2.5))))
        return scene, None
    chance = rng.random()
    paper = np.full(3, 255.0)
    if chance > _WHITE:
        paper = rng.uniform(0, 255, 3) if rng.random() < 0.7 else np.full(3, rng.uniform(0, 254))
    if chance <= _WHITE + _FLAT:
        flat = np.empty((size, size, 3), np.uint8)
        flat[:] = np.rint(paper)
        return flat, paper
    return resized(_gradient(rng, paper), size, size), paper


def _gradient(rng: np.random.Generator, colour: Colour) -> Bytes:
    """A picture of 32 x 32 from ``colour`` to another, along a line or from a middle."""
    other = np.clip(colour + rng.normal(0, 70, 3), 0, 255)
    y, x = np.mgrid[-1:1:32j, -1:1:32j]
    angle = rng.uniform(0, 2 * np.pi)
    way = (math.cos(angle) * x + math.sin(angle) * y) / 2.8 + 0.5
    if rng.random() < 0.3:
        way = np.clip(np.hypot(x, y) / 1.4, 0, 1)
    blend = colour + way[..., None] * (other - colour)
    return np.clip(np.rint(blend), 0, 255).astype(np.uint8)


def _inks(rng: np.random.Generator, paper: Colour | None) -> list[Colour]:
    """Four to six inks: the first two are told from the paper, others may match it."""
    inks: list[Colour] = []
    base = rng.uniform(0, 180)
    related = rng.random() < 0.4
    while len(inks) < int(rng.integers(4, 7)):
        ink = _ink(rng, base if related else rng.uniform(0, 180))
        if len(inks) < 2 and paper is not None and np.abs(ink - paper).max() < _SEEN:
            base = rng.uniform(0, 180)
            continue
        inks.append(ink)
    return inks


def _ink(rng: np.random.Generator, hue: float) -> Colour:
    chance = rng.random()
    if chance < 0.2:
        return np.full(3, rng.uniform(0, 40))
    if chance < 0.35:
        return np.full(3, 255.0 if rng.random() < 0.7 else rng.uniform(60, 255))
    pixel = np.array(
        [[[int(hue + rng.normal(0, 12)) % 180, rng.integers(110, 256), rng.integers(70, 256)]]]
    )
    return np.asarray(cv2.cvtColor(pixel.astype(np.uint8), cv2.COLOR_HSV2RGB)[0, 0], np.float64)


def _paint(rng: np.random.Generator, sheet: _Sheet, number: int, rich: float) -> Colour | Bytes:
    ink = sheet.inks[number % len(sheet.inks)]
    return _gradient(rng, ink) if rng.random() < rich else ink


def _put_mark(
    rng: np.random.Generator, sheet: _Sheet, layers: Sequence[Layer], box: Box, *, holes: bool
) -> None:
    """A mark in the middle of a box. ``holes``: whether a cut-out can be told from ink.

    On plain paper a sign that is cut out of a plate looks like one that is printed in the paper's
    colour; there it counts as ink, as in nearly all logos.
    """
    left, top, wide, tall = box
    rich = 0.6 if rng.random() < 0.3 else 0.0
    side = layers[0].mask.shape[0]
    left, top = left + (wide - side) // 2, top + (tall - side) // 2
    if rng.random() < 0.1 and sheet.alpha.size:  # a hard shadow is drawn, too
        whole = np.maximum.reduce([layer.mask for layer in layers if layer.ink != HOLE])
        shift = max(2, side // 40)
        sheet.lay(whole, sheet.inks[1] * 0.5, left + shift, top + shift)
    for layer in layers:
        if layer.ink == HOLE:
            sheet.lay(layer.mask, None, left, top)
        else:
            sheet.lay(layer.mask, _paint(rng, sheet, layer.ink, rich), left, top)


def _mark_in(rng: np.random.Generator, sheet: _Sheet, box: Box, *, holes: bool) -> None:
    side = max(16, min(box[2], box[3]))
    _put_mark(rng, sheet, mark(rng, side), box, holes=holes)


def _text_in(
    rng: np.random.Generator, sheet: _Sheet, box: Box, text: str, *, font: str | None = None
) -> None:
    """Text as large as fits a box, sometimes outlined, slanted, or in two colours."""
    left, top, wide, tall = box
    if wide < 4 or tall < 4:
        return
    lines = text.count("\n") + 1
    mask = lettered(
        rng, text, min(160, tall // lines), font=font, stroke=int(rng.integers(0, 3) == 2)
    )
    mask = fitted(mask, wide, tall)
    if rng.random() < 0.1:
        lean = np.array([[1, -0.2, 0.1 * tall], [0, 1, 0]], np.float32)
        mask = cv2.warpAffine(mask, lean, (wide, tall))
    chance = rng.random()
    if chance < 0.08:  # an outline around the letters
        width = 2 * max(1, round(tall / lines / rng.uniform(16, 40))) + 1
        around = cv2.dilate(
            cv2.copyMakeBorder(mask, *[width] * 4, cv2.BORDER_CONSTANT),
            cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width)),
        )
        sheet.lay(around, sheet.inks[1], left - width, top - width)
    elif chance < 0.14:
        shift = max(2, tall // lines // 24)
        sheet.lay(mask, sheet.inks[1], left + shift, top + shift)
    sheet.lay(mask, _paint(rng, sheet, 0, 0.15), left, top)


def _with_words(rng: np.random.Generator, sheet: _Sheet, box: Box, *, holes: bool) -> None:
    """A wordmark alone, beside a mark, below one, or several lines of text."""
    left, top, wide, tall = box
    known = fonts()
    font = known[int(rng.integers(len(known)))] if known else None
    chance = rng.random()
    if chance < 0.35 and wide > 1.2 * tall:
        side = min(tall, round(wide * rng.uniform(0.2, 0.4)))
        _mark_in(rng, sheet, (left, top, side, tall), holes=holes)
        gap = round(side * rng.uniform(0.1, 0.3))
        high = round(side * rng.uniform(0.4, 0.9))
        _text_in(
            rng,
            sheet,
            (left + side + gap, top + (tall - high) // 2, wide - side - gap, high),
            phrase(rng, 2),
            font=font,
        )
    elif chance < 0.6:
        part = round(tall * rng.uniform(0.5, 0.72))
        _mark_in(rng, sheet, (left, top, wide, part), holes=holes)
        rest = tall - part - round(tall * 0.05)
        _text_in(rng, sheet, (left, top + tall - rest, wide, rest), phrase(rng, 2), font=font)
    elif chance < 0.85:
        high = round(tall * rng.uniform(0.3, 0.75))
        _text_in(
            rng, sheet, (left, top + (tall - high) // 3, wide, high), phrase(rng, 2), font=font
        )
        if rng.random() < 0.5:
            low = round(tall * rng.uniform(0.06, 0.15))
            _text_in(rng, sheet, (left, top + tall - low, wide, low), phrase(rng, 4), font=font)
    else:
        lines = "\n".join(phrase(rng, 3) for _ in range(int(rng.integers(2, 6))))
        _text_in(rng, sheet, box, lines, font=font)


def _without_words(rng: np.random.Generator, sheet: _Sheet, box: Box, *, holes: bool) -> None:
    """One mark, or a few in rows."""
    left, top, wide, tall = box
    if rng.random() < 0.85:
        _mark_in(rng, sheet, box, holes=holes)
        return
    columns, rows = int(rng.integers(2, 5)), int(rng.integers(1, 4))
    w, h = wide // columns, tall // rows
    for cell in range(columns * rows):
        place = (
            left + cell % columns * w,
            top + cell // columns * h,
            round(w * 0.85),
            round(h * 0.85),
        )
        _mark_in(rng, sheet, place, holes=holes)
