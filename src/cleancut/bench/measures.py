"""The columns of accuracy: which figure means something for which truth. Plain data, no numpy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measure:
    """One column: ``key`` in JSON, ``title`` in tables, ``more`` where more is better.

    ``exact`` and ``binary`` say for which truths it is shown: with soft edges, or yes-or-no.
    ``about`` explains it in one sentence.
    """

    key: str
    title: str
    digits: int
    more: bool = False
    exact: bool = False
    binary: bool = False
    about: str = ""


MEASURES = (
    Measure(
        "mad", "MAD", 2, exact=True, binary=True,
        about="How far opacity is off on average over the whole picture, in thousandths.",
    ),
    Measure(
        "mse", "MSE", 2, exact=True,
        about="As MAD, but squared: few large errors weigh more than many small ones.",
    ),
    Measure(
        "sad", "SAD", 2, exact=True,
        about="All differences of opacity added up, in thousands of pixels: grows with the area.",
    ),
    Measure(
        "grad", "Grad", 4, exact=True,
        about="How much the steepness of edges differs from the truth's; grows with the area.",
    ),
    Measure(
        "conn", "Conn", 2, exact=True,
        about="What floats apart from the subject, or is torn from it; grows with the area.",
    ),
    Measure(
        "on_black", "on black", 2, exact=True,
        about="How far colours are off when the cutout is laid on black, in thousandths.",
    ),
    Measure(
        "on_white", "on white", 2, exact=True,
        about="How far colours are off when the cutout is laid on white, in thousandths.",
    ),
    Measure(
        "on_photo", "on photo", 2, exact=True,
        about="How far colours are off when the cutout is laid on a busy picture, in thousandths.",
    ),
    Measure(
        "iou", "IoU", 4, more=True, binary=True,
        about="What both agree is subject, as a share of what either takes for subject.",
    ),
    Measure(
        "boundary_f", "boundary F", 4, more=True, binary=True,
        about="Share of the outline that runs within 0.8 % of the diagonal of the true one.",
    ),
    Measure(
        "max_f", "max F", 4, more=True, exact=True, binary=True,
        about="F-score (precision and recall, beta² = 0.3) at the best threshold for the set.",
    ),
    Measure(
        "weighted_f", "weighted F", 4, more=True, exact=True, binary=True,
        about="F-score without a threshold, in which errors far from the subject weigh more.",
    ),
    Measure(
        "s_measure", "S", 4, more=True, exact=True, binary=True,
        about="Whether the shape as a whole is right: subject and background, and four regions.",
    ),
)  # fmt: skip
