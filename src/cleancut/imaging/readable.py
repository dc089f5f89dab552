"""Which files can be read and written here, found out without importing what does it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.machinery import PathFinder
from importlib.util import find_spec

from cleancut.imaging.formats import FORMATS


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of picture file: its media types and suffixes, the usual ones first."""

    name: str
    types: tuple[str, ...]
    suffixes: tuple[str, ...]


_ALWAYS = (
    Kind("JPEG", ("image/jpeg",), (".jpg", ".jpeg", ".jpe", ".jfif")),
    Kind("PNG", ("image/png",), (".png",)),
    Kind("WebP", ("image/webp",), (".webp",)),
    Kind("TIFF", ("image/tiff",), (".tiff", ".tif")),
    Kind("BMP", ("image/bmp", "image/x-ms-bmp"), (".bmp", ".dib")),
    Kind("GIF", ("image/gif",), (".gif",)),
)
_AVIF = Kind("AVIF", ("image/avif",), (".avif",))
_HEIC = Kind("HEIC", ("image/heic", "image/heif"), (".heic", ".heif", ".hif"))


def readable() -> tuple[Kind, ...]:
    """What ``decode`` reads here: AVIF where Pillow was built with it, HEIC with its extra."""
    avif = (_AVIF,) if _has_avif() else ()
    heic = (_HEIC,) if find_spec("pillow_heif") is not None else ()
    return (*_ALWAYS, *avif, *heic)


def writable() -> tuple[str, ...]:
    """The formats of ``encode`` that can be written here."""
    lacking = set() if _has_avif() else {"avif"}
    if find_spec("psd_tools") is None:
        lacking.add("psd")
    return tuple(name for name in FORMATS if name not in lacking)


def _has_avif() -> bool:
    """Whether Pillow's codec is there; asked of its folder, since its name would import Pillow."""
    pillow = find_spec("PIL")
    places = pillow.submodule_search_locations if pillow is not None else None
    return bool(places) and PathFinder.find_spec("_avif", list(places or ())) is not None
