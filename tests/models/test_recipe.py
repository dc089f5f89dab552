from __future__ import annotations

import numpy as np
import pytest

from cleancut.catalog import Recipe
from cleancut.errors import InferenceFailed
from cleancut.models.recipe import Window, matte_of, plan, prepare

MODNET = Recipe(size=(512, 512), resize="short-side", multiple_of=32)
BOXED = Recipe(size=(64, 64), resize="letterbox")


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (1080, 1920, (512, 896)),  # shorter side 512, both floored to 32
        (300, 400, (512, 672)),  # smaller than 512: enlarged
        (400, 900, (384, 896)),  # straddles 512: keeps its size
        (512, 512, (512, 512)),
        (100, 10_000, (32, 2048)),  # a panorama is bounded
        (1, 1, (512, 512)),
    ],
)
def test_modnets_published_resize_rule(height: int, width: int, expected: tuple[int, int]) -> None:
    window = plan(height, width, MODNET)
    assert (window.input_height, window.input_width) == expected


def test_letterboxing_pads_at_the_bottom_right_and_is_cut_off_again() -> None:
    feed, window = prepare(np.full((10, 20, 3), 255, np.uint8), BOXED)
    assert window == Window(32, 64, 64, 64)
    assert feed.shape == (1, 3, 64, 64)
    assert (feed[0, :, :32] == 1).all()
    assert (feed[0, :, 32:] == 0).all()
    alpha = matte_of(feed[:, :1], BOXED, window)
    assert alpha.shape == (32, 64)
    assert (alpha == 1).all()
    half_size = matte_of(feed[:, :1, ::2, ::2], BOXED, window)  # answers at half its input
    assert half_size.shape == (16, 32)
    assert (half_size == 1).all()


def test_sixteen_bits_and_floats_mean_the_same_as_eight_bits() -> None:
    eight = np.arange(48, dtype=np.uint8).reshape(4, 4, 3) * 5
    recipe = Recipe(size=(8, 8), mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))
    wanted, _ = prepare(np.kron(eight, np.ones((2, 2, 1), np.uint8)), recipe)
    sixteen = np.kron(eight.astype(np.uint16) * 257, np.ones((2, 2, 1), np.uint16))
    floats = np.kron(eight / np.float32(255), np.ones((2, 2, 1), np.float32)).astype(np.float32)
    assert np.abs(prepare(sixteen, recipe)[0] - wanted).max() < 1e-5
    assert np.abs(prepare(floats, recipe)[0] - wanted).max() < 1e-5


def test_dividing_by_the_maximum_brightens_dark_pictures_and_survives_black() -> None:
    recipe = Recipe(size=(8, 8), divide_by="max")
    assert prepare(np.full((8, 8, 3), 40, np.uint8), recipe)[0].max() == pytest.approx(1.0)
    assert (prepare(np.zeros((8, 8, 3), np.uint8), recipe)[0] == 0).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_network_that_answers_nan_is_an_error(bad: float) -> None:
    output = np.zeros((1, 1, 8, 8), np.float32)
    output[0, 0, 3, 3] = bad
    with pytest.raises(InferenceFailed, match="NaN or infinite"):
        matte_of(output, Recipe(size=(8, 8)), Window(8, 8, 8, 8))


def test_outputs_of_another_shape_are_an_error() -> None:
    with pytest.raises(InferenceFailed, match="shape"):
        matte_of(np.zeros((2, 1, 8, 8), np.float32), Recipe(size=(8, 8)), Window(8, 8, 8, 8))
    recipe = Recipe(size=(8, 8), activation="softmax", classes=(15,))
    with pytest.raises(InferenceFailed, match="classes"):
        matte_of(np.zeros((1, 4, 8, 8), np.float32), recipe, Window(8, 8, 8, 8))
