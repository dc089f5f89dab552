"""Clips with their truth, made in code: a textured disc moves over a textured ground."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cleancut.models.base import Prediction
from cleancut.models.echo import SPEC
from cleancut.video.frame import Frame

HEIGHT, WIDTH = 96, 128


def texture(seed: int, low: int, high: int, height: int = HEIGHT, width: int = WIDTH) -> Any:
    """(height, width, 3) float32 noise of a few pixels' size between two levels."""
    noise = np.random.default_rng(seed).random((height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    return low + (high - low) * smooth


@dataclass(frozen=True)
class Scene:
    frames: tuple[Frame, ...]
    truths: tuple[NDArray[np.float32], ...]


def moving_disc(
    count: int = 10, speed: float = 2.0, *, radius: float = 26, first: int = 0
) -> Scene:
    """A bright disc that goes to the right over a dark ground that goes to the left."""
    ground = texture(1, 40, 120, HEIGHT, 3 * WIDTH)
    body = texture(2, 150, 250, 3 * HEIGHT, 3 * WIDTH)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    frames, truths = [], []
    for number in range(first, first + count):
        at = 40 + speed * number
        truth = np.clip(radius - np.hypot(x - at, y - HEIGHT / 2) + 0.5, 0, 1).astype(np.float32)
        shift = np.float32([[1, 0, at], [0, 1, 0]])
        moved = cv2.warpAffine(body[:HEIGHT], shift, (WIDTH, HEIGHT), borderMode=cv2.BORDER_WRAP)
        behind = ground[:, 60 + number : 60 + number + WIDTH]
        pixels = truth[..., None] * moved + (1 - truth[..., None]) * behind
        rgb = np.rint(pixels).astype(np.uint8)
        frames.append(Frame(number, rgb, rgb, duration=1))
        truths.append(truth)
    return Scene(tuple(frames), tuple(truths))


class Guesser:
    """A network that knows the truth of its frames, and adds slips that differ from frame to frame.

    ``slip`` is how far it may be off where it is not sure; ``lost`` are frames in which it loses
    half of the subject.
    """

    def __init__(self, scene: Scene, slip: float = 0.0, lost: tuple[int, ...] = ()) -> None:
        self.spec = SPEC
        self.placement: Any = SimpleNamespace()
        self._known = {
            zlib.crc32(frame.view.tobytes()): (frame.pts, truth)
            for frame, truth in zip(scene.frames, scene.truths, strict=True)
        }
        self._slip, self._lost = slip, lost

    def predict(self, rgb: Any, state: Any = None) -> Prediction:
        number, truth = self._known[zlib.crc32(rgb.tobytes())]
        rng = np.random.default_rng(number)
        noise = cv2.GaussianBlur(rng.standard_normal(truth.shape).astype(np.float32), (0, 0), 3)
        noise *= self._slip / max(float(noise.std()), 1e-6)
        edge = cv2.dilate(truth, np.ones((9, 9))) - cv2.erode(truth, np.ones((9, 9)))
        alpha = np.clip(truth + noise * edge, 0, 1).astype(np.float32)
        if number in self._lost:
            alpha[: HEIGHT // 2] = 0
        return Prediction(alpha, state=state)
