from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from cleancut.errors import BadOption
from cleancut.imaging.picture import Picture
from cleancut.imaging.resize import fit, glimpse, halved, shrink_to, size_within, upsample_alpha


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("size", [(5, 7), (40, 9), (6, 90), (64, 80), (24, 36), (1, 1)])
def test_fit_keeps_type_range_and_flat_colour(dtype, size):
    value = dtype(0.25) if dtype == np.float32 else dtype(77)
    flat = np.full((24, 36, 3), value, dtype)
    resized = fit(flat, *size)
    assert resized.shape == (*size, 3)
    assert resized.dtype == dtype
    assert np.allclose(resized.astype(float), float(value), atol=1e-4)
    noise = np.random.default_rng(0).random((24, 36, 3)).round().astype(np.float32)
    assert 0.0 <= fit(noise, *size).min() <= fit(noise, *size).max() <= 1.0


def test_shrinking_averages_all_pixels():
    stripes = np.zeros((8, 8, 3), np.uint8)
    stripes[:, ::2] = 200
    assert (fit(stripes, 2, 2) == 100).all()
    # Also along the one axis that shrinks while the other grows.
    assert (fit(stripes, 20, 2) == 100).all()


def test_enlarging_is_cubic():
    alpha = np.zeros((4, 8), np.float32)
    alpha[:, 4:] = 1.0
    edge = upsample_alpha(alpha, 4, 64)[0]
    assert edge.min() == 0.0
    assert edge.max() == 1.0
    # A linear ramp would be 8 pixels of slope 1/8; a cubic one is steeper in the middle.
    assert np.diff(edge).max() > 1.1 / 8


def test_input_is_not_changed_and_same_size_is_returned_as_it_is():
    alpha = np.random.default_rng(1).random((6, 5)).astype(np.float32)
    before = alpha.copy()
    upsample_alpha(alpha, 60, 50)
    assert upsample_alpha(alpha, 6, 5) is alpha
    assert (alpha == before).all()


def test_shrink_to_bounds_the_longer_side_and_never_enlarges():
    picture = Picture(np.zeros((30, 90, 3), np.uint8), np.ones((30, 90), np.float32))
    small = shrink_to(picture, 45)
    assert (small.height, small.width) == (15, 45)
    assert small.alpha is not None
    assert small.alpha.shape == (15, 45)
    assert shrink_to(picture, 90) is picture
    assert shrink_to(picture, 1).rgb.shape == (1, 1, 3)
    with pytest.raises(BadOption):
        shrink_to(picture, 0)


def test_shrinking_does_not_bleed_hidden_colours():
    rgb = np.zeros((4, 4, 3), np.uint8)
    rgb[:, :2] = (200, 100, 50)
    alpha = np.zeros((4, 4), np.float32)
    alpha[:, 1:2] = 1.0
    alpha[:, 0:1] = 1.0
    rgb[:, 2:] = (0, 255, 0)
    alpha[0:2, 1] = 0.0
    rgb[0:2, 1] = (0, 255, 0)
    small = shrink_to(Picture(rgb, alpha), 2)
    assert (small.rgb[:, 0] == (200, 100, 50)).all()


@pytest.mark.parametrize("side", [40, 300, 3000])
def test_a_glimpse_keeps_shape_and_statistics(side: int) -> None:
    y, x = np.mgrid[:side, : side // 2]
    plane = (0.5 + 0.5 * np.sin(x / side * 9) * np.cos(y / side * 7)).astype(np.float32)
    small = glimpse(plane, 128)
    assert max(small.shape) == min(side, 128)
    assert small.dtype == plane.dtype
    assert abs(float(small.mean() - plane.mean())) < 0.01
    assert glimpse(plane, side) is plane


def test_halving_is_the_mean_of_two_by_two():
    rng = np.random.default_rng(0)
    plane = rng.random((30, 42, 3)).astype(np.float32)
    wanted = plane.reshape(15, 2, 21, 2, 3).mean(axis=(1, 3))
    assert np.abs(halved(plane) - wanted).max() < 1e-6
    assert halved(plane[:29, :41]).shape == (14, 20, 3)
    assert (halved(plane[:29, :41]) == halved(plane)[:14, :20]).all()
    assert halved(plane[:1], 3).shape == (1, 5, 3)


@pytest.mark.parametrize("size", [(2000, 3000), (1999, 3001), (2001, 2503)])
def test_large_pictures_are_shrunk_by_halves_first_to_nearly_the_same(size):
    y, x = np.mgrid[: size[0], : size[1]]
    picture = np.dstack([y * 255 / size[0], x * 255 / size[1], (x + y) % 256]).astype(np.uint8)
    picture = cv2.GaussianBlur(picture, (0, 0), 3)
    direct = cv2.resize(picture, (320, 256), interpolation=cv2.INTER_AREA)
    found = fit(picture, 256, 320).astype(int)
    assert np.abs(found[..., :2] - direct[..., :2]).max() <= 2
    assert np.abs(found - direct).mean() < 2


def test_a_glimpse_has_the_size_asked_for_and_the_same_mean():
    rng = np.random.default_rng(0)
    plane = cv2.GaussianBlur(rng.random((1500, 2000)).astype(np.float32), (0, 0), 9)
    for samples in (1, 2):
        small = glimpse(plane, 256, samples=samples)
        assert small.shape == (192, 256)
        assert abs(small.mean() - plane.mean()) < 0.01
    assert glimpse(small, 256) is small


@pytest.mark.parametrize(
    ("size", "limits", "wanted"),
    [
        ((3200, 5000), {"max_pixels": 0.25e6}, (400, 625)),
        ((5000, 3200), {"max_pixels": 0.25e6}, (625, 400)),
        ((400, 625), {"max_pixels": 0.25e6}, (400, 625)),
        ((100, 100), {}, (100, 100)),
        ((1, 10_000), {"max_pixels": 100}, (1, 100)),
        ((1000, 2000), {"max_side": 500, "max_pixels": 1e6}, (250, 500)),
        ((1000, 2000), {"max_side": 1900, "max_pixels": 500}, (15, 31)),
    ],
)
def test_sizes_within_limits(
    size: tuple[int, int], limits: dict[str, Any], wanted: tuple[int, int]
) -> None:
    assert size_within(*size, **limits) == wanted


def test_no_size_is_over_its_limit_by_a_pixel() -> None:
    rng = np.random.default_rng(3)
    for _ in range(2000):
        height, width = (int(side) for side in rng.integers(1, 9000, 2))
        limit = float(rng.integers(1, 100_000))
        low, wide = size_within(height, width, None, limit)
        assert low * wide <= limit or height * width <= limit
        if low > 50 and wide > 50 and height * width > limit:
            assert low * wide > limit * (1 - 1 / low - 1 / wide)
            assert low / wide == pytest.approx(height / width, rel=0.02)
