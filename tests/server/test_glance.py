"""The size by a header is the size that a decoder finds."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from cleancut.server.glance import size_of


def _file(folder: Path, data: bytes) -> Path:
    path = folder / "picture"
    path.write_bytes(data)
    return path


def _saved(form: str, orientation: int | None, **how: object) -> bytes:
    image = Image.new("RGB", (37, 21), (1, 2, 3))
    if orientation is not None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        how["exif"] = exif.tobytes()
    out = io.BytesIO()
    image.save(out, form, **how)  # type: ignore[arg-type]
    return out.getvalue()


@pytest.mark.parametrize("orientation", [None, 1, 3, 6, 8])
@pytest.mark.parametrize(
    ("form", "how"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True, "icc_profile": b"x" * 70_000}),
        ("PNG", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"icc_profile": b"x" * 500}),
    ],
)
def test_sizes_are_those_of_the_upright_picture(
    form: str, how: dict[str, object], orientation: int | None, tmp_path: Path
) -> None:
    turned = orientation in (6, 8)
    path = _file(tmp_path, _saved(form, orientation, **how))
    assert size_of(path) == ((21, 37) if turned else (37, 21))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a" + bytes(20),
        b"no picture at all",
        b"\xff\xd8" + b"\xff" * 10_000,
        b"\xff\xd8" + b"\xff\xe0\x00\x00" * 10_000,
        b"\xff\xd8\xff\xc0\x00\x08\x08",
        b"\x89PNG\r\n\x1a\n" + bytes(30_000),
        b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffIDAT",
        b"RIFF\0\0\0\0WEBP" + b"XXXX\0\0\0\0" * 10_000,
        b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0",
    ],
)
def test_what_has_no_size_is_none_and_ends(data: bytes, tmp_path: Path) -> None:
    assert size_of(_file(tmp_path, data)) is None


def test_every_cut_of_a_file_is_read_without_an_error(tmp_path: Path) -> None:
    for form in ("JPEG", "PNG", "WEBP"):
        data = _saved(form, 6)
        for end in range(0, len(data), 7):
            size_of(_file(tmp_path, data[:end]))


def test_a_file_that_is_gone_has_no_size(tmp_path: Path) -> None:
    assert size_of(tmp_path / "gone") is None
