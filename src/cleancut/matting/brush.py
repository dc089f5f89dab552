"""The soft rim of a brush: solved where colours tell its sides apart, a plain fall-off elsewhere.

A stroke that runs through one thing has the same colours within and beyond its rim. Any edge there
is as good as any other, and a solver follows the texture; a person expects a soft brush.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cleancut.arrays import full_scale

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.arrays import Alpha, Rgb, Tensor

    Mask = NDArray[np.bool_]

#: Two sides whose mean colours are no farther apart than the first are one thing, and two from the
#: second on; in standard deviations along the line that tells them apart best (Fisher, 1936).
_ONE, _TWO = 2.0, 4.0
#: Noise that no camera is without (standard deviation; full scale is 1).
_NOISE = 0.02
#: Colours are compared around each pixel as far as the rim is wide, in a copy where that is this.
_WIDE_PX = 8
#: No rim counts as wider.
_WIDEST_PX = 256


def rim_of(again: Mask, core: Mask) -> Mask:
    """What of ``again`` (H, W) hangs together with ``core`` (H, W): the rims of strokes."""
    count, labels = cv2.connectedComponents(again.view(np.uint8), connectivity=8)
    beside = cv2.dilate(core.view(np.uint8), np.ones((3, 3), np.uint8)) > 0
    touching = np.zeros(count, np.bool_)
    touching[labels[beside & again]] = True
    found: Mask = touching[labels] & again
    return found


def soft_rim(rgb: Rgb, alpha: Alpha, solved: Alpha, rim: Mask, core: Mask) -> Alpha:
    """``solved`` (H, W) with a plain fall-off in ``rim`` where ``rgb`` shows no edge.

    ``alpha`` (H, W) holds what a stroke decides at its ``core``, 0 or 1, and elsewhere the matte
    before it; from the one to the other the fall-off leads, as a smooth step.
    """
    result = solved.copy()
    out = _distance(rim | core)
    kept = alpha >= 0.5
    kinds = [(value, core & side) for value, side in ((1.0, kept), (0.0, ~kept))]
    to = [(value, kind, _distance(~kind)) for value, kind in kinds if kind.any()]
    nearest = np.minimum.reduce([away for _, _, away in to])
    for value, kind, away in to:
        own = rim & (away <= nearest)
        if not own.any():
            continue
        share = out[own] / (away[own] + out[own])
        strength = share * share * (3 - 2 * share)
        plain = alpha[own] + (np.float32(value) - alpha[own]) * strength
        width = min(float((away[own] + out[own]).max()), _WIDEST_PX)
        other = np.abs(alpha - value).astype(np.float32)
        other[rim | core] = 0
        trust = _apart(rgb, kind.astype(np.float32), other, width)[own]
        result[own] = plain + trust * (solved[own] - plain)
    return result


def _distance(inside: Mask) -> Alpha:
    """(H, W) to the nearest pixel that is not ``inside``, in pixels."""
    return cv2.distanceTransform(inside.view(np.uint8), cv2.DIST_L2, 5).astype(np.float32)


def _apart(rgb: Rgb, one: Alpha, other: Alpha, width: float) -> Alpha:
    """How surely the colours of two weighted sides (H, W) differ around each pixel, 0..1."""
    height, wide = one.shape
    scale = min(1.0, _WIDE_PX / width)
    size = max(1, round(wide * scale)), max(1, round(height * scale))
    reach = math.ceil(width * scale) + 1

    def around(plane: Tensor) -> Tensor:
        small = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
        total: Tensor = cv2.boxFilter(small, -1, (2 * reach + 1,) * 2, normalize=False)
        return total

    colours = rgb.astype(np.float32) / np.float32(full_scale(rgb))
    sides = []
    for weight in (one, other):
        count = around(weight)
        there = np.maximum(count, 1e-3)
        mean = around(colours * weight[..., None]) / there[..., None]
        square = np.empty((*count.shape, 3, 3), np.float32)
        for row, column in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)):
            product = around(colours[..., row] * colours[..., column] * weight) / there
            square[..., row, column] = square[..., column, row] = product
        sides.append((count, mean, square - mean[..., :, None] * mean[..., None, :]))
    (count, mean, spread), (others, their_mean, their_spread) = sides
    away = (mean - their_mean)[..., None]
    noise = (spread + their_spread) / 2 + np.float32(_NOISE**2) * np.eye(3, dtype=np.float32)
    apart = np.sqrt(np.maximum((away * np.linalg.solve(noise, away)).sum(axis=(2, 3)), 0))
    sure = np.clip((apart - _ONE) / (_TWO - _ONE), 0, 1)
    sure[(count < 0.5) | (others < 0.5)] = 0
    full: Alpha = cv2.resize(
        sure.astype(np.float32), (wide, height), interpolation=cv2.INTER_LINEAR
    )
    return full
