"""TIFF writer: pixels through tifffile; EXIF and GPS directories appended and linked here."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from cleancut.imaging.metadata import quiet_warnings

_TEXT_TAGS = (270, 271, 272, 305, 306, 315, 33432)
#: EXIF and GPS. tifffile refuses to write these tags, so each is written under the number before
#: it, which keeps the directory sorted, and renamed afterwards.
_DIRECTORIES = (34665, 34853)
_LONG = 4
_STRIP_BYTES = 1 << 20

_Tag = tuple[int, str, int, Any, bool]


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
) -> bytes:
    """A deflated TIFF of (H, W), (H, W, 3) or (H, W, 4) samples; the fourth is straight alpha.

    ``level`` is zlib's, 1..9: 6 takes four times as long as 1 for a fifth less.
    """
    colour = pixels.ndim == 3
    kept = _read_exif(exif)
    out = io.BytesIO()
    tifffile.imwrite(
        out,
        pixels,
        photometric="rgb" if colour else "minisblack",
        extrasamples=["unassalpha"] if colour and pixels.shape[2] == 4 else None,
        compression="zlib",
        compressionargs={"level": level},
        predictor=True,
        rowsperstrip=max(1, _STRIP_BYTES // pixels[0].nbytes),
        byteorder="<",
        iccprofile=icc,
        resolution=dpi,
        resolutionunit="inch" if dpi is not None else None,
        software=False,
        metadata=None,
        extratags=kept.tags,
    )
    _append_directories(out, kept.directories)
    return out.getvalue()


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


def _append_directories(out: io.BytesIO, directories: dict[int, dict[int, Any]]) -> None:
    """Write each directory at the end of the file and point its (so far zero) tag to it."""
    if not directories:
        return
    with tifffile.TiffFile(io.BytesIO(out.getbuffer())) as file:
        tags: Any = file.pages[0].tags  # type: ignore[union-attr]
        places = {tag: int(tags[tag - 1].offset) for tag in directories}
    for tag, entries in directories.items():
        offset = (out.seek(0, io.SEEK_END) + 1) & ~1
        directory = TiffImagePlugin.ImageFileDirectory_v2(ifh=b"II*\0\0\0\0\0")
        for name, value in entries.items():
            directory[name] = value
        out.seek(offset)
        out.write(directory.tobytes(offset))
        out.seek(places[tag])
        out.write(struct.pack("<HHII", tag, _LONG, 1, offset))
