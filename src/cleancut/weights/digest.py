"""sha256 of files, remembered between runs.

Hashing takes about 0.2 s per 100 MB, so a 1 GB model would cost two seconds at every start. What
was hashed once is remembered in the cache folder under the file's identity; any change of size,
times or inode makes it hash again.
"""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

#: A file changed this recently may change again within the clock's grain, unseen: do not remember.
SETTLED_S = 2.0
_BLOCK = 1 << 18


def sha256_of(path: Path) -> str:
    """sha256 of the file's bytes as 64 hex digits; ``OSError`` if it cannot be read."""
    import hashlib

    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def remembered_sha256(path: Path, cache: Path, *, now: float | None = None) -> str:
    """Like ``sha256_of``, but reads the file only if it changed since the last time.

    ``cache`` is the cache folder; where it cannot be written the file is hashed each time. ``now``
    is the time in seconds since the epoch.
    """
    before = _identity(path)
    stamp = cache / "sha256" / f"{_name(path)}.json"
    if known := _read(stamp, before):
        return known
    digest = sha256_of(path)
    after = _identity(path)
    changed = max(after[1], after[2]) / 1e9
    if before == after and (time.time() if now is None else now) - changed > SETTLED_S:
        _write(stamp, after, digest)
    return digest


def _identity(path: Path) -> tuple[int, int, int, int]:
    stat = path.stat()
    return (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)


def _name(path: Path) -> str:
    import hashlib

    return hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]


def _read(stamp: Path, identity: tuple[int, int, int, int]) -> str | None:
    import json

    try:
        kept = json.loads(stamp.read_text("utf-8"))
        if tuple(kept["identity"]) == identity and len(kept["sha256"]) == 64:
            return str(kept["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def _write(stamp: Path, identity: tuple[int, int, int, int], digest: str) -> None:
    import json

    with suppress(OSError):
        stamp.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=stamp.parent, suffix=".new")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump({"identity": identity, "sha256": digest}, file)
            Path(name).replace(stamp)
        finally:
            Path(name).unlink(missing_ok=True)
