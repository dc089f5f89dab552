from __future__ import annotations

import io
import sys
import threading
import warnings

import numpy as np
import pytest
from PIL import Image

from cleancut.errors import (
    CleancutError,
    ImageTooLarge,
    MissingDependency,
    OutOfMemory,
    UnreadableImage,
    UnsupportedFormat,
)
from cleancut.imaging import decode as module
from cleancut.imaging.decode import decode, from_pil
from cleancut.imaging.picture import FIRST_FRAME
from tests.imaging.orientation import upright

RNG = np.random.default_rng(9)
RGB = RNG.integers(0, 256, (20, 30, 3), np.uint8)


def save(image, format_, **options):
    out = io.BytesIO()
    image.save(out, format_, **options)
    return out.getvalue()


def smooth(height=40, width=56):
    rows, columns = np.mgrid[:height, :width]
    return np.dstack([rows * 4, columns * 4, (rows + columns) * 2]).astype(np.uint8)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_bmp(mode):
    image = Image.fromarray(RGB).convert(mode)
    picture = decode(save(image, "BMP", dpi=(300, 300)))
    assert picture.format == "bmp"
    assert (picture.rgb == np.asarray(image.convert("RGB"))).all()
    assert picture.alpha is None
    assert picture.dpi == (300, 300)


def test_a_bmp_whose_fourth_byte_is_unused_is_opaque():
    assert decode(save(Image.new("RGBA", (3, 3), (9, 8, 7, 0)), "BMP")).alpha is None
    half = Image.new("RGBA", (3, 3), (9, 8, 7, 99))
    picture = decode(save(half, "BMP"))
    assert picture.alpha is None or np.allclose(picture.alpha, 99 / 255)


def test_gif_still_with_transparency():
    image = Image.new("P", (4, 3), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 1), 1)
    picture = decode(save(image, "GIF", transparency=1))
    assert picture.format == "gif"
    assert picture.notes == ()
    assert picture.rgb[0, 0].tolist() == [255, 0, 0]
    assert picture.alpha[1, 1] == 0
    assert picture.alpha.sum() == 11


@pytest.mark.parametrize("format_", ["GIF", "AVIF", "WEBP", "PNG", "TIFF"])
def test_animations_give_their_first_frame_with_a_note(format_):
    frames = [Image.new("RGB", (40, 40), colour) for colour in ((250, 0, 0), (0, 0, 250))]
    picture = decode(save(frames[0], format_, save_all=True, append_images=frames[1:]))
    assert np.abs(picture.rgb[20, 20].astype(int) - (250, 0, 0)).max() < 12
    assert picture.notes == (FIRST_FRAME,)
    still = decode(save(frames[0], format_))
    assert still.notes == ()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_avif_with_orientation_and_profile(orientation, exif_block, wide_profile):
    image = Image.fromarray(smooth())
    exif = b"Exif\0\0" + exif_block(orientation)
    picture = decode(save(image, "AVIF", quality=95, exif=exif, icc_profile=wide_profile))
    plain = np.asarray(image)
    expected = upright(plain, orientation)
    assert np.abs(picture.rgb.astype(int) - expected).mean() < 3
    assert picture.icc == wide_profile
    kept = Image.Exif()
    kept.load(picture.exif)
    assert kept[0x010F] == "Maker"
    assert kept.get(0x0112, 1) == 1


def test_avif_with_alpha():
    rgba = np.dstack([smooth(), np.tile(np.arange(56, dtype=np.uint8) * 4, (40, 1))])
    picture = decode(save(Image.fromarray(rgba), "AVIF", quality=100))
    assert np.abs(picture.alpha - rgba[..., 3] / 255).max() < 0.02


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_heic(orientation, exif_block, wide_profile):
    heif = pytest.importorskip("pillow_heif")
    out = io.BytesIO()
    container = heif.from_pillow(Image.fromarray(smooth()))
    exif = b"Exif\0\0" + exif_block(orientation)
    container.save(out, quality=95, exif=exif, icc_profile=wide_profile)
    picture = decode(out.getvalue())
    plain = smooth()
    turned = {1: plain, 3: plain[::-1, ::-1], 6: np.rot90(plain, -1), 8: np.rot90(plain)}[
        orientation
    ]
    assert picture.format == "heic"
    assert picture.rgb.shape == turned.shape
    assert np.abs(picture.rgb.astype(int) - turned).mean() < 4
    assert picture.icc == wide_profile
    with pytest.raises(ImageTooLarge):
        decode(out.getvalue(), max_megapixels=0.001)
    with pytest.raises(UnreadableImage):
        decode(out.getvalue()[: len(out.getvalue()) // 2])


def test_heic_without_its_extra_names_the_pip_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(MissingDependency) as caught:
        decode(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(50))
    assert "cleancut[heic]" in caught.value.hint


@pytest.mark.parametrize("format_", ["GIF", "BMP", "AVIF", "WEBP", "PNG", "TIFF", "JPEG"])
def test_half_a_file_is_never_half_a_picture(format_):
    noise = Image.fromarray(RNG.integers(0, 256, (90, 120, 3), np.uint8))
    data = save(noise, format_)
    for kept in (16, 40, len(data) // 3, len(data) // 2, len(data) * 9 // 10):
        with pytest.raises(UnreadableImage) as caught:
            decode(data[:kept])
        assert caught.value.hint
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("format_", ["GIF", "BMP", "AVIF", "WEBP", "PNG", "TIFF", "JPEG"])
def test_damage_anywhere_gives_a_picture_or_a_typed_error(format_):
    image = Image.fromarray(smooth())
    data = save(image, format_)
    rng = np.random.default_rng(1)
    for at in rng.integers(0, len(data), 150):
        broken = bytearray(data)
        broken[at] = rng.integers(0, 256)
        try:
            picture = decode(bytes(broken), max_megapixels=1)
        except CleancutError:
            continue
        assert picture.rgb.ndim == 3


@pytest.mark.parametrize("format_", ["GIF", "BMP", "AVIF", "WEBP", "PNG", "TIFF", "JPEG"])
def test_the_limit_is_checked_for_every_format(format_):
    data = save(Image.fromarray(smooth()), format_)
    with pytest.raises(ImageTooLarge) as caught:
        decode(data, max_megapixels=0.002)
    assert "--max-megapixels" in caught.value.hint
    assert decode(data, max_megapixels=0.00224).rgb.shape == (40, 56, 3)


def test_pillows_own_limit_neither_changes_nor_leaks(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for format_ in ("GIF", "BMP", "AVIF", "WEBP", "PNG", "TIFF", "JPEG"):
            for mode in ("RGB", "L", "P", "CMYK"):
                if format_ in ("GIF", "BMP", "AVIF", "WEBP", "PNG") and mode == "CMYK":
                    continue
                if mode == "P" and format_ in ("JPEG", "AVIF", "WEBP"):
                    continue
                if format_ == "TIFF" and mode in ("P", "CMYK"):  # see the next test
                    continue
                image = Image.fromarray(smooth()).convert(mode)
                assert decode(save(image, format_)).rgb.shape == (40, 56, 3), (format_, mode)
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.parametrize("mode", ["P", "CMYK"])
def test_pillows_own_limit_is_a_typed_error_where_it_cannot_be_avoided(monkeypatch, mode):
    data = save(Image.fromarray(smooth()).convert(mode), "TIFF")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1500)  # a warning in Pillow
    assert decode(data).rgb.shape == (40, 56, 3)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # an error in Pillow
    with pytest.raises(ImageTooLarge):
        decode(data)


def test_exotic_formats_are_never_opened():
    for format_ in ("ICO", "PPM", "TGA", "PCX", "SGI", "EPS", "PDF", "JPEG2000"):
        with pytest.raises((UnsupportedFormat, UnreadableImage)):
            decode(save(Image.fromarray(RGB), format_))


def test_running_out_of_memory_is_a_typed_error(monkeypatch):
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setitem(module._DECODERS, "png", fail)
    with pytest.raises(OutOfMemory):
        decode(save(Image.fromarray(RGB), "PNG"))


def test_decoding_is_thread_safe():
    files = [
        save(Image.fromarray(smooth()), name) for name in ("PNG", "JPEG", "TIFF", "WEBP", "GIF")
    ]
    expected = [decode(data).rgb for data in files]
    wrong: list[int] = []

    def work() -> None:
        for _ in range(10):
            for index, data in enumerate(files):
                if not (decode(data).rgb == expected[index]).all():
                    wrong.append(index)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_nothing_is_printed(capfd):
    for data in (
        b"text",
        b"\xff\xd8\xff\xe0",
        save(Image.fromarray(RGB), "PNG")[:90],
        b"II*\0\0\0\0\0",
    ):
        with pytest.raises(CleancutError):
            decode(data)
    assert capfd.readouterr() == ("", "")


def test_messages_of_decoders_of_several_lines_become_one(monkeypatch):
    def broken(*_):
        raise ValueError("first\nsecond\n")

    monkeypatch.setattr("cleancut.imaging.decode.read_png", broken)
    with pytest.raises(UnreadableImage) as caught:
        decode(save(Image.fromarray(RGB), "PNG"))
    assert str(caught.value) == "the PNG is damaged: first second"
    image = Image.fromarray(RGB)
    monkeypatch.setattr(image, "load", broken)
    with pytest.raises(UnreadableImage) as caught:
        from_pil(image)
    assert str(caught.value) == "the PIL image cannot be loaded: first second"


@pytest.mark.parametrize("error", [MemoryError(), ValueError("(-4:Insufficient memory) Failed to")])
def test_too_little_memory_is_no_damaged_picture(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(data: bytes, limit: float) -> None:
        raise error

    monkeypatch.setitem(module._DECODERS, "png", fail)
    with pytest.raises(OutOfMemory):
        module.decode(b"\x89PNG\r\n\x1a\n" + bytes(40))
