"""Hard light: pictures that are too dark, blown out or taken against the light.

Measured on pictures darkened to an eighth and a twentieth (docs/accuracy.md): a network that is
shown a brightened copy finds the subject nearly as in full light, one shown the picture itself does
not, and the mean of both is worse than the copy alone. Darkening blown-out pictures gains nothing.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from cleancut.arrays import full_scale
from cleancut.imaging.resize import glimpse

if TYPE_CHECKING:
    from cleancut.arrays import Alpha, Rgb, Tensor

#: Light is measured in a picture of this longest side, in pixels.
_SIDE_PX = 256
#: A picture is dark where 95 of 100 pixels stay below this luma.
_DARK = 0.25
#: ... unless it is as good as one colour: nothing but noise would come to light.
_FLAT = 0.02
#: Middle luma that a dark picture is brightened to, and the strongest curve that may do it.
_MIDDLE, _STRONGEST = 0.45, 0.35
#: From this level on a value is blown out; from this share of the subject on it is told.
_BLOWN, _BLOWN_SHARE = 0.98, 0.3
#: A silhouette: the subject's middle luma below, the background's above.
_SHADE, _GLARE = 0.12, 0.6
#: ... and no part of the subject is lit: a dark coat with a face above it is just a dark coat.
_LIT, _LIT_SHARE = 0.3, 0.05


def brightened(rgb: Rgb) -> Rgb | None:
    """``rgb`` (H, W, 3) brightened for a network if it is very dark, else None.

    Stretched so that its brightest half per cent is full, then a gamma curve. The same type.
    """
    small = _small(rgb)
    luma = _luma(small)
    low, dark, high = (float(level) for level in np.quantile(luma, (0.005, 0.95, 0.995)))
    if dark >= _DARK or high - low < _FLAT:
        return None
    peak = small.max(axis=2)
    top = max(float(np.quantile(peak, 0.995)), 0.02)
    middle = min(max(float(np.median(np.minimum(peak / top, 1))), 0.01), 0.9)
    gamma = min(max(math.log(_MIDDLE) / math.log(middle), _STRONGEST), 1.0)
    scale = full_scale(rgb)
    if rgb.dtype == np.uint8:
        levels = np.minimum(np.arange(256, dtype=np.float32) / (255 * top), 1) ** gamma
        lifted: Any = cv2.LUT(rgb, np.rint(255 * levels).astype(np.uint8))
        return lifted  # type: ignore[no-any-return]
    floats: Any = np.minimum(rgb / np.float32(scale * top), 1).astype(np.float32) ** gamma
    floats *= np.float32(scale)
    return floats.astype(rgb.dtype)  # type: ignore[no-any-return]


def hard_light(rgb: Rgb, alpha: Alpha) -> str | None:
    """What is wrong with the light on the subject, as a clause; None where nothing is.

    ``alpha`` is (h, w), of any size.
    """
    small = _small(rgb)
    matte: Tensor = glimpse(alpha, _SIDE_PX)
    if matte.shape != small.shape[:2]:
        matte = cv2.resize(matte, (small.shape[1], small.shape[0]), interpolation=cv2.INTER_AREA)
    inside, outside = matte > 0.5, matte < 0.1
    count = int(np.count_nonzero(inside))
    if count < 20:
        return None
    least = cv2.min(cv2.min(small[..., 0], small[..., 1]), small[..., 2])
    if np.count_nonzero(inside & (least >= _BLOWN)) > _BLOWN_SHARE * count:
        return "much of the subject is blown out"
    if np.count_nonzero(outside) < 20:
        return None
    luma = _luma(small)
    subject, glare = luma[inside], float(np.median(luma[outside]))
    lit = float(np.mean(subject >= _LIT)) >= _LIT_SHARE
    if float(np.median(subject)) < _SHADE and not lit and glare > _GLARE:
        return "the subject stands dark against the light"
    return None


def _small(rgb: Rgb) -> Tensor:
    small: Tensor = glimpse(rgb, _SIDE_PX, samples=1).astype(np.float32)
    return small / np.float32(full_scale(rgb))


def _luma(small: Tensor) -> Tensor:
    """Mean of the three colours, (h, w)."""
    mean: Tensor = cv2.transform(small, np.full((1, 3), 1 / 3, np.float32))
    return mean.reshape(small.shape[:2])
