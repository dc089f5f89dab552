"""Subjects on other backgrounds: pictures whose matte is exact because it made them.

``C = a F + (1 - a) B`` (Porter and Duff, "Compositing Digital Images", SIGGRAPH 1984). F are
straight colours with the old background taken out, so that no halo gives the outline away. Pictures
are (H, W, 3) uint8 RGB, mattes (H, W) uint8.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from cleancut.distill.augment import as_bytes, check_pair, resized
from cleancut.errors import BadArray
from cleancut.matting.foreground import estimate_foreground

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.distill.augment import Bytes

    Plane = NDArray[np.float32]

#: What a teacher calls this faint is nothing, and this dense is whole.
_NOTHING, _WHOLE = 6, 249
#: Fainter parts count only beside denser ones: elsewhere they are haze.
_FAINT = 40
#: Islands smaller than this share of the subject are a teacher's slips.
_ISLAND = 0.01
#: A subject is cut off by a side of its photograph where it covers this much of that side.
_TOUCH = 0.02
#: Chances of a mirrored, leaning or tighter cut subject, a second one, and light that is matched.
_MIRROR, _LEAN, _TIGHT, _TWIN, _MATCH = 0.5, 0.2, 0.4, 0.06, 0.5
#: Chances of a blurred scene, of a shadow on a scene and on a plain backdrop.
_BLUR, _SHADOW, _STUDIO_SHADOW = 0.3, 0.2, 0.7
#: Largest mean difference of neighbours, in levels, of a backdrop that counts as plain.
_PLAIN = 1.5
#: Aspect ratios (width by height) of pictures.
_ASPECTS = (1.0, 0.75, 4 / 3, 2 / 3, 1.5, 0.8, 16 / 9, 1.0)


class Subject(NamedTuple):
    """A cut-out subject, tightly framed: premultiplied colours (h, w, 3) and matte (h, w), uint8.

    ``touches`` says whether its photograph cut it off at the left, top, right and bottom.
    """

    colours: Bytes
    alpha: Bytes
    touches: tuple[bool, bool, bool, bool]


def composite(
    foreground_rgb: Bytes,
    alpha: Bytes,
    background_rgb: Bytes,
    rng: np.random.Generator,
    *,
    side: int = 384,
) -> tuple[Bytes, Bytes]:
    """The subject of one picture on another background, and its exact matte.

    The answer's longer side is ``side`` pixels, its proportions are drawn. A subject that its
    photograph cut off is cut off by the same side again. Without a subject the answer is the
    background and an empty matte. Raises ``BadArray`` for other arrays than uint8 pictures.
    """
    return placed(lifted(foreground_rgb, alpha), background_rgb, rng, side=side)


def lifted(rgb: Bytes, alpha: Bytes) -> Subject | None:
    """The subject of a picture in its own colours, to be placed many times; None without one."""
    check_pair(rgb, alpha)
    matte = _cleaned(alpha)
    left, top, wide, tall = cv2.boundingRect(matte)
    if wide < 4 or tall < 4:
        return None
    height, width = matte.shape
    rim = max(4, max(wide, tall) // 8)  # background to tell its colours from
    near = np.s_[max(0, top - rim) : top + tall + rim, max(0, left - rim) : left + wide + rim]
    part, share = np.ascontiguousarray(rgb[near]), matte[near].astype(np.float32)
    share *= np.float32(1 / 255)
    colours = estimate_foreground(part, share, quick=True)
    inner = np.s_[
        min(top, rim) : min(top, rim) + tall,
        min(left, rim) : min(left, rim) + wide,
    ]
    cut = np.ascontiguousarray(matte[top : top + tall, left : left + wide])
    shares = cv2.merge([cut] * 3)
    touches = (
        left == 0 and _covers(matte[:, 0]),
        top == 0 and _covers(matte[0]),
        left + wide == width and _covers(matte[:, -1]),
        top + tall == height and _covers(matte[-1]),
    )
    own = as_bytes(cv2.multiply(colours[inner], shares, scale=1 / 255))
    return Subject(own, cut, touches)


def placed(
    subject: Subject | None, background_rgb: Bytes, rng: np.random.Generator, *, side: int = 384
) -> tuple[Bytes, Bytes]:
    """``composite`` for a subject that is lifted already."""
    if background_rgb.ndim != 3 or background_rgb.shape[2] != 3 or background_rgb.dtype != np.uint8:
        raise BadArray("background: expected height x width x 3 uint8")
    shape = (1, 1) if subject is None else subject.alpha.shape
    width, height = _frame(rng, side, shape[1] / shape[0])
    scene = _scene(background_rgb, rng, width, height)
    if subject is None:
        return scene, np.zeros((height, width), np.uint8)
    if rng.random() < _MIRROR:
        subject = _mirrored(subject)
    if rng.random() < _LEAN and not any(subject.touches):
        subject = _leaning(subject, rng.uniform(-15, 15))
    colours, matte = _put(subject, rng, width, height)
    if rng.random() < _TIGHT:
        colours, matte = _tightened(colours, matte, rng.uniform(0.05, 0.3))
    if rng.random() < _TWIN and not any(subject.touches):
        colours, matte = _beside(colours, matte, rng)
    if rng.random() < _MATCH:
        colours = _matched(colours, matte, scene, rng)
    if rng.random() < (_STUDIO_SHADOW if _is_plain(scene) else _SHADOW):
        scene = _shaded(scene, matte, rng)
    behind = cv2.multiply(scene, cv2.merge([255 - matte] * 3), scale=1 / 255)
    return as_bytes(cv2.add(colours, behind)), matte


def plain_backdrop(rng: np.random.Generator, size: int) -> Bytes:
    """A studio's background, ``size`` pixels square: white, grey or coloured paper, lit unevenly.

    Flat, with a gradient, with a vignette, or with a soft line where wall becomes floor.
    """
    if rng.random() < 0.3:
        level = 255 if rng.random() < 0.7 else int(rng.integers(235, 255))
        return np.full((size, size, 3), level, np.uint8)
    base = rng.uniform(120, 250) if rng.random() < 0.7 else rng.uniform(10, 120)
    tone = np.full(3, base) + rng.normal(0, 3, 3)
    if rng.random() < 0.35:
        tone = rng.uniform(20, 245, 3)
    y, x = (axis.astype(np.float32) for axis in np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j])
    angle, slope = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.2)
    light = 1 + slope * (math.cos(angle) * x + math.sin(angle) * y)
    if rng.random() < 0.4:
        far = (x - rng.uniform(-0.5, 0.5)) ** 2 + (y - rng.uniform(-0.5, 0.5)) ** 2
        light = light - rng.uniform(0.05, 0.3) * far
    if rng.random() < 0.3:
        edge, soft = rng.uniform(0.1, 0.7), rng.uniform(0.01, 0.15)
        light = light + rng.uniform(-0.08, 0.08) * np.tanh((y - edge) / soft)
    grain = rng.normal(0, rng.uniform(0, 1.5), (size, size))
    plane = np.asarray(light[..., None] * tone + grain[..., None])
    return as_bytes(np.clip(np.rint(plane), 0, 255))


def _cleaned(alpha: Bytes) -> Bytes:
    """A matte without haze and without islands far smaller than its subject."""
    level = (np.arange(256) - _NOTHING) * (255 / (_WHOLE - _NOTHING))
    matte = as_bytes(cv2.LUT(alpha, as_bytes(np.clip(np.rint(level), 0, 255))))
    near = cv2.dilate(cv2.inRange(matte, _FAINT, 255), np.ones((7, 7), np.uint8))
    count, labels = cv2.connectedComponents(near)
    if count <= 2:
        return as_bytes(cv2.copyTo(matte, near))
    covered = np.bincount(labels.ravel(), weights=matte.ravel(), minlength=count)
    covered[0] = 0  # far from everything
    kept = as_bytes(np.where(covered >= max(1, _ISLAND * covered.max()), 255, 0))
    return as_bytes(cv2.copyTo(matte, kept[labels]))


def _covers(line: Bytes) -> bool:
    return bool(line.mean() > 255 * _TOUCH)


def _frame(rng: np.random.Generator, side: int, like: float) -> tuple[int, int]:
    """Width and height; of two proportions drawn that which is nearer to ``like``."""
    drawn = (_ASPECTS[int(k)] for k in rng.integers(len(_ASPECTS), size=2))
    aspect = min(drawn, key=lambda ratio: abs(math.log(ratio / like)))
    width, height = min(1, aspect), min(1, 1 / aspect)
    return max(8, round(side * width)), max(8, round(side * height))


def _scene(background: Bytes, rng: np.random.Generator, width: int, height: int) -> Bytes:
    """A part of a background of the frame's proportions."""
    tall, wide = background.shape[:2]
    share = rng.uniform(0.5, 1) * min(tall / height, wide / width)
    rows, columns = max(1, int(height * share)), max(1, int(width * share))
    top, left = int(rng.integers(tall - rows + 1)), int(rng.integers(wide - columns + 1))
    scene = resized(background[top : top + rows, left : left + columns], width, height)
    if rng.random() < 0.5:
        scene = np.ascontiguousarray(scene[:, ::-1])
    if rng.random() < _BLUR:
        scene = as_bytes(cv2.GaussianBlur(scene, (0, 0), float(np.exp(rng.uniform(0, 2)))))
    return scene


def _mirrored(subject: Subject) -> Subject:
    left, top, right, bottom = subject.touches
    colours, alpha = (np.ascontiguousarray(plane[:, ::-1]) for plane in subject[:2])
    return Subject(colours, alpha, (right, top, left, bottom))


def _leaning(subject: Subject, degrees: float) -> Subject:
    tall, wide = subject.alpha.shape
    turn = cv2.getRotationMatrix2D((wide / 2, tall / 2), degrees, 1)
    cosine, sine = abs(turn[0, 0]), abs(turn[0, 1])
    size = math.ceil(wide * cosine + tall * sine), math.ceil(wide * sine + tall * cosine)
    turn[:, 2] += size[0] / 2 - wide / 2, size[1] / 2 - tall / 2
    colours, alpha = (as_bytes(cv2.warpAffine(plane, turn, size)) for plane in subject[:2])
    return Subject(colours, alpha, subject.touches)


def _put(
    subject: Subject, rng: np.random.Generator, width: int, height: int
) -> tuple[Bytes, Bytes]:
    """Premultiplied colours and matte of the frame with the subject at a drawn size and place."""
    tall, wide = subject.alpha.shape
    left, top, right, bottom = subject.touches
    fits = min(height / tall, width / wide)
    least = 0.75 if any(subject.touches) else 0.55
    scale = fits * (rng.uniform(least, 1.0) if rng.random() < 0.7 else rng.uniform(0.9, 1.35))
    # Cut off on both sides means that it reaches from side to side.
    if left and right:
        scale = max(scale, width / wide)
    if top and bottom:
        scale = max(scale, height / tall)
    w, h = max(2, round(wide * scale)), max(2, round(tall * scale))
    x = _offset(rng, width - w, (left, right), 0.5)
    # What is too tall loses its foot rather than its head.
    y = _offset(rng, height - h, (top, bottom), 0.6 if h <= height else 0.15)
    # Only the part that is seen is enlarged.
    seen = max(0, -x), max(0, -y), min(w, width - x), min(h, height - y)
    # Resizing by whole source pixels keeps what is cut at a side touching it.
    source = (
        int(seen[0] / scale),
        int(seen[1] / scale),
        min(wide, math.ceil(seen[2] / scale)),
        min(tall, math.ceil(seen[3] / scale)),
    )
    size = seen[2] - seen[0], seen[3] - seen[1]
    colours = np.zeros((height, width, 3), np.uint8)
    matte = np.zeros((height, width), np.uint8)
    to = np.s_[y + seen[1] : y + seen[3], x + seen[0] : x + seen[2]]
    cut = np.s_[source[1] : source[3], source[0] : source[2]]
    matte[to] = resized(subject.alpha[cut], *size)
    # Cubic overshoot must not make colours brighter than their alpha allows.
    colours[to] = np.minimum(resized(subject.colours[cut], *size), matte[to][..., None])
    return colours, matte


def _offset(rng: np.random.Generator, free: int, touches: tuple[bool, bool], middle: float) -> int:
    """Where a subject begins along a side that it leaves ``free`` pixels of; negative, if too long.

    ``middle`` (0..1) is where it lies most of the time.
    """
    if free > 0 and any(touches):
        return 0 if touches[0] else free
    return round(free * float(np.clip(rng.normal(middle, 0.22), 0, 1)))


def _tightened(colours: Bytes, matte: Bytes, loss: float) -> tuple[Bytes, Bytes]:
    """A matte that begins where alpha was ``loss``: without the rim that teachers cut too wide."""
    level = np.arange(256) / 255
    denser = np.maximum(level - loss, 0) / (1 - loss)
    share = cv2.LUT(matte, as_bytes(np.rint(255 * denser / np.maximum(level, 1 / 255))))
    inner = cv2.multiply(colours, cv2.merge([share] * 3), scale=1 / 255)
    cut = as_bytes(cv2.LUT(matte, as_bytes(np.rint(255 * denser))))
    return np.minimum(as_bytes(inner), cut[..., None]), cut


def _beside(colours: Bytes, matte: Bytes, rng: np.random.Generator) -> tuple[Bytes, Bytes]:
    """A second one of the kind, behind the first and at its side, perhaps mirrored or smaller."""
    height, width = matte.shape
    left, top, wide, tall = cv2.boundingRect(matte)
    if wide < 4 or wide > 0.6 * width:
        return colours, matte
    size = rng.uniform(0.7, 1)
    way = -size if rng.random() < 0.5 else size
    middle, foot = left + wide / 2, top + tall
    there = middle + rng.uniform(0.55, 1) * wide * (1 if middle < width / 2 else -1)
    move = np.array([[way, 0, there - way * middle], [0, size, foot - size * foot]], np.float32)
    again, veil = (cv2.warpAffine(plane, move, (width, height)) for plane in (colours, matte))
    rest = cv2.bitwise_not(matte)
    both = cv2.add(matte, cv2.multiply(veil, rest, scale=1 / 255))
    pair = cv2.add(colours, cv2.multiply(again, cv2.merge([rest] * 3), scale=1 / 255))
    return as_bytes(pair), as_bytes(both)


def _matched(colours: Bytes, matte: Bytes, scene: Bytes, rng: np.random.Generator) -> Bytes:
    """The subject's light and tint drawn towards the scene's, by a part of the way."""
    whole = max(1, int(matte.sum(dtype=np.int64))) / 255
    subject = np.array(cv2.sumElems(colours)[:3]) / whole + 8
    around = np.array(cv2.mean(scene)[:3]) + 8
    gain = np.clip((around / subject) ** rng.uniform(0.1, 0.4), 0.6, 1.5)
    curves = as_bytes(np.minimum(np.arange(256)[:, None] * gain, 255))
    return np.minimum(as_bytes(cv2.LUT(colours, curves[None])), matte[..., None])


def _is_plain(scene: Bytes) -> bool:
    grey = cv2.cvtColor(scene, cv2.COLOR_RGB2GRAY)
    return float(cv2.absdiff(grey[:, 1:], grey[:, :-1]).mean()) < _PLAIN


def _shaded(scene: Bytes, matte: Bytes, rng: np.random.Generator) -> Bytes:
    """A soft shadow of the subject: at its foot, or on a wall behind. It belongs to the scene."""
    height, width = matte.shape
    _, top, wide, tall = cv2.boundingRect(matte)
    if rng.random() < 0.6:  # on the ground, seen flat
        flat, lean = rng.uniform(0.05, 0.25), rng.uniform(-0.4, 0.4)
        foot = top + tall * rng.uniform(0.93, 0.99)
        move = [[1, lean, -lean * foot], [0, flat, foot * (1 - flat)]]
    else:
        move = [[1, 0, rng.normal(0, 0.06) * wide], [0, 1, rng.uniform(-0.02, 0.08) * tall]]
    step = 4  # shadows are smooth
    size = -(-width // step), -(-height // step)
    turn = np.array(move, np.float32)
    turn[:, 2] /= step
    cast = cv2.warpAffine(cv2.resize(matte, size, interpolation=cv2.INTER_AREA), turn, size)
    soft = max(wide, tall) / step * rng.uniform(0.008, 0.06)
    cast = cv2.GaussianBlur(cast, (0, 0), max(0.5, soft))
    light = cv2.convertScaleAbs(cast, alpha=-rng.uniform(0.15, 0.75))
    large = cv2.resize(cv2.bitwise_not(light), (width, height), interpolation=cv2.INTER_LINEAR)
    return as_bytes(cv2.multiply(scene, cv2.merge([large] * 3), scale=1 / 255))
