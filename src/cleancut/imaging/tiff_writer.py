"""TIFF writer: pixels through tifffile; EXIF and GPS directories appended and linked here."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from cleancut.imaging.metadata import quiet_warnings

_TEXT_TAGS = (270, 271, 272, 305, 306, 315, 33432)
#: EXIF and GPS. tifffile refuses to write these tags, so each is written under the number before
#: it, which keeps the directory sorted, and renamed afterwards.
_DIRECTORIES = (34665, 34853)
_LONG, _UNDEFINED = 4, 7
_PAGE_NAME, _SOURCE_DATA = 285, 37724
_STRIP_BYTES = 1 << 20

_Tag = tuple[int, str | int, int, Any, bool]


@dataclass(slots=True)
class _Kept:
    """Tags for the main directory, and the directories they point to."""

    tags: list[_Tag] = field(default_factory=list)
    directories: dict[int, dict[int, Any]] = field(default_factory=dict)


def write_tiff(
    pixels: NDArray[np.uint8] | NDArray[np.uint16],
    *,
    level: int = 6,
    icc: bytes | None = None,
    exif: bytes | None = None,
    dpi: tuple[float, float] | None = None,
    layers: bytes | None = None,
    pages: Mapping[str, NDArray[Any]] | None = None,
) -> bytes:
    """A deflated TIFF of (H, W), (H, W, 3) or (H, W, 4) samples; the fourth is straight alpha.

    ``level`` is zlib's, 1..9: 6 takes four times as long as 1 for a fifth less. ``layers`` is
    Photoshop's block of them (``psd.source_data``), and ``pages`` are further pictures by name,
    for readers that do not know the block.
    """
    kept = _read_exif(exif)
    order: Literal["<", ">"] = "<" if layers is None else ">"  # the block is big-endian
    out = io.BytesIO()
    with tifffile.TiffWriter(out, byteorder=order) as writer:

        def write(page: NDArray[Any], tags: list[_Tag]) -> None:
            colour = page.ndim == 3
            writer.write(
                page,
                photometric="rgb" if colour else "minisblack",
                extrasamples=["unassalpha"] if colour and page.shape[2] == 4 else None,
                compression="zlib",
                compressionargs={"level": level},
                predictor=True,
                rowsperstrip=max(1, _STRIP_BYTES // page[0].nbytes),
                iccprofile=icc if colour else None,
                resolution=dpi,
                resolutionunit="inch" if dpi is not None else None,
                software=False,
                metadata=None,
                extratags=tags,
            )

        if layers is None:
            write(pixels, kept.tags)
        else:
            block: _Tag = (_SOURCE_DATA, _UNDEFINED, len(layers), layers, True)
            write(pixels, [_page_name("Cutout"), block, *kept.tags])
        for name, page in (pages or {}).items():
            write(page, [_page_name(name)])
    _append_directories(out, kept.directories, order)
    return out.getvalue()


def _page_name(name: str) -> _Tag:
    return (_PAGE_NAME, "s", 0, name.encode(), True)


def _read_exif(block: bytes | None) -> _Kept:
    """What of an EXIF block TIFF can hold; nothing if the block cannot be parsed."""
    kept = _Kept()
    if block is None:
        return kept
    try:
        with quiet_warnings():
            exif = Image.Exif()
            exif.load(block)
            for tag in _TEXT_TAGS:
                if isinstance(value := exif.get(tag), str):
                    kept.tags.append((tag, "s", 0, value.encode(), True))
            for tag in _DIRECTORIES:
                if entries := dict(exif.get_ifd(tag)):
                    kept.directories[tag] = entries
                    kept.tags.append((tag - 1, "I", 1, 0, True))
    except (SyntaxError, ValueError, TypeError, KeyError, OSError, struct.error):
        return _Kept()
    return kept


def _append_directories(
    out: io.BytesIO, directories: dict[int, dict[int, Any]], order: Literal["<", ">"]
) -> None:
    """Write each directory at the end of the file and point its (so far zero) tag to it."""
    if not directories:
        return
    with tifffile.TiffFile(io.BytesIO(out.getbuffer())) as file:
        tags: Any = file.pages[0].tags  # type: ignore[union-attr]
        places = {tag: int(tags[tag - 1].offset) for tag in directories}
    for tag, entries in directories.items():
        offset = (out.seek(0, io.SEEK_END) + 1) & ~1
        head = b"II*\0\0\0\0\0" if order == "<" else b"MM\0*\0\0\0\0"
        directory = TiffImagePlugin.ImageFileDirectory_v2(ifh=head)
        for name, value in entries.items():
            directory[name] = value
        out.seek(offset)
        out.write(directory.tobytes(offset))
        out.seek(places[tag])
        out.write(struct.pack(order + "HHII", tag, _LONG, 1, offset))
