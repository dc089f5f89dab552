from __future__ import annotations

import io
import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from cleancut.errors import ImageTooLarge, UnreadableImage, UnsupportedFormat
from cleancut.imaging.decode import decode
from cleancut.imaging.picture import ICC_IGNORED
from tests.imaging.orientation import upright

RNG = np.random.default_rng(2)


def smooth(height=40, width=56):
    noise = cv2.GaussianBlur(RNG.random((height, width, 3)), (0, 0), 5)
    return ((noise - noise.min()) / np.ptp(noise) * 255).astype(np.uint8)


def jpeg(pixels, mode=None, **options):
    out = io.BytesIO()
    image = Image.fromarray(pixels, mode) if mode else Image.fromarray(pixels)
    image.save(out, "JPEG", **{"quality": 95, "subsampling": 0, **options})
    return out.getvalue()


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("grey", [False, True])
def test_pixels_are_those_of_libjpeg(progressive, grey):
    pixels = smooth()[..., 0] if grey else smooth()
    data = jpeg(pixels, progressive=progressive)
    picture = decode(data)
    assert picture.format == "jpeg"
    assert (picture.rgb == np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))).all()
    assert picture.rgb.flags.c_contiguous
    assert picture.alpha is None


def test_restart_markers_are_not_the_end():
    pixels = smooth(200, 200)
    data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_RST_INTERVAL, 1])[1].tobytes()
    assert b"\xff\xd0" in data
    assert decode(data).rgb.shape == (200, 200, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_profile_exif_and_resolution(orientation, exif_block, wide_profile):
    pixels = smooth()
    exif = b"Exif\0\0" + exif_block(orientation)
    data = jpeg(pixels, exif=exif, icc_profile=wide_profile, dpi=(300, 150))
    picture = decode(data)
    plain = decode(jpeg(pixels)).rgb
    expected = upright(plain, orientation)
    assert (picture.rgb == expected).all()
    assert picture.exif == exif_block(1)
    assert picture.icc == wide_profile
    assert picture.dpi == ((300, 150) if orientation < 5 else (150, 300))


def test_a_profile_in_many_parts_is_joined(wide_profile):
    long = wide_profile + bytes(150_000)
    long = struct.pack(">I", len(long)) + long[4:]
    assert decode(jpeg(smooth(), icc_profile=long)).icc == long


@pytest.mark.parametrize("progressive", [False, True])
def test_every_truncation_is_an_error(progressive):
    data = jpeg(smooth(120, 160), progressive=progressive)
    for kept in (3, 20, 200, 700, len(data) // 2, len(data) - 200, len(data) - 30):
        for tail in (b"", bytes(500), bytes(len(data) - kept)):
            with pytest.raises(UnreadableImage) as caught:
                decode(data[:kept] + tail)
            if kept > 20:
                assert "truncated" in str(caught.value), kept


def test_what_follows_the_picture_does_not_matter():
    data = jpeg(smooth())
    for tail in (b"\0" * 900, b"trailer \xff\xd8\xff\xe1 of a phone", data):
        assert (decode(data + tail).rgb == decode(data).rgb).all()


def test_a_multi_picture_file_gives_its_first_picture():
    first, second = Image.fromarray(smooth()), Image.fromarray(smooth())
    out = io.BytesIO()
    first.save(out, "MPO", save_all=True, append_images=[second], quality=95)
    picture = decode(out.getvalue())
    assert np.abs(picture.rgb.astype(int) - np.asarray(first)).mean() < 3
    assert picture.notes == ()


@pytest.mark.parametrize(
    "broken", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0"]
)
def test_broken_exif_does_not_break_the_picture(broken):
    assert decode(jpeg(smooth(), exif=broken)).exif is None


def test_broken_profiles_are_dropped_with_a_note(cmyk_profile):
    for icc in (b"garbage", cmyk_profile):
        picture = decode(jpeg(smooth(), icc_profile=icc))
        assert picture.icc is None
        assert picture.notes == (ICC_IGNORED,)


def test_a_grey_profile_is_converted_away(grey_profile):
    grey = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (16, 1))
    picture = decode(jpeg(grey, icc_profile=grey_profile))
    assert picture.icc is None
    assert picture.notes == ()
    assert abs(int(picture.rgb[8, 32, 1]) - 188) <= 2  # half of linear light
    assert (picture.rgb[..., 0] == picture.rgb[..., 2]).all()


INKS = {
    "white": ((0, 0, 0, 0), (255, 255, 255)),
    "cyan": ((255, 0, 0, 0), (0, 255, 255)),
    "magenta": ((0, 255, 0, 0), (255, 0, 255)),
    "yellow": ((0, 0, 255, 0), (255, 255, 0)),
    "black": ((0, 0, 0, 255), (0, 0, 0)),
    "red": ((0, 255, 255, 0), (255, 0, 0)),
    "grey": ((0, 0, 0, 128), (127, 127, 127)),
}


@pytest.mark.parametrize("name", INKS)
def test_cmyk_has_the_right_colours(name):
    ink, colour = INKS[name]
    pixels = np.full((16, 16, 4), ink, np.uint8)
    data = jpeg(pixels, "CMYK")
    assert b"Adobe" in data
    assert np.abs(decode(data).rgb[8, 8].astype(int) - colour).max() <= 3


@pytest.mark.parametrize("name", INKS)
def test_ycck_has_the_right_colours(name):
    ink, colour = INKS[name]
    # Adobe's YCCK: inks inverted, the first three as if they were RGB turned into YCbCr.
    y, cb, cr = np.asarray(Image.new("RGB", (1, 1), ink[:3]).convert("YCbCr"))[0, 0]
    stored = np.full((16, 16, 4), (y, cb, cr, 255 - ink[3]), np.uint8)
    data = bytearray(jpeg(255 - stored, "CMYK"))
    data[data.index(b"Adobe") + 11] = 2
    assert np.abs(decode(bytes(data)).rgb[8, 8].astype(int) - (colour)).max() <= 4


def test_cmyk_uses_its_profile_and_orientation(cmyk_profile, exif_block):
    pixels = np.zeros((16, 32, 4), np.uint8)
    pixels[:, 16:, 0] = 255
    exif = b"Exif\0\0" + exif_block(6)
    picture = decode(jpeg(pixels, "CMYK", icc_profile=cmyk_profile, exif=exif))
    assert picture.icc is None
    assert picture.rgb.shape == (32, 16, 3)
    assert picture.rgb[4, 8].min() > 245
    assert picture.rgb[28, 8, 1] > int(picture.rgb[28, 8, 0]) + 40


def test_truncated_cmyk_is_an_error():
    pixels = RNG.integers(0, 256, (64, 64, 4), np.uint8)
    data = jpeg(pixels, "CMYK")
    with pytest.raises(UnreadableImage, match="truncated"):
        decode(data[: len(data) // 2])


def test_the_size_is_checked_before_decoding():
    data = bytearray(jpeg(smooth()))
    frame = data.index(b"\xff\xc0")
    struct.pack_into(">HH", data, frame + 5, 60_000, 60_000)
    with pytest.raises(ImageTooLarge) as caught:
        decode(bytes(data))
    assert "3600 megapixels" in str(caught.value)
    with pytest.raises(ImageTooLarge):
        decode(jpeg(smooth()), max_megapixels=0.001)


def test_12_bit_and_lossless_jpeg_are_refused():
    for offset, value in ((4, 12), (1, 0xC3)):
        data = bytearray(jpeg(smooth()))
        data[data.index(b"\xff\xc0") + offset] = value
        with pytest.raises(UnsupportedFormat):
            decode(bytes(data))


def test_a_size_of_zero_is_an_error():
    data = bytearray(jpeg(smooth()))
    struct.pack_into(">H", data, data.index(b"\xff\xc0") + 5, 0)
    with pytest.raises(UnreadableImage):
        decode(bytes(data))


def _frame_at(data):
    at = data.find(b"\xff\xc0")
    return at, 2 + struct.unpack_from(">H", data, at + 2)[0]


@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
def test_a_second_size_is_refused_before_it_is_allocated(mode):
    image = Image.new(mode, (64, 48))
    out = io.BytesIO()
    image.save(out, "JPEG")
    data = out.getvalue()
    at, length = _frame_at(data)
    second = bytearray(data[at : at + length])
    second[5:9] = struct.pack(">HH", 30_000, 30_000)
    with pytest.raises(UnreadableImage, match="two sizes"):
        decode(data[: at + length] + bytes(second) + data[at + length :])


@pytest.mark.parametrize("progressive", [False, True])
def test_a_size_that_the_data_cannot_fill_is_an_error(progressive):
    data = bytearray(jpeg(np.zeros((64, 64, 3), np.uint8), progressive=progressive))
    at = data.find(b"\xff\xc2" if progressive else b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", 4000, 4000)
    with pytest.raises(UnreadableImage, match="truncated"):
        decode(bytes(data))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True}])
@pytest.mark.parametrize("subsampling", [0, 2])
@pytest.mark.parametrize("grey", [False, True])
def test_nothing_packs_so_well_that_it_counts_as_too_little_data(options, subsampling, grey):
    pixels = np.full((3000, 3000) if grey else (3000, 3000, 3), 255, np.uint8)
    data = jpeg(pixels, quality=1, subsampling=subsampling, **options)
    assert decode(data).rgb.min() == 255


def repeated(data, times):
    """The progressive JPEG ``data`` with its last scan ``times`` more: a few bytes, and every one
    makes the decoder walk over the whole picture again."""
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * times + b"\xff\xd9"


def test_no_more_scans_are_decoded_than_pictures_have():
    """20 MB hold 400 000 scans: a quarter of an hour for one picture of 50 megapixels."""
    data = jpeg(smooth(), progressive=True)
    assert decode(repeated(data, 100)).rgb.shape == (40, 56, 3)
    with pytest.raises(UnreadableImage, match="scans"):
        decode(repeated(data, 500))
