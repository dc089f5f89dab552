from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from cleancut.errors import BadArray, BadOption
from cleancut.matting.trimap import from_thresholds


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
