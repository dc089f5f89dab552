"""Alpha and colours of a picture whose background is known: exact two-colour un-mixing.

A soft pixel of a drawing is a mix ``C = a F + (1 - a) B`` of one drawn colour F and the background
B. B is known everywhere; F is one of the colours around. Programs that draw and blend do so on the
stored sRGB code values, not on linear light, and so does this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from cleancut.arrays import full_scale
from cleancut.matting.ramp import FAINT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.arrays import Alpha, Rgb, Tensor
    from cleancut.matting.backdrop import Backdrop
    from cleancut.matting.ramp import Ramps

    Colours = NDArray[np.float32]

#: Pixels this far from the background are drawn colour, not mix: clean pictures, and JPEG ones
#: (whose colour planes are blurred over two pixels and whose edges ring).
CLEAN_REACH, RINGING_REACH = 2.0, 4.0
#: Alpha below and above which the ringing of JPEG is taken for background and subject.
_RINGING_FLOOR, _RINGING_CEILING = 0.10, 0.90
#: Cost (levels of 255) of a drawn colour from the palette against the one next to the pixel.
_PALETTE_COST = 2.0
#: A pixel farther than this share of its own contrast from every mix is no mix.
_STRANGE = 0.35
#: Less than this share of an edge's contrast, on the wrong side of the background, is overshoot.
_OVERSHOOT = 0.20
#: More than this share of the subject's contrast is no ringing: shading, glow, shadow.
_MOST_RINGING = 0.25
_PALETTE_SIZE = 16
_PALETTE_SAMPLE = 100_000
_CHUNK = 1 << 18
_STRIP = 256
#: A background noisier than this is treated as if it rang: edges are soft by more than one pixel.
_CALM = 3.0
#: The foot of a wide soft edge turns at fewer of its pixels than this; ringing at more.
_TURNING = 0.10
_CLEAN_SPACE = np.eye(3, dtype=np.float32)
#: Luma and halved colour differences (BT.601): JPEG keeps luma sharp and blurs the others.
_RINGING_SPACE = np.array(
    [[0.518, -0.084, 0.25], [1.017, -0.166, -0.209], [0.198, 0.25, -0.041]], np.float32
)


class Noise(NamedTuple):
    """What the background's pixels do that a drawing's would not, in levels of 255.

    ``level`` is the distance to the backdrop that is still background; ``ringing`` says that the
    disturbance lies around the subject, as JPEG's does.
    """

    level: float
    ringing: bool


def distance_to(levels: Tensor, backdrop: Backdrop) -> NDArray[np.uint8]:
    """Largest channel difference between ``levels`` (H, W, 3) uint8 and the background, (H, W)."""
    height, width = levels.shape[:2]
    out = np.empty((height, width), np.uint8)
    field = np.empty((0, 0, 3), np.uint8)
    for top in range(0, height, _STRIP):
        rows = slice(top, min(top + _STRIP, height))
        if not backdrop.flat or len(field) != rows.stop - rows.start:
            field = np.rint(backdrop.window(rows, slice(None))).astype(np.uint8)
        parts = cv2.split(cv2.absdiff(np.ascontiguousarray(levels[rows]), field))
        out[rows] = cv2.max(cv2.max(parts[0], parts[1]), parts[2])
    return out


def measure_noise(distance: NDArray[np.uint8], spread: float) -> Noise:
    """How far background pixels stray, from ``distance_to`` and the spread of the fit.

    Looks at the ring 4 to 8 pixels around what is surely subject: blank in a clean drawing. What
    only falls there is the foot of a wide soft edge; ringing and grain rise and fall.
    """
    level = 0.0 if spread <= 0.5 else 1.5 * spread + 0.5
    strong = max(24.0, 4 * level)
    away = cv2.distanceTransform((distance <= strong).view(np.uint8), cv2.DIST_L2, 3)
    around = (away > 3.5) & (away < 8)
    ring = distance[around]
    if ring.size < 50:
        return Noise(level, level > _CALM)
    reach, tail = (float(q) for q in np.quantile(ring, (0.98, 0.995)))
    if reach > _MOST_RINGING * float(np.median(distance[distance > strong])):
        return Noise(level, False)
    if reach <= level + 1.5 and tail <= 1.3 * level + 1.5:
        return Noise(level, level > _CALM)
    if _restless(distance, around) >= _TURNING:
        return Noise(max(level, reach), True)
    # The foot of a soft edge has ended farther out; what a backdrop does not follow has not.
    outer = distance[(away > 7) & (away < 9)]
    beyond = float(np.quantile(outer, 0.98)) if outer.size else 0.0
    return Noise(max(level, beyond), max(level, beyond) > _CALM)


def _restless(distance: NDArray[np.uint8], where: NDArray[np.bool_]) -> float:
    """Share of the pixels ``where`` at which ``distance`` turns along its row or its column."""
    turning = np.zeros_like(where)
    for values, turn in ((distance, turning), (distance.T, turning.T)):
        before, here, after = values[:-2], values[1:-1], values[2:]
        turn[1:-1] |= ((here > before) & (here > after)) | ((here < before) & (here < after))
    return float(np.mean(turning[where]))


def unmix(
    rgb: Rgb,
    distance: NDArray[np.uint8],
    subject: NDArray[np.bool_],
    ramps: Ramps,
    backdrop: Backdrop,
    noise: Noise,
) -> tuple[Alpha, Rgb]:
    """Matte (H, W) float32 and straight colours like ``rgb`` of a drawing on ``backdrop``.

    What lies between ``subject`` and the core of ``ramps`` is un-mixed, however wide it is.
    """
    core = ramps.core
    alpha = subject.astype(np.float32)
    foreground: Tensor = np.array(rgb, order="C")
    soft = np.flatnonzero(subject & ~core)
    if soft.size == 0:
        return alpha, foreground
    to_core, nearest = _nearest(core, soft)
    palette = find_palette(foreground, core, np.where(subject, distance, 0))
    width = ramps.width.reshape(-1)
    flat_alpha, flat_rgb = alpha.reshape(-1), foreground.reshape(-1, 3)
    scale = np.float32(255 / full_scale(rgb))
    source = rgb.reshape(-1, 3)
    for start in range(0, soft.size, _CHUNK):
        at = soft[start : start + _CHUNK]
        mixed = source[at].astype(np.float32) * scale
        behind = backdrop.at(*np.divmod(at, rgb.shape[1]))
        here = slice(start, start + _CHUNK)
        beside = source[nearest[here]].astype(np.float32) * scale
        far = to_core[here] > 3 * width[at]
        share, colour = _solve(mixed, behind, beside, far, palette, noise)
        flat_alpha[at] = share
        mix = (share > 0) & (share < 1)
        straight = colour[mix] / scale
        flat_rgb[at[mix]] = np.rint(straight) if rgb.dtype.kind == "u" else straight
    return alpha, foreground


def find_palette(rgb: Rgb, core: NDArray[np.bool_], contrast: Tensor) -> Colours:
    """The commonest drawn colours, (N, 3) in levels of 255, N from 1 to 16.

    From ``core`` pixels; if a drawing has (next to) none, being all thin strokes, from the crests
    of the strokes: the pixels farthest from the background around.
    """
    if np.count_nonzero(core) < 0.02 * np.count_nonzero(contrast):
        core = (contrast > 0) & (contrast >= cv2.dilate(contrast, np.ones((3, 3), np.uint8)))
    drawn = rgb[core]
    drawn = drawn[:: 1 + drawn.shape[0] // _PALETTE_SAMPLE].astype(np.float32) * (
        255 / full_scale(rgb)
    )
    cell = np.minimum(drawn, 255).astype(np.int32) >> 3
    key = (cell[:, 0] << 10) | (cell[:, 1] << 5) | cell[:, 2]
    counts = np.bincount(key, minlength=1 << 15).reshape(32, 32, 32)
    found = []
    for _ in range(_PALETTE_SIZE):
        place = np.unravel_index(int(counts.argmax()), counts.shape)
        if counts[place] < max(4, 0.003 * len(drawn)):
            break
        around = tuple(slice(max(i - 1, 0), i + 2) for i in place)
        counts[around] = 0
        close = np.abs(cell - np.array(place)).max(axis=1) <= 1
        found.append(np.median(drawn[close], axis=0))
    if not found:
        found = [np.median(drawn, axis=0)]
    return np.array(found, np.float32)


def find_subject(distance: NDArray[np.uint8], noise: Noise) -> NDArray[np.bool_]:
    """Pixels that are not background. On a noisy one, only pieces that stand out somewhere."""
    subject: NDArray[np.bool_] = distance > noise.level
    if noise.level == 0:
        return subject
    _, labels = cv2.connectedComponents(subject.view(np.uint8), connectivity=8)
    kept = np.zeros(int(labels.max()) + 1, bool)
    kept[labels[distance > max(FAINT, 2 * noise.level)]] = True
    kept[0] = False
    standing: NDArray[np.bool_] = kept[labels]
    return standing


def _nearest(core: NDArray[np.bool_], wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Distance to the nearest core pixel and its flat index, for the flat indices ``wanted``."""
    if not core.any():
        return np.full(wanted.size, np.inf, np.float32), np.zeros(wanted.size, np.intp)
    to_core, labels = cv2.distanceTransformWithLabels(
        (~core).view(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    places = np.flatnonzero(core)
    flat = labels.reshape(-1)
    index = np.zeros(int(flat.max()) + 1, np.intp)
    index[flat[places]] = places
    return to_core.reshape(-1)[wanted], index[flat[wanted]]


def _solve(
    mixed: Colours,
    behind: Colours,
    beside: Colours,
    far: NDArray[np.bool_],
    palette: Colours,
    noise: Noise,
) -> tuple[Alpha, Colours]:
    """Alpha (N,) and drawn colours (N, 3) of pixels ``mixed`` on colours ``behind`` them.

    Of the drawn colour beside a pixel and those of the palette, the one wins on whose line from
    the background the pixel lies; colours that would need more than full alpha lose.
    """
    space = _RINGING_SPACE if noise.ringing else _CLEAN_SPACE
    contrast = (mixed - behind) @ space
    strength = np.sqrt((contrast**2).sum(axis=1))
    best_cost = np.full(len(mixed), np.inf, np.float32)
    best_share = np.ones(len(mixed), np.float32)
    best_miss = np.full(len(mixed), np.inf, np.float32)
    span = np.zeros(len(mixed), np.float32)
    colour = mixed.copy()
    for entry in range(-1, len(palette)):
        drawn = beside if entry < 0 else np.broadcast_to(palette[entry], mixed.shape)
        line = (drawn - behind) @ space
        length = np.maximum((line**2).sum(axis=1), 1e-6)
        share = (contrast * line).sum(axis=1) / length
        miss = np.sqrt(((contrast - np.clip(share, 0, 1)[:, None] * line) ** 2).sum(axis=1))
        cost = miss + (_PALETTE_COST if entry >= 0 else np.where(far, 6, 0))
        better = (cost < best_cost) & (length > (2 * noise.level + 4) ** 2 * 0.25)
        best_cost[better], best_share[better] = cost[better], share[better]
        best_miss[better], colour[better] = miss[better], drawn[better]
        span[better] = np.sqrt(length[better])
    # Sharpened and enlarged edges overshoot to the far side of the background.
    over = (best_share < 0) & (strength < _OVERSHOOT * span)
    share = np.clip(best_share, 0, 1)
    allowed = np.maximum(strength, span) if noise.ringing else strength
    strange = (best_miss > np.maximum(_STRANGE * allowed, 3 + noise.level)) & ~over
    share[strange], colour[strange] = 1, mixed[strange]
    if noise.ringing:
        share = (share - _RINGING_FLOOR) / (_RINGING_CEILING - _RINGING_FLOOR)
    share = np.clip(share, 0, 1)
    share[share < 1 / 255] = 0
    share[share > 1 - 1 / 255] = 1
    return share.astype(np.float32), colour
