"""Subjects on other backgrounds."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cleancut.distill.compositing import composite, lifted, placed, plain_backdrop
from cleancut.errors import BadArray

Array = NDArray[Any]
GREEN, RED = (30, 200, 40), (220, 30, 30)


def disc(
    height: int = 90, width: int = 120, middle: tuple[int, int] = (60, 45), radius: int = 25
) -> tuple[Array, Array]:
    """A red disc with a soft edge on green, and its matte."""
    alpha = np.zeros((height, width), np.uint8)
    cv2.circle(alpha, middle, radius, 255, -1)
    alpha = np.asarray(cv2.GaussianBlur(alpha, (0, 0), 2))
    share = alpha[..., None] / 255
    rgb = np.rint(share * RED + (1 - share) * GREEN).astype(np.uint8)
    return rgb, alpha


def wall(level: int = 0, size: int = 100) -> Array:
    return np.full((size, size, 3), level, np.uint8)


def test_the_answer_has_the_side_that_was_asked_for_and_changes_nothing() -> None:
    rgb, alpha = disc()
    before = rgb.copy(), alpha.copy()
    for seed in range(10):
        picture, matte = composite(rgb, alpha, wall(), np.random.default_rng(seed), side=96)
        assert picture.dtype == matte.dtype == np.uint8
        assert picture.shape == (*matte.shape, 3)
        assert max(matte.shape) == 96
        assert 0.03 < matte.mean() / 255 < 1
    assert np.array_equal(rgb, before[0])
    assert np.array_equal(alpha, before[1])


def test_the_same_seed_gives_the_same_picture() -> None:
    one, other = (composite(*disc(), wall(90), np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(one[0], other[0])
    assert np.array_equal(one[1], other[1])


def test_where_alpha_is_zero_the_scene_is_seen_and_nothing_else() -> None:
    for seed in range(12):
        picture, matte = composite(*disc(), wall(0), np.random.default_rng(seed), side=96)
        assert picture[matte == 0].max(initial=0) == 0
        assert picture[matte > 250].max() > 60


def test_no_old_background_is_left_in_the_outline() -> None:
    """On black, C = a F: with the green of the old background G would show beside R."""
    for seed in range(12):
        picture, matte = composite(*disc(), wall(0), np.random.default_rng(seed), side=96)
        soft = picture[(matte > 60) & (matte < 200)].astype(float)
        assert len(soft)
        assert (soft[:, 1].mean() + 1) / (soft[:, 0].mean() + 1) < 0.4


def test_alpha_is_what_the_picture_was_made_with() -> None:
    subject = lifted(*disc())
    assert subject is not None
    for seed in range(8):
        dark, matte = placed(subject, wall(0), np.random.default_rng(seed), side=96)
        # On a wall without light nothing is matched to it but brightness; colours stay below alpha.
        assert (dark.max(axis=-1) <= matte).all()


@pytest.mark.parametrize(("middle", "side"), [((60, 88), 3), ((2, 45), 0), ((118, 45), 2)])
def test_what_a_photograph_cut_off_is_cut_off_by_the_same_side(
    middle: tuple[int, int], side: int
) -> None:
    subject = lifted(*disc(middle=middle))
    assert subject is not None
    assert subject.touches[side]
    for seed in range(12):
        _, matte = placed(subject, wall(90), np.random.default_rng(seed), side=96)
        lines = (matte[:, 0], matte[0], matte[:, -1], matte[-1])
        touched = [bool(line.max() > 200) for line in lines]
        # A mirrored one may touch the opposite side.
        assert touched[side] or (side != 3 and touched[2 - side])


def test_a_free_subject_is_told_to_touch_nothing() -> None:
    subject = lifted(*disc())
    assert subject is not None
    assert subject.touches == (False, False, False, False)


def test_haze_and_islands_of_a_teacher_are_not_taken_along() -> None:
    rgb, alpha = disc()
    alpha[2:5, 2:5] = 255
    alpha[70:90, 100:120] = 25
    subject = lifted(rgb, alpha)
    clean = lifted(*disc())
    assert subject is not None
    assert clean is not None
    assert subject.alpha.shape == clean.alpha.shape
    assert np.array_equal(subject.alpha, clean.alpha)


def test_two_large_parts_are_both_kept() -> None:
    rgb, alpha = disc(middle=(30, 45), radius=18)
    _, other = disc(middle=(90, 45), radius=12)
    subject = lifted(rgb, np.maximum(alpha, other))
    assert subject is not None
    assert subject.alpha.shape[1] > 80


def test_without_a_subject_the_answer_is_the_background() -> None:
    picture, matte = composite(
        wall(9), np.zeros((100, 100), np.uint8), wall(70), np.random.default_rng(0)
    )
    assert not matte.any()
    assert (picture == 70).all()


def test_a_shadow_belongs_to_the_background() -> None:
    shaded = 0
    for seed in range(20):
        picture, matte = composite(*disc(), wall(200), np.random.default_rng(seed), side=96)
        behind = picture[matte == 0]
        shaded += bool(len(behind) and behind.min() < 180)
    assert 6 < shaded < 20


def test_studio_backdrops_are_smooth_and_of_many_kinds() -> None:
    rng = np.random.default_rng(0)
    levels = []
    for _ in range(24):
        paper = plain_backdrop(rng, 48)
        assert paper.shape == (48, 48, 3)
        assert paper.dtype == np.uint8
        steps = np.abs(np.diff(paper.astype(int), axis=1)).mean()
        assert steps < 4
        levels.append(float(paper.mean()))
    assert max(levels) == 255
    assert min(levels) < 120


def test_other_arrays_are_refused() -> None:
    rgb, alpha = disc()
    rng = np.random.default_rng(0)
    with pytest.raises(BadArray):
        composite(rgb, alpha.astype(np.float32), wall(), rng)
    with pytest.raises(BadArray):
        composite(rgb, alpha[:, :-1], wall(), rng)
    with pytest.raises(BadArray):
        composite(rgb, alpha, wall().astype(np.float32), rng)
    with pytest.raises(BadArray):
        composite(rgb, np.dstack([alpha, alpha]), wall(), rng)
