"""PNG and WebP: the chunks of the container, read within limits; pixels decoded by OpenCV.

The decoders see nothing but pixel data, so a text bomb or a broken profile never reaches them.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from cleancut.errors import UnreadableImage
from cleancut.imaging.jpeg import TRUNCATED, TRUNCATED_HINT
from cleancut.imaging.metadata import (
    MAX_EXIF_BYTES,
    MAX_ICC_BYTES,
    Header,
    per_inch,
    upright_exif,
)
from cleancut.imaging.picture import FIRST_FRAME, ICC_IGNORED
from cleancut.imaging.sniff import webp_size

_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")


@dataclass(frozen=True, slots=True)
class Png:
    """A PNG taken apart: its header, the colour type, and the chunks that make pixels."""

    header: Header
    colour_type: int
    transparency: bytes | None
    chunks: tuple[tuple[bytes, memoryview], ...]

    @property
    def is_direct(self) -> bool:
        """Whether samples are stored as they are: no palette, 8 or 16 bits."""
        return self.colour_type != 3 and self.header.bits >= 8

    def stripped(self, *, keep_transparency: bool) -> bytes:
        """The same picture as a PNG without ancillary chunks."""
        parts: list[bytes | memoryview] = [b"\x89PNG\r\n\x1a\n"]
        for name, chunk in self.chunks:
            if keep_transparency or name != b"tRNS":
                parts.append(chunk)
        parts.append(b"\0\0\0\0IEND\xaeB`\x82")
        return b"".join(parts)


def read_png(data: bytes) -> Png:
    """Take a PNG apart; ``UnreadableImage`` if it ends early or a pixel chunk's CRC is wrong."""
    kept: list[tuple[bytes, memoryview]] = []
    extra: dict[bytes, bytes] = {}
    for name, chunk in _png_chunks(data):
        if name in _PIXEL_CHUNKS:
            if isal_zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], "big"):
                raise UnreadableImage(
                    f"the PNG is damaged: checksum of its {name.decode()} chunk is wrong",
                    hint=TRUNCATED_HINT,
                )
            kept.append((name, chunk))
        elif name in (b"iCCP", b"eXIf", b"pHYs", b"acTL") and len(chunk) - 12 <= MAX_ICC_BYTES:
            extra.setdefault(name, bytes(chunk[8:-4]))
    if not kept or kept[0][0] != b"IHDR" or len(kept[0][1]) != 25:
        raise UnreadableImage("the PNG is damaged: it has no header", hint=TRUNCATED_HINT)
    if sum(name == b"IHDR" for name, _ in kept) > 1:  # Pillow would believe the last one
        raise UnreadableImage("the PNG is damaged: it has two headers", hint=TRUNCATED_HINT)
    width, height, bits, colour = struct.unpack_from(">IIBB", kept[0][1], 8)
    if colour not in _PNG_CHANNELS or bits not in (1, 2, 4, 8, 16):
        raise UnreadableImage("the PNG is damaged: impossible header", hint=TRUNCATED_HINT)
    header = Header("png", width, height, bits, _PNG_CHANNELS[colour])
    transparency = next((bytes(chunk[8:-4]) for name, chunk in kept if name == b"tRNS"), None)
    return Png(_with_extra(header, extra), colour, transparency, tuple(kept))


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    view = memoryview(data)
    at = 8
    while at + 12 <= len(data):
        length = int.from_bytes(view[at : at + 4], "big")
        name = bytes(view[at + 4 : at + 8])
        if at + 12 + length > len(data):
            break
        if name == b"IEND":
            return
        yield name, view[at : at + 12 + length]
        at += 12 + length
    raise UnreadableImage(TRUNCATED, hint=TRUNCATED_HINT)


def _with_extra(header: Header, extra: dict[bytes, bytes]) -> Header:
    exif, orientation = upright_exif(extra.get(b"eXIf"))
    dpi = None
    if len(physical := extra.get(b"pHYs", b"")) == 9 and physical[8] == 1:
        dpi = per_inch(*struct.unpack_from(">II", physical), unit="metre")
    notes: tuple[str, ...] = ()
    if len(frames := extra.get(b"acTL", b"")) == 8 and frames[:4] > b"\0\0\0\1":
        notes = (FIRST_FRAME,)
    icc, broken = _inflate_icc(extra.get(b"iCCP"))
    if broken:
        notes += (ICC_IGNORED,)
    return replace(header, orientation=orientation, exif=exif, dpi=dpi, icc=icc, notes=notes)


def _inflate_icc(body: bytes | None) -> tuple[bytes | None, bool]:
    """Profile in an iCCP chunk (name, NUL, method, zlib stream), inflated within a limit."""
    if body is None:
        return None, False
    inflater = zlib.decompressobj()
    try:
        icc = inflater.decompress(body[body.index(b"\0") + 2 :], MAX_ICC_BYTES)
    except (ValueError, zlib.error):
        return None, True
    return (icc, False) if inflater.eof else (None, True)


def decode_png(png: Png) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Stored samples of a direct PNG: (H, W), (H, W, 3) BGR or (H, W, 4) BGRA."""
    return _imdecode(png.stripped(keep_transparency=False), png.header)


def read_webp(data: bytes) -> tuple[Header, bool]:
    """Header of a WebP (RFC 9649) and whether it is an animation."""
    if len(data) < int.from_bytes(data[4:8], "little") + 8 or len(data) < 30:
        raise UnreadableImage(TRUNCATED, hint=TRUNCATED_HINT)
    size = (0, 0)
    frames = 0
    extra: dict[bytes, bytes] = {}
    at = 12
    while at + 8 <= len(data):
        name, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        body = data[at + 8 : at + 8 + min(length, MAX_ICC_BYTES)]
        if size == (0, 0):
            size = webp_size(name, body) or (0, 0)
        if name == b"ANMF":
            frames += 1
        elif name == b"ICCP" and length <= MAX_ICC_BYTES:
            extra.setdefault(b"ICCP", body)
        elif name == b"EXIF" and length <= MAX_EXIF_BYTES:
            extra.setdefault(b"EXIF", body)
        at += 8 + length + (length & 1)
    exif, orientation = upright_exif(extra.get(b"EXIF"))
    notes = (FIRST_FRAME,) if frames > 1 else ()
    header = Header(
        "webp",
        *size,
        orientation=orientation,
        exif=exif,
        icc=extra.get(b"ICCP"),
        notes=notes,
    )
    return header, frames > 0


def decode_webp(data: bytes, header: Header) -> NDArray[np.uint8]:
    """Pixels of a still WebP: (H, W, 3) BGR or (H, W, 4) BGRA."""
    return _imdecode(data, header)  # type: ignore[return-value]


def _imdecode(data: bytes, header: Header) -> NDArray[np.uint8] | NDArray[np.uint16]:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.shape[:2] != (header.height, header.width):
        raise UnreadableImage(
            f"the {header.format.upper()} is damaged: its pixels cannot be decoded",
            hint=TRUNCATED_HINT,
        )
    return pixels  # type: ignore[return-value]
