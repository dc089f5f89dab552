from __future__ import annotations

import cv2
import numpy as np
import pytest

from cleancut.compose.background import blurred, cover, over, solid_colour, spread


def _flat(colour: tuple[int, int, int], height: int = 4, width: int = 5) -> np.ndarray:
    return np.broadcast_to(np.array(colour, np.uint8), (height, width, 3)).copy()


def test_half_transparent_colour_over_white_is_the_textbook_value() -> None:
    orange = _flat((200, 100, 50))
    half = np.full((4, 5), 0.5, np.float32)
    assert over(orange, half, solid_colour(orange, (255, 255, 255)))[0, 0].tolist() == [
        227,
        177,
        152,
    ]


def test_over_equals_a_viewer_compositing_the_saved_png() -> None:
    from PIL import Image

    rng = np.random.default_rng(1)
    front = rng.integers(0, 256, (300, 7, 3), dtype=np.uint8)
    back = rng.integers(0, 256, (300, 7, 3), dtype=np.uint8)
    alpha = rng.random((300, 7), np.float32)
    alpha[:50], alpha[50:90] = 0, 1
    quantised = (alpha * 255 + 0.5).astype(np.uint8)
    rgba = Image.fromarray(np.dstack([front, quantised]))
    page = Image.fromarray(np.dstack([back, np.full((300, 7), 255, np.uint8)]))
    expected = np.asarray(Image.alpha_composite(page, rgba))[..., :3].astype(int)
    assert np.abs(over(front, alpha, back).astype(int) - expected).max() <= 1
    assert (over(front, alpha, back)[:50] == back[:50]).all()
    assert (over(front, alpha, back)[50:90] == front[50:90]).all()


def test_over_rounds_every_sum_of_bytes_as_whole_numbers_do() -> None:
    value = np.arange(256, dtype=np.uint8)
    front = np.repeat(value[:, None, None], 256, axis=1).repeat(3, axis=2)
    alpha = np.tile(value.astype(np.float32) / 255, (256, 1))
    weight = value.astype(int)[None, :, None]
    for level in (0, 1, 77, 128, 254, 255):
        back = np.full_like(front, level)
        exact = (front * weight + level * (255 - weight) + 127) // 255
        assert (over(front, alpha, back) == exact).all()
        assert (over(front, alpha, solid_colour(front, (level,) * 3)) == exact).all()


def test_over_leaves_its_arguments_alone() -> None:
    front, back, alpha = _flat((9, 9, 9)), _flat((1, 2, 3)), np.full((4, 5), 0.3, np.float32)
    over(front, alpha, back)
    assert (front == 9).all()
    assert (back == (1, 2, 3)).all()


def test_sixteen_bits_are_composited_at_full_depth() -> None:
    front = np.full((1, 1, 3), 40_000, np.uint16)
    mixed = over(front, np.full((1, 1), 0.25, np.float32), np.zeros_like(front))
    assert mixed[0, 0, 0] == pytest.approx(10_000, abs=1)
    assert solid_colour(front, (255, 0, 1))[0, 0].tolist() == [65535, 0, 257]


def test_cover_keeps_the_aspect_and_crops_around_the_centre() -> None:
    wide = np.zeros((10, 40, 3), np.uint8)
    wide[:, 15:25] = 255
    covered = cover(wide, 20, 20, _flat((0, 0, 0)))
    assert covered.shape == (20, 20, 3)
    assert covered[:, 2:-2].min() > 200


def test_cover_takes_the_depth_of_the_picture() -> None:
    assert cover(_flat((255, 0, 0)), 8, 8, np.zeros((1, 1, 3), np.uint16))[0, 0].tolist() == [
        65535, 0, 0,
    ]  # fmt: skip


def test_blur_shows_no_ghost_of_the_subject() -> None:
    picture = _flat((0, 0, 200), 120, 160)
    picture[40:80, 60:100] = (255, 0, 0)
    alpha = np.zeros((120, 160), np.float32)
    alpha[40:80, 60:100] = 1
    for radius in (2.0, 12.0):
        blur = blurred(picture, alpha, radius)
        assert blur[..., 0].max() <= 2
        assert blur[..., 2].min() >= 198


def test_blur_shows_no_rim_of_a_subject_with_soft_edges() -> None:
    alpha = np.zeros((300, 400), np.float32)
    alpha[100:200, 150:250] = 1
    alpha = cv2.GaussianBlur(alpha, (0, 0), 4)
    blue, red = np.float32((0, 0, 200)), np.float32((255, 0, 0))
    mix = alpha[..., None] * red + (1 - alpha[..., None]) * blue
    for radius, most in ((2.0, 70), (8.0, 15), (40.0, 3)):
        blur = blurred(np.rint(mix).astype(np.uint8), alpha, radius)
        assert blur[alpha < 0.5, 0].max() <= most


def test_a_narrow_blur_stays_narrow_in_a_large_picture() -> None:
    halves = np.zeros((60, 3000, 3), np.uint8)
    halves[:, 1500:] = 255
    for radius in (3.0, 60.0):
        rise = blurred(halves, np.zeros((60, 3000), np.float32), radius)[30, :, 0].astype(float)
        slopes = np.diff(rise) / 255
        middle = np.average(np.arange(slopes.size), weights=slopes)
        spread = np.sqrt(np.average((np.arange(slopes.size) - middle) ** 2, weights=slopes))
        assert spread == pytest.approx(radius, rel=0.15)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_blur_keeps_a_uniform_colour_at_its_depth(dtype: type[np.unsignedinteger]) -> None:
    flat = np.full((50, 2100, 3), np.iinfo(dtype).max // 3, dtype)
    alpha = np.zeros((50, 2100), np.float32)
    alpha[:, 300:2000] = 1
    for radius in (0.5, 5.0, 300.0):
        blur = blurred(flat, alpha, radius)
        assert blur.dtype == dtype
        assert np.abs(blur.astype(int) - flat).max() <= 1


def test_blur_of_a_picture_that_is_all_subject_is_the_blurred_picture() -> None:
    picture = _flat((10, 20, 30), 20, 20)
    assert (
        np.abs(blurred(picture, np.ones((20, 20), np.float32), 3).astype(int) - picture).max() <= 1
    )


def test_blur_blurs() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    blur = blurred(stripes, np.zeros((64, 64), np.float32), 4)
    assert blur[16:-16, 16:-16].std() < 4 < stripes.std()


@pytest.mark.parametrize("size", [(40, 48), (37, 61), (5, 3), (1100, 21)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_visible_colours_go_on_where_nothing_shows(size: tuple[int, int], dtype: type) -> None:
    step = 1 if dtype == np.uint8 else 257
    alpha = np.zeros(size, np.float32)
    alpha[: size[0] // 2 + 1, : size[1] // 2 + 1] = 1
    alpha[size[0] // 2, :] *= np.float32(0.3)
    rgb = np.zeros((*size, 3), dtype)  # black would ring into the edge
    rgb[alpha > 0] = (200 * step, 100 * step, 50 * step)
    before = rgb.copy()
    out = spread(rgb, alpha)
    assert out.dtype == dtype
    assert np.abs(out.astype(int) - np.array((200, 100, 50)) * step).max() <= step
    assert (out[alpha > 0] == rgb[alpha > 0]).all()
    assert (rgb == before).all()


def test_spreading_nothing_is_nothing() -> None:
    out = spread(_flat((9, 9, 9)), np.zeros((4, 5), np.float32))
    assert (out == 0).all()
