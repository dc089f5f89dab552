from __future__ import annotations

import numpy as np

from cleancut.compose.crop import Box, crop, subject_box, with_margin
from cleancut.options import Margin, Margins


def test_the_box_holds_every_visible_pixel() -> None:
    alpha = np.zeros((20, 30), np.float32)
    alpha[5:9, 7:20] = 1
    alpha[15, 3] = 0.05
    assert subject_box(alpha) == Box(7, 5, 20, 9)
    assert subject_box(np.zeros((4, 4), np.float32)) is None


def test_margins_grow_all_sides_and_shares_count_the_longer_side() -> None:
    for margin in (Margin(pixels=2), Margin(share=0.1)):
        assert with_margin(Box(10, 10, 30, 20), Margins.even(margin)) == Box(8, 8, 32, 22)


def test_every_side_may_have_a_margin_of_its_own() -> None:
    margins = Margins(Margin(1), Margin(2), Margin(3), Margin(share=0.2))
    assert with_margin(Box(10, 10, 30, 20), margins) == Box(6, 9, 32, 23)


def test_outside_the_picture_is_zero_or_the_nearest_pixel() -> None:
    pixels = np.full((4, 4, 3), 7, np.uint8)
    box = Box(-2, 1, 6, 5)
    assert crop(pixels, box).shape == (4, 8, 3)
    assert crop(pixels, box)[0, 0].tolist() == [0, 0, 0]
    assert (crop(pixels, box, replicate=True) == 7).all()
    assert crop(pixels, Box(1, 1, 3, 2)).shape == (1, 2, 3)
