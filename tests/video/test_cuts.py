from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from cleancut.video.cuts import glance_at, is_cut
from tests.video.scenes import moving_disc, texture


def room(seed: int, tint: tuple[float, float, float] = (1, 1, 1)) -> Any:
    pixels = texture(seed, 20, 230, 180, 320) * np.array(tint, np.float32)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def cut(before: Any, after: Any) -> bool:
    return is_cut(glance_at(before), glance_at(after))


def test_another_scene_is_a_cut_in_both_directions() -> None:
    one, other = room(1, (1, 0.5, 0.2)), room(2, (0.2, 0.6, 1))
    assert cut(one, other)
    assert cut(other, one)


def test_frames_of_another_size_are_a_cut() -> None:
    assert cut(room(1), room(1)[:, :200])


@pytest.mark.parametrize("gain", [0.5, 1.3])
def test_a_change_of_light_is_no_cut(gain: float) -> None:
    lit = np.clip(room(3) * gain, 0, 255).astype(np.uint8)
    assert not cut(room(3), lit)
    assert not cut(lit, room(3))


def test_a_fast_pan_is_no_cut() -> None:
    wide = np.clip(texture(4, 20, 230, 180, 420), 0, 255).astype(np.uint8)
    assert not cut(wide[:, :320], wide[:, 40:360])


def test_no_step_of_a_fade_is_a_cut() -> None:
    levels = [room(5) * share for share in np.linspace(1, 0, 12)]
    steps = [glance_at(level.astype(np.uint8)) for level in levels]
    assert not any(is_cut(one, other) for one, other in itertools.pairwise(steps))


def test_no_step_of_a_dissolve_is_a_cut() -> None:
    one, other = room(6, (1, 0.6, 0.4)), room(7, (0.4, 0.6, 1))
    mixed = [((1 - s) * one + s * other).astype(np.uint8) for s in np.linspace(0, 1, 13)]
    steps = [glance_at(frame) for frame in mixed]
    assert not any(is_cut(a, b) for a, b in itertools.pairwise(steps))


def test_noise_on_a_flat_frame_is_no_cut() -> None:
    rng = np.random.default_rng(0)
    flats = [np.clip(128 + rng.normal(0, 3, (90, 160, 3)), 0, 255).astype(np.uint8) for _ in "ab"]
    assert not cut(*flats)


def test_a_subject_that_moves_is_no_cut() -> None:
    frames = moving_disc(4, speed=9).frames
    assert not any(cut(a.view, b.view) for a, b in itertools.pairwise(frames))


def test_frames_of_a_few_pixels_can_be_looked_at() -> None:
    tiny = np.zeros((2, 3, 3), np.uint8)
    assert not cut(tiny, tiny)


@pytest.mark.parametrize("shape", [(64, 4080), (16, 96), (24, 200), (1, 500), (400, 3), (1, 1)])
def test_pictures_of_any_shape_are_compared_within_their_memory(shape: tuple[int, int]) -> None:
    """OpenCV's flow ended the process where a picture was four times as wide as high."""
    random = np.random.default_rng(0)
    for _ in range(5):
        one, other = random.integers(0, 255, (2, *shape, 3), np.uint8)
        cut(one, other)
