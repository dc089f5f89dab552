"""JPEG: markers read here (ITU-T T.81), pixels decoded by libjpeg."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cleancut.errors import UnreadableImage, UnsupportedFormat
from cleancut.imaging.metadata import MAX_ICC_BYTES, Header, check_size, per_inch, upright_exif

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_LOSSLESS = frozenset({0xC3, 0xC7, 0xCB, 0xCF})
_HUFFMAN = frozenset({0xC0, 0xC1, 0xC2})

#: Encoders write some ten. Each scan, however few its bytes, is a walk over the whole picture.
MAX_SCANS = 500

TRUNCATED = "the file is truncated: part of the picture is missing"
TRUNCATED_HINT = "copy or download it again"


@dataclass(slots=True)
class _Found:
    """What the segments said so far."""

    frame: tuple[int, int, int, int, int] | None = None  # marker, bits, height, width, channels
    frames: int = 0
    scans: int = 0
    coded_bytes: int = 0
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None
    icc: dict[int, bytes] | None = None
    icc_parts: int = 0
    complete: bool = False


def read_header(data: bytes, max_megapixels: float) -> Header:
    """Header of the first picture in ``data``; of a multi-picture file (MPO) the main one.

    Raises ``UnreadableImage`` if its end marker is missing, which is so for every file that was
    cut off, also if zeros follow, if there is far too little data for its size, or too many scans;
    ``ImageTooLarge``; ``UnsupportedFormat`` for lossless or 12-bit JPEG.
    """
    found = _walk(data)
    if found.frame is None or not found.complete:
        raise UnreadableImage(TRUNCATED, hint=TRUNCATED_HINT)
    if found.frames > 1:  # decoders differ on which one counts, so the limit would check another
        raise UnreadableImage("the JPEG is damaged: it gives two sizes", hint=TRUNCATED_HINT)
    marker, bits, height, width, channels = found.frame
    check_size(width, height, max_megapixels)
    # A Huffman code has at least one bit, and every block of 8 x 8 has at least one code; half of
    # that, because subsampled channels may share the blocks in odd ways.
    if marker in _HUFFMAN and 16 * found.coded_bytes < -(-width // 8) * -(-height // 8):
        raise UnreadableImage(TRUNCATED, hint=TRUNCATED_HINT)
    if marker in _LOSSLESS or bits != 8 or channels not in (1, 3, 4):
        raise UnsupportedFormat(
            f"this kind of JPEG cannot be read ({bits} bits, {channels} channels)",
            hint="save it as ordinary 8-bit JPEG or as PNG",
        )
    exif, orientation = upright_exif(found.exif)
    return Header(
        "jpeg",
        width,
        height,
        bits,
        channels,
        orientation,
        icc=_join_icc(found),
        exif=exif,
        dpi=found.dpi,
    )


def _walk(data: bytes) -> _Found:
    found = _Found()
    markers: NDArray[np.intp] | None = None
    at = 2
    while at + 4 <= len(data) or data[at : at + 2] == b"\xff\xd9":
        if data[at] != 0xFF:
            at = data.find(b"\xff", at)  # garbage between segments is skipped, as libjpeg does
            if at < 0:
                break
            continue
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker == 0xD9:
            found.complete = found.frame is not None
            break
        elif marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8:
            at += 2
        else:
            (length,) = struct.unpack_from(">H", data, at + 2)
            _segment(found, marker, data[at + 4 : at + 2 + length])
            at += 2 + max(length, 2)
            if marker == 0xDA:
                found.scans += 1
                if found.scans > MAX_SCANS:
                    raise UnreadableImage(
                        f"the JPEG has more than {MAX_SCANS} scans", hint="save it again"
                    )
                if markers is None:
                    markers = _markers(data)
                following = int(np.searchsorted(markers, at))
                if following == len(markers):
                    break
                found.coded_bytes += int(markers[following]) - at
                at = int(markers[following])
    return found


def _markers(data: bytes) -> NDArray[np.intp]:
    """Offsets of all markers that can end entropy-coded data: no stuffing, no restart."""
    raw = np.frombuffer(data, np.uint8)
    at = np.flatnonzero(raw[:-1] == 0xFF)
    code = raw[at + 1]
    ends: NDArray[np.intp] = at[(code != 0x00) & (code != 0xFF) & ((code < 0xD0) | (code > 0xD7))]
    return ends


def _segment(found: _Found, marker: int, body: bytes) -> None:
    if marker in _FRAMES and len(body) >= 6:
        bits, height, width, channels = struct.unpack_from(">BHHB", body)
        found.frame = found.frame or (marker, bits, height, width, channels)
        found.frames += 1
    elif marker == 0xE0 and body.startswith(b"JFIF\0") and len(body) >= 12:
        unit, x, y = struct.unpack_from(">BHH", body, 7)
        found.dpi = per_inch(x, y, unit={1: "inch", 2: "cm"}.get(unit, ""))
    elif marker == 0xE1 and body.startswith(b"Exif\0\0") and found.exif is None:
        found.exif = body
    elif marker == 0xE2 and body.startswith(b"ICC_PROFILE\0") and len(body) > 14:
        found.icc = found.icc or {}
        found.icc_parts = body[13]
        found.icc.setdefault(body[12], body[14:])


def _join_icc(found: _Found) -> bytes | None:
    """Profile from its numbered parts (ICC.1 annex B.4); None if one is missing."""
    if not found.icc or sorted(found.icc) != list(range(1, found.icc_parts + 1)):
        return None
    icc = b"".join(found.icc[part] for part in sorted(found.icc))
    return icc if len(icc) <= MAX_ICC_BYTES else None


def decode_rgb(data: bytes, header: Header) -> NDArray[np.uint8]:
    """Stored pixels of a grey or colour JPEG, (H, W, 3), not yet upright.

    OpenCV takes half the time and a third of the memory of Pillow. It fills what is missing, so
    only files whose end marker was found may come here. Bits damaged in the middle pass, as in
    every viewer: neither OpenCV nor Pillow hands on libjpeg's count of warnings, and a second
    decoder only to ask for it would double the time of every sound picture. libjpeg then writes a
    line of its own to stderr; turning file descriptor 2 away would take other threads' lines too.
    """
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    rgb = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if rgb is None or rgb.shape != (header.height, header.width, 3):
        raise UnreadableImage(
            "the JPEG is damaged: its pixels cannot be decoded", hint=TRUNCATED_HINT
        )
    return rgb  # type: ignore[return-value]
