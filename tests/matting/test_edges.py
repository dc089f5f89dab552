from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cleancut.errors import BadArray, BadOption
from cleancut.matting.edges import adjust_edges

Matte = NDArray[np.float32]

EVERYTHING: list[dict[str, Any]] = [
    {"threshold": 0.4},
    {"threshold": 0.4, "feather_px": 2},
    {"min_area_px": 30},
    {"keep_largest": True},
    {"fill_holes": True},
    {"grow_px": 1.5},
    {"grow_px": 30},
    {"grow_px": -1.5},
    {"grow_px": -30},
    {"feather_px": 3},
    {"feather_px": 50},
    {"threshold": 0.5, "min_area_px": 9, "keep_largest": True, "fill_holes": True, "grow_px": 2},
]


def _disc(radius: float = 40.0, size: int = 120, at: tuple[float, float] = (60, 60)) -> Matte:
    y, x = np.mgrid[:size, :size]
    edge: Matte = np.clip(radius - np.hypot(y - at[0], x - at[1]) + 0.5, 0, 1).astype(np.float32)
    return edge


def _hairy() -> Matte:
    """A disc with strands two pixels wide that stick out upwards."""
    alpha = _disc(30)
    for column in (45, 60, 75):
        alpha[5:40, column : column + 2] = 0.8
    return alpha


def test_off_changes_nothing_and_gives_a_new_array() -> None:
    alpha = np.random.default_rng(0).random((40, 50), np.float32)
    out = adjust_edges(alpha)
    assert np.array_equal(out, alpha)
    assert not np.shares_memory(out, alpha)


@pytest.mark.parametrize("knobs", EVERYTHING, ids=str)
@pytest.mark.parametrize("size", [(1, 1), (1, 70), (70, 1), (2, 3), (33, 47)], ids=str)
def test_any_size_and_any_matte_stays_a_matte(knobs: dict[str, Any], size: tuple[int, int]) -> None:
    noise = np.random.default_rng(1).random(size, np.float32)
    for alpha in (np.zeros(size, np.float32), np.ones(size, np.float32), noise):
        before = alpha.copy()
        out = adjust_edges(alpha, **knobs)
        assert np.array_equal(alpha, before)
        assert out.shape == size
        assert out.dtype == np.float32
        assert out.min() >= 0
        assert out.max() <= 1


@pytest.mark.parametrize("knobs", EVERYTHING, ids=str)
def test_a_matte_without_edges_has_none_to_change(knobs: dict[str, Any]) -> None:
    full = np.ones((50, 60), np.float32)
    assert np.allclose(adjust_edges(full, **knobs), 1)
    assert not adjust_edges(np.zeros((50, 60), np.float32), **knobs).any()


def test_a_threshold_gives_zeros_and_ones() -> None:
    alpha = np.linspace(0, 1, 101, dtype=np.float32)[None].repeat(9, 0)
    hard = adjust_edges(alpha, threshold=0.7)
    assert np.array_equal(hard, (alpha >= np.float32(0.7)).astype(np.float32))
    grown = adjust_edges(_disc(), threshold=0.5, grow_px=1.5)
    assert set(np.unique(grown)) == {0.0, 1.0}


def test_a_feathered_threshold_has_no_stairs() -> None:
    y, x = np.mgrid[:90, :90]
    slope = np.clip((x - 45 - 0.3 * (y - 45)) / 20 + 0.5, 0, 1).astype(np.float32)
    rows = adjust_edges(slope, threshold=0.5, feather_px=1).sum(axis=1)[10:80]
    assert np.abs(np.diff(rows) + 0.3).max() < 0.2  # stairs would be 0 and 1


@pytest.mark.parametrize("width", [0.5, 1.0, 2.5, 7.0, 20.0])
def test_growing_and_shrinking_move_a_contour_by_fractions(width: float) -> None:
    radius = {sign: adjust_edges(_disc(), grow_px=sign * width).sum() for sign in (1, -1)}
    grown, shrunk = (float(np.sqrt(radius[sign] / np.pi)) for sign in (1, -1))
    assert grown - 40 == pytest.approx(width, rel=0.08, abs=0.12)
    assert 40 - shrunk == pytest.approx(width, rel=0.08, abs=0.12)


def test_strands_do_not_grow_and_do_not_vanish() -> None:
    alpha = _hairy()
    grown = adjust_edges(alpha, grow_px=3)
    assert np.array_equal(grown[8:20], alpha[8:20])
    assert grown[60, 92] > 0.5 > alpha[60, 92]
    shrunk = adjust_edges(alpha, grow_px=-3)
    assert shrunk[8:20].sum() > 0.3 * alpha[8:20].sum()
    assert shrunk[60, 88] < 0.1 < 0.9 < alpha[60, 88]


def test_the_frame_is_no_edge() -> None:
    alpha = np.zeros((60, 60), np.float32)
    alpha[20:, 15:45] = 1  # cut off below
    for out in (adjust_edges(alpha, grow_px=-4), adjust_edges(alpha, feather_px=4)):
        assert np.all(out[-3:, 25:35] == 1)
        assert out[20, 30] < 0.5


@pytest.mark.parametrize("width", [2.0, 6.0, 15.0])
def test_a_feather_leaves_no_halo_and_the_inside_opaque(width: float) -> None:
    alpha = _disc()
    out = adjust_edges(alpha, feather_px=width)
    assert np.all(out <= alpha)
    y, x = np.mgrid[:120, :120]
    inside = np.hypot(y - 60, x - 60) < 40 - width - 1.5
    assert np.all(out[inside] == 1)
    profile = out[60, 60:]
    assert np.count_nonzero((profile > 0.01) & (profile < 0.99)) == pytest.approx(width, abs=3.1)


def test_a_feather_spares_what_is_thin() -> None:
    alpha = _hairy()
    out = adjust_edges(alpha, feather_px=12)
    assert np.allclose(out[8:14], alpha[8:14], atol=0.05)
    bar = np.zeros((60, 100), np.float32)
    bar[25:35, 10:90] = 1
    assert adjust_edges(bar, feather_px=20)[29:31, 30:70].min() > 0.95


@pytest.mark.parametrize(
    "knobs",
    [
        {"threshold": 0.0},
        {"threshold": 2.0},
        {"min_area_px": -1.0},
        {"grow_px": float("nan")},
        {"feather_px": float("inf")},
    ],
    ids=str,
)
def test_impossible_numbers_are_refused(knobs: dict[str, Any]) -> None:
    with pytest.raises(BadOption):
        adjust_edges(_disc(), **knobs)


def test_a_matte_with_nan_is_refused() -> None:
    with pytest.raises(BadArray):
        adjust_edges(np.full((4, 4), np.nan, np.float32), grow_px=1)
