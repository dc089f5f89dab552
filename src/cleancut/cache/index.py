"""Which entry was used when, in SQLite; only for the size limit and for counting.

The index never decides whether an entry is sound or there: the files do, so it can be thrown away
and made again from them. That is why it is written without waiting for the disk.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

SCHEMA = 1
#: Another process holds the lock for milliseconds; longer means that something is wrong.
BUSY_MS = 1000

_TABLES = """
CREATE TABLE entries (
    key TEXT PRIMARY KEY, bytes INTEGER NOT NULL, used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX by_use ON entries (used);
CREATE TABLE counts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""
_TOUCH = """
INSERT INTO entries VALUES (?, ?, ?)
ON CONFLICT (key) DO UPDATE SET bytes = excluded.bytes, used = excluded.used
"""
_COUNT = """
INSERT INTO counts VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET value = value + 1
"""
_BROKEN_CODES = (11, 26)  # SQLITE_CORRUPT, SQLITE_NOTADB
_BROKEN_WORDS = ("database disk image is malformed", "file is not a database", "malformed database")


class NewerIndex(sqlite3.OperationalError):
    """The index was made by a later version, which may keep it in another way."""


def is_broken(error: Exception) -> bool:
    """Whether the index file itself is damaged, so that making it again is the cure."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # Python 3.10 hands on SQLite's words only
        return str(error).startswith(_BROKEN_WORDS)
    return code & 0xFF in _BROKEN_CODES


class Index:
    """Sizes and times of use by key. Every method may raise ``sqlite3.Error`` or ``OSError``.

    ``fresh`` is True after this process made the file: it knows nothing of earlier entries.
    One connection, used by one thread at a time, and never by a forked child.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fresh = False
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._pid = 0
        self._closing: weakref.finalize[[], Index] | None = None
        self._inherited: list[sqlite3.Connection] = []

    def hit(self, key: str, size: int, is_there: Callable[[], bool]) -> None:
        """``key`` was just used; its file has ``size`` bytes.

        ``is_there`` says whether the file still is, for a row that is missing: either room was
        made meanwhile, or the file was never counted.
        """
        with self._writing() as connection:
            now = time.time_ns()
            known = connection.execute("UPDATE entries SET used = ? WHERE key = ?", (now, key))
            if known.rowcount == 0 and is_there():
                connection.execute(_TOUCH, (key, size, now))
            connection.execute(_COUNT, ("hits",))

    def miss(self) -> None:
        """A key was asked for that is not there."""
        with self._writing() as connection:
            connection.execute(_COUNT, ("misses",))

    def reserve(self, key: str, size: int, max_bytes: int, remove: Callable[[str], None]) -> None:
        """Make room for ``size`` bytes of ``key`` by dropping what was used longest ago.

        ``remove`` deletes one entry's file; what it raises undoes the rows, so that no file is
        without one.
        """
        with self._writing() as connection:
            connection.execute(_TOUCH, (key, size, time.time_ns()))
            (total,) = connection.execute("SELECT SUM(bytes) FROM entries").fetchone()
            while total > max_bytes:
                victims = connection.execute(
                    "SELECT key, bytes FROM entries WHERE key != ? ORDER BY used LIMIT 50", (key,)
                ).fetchall()
                if not victims:
                    break
                for victim, bytes_ in victims:
                    if total <= max_bytes:
                        break
                    remove(victim)
                    connection.execute("DELETE FROM entries WHERE key = ?", (victim,))
                    total -= bytes_

    def confirm(self, key: str, remove: Callable[[str], None]) -> None:
        """The file of ``key`` is there now; it goes if its row went while it was on its way."""
        with self._writing() as connection:
            if not connection.execute("SELECT 1 FROM entries WHERE key = ?", (key,)).fetchone():
                remove(key)

    def drop(self, key: str, remove: Callable[[str], None]) -> None:
        """Remove file and row of ``key``."""
        with self._writing() as connection:
            remove(key)
            connection.execute("DELETE FROM entries WHERE key = ?", (key,))

    def replace_all(self, rows: Iterable[tuple[str, int, int]], *, before_ns: int) -> None:
        """Know ``rows`` of (key, bytes, time of use in ns), found by looking at the files.

        Known times of use stay. A key that has no row goes unless it was used after ``before_ns``:
        its file may have been on its way.
        """
        with self._writing() as connection:
            connection.execute(
                "CREATE TEMP TABLE IF NOT EXISTS seen (key TEXT PRIMARY KEY, bytes, used)"
            )
            connection.execute("DELETE FROM seen")
            connection.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?, ?)", rows)
            connection.execute(
                "DELETE FROM entries WHERE used < ? AND key NOT IN (SELECT key FROM seen)",
                (before_ns,),
            )
            connection.execute(
                "INSERT INTO entries SELECT key, bytes, used FROM seen WHERE true "
                "ON CONFLICT (key) DO UPDATE SET bytes = excluded.bytes"
            )
            connection.execute(
                "INSERT OR REPLACE INTO counts VALUES ('scanned', ?)", (int(time.time()),)
            )
        self.fresh = False

    def clear(self) -> None:
        """Know nothing, and begin to count anew."""
        with self._writing() as connection:
            connection.execute("DELETE FROM entries")
            connection.execute("DELETE FROM counts")

    def totals(self) -> tuple[int, int]:
        """How many entries there are, and their bytes."""
        with self._open() as connection:
            entries, bytes_ = connection.execute(
                "SELECT COUNT(*), COALESCE(SUM(bytes), 0) FROM entries"
            ).fetchone()
        return int(entries), int(bytes_)

    def counts(self) -> dict[str, int]:
        """``hits``, ``misses``, and ``scanned``, seconds since the epoch."""
        with self._open() as connection:
            rows: Sequence[tuple[str, int]] = connection.execute("SELECT * FROM counts").fetchall()
        return dict(rows)

    def start_again(self) -> None:
        """Throw the file away; the next call makes an empty one."""
        self.close()
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        with self._lock:
            if self._closing is not None and self._pid == os.getpid():
                self._closing()
            self._connection, self._closing = None, None

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that holds the write lock from its first line, so that it cannot deadlock
        with another's."""
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # SQLite may have rolled back itself
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            if self._connection is None or self._pid != os.getpid():
                if self._connection is not None:
                    # A parent's: SQLite forbids a child to use or even to close it.
                    self._inherited.append(self._connection)
                    if self._closing is not None:
                        self._closing.detach()
                self._connection = self._connected()
                self._pid = os.getpid()
                self._closing = weakref.finalize(self, self._connection.close)
            yield self._connection

    def _connected(self) -> sqlite3.Connection:
        # SQLite would make it readable for everyone; its companions take over the permissions.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
            connection.execute("PRAGMA synchronous = OFF")
            if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                with suppress(sqlite3.OperationalError):  # another process is just doing it
                    connection.execute("PRAGMA journal_mode = WAL")
            if self._version(connection) == 0:
                connection.execute("BEGIN IMMEDIATE")
                if self._version(connection) == 0:
                    for statement in filter(str.strip, _TABLES.split(";")):
                        connection.execute(statement)
                    connection.execute(f"PRAGMA user_version = {SCHEMA}")
                    self.fresh = True
                connection.execute("COMMIT")
            if (version := self._version(connection)) > SCHEMA:
                raise NewerIndex(f"it is of version {version}, this cleancut knows {SCHEMA}")
        except BaseException:
            connection.close()
            raise
        return connection

    @staticmethod
    def _version(connection: sqlite3.Connection) -> int:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
