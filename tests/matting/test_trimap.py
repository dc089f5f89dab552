from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from cleancut.errors import BadArray, BadOption
from cleancut.matting.trimap import from_doubt, from_thresholds


def _blotches(seed: int = 2) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    levels = np.kron(rng.integers(0, 256, (6, 7)), np.ones((9, 9)))
    levels[:27, :36] = 255
    levels[27:, :27] = 0
    return (levels / 255).astype(np.float32)


def _eroded(mask: NDArray[np.bool_], offsets: list[tuple[int, int]], outside: bool) -> object:
    """Binary erosion by its definition: every pixel under the element is set."""
    padded = np.pad(mask, 40, constant_values=outside)
    height, width = mask.shape
    kept = np.ones_like(mask)
    for y, x in offsets:
        kept &= padded[40 + y : 40 + y + height, 40 + x : 40 + x + width]
    return kept


@pytest.mark.parametrize("erode", [0, 1, 4, 5, 10])
def test_it_is_rembgs_trimap(erode: int) -> None:
    alpha = _blotches()
    level = np.rint(alpha * 255)
    reach = range(-(erode // 2), erode - erode // 2)
    offsets = [(y, x) for y in reach for x in reach]
    if erode == 0:
        offsets = [(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)]
    wanted = np.full(alpha.shape, 0.5)
    wanted[_eroded(level > 200, offsets, False)] = 1
    wanted[_eroded(level < 30, offsets, True)] = 0
    found = from_thresholds(alpha, foreground=200, background=30, erode=erode)
    assert found.dtype == np.float32
    assert (found == wanted).all()
    assert set(np.unique(found)) == {0, 0.5, 1}


def test_thresholds_are_exclusive_8_bit_levels() -> None:
    alpha = (np.arange(256, dtype=np.float32) / 255)[None].repeat(3, axis=0)
    middle = from_thresholds(alpha, erode=1)[1]
    assert (middle == 1).sum() == 255 - 240
    assert (middle == 0).sum() == 10


def test_a_subject_at_the_frame_gets_an_unknown_rim_and_the_background_does_not() -> None:
    assert from_thresholds(np.ones((20, 20), np.float32))[0].tolist() == [0.5] * 20
    assert not from_thresholds(np.zeros((20, 20), np.float32)).any()


def test_bad_values_are_refused() -> None:
    alpha = np.zeros((4, 4), np.float32)
    with pytest.raises(BadOption, match="foreground"):
        from_thresholds(alpha, foreground=256)
    with pytest.raises(BadOption, match="erode"):
        from_thresholds(alpha, erode=-1)
    with pytest.raises(BadArray):
        from_thresholds(alpha + 2)


def test_the_band_of_doubt_is_as_wide_as_the_net_is_unsure() -> None:
    ramp = np.clip((np.arange(100, dtype=np.float32) - 30) / 40, 0, 1)[None].repeat(20, axis=0)
    trimap = from_doubt(ramp, reach=2)
    assert (trimap[:, :30] == 0).all()
    assert (trimap[:, 33:67] == 0.5).all()
    assert (trimap[:, 71:] == 1).all()
    step = (np.arange(100) >= 50).astype(np.float32)[None].repeat(20, axis=0)
    assert (from_doubt(step, reach=2)[3] == 0.5).sum() == 4
    assert not (from_doubt(step, reach=0) == 0.5).any()


def test_doubt_from_elsewhere_is_unknown_too() -> None:
    alpha, doubt = np.ones((30, 30), np.float32), np.zeros((30, 30), np.float32)
    doubt[10:20, 10:20] = 0.6
    trimap = from_doubt(alpha, doubt=doubt, reach=1)
    assert (trimap == 0.5).sum() == 12 * 12
    assert trimap[0, 0] == 1  # the frame is no edge
    with pytest.raises(BadOption, match="reach"):
        from_doubt(alpha, reach=-1)
    with pytest.raises(BadArray, match="doubt"):
        from_doubt(alpha, doubt=doubt * 2)
