"""Pictures with a known subject, background and alpha."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scene:
    """``rgb`` (uint8) shows ``foreground`` through ``alpha`` before ``background``."""

    rgb: NDArray[np.uint8]
    alpha: NDArray[np.float32]
    foreground: NDArray[np.float32]

    @property
    def soft(self) -> NDArray[np.bool_]:
        return (self.alpha > 0) & (self.alpha < 1)

    def error(self, rgb: NDArray[np.uint8]) -> float:
        """Mean error in the soft pixels of a composite over any background, 0..255."""
        off = self.alpha[..., None] * (rgb - 255 * self.foreground)
        return float(np.abs(off[self.soft]).mean())


def scene(alpha: NDArray[np.float32], seed: int = 5) -> Scene:
    """A mottled orange subject before a mottled blue-green background."""
    rng = np.random.default_rng(seed)
    height, width = alpha.shape

    def mottled(colour: tuple[float, float, float]) -> NDArray[np.float32]:
        rough = rng.random((max(height // 40, 2), max(width // 40, 2), 3)).astype(np.float32)
        smooth = cv2.resize(rough, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.clip(np.float32(colour) + 0.25 * (smooth - 0.5), 0, 1).astype(np.float32)

    foreground, background = mottled((0.8, 0.45, 0.2)), mottled((0.15, 0.5, 0.75))
    mix = alpha[..., None] * foreground + (1 - alpha[..., None]) * background
    return Scene(np.rint(255 * mix).astype(np.uint8), alpha, foreground)


def hairy_alpha(height: int, width: int, seed: int = 3) -> NDArray[np.float32]:
    """A disc with hairs of 1 and 2 pixels that stand out from it, drawn with soft edges."""
    rng = np.random.default_rng(seed)
    image = np.zeros((height, width), np.uint8)
    centre, radius = (width // 2, height // 2), min(height, width) // 5
    cv2.circle(image, centre, radius, 255, -1, cv2.LINE_AA)
    for angle in rng.uniform(0, 2 * np.pi, 160):
        length = radius * rng.uniform(1.2, 2.3)
        bend = angle + rng.uniform(-0.4, 0.4)
        points = [
            (centre[0] + np.cos(a) * r, centre[1] + np.sin(a) * r)
            for a, r in ((angle, 0.9 * radius), ((angle + bend) / 2, length / 1.2), (bend, length))
        ]
        cv2.polylines(image, [np.int32(points)], False, 255, int(rng.integers(1, 3)), cv2.LINE_AA)
    soft = cv2.GaussianBlur(image.astype(np.float32) / 255, (0, 0), 0.6)
    soft[soft < 1 / 255] = 0
    soft[soft > 254 / 255] = 1
    return soft
