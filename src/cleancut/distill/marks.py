"""Marks as logos have them: shapes in a few colours, some with holes, as layers of masks."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from cleancut.distill.lettering import lettered, signs, word

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cleancut.distill.augment import Bytes

    Points = NDArray[np.float64]

#: A layer's ink where it takes away what lies below, so that the background is seen; and that of a
#: sign in a plate: cut out as well, but on plain paper nobody could tell it from a printed one.
HOLE, SIGN = -1, -2
_SHIFT = 4  # bits behind the point of a corner's coordinates
_ONE = 1 << _SHIFT


class Layer(NamedTuple):
    """One colour of a mark: a mask (n, n), 0..255, and its ink: a number, ``HOLE`` or ``SIGN``."""

    mask: Bytes
    ink: int


def _corners(points: Points) -> NDArray[np.int32]:
    return np.rint(points * _ONE).astype(np.int32)


def filled(n: int, *shapes: Points) -> Bytes:
    """Polygons (k, 2), from the middle in half sides (-1..1), filled by even and odd.

    An edge lies about half a pixel farther out, as OpenCV smooths it.
    """
    mask = np.zeros((n, n), np.uint8)
    corners = [_corners((shape + 1) * (n / 2) - 0.5) for shape in shapes]
    cv2.fillPoly(mask, corners, 255, cv2.LINE_AA, _SHIFT)
    return mask


def lined(n: int, points: Points, width: float, *, closed: bool = False) -> Bytes:
    """A line (k, 2) through points as above; ``width`` as a share of the side."""
    mask = np.zeros((n, n), np.uint8)
    corners = _corners((points + 1) * (n / 2) - 0.5)
    cv2.polylines(mask, [corners], closed, 255, max(1, round(width * n)), cv2.LINE_AA, _SHIFT)
    return mask


def polygon(sides: int, radius: float = 0.9, turn: float = 0.0, inner: float = 1.0) -> Points:
    """A regular polygon, or a star where ``inner`` shortens every second corner."""
    angles = np.linspace(0, 2 * np.pi, sides, endpoint=False) + turn
    radii = np.where(np.arange(sides) % 2 == 0, radius, radius * inner)
    return np.stack([np.cos(angles) * radii, np.sin(angles) * radii], axis=-1)


def blob(rng: np.random.Generator, radius: float = 0.85, rough: float = 0.25) -> Points:
    """A smooth closed outline with a few random waves."""
    angles = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    radii = np.ones_like(angles)
    for wave in range(2, int(rng.integers(3, 7))):
        radii += rng.normal(0, rough / wave) * np.cos(wave * angles + rng.uniform(0, 6.3))
    radii *= radius / np.abs(radii).max()
    return np.stack([np.cos(angles) * radii, np.sin(angles) * radii], axis=-1)


def rounded(wide: float, tall: float, corner: float) -> Points:
    """A rectangle of half-widths ``wide`` and ``tall`` with round corners."""
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    unit = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    corner = min(corner, wide, tall)
    rest = np.array([wide - corner, tall - corner])
    points: Points = unit * corner + np.sign(unit) * rest
    return points


def arc(radius: float, start: float, end: float, *, flat: float = 1.0, turn: float = 0.0) -> Points:
    """A part of an ellipse that is ``flat`` times as tall as wide, turned by ``turn``."""
    angles = np.linspace(start, end, max(8, int(abs(end - start) * 16)))
    points = np.stack([np.cos(angles), np.sin(angles) * flat], axis=-1) * radius
    return turned(points, turn)


def turned(points: Points, angle: float) -> Points:
    """Points turned around the middle."""
    cosine, sine = math.cos(angle), math.sin(angle)
    return np.asarray(points @ np.array([[cosine, sine], [-sine, cosine]]), np.float64)


def _badge(rng: np.random.Generator, n: int) -> list[Layer]:
    """A plate with a letter, word or sign on it or cut out of it."""
    plates: tuple[Callable[[], Points], ...] = (
        lambda: polygon(64),
        lambda: rounded(0.9, rng.uniform(0.5, 0.9), rng.uniform(0.05, 0.9)),
        lambda: polygon(6, turn=np.pi / 6),
        lambda: polygon(int(rng.integers(12, 25)) * 2, inner=rng.uniform(0.85, 0.95)),
        lambda: np.array([[-0.8, -0.85], [0.8, -0.85], [0.8, 0.1], [0, 0.95], [-0.8, 0.1]]),
        lambda: blob(rng, 0.9, 0.15),
    )
    plate = plates[int(rng.integers(len(plates)))]()
    layers = [Layer(filled(n, plate), 0)]
    if rng.random() < 0.35:
        rim = plate * rng.uniform(0.78, 0.9)
        layers.append(Layer(lined(n, rim, rng.uniform(0.01, 0.04), closed=True), _on(rng)))
    inside = _sign(rng, n // 2) if rng.random() < 0.5 else _written(rng, n // 2)
    mask = np.zeros((n, n), np.uint8)
    start = n // 2 - n // 4
    mask[start : start + inside.shape[0], start : start + inside.shape[1]] = inside
    layers.append(Layer(mask, _on(rng)))
    return layers


def _on(rng: np.random.Generator) -> int:
    return SIGN if rng.random() < 0.35 else int(rng.integers(1, 4))


def fitted(mask: Bytes, wide: int, tall: int) -> Bytes:
    """A mask in a box of its own proportions, in the middle of an empty one."""
    scale = min(wide / mask.shape[1], tall / mask.shape[0])
    size = max(1, int(mask.shape[1] * scale)), max(1, int(mask.shape[0] * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    box = np.zeros((tall, wide), np.uint8)
    top, left = (tall - size[1]) // 2, (wide - size[0]) // 2
    box[top : top + size[1], left : left + size[0]] = cv2.resize(mask, size, interpolation=how)
    return box


def _written(rng: np.random.Generator, n: int) -> Bytes:
    text = word(rng)[: int(rng.integers(1, 5))]
    return fitted(lettered(rng, text, n // 2, stroke=int(rng.integers(0, 4))), n, n)


def _sign(rng: np.random.Generator, n: int) -> Bytes:
    known = signs()
    if not known:
        return _written(rng, n)
    font, sign = known[int(rng.integers(len(known)))]
    return fitted(lettered(rng, sign, n, font=font), n, n)


def _glyph(rng: np.random.Generator, n: int) -> list[Layer]:
    """One sign or letter, as it is."""
    mask = _sign(rng, n) if rng.random() < 0.6 else _written(rng, n)
    return [Layer(mask, 0)]


def _rings(rng: np.random.Generator, n: int) -> list[Layer]:
    """Rings, parts of rings and orbits around a common middle."""
    layers = []
    count, radius = int(rng.integers(1, 5)), 0.92
    whole = rng.random() < 0.4
    flat = 1.0 if rng.random() < 0.6 else rng.uniform(0.25, 0.7)
    for ring in range(count):
        width = float(np.exp(rng.uniform(math.log(0.015), math.log(0.22 / math.sqrt(count)))))
        start = rng.uniform(0, 2 * np.pi)
        length = 2 * np.pi if whole else rng.uniform(1, 5.5)
        turn = ring * np.pi / count if flat < 1 else 0.0
        size = radius - width
        layers.append(
            Layer(lined(n, arc(size, start, start + length, flat=flat, turn=turn), width), ring)
        )
        if flat == 1:
            radius -= 2 * width + rng.uniform(0.03, 0.15)
        if radius < 0.2:
            break
    if rng.random() < 0.4:
        layers.append(Layer(filled(n, polygon(48, rng.uniform(0.1, 0.5) * radius + 0.05)), count))
    return layers


def _facets(rng: np.random.Generator, n: int) -> list[Layer]:
    """A gem: triangles of several inks around a point, or bands with gaps."""
    sides = int(rng.integers(3, 9))
    corners = polygon(sides, turn=rng.uniform(0, 6.3)) * rng.uniform(0.7, 1, (sides, 1))
    middle = rng.uniform(-0.25, 0.25, 2)
    gap = 1.0 if rng.random() < 0.5 else rng.uniform(0.85, 0.95)
    layers = []
    for side in range(sides):
        triangle = np.stack([middle, corners[side], corners[(side + 1) % sides]])
        centre = triangle.mean(axis=0)
        layers.append(Layer(filled(n, (triangle - centre) * gap + centre), side))
    return layers


def _bands(rng: np.random.Generator, n: int) -> list[Layer]:
    """Slanted bars, chevrons or stacked plates, side by side."""
    count = int(rng.integers(2, 6))
    slant, step = rng.uniform(-0.5, 0.5), 1.8 / count
    thick = step * rng.uniform(0.35, 0.8)
    bend = rng.choice([0.0, rng.uniform(-0.4, 0.4)])
    turn = rng.uniform(0, 6.3) if rng.random() < 0.5 else 0.0
    layers = []
    for bar in range(count):
        y, half = -0.9 + bar * step, rng.uniform(0.4, 0.8)
        upper = np.array([[-half, y], [0, y + bend], [half, y]])
        shape = np.concatenate([upper, upper[::-1] + np.array([0, thick])])
        shape[:, 0] += slant * shape[:, 1]
        layers.append(Layer(filled(n, turned(shape, turn)), bar))
    return layers


def _network(rng: np.random.Generator, n: int) -> list[Layer]:
    """Dots, some joined by lines."""
    dots = rng.uniform(-0.8, 0.8, (int(rng.integers(3, 8)), 2))
    width = rng.uniform(0.008, 0.05)
    layers = [
        Layer(lined(n, np.stack([one, other]), width), 1)
        for one, other in itertools.pairwise(dots)
        if rng.random() < 0.8
    ]
    spots = [polygon(32, rng.uniform(0.06, 0.2)) + dot for dot in dots]
    layers += [Layer(filled(n, spot), 2 * number) for number, spot in enumerate(spots)]
    return layers


def _curves(rng: np.random.Generator, n: int) -> list[Layer]:
    """Line art: smooth strokes of one width, thin as a hair or bold."""
    width = float(np.exp(rng.uniform(np.log(0.006), np.log(0.08))))
    layers = []
    for stroke in range(int(rng.integers(1, 5))):
        t = np.linspace(0, 1, 60)[:, None]
        a, b, c, d = rng.uniform(-0.85, 0.85, (4, 2))
        points = a * (1 - t) ** 3 + 3 * b * t * (1 - t) ** 2 + 3 * c * t**2 * (1 - t) + d * t**3
        layers.append(Layer(lined(n, points, width), stroke if rng.random() < 0.4 else 0))
    if rng.random() < 0.5:
        layers.append(Layer(lined(n, blob(rng, 0.9, 0.3), width, closed=True), 0))
    return layers


def _face(rng: np.random.Generator, n: int) -> list[Layer]:
    """A head with eyes and a mouth, as stickers and mascots have it."""
    head = blob(rng, 0.9, 0.12)
    layers = [Layer(filled(n, head), 0)]
    if rng.random() < 0.5:
        layers.append(Layer(lined(n, head, rng.uniform(0.02, 0.06), closed=True), 3))
    apart, eye = rng.uniform(0.2, 0.4), rng.uniform(0.06, 0.22)
    for side in (-apart, apart):
        layers.append(Layer(filled(n, polygon(32, eye) + np.array([side, -0.2])), 1))
        layers.append(Layer(filled(n, polygon(24, eye * 0.5) + np.array([side, -0.2])), 2))
    layers.append(Layer(lined(n, arc(0.45, 0.4, 2.7), rng.uniform(0.02, 0.08)), 2))
    return layers


def _crescent(rng: np.random.Generator, n: int) -> list[Layer]:
    """A shape with a part taken out of it: a moon, a letter-like ring, a cut polygon."""
    whole = polygon(64) if rng.random() < 0.5 else polygon(int(rng.integers(3, 9)), turn=1.0)
    size = rng.uniform(0.3, 0.75)
    part = polygon(64, size) if rng.random() < 0.5 else polygon(4, size, turn=rng.uniform(0, 1.6))
    away = rng.uniform(-0.5, 0.5, 2) if rng.random() < 0.5 else np.zeros(2)
    layers = [Layer(filled(n, whole), 0), Layer(filled(n, part + away), HOLE)]
    if rng.random() < 0.5:
        layers.append(Layer(filled(n, (part * rng.uniform(0.3, 0.8)) + away), 1))
    return layers


def _chart(rng: np.random.Generator, n: int) -> list[Layer]:
    """Columns, slices or a line over its axes."""
    kind, count = int(rng.integers(3)), int(rng.integers(3, 7))
    if kind == 0:
        step = 1.7 / count
        boxes = [
            np.array([[x, y], [x + 0.7 * step, y], [x + 0.7 * step, 0.85], [x, 0.85]])
            for x, y in zip(
                -0.85 + step * np.arange(count), rng.uniform(-0.8, 0.6, count), strict=True
            )
        ]
        return [Layer(filled(n, box), number) for number, box in enumerate(boxes)]
    if kind == 1:
        cuts = np.cumsum(rng.dirichlet(np.full(count, 3.0))) * 2 * np.pi
        starts = np.concatenate([[0], cuts[:-1]])
        slices = [
            np.concatenate([[[0.0, 0.0]], arc(0.9, a, b)])
            for a, b in zip(starts, cuts, strict=True)
        ]
        layers = [Layer(filled(n, piece), number) for number, piece in enumerate(slices)]
        if rng.random() < 0.4:
            layers.append(Layer(filled(n, polygon(64, 0.45)), HOLE))
        return layers
    axes = np.array([[-0.85, -0.85], [-0.85, 0.85], [0.85, 0.85]])
    heights = rng.uniform(-0.7, 0.7, count)
    line = np.stack([np.linspace(-0.7, 0.8, count), heights], axis=-1)
    return [Layer(lined(n, axes, 0.012), 3), Layer(lined(n, line, rng.uniform(0.01, 0.04)), 0)]


_KINDS: tuple[tuple[float, Callable[[np.random.Generator, int], list[Layer]]], ...] = (
    (0.18, _badge),
    (0.2, _glyph),
    (0.12, _rings),
    (0.1, _facets),
    (0.1, _bands),
    (0.06, _network),
    (0.07, _curves),
    (0.04, _face),
    (0.09, _crescent),
    (0.04, _chart),
)


def mark(rng: np.random.Generator, n: int) -> list[Layer]:
    """A drawn mark as layers from the lowest to the highest, each ``n`` pixels square."""
    shares = np.array([share for share, _ in _KINDS])
    kind = int(rng.choice(len(_KINDS), p=shares / shares.sum()))
    return _KINDS[kind][1](rng, n)
