"""Which shared libraries a Linux library needs and cannot get, found without loading it.

Loading a provider of ONNX Runtime outside of ONNX Runtime runs its initialisers too early and
breaks it for the rest of the process; its list of needs can be read from the file. Format:
System V ABI, chapters 4 and 5 (program header, dynamic section), 64 bit little endian.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from pathlib import Path

_LOAD, _DYNAMIC = 1, 2
_NEEDED, _STRTAB = 1, 5


def missing_libraries(path: Path) -> list[str]:
    """Names of the direct needs of ``path`` that the loader does not find; empty if unreadable."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            names = _needed(data)
    except (OSError, ValueError, struct.error, OverflowError):
        return []
    return [name for name in names if not (path.parent / name).exists() and not loads(name)]


def _needed(data: mmap.mmap) -> list[str]:
    if data[:6] != b"\x7fELF\x02\x01":
        raise ValueError("not a 64-bit little-endian ELF file")
    (table,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    headers = [struct.unpack_from("<IIQQQQ", data, table + index * size) for index in range(count)]
    dynamic: list[tuple[int, int]] = []
    for kind, _, offset, _, _, length in headers:
        if kind == _DYNAMIC:
            entries = range(offset, offset + length, 16)
            dynamic = [struct.unpack_from("<QQ", data, at) for at in entries]
    address = next((value for tag, value in dynamic if tag == _STRTAB), 0)
    (strings,) = (
        address - start + offset
        for kind, _, offset, start, _, length in headers
        if kind == _LOAD and start <= address < start + length
    )
    at = [strings + value for tag, value in dynamic if tag == _NEEDED]
    return [data[start : data.find(b"\0", start)].decode() for start in at]


def loads(name: str) -> bool:
    """True if the loader finds the library called ``name``, or has it loaded."""
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True
