"""The figures of one picture, and their means over a set; ``bench.measures`` says what they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cleancut import metrics
from cleancut.matting.foreground import estimate_foreground

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.arrays import Alpha, Rgb

BLACK, WHITE = (0, 0, 0), (255, 255, 255)
#: Side of the picture that every photo background is a piece of, in pixels.
_PHOTO_SIDE = 512
_PHOTO_SEED = 3


@dataclass(frozen=True, slots=True)
class Truth:
    """What a picture's answers are held against, made once for all of them.

    ``foreground`` is estimated from the picture with the true matte: sets of real pictures hold no
    true colours. ``photo`` is the third background.
    """

    alpha: Alpha
    foreground: Rgb
    photo: Rgb
    binary: bool

    @classmethod
    def of(cls, rgb: Rgb, alpha: Alpha) -> Truth:
        """For a picture (H, W, 3) and its true matte (H, W)."""
        height, width = alpha.shape
        return cls(
            alpha,
            estimate_foreground(rgb, alpha),
            photo_background(height, width),
            metrics.is_binary(alpha),
        )


@dataclass(frozen=True, slots=True)
class Scored:
    """One answer for one picture.

    ``figures`` are by key of ``measures.MEASURES``, ``curve`` the F-measure by threshold,
    ``seconds`` what the answer took, where that is known.
    """

    set: str
    stem: str
    figures: Mapping[str, float]
    curve: NDArray[np.float64]
    seconds: float | None = None
    confidence: float | None = None
    notes: tuple[str, ...] = ()
    model: str = ""

    def to_dict(self) -> dict[str, object]:
        """As plain JSON values, without the curve."""
        return {
            "set": self.set,
            "stem": self.stem,
            **{key: round(value, 6) for key, value in self.figures.items()},
            "seconds": None if self.seconds is None else round(self.seconds, 4),
            "confidence": self.confidence,
            "model": self.model,
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class Trust:
    """What a confidence is worth: AURC with risk 1 - IoU, beside a blind and a perfect one.

    ``recall`` is the share of results with IoU < 0.9 among the tenth that is least sure, ``best``
    the most that a tenth can hold; None where no result is bad.
    """

    results: int
    bad: int
    aurc: float
    blind: float
    perfect: float
    recall: float | None
    best: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of one row on one set: means over its pictures, max F of the mean curve."""

    pictures: int
    figures: Mapping[str, float] = field(default_factory=dict)
    seconds: float | None = None


def figures(truth: Truth, alpha: Alpha, foreground: Rgb) -> dict[str, float]:
    """Every measure of one answer; ``max_f`` is that of this picture alone."""

    def composite(background: Rgb | tuple[int, int, int]) -> float:
        return metrics.composite_error(foreground, alpha, truth.foreground, truth.alpha, background)

    return {
        "mad": metrics.mad(alpha, truth.alpha),
        "mse": metrics.mse(alpha, truth.alpha),
        "sad": metrics.sad(alpha, truth.alpha),
        "grad": metrics.grad(alpha, truth.alpha),
        "conn": metrics.conn(alpha, truth.alpha),
        "on_black": composite(BLACK),
        "on_white": composite(WHITE),
        "on_photo": composite(truth.photo),
        "iou": metrics.iou(alpha, truth.alpha),
        "boundary_f": metrics.boundary_f(alpha, truth.alpha),
        "weighted_f": metrics.weighted_f(alpha, truth.alpha),
        "s_measure": metrics.s_measure(alpha, truth.alpha),
    }


def summary(scored: Sequence[Scored]) -> Summary:
    """Means over pictures, each weighing the same; the median of the seconds."""
    if not scored:
        return Summary(0)
    means = {key: fmean(item.figures[key] for item in scored) for key in scored[0].figures}
    means["max_f"] = metrics.max_f([item.curve for item in scored])
    seconds = [item.seconds for item in scored if item.seconds is not None]
    return Summary(len(scored), means, median(seconds) if seconds else None)


def trust(scored: Sequence[Scored]) -> Trust | None:
    """How well the confidences of a row tell its bad results; None where some lack one."""
    sure = [item.confidence for item in scored if item.confidence is not None]
    if not scored or len(sure) < len(scored):
        return None
    risk = [1.0 - item.figures["iou"] for item in scored]
    bad = [item.figures["iou"] < 0.9 for item in scored]
    return Trust(
        results=len(scored),
        bad=sum(bad),
        aurc=metrics.aurc(risk, sure),
        blind=fmean(risk),
        perfect=metrics.aurc(risk, [-value for value in risk]),
        recall=metrics.recall_at_flagged(bad, sure),
        best=metrics.recall_at_flagged(bad, [-value for value in risk]),
    )


def photo_background(height: int, width: int) -> Rgb:
    """A busy (height, width, 3) uint8 background, the same in every run; never a picture of a set.

    Noise with the spectrum of photographs (amplitude falls as 1 / frequency: Field, "Relations
    between the statistics of natural images and the response properties of cortical cells", 1987),
    with colours that vary more slowly than brightness.
    """
    rng = np.random.default_rng(_PHOTO_SEED)
    frequency = np.hypot(
        np.fft.fftfreq(_PHOTO_SIDE)[:, None], np.fft.rfftfreq(_PHOTO_SIDE)[None, :]
    )
    frequency[0, 0] = np.inf
    planes = []
    for power in (1.0, 1.5, 1.5):
        noise = np.fft.rfft2(rng.standard_normal((_PHOTO_SIDE, _PHOTO_SIDE)))
        plane = np.fft.irfft2(noise / frequency**power, (_PHOTO_SIDE, _PHOTO_SIDE))
        planes.append(plane / plane.std())
    light, warm, green = planes
    mixed = np.stack([light + 0.3 * warm, light + 0.3 * green, light - 0.3 * warm], axis=-1)
    tile = np.clip(118 + 55 * mixed, 0, 255).astype(np.uint8)
    scale = max(height, width) / _PHOTO_SIDE
    side = max(height, width) if scale > 1.0 else _PHOTO_SIDE
    if scale > 1.0:
        tile = np.asarray(cv2.resize(tile, (side, side), interpolation=cv2.INTER_CUBIC))
    return np.ascontiguousarray(tile[:height, :width])
