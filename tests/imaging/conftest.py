"""ICC profiles and EXIF blocks made in code (ICC.1:2001-04, EXIF 2.32)."""

from __future__ import annotations

import struct

import pytest
from PIL import Image, ImageCms


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(_fixed(value) for value in values)


def _gamma(value: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256))


def _profile(space: bytes, pcs: bytes, kind: bytes, tags: dict[bytes, bytes]) -> bytes:
    text = b"made in a test\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78),
        b"cprt": b"text\0\0\0\0" + text,
        b"wtpt": _xyz(0.9642, 1.0, 0.8249),
        **tags,
    }
    table, body = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = bytearray(128)
    struct.pack_into(">I", head, 0, start + len(body))
    head[8:12] = b"\x02\x40\0\0"
    head[12:24] = kind + space + pcs
    head[36:40] = b"acsp"
    head[68:80] = _fixed(0.9642) + _fixed(1.0) + _fixed(0.8249)
    return bytes(head) + struct.pack(">I", len(tags)) + table + body


@pytest.fixture(scope="session")
def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def adobe_rgb() -> bytes:
    """Primaries of Adobe RGB (1998), adapted to D50, gamma 2.2."""
    curve = _gamma(2.19921875)
    tags = {
        b"rXYZ": _xyz(0.60974, 0.31111, 0.01947),
        b"gXYZ": _xyz(0.20528, 0.62567, 0.06087),
        b"bXYZ": _xyz(0.14919, 0.06322, 0.74457),
        b"rTRC": curve, b"gTRC": curve, b"bTRC": curve,
    }  # fmt: skip
    return _profile(b"RGB ", b"XYZ ", b"mntr", tags)


@pytest.fixture(scope="session")
def wide_profile() -> bytes:
    return adobe_rgb()


@pytest.fixture(scope="session")
def grey_profile() -> bytes:
    """Linear light, so that it differs much from sRGB."""
    return _profile(b"GRAY", b"XYZ ", b"mntr", {b"kTRC": _gamma(1.0)})


@pytest.fixture(scope="session")
def cmyk_profile() -> bytes:
    """A lookup table of 2^4 corners: no ink is white, cyan is a dull green, black is black."""
    corners = b""
    for corner in range(16):
        cyan, others = corner & 8, corner & 7
        if others:
            corners += bytes((0, 128, 128))
        else:
            corners += bytes((128, 88, 168)) if cyan else bytes((255, 128, 128))
    identity = bytes(range(256))
    table = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0))
    table += b"".join(_fixed(value) for value in (1, 0, 0, 0, 1, 0, 0, 0, 1))
    table += identity * 4 + corners + identity * 3
    return _profile(b"CMYK", b"Lab ", b"prtr", {b"A2B0": table})


@pytest.fixture(scope="session")
def exif_block():  # type: ignore[no-untyped-def]
    """Function orientation -> EXIF block (no prefix) with a make, a GPS and an EXIF directory."""

    def make(orientation: int = 1) -> bytes:
        exif = Image.Exif()
        exif[0x010F] = "Maker"
        exif[0x0112] = orientation
        exif.get_ifd(0x8769)[0x829D] = 2.8
        exif.get_ifd(0x8825)[1] = "N"
        return exif.tobytes().removeprefix(b"Exif\0\0")

    return make
