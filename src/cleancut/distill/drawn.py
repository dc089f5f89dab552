"""Logos, wordmarks and other graphics with exact mattes, made up on the spot.

What is graphic is the subject: everything that is not background, whatever its colour. Holes of
letters and rings are background. Graphics are drawn at twice their size, premultiplied, and
averaged down, so that an edge's alpha is the share of the pixel that is covered.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cleancut.distill.augment import as_bytes, resized
from cleancut.distill.lettering import fonts, lettered, phrase
from cleancut.distill.marks import HOLE, SIGN, Layer, fitted, mark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cleancut.distill.augment import Bytes

    #: left, top, width, height in pixels
    Box = tuple[int, int, int, int]
    Colour = NDArray[np.float64]

_FINER = 2
#: Chances of words, and of a picture that is turned.
_WORDY, _TURNED = 0.45, 0.1
#: Share of pictures without a photograph behind that are on white, on plain paint, on a gradient.
_WHITE, _FLAT = 0.55, 0.3
#: Least distance of the main inks from the background's mean colour, in levels.
_SEEN = 60
_TRIES = 8


def drawn(
    rng: np.random.Generator, size: int, *, backdrop: Bytes | None = None
) -> tuple[Bytes, Bytes]:
    """A made-up graphic, ``size`` pixels square (uint8 RGB), and its exact matte (uint8).

    On ``backdrop``, a photograph (H, W, 3) of any size, or else on white, a plain colour or a
    gradient. Proportions are those of a wide or tall picture that was stretched to a square, which
    is how a network of square input sees it.
    """
    wordy = rng.random() < _WORDY
    aspect = float(np.exp(rng.uniform(*((-0.1, 1.1) if wordy else (-0.5, 0.5)))))
    area = _FINER * size
    wide, tall = round(area * math.sqrt(aspect)), round(area / math.sqrt(aspect))
    scene, paper = _backdrop(rng, size, backdrop)
    around = np.array(cv2.mean(scene)[:3])
    sheet = _Sheet(wide, tall, _inks(rng, around), paper)
    margin = rng.uniform(0.03, 0.18)
    x, y = round(margin * wide), round(margin * tall)
    box = (x, y, wide - 2 * x, tall - 2 * y)
    (_with_words if wordy else _without_words)(rng, sheet, box)
    if rng.random() < _TURNED:
        sheet.turn(rng.uniform(-25, 25))
    ink, matte = resized(sheet.colours, size, size), resized(sheet.alpha, size, size)
    behind = cv2.multiply(scene, cv2.merge([255 - matte] * 3), scale=1 / 255)
    return as_bytes(cv2.add(ink, behind)), matte


class _Sheet:
    """Ink on nothing: premultiplied colours and alpha, uint8, and the inks to be used.

    ``paper`` is the background's colour, if it is one.
    """

    def __init__(self, wide: int, tall: int, inks: Sequence[Colour], paper: Colour | None) -> None:
        self.colours: Bytes = np.zeros((tall, wide, 3), np.uint8)
        self.alpha: Bytes = np.zeros((tall, wide), np.uint8)
        self.inks, self.paper = inks, paper

    def lay(self, mask: Bytes, ink: Colour | Bytes | None, left: int, top: int) -> None:
        """Ink through a mask; None takes what is there away. A picture as ink is a gradient."""
        tall, wide = self.alpha.shape
        x, y, w, h = cv2.boundingRect(mask)
        x, w = max(x, -left), min(x + w, wide - left)
        y, h = max(y, -top), min(y + h, tall - top)
        if w <= x or h <= y:
            return
        cut = mask[y:h, x:w]
        part = np.s_[top + y : top + h, left + x : left + w]
        rest = cv2.bitwise_not(cut)
        alpha = cv2.multiply(self.alpha[part], rest, scale=1 / 255)
        colours = cv2.multiply(self.colours[part], cv2.merge([rest] * 3), scale=1 / 255)
        if ink is not None:
            alpha = cv2.add(alpha, cut)
            colours = cv2.add(colours, _inked(cut, ink))
        self.alpha[part], self.colours[part] = alpha, colours

    def turn(self, degrees: float) -> None:
        """All of it around the middle."""
        tall, wide = self.alpha.shape
        move = cv2.getRotationMatrix2D((wide / 2, tall / 2), degrees, 0.85)
        self.colours = as_bytes(cv2.warpAffine(self.colours, move, (wide, tall)))
        self.alpha = as_bytes(cv2.warpAffine(self.alpha, move, (wide, tall)))


def _inked(mask: Bytes, ink: Colour | Bytes) -> Bytes:
    """A mask's premultiplied colours."""
    if ink.ndim == 1:
        return as_bytes(cv2.merge([cv2.convertScaleAbs(mask, alpha=n / 255) for n in ink]))
    size = mask.shape[1], mask.shape[0]
    gradient = cv2.resize(as_bytes(ink), size, interpolation=cv2.INTER_LINEAR)
    return as_bytes(cv2.multiply(gradient, cv2.merge([mask] * 3), scale=1 / 255))


def _backdrop(
    rng: np.random.Generator, size: int, photo: Bytes | None
) -> tuple[Bytes, Colour | None]:
    """What lies behind, and its colour if it is one."""
    if photo is not None:
        scene = resized(photo, size, size)
        if rng.random() < 0.35:
            scene = as_bytes(cv2.GaussianBlur(scene, (0, 0), float(np.exp(rng.uniform(0, 2.5)))))
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
    return as_bytes(np.clip(np.rint(blend), 0, 255))


def _inks(rng: np.random.Generator, around: Colour) -> list[Colour]:
    """Four to six inks: the first two are told from what is around, others may match it."""
    inks: list[Colour] = []
    hue = rng.uniform(0, 180)
    related = rng.random() < 0.4
    for _ in range(int(rng.integers(4, 7))):
        ink = _ink(rng, hue if related else rng.uniform(0, 180))
        for _ in range(_TRIES):
            if len(inks) > 1 or np.abs(ink - around).max() >= _SEEN:
                break
            ink = _ink(rng, rng.uniform(0, 180))
        inks.append(ink)
    return inks


def _ink(rng: np.random.Generator, hue: float) -> Colour:
    """Black, white, grey, or a strong colour of about ``hue`` (0..180)."""
    chance = rng.random()
    if chance < 0.2:
        return np.full(3, rng.uniform(0, 40))
    if chance < 0.35:
        return np.full(3, 255.0 if rng.random() < 0.7 else rng.uniform(60, 255))
    tone = int(hue + rng.normal(0, 12)) % 180
    pixel = np.array([[[tone, rng.integers(110, 256), rng.triangular(60, 240, 256)]]])
    return np.asarray(cv2.cvtColor(as_bytes(pixel), cv2.COLOR_HSV2RGB)[0, 0], np.float64)


def _paint(rng: np.random.Generator, sheet: _Sheet, number: int, rich: float) -> Colour | Bytes:
    ink = sheet.inks[number % len(sheet.inks)]
    return _gradient(rng, ink) if rng.random() < rich else ink


def _mark_in(rng: np.random.Generator, sheet: _Sheet, box: Box) -> None:
    """A mark in the middle of a box, perhaps with gradients or with a hard shadow, drawn too."""
    left, top, wide, tall = box
    side = max(16, min(wide, tall))
    layers = mark(rng, side)
    rich = 0.6 if rng.random() < 0.3 else 0.0
    left, top = left + (wide - side) // 2, top + (tall - side) // 2
    if rng.random() < 0.08:
        shift = max(2, side // 40)
        sheet.lay(_whole(layers), sheet.inks[1] * 0.5, left + shift, top + shift)
    for layer in layers:
        ink: Colour | Bytes | None = None
        if layer.ink >= 0:
            ink = _paint(rng, sheet, layer.ink, rich)
        elif layer.ink == SIGN:
            ink = sheet.paper
        sheet.lay(layer.mask, ink, left, top)


def _whole(layers: Sequence[Layer]) -> Bytes:
    """All that a mark covers."""
    mask = np.zeros_like(layers[0].mask)
    for layer in layers:
        mask = np.minimum(mask, 255 - layer.mask) if layer.ink == HOLE else mask | layer.mask
    return mask


def _text_in(
    rng: np.random.Generator, sheet: _Sheet, box: Box, text: str, font: str | None
) -> None:
    """Text as large as fits a box, sometimes slanted, outlined, or with a hard shadow."""
    left, top, wide, tall = box
    if wide < 4 or tall < 4:
        return
    line = tall // (text.count("\n") + 1)
    stroke = int(rng.integers(1, 3 + line // 24)) if rng.random() < 0.3 else 0
    mask = fitted(lettered(rng, text, min(160, line), font=font, stroke=stroke), wide, tall)
    if rng.random() < 0.1:
        lean = np.array([[1, -0.2, 0.1 * tall], [0, 1, 0]], np.float32)
        mask = as_bytes(cv2.warpAffine(mask, lean, (wide, tall)))
    chance = rng.random()
    if chance < 0.08:
        rim = max(1, round(line / rng.uniform(16, 40)))
        ring = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * rim + 1, 2 * rim + 1))
        wider = cv2.copyMakeBorder(mask, rim, rim, rim, rim, cv2.BORDER_CONSTANT)
        sheet.lay(as_bytes(cv2.dilate(wider, ring)), sheet.inks[1], left - rim, top - rim)
    elif chance < 0.14:
        shift = max(2, line // 24)
        sheet.lay(mask, sheet.inks[1], left + shift, top + shift)
    sheet.lay(mask, _paint(rng, sheet, 0, 0.15), left, top)


def _with_words(rng: np.random.Generator, sheet: _Sheet, box: Box) -> None:
    """A wordmark beside a mark, below one or alone, or several lines of text."""
    left, top, wide, tall = box
    known = fonts()
    font = known[int(rng.integers(len(known)))] if known else None
    chance = rng.random()
    if chance < 0.4 and wide > 1.2 * tall:
        side = min(tall, round(wide * rng.uniform(0.2, 0.45)))
        _mark_in(rng, sheet, (left, top, side, tall))
        start = round(side * rng.uniform(1.1, 1.3))
        high = round(side * rng.uniform(0.4, 0.9))
        beside = (left + start, top + (tall - high) // 2, wide - start, high)
        _text_in(rng, sheet, beside, phrase(rng, 2), font)
    elif chance < 0.7:
        part = round(tall * rng.uniform(0.5, 0.75))
        _mark_in(rng, sheet, (left, top, wide, part))
        rest = tall - part - round(tall * 0.04)
        _text_in(rng, sheet, (left, top + tall - rest, wide, rest), phrase(rng, 2), font)
    elif chance < 0.93:
        high = round(tall * rng.uniform(0.4, 0.8))
        _text_in(rng, sheet, (left, top, wide, high), phrase(rng, 1 + (rng.random() < 0.3)), font)
        if rng.random() < 0.5:
            low = round(tall * rng.uniform(0.08, 0.18))
            _text_in(rng, sheet, (left, top + tall - low, wide, low), phrase(rng, 3), font)
    else:
        lines = "\n".join(phrase(rng, 2) for _ in range(int(rng.integers(2, 5))))
        _text_in(rng, sheet, box, lines, font)


def _without_words(rng: np.random.Generator, sheet: _Sheet, box: Box) -> None:
    """One mark, or a few in rows."""
    left, top, wide, tall = box
    if rng.random() < 0.88:
        _mark_in(rng, sheet, box)
        return
    columns, rows = int(rng.integers(2, 5)), int(rng.integers(1, 4))
    w, h = wide // columns, tall // rows
    for cell in range(columns * rows):
        x, y = left + cell % columns * w, top + cell // columns * h
        _mark_in(rng, sheet, (x, y, round(w * 0.85), round(h * 0.85)))
