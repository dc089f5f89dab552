"""The fast guided filter that brings a small matte and its colours to a frame's full size.

He and Sun, "Fast Guided Filter" (2015), as the refiner of Lin et al., "Robust High-Resolution Video
Matting with Temporal Guidance" (WACV 2022, section 3): in windows of 3 x 3 small pixels each colour
of the foreground is a linear function of the same colour of the frame, and alpha of the mean of
its colours. The two coefficients are enlarged, and only they meet the full frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from cleancut.arrays import full_scale

if TYPE_CHECKING:
    from cleancut.arrays import Alpha, Rgb, Tensor

#: Regularisation, as published.
_EPSILON = np.float32(1e-5)
#: Alphas nearer to 0 or 1 than this are those in 8 bits.
_SOLID = 1 / 510
_SAMPLES = 32_000


def linear_model(small: Tensor, matte: Tensor) -> tuple[Tensor, Tensor]:
    """``A`` and ``b``, (4, h, w) float32 each, of ``matte ~ A * guide + b``.

    ``small`` is the frame, (3, h, w) in 0..1; its fourth guide is the mean of the three. ``matte``
    (4, h, w) holds the foreground's colours less the frame's, and alpha. Pixels at the border are
    repeated beyond it.
    """
    slopes, offsets = np.empty_like(matte), np.empty_like(matte)
    guides = [*small, small.mean(axis=0)]
    for channel, (guide, wanted) in enumerate(zip(guides, matte, strict=True)):
        mean, wanted_mean = _mean(guide), _mean(wanted)
        covariance = _mean(guide * wanted) - mean * wanted_mean
        variance = _mean(guide * guide) - mean * mean
        np.divide(covariance, variance + _EPSILON, out=slopes[channel])
        np.subtract(wanted_mean, slopes[channel] * mean, out=offsets[channel])
    return slopes, offsets


def full_alpha(rgb: Rgb, slope: Tensor, offset: Tensor) -> Alpha:
    """(H, W) float32 in 0..1 from alpha's ``slope`` and ``offset`` (h, w) and the full frame."""
    mean = cv2.transform(
        rgb if rgb.dtype == np.float32 else rgb.astype(np.float32),
        np.full((1, 3), 1 / (3 * full_scale(rgb)), np.float32),
    )
    alpha = _enlarged(slope, rgb)
    alpha *= mean
    alpha += _enlarged(offset, rgb)
    clipped: Alpha = np.clip(alpha, 0.0, 1.0, out=alpha)
    return clipped


def full_colours(rgb: Rgb, alpha: Alpha, slopes: Tensor, offsets: Tensor) -> Rgb:
    """Straight colours of the foreground, (H, W, 3) of the frame's type and range.

    ``slopes`` and ``offsets`` are (3, h, w). Where ``alpha`` is 0 or 1 they are the frame's own:
    only the few pixels between are worked out.
    """
    colours: Rgb = rgb.copy()
    between = cv2.inRange(alpha, _SOLID, 1 - _SOLID)
    if not cv2.countNonZero(between):
        return colours
    top = full_scale(rgb)
    places = np.asarray(cv2.findNonZero(between)).reshape(-1, 2)
    rows, columns = places[:, 1], places[:, 0]
    # The model gives the difference to the frame, so the frame itself is one more slope.
    gain = _sampled(cv2.merge([slope + np.float32(1) for slope in slopes]), places, rgb)
    shift = _sampled(cv2.merge([offset * np.float32(top) for offset in offsets]), places, rgb)
    found = gain * rgb[rows, columns] + shift
    if top > 1:
        found += np.float32(0.5)
    colours[rows, columns] = np.clip(found, 0.0, top)
    return colours


def _sampled(planes: Tensor, places: Tensor, like: Rgb) -> Tensor:
    """(N, C) values that (h, w, C) ``planes`` have, enlarged, at N (column, row) of ``like``."""
    scale = np.array(planes.shape[1::-1]) / np.array(like.shape[1::-1])
    found = np.empty((len(places), planes.shape[2]), np.float32)
    for start in range(0, len(places), _SAMPLES):  # remap has a limit for its sides
        part = slice(start, start + _SAMPLES)
        columns, rows = ((places[part] + 0.5) * scale - 0.5).astype(np.float32).T[:, None]
        found[part] = cv2.remap(
            planes, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )[0]
    return found


def _mean(plane: Tensor) -> Tensor:
    mean: Tensor = cv2.blur(plane, (3, 3), borderType=cv2.BORDER_REPLICATE)
    return mean


def _enlarged(plane: Tensor, like: Rgb) -> Tensor:
    height, width = like.shape[:2]
    large: Tensor = cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR)
    return large
