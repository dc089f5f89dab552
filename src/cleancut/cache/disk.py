"""Results in a folder: one file an entry, and an index that says which was used when.

Written here because no library does it: ``diskcache`` has had no release since 2023 and pickles by
default (CVE-2025-69872), ``cachetools`` keeps things in memory, ``requests-cache`` and
``dogpile.cache`` do not limit a folder's size. It is little code, since an entry's file proves
itself (``entry``) and the index can be made again (``index``).

::

    <folder>/index.sqlite3        key, bytes, time of use; hits and misses
             entries/ab/ab12...   whole files, put there by renaming
             entries/CACHEDIR.TAG backups pass them over (bford.info/cachedir)
             parts/               files being written; what a killed process left is swept

A process may be killed at any moment: a row is written before its file appears, a file is deleted
before its row, and both are compared once a day. Several processes may use a folder at once, on a
local disk (SQLite's WAL does not work over a network; machines share a Redis instead).
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cleancut.cache.breaker import Breaker
from cleancut.cache.entry import Contents, Damaged, Entry, Verified, pack, unpack
from cleancut.cache.index import Index, NewerIndex, is_broken
from cleancut.cache.place import DEFAULT_MAX_BYTES
from cleancut.errors import CacheUnavailable
from cleancut.imaging.files import MAX_FILE_BYTES

if TYPE_CHECKING:
    from cleancut.cache.entry import Tell

#: Files and rows are compared this often, in seconds, when something is put.
SCAN_EVERY_S = 24 * 3600
#: A part this old belongs to a process that is gone.
ABANDONED_S = 3600
#: A row this young may be waiting for its file.
_YOUNG_NS = 600 * 10**9
_KEY = re.compile(r"[0-9a-f]{64}")
_TAG = b"Signature: 8a477f597d28d172789f06886806bc55\n# Results kept by cleancut.\n"


class DiskCache:
    """A ``Cache`` in ``folder``, which stays below ``max_bytes``; what was used last stays longest.

    Nothing is made before the first ``put``. Folders and files are the user's alone.
    """

    def __init__(self, folder: Path, *, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self._entries = folder / "entries"
        self._parts = folder / "parts"
        self._index = Index(folder / "index.sqlite3")
        self._breaker = Breaker()
        self._settled = False
        self._settling = threading.Lock()

    def get(self, key: str, tell: Tell) -> Entry | None:
        """The entry of ``key``, proved whole; a damaged one is dropped."""
        path = self._file(key)
        try:
            blob = _read(path)
        except FileNotFoundError:
            if self._index.path.exists():
                self._noting(tell, self._index.miss)
            return None
        except (OSError, MemoryError) as error:
            if not self._breaker.open:
                self._breaker.trip()
                tell(f"cache: {path} cannot be read ({_reason(error)})")
            return None
        try:
            entry = unpack(key, blob)
        except Damaged as error:
            tell(f"cache: a damaged entry was dropped ({error})")
            with suppress(OSError):
                path.unlink(missing_ok=True)
            self._noting(tell, lambda: self._index.drop(key, self._remove))
            return None
        self._noting(tell, lambda: self._index.hit(key, len(blob), path.exists))
        return entry

    def put(self, key: str, entry: Entry, tell: Tell) -> None:
        """Keep ``entry``, if it is not larger than the whole cache may be."""
        if self._breaker.open:
            return  # it was told why
        blob = pack(key, entry)
        if len(blob) > self.max_bytes:
            tell(
                f"cache: a result of {len(blob) / 1e6:.1f} MB is larger than the cache may be "
                f"({self.max_bytes / 1e6:.1f} MB)"
            )
            return
        self._noting(tell, lambda: self._keep(key, blob))

    def contents(self) -> Contents:
        """What is kept, by the index."""
        if not self._index.path.exists():
            with self._needed():
                _check_place(self.folder)
            return Contents(str(self.folder), 0, 0, self.max_bytes, 0, 0)
        with self._needed():
            self._mending(self._settle)
            (entries, size), counts = self._index.totals(), self._index.counts()
        return Contents(
            str(self.folder),
            entries,
            size,
            self.max_bytes,
            counts.get("hits", 0),
            counts.get("misses", 0),
        )

    def clear(self) -> int:
        """Delete every entry and unfinished part; other files in the folder stay."""
        removed = 0
        with self._needed():
            for path in self._files():
                path.unlink(missing_ok=True)
                removed += 1
            self._sweep(0)
            if self._index.path.exists():
                self._mending(self._index.clear)
        return removed

    def verify(self) -> Verified:
        """Read every entry again, and compare the index with the files."""
        sound = damaged = 0
        with self._needed():
            for path in self._files():
                try:
                    unpack(path.name, path.read_bytes())
                    sound += 1
                except FileNotFoundError:
                    continue  # another process made room
                except Damaged:
                    path.unlink(missing_ok=True)
                    damaged += 1
            self._sweep(ABANDONED_S)
            if sound or damaged or self._index.path.exists():
                self._mending(self._scan)
        return Verified(sound, damaged)

    def close(self) -> None:
        """Close the index."""
        self._index.close()

    def _file(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError("a key has 64 hex digits")
        return self._entries / key[:2] / key

    def _files(self) -> Iterator[Path]:
        for shard in sorted(self._entries.glob("[0-9a-f][0-9a-f]")):
            for path in sorted(shard.iterdir()):
                if _KEY.fullmatch(path.name):
                    yield path

    def _keep(self, key: str, blob: bytes) -> None:
        self._make_folders()
        self._settle()
        target = self._file(key)
        target.parent.mkdir(mode=0o700, exist_ok=True)
        part = self._parts / f"{key}.{secrets.token_hex(6)}"
        try:
            # Not synced: what a power cut leaves of it is found out by its digest.
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
                file.write(blob)
            self._index.reserve(key, len(blob), self.max_bytes, self._remove)
            part.replace(target)
            self._index.confirm(key, self._remove)
        finally:
            part.unlink(missing_ok=True)

    def _remove(self, key: str) -> None:
        self._file(key).unlink(missing_ok=True)

    def _make_folders(self) -> None:
        if self._parts.is_dir() and self._entries.is_dir():
            return
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        for folder in (self.folder, self._entries, self._parts):
            folder.mkdir(mode=0o700, exist_ok=True)
        tag = self._entries / "CACHEDIR.TAG"
        if not tag.exists():
            tag.write_bytes(_TAG)

    def _settle(self) -> None:
        """Once a process: sweep, and compare index and files if that is due."""
        with self._settling:
            if self._settled and not self._index.fresh:
                return
            self._sweep(ABANDONED_S)
            scanned = self._index.counts().get("scanned", 0)
            if self._index.fresh or not 0 <= time.time() - scanned < SCAN_EVERY_S:
                self._scan()
            self._settled = True

    def _scan(self) -> None:
        """Make the index say what the files say."""
        before = time.time_ns() - _YOUNG_NS
        rows = []
        for path in self._files():
            with suppress(FileNotFoundError):
                stat = path.stat()
                rows.append((path.name, stat.st_size, stat.st_mtime_ns))
        self._index.replace_all(rows, before_ns=before)

    def _sweep(self, older_than_s: float) -> None:
        if not self._parts.is_dir():
            return
        limit = time.time() - older_than_s
        for path in self._parts.iterdir():
            with suppress(FileNotFoundError):
                if path.stat().st_mtime <= limit:
                    path.unlink()

    def _noting(self, tell: Tell, work: Callable[[], object]) -> None:
        """Do ``work`` on the index; trouble costs no picture, and is told once in a while."""
        if self._breaker.open:
            return
        try:
            self._mending(work, tell)
        except (sqlite3.Error, OSError) as error:
            self._breaker.trip()
            tell(f"cache: {self.folder} cannot be written ({_reason(error)}); cutting without it")

    def _mending(self, work: Callable[[], object], tell: Tell | None = None) -> None:
        """Do ``work``; a damaged index is made again from the files."""
        try:
            work()
        except sqlite3.DatabaseError as error:
            if not is_broken(error):
                raise
            self._index.start_again()
            if tell is not None:
                tell("cache: the index was damaged and has been made again")
            self._scan()
            work()

    @contextmanager
    def _needed(self) -> Iterator[None]:
        """Trouble is an error where a person asks about the cache itself."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise CacheUnavailable(
                f"the cache {self.folder} cannot be used: {_reason(error)}",
                hint="check the folder's permissions, or take another one with --cache DIR",
            ) from error


def _check_place(folder: Path) -> None:
    """Raise ``OSError`` if ``folder`` could not be made."""
    above = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    if not above.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, f"{above} is no folder")
    if not os.access(above, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, f"{above} may not be written")


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size > MAX_FILE_BYTES:
            raise OSError(errno.EFBIG, "the file is too large")
        return file.read()


def _reason(error: BaseException) -> str:
    if isinstance(error, NewerIndex):
        return f"its index was made by a newer cleancut: {error}"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error) or type(error).__name__
