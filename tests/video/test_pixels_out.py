from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from cleancut.video.frame import ColourTags, VideoInfo
from cleancut.video.pixels_out import LAYOUTS, Coding, cleared, coding, spread, to_yuv

SD = VideoInfo(kind="stream", width=720, height=576, time_base=Fraction(1, 25))
HD = replace(SD, width=1280, height=720)
YUV = LAYOUTS["h264", False, 8]
DEEP = LAYOUTS["h265", False, 10]

#: Y, Cb, Cr of pure colours in limited range, from ITU-R BT.601-7, BT.709-6 and BT.2020-2.
KNOWN = {
    (6, (255, 0, 0)): (81, 90, 240),
    (6, (0, 255, 0)): (145, 54, 34),
    (1, (255, 0, 0)): (63, 102, 240),
    (1, (0, 0, 255)): (32, 240, 118),
    (9, (0, 255, 0)): (165, 47, 25),
    (1, (255, 255, 255)): (235, 128, 128),
    (1, (0, 0, 0)): (16, 128, 128),
}


def flat(colour: tuple[int, int, int], dtype: type = np.uint8) -> np.ndarray:
    return np.full((6, 8, 3), colour, dtype)


@pytest.mark.parametrize(("known", "yuv"), KNOWN.items())
def test_colours_are_those_of_the_standards(
    known: tuple[int, tuple[int, int, int]], yuv: tuple[int, int, int]
) -> None:
    matrix, colour = known

    planes = to_yuv(flat(colour), YUV, Coding(1, 1, matrix, full_range=False))

    assert [int(plane[0, 0]) for plane in planes] == pytest.approx(yuv, abs=1)


@pytest.mark.parametrize(("known", "yuv"), KNOWN.items())
def test_ten_bits_are_four_times_eight(
    known: tuple[int, tuple[int, int, int]], yuv: tuple[int, int, int]
) -> None:
    matrix, colour = known
    deep = flat((colour[0] * 257, colour[1] * 257, colour[2] * 257), np.uint16)

    planes = to_yuv(deep, DEEP, Coding(1, 1, matrix, full_range=False))

    assert [int(plane[0, 0]) for plane in planes] == pytest.approx([4 * v for v in yuv], abs=3)


def test_full_range_uses_all_of_it() -> None:
    luma = [
        int(to_yuv(flat((v, v, v)), YUV, Coding(1, 1, 1, full_range=True))[0][0, 0])
        for v in (0, 255)
    ]

    assert luma == [0, 255]


def test_ten_bits_tell_neighbours_apart_that_eight_do_not() -> None:
    ramp = np.repeat(np.arange(0, 65536, 257, np.uint16)[None, :, None], 3, axis=2)
    fine = ramp + np.uint16(64) * (np.arange(256) % 2).astype(np.uint16)[None, :, None] // 2

    planes = to_yuv(np.repeat(fine, 2, axis=0), DEEP, Coding(1, 1, 1, full_range=True))

    assert len(np.unique(planes[0])) > 250
    assert planes[0].max() <= 1023


@pytest.mark.parametrize("size", [(5, 7), (1, 1), (6, 7), (5, 8)])
def test_odd_sizes_keep_their_size(size: tuple[int, int]) -> None:
    picture = np.full((*size, 3), (10, 200, 90), np.uint8)

    luma, blue, red = to_yuv(picture, YUV, Coding(1, 1, 1, full_range=False))

    assert luma.shape == size
    assert blue.shape == red.shape == ((size[0] + 1) // 2, (size[1] + 1) // 2)
    assert np.ptp(blue) == 0


def test_untagged_videos_are_taken_as_players_take_them() -> None:
    assert coding(SD, YUV, plain=False, deep_range=True).matrix == 6
    assert coding(HD, YUV, plain=False, deep_range=True).matrix == 1


def test_tags_are_kept() -> None:
    wide = replace(SD, colour=ColourTags(9, 16, 9, full_range=True))

    assert coding(wide, YUV, plain=False, deep_range=True) == Coding(9, 16, 9, True)
    assert coding(wide, YUV, plain=False, deep_range=False) == Coding(9, 16, 9, False)
    assert coding(wide, YUV, plain=True, deep_range=True) == Coding(1, 1, 1, False)


def test_visible_colours_are_carried_on_and_themselves_unchanged() -> None:
    rgb = np.zeros((48, 64, 3), np.uint8)
    rgb[:, :32] = (200, 100, 50)
    alpha = np.zeros((48, 64), np.float32)
    alpha[:, :32] = 1

    out = spread(rgb, alpha)

    assert np.array_equal(out[:, :32], rgb[:, :32])
    assert np.abs(out[:, 32:].astype(int) - (200, 100, 50)).max() <= 6
    assert rgb[0, 40].max() == 0


def test_spreading_copes_with_nothing_visible_and_with_everything() -> None:
    rgb = np.full((5, 3, 3), 90, np.uint8)

    assert spread(rgb, np.ones((5, 3), np.float32)) is rgb
    assert spread(rgb, np.zeros((5, 3), np.float32)).max() == 0
    assert spread(np.full((1, 1, 3), 9, np.uint16), np.zeros((1, 1), np.float32)).shape == (1, 1, 3)


def test_cleared_pixels_hide_nothing() -> None:
    rgb = np.full((4, 4, 3), 77, np.uint8)
    alpha = np.zeros((4, 4), np.float32)
    alpha[0] = 1 / 255

    out = cleared(rgb, alpha)

    assert out[1:].max() == 0
    assert out[0].min() == 77
