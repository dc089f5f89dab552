from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from cleancut.errors import ImageTooLarge, UnreadableImage
from cleancut.imaging.decode import decode
from cleancut.imaging.encode import encode
from cleancut.imaging.picture import FIRST_FRAME, ICC_IGNORED

RNG = np.random.default_rng(3)


def png(pixels, colour, bits, *, before=(), after=(), interlace=0):
    """A PNG written by hand from (H, W[, C]) samples, filter 0, with extra chunks."""
    height, width = pixels.shape[:2]
    flat = np.atleast_3d(pixels)
    if bits < 8:
        rows = np.packbits(
            np.unpackbits(pixels[..., None].astype(np.uint8), axis=2)[..., 8 - bits :].reshape(
                height, -1
            ),
            axis=1,
        )
    else:
        rows = np.ascontiguousarray(flat.astype(">u2" if bits == 16 else np.uint8)).view(np.uint8)
    rows = rows.reshape(height, -1)
    raw = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1).tobytes()
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlace)
    parts = [("IHDR", head), *before, ("IDAT", zlib.compress(raw)), *after, ("IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(name.encode(), body) for name, body in parts)


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("colour", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_direct_pngs_are_exact(bits, colour, channels):
    pixels = RNG.integers(0, 2**bits, (5, 7, channels), np.uint16)
    picture = decode(png(pixels, colour, bits))
    assert picture.rgb.dtype == (np.uint8 if bits == 8 else np.uint16)
    assert (picture.rgb == (pixels[..., :3] if channels >= 3 else pixels[..., :1])).all()
    if channels in (2, 4):
        assert np.allclose(picture.alpha, pixels[..., -1] / (2**bits - 1), atol=1e-7)
    else:
        assert picture.alpha is None


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_low_depth_grey_is_stretched(bits):
    pixels = RNG.integers(0, 2**bits, (5, 8), np.uint8)
    picture = decode(png(pixels, 0, bits))
    assert (picture.rgb[..., 0] == pixels * (255 // (2**bits - 1))).all()


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("transparent", [False, True])
def test_palettes(bits, transparent):
    palette = RNG.integers(0, 256, (2**bits, 3), np.uint8)
    alphas = RNG.integers(0, 255, 2**bits - 1, np.uint8)
    indices = RNG.integers(0, 2**bits, (6, 8), np.uint8)
    before = [("PLTE", palette.tobytes())] + [("tRNS", alphas.tobytes())] * transparent
    picture = decode(png(indices, 3, bits, before=before))
    assert (picture.rgb == palette[indices]).all()
    if transparent:
        expected = np.append(alphas, 255)[indices] / 255
        assert np.allclose(picture.alpha, expected)
    else:
        assert picture.alpha is None


@pytest.mark.parametrize("bits", [8, 16])
def test_one_transparent_colour(bits):
    key = np.array([200, 10, 30]) * (1 if bits == 8 else 257)
    pixels = RNG.integers(0, 2**bits, (5, 7, 3), np.uint16)
    pixels[2, 3] = key
    pixels[2, 4] = key[::-1]
    picture = decode(png(pixels, 2, bits, before=[("tRNS", struct.pack(">HHH", *key))]))
    assert picture.alpha[2, 3] == 0
    assert picture.alpha.sum() == 34
    assert (picture.rgb == pixels).all()


@pytest.mark.parametrize("bits", [1, 4, 8, 16])
def test_one_transparent_grey(bits):
    pixels = np.zeros((3, 8), np.uint16)
    pixels[1, 2] = 1
    picture = decode(png(pixels, 0, bits, before=[("tRNS", b"\0\1")]))
    assert picture.alpha[1, 2] == 0
    assert picture.alpha.sum() == 23


def test_16_bit_colour_keeps_the_key_exact():
    pixels = np.zeros((1, 2, 3), np.uint16)
    pixels[0, 0] = 0x0101
    pixels[0, 1] = 0x0102  # the same in 8 bits
    picture = decode(png(pixels, 2, 16, before=[("tRNS", b"\1\1" * 3)]))
    assert picture.alpha.tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1"])
def test_interlaced_png(mode, tmp_path):
    # Adam7 with a single row of one pixel has one pass, so it can be made by hand.
    pixels = np.array([[[9, 8, 7]]])
    assert decode(png(pixels, 2, 8, interlace=1)).rgb.tolist() == [[[9, 8, 7]]]
    # A 2 x 2 picture has passes 1, 6 and 7.
    a, b, c, d = (10, 20, 30, 40)
    raw = b"".join((b"\0", bytes([a]), b"\0", bytes([b]), b"\0", bytes([c, d])))
    head = struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 1)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw))
    assert decode(data + chunk(b"IEND", b"")).rgb[..., 0].tolist() == [[a, b], [c, d]]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_png_metadata(orientation, exif_block, wide_profile):
    image = Image.fromarray(RNG.integers(0, 256, (4, 6, 3), np.uint8))
    out = io.BytesIO()
    image.save(out, "PNG", exif=exif_block(orientation), icc_profile=wide_profile, dpi=(300, 300))
    picture = decode(out.getvalue())
    turned = np.asarray(image)
    if orientation == 6:
        assert (picture.rgb == np.rot90(turned, -1)).all()
    assert picture.rgb.shape[:2] == ((4, 6) if orientation < 5 else (6, 4))
    assert picture.exif == exif_block(1)
    assert picture.icc == wide_profile
    assert picture.dpi == (300, 300)


def test_16_bit_png_with_orientation_is_turned_once(exif_block):
    pixels = RNG.integers(0, 65536, (3, 5, 3), np.uint16)
    picture = decode(png(pixels, 2, 16, before=[("eXIf", exif_block(6))]))
    assert (picture.rgb == np.rot90(pixels, -1)).all()


def test_grey_png_with_a_grey_profile_stays_16_bit(grey_profile):
    pixels = np.linspace(0, 65535, 64).astype(np.uint16).reshape(4, 16)
    icc = ("iCCP", b"x\0\0" + zlib.compress(grey_profile))
    picture = decode(png(pixels, 0, 16, before=[icc]))
    assert picture.icc is None
    assert picture.rgb.dtype == np.uint16
    assert picture.rgb[1, 0, 0] > pixels[1, 0]


def test_bombs_in_text_and_profile_are_not_inflated():
    bomb = zlib.compress(bytes(64 << 20), 9)
    pixels = np.zeros((2, 2, 3), np.uint8)
    before = [("iCCP", b"x\0\0" + bomb), ("zTXt", b"x\0\0" + bomb), ("iTXt", b"x\0\1\0\0\0" + bomb)]
    picture = decode(png(pixels, 2, 8, before=before))
    assert picture.icc is None
    assert picture.notes == (ICC_IGNORED,)
    palette = [*before, ("PLTE", bytes(6))]
    assert decode(png(np.zeros((2, 2), np.uint8), 3, 8, before=palette)).rgb.max() == 0


@pytest.mark.parametrize("body", [b"", b"x", b"x\0\0garbage", b"x\0\0" + zlib.compress(b"garbage")])
def test_a_broken_profile_chunk_is_ignored_with_a_note(body):
    picture = decode(png(np.zeros((2, 2, 3), np.uint8), 2, 8, before=[("iCCP", body)]))
    assert picture.icc is None
    assert picture.notes == (ICC_IGNORED,)


def test_truncated_pngs_are_errors():
    data = encode(RNG.integers(0, 256, (300, 300, 3), np.uint8))
    for kept in (8, 20, 33, 60, len(data) // 2, len(data) - 20, len(data) - 1):
        with pytest.raises(UnreadableImage, match="truncated"):
            decode(data[:kept])


def test_a_png_with_too_little_data_is_an_error():
    pixels = np.zeros((4, 4, 3), np.uint8)
    short = png(pixels, 2, 8)
    taller = bytearray(short)
    struct.pack_into(">I", taller, 20, 400)
    struct.pack_into(">I", taller, 29, zlib.crc32(taller[12:29]))
    with pytest.raises(UnreadableImage):
        decode(bytes(taller))


def test_a_wrong_checksum_is_an_error():
    data = bytearray(encode(RNG.integers(0, 256, (30, 30, 3), np.uint8)))
    data[200] ^= 1
    with pytest.raises(UnreadableImage, match="checksum"):
        decode(bytes(data))


def test_a_huge_png_is_refused_before_decoding():
    head = struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 6, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    with pytest.raises(ImageTooLarge):
        decode(data)


@pytest.mark.parametrize("head", [(2, 3, 8, 5), (2, 3, 7, 2), (0, 3, 8, 2)])
def test_impossible_png_headers(head):
    body = struct.pack(">IIBB", *head) + bytes(3)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", body) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    with pytest.raises(UnreadableImage):
        decode(data)


def test_an_animated_png_gives_its_default_picture_with_a_note():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    out = io.BytesIO()
    frames[0].save(out, "PNG", save_all=True, append_images=frames[1:])
    picture = decode(out.getvalue())
    assert picture.rgb[0, 0].tolist() == [255, 0, 0]
    assert picture.notes == (FIRST_FRAME,)


def test_text_chunks_do_not_matter():
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "x" * 100_000, zip=True)
    out = io.BytesIO()
    Image.new("RGB", (3, 3), "red").save(out, "PNG", pnginfo=info)
    assert decode(out.getvalue()).notes == ()


def webp(pixels, **options):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "WEBP", **options)
    return out.getvalue()


def test_lossless_webp_is_exact():
    rgba = RNG.integers(0, 256, (9, 7, 4), np.uint8)
    picture = decode(webp(rgba, lossless=True, exact=True))
    assert (picture.rgb == rgba[..., :3]).all()
    assert np.allclose(picture.alpha, rgba[..., 3] / 255)
    assert decode(webp(rgba[..., :3].copy(), lossless=True)).alpha is None


def test_lossy_webp_looks_as_pillow_shows_it():
    rgb = cv2.GaussianBlur(RNG.integers(0, 256, (60, 80, 3), np.uint8), (0, 0), 3)
    data = webp(rgb, quality=90)
    shown = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert np.abs(decode(data).rgb.astype(int) - shown).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_webp_metadata(orientation, exif_block, wide_profile):
    rgb = RNG.integers(0, 256, (4, 6, 3), np.uint8)
    picture = decode(
        webp(rgb, lossless=True, exif=exif_block(orientation), icc_profile=wide_profile)
    )
    assert picture.rgb.shape[:2] == ((4, 6) if orientation < 5 else (6, 4))
    if orientation == 8:
        assert (picture.rgb == np.rot90(rgb)).all()
    assert picture.exif == exif_block(1)
    assert picture.icc == wide_profile


def test_animated_webp_gives_its_first_frame_with_a_note():
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue")]
    out = io.BytesIO()
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    picture = decode(out.getvalue())
    assert picture.rgb[0, 0].tolist() == [255, 0, 0]
    assert picture.notes == (FIRST_FRAME,)


def test_truncated_and_huge_webps_are_errors():
    for options in ({}, {"lossless": True}, {"icc_profile": b"x" * 50}):
        data = webp(RNG.integers(0, 256, (60, 60, 3), np.uint8), **options)
        for kept in (12, 25, len(data) // 2, len(data) - 2):
            with pytest.raises(UnreadableImage, match="truncated"):
                decode(data[:kept])
        with pytest.raises(ImageTooLarge):
            decode(data, max_megapixels=0.003)


@pytest.mark.parametrize(("colour", "bits"), [(3, 8), (0, 4), (2, 8)])
def test_a_second_header_is_refused_before_its_size_is_allocated(colour, bits):
    head = struct.pack(">IIBBBBB", 30_000, 30_000, bits, colour, 0, 0, 0)
    pixels = np.zeros((48, 64, 3) if colour == 2 else (48, 64), np.uint8)
    before = [("IHDR", head), *([("PLTE", b"\1\2\3")] if colour == 3 else [])]
    with pytest.raises(UnreadableImage, match="two headers"):
        decode(png(pixels, colour, bits, before=before))
