from __future__ import annotations

import numpy as np
import pytest

from cleancut.video.frame import ColourTags
from cleancut.video.into_hdr import into_hdr


def _grey(level: int) -> np.ndarray:
    return np.full((2, 2, 3), level, np.uint8)


@pytest.mark.parametrize(("transfer", "signal"), [(16, 0.58), (18, 0.75)])
def test_white_is_graphics_white_of_bt_2408(transfer: int, signal: float) -> None:
    out = into_hdr(_grey(255), ColourTags(9, transfer, 9))
    assert out.dtype == np.uint16
    assert np.abs(out / 65535 - signal).max() < 0.005


@pytest.mark.parametrize("transfer", [16, 18])
def test_black_stays_black_and_greys_stay_grey_and_in_order(transfer: int) -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    out = into_hdr(ramp, ColourTags(9, transfer, 9)).astype(int)
    assert out[0, 0].max() < 10
    assert np.ptp(out, axis=2).max() <= 0.003 * 65535
    assert (np.diff(out[0, :, 1]) >= 0).all()


def test_green_of_bt_709_is_less_pure_in_bt_2020() -> None:
    green = np.zeros((1, 1, 3), np.uint8)
    green[..., 1] = 255
    wide = into_hdr(green, ColourTags(9, 16, 9))[0, 0].astype(int)
    own = into_hdr(green, ColourTags(1, 16, 1))[0, 0].astype(int)
    assert own[0] < 10 < 5000 < wide[0] < wide[1]
