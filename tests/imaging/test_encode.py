from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from cleancut.errors import BadArray, BadOption, UnsupportedFormat
from cleancut.imaging.decode import decode
from cleancut.imaging.encode import (
    FORMATS,
    encode,
    encode_mask,
    format_from_suffix,
    format_of,
    quantise,
)

RNG = np.random.default_rng(11)


def smooth(height=48, width=64, dtype=np.uint8):
    noise = cv2.GaussianBlur(RNG.random((height, width, 3)), (0, 0), 6)
    noise = (noise - noise.min()) / (noise.max() - noise.min())
    return (
        noise.astype(np.float32)
        if dtype == np.float32
        else (noise * np.iinfo(dtype).max).astype(dtype)
    )


def matte(height=48, width=64):
    return cv2.GaussianBlur(RNG.random((height, width)).round().astype(np.float32), (0, 0), 3).clip(
        0, 1
    )


def test_quantising_rounds():
    values = np.array([0, 0.5 / 255 - 1e-5, 0.5 / 255 + 1e-5, 0.999, 1], np.float32)
    assert quantise(values, 8).tolist() == [0, 0, 1, 255, 255]
    assert quantise(np.float32([0, 0.5, 1]), 16).tolist() == [0, 32768, 65535]
    assert quantise(np.uint8([0, 1, 255]), 16).tolist() == [0, 257, 65535]
    assert quantise(np.uint16([0, 128, 129, 65406, 65407, 65535]), 8).tolist() == [
        0,
        0,
        1,
        254,
        255,
        255,
    ]
    every = np.arange(256, dtype=np.uint8)
    assert (quantise(quantise(every, 16), 8) == every).all()
    assert (quantise(every / np.float32(255), 8) == every).all()
    assert (quantise(np.arange(65536) / np.float32(65535), 16) == np.arange(65536)).all()


@pytest.mark.parametrize("format_", ["png", "tiff"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("with_alpha", [False, True])
@pytest.mark.parametrize("compress", ["fast", "small"])
def test_lossless_formats_are_exact_in_three_readers(format_, dtype, with_alpha, compress):
    rgb, alpha = smooth(dtype=dtype), matte() if with_alpha else None
    data = encode(rgb, alpha, format=format_, compress=compress)
    bits = 16 if dtype == np.uint16 else 8
    expected = quantise(rgb, bits)
    if alpha is not None:
        expected = np.dstack([expected, quantise(alpha, bits)])
    picture = decode(data)
    assert picture.rgb.dtype == expected.dtype
    assert (picture.rgb == expected[..., :3]).all()
    assert (picture.alpha is None) == (alpha is None)
    if alpha is not None:
        assert np.abs(picture.alpha - alpha).max() <= 0.5001 / (2**bits - 1)
    if not (format_ == "tiff" and bits == 8 and with_alpha):  # OpenCV premultiplies that one
        other = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        assert (other[..., [2, 1, 0, 3][: expected.shape[2]]] == expected).all()
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        if bits == 8:
            assert (np.asarray(image) == expected).all()


def test_sixteen_bits_on_request_and_not():
    rgb = smooth(dtype=np.uint16)
    assert decode(encode(rgb, sixteen_bit=False)).rgb.dtype == np.uint8
    assert decode(encode(smooth(), sixteen_bit=True)).rgb.dtype == np.uint16
    assert decode(encode(rgb, format="jpg")).rgb.dtype == np.uint8
    for name in ("jpg", "webp", "avif"):
        with pytest.raises(BadOption):
            encode(rgb, format=name, sixteen_bit=True)


@pytest.mark.parametrize("name", ["webp", "jpg", "avif"])
def test_lossy_formats_are_close(name):
    rgb, alpha = smooth(), None if name == "jpg" else matte()
    picture = decode(encode(rgb, alpha, format=name))
    solid = np.ones(rgb.shape[:2], bool) if alpha is None else alpha > 0.2
    assert np.abs(picture.rgb.astype(int) - rgb)[solid].mean() < 3
    if alpha is not None:
        assert np.abs(picture.alpha - alpha).max() <= (0.51 / 255 if name == "webp" else 0.06)


def test_webp_at_100_is_lossless_with_hidden_colours():
    rgb, alpha = smooth(), matte()
    alpha[:20] = 0
    picture = decode(encode(rgb, alpha, format="webp", quality=100))
    assert (picture.rgb == rgb).all()
    assert np.abs(picture.alpha - alpha).max() <= 0.51 / 255


def test_quality_matters():
    rgb = RNG.integers(0, 256, (64, 64, 3), np.uint8)
    for name in ("jpg", "webp", "avif"):
        assert len(encode(rgb, format=name, quality=30)) < len(encode(rgb, format=name, quality=90))


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in ("zip", "psd")])
def test_metadata_survives_where_there_is_a_place(name, wide_profile, exif_block):
    data = encode(smooth(), format=name, icc=wide_profile, exif=exif_block(1), dpi=(300, 150))
    picture = decode(data)
    assert picture.icc == wide_profile
    if name in ("png", "jpg", "tiff"):
        assert picture.dpi == (300, 150)
    exif = Image.Exif()
    exif.load(picture.exif)
    assert exif[0x010F] == "Maker"
    assert float(exif.get_ifd(0x8769)[0x829D]) == pytest.approx(2.8)
    assert exif.get_ifd(0x8825)[1] == "N"
    if name in ("png", "jpg", "webp"):
        assert picture.exif == exif_block(1)


def test_broken_exif_is_left_out_of_tiff():
    assert decode(encode(smooth(), format="tiff", exif=b"II*\0\xff\xff\xff\x7f")).exif is None


def test_exif_that_jpeg_cannot_hold_is_said(exif_block):
    with pytest.raises(BadOption) as caught:
        encode(smooth(), format="jpg", exif=exif_block(1) + bytes(70_000))
    assert "--strip" in caught.value.hint


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in ("zip", "psd")])
def test_masks_are_grey(name):
    alpha = matte()
    data = encode_mask(alpha, format=name)
    picture = decode(data)
    assert picture.alpha is None
    assert np.abs(picture.rgb[..., 1] / 255 - alpha).max() < (
        0.51 / 255 if name in ("png", "tiff") else 0.1
    )
    if name in ("png", "jpg", "tiff"):
        with Image.open(io.BytesIO(data)) as image:
            assert image.mode == "L"


@pytest.mark.parametrize("name", ["png", "tiff"])
def test_16_bit_masks_are_exact(name):
    alpha = matte()
    picture = decode(encode_mask(alpha, format=name, sixteen_bit=True))
    assert np.abs(picture.rgb[..., 1] / 65535 - alpha).max() <= 0.51 / 65535


def test_alpha_in_jpeg_is_refused():
    with pytest.raises(BadOption) as caught:
        encode(smooth(), matte(), format="jpg")
    assert "--background" in caught.value.hint


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"format": "bmp"}, UnsupportedFormat),
        ({"format": ""}, UnsupportedFormat),
        ({"quality": 0}, BadOption),
        ({"quality": 101}, BadOption),
        ({"compress": "most"}, BadOption),
        ({"alpha": np.zeros((3, 3), np.float32)}, BadArray),
        ({"alpha": np.full((48, 64), 1.5, np.float32)}, BadArray),
        ({"alpha": np.full((48, 64), np.nan, np.float32)}, BadArray),
        ({"alpha": np.zeros((48, 64), np.uint8)}, BadArray),
    ],
)
def test_bad_arguments_are_typed_errors(options, error):
    with pytest.raises(error):
        encode(smooth(), **options)


def test_bad_colours_are_typed_errors():
    for rgb in (
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 3)),
        np.full((4, 4, 3), np.nan, np.float32),
    ):
        with pytest.raises(BadArray):
            encode(rgb)


def test_a_side_too_long_for_the_format_is_said():
    strip = np.zeros((1, 16384, 3), np.uint8)
    assert encode(strip)
    with pytest.raises(BadOption, match="16383"):
        encode(strip, format="webp")


def test_formats_by_name_and_suffix():
    assert format_from_suffix("a/b.JPEG") == format_from_suffix("x.jpg") == "jpg"
    assert format_from_suffix("a.tif") == format_of("TIFF") == "tiff"
    assert format_of(".png") == "png"
    for path in ("a", "a.xyz", "a.gif", ".png/"):
        with pytest.raises(UnsupportedFormat):
            format_from_suffix(path)


def test_inputs_are_not_changed():
    rgb, alpha = smooth(dtype=np.float32), matte()
    before = rgb.copy(), alpha.copy()
    for name in FORMATS:
        encode(rgb, None if name == "jpg" else alpha, format=name)
    assert (rgb == before[0]).all()
    assert (alpha == before[1]).all()


def test_tiff_says_its_alpha_is_straight():
    data = encode(smooth(), matte(), format="tiff")
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        assert [int(kind) for kind in file.pages[0].extrasamples] == [2]


def test_fast_lossless_webp_is_lossless_and_small_is_smaller():
    rng = np.random.default_rng(0)
    rgb = cv2.GaussianBlur(rng.integers(0, 256, (90, 120, 3), np.uint8), (0, 0), 2)
    alpha = np.clip(np.linspace(-0.5, 1.5, 120), 0, 1).astype(np.float32) * np.ones((90, 1), "f")
    files = {
        how: encode(rgb, alpha, format="webp", quality=100, compress=how)
        for how in ("fast", "small")
    }
    for data in files.values():
        back = decode(data)
        assert (back.rgb == rgb).all()
        assert np.abs(back.alpha - alpha).max() <= 0.5 / 255 + 1e-6
    assert len(files["small"]) < len(files["fast"])


@pytest.mark.parametrize("shape", [(1, 1), (3, 700), (40, 30, 3), (8, 8, 4)])
def test_narrow_rounding_is_to_the_nearest_and_halves_go_up(shape):
    values = np.random.default_rng(1).random(shape).astype(np.float32)
    found = quantise(values, 8)
    assert found.shape == values.shape
    assert found.dtype == np.uint8
    assert np.abs(found - values * 255.0).max() <= 0.5 + 2e-4
    halves = (np.arange(255, dtype=np.float32) + 0.5) / 255
    assert (quantise(halves[None], 8)[0] == np.arange(1, 256)).all()
    assert quantise(np.float32([[0, 1]]), 8).tolist() == [[0, 255]]
