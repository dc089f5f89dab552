"""A cutout as two pictures in a ZIP: opaque colours as JPEG, the matte as PNG.

The layout is remove.bg's. For photographs it takes a fraction of a PNG's bytes, and JPEG's losses
stay out of the matte.
"""

from __future__ import annotations

import io
import zipfile

COLOUR, MATTE = "color.jpg", "alpha.png"

#: The first date that a ZIP can hold: the same cutout is the same bytes at any time.
_DATE = (1980, 1, 1, 0, 0, 0)
_UNIX, _PLAIN_FILE = 3, 0o100644 << 16


def write_zip(colour: bytes, matte: bytes) -> bytes:
    """A ZIP of both files, stored as they are: they are compressed already."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, data in ((COLOUR, colour), (MATTE, matte)):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.create_system, entry.external_attr = _UNIX, _PLAIN_FILE
            archive.writestr(entry, data)
    return out.getvalue()


def read_zip(data: bytes) -> tuple[bytes, bytes]:
    """The two files of one that ``write_zip`` made; raises ``ValueError`` for any other."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [archive.getinfo(name) for name in (COLOUR, MATTE)]
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
                raise ValueError("not a cutout's ZIP")
            colour, matte = (archive.read(entry) for entry in entries)
    except (zipfile.BadZipFile, KeyError, OSError, EOFError) as error:
        raise ValueError("not a cutout's ZIP") from error
    return colour, matte
