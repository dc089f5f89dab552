from __future__ import annotations

import contextlib
import io
import lzma
import struct
import subprocess
import sys
import tracemalloc
import zlib

import cv2
import numpy as np
import PIL
import pytest
import tifffile
from PIL import Image

from cleancut.errors import CleancutError, ImageTooLarge, UnreadableImage
from cleancut.imaging.decode import decode
from cleancut.imaging.picture import FIRST_FRAME
from tests.imaging.orientation import upright

RNG = np.random.default_rng(4)


def tiff(pixels, **options):
    out = io.BytesIO()
    tifffile.imwrite(out, pixels, **{"metadata": None, **options})
    return out.getvalue()


def with_pillow(image, **options):
    out = io.BytesIO()
    image.save(out, "TIFF", **options)
    return out.getvalue()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("compression", [None, "zlib", "lzma"])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("tiled", [False, True])
def test_colour_is_exact_in_every_layout(dtype, compression, planar, order, tiled):
    for channels, extra in ((3, None), (4, ["unassalpha"])):
        pixels = RNG.integers(0, np.iinfo(dtype).max, (20, 36, channels), dtype)
        stored = np.ascontiguousarray(np.moveaxis(pixels, 2, 0)) if planar else pixels
        options = {"tile": (16, 16)} if tiled else {"rowsperstrip": 7}
        data = tiff(
            stored,
            photometric="rgb",
            planarconfig="separate" if planar else "contig",
            compression=compression,
            extrasamples=extra,
            byteorder=order,
            **options,
        )
        picture = decode(data)
        assert picture.rgb.dtype == dtype
        assert (picture.rgb == pixels[..., :3]).all()
        if channels == 4:
            assert np.allclose(picture.alpha, pixels[..., 3] / np.iinfo(dtype).max)
        else:
            assert picture.alpha is None


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "packbits", "tiff_deflate"])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_pillow_written_tiffs_look_as_pillow_shows_them(compression, mode):
    rgba = RNG.integers(0, 256, (20, 30, 4), np.uint8)
    image = Image.fromarray(rgba)
    image = (
        image.convert("RGB").convert(mode) if mode not in ("LA", "RGBA") else image.convert(mode)
    )
    if (mode, compression) == ("YCbCr", "raw") and int(PIL.__version__.split(".")[0]) < 13:
        pytest.skip("Pillow cannot read what it has written here before 13")
    picture = decode(with_pillow(image, compression=compression))
    assert np.abs(picture.rgb.astype(int) - np.asarray(image.convert("RGB"))).max() <= 1
    if mode in ("LA", "RGBA"):
        assert np.allclose(picture.alpha, rgba[..., 3] / 255)
    else:
        assert picture.alpha is None


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(
    "scheme", [cv2.IMWRITE_TIFF_COMPRESSION_LZW, cv2.IMWRITE_TIFF_COMPRESSION_PACKBITS]
)
def test_16_bit_lzw_and_packbits_stay_16_bit(channels, scheme):
    pixels = RNG.integers(0, 65536, (20, 30, channels), np.uint16)
    data = cv2.imencode(".tiff", pixels, [cv2.IMWRITE_TIFF_COMPRESSION, scheme])[1].tobytes()
    picture = decode(data)
    assert picture.rgb.dtype == np.uint16
    assert (picture.rgb == (pixels[..., 2::-1] if channels >= 3 else pixels)).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_in_both_polarities(dtype):
    grey = RNG.integers(0, np.iinfo(dtype).max, (9, 8), dtype)
    assert (decode(tiff(grey, photometric="minisblack")).rgb[..., 1] == grey).all()
    inverted = decode(tiff(grey, photometric="miniswhite")).rgb[..., 1]
    assert (inverted == np.iinfo(dtype).max - grey).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_associated_alpha_is_divided_out(dtype):
    top = np.iinfo(dtype).max
    straight = (
        np.array([[[200, 100, 50, 255], [200, 100, 50, 128], [0, 0, 0, 0]]], np.float64) / 255
    )
    stored = straight.copy()
    stored[..., :3] *= stored[..., 3:]
    data = tiff(np.rint(stored * top).astype(dtype), photometric="rgb", extrasamples=["assocalpha"])
    picture = decode(data)
    assert np.abs(picture.rgb / top - straight[..., :3]).max() <= 1.01 / top * 255 / 128
    assert np.allclose(picture.alpha, straight[..., 3], atol=1 / top)


def test_float_tiffs_are_0_to_1():
    pixels = RNG.random((6, 5, 3)).astype(np.float32)
    picture = decode(tiff(pixels, photometric="rgb"))
    assert np.abs(picture.rgb / 65535 - pixels).max() < 1e-5


def test_extra_samples_that_are_no_alpha_are_left_out():
    pixels = RNG.integers(0, 256, (6, 5, 5), np.uint8)
    data = tiff(pixels, photometric="rgb", extrasamples=["unspecified", "unspecified"])
    picture = decode(data)
    assert (picture.rgb == pixels[..., :3]).all()
    assert picture.alpha is None


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["16", "8", "lzw16", "cmyk"])
def test_orientation_is_applied_once(orientation, kind):
    rgb = RNG.integers(0, 256, (4, 6, 3), np.uint8)
    tag = [(274, "H", 1, orientation, True)]
    if kind == "cmyk":
        inks = np.dstack([255 - rgb, np.zeros(rgb.shape[:2], np.uint8)])
        exif = Image.Exif()
        exif[274] = orientation
        data = with_pillow(Image.fromarray(inks, "CMYK"), exif=exif)
    elif kind == "lzw16":
        rgb = rgb.astype(np.uint16) * 257
        lzw = [cv2.IMWRITE_TIFF_COMPRESSION, cv2.IMWRITE_TIFF_COMPRESSION_LZW]
        data = _add_orientation(
            cv2.imencode(".tiff", rgb[..., ::-1], lzw)[1].tobytes(), orientation
        )
    else:
        rgb = rgb.astype(np.uint16) * 257 if kind == "16" else rgb
        data = tiff(rgb, photometric="rgb", extratags=tag)
    expected = upright(rgb, orientation)
    assert np.abs(decode(data).rgb.astype(int) - expected).max() <= 1


def _add_orientation(data, orientation):
    """Turn the tag after which 274 sorts into 274: a copy of the directory at the end."""
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    entries = [data[at + 2 + 12 * i : at + 14 + 12 * i] for i in range(count)]
    entries = [entry for entry in entries if entry[:2] != struct.pack("<H", 274)]
    entries.append(struct.pack("<HHIHH", 274, 3, 1, orientation, 0))
    entries.sort(key=lambda entry: struct.unpack_from("<H", entry))
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    padded = data + bytes(len(data) % 2)
    return padded[:4] + struct.pack("<I", len(padded)) + padded[8:] + directory


def test_metadata(wide_profile, exif_block):
    rgb = RNG.integers(0, 256, (4, 6, 3), np.uint8)
    exif = Image.Exif()
    exif.load(exif_block(1))
    data = with_pillow(Image.fromarray(rgb), exif=exif, icc_profile=wide_profile, dpi=(300, 150))
    picture = decode(data)
    assert picture.icc == wide_profile
    assert picture.dpi == (300, 150)
    kept = Image.Exif()
    kept.load(picture.exif)
    assert kept[0x010F] == "Maker"
    assert float(kept.get_ifd(0x8769)[0x829D]) == pytest.approx(2.8)
    assert 273 not in kept  # the file's structure is not metadata


def test_cmyk_uses_its_profile(cmyk_profile):
    inks = np.zeros((4, 4, 4), np.uint8)
    inks[..., 0] = 255
    picture = decode(with_pillow(Image.fromarray(inks, "CMYK"), icc_profile=cmyk_profile))
    assert picture.icc is None
    assert picture.rgb[0, 0, 1] > int(picture.rgb[0, 0, 0]) + 40


def test_more_pages_give_the_first_and_a_note():
    first = RNG.integers(0, 256, (4, 6, 3), np.uint8)
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as writer:
        writer.write(first, photometric="rgb")
        writer.write(np.zeros((9, 9, 3), np.uint8), photometric="rgb")
    picture = decode(out.getvalue())
    assert (picture.rgb == first).all()
    assert picture.notes == (FIRST_FRAME,)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_truncated_tiffs_are_errors(dtype):
    pixels = RNG.integers(0, 256, (90, 80, 3)).astype(dtype)
    files = [tiff(pixels, photometric="rgb"), tiff(pixels, photometric="rgb", compression="zlib")]
    lzw = [cv2.IMWRITE_TIFF_COMPRESSION, cv2.IMWRITE_TIFF_COMPRESSION_LZW]
    files.append(cv2.imencode(".tiff", pixels, lzw)[1].tobytes())
    for data in files:
        for kept in (8, 30, len(data) // 2, len(data) - 40):
            with pytest.raises(UnreadableImage):
                decode(data[:kept])


def test_huge_tiffs_are_refused_before_decoding():
    data = bytearray(tiff(np.zeros((4, 4, 3), np.uint8), photometric="rgb"))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
        for tag in (256, 257):
            offset = file.pages[0].tags[tag].valueoffset
            struct.pack_into("<H", data, offset, 60_000)
    with pytest.raises(ImageTooLarge):
        decode(bytes(data))
    with pytest.raises(ImageTooLarge):
        decode(tiff(np.zeros((64, 64, 3), np.uint8), photometric="rgb"), max_megapixels=0.001)


def test_flipped_bytes_never_give_anything_but_a_typed_error():
    data = tiff(RNG.integers(0, 256, (9, 8, 3), np.uint8), photometric="rgb", compression="zlib")
    for at in range(len(data)):
        broken = bytearray(data)
        broken[at] ^= 0x55
        with contextlib.suppress(CleancutError):
            decode(bytes(broken), max_megapixels=1)


def _with_tag(data, tag, value):
    """The file with another number in a tag of its first directory."""
    patched = bytearray(data)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        found = file.pages[0].tags[tag]
        struct.pack_into("<H" if found.dtype == 3 else "<I", patched, found.valueoffset, value)
    return bytes(patched)


def _with_strip(data, body):
    """The file with ``body`` as its only strip."""
    return _with_tag(_with_tag(data, 273, len(data)), 279, len(body)) + body


@pytest.mark.parametrize("scheme", ["zlib", "lzma"])
def test_compression_bombs_are_not_inflated(scheme):
    zeros = [bytes(1 << 24)] * 40
    if scheme == "zlib":
        packer = zlib.compressobj(9)
        options = {"compression": "zlib", "rowsperstrip": 48, "bitspersample": 8}
    else:
        packer = lzma.LZMACompressor(preset=1)
        options = {"compression": "lzma", "rowsperstrip": 48, "bitspersample": 8}
    bomb = b"".join([*map(packer.compress, zeros), packer.flush()])
    data = tiff(np.zeros((48, 64, 3), np.uint8), photometric="rgb", **options)
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableImage, match="more data than"):
            decode(_with_strip(data, bomb))
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()


def test_a_large_deflated_strip_that_holds_what_it_should_is_read():
    pixels = RNG.integers(0, 256, (600, 500, 3), np.uint8)
    data = tiff(pixels, photometric="rgb", compression="zlib", rowsperstrip=600)
    assert (decode(data).rgb == pixels).all()


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_more_samples_than_a_picture_has_are_too_large(compression):
    data = tiff(np.zeros((480, 640, 3), np.uint8), photometric="rgb", compression=compression)
    with pytest.raises(ImageTooLarge, match="60000 samples"):
        decode(_with_tag(data, 277, 60_000))


def test_tiles_far_larger_than_the_picture_are_refused():
    data = tiff(np.zeros((64, 64, 3), np.uint8), photometric="rgb", tile=(64, 64))
    with pytest.raises(UnreadableImage, match="tiles"):
        decode(_with_tag(_with_tag(data, 322, 32_000), 323, 32_000))


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_a_size_given_twice_is_refused(compression):
    data = with_pillow(Image.new("RGB", (64, 48)), compression=compression)
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    entries = [data[start + 2 + 12 * n : start + 14 + 12 * n] for n in range(count)]
    at = next(n for n, entry in enumerate(entries) if entry.startswith(b"\0\1"))
    entries.insert(at + 1, entries[at][:8] + struct.pack("<I", 30_000))
    directory = struct.pack("<H", count + 1) + b"".join(entries) + bytes(4)
    moved = data[:4] + struct.pack("<I", len(data)) + data[8:] + directory
    with pytest.raises(UnreadableImage, match="twice"):
        decode(moved)


def test_complaints_of_pillow_stay_in_its_log():
    data = _with_tag(with_pillow(Image.new("RGB", (64, 48)), compression="tiff_lzw"), 277, 60_000)
    code = (
        "import sys; from cleancut.imaging.decode import decode\n"
        "try: decode(sys.stdin.buffer.read(), max_megapixels=1e6)\n"
        "except Exception as error: print(type(error).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True)
    assert done.stdout.strip() == b"UnreadableImage"
    assert done.stderr == b""
