from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from cleancut.imaging.color import (
    cmyk_to_srgb,
    from_srgb,
    grey_to_srgb,
    is_srgb,
    lab_to_srgb,
    profile_space,
    to_srgb,
)


def test_spaces_of_profiles(srgb_profile, wide_profile, grey_profile, cmyk_profile):
    assert profile_space(srgb_profile) == "rgb"
    assert profile_space(wide_profile) == "rgb"
    assert profile_space(grey_profile) == "grey"
    assert profile_space(cmyk_profile) == "cmyk"


@pytest.mark.parametrize("icc", [b"", b"garbage", bytes(200), b"\0" * 36 + b"acsp" + b"\0" * 200])
def test_broken_profiles_are_no_profiles(icc):
    assert profile_space(icc) is None
    assert not is_srgb(icc)
    rgb = np.zeros((2, 2, 3), np.uint8)
    assert to_srgb(rgb, icc) is rgb


def test_srgb_is_recognised_by_what_it_does(srgb_profile, wide_profile, grey_profile):
    assert is_srgb(None)
    assert is_srgb(srgb_profile)
    assert not is_srgb(wide_profile)
    assert not is_srgb(grey_profile)


def test_a_truncated_profile_is_ignored(wide_profile):
    assert profile_space(wide_profile[: len(wide_profile) // 2]) is None


def test_srgb_pixels_are_returned_untouched(srgb_profile):
    rgb = np.random.default_rng(0).integers(0, 65536, (9, 7, 3), np.uint16)
    assert to_srgb(rgb, None) is rgb
    assert to_srgb(rgb, srgb_profile) is rgb


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_adobe_rgb_becomes_srgb(wide_profile, dtype):
    top = 1.0 if dtype == np.float32 else np.iinfo(dtype).max
    wide = np.array([[[0.5, 0.5, 0.5], [0.6, 0.4, 0.4], [1, 1, 1], [0, 0, 0]]]) * top
    seen = to_srgb(wide.astype(dtype), wide_profile).astype(float)
    # By hand: 0.5^2.2 encoded by sRGB is 0.4985; primaries by the matrices of the standards.
    assert np.abs(seen[0, 0] - 127.2).max() <= 2
    assert np.abs(seen[0, 1] - _adobe_to_srgb([0.6, 0.4, 0.4])).max() <= 2
    assert (seen[0, 2] == 255).all()
    assert (seen[0, 3] == 0).all()


def _adobe_to_srgb(colour):
    linear = np.asarray(colour) ** 2.19921875
    to_xyz = "0.5767 0.1856 0.1882; 0.2973 0.6274 0.0753; 0.0270 0.0707 0.9911"
    to_rgb = "3.2405 -1.5371 -0.4985; -0.9693 1.8760 0.0416; 0.0556 -0.2040 1.0572"
    matrices = [np.array([row.split() for row in m.split(";")], float) for m in (to_xyz, to_rgb)]
    back = np.clip(matrices[1] @ matrices[0] @ linear, 0, 1)
    return 255 * np.where(back <= 0.0031308, 12.92 * back, 1.055 * back ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_srgb_colours_look_the_same_through_a_wide_profile(wide_profile, dtype):
    top = 1.0 if dtype == np.float32 else np.iinfo(dtype).max
    page = np.array([[[1, 0, 0], [0.2, 0.7, 0.4], [1, 1, 1], [0, 0, 0]]]) * top
    wide = from_srgb(page.astype(dtype), wide_profile)
    # sRGB red lies inside Adobe RGB, where its components are (219, 0, 0).
    assert np.abs(wide[0, 0].astype(int) - (219, 0, 0)).max() <= 2
    assert np.abs(_adobe_to_srgb(wide[0, 1] / 255) - 255 * page[0, 1] / top).max() <= 2
    assert (wide[0, 2] == 255).all()
    assert (wide[0, 3] == 0).all()


def test_srgb_colours_stay_where_the_profile_says_srgb_or_nothing(
    srgb_profile, grey_profile, cmyk_profile
):
    rgb = np.random.default_rng(0).integers(0, 65536, (9, 7, 3), np.uint16)
    for icc in (None, srgb_profile, grey_profile, cmyk_profile, b"garbage"):
        assert from_srgb(rgb, icc) is rgb


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_linear_grey_profile_is_encoded_as_srgb(grey_profile, dtype):
    top = np.iinfo(dtype).max
    grey = np.linspace(0, top, 2048).astype(dtype).reshape(32, 64)
    rgb = grey_to_srgb(grey, grey_profile)
    assert rgb.dtype == dtype
    assert rgb.shape == (32, 64, 3)
    linear = grey / top
    expected = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    assert np.abs(rgb[..., 1] / top - expected).max() < (
        1 / 255 if dtype == np.uint8 else 0.3 / 255
    )
    assert (np.diff(rgb[..., 1].reshape(-1).astype(int)) >= 0).all()
    if dtype == np.uint16:
        assert np.unique(rgb).size > 1900  # smooth, not 256 steps


def test_cmyk_by_its_profile_and_by_formula(cmyk_profile):
    inks = np.zeros((1, 3, 4), np.uint8)
    inks[0, 1, 0] = 255  # cyan
    inks[0, 2, 3] = 255  # black
    image = Image.fromarray(inks, "CMYK")
    assert cmyk_to_srgb(image, None).tolist() == [[[255] * 3, [0, 255, 255], [0] * 3]]
    white, cyan, black = cmyk_to_srgb(image, cmyk_profile)[0].astype(int)
    assert white.min() >= 252
    assert black.max() <= 3
    assert cyan[1] > cyan[0] + 40  # the profile's cyan is Lab (50, -40, 40): green, not cyan
    assert cyan[1] > cyan[2] + 40


def test_lab_becomes_rgb():
    image = Image.new("LAB", (2, 1), (255, 128, 128))
    assert np.asarray(lab_to_srgb(image)).min() >= 253
