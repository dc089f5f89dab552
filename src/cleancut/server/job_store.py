"""What a store of jobs keeps, and what it promises; SQLite and Redis are two of one kind.

A job is a list of pictures, its items, that one caller sent. Items are claimed for a time (a
lease) by whoever works; a claim carries a token, and only the holder of the last token of an item
may say what came of it. So a worker that was given up for dead and comes back changes nothing.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Protocol

from cleancut.errors import Busy, JobConflict, StorageFailed

if TYPE_CHECKING:
    from cleancut.server.settings import Settings

JobStatus = Literal["queued", "running", "done", "failed", "cancelled", "expired"]
ItemStatus = Literal["queued", "running", "done", "failed", "cancelled"]
EventType = Literal["job.done", "job.failed", "job.cancelled"]

#: A job that is in none of these is still at work.
FINAL = frozenset({"done", "failed", "cancelled", "expired"})
#: Items wait as if those of one job had come in this many seconds apart, so that a small job that
#: comes after a large one need not wait for all of it.
TURN_S = 1.0
#: A job that was never finished goes after so many times the time for which results are kept.
UNFINISHED_KEEPS = 7
#: What a row is taken to cost of the store's room, whatever its picture does.
ROW_BYTES = 1024
#: Items may wait at most, all jobs together.
MAX_WAITING = 100_000

_JOB_ID = re.compile(r"job_[0-9a-f]{32}")


def new_job_id() -> str:
    """An id that nobody can guess (128 bits)."""
    return f"job_{secrets.token_hex(16)}"


def is_job_id(text: str) -> bool:
    """Whether ``text`` looks like an id of ours; nothing else is looked up anywhere."""
    return _JOB_ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewItem:
    """One picture or video of a job: a file that the store takes over, or a URL to fetch later.

    ``background`` is a picture to stand behind the subject, which the store takes over too.
    """

    name: str
    source: Path | None = None
    url: str | None = None
    background: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """What a caller asks for. ``options`` is the canonical JSON of ``Options``; of a job of the
    kind "video" that of ``video_form.VideoWish``.

    ``idempotency`` is a digest of the caller's own key for this request, and one of the request:
    the same pair gives the job that is there, the same key with another request ``JobConflict``.
    """

    caller: str
    options: str
    items: Sequence[NewItem]
    kind: str = "cutout"
    callback: str | None = None
    idempotency: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """A job as it stands; times are seconds since the epoch, None if it has not happened.

    ``expires`` is when its results go; for one at work, when it would be given up.
    """

    id: str
    caller: str
    kind: str
    status: JobStatus
    options: str
    callback: str | None
    created: float
    started: float | None
    finished: float | None
    expires: float
    total: int
    done: int
    failed: int

    @property
    def final(self) -> bool:
        """Whether nothing more will be done."""
        return self.status in FINAL


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRecord:
    """One picture of a job as it stands; ``size`` are the bytes of its result, 0 without one.

    ``token`` is that of the claim that made the result, "" without one.
    """

    job: str
    index: int
    name: str
    status: ItemStatus
    facts: Mapping[str, Any] | None = None
    error: Mapping[str, str] | None = None
    format: str = ""
    size: int = 0
    token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An item that is ours to do until the lease ends. ``attempts`` counts this one, from 1."""

    job: str
    index: int
    token: str
    attempts: int
    caller: str
    options: str
    name: str
    url: str | None
    kind: str = "cutout"

    @property
    def key(self) -> tuple[str, int]:
        """Which item it is."""
        return self.job, self.index


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of an item: facts and format of a cutout, or an error's code, message, hint."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    format: str = ""
    error: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """That a job ended, for its callback. ``id`` stays the same however often it is told."""

    id: str
    type: EventType
    job: str
    caller: str
    url: str
    created: float
    expires: float
    total: int
    done: int
    failed: int
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """Items that wait or are in work, and bytes of pictures, results and rows."""

    waiting: int
    bytes: int


class JobStore(Protocol):
    """Where jobs are kept. Every method may be called from any thread and blocks.

    All raise ``StorageFailed`` when the store cannot be used just now.
    """

    def add(self, job: NewJob) -> tuple[JobRecord, bool]:
        """Keep ``job`` durably, pictures and rows, before it returns; True if it is a new one.

        Raises ``JobConflict`` (see ``NewJob``), ``Busy`` (too many items wait), ``StorageFailed``
        (no room).
        """
        ...

    def job(self, job: str) -> JobRecord | None:
        """The job of this id."""
        ...

    def jobs(self, caller: str, *, limit: int, offset: int = 0) -> list[JobRecord]:
        """Jobs of a caller, the latest first."""
        ...

    def items(self, job: str, *, limit: int, offset: int = 0) -> list[ItemRecord]:
        """Items of a job in their order; empty once they are gone."""
        ...

    def claim(self, *, lease_s: float, limit: int = 1, kind: str = "cutout") -> list[Claim]:
        """Take items of jobs of this kind whose turn it is, also those whose lease ended."""
        ...

    def source(self, claim: Claim, folder: Path) -> Path | None:
        """A file with the picture, in ``folder`` if it has to be made; None if there is none."""
        ...

    def background(self, claim: Claim, folder: Path) -> Path | None:
        """A file with the picture to stand behind the subject, as ``source`` gives the other."""
        ...

    def progress(self, claim: Claim, facts: Mapping[str, Any]) -> None:
        """Keep how far an item is, as its facts until it is finished; nothing if it is not ours."""
        ...

    def renew(self, claims: Sequence[Claim], *, lease_s: float) -> list[Claim]:
        """Hold ``claims`` longer; those that are no longer ours are returned."""
        ...

    def release(self, claim: Claim) -> None:
        """Give an item back undone; that does not count as an attempt."""
        ...

    def finish(self, claim: Claim, done: Done, result: Path | None = None) -> bool:
        """Say what came of it, durably; the file ``result`` is taken over.

        False if the item is no longer ours: nothing changes then.
        """
        ...

    def result(self, item: ItemRecord) -> BinaryIO | None:
        """The result's bytes, to be closed by the caller; None if they are gone."""
        ...

    def cancel(self, job: str) -> JobRecord | None:
        """Call a job off, or remove the results of one that has ended ("expired" then)."""
        ...

    def expire(self) -> int:
        """Remove what is past its time; how many jobs were touched."""
        ...

    def usage(self) -> Usage:
        """What is kept."""
        ...

    def claim_events(
        self, *, lease_s: float, limit: int = 1, without: Collection[str] = ()
    ) -> list[Event]:
        """Events whose turn it is to be told, but for those of the callers ``without``."""
        ...

    def settle_event(self, event: Event, again_s: float | None) -> None:
        """It was told, or never will be; or it is to be told again after ``again_s`` seconds."""
        ...

    def secret(self) -> bytes:
        """A secret of 32 bytes, made once, the same for all that share the store."""
        ...

    def recover(self) -> None:
        """Called once before work begins: pick up what a killed process left behind."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


def ended(total: int, done: int, failed: int) -> JobStatus | None:
    """How a job with these counts has ended, None if it has not."""
    if done + failed < total:
        return None
    return "failed" if failed == total else "done"


def event_id(job: str, kind: str) -> str:
    """The id of an event, made from what it says, so that telling it twice is seen."""
    return f"msg_{job.removeprefix('job_')}_{kind.removeprefix('job.')}"


def conflict() -> JobConflict:
    """The error for an idempotency key that came with two requests."""
    return JobConflict(
        "this Idempotency-Key was used for another request",
        hint="send a new key with every new job",
    )


def check_room(used: Usage, items: Iterable[NewItem], *, max_bytes: int) -> int:
    """The bytes that ``items`` take; raises ``Busy`` or ``StorageFailed`` if there is no room."""
    count = needed = 0
    for item in items:
        count += 1
        files = [path for path in (item.source, item.background) if path is not None]
        needed += ROW_BYTES + sum(path.stat().st_size for path in files)
    if used.waiting + count > MAX_WAITING:
        raise Busy(
            f"{used.waiting} pictures of jobs are waiting already",
            hint="send the job again later",
            retry_after_s=60.0,
        )
    if used.bytes + needed > max_bytes:
        raise no_room()
    return needed


def no_room() -> StorageFailed:
    """The error for a store that is full."""
    return StorageFailed(
        "there is no room for the pictures of this job",
        hint="remove finished jobs (DELETE /v1/jobs/ID), or send it again later",
    )


def opened(settings: Settings) -> JobStore:
    """The store that ``settings`` ask for. Raises ``StorageFailed``, ``BadOption``."""
    if settings.redis:
        from cleancut.server.redis_jobs import RedisJobs

        return RedisJobs(settings.redis, keep_s=settings.keep_s, max_bytes=settings.job_storage)
    from cleancut.server.sqlite_jobs import SqliteJobs

    folder = settings.data / "jobs"
    try:
        return SqliteJobs(folder, keep_s=settings.keep_s, max_bytes=settings.job_storage)
    except StorageFailed as error:  # told to the operator, who may know where it is
        raise StorageFailed(
            f"{folder}: {error.message}",
            hint="check the disk; or move this folder away, and all jobs are forgotten",
        ) from error
