"""sRGB pixels in the colours of an HDR video, so that both can lie in one frame.

White becomes 203 cd/m², the level of graphics white in PQ and HLG production (ITU-R BT.2408).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.arrays import Rgb
    from cleancut.video.frame import ColourTags

#: Graphics white in cd/m², PQ's peak, and the share of HLG's peak that graphics white is.
WHITE_NITS, PQ_PEAK_NITS, HLG_WHITE = 203.0, 10_000.0, 0.265
#: BT.709 to BT.2020 primaries, linear light (ITU-R BT.2087).
_WIDER = np.array(
    [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]], np.float32
)
_BT2020, _HLG = 9, 18
#: Curves are looked up at so many places, the dark ones closer together.
_STEPS = 4096


def into_hdr(rgb: Rgb, tags: ColourTags) -> NDArray[np.uint16]:
    """``rgb``, (H, W, 3) uint8 sRGB, as (H, W, 3) uint16 of the transfer and primaries of ``tags``.

    PQ (SMPTE ST 2084) or HLG (ITU-R BT.2100); primaries change where ``tags`` name BT.2020.
    """
    linear: Any = cv2.LUT(np.ascontiguousarray(rgb), _linear_of_srgb())
    if tags.primaries == _BT2020:
        linear = np.clip(cv2.transform(linear, _WIDER), 0, 1)
    table = _hlg() if tags.transfer == _HLG else _pq()
    place = np.sqrt(linear) * np.float32(_STEPS - 1)
    pixels: NDArray[np.uint16] = table[place.astype(np.int32)]
    return pixels


def _linear_of_srgb() -> NDArray[np.float32]:
    code = np.arange(256, dtype=np.float64) / 255
    low = code <= 0.04045
    return np.where(low, code / 12.92, ((code + 0.055) / 1.055) ** 2.4).astype(np.float32)


def _pq() -> NDArray[np.uint16]:
    """PQ codes of light as a share of graphics white, by its square root."""
    share = np.linspace(0, 1, _STEPS) ** 2 * (WHITE_NITS / PQ_PEAK_NITS)
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    power = share**m1
    return np.rint(65535 * ((c1 + c2 * power) / (1 + c3 * power)) ** m2).astype(np.uint16)


def _hlg() -> NDArray[np.uint16]:
    """HLG codes, likewise: graphics white is at 75 % of the signal."""
    share = np.linspace(0, 1, _STEPS) ** 2 * HLG_WHITE
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    dark = np.sqrt(3 * share)
    light = a * np.log(np.maximum(12 * share - b, 1e-9)) + c
    code = np.where(share <= 1 / 12, dark, light)
    return np.asarray(np.rint(65535 * code), np.uint16)
