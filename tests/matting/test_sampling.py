from __future__ import annotations

import numpy as np

from cleancut.matting.sampling import sample
from tests.matting.scenes import hairy_alpha, scene

H, W = 160, 200


def test_colours_alone_tell_hair_from_its_background() -> None:
    truth = scene(hairy_alpha(H, W))
    unknown = np.zeros((H, W), np.bool_)
    unknown[50:110, 120:160] = True
    found = sample(truth.rgb, truth.alpha, unknown)
    assert found is not None
    guess, trust = found
    assert float(np.abs(guess - truth.alpha)[unknown & (trust > 0.5)].mean()) < 0.12
    assert float(trust[unknown].mean()) > 0.15


def test_colours_that_are_the_same_on_both_sides_are_not_trusted() -> None:
    rng = np.random.default_rng(2)
    rgb = rng.integers(90, 160, (H, W, 3)).astype(np.uint8)
    alpha = np.zeros((H, W), np.float32)
    alpha[:, W // 2 :] = 1
    unknown = np.zeros((H, W), np.bool_)
    unknown[:, W // 2 - 15 : W // 2 + 15] = True
    found = sample(rgb, alpha, unknown)
    assert found is not None
    assert float(found[1][unknown].mean()) < 0.05


def test_with_one_side_only_there_is_no_answer() -> None:
    rgb = np.zeros((H, W, 3), np.uint8)
    unknown = np.zeros((H, W), np.bool_)
    unknown[20:40, 20:40] = True
    for level in (0, 1):
        assert sample(rgb, np.full((H, W), level, np.float32), unknown) is None


def test_one_flat_colour_on_each_side_is_enough() -> None:
    rgb = np.full((H, W, 3), 255, np.uint8)
    rgb[:, :100] = 0
    alpha = np.where(np.arange(W) < 100, np.float32(1), np.float32(0))[None].repeat(H, 0)
    unknown = np.zeros((H, W), np.bool_)
    unknown[40:80, 90:110] = True
    found = sample(rgb, alpha, unknown)
    assert found is not None
    assert np.allclose(found[0][unknown], alpha[unknown], atol=0.01)
    assert float(found[1][unknown].min()) > 0.9
