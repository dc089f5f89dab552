"""Whoever does one job: read, cut, write. The same in a child process and on a cluster."""

from __future__ import annotations

import gc
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cleancut.annotation.export import Export
from cleancut.backends.memory import give_back
from cleancut.batch import storage
from cleancut.batch.budget import (
    Budget,
    affordable_megapixels,
    is_memory_short,
    limit_process,
    megapixels,
    shares,
)
from cleancut.batch.job import Job, Outcome, error_facts
from cleancut.engine import Engine, memory_errors, out_of_memory
from cleancut.errors import CleancutError, OutOfMemory, OutputNotWritable
from cleancut.guidance import PICTURES, Guidance
from cleancut.options import Options, parse_background, parse_canvas, parse_sheet

if TYPE_CHECKING:
    from cleancut.models.shelf import LoadedModel
    from cleancut.result import Encoded

#: Called with "waiting" when a job has to wait for memory, and with "going" when it goes on; for a
#: video now and then with "progress 0.351 9.2 152 25.1": the share done, the seconds left ("-" for
#: unknown), frames done, frames a second.
Tell = Callable[[str], None]

#: Under a limit of memory it is memory that decides, not their number.
_MANY_MODELS = 64
#: Where the size of nearly every picture is told; metadata may stand before it.
_HEADER_BYTES = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerConfig:
    """All that a worker needs to know; plain values, which cross process borders as JSON.

    ``options`` is the canonical JSON of ``Options``. ``cache`` is a place for ``open_cache``, None
    for no cache. ``threads`` limits the threads of one network. ``thumbs`` is the folder that
    thumbnails go to, "" for none. Results of lower confidence than ``review_below`` are also
    written below ``review``. ``export`` is ``Export.to_json()``, "" for none, and its files go
    below ``out``. ``megapixels`` may be in flight together, None: what memory allows.
    ``memory`` is what the whole process may take, in bytes: models come and go below their share of
    it, pictures wait for theirs, and what would go beyond fails. None for the batch's way, a few
    models and as many pictures as free memory allows, of which each of ``processes`` has a part.
    With ``whole_panel`` every network that may
    be asked is loaded before the first picture, and not when it is first asked. A worker for
    ``videos`` loads none before it has seen the first video.
    """

    options: str = "{}"
    cache: str | None = None
    cache_bytes: int | None = None
    threads: int | None = None
    thumbs: str = ""
    review: str = ""
    review_below: float | None = None
    export: str = ""
    out: str = ""
    megapixels: float | None = None
    memory: int | None = None
    processes: int = 1
    whole_panel: bool = False
    videos: bool = False

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
        self._export = Export.from_json(config.export) if config.export else None
        cache = open_cache(config.cache, max_bytes=config.cache_bytes or DEFAULT_MAX_BYTES)
        self._cache = cache
        if config.memory is None:
            self.engine = Engine(options, threads=config.threads, cache=cache)
            pixels = affordable_megapixels(config.processes)
        else:
            models, pixels = shares(config.memory)
            self.engine = Engine(
                options,
                max_models=_MANY_MODELS,
                max_model_bytes=models,
                threads=config.threads,
                cache=cache,
            )
        self._budget = Budget(config.megapixels or pixels)
        #: How often a picture found that there was no memory left, its own fault or another's.
        self._times_short = 0
        self._in_work = 0
        self._limited_with: frozenset[LoadedModel] | None = None
        #: What was allocated is free again and cannot be given back: better a new process.
        self.worn = False

    def warm_up(self) -> None:
        """Load what the first picture will need; raises what would fail every picture."""
        if self.config.videos:
            return
        panel, _ = self.engine.panel_for(self.engine.options)
        panel.lead()
        if self.config.whole_panel:
            for member in (panel.portrait, panel.second):
                if member is not None:
                    member()
        self._limit()

    def _limit(self) -> None:
        """Count from here, once other models are loaded: what they left behind is not resident."""
        loaded = frozenset(self.engine.loaded())
        if self.config.memory is not None and loaded != self._limited_with:
            self._limited_with = loaded
            limit_process(self.config.memory)

    def loaded(self) -> tuple[LoadedModel, ...]:
        """The models in memory."""
        return self.engine.loaded()

    def close(self) -> None:
        """Close the cache."""
        if self._cache is not None:
            self._cache.close()

    def __call__(self, job: Job, tell: Tell | None = None) -> Outcome:
        """Do ``job``; whatever goes wrong with it is in the outcome, and nothing is raised."""
        started, times_short = time.perf_counter(), self._times_short
        self._in_work += 1
        try:
            with memory_errors():
                outcome = self._done(job, tell)
        except CleancutError as error:
            outcome = Outcome(job.id, "failed", error=error_facts(error))
        except Exception as error:  # a bug must not end the other thousand pictures
            outcome = Outcome(job.id, "failed", error=error_facts(_bug(error)))
        finally:
            self._in_work -= 1
        self._limit()
        if outcome.error is not None:
            outcome = self._blamed(outcome, outcome.error, times_short)
        return replace(outcome, seconds=round(time.perf_counter() - started, 4))

    def _blamed(self, outcome: Outcome, error: Mapping[str, str], before: int) -> Outcome:
        """A failure while others take all memory may have any name; what it is will show alone."""
        own = error["code"] == OutOfMemory.code
        if own or (self._in_work and is_memory_short()):
            self._times_short += 1
            gc.collect()  # tracebacks hold what was too much
            give_back()
            self.worn = is_memory_short()
        elif self._times_short == before:
            return outcome
        return outcome if own else replace(outcome, error=error_facts(out_of_memory()))

    def _done(self, job: Job, tell: Tell | None) -> Outcome:
        if job.video:
            from cleancut.batch.videos import do_video

            return do_video(job, self.engine, tell)
        clock = time.perf_counter()
        data = storage.read(job.source, size=job.size)
        digest = hashlib.sha256(data).hexdigest()
        read_ms = 1000 * (time.perf_counter() - clock)

        def on_wait(waiting: bool) -> None:
            if tell is not None:
                tell("waiting" if waiting else "going")

        options = Options.from_mapping(json.loads(job.options)) if job.options else None
        guidance = Guidance(**job.guidance) if job.guidance else None
        wanted = megapixels(data) + sum(map(_megapixels_of, _companions(job, options)))
        wanted += _page_megapixels(options or self.engine.options)
        with self._budget.take(wanted, on_wait):
            encoded = self.engine.encoded(data, options=options, guidance=guidance)
            clock = time.perf_counter()
            if job.durable:
                storage.write(job.target, encoded.data)
            else:
                _write_soon(job.target, encoded.data)
            self._annotate(job, encoded)
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

    def _annotate(self, job: Job, encoded: Encoded) -> None:
        """Write the picture's annotation, if one is wanted."""
        if self._export is None:
            return
        from cleancut.batch.annotations import write_one

        assert encoded.result is not None  # whoever exports has no cache
        annotation = encoded.result.annotation(tolerance_px=self._export.tolerance_px)
        write_one(self._export, annotation, job, self.config.out)

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


def _companions(job: Job, options: Options | None) -> list[str]:
    """Files of pictures that are decoded beside the job's own."""
    found = [job.guidance[name] for name in PICTURES if name in job.guidance]
    background = parse_background(options.background) if options else None
    return [*found, background.path] if background and background.path else found


def _page_megapixels(options: Options) -> float:
    """Size of an output that has one of its own, however small the picture is."""
    canvas = parse_canvas(options.canvas)
    sheet = parse_sheet(options.sheet, canvas)
    return sum(page.megapixels for page in (canvas, sheet) if page is not None)


def _megapixels_of(path: str) -> float:
    """Size of a picture file by its first bytes, 0 if it cannot be read: that is told later."""
    try:
        with Path(path).open("rb") as file:
            return megapixels(file.read(_HEADER_BYTES))
    except (OSError, ValueError):
        return 0.0


def _write_soon(place: str, data: bytes) -> None:
    """Write a file whole or not at all, without waiting for the disk."""
    if storage.is_remote(place):
        storage.write(place, data)
        return
    storage.make_folder(storage.parent(place))
    draft = Path(storage.join(storage.parent(place), f".cleancut-{secrets.token_hex(6)}.part"))
    try:
        draft.write_bytes(data)
        draft.replace(place)
    except OSError as error:
        draft.unlink(missing_ok=True)
        reason = error.strerror or error
        raise OutputNotWritable(
            f"{place} cannot be written: {reason}", hint="free space or choose another disk"
        ) from error


def _bug(error: Exception) -> CleancutError:
    if isinstance(error, MemoryError):
        return out_of_memory()
    text = " ".join(f"{error}".split())[:300]
    return CleancutError(
        f"unexpected {type(error).__name__}: {text}",
        hint="this is a bug: cut this picture alone with cleancut cut --debug and report it",
    )
