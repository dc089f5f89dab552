from __future__ import annotations

import cv2
import numpy as np
import pytest

from cleancut.errors import BadArray
from cleancut.matting import foreground
from cleancut.matting.foreground import clear_hidden, estimate_foreground

from .scenes import hairy_alpha, scene


def test_half_transparent_uniform_colour_composites_to_the_right_value_over_white() -> None:
    rgb = np.full((60, 80, 3), (200, 100, 50), np.uint8)
    alpha = np.full((60, 80), 0.5, np.float32)
    found = estimate_foreground(rgb, alpha)
    assert found.dtype == np.uint8
    assert (found == rgb).all()
    over_white = np.floor(0.5 * found + 0.5 * 255)
    assert (over_white == (227, 177, 152)).all()


@pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
def test_every_depth_gives_the_same_colours(dtype: type, top: int) -> None:
    s = scene(hairy_alpha(150, 170))
    rgb = (s.rgb * (top / 255)).astype(dtype)
    found = estimate_foreground(rgb, s.alpha)
    assert found.dtype == dtype
    reference = estimate_foreground(s.rgb, s.alpha)
    assert np.abs(found * (255 / top) - reference).max() < 1.01


def test_opaque_and_empty_pixels_keep_their_value_and_arguments_are_left_alone() -> None:
    s = scene(hairy_alpha(200, 240))
    rgb, alpha = s.rgb.copy(), s.alpha.copy()
    found = estimate_foreground(rgb, alpha)
    assert found is not rgb
    assert (rgb == s.rgb).all()
    assert (alpha == s.alpha).all()
    assert (found[~s.soft] == rgb[~s.soft]).all()
    assert (found[s.soft] != rgb[s.soft]).any()


@pytest.mark.parametrize("size", [(160, 190), (900, 1200), (1500, 2000)])
def test_hairs_lose_most_of_the_old_background(size: tuple[int, int]) -> None:
    s = scene(hairy_alpha(*size))
    raw = s.error(s.rgb)
    assert raw > 10
    assert s.error(estimate_foreground(s.rgb, s.alpha)) < 0.2 * raw


@pytest.mark.parametrize("size", [(160, 190), (501, 703), (1080, 1920)])
def test_quick_estimates_are_nearly_as_good(size: tuple[int, int]) -> None:
    s = scene(hairy_alpha(*size))
    before = s.rgb.copy()
    found = estimate_foreground(s.rgb, s.alpha, quick=True)
    assert s.error(found) < 0.25 * s.error(s.rgb)
    sure = (s.alpha < 0.5 / 255) | (s.alpha > 1 - 0.5 / 255)
    assert (found[sure] == s.rgb[sure]).all()
    assert (s.rgb == before).all()


def test_quick_estimates_are_the_same_picked_and_in_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    s = scene(hairy_alpha(501, 703))
    picked = estimate_foreground(s.rgb, s.alpha, quick=True).astype(int)
    monkeypatch.setattr(foreground, "_FEW", -1.0)
    tiled = estimate_foreground(s.rgb, s.alpha, quick=True)
    assert np.abs(picked - tiled).max() <= 1


def test_fur_loses_most_of_the_old_background() -> None:
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:400, :400]
    depth = (170 - np.hypot(y - 200, x - 200)) / 60 + rng.normal(0, 0.25, (400, 400))
    s = scene(np.clip(depth + 0.5, 0, 1).astype(np.float32))
    assert s.error(estimate_foreground(s.rgb, s.alpha)) < 0.25 * s.error(s.rgb)


def test_wide_soft_region_takes_its_colour_from_the_opaque_part() -> None:
    ramp = np.clip((np.arange(1200) - 400) / 400, 0, 1).astype(np.float32)
    s = scene(np.repeat(ramp[None], 500, axis=0))
    found = estimate_foreground(s.rgb, s.alpha)
    assert s.error(found) < 0.3 * s.error(s.rgb)
    # A grey cast would show as a loss of the subject's saturation.
    band = (s.alpha > 0.3) & (s.alpha < 0.7)
    wanted = np.ptp(255 * s.foreground[band].mean(axis=0))
    assert np.ptp(found[band].mean(axis=0)) > 0.8 * wanted


def test_a_white_veil_beside_dark_hair_stays_white() -> None:
    columns = np.abs(np.arange(900) - 450)
    alpha = np.tile(np.select([columns < 130, columns < 430], [1.0, 0.5]), (700, 1))
    alpha = cv2.GaussianBlur(alpha.astype(np.float32), (0, 0), 1)
    white, dark = np.float32((230, 226, 220)), np.float32((60, 40, 35))
    subject = np.where((columns < 128)[:, None], dark, white)
    background = np.random.default_rng(2).normal((40, 130, 190), 20, (700, 900, 3))
    mix = alpha[..., None] * subject + (1 - alpha[..., None]) * background
    found = estimate_foreground(np.rint(np.clip(mix, 0, 255)).astype(np.uint8), alpha)
    veil = found[:, (columns > 180) & (columns < 420)].mean(axis=(0, 1))
    assert np.abs(veil - white).max() < 40


@pytest.mark.parametrize("width", [32, 64, 128])
def test_a_soft_edge_over_a_quarter_of_an_icon_is_cleaned(width: int) -> None:
    ramp = np.clip((np.arange(width) - 0.375 * width) / (0.25 * width), 0, 1).astype(np.float32)
    s = scene(np.repeat(ramp[None], 3 * width // 4, axis=0))
    assert s.error(estimate_foreground(s.rgb, s.alpha)) < 0.25 * s.error(s.rgb)


def test_fine_texture_survives_in_nearly_opaque_pixels_of_a_shrunk_picture() -> None:
    rng = np.random.default_rng(6)
    texture = rng.integers(60, 200, (900, 1200, 3)).astype(np.float32)
    alpha = np.full((900, 1200), 0.8, np.float32)
    alpha[:, :300], alpha[:, 900:] = 1, 0
    mix = alpha[..., None] * texture + (1 - alpha[..., None]) * np.float32((20, 60, 220))
    found = estimate_foreground(np.rint(mix).astype(np.uint8), alpha)
    soft = (alpha > 0) & (alpha < 1)
    likeness = np.corrcoef(found[soft].reshape(-1), texture[soft].reshape(-1))[0, 1]
    assert likeness > 0.95


def test_rim_of_a_bright_subject_before_black_is_not_dark() -> None:
    y, x = np.mgrid[:300, :300]
    alpha = np.clip((100 - np.hypot(y - 150, x - 150)) / 6 + 0.5, 0, 1).astype(np.float32)
    rgb = np.rint(alpha[..., None] * np.float32((240, 220, 200))).astype(np.uint8)
    found = estimate_foreground(rgb, alpha)[(alpha > 0.1) & (alpha < 1)]
    assert np.abs(found - np.float32((240, 220, 200))).max() < 8


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1), (2, 40000), (40000, 2), (5, 3)])
def test_odd_sizes_keep_a_uniform_colour(size: tuple[int, int]) -> None:
    rgb = np.full((*size, 3), (200, 100, 50), np.uint8)
    alpha = np.full(size, 0.25, np.float32)
    assert (estimate_foreground(rgb, alpha) == rgb).all()


def test_pictures_without_a_soft_pixel_come_back_as_they_are() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (50, 60, 3), np.uint8)
    for level in (0, 1):
        assert (estimate_foreground(rgb, np.full((50, 60), level, np.float32)) == rgb).all()


def test_views_that_are_not_contiguous_give_the_same() -> None:
    s = scene(hairy_alpha(150, 170))
    wanted = estimate_foreground(s.rgb, s.alpha)
    bgr = np.ascontiguousarray(s.rgb[..., ::-1])
    assert (estimate_foreground(bgr[..., ::-1], np.asfortranarray(s.alpha)) == wanted).all()


def test_bad_arrays_are_refused() -> None:
    rgb, alpha = np.zeros((9, 9, 3), np.float32), np.full((9, 9), 0.5, np.float32)
    with pytest.raises(BadArray, match="differ in size"):
        estimate_foreground(rgb, alpha[:5])
    with pytest.raises(BadArray, match="differ in size"):
        clear_hidden(rgb, alpha[:5])
    with pytest.raises(BadArray):
        estimate_foreground(rgb, alpha + 1)
    rgb[4, 4, 1] = np.nan
    with pytest.raises(BadArray, match="finite"):
        estimate_foreground(rgb, alpha)


@pytest.mark.parametrize(("dtype", "levels"), [(np.uint8, 255), (np.uint16, 65535)])
def test_hidden_colours_are_cleared_where_the_stored_alpha_is_zero(
    dtype: type, levels: int
) -> None:
    alpha = np.float32([[0, 0.4 / levels, 0.6 / levels, 1]])
    rgb = np.full((1, 4, 3), 77, dtype)
    cleared = clear_hidden(rgb, alpha)
    assert cleared.dtype == dtype
    assert cleared[0, :, 0].tolist() == [0, 0, 77, 77]
    assert (rgb == 77).all()


def test_levels_say_how_alpha_will_be_stored() -> None:
    rgb = np.full((1, 1, 3), 9, np.uint16)
    alpha = np.float32([[0.001]])
    assert clear_hidden(rgb, alpha).any()
    assert not clear_hidden(rgb, alpha, levels=255).any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_clearing_at_once_is_clearing_afterwards(dtype: type) -> None:
    s = scene(hairy_alpha(460, 620))
    rgb = (s.rgb * np.float64({1: 1, 2: 257, 4: 1 / 255}[np.dtype(dtype).itemsize])).astype(dtype)
    afterwards = clear_hidden(estimate_foreground(rgb, s.alpha), s.alpha)
    assert (estimate_foreground(rgb, s.alpha, clear=True) == afterwards).all()


@pytest.mark.parametrize("tile", [64, 100_000])
def test_tiles_leave_no_seams(tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    s = scene(hairy_alpha(700, 900))
    wanted = estimate_foreground(s.rgb, s.alpha)
    monkeypatch.setattr("cleancut.matting.foreground._TILE_PX", tile)
    assert np.abs(estimate_foreground(s.rgb, s.alpha).astype(int) - wanted).max() <= 1


def test_a_picture_that_is_not_worked_on_all_over_gets_the_same_colours() -> None:
    s = scene(hairy_alpha(400, 420))
    wide_rgb = cv2.copyMakeBorder(s.rgb, 300, 300, 300, 300, cv2.BORDER_REPLICATE)
    wide_alpha = cv2.copyMakeBorder(s.alpha, 300, 300, 300, 300, cv2.BORDER_CONSTANT, value=(0,))
    found = estimate_foreground(wide_rgb, wide_alpha)[300:700, 300:720]
    assert s.error(found) < 0.25 * s.error(s.rgb)
