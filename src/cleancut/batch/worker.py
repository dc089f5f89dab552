"""Whoever does one job: read, cut, write. The same in a child process and on a cluster."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cleancut.batch import storage
from cleancut.batch.budget import Budget, affordable_megapixels, megapixels
from cleancut.batch.job import Job, Outcome, error_facts
from cleancut.engine import Engine, memory_errors
from cleancut.errors import CleancutError, OutOfMemory
from cleancut.options import Options

if TYPE_CHECKING:
    from cleancut.result import Encoded

#: Called with "waiting" when a job has to wait for memory, and with "going" when it goes on.
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerConfig:
    """All that a worker needs to know; plain values, which cross process borders as JSON.

    ``options`` is the canonical JSON of ``Options``. ``cache`` is a place for ``open_cache``, None
    for no cache. ``threads`` limits the threads of one network. ``thumbs`` is the folder that
    thumbnails go to, "" for none. Results of lower confidence than ``review_below`` are also
    written below ``review``. ``megapixels`` may be in flight together, None: what memory allows.
    """

    options: str = "{}"
    cache: str | None = None
    cache_bytes: int | None = None
    threads: int | None = None
    thumbs: str = ""
    review: str = ""
    review_below: float | None = None
    megapixels: float | None = None

    def to_json(self) -> str:
        """One line of JSON; ``from_json`` reads it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> WorkerConfig:
        """The configuration that ``to_json`` wrote."""
        return cls(**json.loads(text))


class Worker:
    """Does jobs, from any number of threads; keeps networks warm between them."""

    def __init__(self, config: WorkerConfig) -> None:
        from cleancut.cache import DEFAULT_MAX_BYTES, open_cache

        self.config = config
        options = Options.from_mapping(json.loads(config.options))
        cache = open_cache(config.cache, max_bytes=config.cache_bytes or DEFAULT_MAX_BYTES)
        self.engine = Engine(options, threads=config.threads, cache=cache)
        self._cache = cache
        self._budget = Budget(config.megapixels or affordable_megapixels())

    def warm_up(self) -> None:
        """Load what the first picture will need; raises what would fail every picture."""
        panel, _ = self.engine.panel_for(self.engine.options)
        panel.lead()

    def close(self) -> None:
        """Close the cache."""
        if self._cache is not None:
            self._cache.close()

    def __call__(self, job: Job, tell: Tell | None = None) -> Outcome:
        """Do ``job``; whatever goes wrong with it is in the outcome, and nothing is raised."""
        started = time.perf_counter()
        try:
            with memory_errors():
                outcome = self._done(job, tell)
        except CleancutError as error:
            outcome = Outcome(job.id, "failed", error=error_facts(error))
        except Exception as error:  # a bug must not end the other thousand pictures
            outcome = Outcome(job.id, "failed", error=error_facts(_bug(error)))
        return replace(outcome, seconds=round(time.perf_counter() - started, 4))

    def _done(self, job: Job, tell: Tell | None) -> Outcome:
        clock = time.perf_counter()
        data = storage.read(job.source, size=job.size)
        digest = hashlib.sha256(data).hexdigest()
        read_ms = 1000 * (time.perf_counter() - clock)

        def on_wait(waiting: bool) -> None:
            if tell is not None:
                tell("waiting" if waiting else "going")

        with self._budget.take(megapixels(data), on_wait):
            encoded = self.engine.encoded(data)
            clock = time.perf_counter()
            storage.write(job.target, encoded.data)
            thumb = self._thumb(job, encoded)
        sure = encoded.facts.get("confidence")
        below = self.config.review_below
        facts = dict(encoded.facts)
        if below is not None and sure is not None and sure < below:
            copy = storage.join(self.config.review, job.name)
            storage.write(copy, encoded.data)
            facts["review"] = copy
        timings = facts.get("timings_ms", {})
        write_ms = 1000 * (time.perf_counter() - clock)
        facts["timings_ms"] = {"read": round(read_ms, 1), **timings, "write": round(write_ms, 1)}
        return Outcome(
            job.id,
            "done",
            sha256=digest,
            written=len(encoded.data),
            cached=encoded.cached,
            thumb=thumb,
            facts=facts,
        )

    def _thumb(self, job: Job, encoded: Encoded) -> str:
        """Write the thumbnail and return its name; a cutout is not lost for want of one."""
        from cleancut.batch.thumbs import thumbnail

        if not self.config.thumbs:
            return ""
        name = f"{job.id}.webp"
        try:
            _write_soon(storage.join(self.config.thumbs, name), thumbnail(encoded))
        except (CleancutError, OSError):
            return ""
        return name


def _write_soon(place: str, data: bytes) -> None:
    """Write a file whole or not at all, without waiting for the disk."""
    if storage.is_remote(place):
        storage.write(place, data)
        return
    storage.make_folder(storage.parent(place))
    draft = Path(storage.join(storage.parent(place), f".cleancut-{secrets.token_hex(6)}.part"))
    draft.write_bytes(data)
    draft.replace(place)


def _bug(error: Exception) -> CleancutError:
    if isinstance(error, MemoryError):
        return OutOfMemory("memory ran out on this picture", hint="shrink the picture first")
    text = " ".join(f"{error}".split())[:300]
    return CleancutError(
        f"unexpected {type(error).__name__}: {text}",
        hint="this is a bug: cut this picture alone with cleancut cut --debug and report it",
    )
