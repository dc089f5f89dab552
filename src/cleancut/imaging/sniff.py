"""Which format bytes are, and what they are instead when they are no picture."""

from __future__ import annotations

import codecs
import struct

from cleancut.errors import UnreadableImage, UnsupportedFormat

_HEIC_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs"}
_AVIF_BRANDS = {b"avif", b"avis"}
_READABLE = "JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF or HEIC"

#: Pictures that are recognised, to be named in the error, but not read.
_FOREIGN = (
    (b"8BPS", "a Photoshop document"),
    (b"\x00\x00\x01\x00", "an icon (ICO)"),
    (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (b"\x76\x2f\x31\x01", "OpenEXR"),
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "PostScript (EPS)"),
    (b"FUJIFILMCCD-RAW", "a camera raw file"),
    (b"IIU\x00", "a camera raw file"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"DDS ", "a DirectDraw surface"),
    (b"SIMPLE  =", "FITS"),
    (b"P1\n", "Netpbm"), (b"P2\n", "Netpbm"), (b"P3\n", "Netpbm"),
    (b"P4\n", "Netpbm"), (b"P5\n", "Netpbm"), (b"P6\n", "Netpbm"),
)  # fmt: skip

_NO_PICTURE = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x1a\x45\xdf\xa3", "a video (Matroska or WebM)"),
    (b"OggS", "audio or video (Ogg)"),
    (b"ID3", "audio (MP3)"),
    (b"\x7fELF", "a program"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself"),
)


def sniff(data: bytes) -> str:
    """Name the format of ``data``: jpeg, png, webp, tiff, bmp, gif, avif or heic.

    Raises ``UnsupportedFormat`` for a known picture format that is not read here and
    ``UnreadableImage``, saying what it looks like, for everything else.
    """
    head = bytes(data[:64])
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "tiff"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    # "BM" alone is too little: text can start with it. Bytes 6..9 are reserved and zero.
    if head.startswith(b"BM") and head[6:10] == b"\0\0\0\0":
        return "bmp"
    if head[4:8] == b"ftyp":
        return _iso_media(head)
    _refuse(data, head)
    raise AssertionError("unreachable")


def _iso_media(head: bytes) -> str:
    """Tell AVIF, HEIC and video apart by the brands of the ``ftyp`` box (ISO 14496-12)."""
    size = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12]] + [head[at : at + 4] for at in range(16, size - 3, 4)]
    for brand in brands:
        if brand in _AVIF_BRANDS:
            return "avif"
        if brand in _HEIC_BRANDS:
            return "heic"
    if b"crx " in brands:
        raise UnsupportedFormat(
            "a camera raw file cannot be read", hint="develop it to TIFF or JPEG first"
        )
    raise UnreadableImage(
        "this is a video or audio file, not a picture",
        hint="hand in a picture; a single frame can be saved with any video player",
    )


def _refuse(data: bytes, head: bytes) -> None:
    if not data:
        raise UnreadableImage("the file is empty (0 bytes)", hint="copy or download it again")
    for magic, name in _FOREIGN:
        if head.startswith(magic):
            raise UnsupportedFormat(f"{name} cannot be read", hint=f"convert it to {_READABLE}")
    raise UnreadableImage(
        f"this is not a picture: it looks like {_describe(data, head)}",
        hint=f"hand in a {_READABLE} file",
    )


def _describe(data: bytes, head: bytes) -> str:
    for magic, name in _NO_PICTURE:
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF":
        return "audio or video (RIFF)"
    if not bytes(data[:4096]).strip(b"\0"):
        return "nothing but zero bytes, as a broken copy leaves behind"
    start = bytes(data[:1024]).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in start:
        return "an SVG drawing; render it to PNG first"
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")) or b"<html" in start:
        return "an HTML page, such as an error page saved instead of the picture"
    if start.startswith((b"{", b"[")) and b'"' in start:
        return "JSON"
    if start.startswith(b"<?xml"):
        return "XML"
    return "text" if _is_text(bytes(data[:1024])) else "unknown data"


def _is_text(sample: bytes) -> bool:
    if b"\0" in sample:
        return False
    try:
        # Incremental, because the sample may end within a character.
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return False
    return sum(byte < 32 and byte not in b"\t\r\n\f\x1b" for byte in sample) == 0


def webp_size(name: bytes, body: bytes) -> tuple[int, int] | None:
    """(width, height) by the WebP chunk ``name``; None where it does not tell (RFC 9649)."""
    if name == b"VP8X" and len(body) >= 10:
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if name == b"VP8 " and len(body) >= 10:
        width, height = struct.unpack_from("<HH", body, 6)
        return width & 0x3FFF, height & 0x3FFF
    if name == b"VP8L" and len(body) >= 5:
        packed = int.from_bytes(body[1:5], "little")
        return 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
    return None
