"""From the name of a place to a cache."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from cleancut.errors import BadOption

if TYPE_CHECKING:
    from cleancut.cache.entry import Cache

DEFAULT_MAX_BYTES = 2_000_000_000

_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_SIZE_HINT = "like 500MB, 2GB or 1.5TB"
_PLACE_HINT = "give a folder, off, or redis://host:port/db"


def open_cache(place: str | None, *, max_bytes: int = DEFAULT_MAX_BYTES) -> Cache | None:
    """The cache at ``place``: a folder, or ``redis://`` or ``rediss://`` for several machines.

    None for "off" or None. ``max_bytes`` limits a folder; a Redis has its own ``maxmemory``.
    Nothing is opened or made before the first use. Raises ``BadOption`` for a place that cannot be
    one, ``MissingDependency`` where the package for Redis is missing.
    """
    if place is None or place == "off":
        return None
    if not place.strip():
        raise BadOption("--cache: the place is empty", hint=_PLACE_HINT)
    scheme = place.partition("://")[0].lower() if "://" in place else ""
    if scheme in ("redis", "rediss"):
        from cleancut.cache.redis import RedisCache

        return RedisCache(scheme + place[len(scheme) :])
    if scheme:
        # Not the whole address: it may hold a password.
        raise BadOption(f"--cache: {scheme}:// is no place for a cache", hint=_PLACE_HINT)
    from cleancut.cache.disk import DiskCache

    try:
        folder = Path(place).expanduser()
    except RuntimeError as error:
        raise BadOption(f"--cache: {place}: there is no such home folder") from error
    return DiskCache(folder, max_bytes=max_bytes)


def parse_size(text: str) -> int:
    """Bytes of "2GB", "500 MB", "1.5GiB" or a plain number; raises ``BadOption``."""
    match = re.fullmatch(r"(\d{1,15}(?:\.\d{1,6})?)\s*([kmgt]?)(i?)b?", text.strip().lower())
    if not match or (match[3] and not match[2]):
        raise BadOption(f"--cache-size: {text[:40]!r} is not a size", hint=_SIZE_HINT)
    bytes_ = int(float(match[1]) * (1024 if match[3] else 1000) ** _UNITS[match[2]])
    if not 0 < bytes_ < 1 << 60:
        raise BadOption(f"--cache-size: {text[:40]!r} is out of range", hint=_SIZE_HINT)
    return bytes_
