"""Pictures made in code, each with its true matte: what is measured where nothing else is at hand.

They have what ranges of activations depend on: the 1/f spectrum of photographs (Field, "Relations
between the statistics of natural images and the response properties of cortical cells", JOSA A
1987), light that changes slowly, a textured subject with soft and hairy edges. They have no faces
and no things, so they calibrate worse than photographs; docs/optimize.md says by how much.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from cleancut.arrays import Alpha, Rgb

    Plane = NDArray[np.float32]

HEIGHT, WIDTH = 480, 640
_HAIRS = 160


@lru_cache(maxsize=32)  # those that judge are looked at again and again: 70 MB
def scene(number: int) -> tuple[Rgb, Alpha]:
    """Picture ``number``, (480, 640, 3) uint8, and its true matte; the same at every call.

    Odd ones are close-ups, whose subject fills most of the picture. Neither can be written to.
    """
    chance = np.random.default_rng(number)
    alpha = _subject(chance, near=2.2 if number % 2 else 1.0)
    behind = _surface(chance, roughness=float(chance.uniform(0.9, 1.8)))
    subject = _surface(chance, roughness=float(chance.uniform(0.7, 1.4)))
    if number % 3 == 0:  # a studio: a plain ground, as products have
        behind = 0.92 * _mean_colour(behind) + 0.08 * behind
    soft = alpha[..., None]
    mixed = soft * subject + (1 - soft) * behind
    noisy = mixed + np.float32(0.008) * chance.standard_normal(mixed.shape, np.float32)
    rgb = np.rint(np.clip(noisy, 0.0, 1.0) * 255).astype(np.uint8)
    rgb.flags.writeable = alpha.flags.writeable = False
    return rgb, alpha


def _surface(chance: Generator, roughness: float) -> NDArray[np.float32]:
    """Colours (H, W, 3) in 0..1: a hue, texture of spectrum 1/f^roughness, light from a side."""
    texture = _pink(chance, roughness)
    tint = np.stack([np.roll(texture, shift, axis=(0, 1)) for shift in (0, 101, 211)], axis=2)
    base = np.float32(chance.uniform(0.2, 0.8)) + np.float32(0.12) * chance.standard_normal(
        3, np.float32
    )
    y, x = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j].astype(np.float32)
    angle = chance.uniform(0, 2 * np.pi)
    light = 0.15 * (np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y)
    contrast = np.float32(chance.uniform(0.05, 0.2))
    colours: NDArray[np.float32] = (
        base + light[..., None] + contrast * (texture[..., None] + np.float32(0.3) * tint)
    )
    return np.clip(colours, 0.0, 1.0)


def _pink(chance: Generator, roughness: float) -> Plane:
    """Noise of spectrum 1/f^roughness, (H, W), mean 0 and deviation 1."""
    white = np.fft.rfft2(chance.standard_normal((HEIGHT, WIDTH)))
    frequency = np.hypot(np.fft.fftfreq(HEIGHT)[:, None], np.fft.rfftfreq(WIDTH)[None])
    frequency[0, 0] = 1.0
    spectrum = white / frequency**roughness
    spectrum[0, 0] = 0.0
    noise = np.fft.irfft2(spectrum, (HEIGHT, WIDTH))
    plane: Plane = (noise / noise.std()).astype(np.float32)
    return plane


def _subject(chance: Generator, near: float) -> Alpha:
    """The matte of one to three lobes with an edge of its own softness, and hair on some."""
    matte = np.zeros((HEIGHT, WIDTH), np.float32)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    middle = np.array([chance.uniform(0.35, 0.65) * HEIGHT, chance.uniform(0.3, 0.7) * WIDTH])
    warp = _pink(chance, 2.2) * np.float32(chance.uniform(0.05, 0.22))
    softness = np.float32(chance.choice([1.0, 2.0, 6.0]))
    for lobe in range(int(chance.integers(1, 4))):
        centre = middle + chance.normal(0.0, 60.0, 2) * (lobe > 0)
        tall, wide = near * chance.uniform(60, 170, 2)
        radius = np.hypot((y - np.float32(centre[0])) / tall, (x - np.float32(centre[1])) / wide)
        inside = (1 - radius.astype(np.float32) + warp) * np.float32(min(tall, wide)) / softness
        matte = np.maximum(matte, np.clip(inside + np.float32(0.5), 0.0, 1.0))
    return np.maximum(matte, _hair(chance, middle)) if chance.random() < 0.5 else matte


def _hair(chance: Generator, middle: NDArray[np.float64]) -> Plane:
    """Strands thinner than a pixel that leave the subject upwards and sideways."""
    drawn = np.zeros((HEIGHT, WIDTH), np.uint8)
    for _ in range(_HAIRS):
        angle, bend = chance.uniform(-np.pi, 0.0), chance.uniform(-0.9, 0.9)
        steps = np.linspace(0.0, 1.0, 12)
        turned = angle + bend * steps
        reach = steps * chance.uniform(90, 220)
        points = np.stack([middle[1] + reach * np.cos(turned), middle[0] + reach * np.sin(turned)])
        line = np.rint(points.T * 8).astype(np.int32)[:, None]
        level = int(chance.integers(90, 255))
        cv2.polylines(drawn, [line], False, level, 1, cv2.LINE_AA, 3)
    return drawn.astype(np.float32) / np.float32(255)


def _mean_colour(colours: NDArray[np.float32]) -> NDArray[np.float32]:
    mean: NDArray[np.float32] = colours.mean(axis=(0, 1), keepdims=True)
    return mean
