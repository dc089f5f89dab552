"""The runner of one machine: a light parent that hands out jobs, one child that does them.

Several pictures are in the child at once, each in a thread of its own, sharing one network. When
the child dies, whatever was in it is tried again in a fresh one, picture by picture, until it is
known which one it was; the others do not notice.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from cleancut.backends.machine import thread_count
from cleancut.batch import storage
from cleancut.batch.job import (
    Event,
    Finished,
    Job,
    Notice,
    Outcome,
    Started,
    error_facts,
    error_from,
)
from cleancut.batch.process import COMMAND, Child
from cleancut.batch.shift import MOST_ATTEMPTS, Shift
from cleancut.errors import BadOption, CleancutError, PictureCrashed, RunError, TimedOut
from cleancut.models.shelf import LoadedModel

if TYPE_CHECKING:
    from cleancut.batch.worker import WorkerConfig

#: A picture that takes longer than this, seconds, is given up and the child with it.
TIMEOUT_S = 300.0
#: Loading a network may mean compiling it; a child that is not ready after this has hung.
READY_TIMEOUT_S = 600.0
#: Jobs drawn before anybody is free for them.
AHEAD = 2
#: Children in a row that end before they are ready.
_MOST_FALSE_STARTS = 2
#: Pictures that go well before one more at once is tried again, in a run without an end.
_REGAIN = 30


class LocalRunner:
    """Gets jobs done by one child process, ``workers`` pictures at a time.

    By default that is one more than the network has threads: while some wait for the network, the
    others keep the processors busy. ``timeout_s`` is for one picture. A ``lasting`` run has no end
    in sight: a child stands ready even when nothing is to do, and when memory was short fewer
    pictures at once are done for a while only. ``environ`` is added to the environment of the child
    and of those that replace it. ``command`` is the child's, for tests. Raises ``BadOption``.
    """

    def __init__(
        self,
        config: WorkerConfig,
        *,
        workers: int | None = None,
        timeout_s: float = TIMEOUT_S,
        lasting: bool = False,
        environ: Mapping[str, str] | None = None,
        command: Sequence[str] = COMMAND,
    ) -> None:
        if workers is not None and workers < 1:
            raise BadOption(f"--workers: {workers} is not enough", hint="give 1 or more")
        if not timeout_s > 0:
            raise BadOption(f"--timeout: {timeout_s} is not a time", hint="give seconds, like 300")
        self._config = config
        self._limit = workers or (config.threads or thread_count()) + 1
        self._timeout_s = timeout_s
        self._environ = dict(environ or {})
        self._command = tuple(command)
        self._inbox: SimpleQueue[tuple[Any, Any]] = SimpleQueue()
        self._child: Child | None = None
        self._started_at = 0.0
        self._lasting = lasting
        self._aborted = False
        #: Children that were started so far.
        self.children = 0
        #: The models that the child has in memory.
        self.models: tuple[LoadedModel, ...] = ()

    @property
    def workers(self) -> int:
        """How many pictures are in work at once, at most."""
        return self._limit

    @property
    def pid(self) -> int | None:
        """The child's number, None while there is no child."""
        child = self._child
        return None if child is None else child.pid

    @property
    def pids(self) -> tuple[int, ...]:
        """The child's number, if there is one."""
        pid = self.pid
        return () if pid is None else (pid,)

    @property
    def ready(self) -> bool:
        """Whether there is a child that has loaded its network."""
        child = self._child
        return child is not None and child.ready

    def abort(self) -> None:
        """Make ``run`` in another thread end at once, and the child with it."""
        self._aborted = True
        self._inbox.put((None, None))

    def start(self) -> Child:
        """Start the child now, so that it gets ready while jobs are still being found."""
        if self._child is None:
            self._started_at = time.monotonic()
            self.children += 1
            self.models = ()
            self._child = Child(
                self._config, self._limit, self._inbox, self._command, self._environ
            )
        return self._child

    def close(self) -> None:
        """End the child at once, if there is one."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def run(self, jobs: Iterable[Job]) -> Generator[Event, None, None]:
        """Do ``jobs``; see ``Runner``.

        ``jobs`` are drawn in a thread of their own, a few ahead. Raises what ``jobs`` raises, the
        setup errors of the first network, and ``RunError`` if children end before they begin.
        """
        self.start()
        feed = _Feed(jobs, self._inbox)
        shift = Shift(self._limit, regain=_REGAIN if self._lasting else None)
        try:
            while not self._aborted:
                feed.top_up(len(shift.fresh))
                yield from self._hand_out(shift, feed)
                if feed.ended and not shift.given and not shift.has_more():
                    break
                yield from self._next(shift, feed)
                yield from self._overdue(shift)
            if self._child is not None and shift.gave and not self._aborted:
                self._child.end()
                self._child = None
        finally:
            feed.stop()
            self.close()
        if feed.error is not None:
            raise feed.error

    def _hand_out(self, shift: Shift, feed: _Feed) -> Iterator[Event]:
        for lost in shift.hopeless():
            yield Finished(lost, _hopeless(lost))
        if self._lasting and not feed.ended:
            self.start()
        child = self._child
        if not shift.may_give() or (shift.careful and not (child and child.ready)):
            if shift.has_more() or not feed.ended:
                self.start()
            return
        while True:
            job = shift.take()
            if job is None:
                return
            child = self.start()
            if child.ready:
                yield Started(job)
            shift.give(job, told=child.ready)
            child.give(job)
            feed.top_up(len(shift.fresh))

    def _next(self, shift: Shift, feed: _Feed) -> Iterator[Event]:
        try:
            who, what = self._inbox.get(timeout=shift.patience(self._timeout_s))
        except Empty:
            return
        child = self._child
        if who is feed:
            shift.fresh.extend(feed.took(what))
        elif child is None or who is not child:
            return  # the last words of one that was killed
        elif what is None:
            yield from self._died(shift)
        elif "worn" in what:
            self._replace(shift)
        elif "models" in what:
            self.models = tuple(LoadedModel(**facts) for facts in what["models"])
        elif "finished" in what:
            yield from shift.finish(Outcome(**what["finished"]))
        elif "setup" in what:
            facts = what["setup"]
            raise error_from(facts["code"], facts["message"], facts["hint"])
        elif "ready" in what:
            child.ready = True
            shift.false_starts = 0
            yield from shift.begin()
        else:
            yield from shift.hear(what)

    def _died(self, shift: Shift) -> Iterator[Event]:
        """Find out what to do after the child has ended by itself."""
        child = self._child
        assert child is not None
        self._child = None
        child.kill()
        how, killed = child.how_it_ended()
        words = child.last_words()
        alone, given = shift.alone, shift.withdraw()
        if not child.ready:
            shift.false_starts += 1
            if shift.false_starts >= _MOST_FALSE_STARTS:
                why = f"{how}: {words}" if words else how
                raise RunError(
                    f"the working process ends before it begins ({why})",
                    hint="run: cleancut doctor",
                )
        shift.careful = True
        if len(given) == 1 and child.ready and (alone or not killed):
            yield Finished(given[0], _crashed(given[0], how, killed))
            yield Notice(
                "crashed", f"{storage.plain(given[0].source)} ended the working process ({how})"
            )
            return
        if given:
            lowered = killed and shift.lower()
            shift.suspects.extend(given)
            yield Notice(
                "memory" if killed else "restarted",
                f"the working process ended ({how}) with {len(given)} pictures in it; each is "
                "tried again alone" + (f", then at most {shift.limit} at once" if lowered else ""),
            )

    def _overdue(self, shift: Shift) -> Iterator[Event]:
        """Give up the pictures that have had their time, and the child that has them."""
        child = self._child
        if child is None:
            return
        if not child.ready:
            if time.monotonic() - self._started_at < READY_TIMEOUT_S:
                return
            raise RunError(
                f"the network was not loaded within {READY_TIMEOUT_S:g} s",
                hint="run: cleancut doctor",
            )
        late = shift.overdue(self._timeout_s)
        if not late:
            return
        self.close()
        for job in late:
            del shift.given[job.id]
            message = f"not done after {self._timeout_s:g} s"
            error = TimedOut(message, hint="give it more with --timeout")
            yield Finished(job, _failed(job, error))
            place = storage.plain(job.source)
            yield Notice("timed-out", f"{place} was {message}; the working process was ended")
        self._replace(shift)

    def _replace(self, shift: Shift) -> None:
        """End the child; what is in it did nothing wrong and is done again."""
        self.close()
        alone = shift.alone
        again = shift.suspects if alone else shift.fresh
        again.extendleft(reversed(shift.withdraw()))


class _Feed:
    """A thread that draws jobs ahead, so that a slow listing or an idle watch holds nobody up."""

    def __init__(self, jobs: Iterable[Job], inbox: SimpleQueue[tuple[Any, Any]]) -> None:
        self.error: BaseException | None = None
        self.ended = False
        self._jobs = jobs
        self._inbox = inbox
        self._room = threading.Semaphore(0)
        self._expected = 0
        self._stopped = False
        threading.Thread(target=self._draw, name="cleancut-jobs", daemon=True).start()

    def top_up(self, waiting: int) -> None:
        """Draw more if fewer than ``AHEAD`` jobs are ``waiting`` or on their way."""
        while waiting + self._expected < AHEAD:
            self._expected += 1
            self._room.release()

    def took(self, job: Job | None) -> Iterator[Job]:
        """``job`` has arrived from the thread; None is its end."""
        if job is None:
            self.ended = True
            return
        self._expected -= 1
        yield job

    def stop(self) -> None:
        """Draw no more."""
        self._stopped = True
        self._room.release()

    def _draw(self) -> None:
        try:
            self._room.acquire()
            for job in self._jobs:
                if self._stopped:
                    return
                self._inbox.put((self, job))
                self._room.acquire()
        except BaseException as error:
            self.error = error
        finally:
            self._inbox.put((self, None))


def _hopeless(job: Job) -> Outcome:
    return _failed(
        job,
        PictureCrashed(
            f"this picture was begun {MOST_ATTEMPTS} times in runs that did not survive it",
            hint="try it on its own: cleancut cut",
        ),
    )


def _crashed(job: Job, how: str, killed: bool) -> Outcome:
    if killed:
        message = f"the process was killed at this picture ({how}), most likely for want of memory"
        hint = "free memory, or shrink the picture first"
    else:
        message = f"the process crashed at this picture ({how})"
        hint = "save the picture again with an image editor"
    return _failed(job, PictureCrashed(message, hint=hint))


def _failed(job: Job, error: CleancutError) -> Outcome:
    return Outcome(job.id, "failed", error=error_facts(error))
