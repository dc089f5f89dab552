"""What a stroke that asks for a place to be solved again gains, on pictures with true mattes.

Strokes are drawn along the softest parts of the true outline, as a person would who sees that hair
is missing there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cleancut.bench.report import table
from cleancut.imaging.pairs import find_pairs, read_pair
from cleancut.matting.retouch import solve_again

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.arrays import Alpha, Rgb

    Mask = NDArray[np.bool_]

MARKERS = ("<!-- bench retouch: begin -->", "<!-- bench retouch: end -->")
#: A stroke in a picture with a longer side of so many pixels; others in proportion.
_SIDE_PX, _LENGTH_PX, _WIDTH_PX = 1620, 300, 40
_STROKES = 3
#: An error that grew by more than this is a stroke that made it worse.
_WORSE = 0.005
#: What is done to the matte before the stroke.
KINDS = {
    "network": "the network's matte as it is",
    "rubbed": "hair and fringes rubbed out under the stroke and a little beyond",
    "true": "nothing known under the stroke, the true matte around it",
}


@dataclass(frozen=True, slots=True)
class Stroke:
    """One stroke's mean absolute error under it, x 1000, and the seconds that it took."""

    set: str
    kind: str
    before: float
    after: float
    seconds: float


def measure(
    folder: Path,
    matte: Callable[[Rgb], Alpha],
    *,
    tell: Callable[[str], None],
    limit: int | None = None,
) -> list[Stroke]:
    """Strokes on every picture of ``folder`` (SET/image, SET/alpha), ``limit`` of each set.

    ``matte`` is the network. Raises what ``find_pairs`` and reading a pair raise.
    """
    found = []
    for pair in find_pairs(folder, limit=limit).pairs:
        tell(pair.name)
        picture, truth = read_pair(pair)
        rgb = picture.rgb
        guess = matte(rgb)
        for stroke, width in strokes_on(truth):
            for kind in KINDS:
                start = damaged(kind, guess, truth, stroke, width)
                began = time.perf_counter()
                solved = solve_again(rgb, start, stroke).alpha
                spent = time.perf_counter() - began
                before, after = (_error(alpha, truth, stroke) for alpha in (start, solved))
                found.append(Stroke(pair.set, kind, before, after, spent))
    return found


def strokes_on(truth: Alpha) -> Iterator[tuple[Mask, int]]:
    """Up to three strokes along the softest parts of the outline, apart, and their width."""
    scale = max(truth.shape) / _SIDE_PX
    length, width = max(round(_LENGTH_PX * scale), 8), max(round(_WIDTH_PX * scale), 8)
    soft = cv2.boxFilter(((truth > 0.1) & (truth < 0.9)).astype(np.float32), -1, (width, width))
    body = (cv2.GaussianBlur(truth, (0, 0), width / 6) > 0.5).astype(np.uint8)
    lines: list[tuple[float, int, NDArray[np.int32]]] = []
    for contour in cv2.findContours(body, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]:
        points = contour[:, 0]
        for first in range(0, len(points) if len(points) > length else 0, max(length // 4, 1)):
            line = points[(first + np.arange(length)) % len(points)]
            inside = ((line > 2) & (line < np.array(truth.shape[::-1]) - 3)).all(axis=1)
            if inside.mean() > 0.9:
                lines.append((-float(soft[line[:, 1], line[:, 0]].mean()), len(lines), line))
    taken, count = np.zeros(truth.shape, np.uint8), 0
    for _, _, line in sorted(lines, key=lambda found: found[:2]):
        sheet = np.zeros(truth.shape, np.uint8)
        cv2.polylines(sheet, [line.reshape(-1, 1, 2)], False, 1, width)
        if count < _STROKES and not (sheet & taken).any():
            taken |= sheet
            count += 1
            yield sheet > 0, width


def damaged(kind: str, guess: Alpha, truth: Alpha, stroke: Mask, width: int) -> Alpha:
    """The matte before the stroke, see ``KINDS``."""
    if kind == "network":
        return guess
    if kind == "true":
        return np.where(stroke, np.float32(0.5), truth)
    around = cv2.dilate(stroke.astype(np.uint8), _disc(max(2, width // 5))) > 0
    body = (cv2.GaussianBlur(guess, (0, 0), 3) > 0.6).astype(np.uint8)
    core = cv2.morphologyEx(body, cv2.MORPH_OPEN, _disc(width // 2)).astype(np.float32)
    rubbed: Alpha = np.where(around, np.minimum(guess, core), guess)
    return rubbed


def to_markdown(strokes: Sequence[Stroke]) -> str:
    """Mean errors by set and kind, and how many strokes made it worse."""
    body = []
    for name in dict.fromkeys(stroke.set for stroke in strokes):
        for kind, what in KINDS.items():
            own = [s for s in strokes if (s.set, s.kind) == (name, kind)]
            worse = sum(s.after > s.before + 1000 * _WORSE for s in own)
            before, after = fmean(s.before for s in own), fmean(s.after for s in own)
            body.append((name, what, f"{before:.0f}", f"{after:.0f}", f"{worse} of {len(own)}"))
    lines = table(("set", "the matte before", "MAD before", "after", "worse"), body)
    spent = median(stroke.seconds for stroke in strokes)
    return "\n".join([*lines, "", f"Median of a stroke: {1000 * spent:.0f} ms."]) + "\n"


def _error(alpha: Alpha, truth: Alpha, stroke: Mask) -> float:
    return 1000 * float(np.abs(alpha - truth)[stroke].mean())


def _disc(radius: int) -> NDArray[np.uint8]:
    side = 2 * radius + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)).astype(np.uint8)
