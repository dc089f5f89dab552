from __future__ import annotations

import cv2
import numpy as np
import pytest

from cleancut.imaging.resize import upsample_alpha
from cleancut.matting.place import Place
from cleancut.matting.upsample import Layer, colour_model, paint

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
    found = paint(plain, rgb, Layer.over_all(colour_model(guide, small)))
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
    painted = paint(np.zeros_like(s.alpha), s.rgb, Layer.over_all(model))
    assert np.abs(painted - s.alpha).max() < 1e-4


def test_nothing_changes_outside_the_share() -> None:
    s = scene(hairy_alpha(300, 310))
    model = colour_model(s.rgb.astype(np.float32) / 255, s.alpha)
    share = np.zeros(s.alpha.shape, np.float32)
    share[:100] = 1
    base = np.full(s.alpha.shape, 0.25, np.float32)
    found = paint(base, s.rgb, Layer(model, share, Place(share.shape)))
    assert (found[100:] == 0.25).all()
    assert np.abs(found[:100] - s.alpha[:100]).max() < 1e-4


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1), (3, 2000)])
def test_odd_sizes_stay_in_range(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (*size, 3), np.uint8)
    guide, small = rng.random((5, 7, 3)).astype(np.float32), rng.random((5, 7)).astype(np.float32)
    found = paint(np.zeros(size, np.float32), rgb, Layer.over_all(colour_model(guide, small)))
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


def test_tiles_leave_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    s = scene(hairy_alpha(300, 340))
    guide = cv2.resize(s.rgb, (113, 100), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    small = cv2.resize(s.alpha, (113, 100), interpolation=cv2.INTER_AREA).astype(np.float32)
    layer, base = Layer.over_all(colour_model(guide, small)), np.zeros((300, 340), np.float32)
    monkeypatch.setattr("cleancut.matting.upsample._TILE_PX", 1000)
    wanted = paint(base, s.rgb, layer)
    monkeypatch.setattr("cleancut.matting.upsample._TILE_PX", 37)
    # OpenCV looks pixels up at 32nds of a cell, and tiles differ in what they round.
    assert np.abs(paint(base, s.rgb, layer) - wanted).max() < 0.05
    assert np.abs(paint(base, s.rgb, layer) - wanted).mean() < 1e-3


def test_a_layer_of_a_part_is_painted_where_it_belongs_and_nowhere_else() -> None:
    s = scene(hairy_alpha(300, 340))
    model = colour_model(s.rgb.astype(np.float32) / 255, s.alpha)
    part = Layer(
        model[40:200, 60:300], np.ones((160, 240), np.float32), Place((300, 340), (40, 60))
    )
    found = paint(np.full(s.alpha.shape, 0.25, np.float32), s.rgb, part)
    assert np.abs(found[40:200, 60:300] - s.alpha[40:200, 60:300]).max() < 1e-4
    found[40:200, 60:300] = 0.25
    assert (found == 0.25).all()


def test_a_part_of_a_picture_is_painted_with_a_layer_of_all_of_it() -> None:
    s = scene(hairy_alpha(300, 340))
    layer = Layer.over_all(colour_model(s.rgb.astype(np.float32) / 255, s.alpha))
    inner = np.s_[30:170, 90:310]
    base = np.zeros((140, 220), np.float32)
    found = paint(base, s.rgb[inner], layer, Place((300, 340), (30, 90)))
    assert np.abs(found - s.alpha[inner]).max() < 1e-4
