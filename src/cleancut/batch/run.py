"""One batch from beginning to end: plan, ledger, runner and report tied together."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from cleancut.batch import storage
from cleancut.batch.annotations import check_place, write_whole
from cleancut.batch.choose import AHEAD, Choice, choose
from cleancut.batch.fleet import Fleet
from cleancut.batch.gpus import local_runner
from cleancut.batch.inputs import Inputs, LeftOut, check_places, resolve
from cleancut.batch.job import Event, Finished, Job, Notice, Runner
from cleancut.batch.ledger import FOLDER, THUMBS, Ledger
from cleancut.batch.local import LocalRunner
from cleancut.batch.move import check_move, move_done
from cleancut.batch.plan import count, plan
from cleancut.batch.report import LOW_CONFIDENCE
from cleancut.batch.request import (
    REVIEW,
    BatchRequest,
    Deaf,
    Listener,
    Summary,
    settings,
    worker_config,
)
from cleancut.errors import BadOption, CleancutError, InputNotFound, OutputNotWritable, SetupError
from cleancut.options import parse_background

#: A run stops after so many failures in a row that are this installation's and no picture's.
MOST_SETUP_FAILURES = 5
#: What a killed process leaves of a file that it was writing.
_LEFTOVER = (".cleancut-", ".part")


def run_batch(
    request: BatchRequest,
    listener: Listener,
    *,
    stop: threading.Event | None = None,
    runner: Runner | None = None,
) -> Summary:
    """Do everything that is to be done, and say what was done.

    When ``stop`` is set no more pictures are begun, those begun are finished, and the summary is
    ``interrupted``. ``runner`` is for tests. What cannot work (inputs, output, options, weights)
    is raised before any picture is begun; what ends a run in the middle (a full disk) is in
    ``Summary.stopped``, after the ledger and the report are written.
    """
    batch = _Batch(request, listener, stop or threading.Event())
    inputs = batch.checked()
    # From here on the child loads its network, while the ledger is read.
    chosen = runner or _runner(request)
    try:
        with Ledger.open(request.out, shard=request.shard, settings=settings(request)) as ledger:
            batch.run(inputs, chosen, ledger)
            batch.export()
            batch.report(ledger)
    finally:
        if isinstance(chosen, LocalRunner | Fleet):
            chosen.close()
    return batch.summary


def preview(request: BatchRequest) -> Iterator[Choice]:
    """What ``run_batch`` would do about every picture, without doing any of it."""
    batch = _Batch(request, Deaf(), threading.Event())
    inputs = batch.checked()
    with Ledger.open(
        request.out, shard=request.shard, settings=settings(request), read_only=True
    ) as ledger:
        yield from choose(
            batch.planned(inputs),
            ledger,
            shard=request.shard,
            retry_failed=request.retry_failed,
            overwrite=request.overwrite,
            limit=request.limit,
            dry_run=True,
        )


def _runner(request: BatchRequest) -> Runner:
    config = worker_config(request)
    if request.engine == "ray":
        from cleancut.batch.cluster import RayRunner

        return RayRunner(
            config,
            address=request.address,
            workers=2 if request.workers is None else request.workers,
            gpus_per_worker=request.gpus_per_worker,
            timeout_s=request.timeout_s,
        )
    local = local_runner(
        config,
        request.options,
        gpus=request.gpus,
        workers=request.workers,
        timeout_s=request.timeout_s,
    )
    local.start()
    return local


class _Batch:
    """The state of one batch while it runs."""

    def __init__(self, request: BatchRequest, listener: Listener, stop: threading.Event) -> None:
        self.summary = Summary()
        self._request = request
        self._listener = listener
        self._stop = stop
        self._ended = threading.Event()
        self._begun = time.time()
        self._clock = time.monotonic()
        # The ledger is asked by the thread that draws jobs and written by the one that runs.
        self._ledger_lock = threading.Lock()
        self._swept: set[str] = set()
        self._setup_failures = 0
        self._told: set[str] = set()

    def checked(self) -> Inputs:
        """The inputs, after all that can be checked before any work."""
        request = self._request
        if request.limit is not None and request.limit < 1:
            raise BadOption(f"--limit: {request.limit} is not enough", hint="give 1 or more")
        below = request.review_below
        if below is not None and not 0 < below <= 1:
            raise BadOption(
                f"--review-below: {below} is out of range", hint="like 0.6, from 0 to 1"
            )
        inputs = resolve(request.inputs)
        if request.watch and not inputs.is_endless:
            raise BadOption("--watch needs a folder", hint="name the folder that files arrive in")
        check_places(inputs, request.out)
        if request.export is not None:
            check_place(request.export, request.out)
        if request.move_done is not None:
            if request.export is not None and request.export.kind == "labelme":
                raise BadOption(
                    "--export labelme and --move-done contradict each other: the annotations say "
                    "where the originals are",
                    hint="move the originals afterwards, or leave --move-done out",
                )
            check_move(inputs, request.out, request.move_done)
        backdrop = parse_background(request.options.background)
        if backdrop and backdrop.path and not storage.exists(backdrop.path):
            raise InputNotFound(
                f"--background: no such file: {backdrop.path}", hint="check the path"
            )
        from cleancut.models.choose import check

        check(request.options)
        if not request.watch and not any(True for _ in self.planned(inputs)):
            raise InputNotFound(
                f"no pictures in {', '.join(map(storage.plain, request.inputs))}"
                + _passed_over(self.summary.left_out),
                hint="name a folder of pictures, pictures, a pattern or @list.txt",
            )
        self.summary.left_out = LeftOut()
        return inputs

    def planned(self, inputs: Inputs) -> Iterator[Job]:
        """Every picture there is; of a watched folder, for ever."""
        request = self._request
        places = {
            "suffix": request.options.format or "png",
            "exclude": [request.move_done] if request.move_done else [],
            "reserved": request.reserved,
        }
        if request.watch:
            from cleancut.batch.watch import watch

            return watch(inputs, request.out, stop=self._stop, **places)  # type: ignore[arg-type]
        return plan(inputs, request.out, left_out=self.summary.left_out, **places)  # type: ignore[arg-type]

    def run(self, inputs: Inputs, runner: Runner, ledger: Ledger) -> None:
        """Do what is to be done; the ledger knows of everything as soon as it has happened."""
        if not self._request.watch:
            threading.Thread(target=self._count, args=(inputs,), daemon=True).start()
        try:
            # Closed even if something else than the runner is interrupted: then it does no more.
            with closing(runner.run(self._todo(inputs, ledger))) as events:  # type: ignore[type-var]
                for event in events:
                    if not isinstance(event, Finished) or not self._is_everybodys(event):
                        self._take(event, ledger)
        except KeyboardInterrupt:
            self.summary.interrupted = True
        finally:
            self._ended.set()
            self.summary.seconds = time.monotonic() - self._clock
            self.summary.interrupted |= self._stop.is_set() and self.summary.stopped is None

    def _take(self, event: Event, ledger: Ledger) -> None:
        with self._ledger_lock:
            ledger.record(event)
        if isinstance(event, Finished):
            self._finished(event)
        self._listener.event(event)

    def export(self) -> None:
        """Write the annotations of all pictures as one file, where the format wants that."""
        if self._request.export is None:
            return
        try:
            write_whole(self._request.export, self._request.out)
        except CleancutError as error:  # the pictures are there all the same
            self.summary.stopped = self.summary.stopped or error

    def report(self, ledger: Ledger) -> None:
        """Write what a person looks at afterwards."""
        from cleancut.batch.report import RunFacts, write_report

        summary, request = self.summary, self._request
        stopped = "interrupted" if summary.interrupted else ""
        if summary.stopped is not None:
            stopped = summary.stopped.message
        facts = RunFacts(
            began=self._begun,
            seconds=summary.seconds,
            stopped=stopped,
            skipped=summary.skipped,
            left_out=summary.left_out.counts,
            examples=summary.left_out.examples,
            options=json.loads(request.options.to_json()),
        )
        try:
            made = write_report(
                ledger, request.out, facts, low_confidence=request.review_below or LOW_CONFIDENCE
            )
        except CleancutError as error:  # the pictures are there all the same
            summary.stopped = summary.stopped or error
            return
        summary.reports = (made.html_place, made.json_place)

    def _todo(self, inputs: Inputs, ledger: Ledger) -> Iterator[Job]:
        """The jobs of this run, drawn by the runner's own thread."""
        request = self._request
        with self._ledger_lock:
            choices = choose(
                self._unlocked(self.planned(inputs)),
                ledger,
                shard=request.shard,
                retry_failed=request.retry_failed,
                overwrite=request.overwrite,
                limit=request.limit,
                ahead=1 if request.watch else AHEAD,
            )
        while not self._stop.is_set():
            with self._ledger_lock:
                choice = next(choices, None)
            if choice is None:
                return
            if choice.reason == "unfinished":
                self._sweep(choice.job)
            if choice.do == "todo":
                if choice.planned:
                    self._take(_renamed(choice), ledger)
                yield choice.job
                continue
            skipped = self.summary.skipped
            skipped[choice.do] = skipped.get(choice.do, 0) + 1
            if choice.do == "done" and request.move_done is not None:
                self._move(choice.job)  # a run that was killed may not have come to it
            self._listener.passed(choice)

    def _unlocked(self, jobs: Iterator[Job]) -> Iterator[Job]:
        """``jobs``, drawn without the lock that whoever draws them holds: listings are slow."""
        while True:
            self._ledger_lock.release()
            try:
                job = next(jobs, None)
            finally:
                self._ledger_lock.acquire()
            if job is None:
                return
            yield job

    def _count(self, inputs: Inputs) -> None:
        request = self._request
        with suppress(CleancutError):
            total = count(
                inputs,
                request.out,
                exclude=[request.move_done] if request.move_done else [],
                stop=self._ended.is_set,
            )
            if not self._ended.is_set():
                self._listener.total(total)

    def _finished(self, event: Finished) -> None:
        summary, outcome = self.summary, event.outcome
        if outcome.status == "failed":
            summary.failed += 1
            return
        summary.done += 1
        summary.cached += outcome.cached
        summary.network_s += outcome.facts.get("timings_ms", {}).get("model", 0.0) / 1000
        below, sure = self._request.review_below, outcome.facts.get("confidence")
        summary.unsure += sure is not None and sure < (below or LOW_CONFIDENCE)
        for note in outcome.facts.get("notes", ()):
            if note.startswith("cache:") and note not in self._told:
                self._told.add(note)
                self._listener.event(Notice("cache", note.removeprefix("cache: ")))
        if self._request.move_done is not None:
            self._move(event.job)

    def _is_everybodys(self, event: Finished) -> bool:
        """Whether a failure would be that of every other picture too; then the run stops.

        Such a picture is not recorded as failed: the next run does it.
        """
        error = event.outcome.error
        if error is None or error["kind"] != "setup":
            self._setup_failures = 0
        if error is None:
            return False
        if error.get("scope") == "run":
            self._give_up(OutputNotWritable(error["message"], hint=error["hint"]))
            return True
        if error["kind"] == "setup":
            self._setup_failures += 1
            if self._setup_failures >= MOST_SETUP_FAILURES:
                times = f"the last {self._setup_failures} pictures failed alike"
                hint = f"{error['hint']}; then run again with --retry-failed"
                self._give_up(SetupError(f"{times}: {error['message']}", hint=hint))
        return False

    def _give_up(self, error: CleancutError) -> None:
        self.summary.stopped = self.summary.stopped or error
        self._stop.set()

    def _move(self, job: Job) -> None:
        assert self._request.move_done is not None
        try:
            move_done(job, self._request.move_done)
        except CleancutError as error:
            self._listener.event(Notice("not-moved", f"{error.message}; {error.hint}"))

    def _sweep(self, job: Job) -> None:
        """Remove what a killed run has left where ``job`` is written to."""
        request = self._request
        if storage.is_remote(request.out):
            return  # objects appear whole
        review = storage.join(storage.join(request.out, REVIEW), job.name)
        for folder in (
            request.out,
            storage.join(request.out, FOLDER),
            storage.join(request.out, THUMBS),
            storage.parent(job.target),
            storage.parent(review),
        ):
            if folder not in self._swept:
                self._swept.add(folder)
                sweep(folder, self._begun)


def sweep(folder: str, before: float) -> None:
    """Remove the half-written files in ``folder`` that were last written to before ``before``.

    Nobody can be writing them any more: the ledger's lock keeps other runs out, and another
    shard's are younger.
    """
    with suppress(OSError):
        for entry in os.scandir(folder):
            head, tail = _LEFTOVER
            if entry.name.startswith(head) and entry.name.endswith(tail):
                with suppress(OSError):
                    if entry.stat(follow_symlinks=False).st_mtime < before:
                        Path(entry.path).unlink()


def _renamed(choice: Choice) -> Notice:
    source = storage.plain(choice.job.source)
    return Notice("renamed", f"{choice.planned} is taken: {source} becomes {choice.job.name}")


def _passed_over(left_out: LeftOut) -> str:
    counts = left_out.counts
    if not counts:
        return ""
    return " (" + ", ".join(f"{number} {reason}" for reason, number in counts.items()) + ")"
