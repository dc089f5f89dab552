"""Jobs as clients see them: the models of the answers, and how they are made from records."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from cleancut.server.job_store import ItemRecord, JobRecord
from cleancut.server.links import Links
from cleancut.server.webhooks import told_time
from cleancut.server.wording import public

#: Facts of a cutout that are worth keeping with an item.
_FACTS = (
    *("model", "models", "size", "output_size", "box", "coverage", "confidence"),
    *("reasons", "notes", "timings_ms"),
)


#: Facts of a video.
_VIDEO_FACTS = (
    *("networks", "size", "frames", "cuts", "seconds", "start_s", "video_s", "fps", "confidence"),
    *("unsure", "notes"),
)


class Progress(BaseModel):
    """How many pictures there are, and how many have ended which way."""

    total: int
    done: int
    failed: int


class Failure(BaseModel):
    """Why a picture could not be cut."""

    code: str = Field(description="stable name of the error, see docs/errors.md")
    message: str
    hint: str = ""


class VideoProgress(BaseModel):
    """How far a video in work is."""

    share: float = Field(description="what is done of it, 0 to 1")
    seconds_left: float | None = Field(default=None, description="null while nobody knows")
    frames: int | None = Field(default=None, description="frames that are done")
    fps: float | None = Field(default=None, description="frames that are done in a second")


class Item(BaseModel):
    """One picture of a job, or its video."""

    index: int = Field(description="its place in the request, from 0")
    name: str
    status: Literal["queued", "running", "done", "failed", "cancelled"]
    facts: dict[str, Any] | None = Field(
        default=None,
        description="model, size, box, confidence, notes and timings of the cutout; of a video its "
        "networks, size, frames, cuts, seconds of work, where it begins and its length in seconds "
        "(start_s, video_s), fps, confidence, spans of the source's seconds with low confidence "
        "(unsure: first, last, lowest), notes",
    )
    progress: VideoProgress | None = Field(default=None, description="of a video in work")
    error: Failure | None = None
    format: str | None = Field(default=None, description="of the result")
    size_bytes: int | None = Field(default=None, description="of the result")
    result: str | None = Field(
        default=None, description="address of the result; needs no key until the job expires"
    )


class JobSummary(BaseModel):
    """A job without its pictures."""

    id: str
    kind: Literal["cutout", "video"]
    status: Literal["queued", "running", "done", "failed", "cancelled", "expired"] = Field(
        description="failed only if every picture failed; expired once the results are gone"
    )
    created: datetime
    started: datetime | None = None
    finished: datetime | None = None
    expires: datetime = Field(
        description="when the results go; of a job at work, when it is given up"
    )
    progress: Progress
    link: str = Field(description="address of this job")
    archive: str | None = Field(
        default=None, description="address of a ZIP of all results; needs no key until then"
    )


class Job(JobSummary):
    """A job and a page of its pictures."""

    items: list[Item]
    next: str | None = Field(default=None, description="address of the next page of items")


class JobList(BaseModel):
    """Jobs of the caller, the latest first."""

    jobs: list[JobSummary]
    next: str | None = Field(default=None, description="address of the next page")


class WebhookSecret(BaseModel):
    """What the signatures of this caller's webhooks are checked with."""

    secret: str = Field(
        description="for libraries of standardwebhooks.com", examples=["whsec_c2VjcmV0..."]
    )


def job_path(job: str) -> str:
    """The path of a job."""
    return f"/v1/jobs/{job}"


def item_path(job: str, index: int) -> str:
    """The path of one result."""
    return f"/v1/jobs/{job}/items/{index}"


def archive_path(job: str) -> str:
    """The path of the ZIP of all results."""
    return f"/v1/jobs/{job}/archive"


def summary_of(job: JobRecord, links: Links, base: str) -> dict[str, Any]:
    """The fields of ``JobSummary``; ``base`` is what addresses begin with."""
    archive = None
    if job.status == "done":
        archive = base + links.signed(archive_path(job.id), job.expires)
    return {
        "id": job.id,
        "kind": job.kind,
        "status": job.status,
        "created": told_time(job.created),
        "started": _time(job.started),
        "finished": _time(job.finished),
        "expires": told_time(job.expires),
        "progress": {"total": job.total, "done": job.done, "failed": job.failed},
        "link": base + job_path(job.id),
        "archive": archive,
    }


def item_of(item: ItemRecord, job: JobRecord, links: Links, base: str) -> dict[str, Any]:
    """The fields of ``Item``."""
    done, told = item.status == "done", item.facts
    names = _VIDEO_FACTS if job.kind == "video" else _FACTS
    path = item_path(job.id, item.index)
    return {
        "index": item.index,
        "name": item.name,
        "status": item.status,
        "facts": _facts(told, names) if done and told is not None else None,
        "error": dict(item.error) if item.error is not None else None,
        "progress": dict(told) if item.status == "running" and told is not None else None,
        "format": item.format if done else None,
        "size_bytes": item.size if done else None,
        "result": base + links.signed(path, job.expires) if done and job.final else None,
    }


def _facts(facts: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    told = {name: facts[name] for name in names if name in facts}
    told["notes"] = [public(str(note)) for note in told.get("notes") or ()]
    return told


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else told_time(seconds)


EXAMPLE: dict[str, Any] = {
    "id": "job_0f8fad5bd9cb469fa16570867728950e",
    "kind": "cutout",
    "status": "done",
    "created": "2026-11-22T10:00:00Z",
    "started": "2026-11-22T10:00:01Z",
    "finished": "2026-11-22T10:00:04Z",
    "expires": "2026-11-23T10:00:04Z",
    "progress": {"total": 2, "done": 1, "failed": 1},
    "link": "https://cutouts.example/v1/jobs/job_0f8fad5bd9cb469fa16570867728950e",
    "archive": "https://cutouts.example/v1/jobs/job_0f8fad5bd9cb469fa16570867728950e/archive"
    "?expires=1795514404&signature=Q0xFQU4",
    "items": [
        {
            "index": 0,
            "name": "cat.jpg",
            "status": "done",
            "facts": {"model": "isnet", "size": [1024, 768], "confidence": 0.97, "notes": []},
            "error": None,
            "progress": None,
            "format": "png",
            "size_bytes": 183042,
            "result": "https://cutouts.example/v1/jobs/job_0f8fad5bd9cb469fa16570867728950e"
            "/items/0?expires=1795514404&signature=Q0xFQU4",
        },
        {
            "index": 1,
            "name": "notes.txt",
            "status": "failed",
            "facts": None,
            "error": {"code": "unreadable-image", "message": "this is text", "hint": ""},
            "progress": None,
            "format": None,
            "size_bytes": None,
            "result": None,
        },
    ],
    "next": None,
}
