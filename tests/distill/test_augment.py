"""Cuts, sizes and faults of pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cleancut.distill.augment import cropped, degrade, stretched, window
from cleancut.errors import BadArray

Array = NDArray[Any]


def scene(height: int = 60, width: int = 80) -> Array:
    """A picture with smooth colours, so that faults show."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 3, y * 4, 255 - x - y], axis=-1).clip(0, 255).astype(np.uint8)


def spot(height: int = 60, width: int = 80) -> Array:
    """A matte with one square of 20 pixels in the middle."""
    alpha = np.zeros((height, width), np.uint8)
    alpha[20:40, 30:50] = 255
    return alpha


def test_a_cut_keeps_most_of_the_subject_and_both_sides_in_step() -> None:
    rng = np.random.default_rng(0)
    smallest = 80
    for _ in range(60):
        rgb, alpha = cropped(scene(), spot(), rng, keep=0.5)
        assert rgb.shape[:2] == alpha.shape
        assert alpha.shape[0] >= 30
        assert alpha.shape[1] >= 40
        assert alpha.sum() >= 0.6 * spot().sum()
        smallest = min(smallest, alpha.shape[1])
    assert smallest < 55


def test_picture_and_matte_are_cut_at_the_same_place() -> None:
    rgb = np.repeat(spot()[..., None], 3, axis=-1)
    for seed in range(10):
        cut, alpha = cropped(rgb, spot(), np.random.default_rng(seed))
        assert np.array_equal(cut[..., 0], alpha)


def test_a_window_is_what_a_cut_keeps() -> None:
    part = window(spot(), np.random.default_rng(3))
    rgb, alpha = cropped(scene(), spot(), np.random.default_rng(3))
    assert np.array_equal(scene()[part], rgb)
    assert np.array_equal(spot()[part], alpha)


def test_a_picture_without_a_subject_is_cut_too() -> None:
    empty = np.zeros((60, 80), np.uint8)
    sizes = {cropped(scene(), empty, np.random.default_rng(seed))[1].shape for seed in range(8)}
    assert len(sizes) > 4


@pytest.mark.parametrize("size", [16, 200])
def test_stretching_keeps_the_share_that_is_covered(size: int) -> None:
    rgb, alpha = stretched(scene(), spot(), size)
    assert rgb.shape == (size, size, 3)
    assert rgb.dtype == alpha.dtype == np.uint8
    assert alpha.mean() == pytest.approx(spot().mean(), rel=0.05)


def test_faults_change_pictures_but_leave_their_argument_alone() -> None:
    rgb = scene()
    before = rgb.copy()
    results = [degrade(rgb, np.random.default_rng(seed)) for seed in range(40)]
    assert np.array_equal(rgb, before)
    assert all(r.shape == rgb.shape and r.dtype == np.uint8 for r in results)
    assert not any(np.shares_memory(r, rgb) for r in results)
    changed = [float(np.abs(r.astype(int) - rgb).mean()) for r in results]
    assert sum(change > 0.5 for change in changed) > 25
    assert max(changed) > 20  # the dark ones
    assert np.median(changed) < 25


def test_the_same_seed_gives_the_same_faults() -> None:
    one, other = (degrade(scene(), np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(one, other)
    assert not np.array_equal(one, degrade(scene(), np.random.default_rng(8)))


def test_faults_leave_an_outline_where_it_is() -> None:
    rgb = np.repeat(spot()[..., None], 3, axis=-1) // 2 + 64
    for seed in range(60):
        grey = degrade(rgb, np.random.default_rng(seed)).mean(axis=-1)
        grey -= np.median(grey)
        weight = np.where(np.abs(grey) > 0.4 * np.abs(grey).max(), np.abs(grey), 0)
        y, x = (float((axis * weight).sum() / weight.sum()) for axis in np.mgrid[0:60, 0:80])
        assert abs(y - 29.5) < 0.8
        assert abs(x - 39.5) < 0.8


@pytest.mark.parametrize(
    ("rgb", "alpha"),
    [
        (np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4), np.uint8)),
        (np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), np.uint8)),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5), np.uint8)),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.float32)),
        (np.zeros((0, 4, 3), np.uint8), np.zeros((0, 4), np.uint8)),
    ],
)
def test_other_arrays_are_refused(rgb: Array, alpha: Array) -> None:
    with pytest.raises(BadArray):
        stretched(rgb, alpha, 8)
    with pytest.raises(BadArray):
        cropped(rgb, alpha, np.random.default_rng(0))
