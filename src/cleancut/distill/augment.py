"""What happens to pictures before a network sees them: cuts, sizes, and poor cameras.

All of it is arrays in, new arrays out, and all chance comes from the generator that is handed in.
A picture is (H, W, 3) uint8 RGB, its matte (H, W) uint8.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import cv2
import numpy as np

from cleancut.errors import BadArray

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.arrays import Tensor

    #: (H, W, 3) RGB, or (H, W); 0..255
    Bytes: TypeAlias = NDArray[np.uint8]

#: How often each fault befalls a picture that is degraded; they are drawn one by one.
LIGHT, DARK, TINT, GREY = 0.4, 0.1, 0.35, 0.06
SOFT, SHAKEN, SMALL, GRAIN, BLOCKS = 0.2, 0.1, 0.2, 0.25, 0.5
#: A cut that loses more of its subject than this share is drawn again, this many times.
_LOST, _TRIES = 0.4, 6


def check_pair(rgb: Bytes, alpha: Bytes) -> None:
    """Raise ``BadArray`` unless ``rgb`` is (H, W, 3) uint8 and ``alpha`` (H, W) uint8."""
    _check_rgb(rgb)
    if alpha.shape != rgb.shape[:2] or alpha.dtype != np.uint8:
        tall, wide = rgb.shape[:2]
        raise BadArray(f"alpha: expected {tall} x {wide} uint8, got {alpha.shape} {alpha.dtype}")


def _check_rgb(rgb: Bytes) -> None:
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or 0 in rgb.shape:
        raise BadArray(f"picture: expected height x width x 3 uint8, got {rgb.shape} {rgb.dtype}")


def resized(image: Bytes, width: int, height: int) -> Bytes:
    """``image`` at another size: the mean of an area downwards, cubic upwards."""
    if image.shape[:2] == (height, width):
        return image.copy()
    down = width * height < image.shape[0] * image.shape[1]
    how = cv2.INTER_AREA if down else cv2.INTER_CUBIC
    return as_bytes(cv2.resize(image, (width, height), interpolation=how))


def as_bytes(pixels: Any) -> Bytes:
    """What OpenCV answers, as bytes for the type checker; already-bytes are not copied."""
    return np.asarray(pixels, np.uint8)


def stretched(rgb: Bytes, alpha: Bytes, size: int) -> tuple[Bytes, Bytes]:
    """A picture and its matte as squares of ``size`` pixels, whatever their proportions."""
    check_pair(rgb, alpha)
    return resized(rgb, size, size), resized(alpha, size, size)


def cropped(
    rgb: Bytes, alpha: Bytes, rng: np.random.Generator, keep: float = 0.5
) -> tuple[Bytes, Bytes]:
    """A random part, as ``window`` chooses it, of a picture and of its matte."""
    check_pair(rgb, alpha)
    part = window(alpha, rng, keep)
    return rgb[part].copy(), alpha[part].copy()


def window(alpha: Bytes, rng: np.random.Generator, keep: float = 0.5) -> tuple[slice, slice]:
    """Rows and columns of a random part with each side at least ``keep`` (0..1) times as long.

    Both sides are shortened much alike. Most of the subject stays inside, or nothing is cut: what
    is left of it at the rim of a picture would not be its subject.
    """
    height, width = alpha.shape
    total = int(alpha.sum(dtype=np.int64))
    for _ in range(_TRIES):
        share = rng.uniform(keep, 1)
        tall, wide = (
            max(1, math.ceil(side * min(1, max(keep, share * rng.uniform(0.85, 1.15)))))
            for side in (height, width)
        )
        top, left = int(rng.integers(height - tall + 1)), int(rng.integers(width - wide + 1))
        part = slice(top, top + tall), slice(left, left + wide)
        if int(alpha[part].sum(dtype=np.int64)) >= (1 - _LOST) * total:
            return part
    return slice(0, height), slice(0, width)


def degrade(rgb: Bytes, rng: np.random.Generator) -> Bytes:
    """What a hurried photographer, a cheap camera and the web do to a picture, each by chance.

    Light, tint and missing colour; blur of focus and of motion; a smaller copy enlarged again;
    noise (more of it in the dark); JPEG. In the order in which they happen to a real one, so that
    compression sees the noise. The matte stays what it was: nothing moves by half a pixel.
    """
    _check_rgb(rgb)
    dark = rng.random() < DARK
    image = _exposed(rgb, rng, dark)
    if rng.random() < GREY:
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        image = as_bytes(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB))
    if rng.random() < SOFT:
        image = as_bytes(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.6)))
    elif rng.random() < SHAKEN:
        image = _shaken(image, rng)
    if rng.random() < SMALL:
        image = _once_smaller(image, rng)
    if dark or rng.random() < GRAIN:
        image = _noisy(image, rng, rng.uniform(4, 14) if dark else rng.uniform(1.5, 9))
    if rng.random() < BLOCKS:
        image = _compressed(image, rng)
    return image if image is not rgb else rgb.copy()


def _exposed(rgb: Bytes, rng: np.random.Generator, dark: bool) -> Bytes:
    """Exposure, gamma, contrast and colour temperature: one curve for each channel."""
    light, tint = rng.random() < LIGHT, rng.random() < TINT
    if not (light or tint or dark):
        return rgb
    level = np.linspace(0, 1, 256)
    if light:
        level = level ** float(np.exp(rng.normal(0, 0.25)))
        level = (level - 0.5) * rng.uniform(0.75, 1.25) + 0.5 + rng.uniform(-0.08, 0.08)
    if dark:
        level = np.clip(level, 0, 1) ** rng.uniform(1, 1.8) * rng.uniform(0.2, 0.55)
    curves = np.stack([level] * 3, axis=-1)
    if tint:
        warm, green = rng.normal(0, 0.1), rng.normal(0, 0.04)
        curves = curves * np.exp([warm, green, -warm])
    table = np.clip(np.rint(curves * 255), 0, 255).astype(np.uint8)
    return as_bytes(cv2.LUT(rgb, table[None]))


def _shaken(image: Bytes, rng: np.random.Generator) -> Bytes:
    """Motion blur along a short straight line, centred, so that the outline stays in its place."""
    length = int(rng.integers(3, 10)) | 1
    kernel = np.zeros((length, length), np.float32)
    angle, middle = rng.uniform(0, np.pi), length / 2 - 0.5
    shift = np.array([np.cos(angle), np.sin(angle)]) * middle
    first, last = (np.rint(middle + sign * shift).astype(int).tolist() for sign in (-1, 1))
    cv2.line(kernel, (first[0], first[1]), (last[0], last[1]), (1.0,))
    kernel /= kernel.sum()
    return as_bytes(cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REPLICATE))


def _once_smaller(image: Bytes, rng: np.random.Generator) -> Bytes:
    height, width = image.shape[:2]
    share = rng.uniform(0.4, 0.9)
    size = max(1, round(width * share)), max(1, round(height * share))
    down = cv2.INTER_AREA if rng.random() < 0.7 else cv2.INTER_LINEAR
    up = cv2.INTER_CUBIC if rng.random() < 0.5 else cv2.INTER_LINEAR
    small = cv2.resize(image, size, interpolation=down)
    return as_bytes(cv2.resize(small, (width, height), interpolation=up))


def _noisy(image: Bytes, rng: np.random.Generator, sigma: float) -> Bytes:
    """Gaussian noise of ``sigma`` levels, a pixel or two wide, grey or coloured."""
    height, width = image.shape[:2]
    coarse = rng.random() < 0.4
    tall, wide = (height // 2 + 1, width // 2 + 1) if coarse else (height, width)
    shape = (tall, wide) if rng.random() < 0.4 else (tall, wide, 3)
    grain = rng.standard_normal(shape, np.float32)
    grain *= sigma * (1.5 if coarse else 1)
    noise: Tensor = grain.astype(np.int16)
    if coarse:
        noise = cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR)
    if noise.ndim == 2:
        noise = cv2.merge([noise] * 3)
    return as_bytes(cv2.add(image, noise, dtype=cv2.CV_8U))


def _compressed(image: Bytes, rng: np.random.Generator) -> Bytes:
    quality = int(rng.triangular(20, 80, 97))
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return as_bytes(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB))
