from __future__ import annotations

import cv2
import numpy as np
import pytest

from cleancut.imaging.resize import upsample_alpha
from cleancut.matting.upsample import colour_model, paint

from .scenes import hairy_alpha, scene


@pytest.mark.parametrize("tile", [256, 64])
@pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
def test_a_shrunk_matte_comes_back_sharper_than_by_interpolation(
    dtype: type, top: int, tile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cleancut.matting.upsample._TILE_PX", tile)
    s = scene(hairy_alpha(400, 480))
    rgb = (s.rgb * (top / 255)).astype(dtype)
    guide = cv2.resize(s.rgb, (160, 133), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    small = cv2.resize(s.alpha, (160, 133), interpolation=cv2.INTER_AREA).astype(np.float32)
    plain = upsample_alpha(small, 400, 480)
    before = plain.copy()
    found = paint(plain, rgb, colour_model(guide, small), np.ones((1, 1), np.float32))
    assert (plain == before).all()
    assert found.dtype == np.float32
    assert 0 <= found.min() <= found.max() <= 1
    assert np.abs(found - s.alpha).mean() < 0.6 * np.abs(plain - s.alpha).mean()


def test_seen_small_the_answer_is_the_small_matte() -> None:
    s = scene(hairy_alpha(150, 170))
    guide = s.rgb.astype(np.float32) / 255
    model = colour_model(guide, s.alpha)
    again = (model[..., :3] * guide).sum(axis=2) + model[..., 3]
    assert np.abs(again - s.alpha).max() < 1e-4
    painted = paint(np.zeros_like(s.alpha), s.rgb, model, np.ones((1, 1), np.float32))
    assert np.abs(painted - s.alpha).max() < 1e-4


def test_nothing_changes_outside_the_share() -> None:
    s = scene(hairy_alpha(300, 310))
    model = colour_model(s.rgb.astype(np.float32) / 255, s.alpha)
    share = np.zeros(s.alpha.shape, np.float32)
    share[:100] = 1
    base = np.full(s.alpha.shape, 0.25, np.float32)
    found = paint(base, s.rgb, model, share)
    assert (found[100:] == 0.25).all()
    assert np.abs(found[:100] - s.alpha[:100]).max() < 1e-4


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1), (3, 2000)])
def test_odd_sizes_stay_in_range(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (*size, 3), np.uint8)
    guide, small = rng.random((5, 7, 3)).astype(np.float32), rng.random((5, 7)).astype(np.float32)
    found = paint(np.zeros(size, np.float32), rgb, colour_model(guide, small), np.ones((2, 2), "f"))
    assert found.shape == size
    assert 0 <= found.min() <= found.max() <= 1


def test_a_picture_of_one_colour_is_no_problem() -> None:
    small = np.random.default_rng(0).random((20, 20)).astype(np.float32)
    model = colour_model(np.full((20, 20, 3), 0.5, np.float32), small)
    assert np.isfinite(model).all()
    assert np.abs(model[..., :3]).max() < 1e-2


@pytest.mark.parametrize("side", [700, 333, 61])
def test_a_matte_of_ones_shrinks_to_ones_and_no_more(side: int) -> None:
    shrunk = upsample_alpha(np.ones((1024, 1024), np.float32), side, side)
    assert 1 - 1e-6 < shrunk.min() <= shrunk.max() <= 1
