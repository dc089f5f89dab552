"""The pool of work: a bounded line of orders in front, working processes behind.

Orders wait here and not in the working process, so that a client who hangs up costs nothing, and
whoever is impatient goes first. The process is the batch's: it does several pictures at a time,
shares networks between them, keeps below a limit of memory, and is replaced when a picture ends it.
With GPUs there are some for each, which look like one.
Neither numpy nor a runtime is imported here.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass

from cleancut.backends.memory import resident_bytes
from cleancut.batch.budget import usual_limit
from cleancut.batch.fleet import Fleet
from cleancut.batch.gpus import local_runner
from cleancut.batch.job import Finished, Job, Notice
from cleancut.batch.local import LocalRunner
from cleancut.batch.process import COMMAND
from cleancut.batch.worker import WorkerConfig
from cleancut.errors import (
    BackendUnavailable,
    Busy,
    Cancelled,
    CleancutError,
    SetupError,
    StorageFailed,
)
from cleancut.models.shelf import LoadedModel
from cleancut.server.answer import answer, remove_spooled
from cleancut.server.line import Line, Ticket, Work
from cleancut.server.order import Cut, Order
from cleancut.server.settings import Settings
from cleancut.server.twins import twin_key

_log = logging.getLogger(__name__)

#: Seconds until the working process is tried again after it could not begin; doubled each time.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0
#: A client is told to come back after between these, in seconds.
_SOONEST_S, _LATEST_S = 1.0, 300.0
#: Weight of the newest picture in the mean time of one.
_NEWEST = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolState:
    """How the pool is at one moment.

    ``waiting`` and ``patient`` orders wait, ``working`` pictures are in work. ``restarts`` counts
    working processes that had to be replaced. ``child_pid`` (of the first of them) is None and
    ``child_rss_bytes`` (of all) 0 while there is none; the latter also where the system does not
    say.
    """

    waiting: int
    patient: int
    working: int
    restarts: int
    child_pid: int | None
    child_rss_bytes: int
    models: tuple[LoadedModel, ...]


class _Lane:
    """What one run of the runner draws jobs from; a closed one gives no more."""

    closed = False


class Pool:
    """Gets orders done; every method may be called from any thread, and none but ``stop`` blocks.

    Callbacks of its futures run in the pool's own thread and must be quick. ``command`` is the
    working process's, for tests.
    """

    def __init__(self, settings: Settings, *, command: Sequence[str] = COMMAND) -> None:
        self._settings = settings
        self._command = command
        self._spool = settings.spool.absolute()
        self._config = WorkerConfig(
            options=settings.defaults.to_json(),
            cache=settings.cache,
            cache_bytes=settings.cache_bytes,
            threads=settings.threads,
            memory=settings.memory_limit or usual_limit(),
            whole_panel=True,  # ready means that no client waits for a network to be loaded
        )
        self._changed = threading.Condition()
        self._line = Line()
        self._out: dict[str, Work] = {}
        self._by_key: dict[str, Work] = {}
        self._numbers = 0
        self._seconds: float | None = None
        self._runner = self._new_runner()
        self._children = 0
        self._trouble: CleancutError | None = None
        self._ending = self._ended = False
        self._thread = threading.Thread(target=self._serve, name="cleancut-pool", daemon=True)

    def start(self) -> None:
        """Start the working process. Raises ``StorageFailed`` if the spool cannot be made."""
        try:
            self._spool.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StorageFailed(
                f"the folder {self._spool} cannot be made: {error.strerror}",
                hint="choose another folder with --data",
            ) from error
        self._thread.start()

    def submit(self, order: Order) -> Ticket:
        """Put ``order`` in line. ``cancel()`` of the answer takes it back while it waits.

        Raises ``Busy`` if as many wait as may, or the pool is about to end; other errors are
        raised by the future.
        """
        trouble = self.trouble()
        with self._changed:
            if self._ending or not order.patient:
                self._refuse_if_full()
            self._numbers += 1
            ticket = Ticket(self._numbers, order)
            if trouble is None or order.patient:
                self._line.add(ticket)
                self._changed.notify_all()
        if trouble is not None and not order.patient:
            ticket.set_exception(_again(trouble))
        else:
            ticket.add_done_callback(self._taken_back)
        return ticket

    def full(self) -> Busy | None:
        """What ``submit`` would raise now for an impatient order."""
        try:
            with self._changed:
                self._refuse_if_full()
        except Busy as error:
            return error
        return None

    def ready(self) -> bool:
        """Whether a working process has loaded its network, and orders are accepted."""
        return self._runner.ready and not self._ending

    def trouble(self) -> CleancutError | None:
        """Why nothing can be done here; None if all is well, or will be as soon as it is ready."""
        trouble = self._trouble
        return None if trouble is None or self._runner.ready else trouble

    def state(self) -> PoolState:
        """What is going on now."""
        runner = self._runner
        pids = runner.pids
        with self._changed:
            waiting, patient = self._waiting(), len(self._line.patient)
            working, children = len(self._out), self._children + runner.children
        return PoolState(
            waiting=waiting,
            patient=patient,
            working=working,
            restarts=max(0, children - 1),
            child_pid=pids[0] if pids else None,
            child_rss_bytes=sum(resident_bytes(pid) or 0 for pid in pids),
            models=runner.models,
        )

    def stop(self, grace_s: float) -> None:
        """Finish what impatient clients wait for, at most ``grace_s`` seconds, and end the process.

        Patient orders are given up with ``Cancelled``, and so is what the time does not suffice
        for. New orders are refused from now on.
        """
        until = time.monotonic() + grace_s
        with self._changed:
            self._ending = True
            given_up = self._line.clear(patient_only=True)
            self._changed.notify_all()
        _cancel(given_up)
        with self._changed:
            while (left := until - time.monotonic()) > 0 and self._is_hurried():
                self._changed.wait(left)
            self._ended = True
            given_up = self._line.clear()
            self._changed.notify_all()
        self._runner.abort()
        _cancel(given_up)
        if self._thread.ident is not None:
            self._thread.join()  # those in work are given up there

    def _refuse_if_full(self) -> None:
        if self._ending:
            raise Busy("the server is about to end", hint="try again", retry_after_s=5.0)
        waiting = self._waiting()
        if waiting >= self._settings.queue:
            # Until half the line is worked off: who is told so comes back to some room.
            per_picture = (self._seconds or 1.0) / self._runner.workers
            raise Busy(
                f"{waiting} pictures wait already, which is as many as may",
                hint="try again after the seconds in Retry-After",
                retry_after_s=min(_LATEST_S, max(_SOONEST_S, 0.5 * waiting * per_picture)),
            )

    def _waiting(self) -> int:
        """Impatient orders in line, and those that wait for another's picture."""
        twins = sum(
            not ticket.order.patient for work in self._out.values() for ticket in work.wanted[1:]
        )
        return len(self._line.impatient) + twins

    def _is_hurried(self) -> bool:
        return bool(self._line.impatient) or any(work.hurried for work in self._out.values())

    def _taken_back(self, ticket: Future[Cut]) -> None:
        if ticket.cancelled() and isinstance(ticket, Ticket):
            with self._changed:
                self._line.remove(ticket)
                self._changed.notify_all()

    # What follows runs in the pool's thread, ``_draw`` in one of the runner's.

    def _serve(self) -> None:
        pause = _FIRST_PAUSE_S
        while not self._ended:
            lane = _Lane()
            try:
                with closing(self._runner.run(self._draw(lane))) as events:
                    for event in events:
                        pause = _FIRST_PAUSE_S
                        self._hear(event)
                trouble: CleancutError = Cancelled("the server has ended", hint="try again")
            except CleancutError as error:
                trouble = error
            except Exception as error:
                _log.exception("the pool failed")
                trouble = CleancutError(f"unexpected {type(error).__name__}", hint="report it")
            self._give_up(lane, trouble)
            with self._changed:
                self._changed.wait_for(lambda: self._ended, pause)
            pause = min(_LONGEST_PAUSE_S, 2 * pause)

    def _new_runner(self) -> LocalRunner | Fleet:
        settings = self._settings
        return local_runner(
            self._config,
            settings.defaults,
            gpus=settings.gpus,
            workers=settings.workers,
            timeout_s=settings.timeout_s,
            lasting=True,
            command=self._command,
        )

    def _draw(self, lane: _Lane) -> Iterator[Job]:
        """Jobs for the runner, each when there is room for it and not before."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_over(lane) or self._may_begin())
                if self._is_over(lane):
                    return
                ticket = self._line.first()
            key = twin_key(ticket.order)  # files are read for it: not under the lock
            with self._changed:
                if self._is_over(lane):
                    return
                if not self._line.remove(ticket) or not ticket.begin():
                    continue  # taken back
                twin = None if key is None else self._by_key.get(key)
                if twin is not None:
                    twin.wanted.append(ticket)
                    continue
                work = Work(self._job(ticket), [ticket], key)
                self._out[work.job.id] = work
                if key is not None:
                    self._by_key[key] = work
            yield work.job

    def _is_over(self, lane: _Lane) -> bool:
        return lane.closed or self._ended

    def _may_begin(self) -> bool:
        return len(self._line) > 0 and len(self._out) < self._runner.workers

    def _job(self, ticket: Ticket) -> Job:
        order, name = ticket.order, f"{ticket.number:x}"
        target = order.target or self._spool / f"result-{name}"
        return Job(
            id=name,
            source=str(order.source.absolute()),
            target=str(target.absolute()),
            name=name,
            options=order.options.to_json(),
            guidance=dict(order.guidance),
            durable=order.target is not None,
        )

    def _hear(self, event: object) -> None:
        if isinstance(event, Notice):
            _log.warning("working process: %s", event.code)
        if not isinstance(event, Finished):
            return
        outcome = event.outcome
        with self._changed:
            work = self._forget(event.job)
            if outcome.status == "done" and not outcome.cached:
                before = self._seconds or outcome.seconds
                self._seconds = before + _NEWEST * (outcome.seconds - before)
            self._changed.notify_all()
        if work is None:
            return
        again = answer(work, outcome)
        with self._changed:
            for ticket in reversed(again):
                self._line.put_back(ticket)
            self._changed.notify_all()

    def _forget(self, job: Job) -> Work | None:
        work = self._out.pop(job.id, None)
        if work is not None and work.key is not None:
            del self._by_key[work.key]
        return work

    def _give_up(self, lane: _Lane, trouble: CleancutError) -> None:
        """The runner has ended: nothing can be done for those who are in a hurry."""
        with self._changed:
            lane.closed = True
            self._trouble = trouble
            given = list(self._out.values())
            tickets = [ticket for work in given for ticket in work.wanted]
            self._out.clear()
            self._by_key.clear()
            failed = [ticket for ticket in tickets if not ticket.order.patient]
            failed += self._line.impatient.values()
            self._line.impatient.clear()
            for ticket in reversed(tickets):
                if ticket.order.patient:
                    self._line.put_back(ticket)
            if not self._ended:
                self._children += self._runner.children
                self._runner = self._new_runner()
            self._changed.notify_all()
        if not self._ended:
            _log.error("no picture can be cut: [%s] %s; %s", trouble.code, trouble, trouble.hint)
        for ticket in failed:
            if ticket.begin():
                ticket.set_exception(_again(trouble))
        for work in given:
            remove_spooled(work)


def _cancel(tickets: list[Ticket]) -> None:
    for ticket in tickets:
        if ticket.begin():
            ticket.set_exception(Cancelled("the server has ended", hint="send it again"))


def _again(error: CleancutError) -> CleancutError:
    """The same error for one more future: each has a traceback of its own.

    A backend that cannot be had is the operator's: no request chose it.
    """
    kind = SetupError if isinstance(error, BackendUnavailable) else type(error)
    return kind(error.message, hint=error.hint)
