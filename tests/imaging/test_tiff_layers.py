"""TIFF with layers: flat for every reader, layers in Photoshop's own block."""

import io
import struct

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image
from psd_tools.psd.layer_and_mask import LayerInfoBlock

from cleancut import Engine, Options
from cleancut.errors import BadArray, BadOption
from cleancut.imaging.decode import decode
from cleancut.imaging.tiff_layers import encode_layered_tiff


def scene(kind: type = np.uint8) -> tuple[NDArray, NDArray, NDArray]:
    """Colours, a matte with soft columns, and the picture as it was."""
    rng = np.random.default_rng(3)
    top = np.iinfo(kind).max
    rgb = rng.integers(0, top, (37, 53, 3), dtype=kind)
    alpha = np.tile(np.linspace(0, 1, 53, dtype=np.float32), (37, 1))
    return rgb, alpha, (top - rgb).astype(kind)


def blocks(data: bytes) -> dict[bytes, bytes]:
    """The parts of tag 37724 by their keys, read by Adobe's rule."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        assert file.byteorder == ">"
        tag = file.pages[0].tags[37724]  # type: ignore[union-attr]
        assert int(tag.dtype) == 7
        value = bytes(tag.value)
    head = b"Adobe Photoshop Document Data Block\0"
    assert value.startswith(head)
    at, found = len(head), {}
    while at < len(value):
        mark, key, size = struct.unpack(">4s4sI", value[at : at + 12])
        assert mark == b"8BIM"
        found[key] = value[at + 12 : at + 12 + size]
        at += 12 + size + -size % 4
    assert at == len(value)
    return found


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_layers_are_what_a_psd_has(kind: type) -> None:
    rgb, alpha, original = scene(kind)
    found = blocks(encode_layered_tiff(rgb, alpha, original=original))
    key = b"Layr" if kind == np.uint8 else b"Lr16"
    assert set(found) == {key, b"LMsk"}
    info = LayerInfoBlock.read(io.BytesIO(found[key]))
    assert [record.name for record in info.layer_records] == ["Original", "Subject"]
    assert [record.flags.visible for record in info.layer_records] == [False, True]
    bits = 8 * np.dtype(kind).itemsize
    below, subject = (
        [
            np.frombuffer(channel.get_data(53, 37, bits), f">u{bits // 8}").reshape(37, 53)
            for channel in channels
        ]
        for channels in info.channel_image_data
    )
    assert np.array_equal(np.dstack(below[1:4]), original)
    assert np.array_equal(subject[4], np.rint(alpha * np.iinfo(kind).max).astype(kind))
    shown = alpha > 0
    assert np.array_equal(np.dstack(subject[1:4])[shown], rgb[shown])


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_readers_without_layers_see_the_cutout_and_pages(kind: type) -> None:
    rgb, alpha, original = scene(kind)
    data = encode_layered_tiff(rgb, alpha, original=original, dpi=(300, 300))
    flat = decode(data, max_megapixels=1)
    assert np.array_equal(flat.rgb, rgb)
    assert flat.alpha is not None
    assert np.abs(flat.alpha - alpha).max() < 0.003
    assert flat.dpi == (300, 300)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        names = [page.tags["PageName"].value for page in file.pages]  # type: ignore[union-attr]
        assert names == ["Cutout", "Original", "Mask"]
        assert np.array_equal(file.pages[1].asarray(), original)
        assert file.pages[2].asarray().shape == (37, 53)
    if kind == np.uint8:
        with Image.open(io.BytesIO(data)) as image:
            assert (image.mode, image.n_frames) == ("RGBA", 3)  # type: ignore[attr-defined]


def test_the_option_makes_them_of_any_cutout() -> None:
    picture = np.zeros((80, 120, 3), np.uint8)
    picture[20:60, 30:90] = 250
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif.get_ifd(0x8769)[0x9286] = "a comment"
    source = io.BytesIO()
    Image.fromarray(picture).save(source, "JPEG", exif=exif, quality=95)
    options = Options(model="echo", layers=True, crop=True, background="#0080ff")
    assert options.format == "tiff"
    made = Engine(options).encoded(source.getvalue())
    names = [record.name for record in LayerInfoBlock.read(
        io.BytesIO(blocks(made.data)[b"Layr"])
    ).layer_records]  # fmt: skip
    assert names == ["Background", "Original", "Subject"]
    with Image.open(io.BytesIO(made.data)) as image:
        assert image.mode == "RGB"
        assert image.size == made.result.alpha.shape[::-1]  # type: ignore[union-attr]
        assert image.getexif()[0x010F] == "Maker"
        assert image.getexif().get_ifd(0x8769)[0x9286] == "a comment"
    plain = Engine(options).encoded(source.getvalue(), layers=False)
    assert len(plain.data) < len(made.data) / 2


def test_what_cannot_have_layers_is_refused() -> None:
    for wrong in ({"format": "png"}, {"only_mask": True}, {"format": "psd"}):
        with pytest.raises(BadOption, match="contradict"):
            Options(layers=True, **wrong)
    rgb, alpha, original = scene()
    with pytest.raises(BadArray):
        encode_layered_tiff(rgb, alpha, original=original[:9])
