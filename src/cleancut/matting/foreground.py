"""The subject's own colours: what a picture would show without the background shining through.

A soft pixel is a mix ``C = a F + (1 - a) B``. Put on a new background with its old colour C, it
brings the old background along as a halo; F is what belongs there.
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cleancut.arrays import check_alpha, check_rgb
from cleancut.errors import BadArray

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.arrays import Alpha, Rgb, Tensor

    Planes = NDArray[np.float32]

#: F and B are smooth, so they are looked for in a picture of at most this many pixels. A 12
#: megapixel picture is shrunk 5 times, a 2 megapixel one twice, a small one not at all.
_WORK_PIXELS = 500_000
#: Box widths in pixels of a picture of ``_REFERENCE_PIXELS``, coarse to fine.
_SEED_WIDTHS = (1200.0, 300.0, 75.0)
_FUSION_WIDTHS = (20.0, 8.0)
_REFERENCE_PIXELS = 1_500_000
#: How strongly a pixel's colour counts as foreground: alpha to this power.
_SEED_POWER = 12
_FUSION_POWER = 6
#: Weight of the coarser level where a finer one has found next to nothing.
_PRIOR = 0.05
#: Veils may have another colour than what is opaque: sure pixels within the first width speak
#: against that, the colour is averaged over the second, and must differ by about ``_TELLING``.
_VEIL_NEAR, _VEIL_WIDTH, _TELLING = 75.0, 300.0, 0.3
#: Alpha squared counts against this, so that faint mixtures say little; and what is fainter than
#: a veil is haze, which shows least in the subject's own colour.
_VEIL_FLOOR, _VEIL_FAINT = 0.03, 0.3
_FARTHEST_PRIOR = 1e-7
_CHUNK = 1 << 20


def estimate_foreground(rgb: Rgb, alpha: Alpha, *, levels: int | None = None) -> Rgb:
    """Colours with the old background taken out of every soft pixel.

    ``rgb`` is (H, W, 3) and ``alpha`` (H, W) in [0, 1]; the result is a new array of ``rgb``'s
    type and range. Only pixels change whose alpha will be stored as neither empty nor full; those
    keep their value bit for bit. ``levels`` is the largest stored alpha: 255 or 65535, by default
    that of ``rgb``'s type (65535 for float32). Networks end in a sigmoid and never say exactly 0 or
    1, so most of a picture is "soft" by less than one step. Raises ``BadArray`` for wrong shapes,
    types and values.

    Blur fusion (Forte and Pitié, "Approximate Fast Foreground Colour Estimation", ICIP 2021) with
    four changes. Colours are seeded from the surest pixels, from far to near, so that a wide soft
    region takes its colour from the opaque part and not from its own mixture; where that cannot be
    its colour (a white veil beside dark hair), from what the mixing equation says on average over
    a wide surrounding. The mixing equation
    corrects B as well as F, by ``a / (a² + (1 - a)²)`` and ``(1 - a) / (a² + (1 - a)²)``: the
    smallest change that satisfies it (the paper corrects F alone, by ``a``). And F and B are
    estimated on a small picture, while the last correction uses each soft pixel at full size.
    """
    check_rgb(rgb)
    check_alpha(alpha)
    if rgb.shape[:2] != alpha.shape:
        raise BadArray(
            f"picture {rgb.shape[1]}x{rgb.shape[0]} and alpha {alpha.shape[1]}x{alpha.shape[0]}"
            " differ in size",
            hint="resize the alpha to the picture first",
        )
    out: Tensor = np.array(rgb, order="C")
    height, width = alpha.shape
    shrink = max(
        math.ceil(math.sqrt(height * width / _WORK_PIXELS)),
        math.ceil(max(height, width) / 16384),  # cv2.remap reads at most 32766 pixels a side
    )
    step_y, step_x = min(shrink, height), min(shrink, width)
    small, coverage = _shrink(rgb, step_y, step_x), _shrink(alpha, step_y, step_x)
    if not np.isfinite(small).all():
        raise BadArray("picture: holds values that are not finite", hint="replace NaN and infinity")
    scale = math.sqrt(height * width / _REFERENCE_PIXELS) / shrink
    fields = _fuse(np.ascontiguousarray(small.transpose(2, 0, 1)), coverage, scale)
    foreground, background = (cv2.merge(list(field)) for field in fields)
    half_step = np.float32(0.5 / _levels(rgb, levels))
    _unmix(out, alpha, foreground, background, (step_y, step_x), half_step)
    return out


def clear_hidden(rgb: Rgb, alpha: Alpha, *, levels: int | None = None) -> Rgb:
    """Colours with zero wherever ``alpha`` will be stored as zero; a new array.

    ``levels`` as above. Hidden colours bloat a PNG and come back as halos when a viewer scales it.
    """
    check_rgb(rgb)
    check_alpha(alpha)
    if rgb.shape[:2] != alpha.shape:
        raise BadArray(f"picture {rgb.shape[:2]} and alpha {alpha.shape} differ in size")
    seen = (alpha >= np.float32(0.5 / _levels(rgb, levels))).view(np.uint8)
    kept: Tensor = cv2.copyTo(np.ascontiguousarray(rgb), seen)
    return kept


def _shrink(image: Tensor, step_y: int, step_x: int) -> NDArray[np.float32]:
    """Mean of every ``step_y`` x ``step_x`` cell, float32 in [0, 1]; a rest at the edge is cut."""
    rows, columns = image.shape[0] // step_y, image.shape[1] // step_x
    whole = image[: rows * step_y, : columns * step_x]
    mean: Tensor = cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.multiply(mean, np.float32(1 / _white(image)), dtype=np.float32)


def _levels(rgb: Rgb, levels: int | None) -> int:
    return levels or (255 if rgb.dtype == np.uint8 else 65535)


def _white(image: Tensor) -> float:
    return float(np.iinfo(image.dtype).max) if image.dtype.kind == "u" else 1.0


def _fuse(image: Planes, alpha: Alpha, scale: float) -> tuple[Planes, Planes]:
    """Smooth foreground and background of ``image``, each (3, h, w) as ``image`` is.

    ``scale`` turns a width at reference size into pixels of ``image``.
    """
    clear = 1 - alpha
    foreground = _seed(image, _power(alpha, _SEED_POWER), scale)
    background = _seed(image, _power(clear, _SEED_POWER), scale)
    foreground = _veiled(image, alpha, foreground, background, scale)
    gain = 1 / (alpha * alpha + clear * clear)
    sides = _power(alpha, _FUSION_POWER), _power(clear, _FUSION_POWER)
    for width in _FUSION_WIDTHS:
        rest = (image - alpha * foreground - clear * background) * gain
        near = np.clip(foreground + alpha * rest, 0, 1)
        far = np.clip(background + clear * rest, 0, 1)
        box = width * scale
        foreground = _spread(near * sides[0], sides[0], foreground, _FARTHEST_PRIOR, box)
        background = _spread(far * sides[1], sides[1], background, _FARTHEST_PRIOR, box)
    return foreground, background


def _seed(image: Planes, weight: Alpha, scale: float) -> Planes:
    """Colours of the weightiest pixels around each pixel, the nearest that there are."""
    height, width = weight.shape
    shrink = 4 if min(height, width) >= 64 else 1
    size = (width // shrink, height // shrink)

    def small(planes: Planes) -> Planes:
        return np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in planes])

    total, weighted, colour = small(weight[None])[0], small(image * weight), small(image)
    prior = _FARTHEST_PRIOR
    for box in _SEED_WIDTHS:
        colour = _spread(weighted, total, colour, prior, box * scale / shrink)
        prior = _PRIOR
    whole = [cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR) for plane in colour]
    return np.stack(whole)


def _veiled(
    image: Planes, alpha: Alpha, foreground: Planes, background: Planes, scale: float
) -> Planes:
    """``foreground`` corrected far from sure pixels, where wide mixtures clearly contradict it.

    Least squares for one shift of F in a wide box, then shrunk (James and Stein): what is no
    larger than ``_TELLING`` may as well be the unknown background.
    """

    def mean(plane: Tensor, width: float) -> Tensor:
        odd = max(3, 2 * round((width * scale - 1) / 2) + 1)
        return cv2.blur(plane, (odd, odd), borderType=cv2.BORDER_REPLICATE)

    far = _PRIOR / (mean(_power(alpha, _SEED_POWER), _VEIL_NEAR) + np.float32(_PRIOR))
    clear = 1 - alpha
    soft = alpha * clear
    rest = (image - alpha * foreground - clear * background) * (soft * alpha)
    total = mean(soft * (alpha * alpha + np.float32(_VEIL_FLOOR)), _VEIL_WIDTH) + np.float32(1e-5)
    shift: Planes = np.stack([mean(plane, _VEIL_WIDTH) / total for plane in rest])
    largest = np.maximum(np.abs(shift).max(axis=0), np.float32(_TELLING))
    shift *= 1 - np.float32(_TELLING**2) / (largest * largest)
    shift *= far * np.minimum(alpha * np.float32(1 / _VEIL_FAINT), 1) ** 2
    shift += foreground
    return np.clip(shift, 0, 1, out=shift)


def _power(base: Alpha, exponent: int) -> Alpha:
    raised: Tensor = cv2.pow(base, exponent)
    return raised


def _spread(weighted: Planes, weight: Alpha, prior: Planes, trust: float, width: float) -> Planes:
    """Mean colour in a box: sum of colour x weight by sum of weights, ``prior`` counting too."""
    odd = max(3, 2 * round((width - 1) / 2) + 1)

    def mean(plane: Tensor) -> Tensor:
        return cv2.blur(plane, (odd, odd), borderType=cv2.BORDER_REPLICATE)

    total = 1 / (mean(weight) + np.float32(trust))
    pairs = zip(weighted, prior, strict=True)
    return np.stack([(mean(w) + np.float32(trust) * p) * total for w, p in pairs])


def _unmix(
    out: Tensor,
    alpha: Alpha,
    foreground: Rgb,
    background: Rgb,
    steps: tuple[int, int],
    half_step: np.float32,
) -> None:
    """Write F into the soft pixels of ``out``, which holds C, a million pixels at a time."""
    flat_alpha, flat_out = alpha.reshape(-1), out.reshape(-1, 3)
    white = _white(out)

    def unmix(start: int) -> None:
        part = flat_alpha[start : start + _CHUNK]
        soft = np.flatnonzero((part >= half_step) & (part <= 1 - half_step))
        if soft.size == 0:
            return
        a = part[soft][:, None]
        soft += start
        y, x = np.divmod(soft, alpha.shape[1])
        f, b = (_sample(field, y, x, steps) for field in (foreground, background))
        c = flat_out[soft].astype(np.float32) * np.float32(1 / white)
        clear = 1 - a
        f += (c - a * f - clear * b) * (a / (a * a + clear * clear))
        f = np.clip(f, 0, 1) * np.float32(white)
        flat_out[soft] = np.rint(f) if out.dtype.kind == "u" else f

    starts = range(0, flat_alpha.size, _CHUNK)
    if len(starts) == 1:
        unmix(0)
        return
    with ThreadPoolExecutor(min(len(starts), os.cpu_count() or 1, 8)) as pool:
        list(pool.map(unmix, starts))


def _sample(field: Rgb, y: Tensor, x: Tensor, steps: tuple[int, int]) -> NDArray[np.float32]:
    """Colours (N, 3) of a shrunk picture at full-size pixels ``y``, ``x``, bilinear."""
    rows = -(-y.size // 1024)  # cv2.remap writes at most 32766 pixels a side
    at = np.zeros((2, rows * 1024), np.float32)
    at[0, : x.size] = (x + 0.5) / steps[1] - 0.5
    at[1, : y.size] = (y + 0.5) / steps[0] - 0.5
    at_x, at_y = at.reshape(2, rows, 1024)
    found = cv2.remap(field, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return found.reshape(-1, 3)[: y.size].astype(np.float32, copy=False)
