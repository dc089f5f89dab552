"""Results kept by content: the same picture and options are never cut twice.

``key`` says what a result depends on, ``entry`` how one is kept, ``disk`` and ``redis`` where,
``recall`` when it is looked for. No pickle anywhere: an entry is JSON, the file's bytes and a
digest over both.
"""

from __future__ import annotations

from cleancut.cache.entry import Cache, Contents, Entry
from cleancut.cache.place import DEFAULT_MAX_BYTES, open_cache, parse_size

__all__ = ["DEFAULT_MAX_BYTES", "Cache", "Contents", "Entry", "open_cache", "parse_size"]
