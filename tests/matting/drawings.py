"""Drawings with known alpha and colours, and a shaded thing that is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

SIZE = (300, 400)
OVERSAMPLED = 8


class Drawing(NamedTuple):
    rgb: np.ndarray
    alpha: np.ndarray
    foreground: np.ndarray
    hole: tuple[int, int]


def linear() -> np.ndarray:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] / 400
    return (np.float64((190, 120, 60)) + (40 * x + 50 * y)[..., None]).astype(np.float32)


def radial() -> np.ndarray:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] / 400
    away = np.hypot(y - 0.375, x - 0.5)[..., None]
    return (np.float64((60, 200, 120)) - 80 * away).astype(np.float32)


def drawing(
    background: tuple[int, int, int] | np.ndarray | Callable[[], np.ndarray], *, noise: float = 0
) -> Drawing:
    """A blue ring, an orange bar and two letters, anti-aliased, put on ``background``."""
    height, width = SIZE
    canvas = np.zeros((height * OVERSAMPLED, width * OVERSAMPLED), np.uint8)
    cv2.circle(
        canvas, (120 * OVERSAMPLED, 120 * OVERSAMPLED), 50 * OVERSAMPLED, 1, 26 * OVERSAMPLED
    )
    cv2.rectangle(canvas, (1750, 500), (2600, 1100), 2, -1)
    cv2.putText(canvas, "Ro", (1700, 2100), 0, 26, 1, 130, cv2.LINE_8)
    parts = [
        cv2.resize(np.float32(canvas == i), (width, height), interpolation=cv2.INTER_AREA)
        for i in (1, 2)
    ]
    alpha = np.rint((parts[0] + parts[1]) * 255).astype(np.float32) / 255
    first = (parts[0] >= parts[1])[..., None]
    foreground = np.where(first, np.float32((30, 60, 210)), np.float32((250, 150, 20)))
    ground = background() if callable(background) else background
    behind = np.broadcast_to(np.float32(ground), (height, width, 3))
    if noise:
        behind = behind + np.random.default_rng(5).normal(0, noise, behind.shape)
    mixed = alpha[..., None] * foreground + (1 - alpha[..., None]) * behind
    rgb = np.rint(np.clip(mixed, 0, 255)).astype(np.uint8)
    return Drawing(rgb, alpha, foreground, (120, 120))


def lettering(ink: tuple[int, int, int], background: tuple[int, int, int]) -> Drawing:
    """Two lines of thin letters of one ink."""
    height, width = SIZE
    canvas = np.zeros((height * OVERSAMPLED, width * OVERSAMPLED), np.uint8)
    for line, text in enumerate(("clean edges", "Typography")):
        place = (30 * OVERSAMPLED, (110 + 90 * line) * OVERSAMPLED)
        cv2.putText(canvas, text, place, 0, 1.6 * OVERSAMPLED, 255, 4 * OVERSAMPLED, cv2.LINE_8)
    alpha = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA) / np.float32(255)
    foreground = np.broadcast_to(np.float32(ink), (height, width, 3))
    mixed = alpha[..., None] * foreground + (1 - alpha[..., None]) * np.float32(background)
    return Drawing(np.rint(mixed).astype(np.uint8), alpha, foreground, (0, 0))


def garment(side: int) -> np.ndarray:
    """A dark piece of cloth on white, ``side`` pixels high, with faint folds and weave."""
    y, x = np.mgrid[:side, :side] / side
    shape = (np.abs(x - 0.5) < 0.25 + 0.1 * y) & (np.abs(y - 0.5) < 0.4)
    weave = np.random.default_rng(4).normal(0, 5, (side, side))
    cloth = np.float64((28, 30, 42)) + (10 * np.sin(19 * x + 4 * y) + weave)[..., None]
    mixed = cv2.GaussianBlur(np.where(shape[..., None], cloth, 255.0), (0, 0), 0.7)
    padded = cv2.copyMakeBorder(mixed, side, side, side, side, cv2.BORDER_CONSTANT, value=[255] * 3)
    return np.rint(np.clip(padded, 0, 255)).astype(np.uint8)


def product() -> np.ndarray:
    """A shaded, slightly grainy vase on pure white, with a highlight and a soft edge."""
    height, width = SIZE
    y, x = np.mgrid[:height, :width].astype(np.float32)
    depth = 1 - ((x - 200) / 90) ** 2 - ((y - 150) / 120) ** 2
    alpha = np.clip(depth * 40, 0, 1)[..., None]
    light = np.sqrt(np.clip(depth, 0, 1)) * (0.6 + 0.4 * (200 - x) / 90)
    grain = cv2.GaussianBlur(
        np.random.default_rng(2).normal(0, 6, SIZE).astype(np.float32), (0, 0), 1
    )
    shade = np.float32((70, 40, 30)) + np.float32((150, 100, 70)) * light[..., None]
    mixed = alpha * (shade + grain[..., None]) + (1 - alpha) * 255
    return np.rint(np.clip(mixed, 0, 255)).astype(np.uint8)
