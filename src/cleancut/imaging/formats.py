"""The formats that pictures are written in, and the names they go by."""

from __future__ import annotations

import os
from pathlib import PurePath
from typing import get_args

from cleancut.errors import UnsupportedFormat
from cleancut.option_choices import Format

FORMATS: tuple[Format, ...] = get_args(Format)

_ALIASES: dict[str, Format] = {"jpeg": "jpg", "jpe": "jpg", "jfif": "jpg", "tif": "tiff"}


def format_of(name: str) -> Format:
    """Format named "png", "JPEG", ".tif" ...; ``UnsupportedFormat`` for any other."""
    plain = name.lower().removeprefix(".")
    for format_ in FORMATS:
        if plain == format_:
            return format_
    if plain in _ALIASES:
        return _ALIASES[plain]
    raise UnsupportedFormat(
        f"pictures cannot be written as {name!r}", hint=f"choose one of: {', '.join(FORMATS)}"
    )


def format_from_suffix(path: str | os.PathLike[str]) -> Format:
    """Format by the suffix of ``path``; ``UnsupportedFormat`` if it has none or an unknown one."""
    suffix = PurePath(path).suffix
    if not suffix:
        raise UnsupportedFormat(
            f"{os.fspath(path)!s} has no suffix that names a format",
            hint=f"add one of: {', '.join('.' + name for name in FORMATS)}, or give --format",
        )
    return format_of(suffix)
