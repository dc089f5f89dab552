"""How sure a matte is, and why not.

No network says when it is wrong, but its matte and its peers do. Of the signs tried (indecision,
disagreement, steadiness, contours off the picture's edges, pieces, touch of the frame, size) two
carry all that could be measured: how undecided the matte is, and how far another network's matte is
from it; the latter is what Zenk et al. (arXiv 2406.03323, 2024) found best for segmentation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Constant, certainty, agreement, and what having nobody to compare with takes off: logistic
#: regression on whether IoU reaches .9, over the open half of the evaluation pictures.
_WEIGHTS = (-2.49, 2.42, 0.31, -0.34)
#: A reason is named from here on.
_SOFT, _APART = 0.35, 0.85


@dataclass(frozen=True, slots=True)
class Confidence:
    """``value`` (0..1) is the estimated chance that the matte's IoU with the truth is .9 or more.

    ``reasons`` are "code: explanation" lines on what speaks against it; none where all is well.
    """

    value: float
    reasons: tuple[str, ...] = ()


def judge_matte(softness: float, agreement: float | None) -> Confidence:
    """Confidence from ``fusion.softness`` of the matte and its agreement with another network's.

    ``agreement`` is the soft IoU (0..1) with the nearest other answer, None where only one network
    was asked.
    """
    certainty = -math.log(softness + 0.02)
    compared = 0.0 if agreement is None else _logit(agreement) / 2 - 1.5
    terms = (1.0, certainty, compared, float(agreement is None))
    score = sum(weight * term for weight, term in zip(_WEIGHTS, terms, strict=True))
    reasons = []
    if softness > _SOFT:
        reasons.append("undecided: the network has not made up its mind what the subject is")
    if agreement is not None and agreement < _APART:
        reasons.append(f"disagreement: the networks overlap by {agreement:.0%} only")
    return Confidence(1 / (1 + math.exp(-score)), tuple(reasons))


def _logit(share: float) -> float:
    share = min(max(share, 0.0), 1.0)
    return math.log((share + 0.01) / (1.03 - share))
