from __future__ import annotations

import struct

import pytest

from cleancut.imaging.exif import ORIENTATION, SHORT, fields, is_exif, orientation_in


def _block(order: str, *entries: tuple[int, int, int, int]) -> bytes:
    head = b"II*\0" if order == "<" else b"MM\0*"
    rows = [
        struct.pack(order + "HHI", tag, kind, count) + struct.pack(order + "HH", value, 0)
        for tag, kind, count, value in entries
    ]
    return head + struct.pack(order + "IH", 8, len(entries)) + b"".join(rows)


@pytest.mark.parametrize("order", ["<", ">"])
def test_an_orientation_is_read_in_either_byte_order(order: str) -> None:
    block = _block(order, (0x010F, 2, 4, 65), (ORIENTATION, SHORT, 1, 6))
    assert is_exif(block)
    assert [(field.tag, field.at) for field in fields(block)] == [(0x010F, 18), (ORIENTATION, 30)]
    found = orientation_in(block)
    assert found is not None
    assert (found[0], found[1].at, found[1].order) == (6, 30, order)


@pytest.mark.parametrize("entry", [(ORIENTATION, 4, 1, 6), (ORIENTATION, SHORT, 2, 6)])
def test_an_orientation_of_another_kind_is_none(entry: tuple[int, int, int, int]) -> None:
    assert orientation_in(_block("<", entry)) is None


def test_a_block_that_is_cut_off_raises() -> None:
    block = _block("<", (0x010F, 2, 4, 65), (ORIENTATION, SHORT, 1, 6))
    with pytest.raises(struct.error):
        orientation_in(block[:-6])
    assert not is_exif(b"RIFF")
