from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from cleancut.matting import islands
from cleancut.matting.islands import fill_holes, keep_largest, remove_islands

Matte = NDArray[np.float32]


def _disc(alpha: Matte, y: int, x: int, radius: float, value: float = 1.0) -> None:
    rows, columns = np.mgrid[: alpha.shape[0], : alpha.shape[1]]
    edge = np.clip(radius - np.hypot(rows - y, columns - x) + 0.5, 0, 1) * value
    np.maximum(alpha, edge.astype(np.float32), out=alpha)


def _scene() -> Matte:
    alpha = np.zeros((120, 200), np.float32)
    _disc(alpha, 60, 50, 35)
    _disc(alpha, 60, 150, 25)
    return alpha


def test_islands_go_by_their_area() -> None:
    alpha = _scene()
    _disc(alpha, 10, 190, 4)  # 50 pixels
    out = remove_islands(alpha, 100)
    assert not out[:20, 180:].any()
    assert np.array_equal(out[:, :180], alpha[:, :180])
    assert np.array_equal(remove_islands(alpha, 40), alpha)
    assert not remove_islands(alpha, 1e6).any()


def test_a_lock_joined_by_faint_hair_is_no_island() -> None:
    alpha = _scene()
    alpha[5:30, 50] = 0.1
    _disc(alpha, 6, 50, 3)
    assert np.array_equal(remove_islands(alpha, 100), alpha)


def test_the_largest_object_stays_and_nothing_of_the_others() -> None:
    out = keep_largest(_scene())
    alpha = _scene()
    assert np.array_equal(out[:, :100], alpha[:, :100])
    assert not out[:, 110:].any()


def test_hair_stays_with_the_largest_object() -> None:
    alpha = _scene()
    alpha[5:30, 50] = 0.2  # a faint strand
    _disc(alpha, 6, 50, 2)  # with a dense tip
    alpha[60:62, 84:130] = 0.2  # haze between the two objects
    out = keep_largest(alpha)
    assert np.array_equal(out[:30, 40:60], alpha[:30, 40:60])
    assert out[60, 90] > 0
    assert out[60, 120] == 0


def test_a_translucent_object_counts_too() -> None:
    alpha = np.zeros((80, 80), np.float32)
    _disc(alpha, 30, 30, 20, 0.3)
    _disc(alpha, 70, 70, 5, 0.4)
    out = keep_largest(alpha)
    assert out[30, 30] > 0.29
    assert out[70, 70] == 0


def test_holes_are_closed_rims_included() -> None:
    alpha = _scene()
    hole = np.zeros_like(alpha)
    _disc(hole, 60, 50, 10)
    out = fill_holes(np.clip(alpha - hole, 0, 1))
    assert out[45:75, 35:65].min() == 1
    soft = alpha.copy()
    soft[55:65, 45:55] = 0.3
    assert fill_holes(soft)[50:70, 40:60].min() == 1


def test_a_bay_is_no_hole_and_neither_is_what_the_frame_cuts() -> None:
    alpha = np.ones((60, 60), np.float32)
    alpha[20:, 25:35] = 0  # open below
    assert np.array_equal(fill_holes(alpha), alpha)


def test_a_gap_between_strands_becomes_no_more_opaque_than_they_are() -> None:
    alpha = np.zeros((40, 40), np.float32)
    alpha[10:30, 10:30] = 0.6
    alpha[12:28, 12:28] = 0
    out = fill_holes(alpha)
    assert out[20, 20] == np.float32(0.5)
    assert np.all(out[:10] == 0)


def test_large_mattes_are_labelled_strip_by_strip_with_the_same_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alpha = _scene()
    _disc(alpha, 10, 190, 4)
    alpha[5:30, 50] = 0.2
    _disc(alpha, 6, 50, 2)
    at_once = remove_islands(alpha, 100), keep_largest(alpha)
    monkeypatch.setattr(islands, "_STRIP_PIXELS", 7 * alpha.shape[1])  # 7 rows, and a rest of 1
    for whole, strips in zip(
        at_once, (remove_islands(alpha, 100), keep_largest(alpha)), strict=True
    ):
        assert np.array_equal(whole, strips)
    monkeypatch.setattr(islands, "_STRIP_PIXELS", 1)  # narrower than a row
    assert np.array_equal(keep_largest(alpha), at_once[1])
