"""A look at a picture file's header: how large it is upright, without decoding or numpy.

Only what web clients send is read (JPEG, PNG, WebP); of anything else the size is not known here,
and the working process finds out. Nothing is believed that matters for safety: limits are checked
again where the picture is decoded.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import IO

from cleancut.imaging.exif import is_exif, orientation_in
from cleancut.imaging.sniff import webp_size

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
#: A file with more segments or chunks before its size is an oddity or an attack.
_MAX_STEPS = 2000
#: The orientation stands near the start of EXIF.
_MAX_EXIF = 64 * 1024
_TURNED = (5, 6, 7, 8)

Size = tuple[int, int]


def size_of(path: Path) -> Size | None:
    """(width, height) of the upright picture at ``path``; None where its header does not say.

    Blocks for the disk. A file that cannot be read is None too: cutting says what is wrong.
    """
    try:
        with path.open("rb") as file:
            head = file.read(16)
            if head.startswith(b"\xff\xd8"):
                size, exif = _jpeg(file)
            elif head.startswith(b"\x89PNG\r\n\x1a\n"):
                size, exif = _png(file)
            elif head[:4] == b"RIFF" and head[8:12] == b"WEBP":
                size, exif = _webp(file)
            else:
                return None
    except (OSError, struct.error):
        return None
    if size is None or 0 in size:
        return None
    return (size[1], size[0]) if _orientation(exif) in _TURNED else size


def _jpeg(file: IO[bytes]) -> tuple[Size | None, bytes]:
    """Size and EXIF by the segments up to the frame header (ITU-T T.81, B.2.2)."""
    size, exif, at = None, b"", 2
    for _ in range(_MAX_STEPS):
        file.seek(at)
        head = file.read(9)
        if len(head) < 4 or head[0] != 0xFF:
            break
        marker = head[1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            at += 2
            continue
        if marker in (0xD9, 0xDA):
            break
        (length,) = struct.unpack_from(">H", head, 2)
        if marker in _FRAMES and size is None:
            height, width = struct.unpack_from(">HH", head, 5)
            size = width, height
        elif marker == 0xE1 and not exif:
            file.seek(at + 4)
            body = file.read(min(max(length - 2, 0), _MAX_EXIF))
            exif = body[6:] if body.startswith(b"Exif\0\0") else b""
        at += 2 + max(length, 2)
    return size, exif


def _png(file: IO[bytes]) -> tuple[Size | None, bytes]:
    """Size and EXIF of a PNG; its eXIf chunk may stand behind the pixels."""
    size, at = None, 8
    for _ in range(_MAX_STEPS):
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            break
        (length,), name = struct.unpack_from(">I", head), head[4:8]
        if name == b"IHDR" and len(head) == 16:
            width, height = struct.unpack_from(">II", head, 8)
            size = width, height
        elif name == b"eXIf":
            file.seek(at + 8)
            return size, file.read(min(length, _MAX_EXIF)).removeprefix(b"Exif\0\0")
        elif name == b"IEND":
            break
        at += 12 + length
    return size, b""


def _webp(file: IO[bytes]) -> tuple[Size | None, bytes]:
    """Size and EXIF by the chunks of a WebP (RFC 9649)."""
    size: Size | None = None
    at = 12
    for _ in range(_MAX_STEPS):
        file.seek(at)
        head = file.read(18)
        if len(head) < 8:
            break
        name, body, (length,) = head[:4], head[8:], struct.unpack_from("<I", head, 4)
        if size is None:
            size = webp_size(name, body)
        if name == b"EXIF":
            file.seek(at + 8)
            return size, file.read(min(length, _MAX_EXIF)).removeprefix(b"Exif\0\0")
        at += 8 + length + (length & 1)
    return size, b""


def _orientation(exif: bytes) -> int:
    """Tag 0x0112 of an EXIF block (EXIF 2.32), 1 where there is none."""
    if not is_exif(exif):
        return 1
    try:
        found = orientation_in(exif)
    except struct.error:
        return 1
    return found[0] if found else 1
