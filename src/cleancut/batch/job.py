"""One picture of a batch: what is to be done, and what came of it."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from cleancut.errors import CleancutError, OutputNotWritable

Status = Literal["done", "failed"]

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


@dataclass(frozen=True, slots=True)
class Job:
    """A picture and where its cutout goes.

    ``id`` is the same in every run over the same inputs and output. ``source`` and ``target`` are
    local paths or URLs; ``name`` is the target relative to the output folder, with forward
    slashes. ``version`` tells one state of the source from another (size and time of change, or an
    object store's tag), ``size`` is its bytes, None where the place does not say. ``attempts``
    counts how often this picture was begun before and never ended. ``path`` is the source's own
    name in the tree of its input, with forward slashes.

    ``options`` is ``Options.to_json()`` of all options of this picture, "" for the worker's own.
    ``guidance`` are fields of ``Guidance``: points and boxes as text, pictures as local paths, read
    by the worker. ``durable`` results are synced to the disk, others are only written whole.

    ``video`` is ``VideoOrder.to_json()`` where the job is a video, or a part of one, "" for a
    picture. Its source and target are the job's own; those of ``target`` for a part are the part's.
    """

    id: str
    source: str
    target: str
    name: str
    version: str = ""
    size: int | None = None
    attempts: int = 0
    path: str = ""
    options: str = ""
    guidance: Mapping[str, str] = field(default_factory=dict, hash=False)
    durable: bool = True
    video: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one job.

    ``facts`` are those of ``Result.to_dict()``, empty for a failure. ``error`` holds code, kind,
    message and hint of a failure. ``seconds`` are from reading to the output being safe on disk,
    ``sha256`` is the digest of the source's bytes, ``written`` the bytes of the output. ``thumb``
    is the name of the thumbnail beside the ledger, "" without one.
    """

    id: str
    status: Status
    seconds: float = 0.0
    sha256: str = ""
    written: int = 0
    cached: bool = False
    thumb: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, str] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Started:
    """A worker has begun this picture."""

    job: Job


@dataclass(frozen=True, slots=True)
class Finished:
    """A worker is through with this picture; its output, if there is one, is safe."""

    job: Job
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that a person should know about the run itself, like a lost worker."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Progressed:
    """A worker is so far with this video.

    ``share`` is what is done of it, 0 to 1; ``left_s`` the seconds that are left, None if that
    cannot be said yet. ``words`` are what the worker said, both included; behind them are the
    frames that are done and the frames a second.
    """

    job: Job
    share: float
    left_s: float | None = None
    words: tuple[str, ...] = ()


Event: TypeAlias = Started | Finished | Notice | Progressed


class Runner(Protocol):
    """Whoever gets jobs done: processes of this machine, or a cluster."""

    def run(self, jobs: Iterable[Job]) -> Iterator[Event]:
        """Do ``jobs``, which are drawn as they are needed, and tell what happens.

        Every job drawn is answered by one ``Finished``, unless the iterator is closed before.
        """
        ...


def error_facts(error: CleancutError) -> dict[str, str]:
    """Code, kind, message and hint of ``error``; ``scope`` is "run" if it would hit every job."""
    facts = {
        "code": error.code,
        "kind": error.kind,
        "message": error.message,
        "hint": error.hint,
    }
    cause: Any = error.__cause__
    if isinstance(error, OutputNotWritable) and getattr(cause, "errno", None) in _DISK_ERRORS:
        facts["scope"] = "run"
    return facts


def error_from(code: str, message: str, hint: str) -> CleancutError:
    """The error that another process has described; one of an unknown code is a plain one."""
    kinds = [CleancutError]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    found = next((kind for kind in kinds if kind.code == code), CleancutError)
    return found(message, hint=hint)
