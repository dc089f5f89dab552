"""What is asked of a batch, who hears of it, and what it says at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from cleancut.annotation.export import LABELS
from cleancut.batch import storage
from cleancut.batch.inputs import LeftOut
from cleancut.batch.ledger import THUMBS
from cleancut.batch.local import TIMEOUT_S
from cleancut.options import Options, parse_background

if TYPE_CHECKING:
    from cleancut.annotation.export import Export
    from cleancut.batch.choose import Choice
    from cleancut.batch.job import Event
    from cleancut.batch.worker import WorkerConfig
    from cleancut.errors import CleancutError

#: Folder of the output where copies of unsure results go.
REVIEW = "review"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRequest:
    """What is asked of a batch: the fields are the flags of ``cleancut batch``.

    ``inputs`` are what ``batch.inputs.resolve`` reads, ``out`` a folder or a URL of one. ``shard``
    is (i, n), i from 1. ``workers`` are pictures at once, or actors on a cluster; ``threads`` those
    of one network, ``timeout_s`` seconds a picture. ``gpus`` are those of this machine, and
    ``gpus_per_worker`` what an actor has of a cluster's, None for a fair share of them. ``cache``
    is a place for ``open_cache``; with an ``export`` it is left alone, since what it keeps are
    files and no mattes.
    """

    inputs: Sequence[str]
    out: str
    options: Options = field(default_factory=Options)
    retry_failed: bool = False
    overwrite: bool = False
    limit: int | None = None
    shard: tuple[int, int] | None = None
    watch: bool = False
    move_done: str | None = None
    review_below: float | None = None
    export: Export | None = None
    cache: str | None = None
    cache_bytes: int | None = None
    workers: int | None = None
    threads: int | None = None
    gpus: str | None = None
    timeout_s: float = TIMEOUT_S
    engine: Literal["local", "ray"] = "local"
    address: str | None = None
    gpus_per_worker: float | None = None

    @property
    def reserved(self) -> list[str]:
        """Names at the top of the output that no folder of pictures gets."""
        review = [REVIEW] if self.review_below is not None else []
        return review if self.export is None or self.export.kind != "yolo" else [*review, LABELS]


class Listener(Protocol):
    """Whoever wants to know how it goes; called from the thread that runs the batch."""

    def total(self, pictures: int) -> None:
        """So many pictures are in the inputs, to be done or not; from a thread of its own."""
        ...

    def passed(self, choice: Choice) -> None:
        """A picture is not to be done in this run; from the thread that draws jobs."""
        ...

    def event(self, event: Event) -> None:
        """Something has happened, and the ledger knows."""
        ...


@dataclass(slots=True)
class Summary:
    """What a batch has done.

    ``skipped`` counts what was not to be done: "done" in an earlier run, "failed" in one and left
    alone, "elsewhere" for another shard. ``unsure`` are results below ``review_below``.
    ``network_s`` is the time that networks took, summed over pictures. ``reports`` are the files to
    look at. ``stopped`` is what ended the run before its time.
    """

    done: int = 0
    cached: int = 0
    failed: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    unsure: int = 0
    seconds: float = 0.0
    network_s: float = 0.0
    interrupted: bool = False
    left_out: LeftOut = field(default_factory=LeftOut)
    reports: tuple[str, ...] = ()
    stopped: CleancutError | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "done": self.done,
            "cached": self.cached,
            "failed": self.failed,
            "skipped": dict(self.skipped),
            "unsure": self.unsure,
            "seconds": round(self.seconds, 2),
            "network_seconds": round(self.network_s, 2),
            "interrupted": self.interrupted,
            "left_out": dict(self.left_out.counts),
            "reports": list(self.reports),
        }


class Deaf:
    """A listener that does not listen."""

    def total(self, pictures: int) -> None:
        """Nothing."""

    def passed(self, choice: Choice) -> None:
        """Nothing."""

    def event(self, event: Event) -> None:
        """Nothing."""


def settings(request: BatchRequest) -> dict[str, Any]:
    """What the pixels of an output depend on, beside the picture."""
    from cleancut.cache.key import changed
    from cleancut.imaging.files import read_bytes
    from cleancut.models.choose import choose as choose_models
    from cleancut.weights.resolve import resolve as find_weights

    options = request.options
    choice = choose_models(options)
    rows = [row for row in (choice.lead, choice.portrait, choice.second) if row is not None]
    found: dict[str, Any] = {
        "options": changed(options),
        "format": options.format or "png",
        "models": {
            row.id: "" if row.family == "echo" else find_weights(row).sha256 for row in rows
        },
    }
    if request.export is not None:
        found["export"] = request.export.to_json()
    backdrop = parse_background(options.background)
    if backdrop is not None:
        found["background"] = options.background
        if backdrop.path is not None:
            import hashlib

            found["background"] = hashlib.sha256(read_bytes(backdrop.path)).hexdigest()
    return found


def worker_config(request: BatchRequest) -> WorkerConfig:
    """What a worker is told of the request."""
    from cleancut.batch.worker import WorkerConfig

    return WorkerConfig(
        options=request.options.to_json(),
        cache=request.cache if request.export is None else None,
        cache_bytes=request.cache_bytes,
        threads=request.threads,
        thumbs=storage.join(request.out, THUMBS),
        review=storage.join(request.out, REVIEW) if request.review_below is not None else "",
        review_below=request.review_below,
        export="" if request.export is None else request.export.to_json(),
        out=request.out,
    )
