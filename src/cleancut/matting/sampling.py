"""A first answer from the colours alone: which of those around would mix to what is seen.

After Wang and Cohen, "Optimized Color Sampling for Robust Matting", CVPR 2007: of pairs of a
foreground's and a background's colour those count that explain a pixel. Their answer is trusted as
far as they agree, and as far as they are right about pixels that are known.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cleancut.arrays import full_scale
from cleancut.matting.trimap import SURE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.arrays import Alpha, Rgb, Tensor

    Mask = NDArray[np.bool_]

#: Colours on each side, taken from so many pixels at most, and rounds of k-means.
_COLOURS, _SAMPLES, _ROUNDS = 8, 2000, 6
#: A pixel is explained by a mixture that it strays from by no more than this (full scale is 1).
_SIGMA = 0.015
#: Answers that vary by this much (a standard deviation of alpha) tell nothing.
_VAGUE = 0.2
#: Answers are tried on so many known pixels a side; if they are off by this much, they are nothing.
_TRIED, _WORTHLESS = 800, 0.3
#: The unknown pixels are looked at in a picture where they are no more than this.
_MOST_UNKNOWN = 5000


def sample(rgb: Rgb, alpha: Alpha, unknown: Mask) -> tuple[Alpha, Alpha] | None:
    """What the colours say of the ``unknown`` pixels (H, W), and how far that can be trusted.

    Both are (H, W) in 0..1; only what they hold at unknown pixels means something. Colours are
    taken from all other pixels of ``rgb`` (H, W, 3) that ``alpha`` is sure of. None where it is
    sure of hardly any subject, or of hardly any background.
    """
    height, width = unknown.shape
    scale = min(1.0, math.sqrt(_MOST_UNKNOWN / max(int(np.count_nonzero(unknown)), 1)))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))

    def shrunk(plane: Tensor) -> Tensor:
        small: Tensor = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
        return small

    colours = shrunk(rgb).astype(np.float32) / np.float32(full_scale(rgb))
    there = shrunk(unknown.astype(np.float32)) > 0
    level = shrunk(np.where(unknown, np.float32(0.5), alpha))
    subject, backdrop = (colours[~there & sure] for sure in (level > 1 - SURE, level < SURE))
    near, far = _main_colours(subject), _main_colours(backdrop)
    if near is None or far is None:
        return None
    planes = np.zeros((2, *there.shape), np.float32)
    planes[:, there] = _mixed(colours[there], near, far)
    wrong = max(_mistaken(subject, 1, near, far), _mistaken(backdrop, 0, near, far))
    planes[1] *= max(0.0, 1 - wrong / _WORTHLESS)
    guess, trust = (
        np.clip(cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR), 0, 1)
        for plane in planes
    )
    return guess, trust


def _main_colours(pixels: Tensor) -> Tensor | None:
    """The main colours (K, 3) of ``pixels`` (N, 3), by k-means; None of too few."""
    if len(pixels) < 2 * _COLOURS:
        return None
    some = pixels[:: math.ceil(len(pixels) / _SAMPLES)]
    # Started along the axis of greatest variation, so that the same pixels give the same colours.
    axis = np.linalg.eigh(np.cov(some.T.astype(np.float64)))[1][:, -1].astype(np.float32)
    parts = np.array_split(some[np.argsort(some @ axis, kind="stable")], _COLOURS)
    centres: Tensor = np.stack([part.mean(axis=0) for part in parts])
    for _ in range(_ROUNDS):
        nearest = _apart(some, centres).argmin(axis=1)
        count = np.bincount(nearest, minlength=_COLOURS)
        sums = np.stack([np.bincount(nearest, band, _COLOURS) for band in some.T], axis=1)
        filled = count > 0
        centres[filled] = sums[filled] / count[filled, None]
    return centres


def _apart(pixels: Tensor, centres: Tensor) -> Tensor:
    """(N, K) squared distances, less the pixels' own squares."""
    apart: Tensor = (centres**2).sum(axis=1) - 2 * pixels @ centres.T
    return apart


def _mistaken(pixels: Tensor, truth: int, near: Tensor, far: Tensor) -> float:
    """How far the answer for ``pixels`` (N, 3), all of which have one alpha, is off on average."""
    alpha, trust = _mixed(pixels[:: math.ceil(len(pixels) / _TRIED)], near, far)
    return float((trust * np.abs(alpha - truth)).sum() / max(float(trust.sum()), 1e-6))


def _mixed(pixels: Tensor, near: Tensor, far: Tensor) -> tuple[Tensor, Tensor]:
    """Alpha (N,) and trust (N,) of ``pixels`` (N, 3) between two sets of colours (K, 3)."""
    total = np.full(len(pixels), 1e-9, np.float32)
    first, second = np.zeros_like(total), np.zeros_like(total)
    best = np.full(len(pixels), np.inf, np.float32)
    for back in far:
        apart = pixels - back
        for front in near:
            axis = front - back
            length = np.float32(axis @ axis + 1e-6)
            share = np.clip(apart @ axis / length, 0, 1)
            stray = apart - share[:, None] * axis
            cost = np.einsum("ij,ij->i", stray, stray) / np.float32(2 * _SIGMA**2)
            weight = np.exp(-cost)
            total += weight
            first += weight * share
            # Between colours that are hardly apart any alpha would do.
            second += weight * (share * share + np.float32(_SIGMA**2) / length)
            np.minimum(best, cost, out=best)
    alpha = first / total
    vague = (second / total - alpha * alpha) / np.float32(_VAGUE**2)
    return np.clip(alpha, 0, 1), np.exp(-best) * np.clip(1 - vague, 0, 1)
