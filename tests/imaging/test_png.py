from __future__ import annotations

import io
import shutil
import struct
import subprocess
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from cleancut.imaging import png
from cleancut.imaging.png import Layout, write_png

SIZES = [(1, 1), (1, 7), (7, 1), (2, 2), (1, 70_000), (30_000, 1), (61, 83), (257, 129)]


def write(pixels, **options):
    height, width = pixels.shape[:2]
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    wide = pixels.astype(">u2") if pixels.dtype == np.uint16 else pixels
    flat = np.ascontiguousarray(wide).view(np.uint8).reshape(height, -1)
    layout = Layout(width, height, channels, pixels.dtype.itemsize * 8)
    return write_png(layout, lambda top, bottom: flat[top:bottom], **options)


def contents(kind, shape, dtype, seed):
    rng = np.random.default_rng(seed)
    top = np.iinfo(dtype).max
    if kind == "noise":
        return rng.integers(0, top, shape, dtype, endpoint=True)
    if kind == "flat":
        return np.full(shape, rng.integers(0, top), dtype)
    if kind == "ramp":
        ramp = np.add.outer(np.arange(shape[0]), np.arange(shape[1])) * (top // 300)
        return np.broadcast_to(ramp.reshape(*ramp.shape, *[1] * (len(shape) - 2)), shape).astype(
            dtype
        )
    text = rng.integers(0, 2, shape[:2]).astype(dtype) * dtype(top)
    return np.broadcast_to(text.reshape(*text.shape, *[1] * (len(shape) - 2)), shape).copy()


@pytest.mark.parametrize("compress", ["fast", "small"])
@pytest.mark.parametrize("kind", ["noise", "flat", "ramp", "text"])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_picture_reads_back_exactly(compress, kind, channels, dtype):
    for seed, size in enumerate(SIZES):
        shape = size if channels == 1 else (*size, channels)
        pixels = contents(kind, shape, dtype, seed)
        data = write(pixels, compress=compress)
        back = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if channels > 1:
            back = back[..., [2, 1, 0, 3][:channels]]
        assert back.dtype == dtype
        assert (back == pixels).all(), size
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            seen = np.asarray(image)
            if dtype == np.uint8 or channels == 1:
                assert (seen == pixels).all(), size
            else:
                assert (seen == pixels >> 8).all(), size


@pytest.mark.parametrize("compress", ["fast", "small"])
def test_many_strips_are_one_valid_stream(compress, monkeypatch):
    effort = png._EFFORTS[compress]
    monkeypatch.setitem(png._EFFORTS, compress, png._Effort(effort.filters, 3000, effort.level))
    pixels = contents("noise", (300, 100, 4), np.uint8, 1)
    pixels[100:200] = 0
    data = write(pixels, compress=compress)
    stream, names, at = b"", [], 8
    while at < len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + length]
        assert zlib.crc32(name + body) == struct.unpack_from(">I", data, at + 8 + length)[0]
        names.append(name)
        stream += body if name == b"IDAT" else b""
        at += 12 + length
    assert names.count(b"IDAT") > 40
    assert names[-1] == b"IEND"
    assert len(zlib.decompress(stream)) == 300 * 401  # checks the combined Adler-32 too
    assert (np.asarray(Image.open(io.BytesIO(data))) == pixels).all()


def test_each_filter_is_undone_by_readers(monkeypatch):
    pixels = contents("noise", (40, 30, 3), np.uint8, 2) // 3 + 90
    for kind in range(5):
        monkeypatch.setattr(png, "_choose", lambda *_, kind=kind: kind)
        data = write(pixels)
        assert (np.asarray(Image.open(io.BytesIO(data))) == pixels).all(), kind


def test_the_filter_fits_the_content():
    rows, columns = np.mgrid[:64, :64]
    ramp = np.dstack([rows * 3 + columns, rows + columns * 2, rows * 2 + columns]).astype(np.uint8)
    text = contents("text", (64, 64, 3), np.uint8, 0)
    flat = lambda pixels: pixels.reshape(64, -1)  # noqa: E731
    assert png._choose(flat(ramp)[1:], flat(ramp)[:-1], 3, "fast") in (1, 2)
    assert png._choose(flat(text)[1:], flat(text)[:-1], 3, "fast") == 0


def test_output_does_not_depend_on_threads(monkeypatch):
    pixels = contents("noise", (900, 700, 4), np.uint8, 3)
    monkeypatch.setattr("cleancut.imaging.threads.cv2.getNumThreads", lambda: 3)
    many = write(pixels)
    monkeypatch.setattr("cleancut.imaging.threads.cv2.getNumThreads", lambda: 1)
    assert write(pixels) == many


def test_small_is_smaller_and_both_beat_raw():
    rng = np.random.default_rng(0)
    smooth = cv2.GaussianBlur(rng.random((256, 256, 3)), (0, 0), 4)
    pixels = (smooth * 255).astype(np.uint8)
    fast, small = write(pixels), write(pixels, compress="small")
    assert len(small) < len(fast) < pixels.nbytes // 2


def test_metadata_chunks(wide_profile, exif_block):
    pixels = np.zeros((2, 3, 3), np.uint8)
    data = write(pixels, icc=wide_profile, exif=exif_block(1), dpi=(300, 150), srgb=True)
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert image.info["icc_profile"] == wide_profile
        assert image.info["exif"].removeprefix(b"Exif\0\0") == exif_block(1)
        assert image.info["dpi"] == pytest.approx((300, 150), abs=0.02)
        assert "srgb" not in image.info
    with Image.open(io.BytesIO(write(pixels, srgb=True))) as image:
        assert image.info["srgb"] == 0
    assert b"sRGB" not in write(pixels)


@pytest.mark.skipif(shutil.which("pngcheck") is None, reason="pngcheck is not installed")
def test_pngcheck_finds_nothing(tmp_path, wide_profile, exif_block):
    for number, size in enumerate(SIZES):
        for channels in (1, 3, 4):
            shape = size if channels == 1 else (*size, channels)
            path = tmp_path / f"{number}-{channels}.png"
            pixels = contents("noise", shape, np.uint16 if number % 2 else np.uint8, number)
            options = {"icc": wide_profile} if channels != 1 else {}
            path.write_bytes(write(pixels, exif=exif_block(1), dpi=(72, 72), **options))
    files = [str(path) for path in sorted(tmp_path.iterdir())]
    result = subprocess.run(["pngcheck", "-q", *files], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
