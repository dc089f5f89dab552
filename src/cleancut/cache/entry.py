"""One kept result as bytes that prove themselves, and what a cache is to everyone else.

::

    8 bytes   MAGIC
    32        sha256 over the key and everything that follows
    4         length of the header, big-endian
    ...       header: JSON with format and facts
    ...       the file's bytes
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, get_args

from cleancut.option_choices import Format

if TYPE_CHECKING:
    #: Takes one line about trouble that costs saved time and no picture.
    Tell: TypeAlias = Callable[[str], None]

#: The last byte is the version of the layout.
MAGIC = b"ccresul\x01"
_HEAD = struct.Struct(">8s32sI")
_HEADER_LIMIT = 1 << 20  # bytes; real ones have about 500


class Damaged(ValueError):
    """Bytes that are no entry, an entry cut short, changed, or that of another key."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A cutout as a cache keeps it: file bytes, their format, and the facts about them.

    ``facts`` are plain JSON values.
    """

    data: bytes
    format: Format
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Contents:
    """What a cache holds.

    ``bytes`` and ``max_bytes`` are sizes on disk or in the server's memory, None where unknown or
    without limit; ``hits`` and ``misses`` are counted since the cache was made or cleared.
    """

    place: str
    entries: int
    bytes: int | None
    max_bytes: int | None
    hits: int
    misses: int


@dataclass(frozen=True, slots=True)
class Verified:
    """``sound`` entries were read and are what was kept; ``damaged`` ones have been dropped."""

    sound: int
    damaged: int


class Cache(Protocol):
    """Keeps entries by key. ``get`` and ``put`` never raise; all methods are thread-safe."""

    def get(self, key: str, tell: Tell) -> Entry | None:
        """The entry of ``key``, proved whole; None if there is none."""
        ...

    def put(self, key: str, entry: Entry, tell: Tell) -> None:
        """Keep ``entry``, whole or not at all."""
        ...

    def contents(self) -> Contents:
        """What is kept; raises ``CacheUnavailable``."""
        ...

    def clear(self) -> int:
        """Drop everything; how many entries there were. Raises ``CacheUnavailable``."""
        ...

    def verify(self) -> Verified:
        """Read every entry and drop damaged ones; raises ``CacheUnavailable``."""
        ...

    def close(self) -> None:
        """Let go of files and connections; the next call opens them again."""
        ...


def pack(key: str, entry: Entry) -> bytes:
    """``entry`` as bytes, bound to ``key``."""
    header = json.dumps(
        {"format": entry.format, "facts": entry.facts}, separators=(",", ":")
    ).encode()
    digest = _digest(key, header, entry.data)
    return b"".join((_HEAD.pack(MAGIC, digest, len(header)), header, entry.data))


def unpack(key: str, blob: bytes) -> Entry:
    """The entry that ``pack`` made for ``key``; raises ``Damaged``."""
    if len(blob) < _HEAD.size:
        raise Damaged("it is cut short")
    magic, digest, length = _HEAD.unpack_from(blob)
    if magic != MAGIC or length > _HEADER_LIMIT:
        raise Damaged("it is not an entry of this version")
    view = memoryview(blob)
    header, data = view[_HEAD.size : _HEAD.size + length], view[_HEAD.size + length :]
    if _digest(key, header, data) != digest:
        raise Damaged("its digest is wrong")
    try:
        told = json.loads(bytes(header))
        format_, facts = told["format"], told["facts"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Damaged("its header is not understood") from error
    if format_ not in get_args(Format) or not isinstance(facts, dict):
        raise Damaged("its header is not understood")
    return Entry(bytes(data), format_, facts)


def _digest(key: str, header: bytes | memoryview, data: bytes | memoryview) -> bytes:
    # Lengths are in it, so that no byte can move from one part to the next.
    hasher = hashlib.sha256(f"{key}:{len(header)}:{len(data)}:".encode())
    hasher.update(header)
    hasher.update(data)
    return hasher.digest()
