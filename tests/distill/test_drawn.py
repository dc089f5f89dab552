"""Logos and words made up with their mattes."""

from __future__ import annotations

import numpy as np
import pytest

from cleancut.distill.drawn import drawn


def test_a_drawing_is_a_square_with_something_on_it() -> None:
    covered = []
    for seed in range(16):
        rgb, alpha = drawn(np.random.default_rng(seed), 64)
        assert rgb.shape == (64, 64, 3)
        assert alpha.shape == (64, 64)
        assert rgb.dtype == alpha.dtype == np.uint8
        covered.append(float(alpha.mean()) / 255)
    assert min(covered) > 0
    assert 0.05 < np.mean(covered) < 0.5


def test_the_same_seed_draws_the_same() -> None:
    one, other = (drawn(np.random.default_rng(4), 64) for _ in range(2))
    assert np.array_equal(one[0], other[0])
    assert np.array_equal(one[1], other[1])


def test_the_background_is_untouched_where_alpha_is_zero_and_mixed_where_it_is_soft() -> None:
    """Two backdrops under one drawing differ by (1 - a) times their difference."""
    photo = np.zeros((50, 70, 3), np.uint8)
    photo[:, :, 1] = np.linspace(100, 110, 70)
    seen = 0
    for seed in range(8):
        rgb, alpha = drawn(np.random.default_rng(seed), 64, backdrop=photo)
        clear = rgb[alpha == 0]
        assert (clear[:, [0, 2]] == 0).all()
        assert clear[:, 1].min(initial=100) >= 99
        assert clear[:, 1].max(initial=110) <= 111
        lighter, again = drawn(np.random.default_rng(seed), 64, backdrop=photo + 1)
        if np.array_equal(alpha, again):
            seen += 1
            soft = (lighter.astype(int) - rgb).max(axis=-1)
            assert (soft[alpha == 255] == 0).all()
            assert (soft[alpha == 0] == 1).all()
    assert seen > 4


def test_the_main_inks_are_told_from_plain_paper() -> None:
    for seed in range(16):
        rgb, alpha = drawn(np.random.default_rng(seed), 64)
        if (alpha == 255).any() and (alpha == 0).any():
            paper = np.median(rgb[alpha == 0].astype(float), axis=0)
            assert np.abs(rgb[alpha == 255] - paper).max() > 40


def test_drawings_are_of_many_kinds() -> None:
    plates = [drawn(np.random.default_rng(seed), 48) for seed in range(28)]
    white = sum(bool((rgb[alpha == 0] == 255).all()) for rgb, alpha in plates)
    assert 6 < white < 24
    assert len({float(alpha.mean()) for _, alpha in plates}) > 24


@pytest.mark.parametrize("size", [32, 100])
def test_any_size_can_be_drawn(size: int) -> None:
    for seed in range(8):
        rgb, alpha = drawn(np.random.default_rng(seed), size)
        assert rgb.shape == (*alpha.shape, 3) == (size, size, 3)
