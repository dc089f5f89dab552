"""What an HDR frame looks like on an ordinary screen, for networks: BT.2020 PQ or HLG to BT.709.

Two tables and one matrix, on 16 bits. Light is brought to 203 cd/m2 for diffuse white (ITU-R
BT.2408), highlights are rolled off by the curve of Reinhard et al. (Photographic Tone Reproduction
for Digital Images, SIGGRAPH 2002, eq. 4) on each of red, green and blue, and the result is encoded
as sRGB (IEC 61966-2-1), which is what networks were trained on.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cleancut.video.frame import ColourTags

_WHITE_NITS, _PEAK_NITS = 203.0, 1000.0
_PQ, _HLG = 16, 18
#: Linear light BT.2020 to BT.709 (ITU-R BT.2087, the inverse of its equation 4).
_TO_709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
    np.float32,
)


def view_of(rgb: NDArray[Any], tags: ColourTags) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 that networks are shown, of a frame's ``rgb``; ``rgb`` itself if it is such.

    HDR is tone-mapped; what has more than 8 bits otherwise is rounded.
    """
    if tags.hdr:
        light = _through(rgb, light_table(tags.transfer, rgb.dtype.itemsize))
        if tags.primaries in (2, 9):
            light = cv2.transform(light, _TO_709)
        return np.asarray(_through(light, _srgb_table()), np.uint8)
    if rgb.dtype == np.uint8:
        return rgb
    return np.asarray(cv2.convertScaleAbs(rgb, alpha=1 / 257), np.uint8)


@lru_cache(maxsize=4)
def light_table(transfer: int, itemsize: int) -> NDArray[np.uint16]:
    """Tone-mapped light (65535: as bright as the screen) by stored value of 1 or 2 bytes.

    PQ: SMPTE ST 2084. HLG: ITU-R BT.2100, table 5; its system gamma of 1.2 is applied to each
    primary, as there is no one else to ask how bright the screen is.
    """
    signal = np.linspace(0, 1, 256**itemsize)
    nits = _pq(signal) if transfer == _PQ else _PEAK_NITS * _hlg(signal) ** 1.2
    light = nits / _WHITE_NITS
    peak = _PEAK_NITS / _WHITE_NITS
    # Below the knee nothing changes; above it the curve reaches 1 at the peak.
    knee, room = 0.6, 0.4
    over = np.maximum(light - knee, 0) / room
    top = (peak - knee) / room
    rolled = knee + room * over * (1 + over * (1 - 1 / top) / top) / (1 + over)
    mapped = np.where(light > knee, np.minimum(rolled, 1), light)
    return np.asarray(np.rint(np.clip(mapped, 0, 1) * 65535), np.uint16)


def _pq(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """cd/m2 of a PQ signal in 0..1 (SMPTE ST 2084, equation 4.1)."""
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    root = signal ** (1 / m2)
    return np.asarray(10000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1))


def _hlg(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scene light in 0..1 of an HLG signal in 0..1 (BT.2100: the inverse OETF)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)


@lru_cache(maxsize=1)
def _srgb_table() -> NDArray[np.uint8]:
    light = np.linspace(0, 1, 65536)
    curve = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(curve * 255), np.uint8)


def _through(values: NDArray[Any], table: NDArray[Any]) -> NDArray[Any]:
    """``table[values]``; OpenCV 5 looks up 16 bits five times as fast as numpy does."""
    try:
        return np.asarray(cv2.LUT(values, table.reshape(1, -1)))
    except cv2.error:  # OpenCV 4 knows tables of 256 only
        return np.asarray(table[values])
