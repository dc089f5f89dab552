from __future__ import annotations

import pytest

from cleancut.errors import UnreadableImage, UnsupportedFormat
from cleancut.imaging.sniff import sniff


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"hello, this is a note\n" * 9, "text"),
        ("Grüße\n".encode(), "text"),
        (b"\n<!DOCTYPE html><html><body>404</body></html>", "HTML"),
        (b'<?xml version="1.0"?><svg xmlns="x"></svg>', "SVG"),
        (b'<?xml version="1.0"?><a/>', "XML"),
        (b'{"error": "not found"}', "JSON"),
        (b"%PDF-1.7\n", "PDF"),
        (b"PK\x03\x04rest", "ZIP"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "video"),
        (b"\x1a\x45\xdf\xa3" + bytes(20), "video"),
        (b"RIFF\0\0\0\0AVI LIST", "video"),
        (bytes(5000), "zero bytes"),
        (bytes(range(128, 256)) * 4, "unknown"),
        (b"BM is how this text starts", "text"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
    ],
)
def test_what_is_no_picture_is_named(data, words):
    with pytest.raises(UnreadableImage) as caught:
        sniff(data)
    assert words in str(caught.value)
    assert caught.value.hint
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [b"8BPS\0\1", b"\0\0\1\0\1\0", b"%!PS-Adobe", b"P6\n1 1\n", b"\xff\x0a..", b"#?RADIANCE\n"],
)
def test_foreign_picture_formats_are_refused_by_name(data):
    with pytest.raises(UnsupportedFormat) as caught:
        sniff(data)
    assert "JPEG, PNG" in caught.value.hint


def test_avif_and_heic_are_told_apart_by_compatible_brands():
    assert sniff(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf") == "avif"
    assert sniff(b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf") == "heic"
    assert sniff(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic") == "heic"
