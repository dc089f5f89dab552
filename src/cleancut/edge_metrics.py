"""What the edges of a matte are like beside the truth's: hair, hardness, steps, blur.

Measures over a whole picture (``metrics``) hardly see edges, which are a few percent of it. All
reaches are shares of the picture's diagonal, so that a picture and its enlargement score alike.
Answers are (H, W) float32 in 0..1, straight, of the truth's size (else ``BadArray``); a measure is
None where the truth has no such edge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cleancut.arrays import check_alpha
from cleancut.errors import BadArray
from cleancut.metrics import contour, distance_to

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.arrays import Alpha

    Mask = NDArray[np.bool_]
    Plane = NDArray[np.float32]

#: A pixel is soft between these; half-transparent between those.
_SOFT = 0.02, 0.98
_HALF = 0.1, 0.9
#: Half the side of the neighbourhood that tells hair from a plain edge, as a share of the diagonal,
#: and the share of it that must be soft: a plain edge is 2 to 4 pixels of the 19 of a 1 MP picture.
_HAIR_REACH, _HAIR_SHARE = 0.006, 0.5
#: Hair counts where at least this share of the outline runs through it, as do clean edges.
_LEAST = 0.1
#: How far an answer's edge may be off and is still this edge (as ``metrics.boundary_f``), and the
#: deviation of the Gaussian in which it is looked at; shares of the diagonal.
_EDGE_REACH, _WINDOW = 0.008, 0.004
#: The share of the clean outline that an answer must find, to say anything about it.
_FOUND = 0.5
_EPS = 1e-6


@dataclass(frozen=True, slots=True)
class TrueEdges:
    """What is to be known of a truth, made once for all its answers.

    ``hair`` covers hair, fur and whatever else is soft over a width, None where less than a tenth
    of the outline is; ``clean`` the neighbourhood of the outline far from any hair, likewise;
    ``along`` is what the truth itself varies along its edges and ``whole`` all of it, within
    ``box`` (rows, columns), which holds ``clean``.
    """

    truth: Alpha
    hair: Mask | None
    clean: Mask | None
    box: tuple[slice, slice]
    outline: Mask
    along: Plane
    whole: Plane
    reach: int
    sigma: float

    @classmethod
    def of(cls, truth: Alpha) -> TrueEdges:
        """For a true matte (H, W) with soft edges."""
        check_alpha(truth, "truth")
        diagonal = math.hypot(*truth.shape)
        reach = math.ceil(_EDGE_REACH * diagonal)
        sigma = max(1.0, _WINDOW * diagonal)
        outline = contour(truth >= 0.5)
        hair = _hair(truth, max(3, round(_HAIR_REACH * diagonal)))
        clean_outline = outline & ~_wider(hair, 2 * reach)
        size = max(1, int(outline.sum()))
        clean = _wider(clean_outline, reach)
        box = _box(clean, math.ceil(3 * sigma))
        along, whole = _energies(truth[box], sigma)
        # A detail of the truth excuses what is near it: an answer may be off by a little.
        kernel = np.ones((2 * round(sigma) + 1,) * 2, np.uint8)
        return cls(
            truth=truth,
            hair=hair if (hair & outline).sum() >= _LEAST * size else None,
            clean=clean if clean_outline.sum() >= _LEAST * size else None,
            box=box,
            outline=clean_outline,
            along=np.asarray(cv2.dilate(along, kernel), np.float32),
            whole=whole,
            reach=reach,
            sigma=sigma,
        )


def soft_band_mad(alpha: Alpha, edges: TrueEdges) -> float | None:
    """Mean absolute difference x 1000 within the truth's hair; None where there is none.

    Hair is where half of the neighbourhood (1.2 % of the diagonal wide) is soft, widened by half of
    that: so gaps between strands count, and plain anti-aliased edges do not.
    """
    _check(alpha, edges)
    if edges.hair is None:
        return None
    off = np.abs(alpha[edges.hair] - edges.truth[edges.hair])
    return 1000.0 * float(off.mean(dtype=np.float64))


def hardness(alpha: Alpha, edges: TrueEdges) -> float | None:
    """Share in % of the hair's half-transparent pixels (0.1..0.9) that are answered with 0 or 1.

    Below 0.02 is 0 and above 0.98 is 1. None where there is no hair.
    """
    _check(alpha, edges)
    if edges.hair is None:
        return None
    half = edges.hair & (edges.truth > _HALF[0]) & (edges.truth < _HALF[1])
    answers = alpha[half]
    if answers.size == 0:
        return None
    return 100.0 * float(((answers < _SOFT[0]) | (answers > _SOFT[1])).mean())


def jaggedness(alpha: Alpha, edges: TrueEdges) -> float | None:
    """Steps, blocks and noise along clean edges, in % of the edges' energy beyond the truth's.

    Opacity should change across an edge and not along it. The structure tensor (Bigun and Granlund,
    "Optimal Orientation Detection of Linear Symmetry", ICCV 1987) splits the gradient's energy in a
    Gaussian window into both; what lies along the edge, beyond what the truth has there, is summed
    over the neighbourhood of the clean outline. A smooth edge has 0 wherever it runs and however
    soft it is. None where there is no clean outline, or the answer finds less than half of it.
    """
    if (looked := _at_clean_edges(alpha, edges)) is None:
        return None
    along, whole, band = looked
    beyond = np.maximum(along - edges.along, 0)[band].sum(dtype=np.float64)
    return 100.0 * float(beyond / (whole[band].sum(dtype=np.float64) + _EPS))


def blur(alpha: Alpha, edges: TrueEdges) -> float | None:
    """How many times wider clean edges are than the truth's, 1 or more; None as ``jaggedness``.

    A ramp from 0 to 1 over w pixels has a gradient's energy of 1 / w a pixel of outline, so the
    ratio of both energies is that of the widths. To a 3 x 3 derivative nothing is narrower than two
    pixels; edges harder than the truth's count as 1.
    """
    if (looked := _at_clean_edges(alpha, edges)) is None:
        return None
    _, whole, band = looked
    true = edges.whole[band].sum(dtype=np.float64)
    return max(1.0, float(true / (whole[band].sum(dtype=np.float64) + _EPS)))


def _at_clean_edges(alpha: Alpha, edges: TrueEdges) -> tuple[Plane, Plane, Mask] | None:
    """The answer's energies within ``edges.box``, and where they count; None if it has no edge."""
    _check(alpha, edges)
    if edges.clean is None:
        return None
    part = alpha[edges.box]
    found = distance_to(contour(part >= 0.5)) <= edges.reach
    if found[edges.outline[edges.box]].mean() < _FOUND:
        return None
    return *_energies(part, edges.sigma), edges.clean[edges.box] & found


def _check(alpha: Alpha, edges: TrueEdges) -> None:
    if check_alpha(alpha).shape != edges.truth.shape:
        raise BadArray(
            f"matte {alpha.shape[1]}x{alpha.shape[0]} and truth {edges.truth.shape[1]}x"
            f"{edges.truth.shape[0]} differ in size",
            hint="score a matte at the size of the picture",
        )


def _hair(truth: Alpha, reach: int) -> Mask:
    soft = ((truth > _SOFT[0]) & (truth < _SOFT[1])).astype(np.float32)
    side = 2 * reach + 1
    dense = cv2.boxFilter(soft, cv2.CV_32F, (side, side), borderType=cv2.BORDER_REFLECT)
    # The outermost of it sees fewer soft neighbours.
    return _wider(np.asarray(dense >= _HAIR_SHARE), reach)


def _wider(mask: Mask, reach: int) -> Mask:
    if not mask.any():
        return np.zeros_like(mask)
    return np.asarray(distance_to(mask) <= reach)


def _box(mask: Mask, margin: int) -> tuple[slice, slice]:
    """Rows and columns that hold all of ``mask`` and a margin; one pixel if it is empty."""
    sides = []
    for axis in (1, 0):
        places = np.flatnonzero(mask.any(axis=axis))
        first, last = (int(places[0]), int(places[-1])) if places.size else (0, 0)
        sides.append(slice(max(0, first - margin), last + 1 + margin))
    return sides[0], sides[1]


def _energies(alpha: Alpha, sigma: float) -> tuple[Plane, Plane]:
    """The gradient's energy along the edge, and all of it, in a Gaussian window."""
    x, y = (
        cv2.Scharr(alpha, cv2.CV_32F, one, 1 - one, scale=1 / 32, borderType=cv2.BORDER_REPLICATE)
        for one in (1, 0)
    )
    xx, yy, xy = (
        cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
        for plane in (x * x, y * y, x * y)
    )
    whole = np.asarray(xx + yy)
    across = np.hypot(xx - yy, 2 * xy)
    return np.maximum(whole - across, 0) / 2, whole
