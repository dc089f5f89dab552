"""The fields of an EXIF block's first directory (TIFF 6.0, section 2; EXIF 2.32), without numpy."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

ORIENTATION = 0x0112
#: Kinds of values: a whole number of 16 bits, a fraction of two of 32.
SHORT, RATIONAL = 3, 5


@dataclass(frozen=True, slots=True)
class Field:
    """One field; its value, or where that lies, stands in the four bytes from ``at``.

    ``order`` is the byte order as ``struct`` writes it.
    """

    tag: int
    kind: int
    count: int
    at: int
    order: str


def is_exif(block: bytes) -> bool:
    """Whether ``block`` begins as a TIFF header does."""
    return block[:4] in (b"II*\0", b"MM\0*")


def fields(block: bytes) -> Iterator[Field]:
    """The fields of ``block``, which ``is_exif``; raises ``struct.error`` where it is cut off."""
    order = "<" if block[:2] == b"II" else ">"
    (directory,) = struct.unpack_from(order + "I", block, 4)
    (entries,) = struct.unpack_from(order + "H", block, directory)
    for entry in range(entries):
        at = directory + 2 + 12 * entry
        tag, kind, count = struct.unpack_from(order + "HHI", block, at)
        yield Field(tag, kind, count, at + 8, order)


def orientation_in(block: bytes) -> tuple[int, Field] | None:
    """The orientation that ``block`` states, as it stands there, and its field; None without one.

    Raises ``struct.error`` where the block is cut off.
    """
    for field in fields(block):
        if field.tag == ORIENTATION and field.kind == SHORT and field.count == 1:
            (value,) = struct.unpack_from(field.order + "H", block, field.at)
            return value, field
    return None
