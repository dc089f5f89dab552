from __future__ import annotations

import io
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cleancut import Engine, Options
from cleancut.errors import BadArray, BadOption, MissingDependency, UnsupportedFormat
from cleancut.imaging.encode import encode, encode_mask
from cleancut.imaging.psd import Layer, encode_psd, read_merged, write_psd

psd_tools = pytest.importorskip("psd_tools")

EXIF = b"II*\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00"


def opened(data: bytes) -> Any:
    return psd_tools.PSDImage.open(io.BytesIO(data))


@pytest.fixture
def ramp() -> NDArray[np.float32]:
    return np.tile(np.clip(np.linspace(-0.2, 1.2, 70, dtype=np.float32), 0, 1), (50, 1))


def colours(seed: int, dtype: type = np.uint8) -> NDArray[Any]:
    full = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(0, full, (50, 70, 3), dtype, endpoint=True)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_layers_come_back_as_they_were(ramp: NDArray[np.float32], dtype: type) -> None:
    subject, original, behind = (colours(seed, dtype) for seed in range(3))
    found = opened(encode_psd(subject, ramp, original=original, background=behind))
    full = np.iinfo(dtype).max
    assert found.depth == 8 * np.dtype(dtype).itemsize
    told = [(layer.name, layer.visible, layer.has_mask()) for layer in found]
    assert told == [
        ("Background", True, False),
        ("Original", False, False),
        ("Subject", True, True),
    ]
    for layer, pixels in zip(found, (behind, original), strict=False):
        assert np.array_equal(np.rint(layer.numpy("color") * full), pixels)
    top = found[2]
    mask = np.rint(top.numpy("mask")[..., 0] * full)
    assert np.abs(mask - ramp * full).max() <= 0.5
    shown = np.where((ramp == 0)[..., None], original, subject)
    assert np.array_equal(np.rint(top.numpy("color") * full), shown)


def test_the_visible_layers_look_like_the_merged_picture(ramp: NDArray[np.float32]) -> None:
    subject, original, behind = (colours(seed) for seed in range(3))
    data = encode_psd(subject, ramp, original=original, background=behind)
    merged, alpha = read_merged(data)
    assert alpha is None
    expected = subject * ramp[..., None] + behind * (1 - ramp[..., None])
    assert np.abs(merged - expected).max() <= 0.5
    pillow = np.asarray(Image.open(io.BytesIO(data)))
    assert np.array_equal(pillow, merged)
    mask = opened(data)[2].numpy("mask")
    layers = [layer.numpy("color") for layer in opened(data)]
    seen = 255 * (layers[2] * mask + layers[0] * (1 - mask))
    assert np.abs(seen - merged).max() <= 1.5


def test_white_paint_on_the_mask_brings_the_picture_back(ramp: NDArray[np.float32]) -> None:
    subject, original = colours(0), colours(1)
    top = opened(encode_psd(subject, ramp, original=original))[-1]
    hidden = ramp == 0
    assert np.array_equal(np.rint(top.numpy("color") * 255)[hidden], original[hidden])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_transparent_cutout_is_merged_on_white(ramp: NDArray[np.float32], dtype: type) -> None:
    subject, full = colours(4, dtype), np.iinfo(dtype).max
    merged, alpha = read_merged(encode(subject, ramp, format="psd"))
    assert alpha is not None
    assert np.abs(alpha - ramp * full).max() <= 0.5
    expected = subject * ramp[..., None] + full * (1.0 - ramp[..., None])
    assert np.abs(merged - expected).max() <= 1
    assert merged.dtype == dtype


def test_profile_resolution_and_exif_are_kept() -> None:
    from psd_tools.constants import Resource

    found = opened(encode_psd(colours(1), icc=b"profile", exif=EXIF, dpi=(300, 150)))
    resources = found.image_resources
    assert resources.get_data(Resource.ICC_PROFILE) == b"profile"
    assert resources.get_data(Resource.EXIF_DATA_1) == EXIF
    size = resources.get_data(Resource.RESOLUTION_INFO)
    assert (size.horizontal / 65536, size.vertical / 65536) == (300, 150)


def test_floats_are_written_too(ramp: NDArray[np.float32]) -> None:
    subject = colours(1)
    as_floats = (subject / np.float32(255)).astype(np.float32)
    merged, _ = read_merged(encode(as_floats, ramp, format="psd"))
    again, _ = read_merged(encode(subject, ramp, format="psd"))
    assert np.abs(merged.astype(int) - again).max() <= 1


def test_one_pixel_is_a_document() -> None:
    merged, alpha = read_merged(encode_psd(np.full((1, 1, 3), 7, np.uint8)))
    assert merged.tolist() == [[[7, 7, 7]]]
    assert alpha is None


def test_layers_of_different_sizes_are_refused(ramp: NDArray[np.float32]) -> None:
    with pytest.raises(BadArray, match="differ in size"):
        encode_psd(colours(1), ramp[1:])
    with pytest.raises(BadArray, match="differ in size"):
        encode_psd(colours(1), ramp, original=colours(2)[:, 1:])


def test_a_picture_that_is_too_long_is_refused() -> None:
    long = np.zeros((1, 30_001, 3), np.uint8)
    with pytest.raises(BadOption, match="30000"):
        write_psd([Layer("Subject", long)], long)


def test_a_matte_alone_is_no_document(ramp: NDArray[np.float32]) -> None:
    with pytest.raises(BadOption, match="no psd"):
        encode_mask(ramp, format="psd")


def test_without_the_extra_the_hint_is_the_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "psd_tools"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psd_tools", None)
    with pytest.raises(MissingDependency) as caught:
        encode_psd(colours(1))
    assert caught.value.hint == "run: pip install 'cleancut[psd]'"
    with pytest.raises(MissingDependency):  # before the picture is even looked for
        Engine(Options(model="echo")).cutout("no-such-file.png", format="psd")


def test_a_document_is_not_read_as_a_picture() -> None:
    from cleancut.imaging.decode import decode

    with pytest.raises(UnsupportedFormat):
        decode(encode_psd(colours(1)), max_megapixels=1)
