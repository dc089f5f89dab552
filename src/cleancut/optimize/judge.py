"""How good and how fast a network is beside the one it was made from."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from cleancut import metrics
from cleancut.imaging.pairs import Pair, find_pairs, read_pair
from cleancut.imaging.resize import upsample_alpha
from cleancut.optimize.scenes import scene
from cleancut.weights.optimized import SetScore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cleancut.arrays import Alpha, Rgb
    from cleancut.backends.base import Session
    from cleancut.backends.probe import Feeds
    from cleancut.models.base import Model
    from cleancut.optimize.calibrate import Pictures, Progress

#: Pictures that are scored at each step, over all sets: twice a minute of IS-Net.
MOST_PAIRS = 60
SCENES = 24
_FIRST_SCENE = 50_000
_FEWEST_RUNS, _RACE_S = 6, 6.0


@dataclass(frozen=True, slots=True)
class Figures:
    """One picture's figures against its truth."""

    mad: float
    grad: float
    iou: float


@dataclass(frozen=True, slots=True)
class Truths:
    """Pictures with true mattes: the user's pairs, or scenes made in code."""

    pairs: tuple[Pair, ...] = ()

    @property
    def kind(self) -> str:
        """ "pairs" or "generated"."""
        return "pairs" if self.pairs else "generated"

    def __len__(self) -> int:
        return len(self.pairs) or SCENES

    def each(self) -> Iterator[tuple[str, Rgb, Alpha]]:
        """Set, pixels and true matte of each; raises what decoding raises."""
        for pair in self.pairs:
            picture, truth = read_pair(pair)
            yield pair.set, picture.rgb, truth
        if not self.pairs:
            for number in range(SCENES):
                yield "generated", *scene(_FIRST_SCENE + number)


def choose_truths(folder: Path | None) -> Truths:
    """At most 60 pairs of ``folder``, spread evenly over its sets; scenes without a folder.

    Raises ``InputNotFound`` if the folder holds no pair.
    """
    if folder is None:
        return Truths()
    found = find_pairs(folder)
    each = max(1, MOST_PAIRS // len(found.sets))
    chosen: list[Pair] = []
    for name in found.sets:
        mine = [pair for pair in found.pairs if pair.set == name]
        chosen += mine[:: -(-len(mine) // each)]
    return Truths(tuple(chosen))


def score(model: Model, truths: Truths, progress: Progress, what: str) -> dict[str, list[Figures]]:
    """Figures of every picture by set; mattes are enlarged to the picture as without refinement."""
    scores: dict[str, list[Figures]] = {}
    for at, (name, rgb, truth) in enumerate(truths.each()):
        alpha = model.predict(rgb).alpha
        full = upsample_alpha(alpha, *truth.shape)
        figures = Figures(
            metrics.mad(full, truth), metrics.grad(full, truth), metrics.iou(full, truth)
        )
        scores.setdefault(name, []).append(figures)
        progress(at + 1, len(truths), what)
    return scores


def compare(
    original: dict[str, list[Figures]], int8: dict[str, list[Figures]]
) -> tuple[SetScore, ...]:
    """Means over each set, of both."""

    def both(name: str, key: str) -> tuple[float, float]:
        first, second = (
            fmean(getattr(figures, key) for figures in rows[name]) for rows in (original, int8)
        )
        return round(first, 5), round(second, 5)

    return tuple(
        SetScore(name, len(rows), both(name, "mad"), both(name, "grad"), both(name, "iou"))
        for name, rows in original.items()
    )


def apart(mattes: Sequence[Alpha], others: Sequence[Alpha]) -> tuple[float, float]:
    """Mean MAD (x 1000) and IoU of the mattes of two networks, at the network's size."""
    mad = fmean(metrics.mad(one, other) for one, other in zip(mattes, others, strict=True))
    iou = fmean(metrics.iou(one, other) for one, other in zip(mattes, others, strict=True))
    return round(mad, 4), round(iou, 5)


def mattes_of(model: Model, pictures: Pictures, limit: int) -> list[Alpha]:
    """What the network says about the first pictures that calibrated."""
    return [model.predict(rgb).alpha for _, rgb in pictures.each(limit)]


def race(original: Session, int8: Session, feeds: Feeds) -> tuple[float, float]:
    """Milliseconds of one run of each, the fastest of six or more for six seconds.

    They run in turn: other load on the machine hits both alike.
    """
    times: tuple[list[float], list[float]] = ([], [])
    start = time.perf_counter()
    while len(times[0]) <= _FEWEST_RUNS or time.perf_counter() - start < _RACE_S:
        for session, runs in zip((original, int8), times, strict=True):
            begun = time.perf_counter()
            session.run(feeds)
            runs.append(1000 * (time.perf_counter() - begun))
    return round(min(times[0][1:]), 2), round(min(times[1][1:]), 2)
