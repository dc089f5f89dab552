"""Whom to believe: how mattes of several networks are weighed against each other.

The figures were fitted on the open half of the evaluation pictures (docs/accuracy.md), by set, with
every foreground left out of the fit that judged it; none is set for a single picture.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cleancut.imaging.resize import halved

if TYPE_CHECKING:
    from cleancut.arrays import Alpha, Tensor

#: Mattes of all sizes are compared on a grid of this many pixels a side.
_GRID = 160
#: Keeps shares of nearly nothing from being noise, in pixels of the grid.
_FLOOR = 20.0
#: From the first softness on a general network is unsure and a second one gets a say; from the
#: other on, all the say that its own certainty earns it.
UNSURE, LOST = 0.45, 1.0
#: Between these two trusts neither network is believed alone.
_TRUSTED = (0.4, 0.6)
#: Weights of ``portrait_trust``: constant, steadiness, certainty and agreement.
_TRUST = (0.98, 1.23, -1.52, 1.69)


def on_grid(alpha: Alpha) -> Alpha:
    """``alpha`` (h, w) squeezed onto the square grid that agreements are measured on."""
    while min(alpha.shape) >= 3 * _GRID:
        alpha = halved(alpha)
    small: Tensor = cv2.resize(alpha, (_GRID, _GRID), interpolation=cv2.INTER_AREA)
    return small


def agreement(one: Alpha, other: Alpha) -> float:
    """Soft intersection over union of two mattes of any sizes, 0..1: sum of min by sum of max."""
    a, b = on_grid(one), on_grid(other)
    return float((np.minimum(a, b).sum() + _FLOOR) / (np.maximum(a, b).sum() + _FLOOR))


def softness(alpha: Alpha) -> float:
    """How undecided a matte is: its sum of 4a(1-a) by its sum of a, from 0 up.

    Sharp mattes of solid subjects lie near .1, hair near .2, a network that has not found its
    subject beyond .3.
    """
    a = on_grid(alpha)
    return float(((4 * a * (1 - a)).sum() + _FLOOR / 4) / (a.sum() + _FLOOR))


def resized(alpha: Alpha, like: Alpha) -> Alpha:
    """``alpha`` at the size of ``like``: area means down, cubic up, in 0..1."""
    if alpha.shape == like.shape:
        return alpha
    grows = alpha.size < like.size
    how = cv2.INTER_CUBIC if grows else cv2.INTER_AREA
    out: Tensor = cv2.resize(alpha, (like.shape[1], like.shape[0]), interpolation=how)
    return np.clip(out, 0, 1, out=out)


def with_second_opinion(general: Alpha, second: Alpha) -> Alpha:
    """``general``, drawn towards ``second`` (any size) the less decided it is.

    A soft answer of a saliency network means that it has not made up its mind what the subject is.
    A decided one is left alone; where it is lost both weigh as measurements do that are off by
    their softness: by its inverse square. So a second opinion that is no opinion changes little.
    """
    doubt = softness(general)
    lost = _ramp(doubt, UNSURE, LOST)
    if lost == 0:
        return general
    return mixed(general, second, lost * doubt**2 / (doubt**2 + softness(second) ** 2))


def mixed(one: Alpha, other: Alpha, share: float) -> Alpha:
    """``one`` with ``share`` (0..1) of ``other`` (any size), at the size of ``one``."""
    weight = np.float32(share)
    out: Alpha = one * (1 - weight)
    out += weight * resized(other, one)
    return out


def middle(one: Alpha, two: Alpha, three: Alpha) -> Alpha:
    """Pixel by pixel the middle one of three mattes, at the size of ``one``.

    What two of three say: a network's slip in one place is outvoted there and nowhere else.
    """
    b, c = resized(two, one), resized(three, one)
    low, high = np.minimum(one, b), np.maximum(one, b)
    out: Alpha = np.clip(c, low, high)
    return out


def portrait_trust(steadiness: float, general_softness: float, agreement: float) -> float:
    """The chance (0..1) that the portrait network's matte is better than the general network's.

    ``steadiness`` is the agreement of the portrait network with itself at another input size: away
    from what it was trained on it falls apart. ``general_softness`` is the ``softness`` of the
    general network, ``agreement`` that between the two. Logistic, fitted to which of the two has
    the smaller error.
    """
    terms = (1.0, _logit(steadiness) / 2, -math.log(general_softness), _logit(agreement) / 2)
    score = sum(weight * term for weight, term in zip(_TRUST, terms, strict=True))
    return 1 / (1 + math.exp(-score))


def portrait_share(trust: float) -> float:
    """How much of the matte is the portrait network's, 0..1, by ``portrait_trust``.

    Near an even chance both have a share: a picture saved once more, or the next frame, must not
    come out as another subject because a figure has moved by its last digit.
    """
    return _ramp(trust, *_TRUSTED)


def _ramp(value: float, start: float, end: float) -> float:
    return min(max((value - start) / (end - start), 0.0), 1.0)


def _logit(share: float) -> float:
    share = min(max(share, 1e-3), 1.0)
    return math.log(share / (1.02 - share))
