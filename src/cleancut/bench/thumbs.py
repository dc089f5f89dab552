"""The worst answers of a row as small pictures: input, truth, answer, difference."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cleancut.arrays import full_scale
from cleancut.imaging.resize import fit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.arrays import Alpha, Rgb
    from cleancut.bench.score import Scored

#: Longest side of a small picture, in pixels.
SIDE = 320
_JPEG_QUALITY = 82
#: Squares of the board under a cutout, in pixels, and its two greys.
_SQUARE, _BOARD = 8, (178, 216)


@dataclass(frozen=True, slots=True)
class Worst:
    """One bad answer: its figures, and JPEG bytes of four pictures by name."""

    scored: Scored
    pictures: dict[str, bytes]


@dataclass(slots=True)
class Gallery:
    """Keeps the ``size`` answers with the largest MAD; the others cost nothing."""

    size: int = 0
    _heap: list[tuple[float, int, Worst]] = field(default_factory=list)
    _offered: int = 0

    def offer(self, scored: Scored, rgb: Rgb, truth: Alpha, alpha: Alpha, foreground: Rgb) -> None:
        """Draw and keep this answer if it is among the worst so far; arguments as ``draw``'s."""
        self._offered += 1
        mad = scored.figures["mad"]
        if self.size == 0 or (len(self._heap) == self.size and mad <= self._heap[0][0]):
            return
        entry = (mad, -self._offered, Worst(scored, draw(rgb, truth, alpha, foreground)))
        if len(self._heap) < self.size:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heapreplace(self._heap, entry)

    @property
    def worst(self) -> list[Worst]:
        """From the worst on."""
        return [entry[2] for entry in sorted(self._heap, reverse=True)]


def draw(rgb: Rgb, truth: Alpha, alpha: Alpha, foreground: Rgb) -> dict[str, bytes]:
    """JPEG bytes of input, truth, answer (a matte and a cutout) and difference, ``SIDE`` at most.

    ``foreground`` (H, W, 3) holds the colours that go with the answer's ``alpha`` (H, W). In the
    difference red is what the answer keeps and should not, blue what it lost.
    """
    height, width = truth.shape
    scale = min(1.0, SIDE / max(height, width))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    matte = _small(alpha, size)
    # Colours are shrunk by what shows of them; those under transparent pixels mean nothing.
    visible = _unit(foreground) * alpha[..., None]
    cutout = _small(visible, size) + _board(size) * (1 - matte[..., None])
    return {
        "input": _jpeg(_unit(fit(rgb, *size))),
        "truth": _jpeg(_grey(_small(truth, size))),
        "matte": _jpeg(_grey(matte)),
        "cutout": _jpeg(cutout),
        "difference": _jpeg(error_map(truth, alpha, size)),
    }


def error_map(truth: Alpha, alpha: Alpha, size: tuple[int, int]) -> NDArray[np.float32]:
    """The difference as a picture (H, W, 3) in 0..1 of ``size`` (height, width).

    White is right, red is kept and should not be, blue is lost.
    """
    # The difference is shrunk after it is taken: thin edges must not cancel out.
    kept = _small(np.maximum(alpha - truth, 0), size)
    lost = _small(np.maximum(truth - alpha, 0), size)
    return np.stack([1 - lost, 1 - kept - lost, 1 - kept], axis=-1)


def _unit(rgb: Rgb) -> NDArray[np.float32]:
    return rgb.astype(np.float32) / np.float32(full_scale(rgb))


def _small(values: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(values, size[::-1], interpolation=cv2.INTER_AREA))


def _grey(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.repeat(values[..., None], 3, axis=2)


def _board(size: tuple[int, int]) -> NDArray[np.float32]:
    y, x = np.indices(size) // _SQUARE
    greys = np.array(_BOARD, np.float32) / np.float32(255)
    return _grey(greys[(x + y) % 2])


def _jpeg(rgb: NDArray[np.float32]) -> bytes:
    pixels = np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8)
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()
