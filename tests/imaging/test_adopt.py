from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from cleancut.errors import BadArray, UnreadableImage
from cleancut.imaging.adopt import from_array, from_pil
from cleancut.imaging.picture import ICC_IGNORED

RNG = np.random.default_rng(5)
RGB = RNG.integers(0, 256, (4, 6, 3), np.uint8)
RGBA = RNG.integers(0, 255, (4, 6, 4), np.uint8)


def test_colour_arrays_come_as_they_are():
    for pixels in (RGB, RGB.astype(np.uint16) * 257):
        picture = from_array(pixels)
        assert picture.rgb.dtype == pixels.dtype
        assert (picture.rgb == pixels).all()
        assert picture.alpha is None
        assert picture.format == "array"


def test_alpha_is_split_off_and_opaque_alpha_is_none():
    picture = from_array(RGBA)
    assert (picture.rgb == RGBA[..., :3]).all()
    assert picture.alpha is not None
    assert picture.alpha.dtype == np.float32
    assert np.allclose(picture.alpha, RGBA[..., 3] / 255)
    opaque = RGBA.copy()
    opaque[..., 3] = 255
    assert from_array(opaque).alpha is None


def test_bgr_is_only_what_the_caller_says():
    assert (from_array(RGB, bgr=True).rgb == RGB[..., ::-1]).all()
    picture = from_array(RGBA, bgr=True)
    assert (picture.rgb == RGBA[..., 2::-1]).all()
    assert np.allclose(picture.alpha, RGBA[..., 3] / 255)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64, bool])
@pytest.mark.parametrize("third", [(), (1,)])
def test_grey_arrays_become_three_equal_channels(dtype, third):
    grey = (np.arange(24).reshape(4, 6) % 2).astype(dtype).reshape(4, 6, *third)
    rgb = from_array(grey).rgb
    assert rgb.shape == (4, 6, 3)
    assert (rgb[..., 0] == rgb[..., 2]).all()
    top = 1 if np.dtype(dtype).kind == "u" else 255
    assert rgb.max() == top


def test_floats_that_came_from_8_bits_are_8_bits_and_others_16():
    for dtype in (np.float16, np.float32, np.float64):
        exact = RGB.astype(dtype) / dtype(255)
        if dtype != np.float16:
            assert from_array(exact).rgb.dtype == np.uint8
            assert (from_array(exact).rgb == RGB).all()
    fine = np.linspace(0, 1, 72).reshape(4, 6, 3)
    picture = from_array(fine)
    assert picture.rgb.dtype == np.uint16
    assert np.abs(picture.rgb / 65535 - fine).max() <= 0.5 / 65535 + 1e-9


def test_big_endian_and_strided_arrays_are_understood():
    wide = RGB.astype(np.uint16) * 257
    assert (from_array(wide.astype(">u2")).rgb == wide).all()
    assert from_array(wide.astype(">u2")).rgb.dtype == np.uint16
    picture = from_array(RGB[::-1, ::2])
    assert picture.rgb.flags.c_contiguous
    assert (picture.rgb == RGB[::-1, ::2]).all()


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((3, 4, 4, 3), np.uint8),
        np.zeros((5,), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((3, 40, 40), np.uint8),
        np.zeros((4, 4, 3), np.int64),
        np.zeros((4, 4, 3), np.complex64),
        np.full((4, 4, 3), np.nan, np.float32),
        np.full((4, 4, 3), np.inf),
        np.full((4, 4, 3), 200.0),
        np.full((4, 4, 3), -0.1),
        np.array([["a"]]),
        [[1, 2], [3, 4]],
    ],
    ids=lambda a: f"{getattr(a, 'dtype', 'list')}{getattr(a, 'shape', '')}",
)
def test_what_is_no_picture_is_a_bad_array(array):
    with pytest.raises(BadArray) as caught:
        from_array(array)
    assert caught.value.hint


def test_0_to_255_floats_get_the_right_hint():
    with pytest.raises(BadArray) as caught:
        from_array(np.full((4, 4, 3), 200.0))
    assert "255" in caught.value.hint


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV"])
def test_opaque_pil_modes_look_as_pillow_shows_them(mode):
    image = Image.fromarray(RGB).convert(mode)
    picture = from_pil(image)
    assert picture.alpha is None
    assert (picture.rgb == np.asarray(image.convert("RGB"))).all()


@pytest.mark.parametrize("mode", ["LA", "La", "PA", "RGBA", "RGBa"])
def test_transparent_pil_modes_look_as_pillow_shows_them(mode):
    image = Image.fromarray(RGBA)
    image = image.convert("LA").convert(mode) if mode == "La" else image.convert(mode)
    picture = from_pil(image)
    shown = image.convert("LA").convert("RGBA") if mode == "La" else image.convert("RGBA")
    assert (picture.rgb == np.asarray(shown)[..., :3]).all()
    assert np.allclose(picture.alpha, np.asarray(shown)[..., 3] / 255)


def test_16_bit_grey_pil_images_stay_16_bit():
    grey = RNG.integers(0, 65536, (4, 6), np.uint16)
    assert (from_pil(Image.fromarray(grey)).rgb[..., 1] == grey).all()
    wide = Image.fromarray(grey.astype(np.int32))
    assert wide.mode == "I"
    assert (from_pil(wide).rgb[..., 1] == grey).all()
    with pytest.raises(BadArray):
        from_pil(Image.fromarray(np.full((2, 2), 70000, np.int32)))


def test_float_pil_images_are_0_to_1():
    assert from_pil(Image.fromarray(np.full((2, 2), 0.3, np.float32))).rgb.dtype == np.uint16
    with pytest.raises(BadArray):
        from_pil(Image.fromarray(np.full((2, 2), 90, np.float32)))


def test_lab_pil_images_are_converted():
    assert from_pil(Image.new("LAB", (2, 2), (255, 128, 128))).rgb.min() > 250


def test_palette_and_colour_key_transparency_of_pil_images():
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    image.info["transparency"] = 1
    picture = from_pil(image)
    assert picture.rgb[0, 0].tolist() == [255, 0, 0]
    assert picture.alpha.tolist() == [[1.0, 0.0]]


def test_metadata_of_a_pil_image_is_kept_and_orientation_applied(exif_block, wide_profile):
    image = Image.fromarray(RGB)
    image.info = {
        "exif": b"Exif\0\0" + exif_block(6),
        "icc_profile": wide_profile,
        "dpi": (300, 150),
    }
    picture = from_pil(image)
    assert (picture.rgb == np.rot90(RGB, -1)).all()
    assert picture.exif == exif_block(1)
    assert picture.icc == wide_profile
    assert picture.dpi == (150, 300)


def test_orientation_set_through_getexif_counts():
    image = Image.fromarray(RGB)
    image.getexif()[0x0112] = 3
    assert (from_pil(image).rgb == RGB[::-1, ::-1]).all()


def test_odd_metadata_of_a_pil_image_is_ignored():
    image = Image.fromarray(RGB)
    image.info = {"exif": "text", "icc_profile": 7, "dpi": "many", "transparency": None}
    picture = from_pil(image)
    assert (picture.exif, picture.icc, picture.dpi) == (None, None, None)


def test_a_lazily_opened_broken_file_is_a_typed_error():
    out = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (64, 64, 3), np.uint8)).save(out, "PNG")
    image = Image.open(io.BytesIO(out.getvalue()[:2000]))
    with pytest.raises(UnreadableImage):
        from_pil(image)


def test_a_profile_of_the_wrong_kind_is_dropped_with_a_note(cmyk_profile, grey_profile):
    for icc in (cmyk_profile, grey_profile, b"garbage"):
        image = Image.fromarray(RGB)
        image.info["icc_profile"] = icc
        picture = from_pil(image)
        assert picture.icc is None
        assert picture.notes == (ICC_IGNORED,)
        assert (picture.rgb == RGB).all()


def test_the_input_is_not_changed():
    before = RGBA.copy()
    from_array(RGBA, bgr=True)
    assert (before == RGBA).all()
    image = Image.fromarray(RGBA)
    from_pil(image)
    assert image.mode == "RGBA"


def test_half_floats_keep_their_values() -> None:
    ramp = np.linspace(0, 1, 64, dtype=np.float16).reshape(8, 8)
    picture = from_array(np.dstack([ramp] * 3))
    assert picture.rgb.dtype == np.uint16
    assert np.abs(picture.rgb[..., 0] / 65535 - ramp.astype(np.float64)).max() < 1e-4
