"""Picture files that lie, break off, or are none; made in code, the same ones in every run."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

FORMS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")
PNG = b"\x89PNG\r\n\x1a\n"


def photo(form: str, size: tuple[int, int] = (96, 72), **how: Any) -> bytes:
    """A disc on a gradient as a sound file."""
    y, x = np.mgrid[: size[1], : size[0]]
    disc = np.hypot(y - size[1] / 2, x - size[0] / 2) < min(size) / 3
    pixels = np.stack([x % 256, y % 256, disc * 255], axis=2).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, form, **how)
    return out.getvalue()


def chunk(kind: bytes, data: bytes, *, length: int | None = None, crc: int | None = None) -> bytes:
    """A chunk of PNG, whose length and checksum may lie."""
    told = zlib.crc32(kind + data) if crc is None else crc
    return (
        struct.pack(">I", len(data) if length is None else length)
        + kind
        + data
        + struct.pack(">I", told)
    )


def ihdr(width: int, height: int, depth: int = 8, color: int = 2, interlaced: int = 0) -> bytes:
    """The header chunk of a PNG."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced))


def png(*chunks: bytes) -> bytes:
    """A PNG of ``chunks`` and an end."""
    return PNG + b"".join(chunks) + chunk(b"IEND", b"")


def rows(width: int, height: int, channels: int = 3) -> bytes:
    """The chunk of black pixels."""
    return chunk(b"IDAT", zlib.compress((b"\0" + bytes(width * channels)) * height, 9))


def pngs() -> Iterator[tuple[str, bytes]]:
    """PNGs that lie."""
    body, bomb = rows(64, 64), zlib.compress(bytes(64 << 20), 9)
    yield "png of 2^31 squared", png(ihdr(2**31 - 1, 2**31 - 1), body)
    yield "png of 50000 squared", png(ihdr(50000, 50000), chunk(b"IDAT", bomb))
    yield "png that says 7000 squared and has a row", png(ihdr(7000, 7000), rows(7000, 1))
    yield "png of no size", png(ihdr(0, 0), body)
    yield "png one pixel wide", png(ihdr(1, 65535), rows(1, 65535))
    yield "png one pixel high", png(ihdr(65535, 1), rows(65535, 1))
    yield "png with too many pixels", png(ihdr(64, 8), body)
    yield "png with too few pixels", png(ihdr(64, 128), body)
    yield "png of depth 3", png(ihdr(64, 64, depth=3), body)
    yield "png of color 5", png(ihdr(64, 64, color=5), body)
    yield "png of color 3 without palette", png(ihdr(64, 64, color=3), rows(64, 64, 1))
    yield "png that says it is interlaced", png(ihdr(64, 64, interlaced=1), body)
    yield "png without pixels", png(ihdr(64, 64))
    yield "png of nothing", png()
    yield "png without header", png(body)
    yield "png with two headers", png(ihdr(64, 64), ihdr(9000, 9000), body)
    yield "png with wrong checksums", PNG + ihdr(64, 64)[:-1] + b"\0" + body
    yield "png with a chunk of 4 GiB", png(ihdr(64, 64), chunk(b"tEXt", b"a", length=2**32 - 1))
    yield "png with a chunk of 2 GiB", png(ihdr(64, 64), chunk(b"IDAT", b"a", length=2**31 - 1))
    texts = chunk(b"tEXt", b"Comment\0x") * 20_000
    yield "png with 20000 texts", png(ihdr(64, 64), texts, body)
    yield "png with 20000 empty pixels", png(ihdr(64, 64), chunk(b"IDAT", b"") * 20_000, body)
    for kind, head in ((b"zTXt", b"x\0\0"), (b"iCCP", b"x\0\0"), (b"iTXt", b"x\0\1\0\0\0")):
        yield f"png with a bomb in {kind!r}", png(ihdr(64, 64), chunk(kind, head + bomb), body)
    yield "png with a bomb of pixels", png(ihdr(64, 64), chunk(b"IDAT", bomb))
    yield "png with junk pixels", png(ihdr(64, 64), chunk(b"IDAT", b"junk" * 99))
    yield "png with huge EXIF", png(ihdr(64, 64), chunk(b"eXIf", b"II*\0" + bytes(4 << 20)), body)
    loop = b"II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\x08\0\0\0\x08\0\0\0"
    yield "png with EXIF that loops", png(ihdr(64, 64), chunk(b"eXIf", loop), body)
    frames = chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))
    yield "png of 2^31 frames", png(ihdr(64, 64), frames, body)
    yield "png of 16 bits that are 8", png(ihdr(64, 64, depth=16), body)
    yield "png and a ZIP", photo("PNG") + b"PK\3\4" + bytes(200) + b"PK\5\6" + bytes(18)
    yield "png and a page", photo("PNG") + b"<script>alert(1)</script>"


def jpegs() -> Iterator[tuple[str, bytes]]:
    """JPEGs that lie."""
    good = photo("JPEG")
    start = good.index(b"\xff\xc0")

    def sized(width: int, height: int) -> bytes:
        return good[: start + 5] + struct.pack(">HH", height, width) + good[start + 9 :]

    yield "jpeg of 65500 squared", sized(65500, 65500)
    yield "jpeg of 7000 squared", sized(7000, 7000)
    yield "jpeg one pixel wide", sized(1, 65535)
    yield "jpeg of no size", sized(0, 0)
    app = b"\xff\xe1" + struct.pack(">H", 65535)
    exif = b"Exif\0\0II*\0\x08\0\0\0"
    yield "jpeg with 200 EXIFs", good[:2] + (app + exif + bytes(65533 - len(exif))) * 200 + good[2:]
    entries = struct.pack("<H", 65535) + (b"\x12\1\3\0\xff\xff\xff\xff\xff\xff\xff\xff" * 5000)
    data = (exif + entries)[:65000]
    segment = b"\xff\xe1" + struct.pack(">H", len(data) + 2) + data
    yield "jpeg with 65535 tags", good[:2] + segment + good[2:]
    icc = b"ICC_PROFILE\0\1\xff" + bytes(4000)
    piece = b"\xff\xe2" + struct.pack(">H", len(icc) + 2) + icc
    yield "jpeg with a profile in 255 pieces, one there", good[:2] + piece + good[2:]
    yield "jpeg with 1000 profiles", good[:2] + piece * 1000 + good[2:]
    yield "jpeg with 100000 comments", good[:2] + b"\xff\xfe\0\2" * 100_000 + good[2:]
    yield "jpeg with a segment too short", good[:2] + b"\xff\xe1\0\0" + good[2:]
    yield "jpeg of fill bytes", good[:2] + b"\xff" * 1_000_000 + good[2:]
    progressive = photo("JPEG", (512, 512), progressive=True)
    scan = progressive[progressive.index(b"\xff\xda") : -2]
    yield "jpeg of 500 scans", progressive[:-2] + scan[:2000] * 500 + progressive[-2:]
    yield "jpeg that says it is arithmetic", good.replace(b"\xff\xc0", b"\xff\xc9", 1)
    yield "jpeg that says it is lossless", good.replace(b"\xff\xc0", b"\xff\xc3", 1)
    yield "jpeg without tables", good.replace(b"\xff\xc4", b"\xff\xfe")
    yield "jpeg of a header and zeros", good[: start + 19] + bytes(100_000)
    yield "jpeg that only begins", b"\xff\xd8\xff"
    yield "jpeg and a page", good + b"<html><script>alert(1)</script></html>"
    yield "jpeg of five million pixels", photo("JPEG", (2600, 2000))
    cmyk = io.BytesIO()
    Image.new("CMYK", (64, 64)).save(cmyk, "JPEG")
    yield "jpeg in CMYK", cmyk.getvalue()


def tiffs() -> Iterator[tuple[str, bytes]]:
    """TIFFs that lie."""

    def tiff(*tags: tuple[int, int, int, int], after: int = 0, rest: bytes = bytes(500)) -> bytes:
        entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
        return (
            b"II*\0\x08\0\0\0"
            + struct.pack("<H", len(tags))
            + entries
            + struct.pack("<I", after)
            + rest
        )

    size, bits = ((256, 4, 1, 64), (257, 4, 1, 64)), ((258, 3, 1, 8), (262, 3, 1, 1))
    strip = ((273, 4, 1, 200), (278, 4, 1, 64), (279, 4, 1, 4096))
    sound = (*size, *bits, (259, 3, 1, 1), *strip)
    yield "tiff that loops", tiff(*sound, after=8, rest=bytes(5000))
    yield "tiff that begins in itself", b"II*\0\4\0\0\0" + bytes(100)
    yield "tiff that begins past its end", b"II*\0\xff\xff\xff\x7f" + bytes(100)
    yield "tiff of 65535 tags", b"II*\0\x08\0\0\0\xff\xff" + bytes(5000)
    huge = ((256, 4, 1, 2**31), (257, 4, 1, 2**31))
    yield "tiff of 2^31 squared", tiff(*huge, *bits, (259, 3, 1, 1), *strip)
    yield "tiff of 2^32 - 1 strips", tiff(*size, *bits, (273, 4, 2**32 - 1, 8), (279, 4, 1, 1))
    yield "tiff with strips past the end", tiff(*size, *bits, (273, 4, 1, 2**31), (279, 4, 1, 4096))
    yield "tiff of a strip of 4 GiB", tiff(*size, *bits, (273, 4, 1, 8), (279, 4, 1, 2**32 - 1))
    yield "tiff of no rows a strip", tiff(*size, *bits, (273, 4, 1, 200), (278, 4, 1, 0))
    yield "tiff packed in an unheard of way", tiff(*size, *bits, (259, 3, 1, 31337), *strip)
    yield "tiff of 65535 channels", tiff(*sound, (277, 3, 1, 65535))
    yield "tiff of 64 bits", tiff(*size, (258, 3, 1, 64), (262, 3, 1, 1), *strip)
    yield "tiff of tiles of no size", tiff(*size, *bits, (322, 4, 1, 0), (323, 4, 1, 0))
    yield "tiff of 2^32 tiles", tiff(*size, *bits, (322, 4, 1, 16), (324, 4, 2**32 - 1, 8))
    yield "tiff of large offsets", b"II+\0\x08\0\0\0" + b"\xff" * 8 + bytes(100)
    yield "tiff of nothing", tiff()
    pages = io.BytesIO()
    page = Image.new("L", (4, 4))
    page.save(pages, "TIFF", save_all=True, append_images=[page] * 500)
    yield "tiff of 500 pages", pages.getvalue()


def others() -> Iterator[tuple[str, bytes]]:
    """Other formats that lie, and what is no picture."""
    webp = photo("WEBP")
    yield "webp that says it is 4 GiB", b"RIFF" + b"\xfe\xff\xff\xff" + webp[8:]
    canvas = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + b"\xff" * 6
    yield "webp of 2^24 squared", b"RIFF" + struct.pack("<I", 4 + len(canvas)) + b"WEBP" + canvas
    yield "webp of nothing", b"RIFF\4\0\0\0WEBP"
    frames = [Image.new("RGB", (16, 16), (i % 256, 0, 0)) for i in range(300)]
    for form in ("WEBP", "GIF", "PNG"):
        out = io.BytesIO()
        frames[0].save(out, form, save_all=True, append_images=frames[1:], duration=10)
        yield f"{form} of 300 frames", out.getvalue()
    gif = photo("GIF")
    yield "gif of 65535 squared", gif[:6] + b"\xff\xff\xff\xff" + gif[10:]
    yield "gif that never ends", gif[:-1] + b"\x21\xfe\x01a\0" * 50_000
    bmp = photo("BMP")
    yield "bmp of 30000 squared", bmp[:18] + struct.pack("<ii", 30000, 30000) + bmp[26:]
    yield "bmp of 2^31 rows", bmp[:18] + struct.pack("<ii", 64, -(2**31)) + bmp[26:]
    yield "bmp of a palette of 2^32", bmp[:28] + struct.pack("<H", 8) + bmp[30:46] + b"\xff" * 8
    avif = photo("AVIF")
    ispe = avif.index(b"ispe") + 8
    yield "avif of 2^31 squared", avif[:ispe] + b"\x7f\xff\xff\xff" * 2 + avif[ispe + 8 :]
    yield (
        "avif of boxes in boxes",
        b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miaf" + b"\0\0\0\x08meta" * 5000,
    )
    yield "avif of a box of no size", avif[:32] + bytes(400)
    yield "heic of zeros", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(1000)
    for name, head in (
        ("svg", b"<svg xmlns='http://www.w3.org/2000/svg' width='1e9' height='1e9'><image href='file:///etc/passwd'/></svg>"),
        ("xml with an entity", b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>"),
        ("pdf", b"%PDF-1.7\n1 0 obj<</Type/Catalog>>"),
        ("html", b"<!doctype html><script>alert(1)</script>"),
        ("postscript", b"%!PS-Adobe-3.0 EPSF-3.0\n(%pipe%id) (r) file"),
        ("netpbm", b"P6 100000 100000 255\n"),
        ("imagemagick", b"push graphic-context\nimage over 0,0 0,0 'https://x/|id'\n"),
        ("photoshop", b"8BPS\0\1" + bytes(100)),
        ("icon", b"\0\0\1\0\1\0" + bytes(60)),
        ("jpeg 2000", b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(60)),
        ("zip", b"PK\3\4" + bytes(60)),
        ("gzip", zlib.compress(bytes(1 << 20), 9, 31)),
        ("program", b"\x7fELF" + bytes(60)),
        ("video", b"\0\0\0\x20ftypisom" + bytes(60)),
        ("text", b"not a picture"),
        ("wide text", "kein Bild".encode("utf-16")),
        ("zeros", bytes(100_000)),
        ("newlines", b"\r\n" * 5000),
        ("a boundary", b"\r\n--boundary--\r\n"),
    ):  # fmt: skip
        yield name, head
        if len(head) < 1000:
            yield f"{name} after the beginning of a png", PNG + head


def broken_off() -> Iterator[tuple[str, bytes]]:
    """Sound files of every format, cut off somewhere."""
    for form in FORMS:
        whole = photo(form)
        for share in (0.0, 0.01, 0.1, 0.5, 0.9):
            yield f"{form} cut off at {share:.0%}", whole[: max(1, int(len(whole) * share))]
        for length in (2, 4, 8, 12, 16):
            yield f"{form} of {length} bytes", whole[:length]


@cache
def malformed() -> list[tuple[str, bytes]]:
    """All of them by name."""
    return [*pngs(), *jpegs(), *tiffs(), *others(), *broken_off()]


def mutants(seed: int) -> Iterator[tuple[str, bytes]]:
    """Sound files with some bytes changed, for ever; the same ones for the same ``seed``."""
    dice = random.Random(seed)
    wholes = [(form, photo(form)) for form in FORMS]
    wholes += [("JPEG", photo("JPEG", progressive=True)), ("PNG", photo("PNG", optimize=True))]
    wholes += [("TIFF", photo("TIFF", compression=how)) for how in ("tiff_lzw", "tiff_deflate")]
    wholes += [("WEBP", photo("WEBP", lossless=True))]
    number = 0
    while True:
        form, whole = dice.choice(wholes)
        data = bytearray(whole)
        for _ in range(dice.choice((1, 1, 2, 5, 30))):
            place = dice.randrange(len(data))
            # Heads hold the sizes.
            place = place if dice.random() < 0.5 else place % 200
            how = dice.randrange(5)
            if how == 0:
                data[place] = dice.randrange(256)
            elif how == 1:
                data[place] ^= 1 << dice.randrange(8)
            elif how == 2:
                data[place : place + 4] = dice.choice((b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff"))
            elif how == 3:
                data[place:place] = data[place : place + dice.randrange(64)]
            else:
                del data[place : place + dice.randrange(16)]
            if not data:
                break
        number += 1
        yield f"{form}, mutant {number} of seed {seed}", bytes(data)
