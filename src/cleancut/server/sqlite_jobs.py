"""Jobs of one server: rows in SQLite, pictures and results as files beside it.

``<folder>/jobs.db`` (write-ahead log) and ``<folder>/<job>/``. Files are durable before the row
that speaks of them is committed, so a killed process leaves files without a row, never a row
without its files; ``recover`` removes what it left.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from cleancut.server.job_files import JobFiles, disk_errors, failed, put
from cleancut.server.job_rows import JOB, Rows, due_events, item_of, same, settle, tell
from cleancut.server.job_store import (
    ROW_BYTES,
    TURN_S,
    UNFINISHED_KEEPS,
    Claim,
    Done,
    Event,
    ItemRecord,
    JobRecord,
    NewJob,
    Usage,
    check_room,
    ended,
    new_job_id,
)

#: Items that nobody has, of jobs of one kind.
_WAITING = (
    "FROM items JOIN jobs ON jobs.id = items.job WHERE items.status = 'queued' AND jobs.kind = ?"
)
_ITEM = 'job, n AS "index", name, status, facts, error, format, size, token'


class SqliteJobs:
    """The ``JobStore`` of one server alone, in ``folder``, which it makes.

    Results stay for ``keep_s`` seconds after a job has ended; ``max_bytes`` bound all that is kept.
    """

    def __init__(self, folder: Path, *, keep_s: float, max_bytes: int) -> None:
        self._keep_s = keep_s
        self._max_bytes = max_bytes
        self._files = JobFiles(folder)
        self._rows = Rows(folder / "jobs.db")

    def add(self, job: NewJob) -> tuple[JobRecord, bool]:
        """See ``JobStore``."""
        with self._rows.using() as db:
            if (known := same(db, job)) is not None:
                return known, False
            needed = check_room(self.usage(), job.items, max_bytes=self._max_bytes)
        self._files.check_disk()
        key = new_job_id()
        try:
            self._files.take_over(key, job.items)
            with self._rows.writing(durable=True) as db:
                known = same(db, job)
                made = known or self._insert(db, job, key, needed)
        except BaseException:
            self._files.remove(key)
            raise
        if known is not None:  # the same request at the same moment
            self._files.remove(key)
        return made, known is None

    def job(self, job: str) -> JobRecord | None:
        """See ``JobStore``."""
        with self._rows.using() as db:
            row = db.execute(f"SELECT {JOB} FROM jobs WHERE id = ?", (job,)).fetchone()
        return JobRecord(**row) if row is not None else None

    def jobs(self, caller: str, *, limit: int, offset: int = 0) -> list[JobRecord]:
        """See ``JobStore``."""
        with self._rows.using() as db:
            rows = db.execute(
                f"SELECT {JOB} FROM jobs WHERE caller = ? ORDER BY created DESC, id "
                "LIMIT ? OFFSET ?",
                (caller, limit, offset),
            ).fetchall()
        return [JobRecord(**row) for row in rows]

    def items(self, job: str, *, limit: int, offset: int = 0) -> list[ItemRecord]:
        """See ``JobStore``."""
        with self._rows.using() as db:
            rows = db.execute(
                f"SELECT {_ITEM} FROM items WHERE job = ? AND n >= ? ORDER BY n LIMIT ?",
                (job, offset, limit),
            ).fetchall()
        return [item_of(row) for row in rows]

    def claim(self, *, lease_s: float, limit: int = 1, kind: str = "cutout") -> list[Claim]:
        """See ``JobStore``."""
        now = time.time()
        with self._rows.using() as db:
            waits = db.execute(
                f"SELECT EXISTS (SELECT 1 {_WAITING}) OR EXISTS "
                "(SELECT 1 FROM items WHERE status = 'running' AND lease < ?) AS found",
                (kind, now),
            ).fetchone()
        if not waits["found"]:
            return []  # asking often must not write
        with self._rows.writing() as db:
            db.execute(
                "UPDATE items SET status = 'queued', facts = NULL WHERE status = 'running' "
                "AND lease < ?",
                (now,),
            )
            chosen = db.execute(
                f"SELECT job, n {_WAITING} ORDER BY turn, n LIMIT ?", (kind, limit)
            ).fetchall()
            for row in chosen:
                db.execute(
                    "UPDATE items SET status = 'running', token = ?, lease = ?, "
                    "attempts = attempts + 1 WHERE job = ? AND n = ?",
                    (secrets.token_hex(8), now + lease_s, row["job"], row["n"]),
                )
                db.execute(
                    "UPDATE jobs SET status = 'running', started = COALESCE(started, ?) "
                    "WHERE id = ? AND status = 'queued'",
                    (now, row["job"]),
                )
            found = [
                db.execute(
                    'SELECT job, n AS "index", token, attempts, caller, options, items.name AS '
                    "name, url, kind FROM items JOIN jobs ON jobs.id = job WHERE job = ? AND n = ?",
                    (row["job"], row["n"]),
                ).fetchone()
                for row in chosen
            ]
        return [Claim(**row) for row in found]

    def source(self, claim: Claim, folder: Path) -> Path | None:  # noqa: ARG002 - it is a file
        """See ``JobStore``."""
        path = self._files.source(*claim.key)
        return path if path.is_file() else None

    def background(self, claim: Claim, folder: Path) -> Path | None:  # noqa: ARG002 - it is a file
        """See ``JobStore``."""
        path = self._files.background(*claim.key)
        return path if path.is_file() else None

    def progress(self, claim: Claim, facts: Mapping[str, Any]) -> None:
        """See ``JobStore``."""
        with self._rows.writing() as db:
            db.execute(
                "UPDATE items SET facts = ? WHERE job = ? AND n = ? AND token = ? "
                "AND status = 'running'",
                (json.dumps(dict(facts)), *claim.key, claim.token),
            )

    def renew(self, claims: Sequence[Claim], *, lease_s: float) -> list[Claim]:
        """See ``JobStore``."""
        until = time.time() + lease_s
        with self._rows.writing() as db:
            return [
                claim
                for claim in claims
                if not db.execute(
                    "UPDATE items SET lease = ? WHERE job = ? AND n = ? AND token = ? "
                    "AND status = 'running'",
                    (until, *claim.key, claim.token),
                ).rowcount
            ]

    def release(self, claim: Claim) -> None:
        """See ``JobStore``."""
        with self._rows.writing() as db:
            db.execute(
                "UPDATE items SET status = 'queued', attempts = attempts - 1, facts = NULL "
                "WHERE job = ? AND n = ? AND token = ? AND status = 'running'",
                (*claim.key, claim.token),
            )

    def finish(self, claim: Claim, done: Done, result: Path | None = None) -> bool:
        """See ``JobStore``."""
        kept, size = self._files.result(*claim.key, claim.token), 0
        try:
            if result is not None:
                with disk_errors():
                    size = put(result, kept)
            with self._rows.writing(durable=True) as db:
                mine = self._finish(db, claim, done, size)
        except FileNotFoundError:  # its folder went with the job
            mine = False
        if mine:
            for path in (self._files.source(*claim.key), self._files.background(*claim.key)):
                path.unlink(missing_ok=True)
        else:
            for left in (kept, result):
                if left is not None:
                    left.unlink(missing_ok=True)
        return mine

    def result(self, item: ItemRecord) -> BinaryIO | None:
        """See ``JobStore``."""
        try:
            return self._files.result(item.job, item.index, item.token).open("rb")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise failed(error) from error

    def cancel(self, job: str) -> JobRecord | None:
        """See ``JobStore``."""
        now = time.time()
        with self._rows.writing(durable=True) as db:
            changed = db.execute(
                "UPDATE jobs SET status = 'cancelled', finished = ?, expires = ?, "
                "bytes = total * ? WHERE id = ? AND status IN ('queued', 'running')",
                (now, now + self._keep_s, ROW_BYTES, job),
            ).rowcount
            if changed:
                db.execute(
                    "UPDATE items SET status = 'cancelled', size = 0, token = '', facts = CASE "
                    "status WHEN 'running' THEN NULL ELSE facts END WHERE job = ? "
                    "AND status IN ('queued', 'running', 'done')",
                    (job,),
                )
                tell(db, job, "job.cancelled", now)
            else:
                self._forget(db, job, now)
        self._files.remove(job)
        return self.job(job)

    def expire(self) -> int:
        """See ``JobStore``."""
        now = time.time()
        with self._rows.using() as db:
            due = db.execute(
                "SELECT id, status FROM jobs WHERE expires < ? LIMIT 100", (now,)
            ).fetchall()
        for row in due:
            with self._rows.writing() as db:
                if row["status"] in ("expired", "cancelled"):
                    db.execute("DELETE FROM items WHERE job = ?", (row["id"],))
                    db.execute("DELETE FROM jobs WHERE id = ?", (row["id"],))
                else:
                    self._forget(db, row["id"], now)
            self._files.remove(row["id"])
        return len(due)

    def usage(self) -> Usage:
        """See ``JobStore``."""
        with self._rows.using() as db:
            row = db.execute(
                "SELECT COALESCE(SUM(bytes), 0) AS bytes, COALESCE(SUM(CASE WHEN status IN "
                "('queued', 'running') THEN total - done - failed END), 0) AS waiting FROM jobs"
            ).fetchone()
        return Usage(**row)

    def claim_events(
        self, *, lease_s: float, limit: int = 1, without: Collection[str] = ()
    ) -> list[Event]:
        """See ``JobStore``."""
        return due_events(self._rows, lease_s=lease_s, limit=limit, without=without)

    def settle_event(self, event: Event, again_s: float | None) -> None:
        """See ``JobStore``."""
        settle(self._rows, event, again_s)

    def secret(self) -> bytes:
        """See ``JobStore``."""
        with self._rows.writing(durable=True) as db:
            db.execute(
                "INSERT INTO secrets VALUES (1, ?) ON CONFLICT DO NOTHING",
                (secrets.token_bytes(32),),
            )
            return bytes(db.execute("SELECT value FROM secrets").fetchone()["value"])

    def recover(self) -> None:
        """See ``JobStore``."""
        with self._rows.writing(durable=True) as db:
            db.execute("UPDATE items SET status = 'queued', facts = NULL WHERE status = 'running'")
            known = {
                row["job"]
                for row in db.execute(
                    "SELECT id AS job FROM jobs WHERE status NOT IN ('cancelled', 'expired')"
                )
            }
        for job in self._files.jobs():
            if job in known:
                self._files.keep_only(job, self._wanted(job))
            else:
                self._files.remove(job)

    def close(self) -> None:
        """See ``JobStore``."""
        self._rows.close()

    def _wanted(self, job: str) -> set[str]:
        """Names of the files of ``job`` that rows speak of."""
        with self._rows.using() as db:
            rows = db.execute("SELECT n, status, token FROM items WHERE job = ?", (job,)).fetchall()
        wanted: set[str] = set()
        for row in rows:
            if row["status"] == "done":
                wanted.add(self._files.result(job, row["n"], row["token"]).name)
            elif row["status"] != "failed":
                own = (self._files.source(job, row["n"]), self._files.background(job, row["n"]))
                wanted.update(path.name for path in own)
        return wanted

    def _insert(self, db: sqlite3.Connection, job: NewJob, key: str, needed: int) -> JobRecord:
        now = time.time()
        expires = now + UNFINISHED_KEEPS * self._keep_s
        own, request = job.idempotency or (None, None)
        db.execute(
            "INSERT INTO jobs (id, caller, kind, status, options, callback, created, expires, "
            "total, bytes, idempotency, request) VALUES (?, ?, ?, 'queued', ?, ?, ?, ?, ?, ?, ?, "
            "?)",
            (
                *(key, job.caller, job.kind, job.options, job.callback, now, expires),
                *(len(job.items), needed, own, request),
            ),
        )
        db.executemany(
            "INSERT INTO items (job, n, name, url, turn) VALUES (?, ?, ?, ?, ?)",
            [(key, n, item.name, item.url, now + n * TURN_S) for n, item in enumerate(job.items)],
        )
        row = db.execute(f"SELECT {JOB} FROM jobs WHERE id = ?", (key,)).fetchone()
        return JobRecord(**row)

    def _finish(self, db: sqlite3.Connection, claim: Claim, done: Done, size: int) -> bool:
        failed = done.error is not None
        if not db.execute(
            "UPDATE items SET status = ?, facts = ?, error = ?, format = ?, size = ? "
            "WHERE job = ? AND n = ? AND token = ? AND status = 'running'",
            (
                "failed" if failed else "done",
                None if failed else json.dumps(dict(done.facts)),
                json.dumps(dict(done.error)) if done.error is not None else None,
                *(done.format, size, *claim.key, claim.token),
            ),
        ).rowcount:
            # Told before, by the same claim, if the disk failed while that was committed.
            return bool(
                db.execute(
                    "SELECT 1 FROM items WHERE job = ? AND n = ? AND token = ? "
                    "AND status IN ('done', 'failed')",
                    (*claim.key, claim.token),
                ).fetchone()
            )
        for path in (self._files.source(*claim.key), self._files.background(*claim.key)):
            with suppress(OSError):
                size -= path.stat().st_size
        row = db.execute(
            "UPDATE jobs SET done = done + ?, failed = failed + ?, bytes = bytes + ? WHERE id = ? "
            "RETURNING total, done, failed",
            (not failed, failed, size, claim.job),
        ).fetchone()
        if (status := ended(**row)) is not None:
            now = time.time()
            db.execute(
                "UPDATE jobs SET status = ?, finished = ?, expires = ? WHERE id = ?",
                (status, now, now + self._keep_s, claim.job),
            )
            tell(db, claim.job, f"job.{status}", now)
        return True

    def _forget(self, db: sqlite3.Connection, job: str, now: float) -> None:
        """Only that there was such a job stays, for as long again."""
        if db.execute(
            "UPDATE jobs SET status = 'expired', expires = ?, bytes = ? WHERE id = ? "
            "AND status NOT IN ('expired', 'cancelled')",
            (now + self._keep_s, ROW_BYTES, job),
        ).rowcount:
            db.execute("DELETE FROM items WHERE job = ?", (job,))
