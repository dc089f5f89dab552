from __future__ import annotations

import struct

import pytest

from cleancut.cache import entry as module
from cleancut.cache.entry import Damaged, Entry, pack, unpack
from tests.cache.conftest import key_of

KEY = key_of(1)


def _packed(header: bytes, data: bytes = b"x") -> bytes:
    """Bytes with a right digest over any header."""
    digest = module._digest(KEY, header, data)
    return struct.pack(">8s32sI", module.MAGIC, digest, len(header)) + header + data


def test_what_was_packed_comes_back(entry: Entry) -> None:
    assert unpack(KEY, pack(KEY, entry)) == entry
    empty = Entry(b"", "webp", {})
    assert unpack(KEY, pack(KEY, empty)) == empty


def test_every_changed_byte_is_noticed() -> None:
    blob = pack(KEY, Entry(b"data", "png", {"a": 1}))
    for place in range(len(blob)):
        for bit in (1, 0x80):
            changed = bytearray(blob)
            changed[place] ^= bit
            with pytest.raises(Damaged):
                unpack(KEY, bytes(changed))


def test_every_cut_and_every_addition_is_noticed() -> None:
    blob = pack(KEY, Entry(b"data", "png", {"a": 1}))
    for length in range(len(blob)):
        with pytest.raises(Damaged):
            unpack(KEY, blob[:length])
    with pytest.raises(Damaged):
        unpack(KEY, blob + b"\0")


def test_an_entry_does_not_answer_for_another_key(entry: Entry) -> None:
    with pytest.raises(Damaged, match="digest"):
        unpack(key_of(2), pack(KEY, entry))


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b'{"format":"exe","facts":{}}',
        b'{"format":"png","facts":[]}',
        b'{"format":["png"],"facts":{}}',
        b"[" * 100_000,
    ],
)
def test_a_header_that_makes_no_sense_is_damage(header: bytes) -> None:
    with pytest.raises(Damaged, match="header"):
        unpack(KEY, _packed(header))
