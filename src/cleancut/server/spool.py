"""Files on their way through the server: written in pieces, removed when their request ends."""

from __future__ import annotations

import errno
import secrets
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO

from cleancut.errors import BodyTooLarge, StorageFailed
from cleancut.server.settings import MIB

#: What is held back before the disk is bothered, bytes.
_BUFFER = 256 * 1024


class Draft:
    """One file of at most ``limit`` bytes; ``flush`` and ``close`` block for the disk."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.path = folder / secrets.token_hex(16)
        self.size = 0
        self._limit = limit
        self._pending = bytearray()
        self._file: IO[bytes] | None = None

    def add(self, data: bytes | memoryview) -> bool:
        """Take ``data``; True when it is time for ``flush``. Raises ``BodyTooLarge``."""
        self.size += len(data)
        if self.size > self._limit:
            raise BodyTooLarge(
                f"a file of more than {self._limit / MIB:.4g} MiB",
                hint="send a smaller picture, or save it as JPEG",
            )
        self._pending += data
        return len(self._pending) >= _BUFFER

    def flush(self) -> None:
        """Write what is held back. Raises ``StorageFailed``."""
        try:
            if self._file is None:
                self._file = self.path.open("xb", buffering=0)
            if self._file.write(self._pending) != len(self._pending):
                raise OSError(errno.ENOSPC, "only a part was written")
        except OSError as error:
            self.abandon()
            raise _no_room(error) from error
        self._pending.clear()

    def close(self) -> None:
        """Write the rest and close. Raises ``StorageFailed``."""
        self.flush()
        self.abandon()

    def abandon(self) -> None:
        """Close without writing what is left."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None


def remove(paths: Iterable[Path]) -> None:
    """Delete files that may be gone already."""
    for path in paths:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def empty(folder: Path) -> None:
    """Make ``folder`` and delete whatever lies in it; only its owner may look in."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            remove([path])


def _no_room(error: OSError) -> StorageFailed:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return StorageFailed(
        "the server has no room for uploads" if full else "the server cannot store uploads",
        hint="try again later",
    )
