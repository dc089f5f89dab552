"""Smooth foreground and background colours of a small picture with a soft matte.

Blur fusion: Forte and Pitié, "Approximate Fast Foreground Colour Estimation", ICIP 2021, seeded
and corrected as ``foreground.estimate_foreground`` says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cleancut.arrays import Alpha, Tensor

    Planes = NDArray[np.float32]

#: Box widths in pixels of a picture of ``REFERENCE_PIXELS``, coarse to fine.
_SEED_WIDTHS = (1200.0, 300.0, 75.0)
_FUSION_WIDTHS = (20.0, 8.0, 5.0)
REFERENCE_PIXELS = 1_500_000
#: How strongly a pixel's colour counts as foreground: alpha to this power.
_SEED_POWER = 12
_FUSION_POWER = 6
#: Weight of the coarser level where a finer one has found next to nothing.
_PRIOR = 0.05
#: Veils may have another colour than what is opaque: sure pixels within the first width speak
#: against that, the colour is averaged over the second, and must differ by about ``_TELLING``.
_VEIL_NEAR, _VEIL_WIDTH, _TELLING = 75.0, 300.0, 0.3
#: Alpha squared counts against this, so that faint mixtures say little; and what is fainter than
#: a veil is haze, which shows least in the subject's own colour.
_VEIL_FLOOR, _VEIL_FAINT = 0.03, 0.3
_FARTHEST_PRIOR = np.float32(1e-7)
#: Wide averages are made in a picture this many times smaller again, if it is not tiny then.
_COARSE, _TINY_PX = 4, 64


def fuse(
    image: Sequence[Alpha], alpha: Alpha, scale: float, box: tuple[slice, slice]
) -> tuple[list[Alpha], list[Alpha]]:
    """Smooth foreground and background inside ``box`` of a small picture, channel by channel.

    ``image`` are its channels and ``alpha`` the matte, each (h, w) in 0..1; so are the answers,
    cut to ``box``. ``scale`` turns a width at reference size into pixels of ``image``.
    """
    reach = int(sum(_FUSION_WIDTHS) * scale) + 2
    wider = (
        slice(max(0, box[0].start - reach), box[0].stop + reach),
        slice(max(0, box[1].start - reach), box[1].stop + reach),
    )
    foreground, background = _seeds(image, alpha, scale, wider)
    part, matte = [plane[wider] for plane in image], alpha[wider]
    for width in _FUSION_WIDTHS:
        _fuse_once(part, matte, foreground, background, width * scale)
    top, left = box[0].start - wider[0].start, box[1].start - wider[1].start
    inner = (
        slice(top, top + box[0].stop - box[0].start),
        slice(left, left + box[1].stop - box[1].start),
    )
    return [plane[inner] for plane in foreground], [plane[inner] for plane in background]


def _fuse_once(
    image: Sequence[Alpha],
    alpha: Alpha,
    foreground: list[Alpha],
    background: list[Alpha],
    width: float,
) -> None:
    """One round of the paper's, in place; one channel at a time stays in the processor's cache."""
    clear = 1 - alpha
    gain = 1 / (alpha * alpha + clear * clear)
    sides = []
    for share, colours in ((alpha, foreground), (clear, background)):
        weight: Tensor = cv2.pow(share, _FUSION_POWER)
        total = _mean(weight, width)
        total += _FARTHEST_PRIOR
        sides.append((share * gain, weight, np.divide(1, total, out=total), colours))
    rest, part = np.empty_like(alpha), np.empty_like(alpha)
    for channel, plane in enumerate(image):
        np.subtract(plane, np.multiply(alpha, foreground[channel], out=part), out=rest)
        rest -= np.multiply(clear, background[channel], out=part)
        for push, weight, total, colours in sides:
            colour = colours[channel]
            np.multiply(push, rest, out=part)
            part += colour
            np.clip(part, 0, 1, out=part)
            part *= weight
            colour *= _FARTHEST_PRIOR
            colour += _mean(part, width)
            colour *= total


def _seeds(
    image: Sequence[Alpha], alpha: Alpha, scale: float, box: tuple[slice, slice]
) -> tuple[list[Alpha], list[Alpha]]:
    """Inside ``box``, colours of the weightiest pixels around each, the nearest that there are."""
    height, width = alpha.shape
    shrink = _COARSE if min(height, width) >= _TINY_PX else 1
    scale /= shrink

    def resized(plane: Tensor, size: tuple[int, int], how: int) -> Tensor:
        if plane.shape == (size[1], size[0]):
            return plane
        answer: Tensor = cv2.resize(plane, size, interpolation=how)
        return answer

    def coarse(plane: Tensor) -> Tensor:
        return resized(plane, (width // shrink, height // shrink), cv2.INTER_AREA)

    def weighted(weight: Tensor) -> Planes:
        return np.stack([coarse(plane * weight) for plane in image])

    def enlarged(planes: Planes) -> list[Alpha]:
        return [resized(p, (width, height), cv2.INTER_LINEAR)[box].copy() for p in planes]

    clear = 1 - alpha
    plain = np.stack([coarse(plane) for plane in image])
    surely = cv2.pow(alpha, _SEED_POWER), cv2.pow(clear, _SEED_POWER)
    weights = coarse(surely[0]), coarse(surely[1])
    sides = [
        _spread(weighted(sure), weight, plain, scale)
        for sure, weight in zip(surely, weights, strict=True)
    ]
    soft = alpha * clear
    heavy = soft * alpha
    share, left = coarse(heavy * alpha), coarse(heavy * clear)
    rest: Tensor = weighted(heavy) - share * sides[0] - left * sides[1]
    shift = _veil(rest, share + np.float32(_VEIL_FLOOR) * coarse(soft), weights[0], scale)
    faint = np.minimum(alpha[box] * np.float32(1 / _VEIL_FAINT), 1) ** 2
    foreground = enlarged(sides[0])
    for plane, more in zip(foreground, enlarged(shift), strict=True):
        more *= faint
        plane += more
        np.clip(plane, 0, 1, out=plane)
    return foreground, enlarged(sides[1])


def _spread(weighted: Planes, weight: Tensor, plain: Planes, scale: float) -> Planes:
    """Mean colours in boxes that become smaller, each filling in where the next finds nothing."""
    colour, prior = plain, _FARTHEST_PRIOR
    for box in _SEED_WIDTHS:
        total = 1 / (_mean(weight, box * scale) + prior)
        pairs = zip(weighted, colour, strict=True)
        colour = np.stack([(_mean(w, box * scale) + prior * c) * total for w, c in pairs])
        prior = np.float32(_PRIOR)
    return colour


def _veil(rest: Tensor, total: Tensor, sure: Tensor, scale: float) -> Planes:
    """By how much foreground is to be corrected far from sure pixels, (3, h, w).

    There wide mixtures may clearly contradict it: least squares for one shift of F in a wide box,
    then shrunk (James and Stein); what is no larger than ``_TELLING`` may as well be the unknown
    background. ``rest`` is what the mixing equation leaves over, ``total`` its weight.
    """
    far = _PRIOR / (_mean(sure, _VEIL_NEAR * scale) + np.float32(_PRIOR))
    total = _mean(total, _VEIL_WIDTH * scale) + np.float32(1e-5)
    shift: Planes = np.stack([_mean(plane, _VEIL_WIDTH * scale) / total for plane in rest])
    largest = np.maximum(np.abs(shift).max(axis=0), np.float32(_TELLING))
    shift *= 1 - np.float32(_TELLING**2) / (largest * largest)
    shift *= far
    return shift


def _mean(plane: Tensor, width: float) -> Tensor:
    odd = max(3, 2 * round((width - 1) / 2) + 1)
    blurry: Tensor = cv2.blur(plane, (odd, odd), borderType=cv2.BORDER_REPLICATE)
    return blurry
