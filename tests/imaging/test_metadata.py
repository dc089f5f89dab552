from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from cleancut.errors import ImageTooLarge, UnreadableImage
from cleancut.imaging.metadata import check_size, exif_at, orient, per_inch, upright_exif


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_read_and_reset_and_nothing_else_changes(exif_block, orientation):
    block = exif_block(orientation)
    upright, found = upright_exif(b"Exif\0\0" + block)
    assert found == orientation
    assert upright == exif_block(1)
    assert sum(a != b for a, b in zip(block, upright, strict=True)) == (orientation != 1)


@pytest.mark.parametrize(("order", "magic"), [("<", b"II*\0"), (">", b"MM\0*")])
def test_exif_of_both_byte_orders_is_understood(order, magic):
    def block(value):
        entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, value, 0)
        return magic + struct.pack(order + "IH", 8, 1) + entry + bytes(4)

    assert upright_exif(block(6)) == (block(1), 6)


@pytest.mark.parametrize(
    "block",
    [
        None,
        b"",
        b"Exif\0\0",
        b"garbage that is no TIFF",
        b"II*\0\xff\xff\xff\x7f",
        b"II*\0\x08\0\0\0\xff\xff",
        b"II*\0",
    ],
)
def test_broken_exif_is_dropped(block):
    assert upright_exif(block) == (None, 1)


def test_an_impossible_orientation_counts_as_upright(exif_block):
    entry = b"\x01\x12\0\x03\0\0\0\x01\0"
    assert entry + b"\x01" in exif_block(1)
    assert upright_exif(exif_block(1).replace(entry + b"\x01", entry + b"\x63"))[1] == 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 3), (1, 4, 2), (4, 1, 4)])
def test_orient_agrees_with_exif(orientation, shape):
    pixels = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    expected = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a),
    }[orientation](pixels)
    upright = orient(pixels, orientation)
    assert upright.shape == expected.shape
    assert (upright == expected).all()


def test_orient_agrees_with_pillow():
    methods = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
    pixels = np.arange(15, dtype=np.uint8).reshape(3, 5)
    for orientation, method in methods.items():
        turned = np.asarray(Image.fromarray(pixels).transpose(Image.Transpose(method)))
        assert (orient(pixels, orientation) == turned).all(), orientation


def test_size_limits():
    check_size(10_000, 12_000, 120)
    with pytest.raises(ImageTooLarge) as caught:
        check_size(10_000, 12_001, 120)
    assert "--max-megapixels" in caught.value.hint
    with pytest.raises(UnreadableImage):
        check_size(0, 5, 120)


def test_resolutions():
    assert per_inch(11811, 11811, unit="metre") == (300.0, 300.0)
    assert per_inch(72, 144, unit="inch") == (72.0, 144.0)
    assert per_inch(100, 100, unit="cm") == (254.0, 254.0)
    assert per_inch(0, 72, unit="inch") is None
    assert per_inch(1, 1, unit="") is None


@pytest.mark.parametrize(("order", "magic"), [("<", b"II*\0"), (">", b"MM\0*")])
def test_a_stated_resolution_is_replaced_and_nothing_else(order, magic):
    def block(dpi, unit):
        rows = [(0x010F, 2, 4, b"me\0\0"), (0x011A, 5, 1, struct.pack(order + "I", 62))]
        rows += [(0x011B, 5, 1, struct.pack(order + "I", 70))]
        rows += [(0x0128, 3, 1, struct.pack(order + "HH", unit, 0))]
        told = b"".join(struct.pack(order + "HHI", *row[:3]) + row[3] for row in rows)
        head = magic + struct.pack(order + "IH", 8, len(rows)) + told + bytes(4)
        return head + struct.pack(order + "IIII", *dpi, *dpi)

    assert len(block((72, 1), 3)) == 78
    assert exif_at(block((72, 1), 3), 300) == block((30000, 100), 2)


@pytest.mark.parametrize("block", [None, b"", b"II*\0", b"II*\0\xff\xff\xff\x7f", b"no TIFF"])
def test_broken_exif_has_no_resolution_to_replace(block):
    assert exif_at(block, 300) == block


def test_a_resolution_that_would_lie_in_the_header_is_left_alone():
    entry = struct.pack("<HHII", 0x011A, 5, 1, 0)
    block = b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)
    assert exif_at(block, 300) == block
