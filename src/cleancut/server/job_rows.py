"""The tables in which one server keeps its jobs, and transactions on them."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cleancut.errors import StorageFailed
from cleancut.server.job_files import failed
from cleancut.server.job_store import (
    Event,
    ItemRecord,
    JobRecord,
    NewJob,
    conflict,
    event_id,
)

#: Raised when the tables change so that an older version would misread them.
_SCHEMA = 1

_TABLES = """
CREATE TABLE jobs (
    id TEXT PRIMARY KEY, caller TEXT NOT NULL, kind TEXT NOT NULL, status TEXT NOT NULL,
    options TEXT NOT NULL, callback TEXT, created REAL NOT NULL, started REAL, finished REAL,
    expires REAL NOT NULL, total INTEGER NOT NULL, done INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL, idempotency TEXT, request TEXT
) WITHOUT ROWID;
CREATE INDEX by_caller ON jobs (caller, created);
CREATE INDEX by_expiry ON jobs (expires);
CREATE UNIQUE INDEX by_idempotency ON jobs (caller, idempotency) WHERE idempotency IS NOT NULL;
CREATE TABLE items (
    job TEXT NOT NULL, n INTEGER NOT NULL, name TEXT NOT NULL, url TEXT, turn REAL NOT NULL,
    status TEXT NOT NULL DEFAULT 'queued', token TEXT NOT NULL DEFAULT '',
    lease REAL NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0, facts TEXT, error TEXT,
    format TEXT NOT NULL DEFAULT '', size INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (job, n)
) WITHOUT ROWID;
CREATE INDEX waiting ON items (turn, n) WHERE status = 'queued';
CREATE INDEX leased ON items (lease) WHERE status = 'running';
CREATE TABLE events (
    id TEXT PRIMARY KEY, type TEXT NOT NULL, job TEXT NOT NULL, caller TEXT NOT NULL,
    url TEXT NOT NULL, created REAL NOT NULL, expires REAL NOT NULL, total INTEGER NOT NULL,
    done INTEGER NOT NULL, failed INTEGER NOT NULL, attempts INTEGER NOT NULL, due REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX by_due ON events (due);
CREATE TABLE secrets (id INTEGER PRIMARY KEY, value BLOB NOT NULL)
"""

#: The columns of a ``JobRecord``.
JOB = (
    "id, caller, kind, status, options, callback, created, started, finished, expires, "
    "total, done, failed"
)

#: Another process that holds the lock is a second server; milliseconds.
_BUSY_MS = 5000


class Rows:
    """One connection for all threads, one at a time; what goes wrong is ``StorageFailed``."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        try:
            self._db = _opened(path)
        except (OSError, sqlite3.Error) as error:
            raise failed(error) from error

    @contextmanager
    def using(self) -> Iterator[sqlite3.Connection]:
        """The connection, for looking; rows are dictionaries."""
        with self._lock:
            try:
                yield self._db
            except (sqlite3.Error, OSError) as error:
                raise failed(error) from error

    @contextmanager
    def writing(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """A transaction; ``durable`` ones are on the disk when it ends."""
        with self.using() as db:
            # NORMAL: a power cut may undo the latest of these, but a killed process none.
            db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # SQLite may have rolled back itself
                    db.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._db.close()


def tell(db: sqlite3.Connection, job: str, kind: str, now: float) -> None:
    """Note that ``job`` has ended, if it has a callback; part of the caller's transaction."""
    db.execute(
        "INSERT INTO events SELECT ?, ?, id, caller, callback, ?, expires, total, done, "
        "failed, 0, ? FROM jobs WHERE id = ? AND callback IS NOT NULL ON CONFLICT DO NOTHING",
        (event_id(job, kind), kind, now, now, job),
    )


#: For a time, and a JSON list of callers who are left out.
_DUE = "due <= ? AND caller NOT IN (SELECT value FROM json_each(?))"


def due_events(
    rows: Rows, *, lease_s: float, limit: int, without: Collection[str] = ()
) -> list[Event]:
    """Events to be told now; they are due again after ``lease_s``."""
    now = time.time()
    due = (now, json.dumps(list(without)))
    with rows.using() as db:
        if not db.execute(f"SELECT 1 FROM events WHERE {_DUE} LIMIT 1", due).fetchone():
            return []  # asking often must not write
    with rows.writing() as db:
        found = db.execute(
            "UPDATE events SET due = ?, attempts = attempts + 1 WHERE id IN (SELECT id FROM "
            f"events WHERE {_DUE} ORDER BY due LIMIT ?) RETURNING *",
            (now + lease_s, *due, limit),
        ).fetchall()
    return [Event(**{k: v for k, v in row.items() if k != "due"}) for row in found]


def settle(rows: Rows, event: Event, again_s: float | None) -> None:
    """Forget ``event``, or have it told again after ``again_s`` seconds."""
    with rows.writing() as db:
        if again_s is None:
            db.execute("DELETE FROM events WHERE id = ?", (event.id,))
        else:
            due = time.time() + again_s
            db.execute("UPDATE events SET due = ? WHERE id = ?", (due, event.id))


def same(db: sqlite3.Connection, job: NewJob) -> JobRecord | None:
    """The job that was made by the same request; ``JobConflict`` if it was another."""
    if job.idempotency is None:
        return None
    row = db.execute(
        f"SELECT request, {JOB} FROM jobs WHERE caller = ? AND idempotency = ?",
        (job.caller, job.idempotency[0]),
    ).fetchone()
    if row is None:
        return None
    if row.pop("request") != job.idempotency[1]:
        raise conflict()
    return JobRecord(**row)


def item_of(row: dict[str, Any]) -> ItemRecord:
    """The record that a row of items says."""
    for name in ("facts", "error"):
        row[name] = json.loads(row[name]) if row[name] is not None else None
    row["token"] = row["token"] if row["status"] == "done" else ""
    return ItemRecord(**row)


def _opened(path: Path) -> sqlite3.Connection:
    # SQLite would make it readable for everyone; its companions take over the permissions.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        db.row_factory = _row
        db.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("BEGIN IMMEDIATE")
        version = db.execute("PRAGMA user_version").fetchone()["user_version"]
        if version == 0:
            for statement in filter(str.strip, _TABLES.split(";")):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {_SCHEMA}")
        db.execute("COMMIT")
        if version > _SCHEMA:
            raise StorageFailed(
                f"the jobs were kept by a newer cleancut (version {version} of the table)",
                hint="run: pip install --upgrade 'cleancut[server]'",
            )
    except BaseException:
        db.close()
        raise
    return db


def _row(cursor: sqlite3.Cursor, values: tuple[Any, ...]) -> dict[str, Any]:
    return {column[0]: value for column, value in zip(cursor.description, values, strict=True)}
