"""Several local runners as one, each with a child process that sees one GPU only.

A process belongs to its GPU from its start to its end, and so does the one that replaces it. All
draw from one stream of jobs, whoever has least in work first. A GPU whose processes do not begin
is left out, its jobs go to the others, and the run ends only when none is left.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from queue import Empty, Queue
from typing import TYPE_CHECKING

from cleancut.batch.job import Event, Finished, Job, Notice

if TYPE_CHECKING:
    from cleancut.batch.local import LocalRunner
    from cleancut.models.shelf import LoadedModel

#: Events that may wait for whoever listens, before the runners wait too.
_MOST_UNHEARD = 64
#: Seconds until a lasting fleet tries a GPU again that was left out; doubled each time.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 5.0, 300.0
_ONE_S = 1.0


class Fleet:
    """Gets jobs done by ``runners``, each named after where it works.

    What ``LocalRunner`` is for one process: the same methods, with the sums of all. A ``lasting``
    fleet tries a GPU that was left out again after a while.
    """

    def __init__(
        self, runners: Sequence[tuple[str, LocalRunner]], *, lasting: bool = False
    ) -> None:
        self._names = tuple(name for name, _ in runners)
        self._runners = tuple(runner for _, runner in runners)
        self._lasting = lasting
        self._aborted = False
        self._inbox: Queue[tuple[_Seat, Event | BaseException | None]] = Queue(_MOST_UNHEARD)

    @property
    def workers(self) -> int:
        """How many pictures are in work at once, at most."""
        return sum(runner.workers for runner in self._runners)

    @property
    def pids(self) -> tuple[int, ...]:
        """The children's numbers."""
        return tuple(pid for runner in self._runners for pid in runner.pids)

    @property
    def ready(self) -> bool:
        """Whether there is a child that has loaded its network."""
        return any(runner.ready for runner in self._runners)

    @property
    def children(self) -> int:
        """Children that were started so far; those it begins with count as one."""
        started = [runner.children for runner in self._runners]
        return min(1, sum(started)) + sum(max(0, number - 1) for number in started)

    @property
    def models(self) -> tuple[LoadedModel, ...]:
        """The models that the children have in memory, each once."""
        return tuple(dict.fromkeys(one for runner in self._runners for one in runner.models))

    def start(self) -> None:
        """Start the children now, so that they get ready while jobs are still being found."""
        for runner in self._runners:
            runner.start()

    def abort(self) -> None:
        """Make ``run`` in another thread end at once, and the children with it."""
        self._aborted = True
        for runner in self._runners:
            runner.abort()

    def close(self) -> None:
        """End the children at once."""
        for runner in self._runners:
            runner.close()

    def run(self, jobs: Iterable[Job]) -> Generator[Event, None, None]:
        """Do ``jobs``; see ``Runner``.

        Raises what ``jobs`` raises, and what the last runner raises if all of them fail.
        """
        supply = _Supply(jobs)
        seats = [self._begin(number, supply) for number in range(len(self._runners))]
        threads = [seat.thread for seat in seats]
        working = set(seats)
        resting: dict[int, tuple[float, float]] = {}
        untold: list[Notice] = []
        try:
            while working:
                self._wake(resting, supply, working, threads)
                with suppress(Empty):
                    seat, what = self._inbox.get(timeout=_ONE_S)
                    if isinstance(what, BaseException):
                        working.discard(seat)
                        supply.leave(seat)
                        if not working:
                            raise what
                        self._rest(seat.number, resting)
                        untold.append(_left_out(self._names[seat.number], what, self._lasting))
                    elif what is None:
                        working.discard(seat)
                    else:
                        yield what
                if untold and self.ready:  # else all may fail alike, and one error says it
                    yield from untold
                    untold.clear()
        finally:
            supply.stop()
            self._end(threads)
        if supply.error is not None:
            raise supply.error

    def _begin(self, number: int, supply: _Supply) -> _Seat:
        seat = supply.seat(number)
        name = f"cleancut-fleet-{number}"
        seat.thread = threading.Thread(target=self._drive, args=(seat, supply), name=name)
        seat.thread.daemon = True
        seat.thread.start()
        return seat

    def _drive(self, seat: _Seat, supply: _Supply) -> None:
        """Run one runner in a thread of its own."""
        end: BaseException | None = None
        try:
            with closing(self._runners[seat.number].run(supply.draw(seat))) as events:
                for event in events:
                    if isinstance(event, Finished):
                        supply.finished(seat, event.job)
                    self._inbox.put((seat, event))
        except BaseException as error:
            end = error
        self._inbox.put((seat, end))

    def _rest(self, number: int, resting: dict[int, tuple[float, float]]) -> None:
        _, pause = resting.get(number, (0.0, _FIRST_PAUSE_S / 2))
        pause = min(_LONGEST_PAUSE_S, 2 * pause)
        resting[number] = time.monotonic() + pause, pause

    def _wake(
        self,
        resting: dict[int, tuple[float, float]],
        supply: _Supply,
        working: set[_Seat],
        threads: list[threading.Thread],
    ) -> None:
        """Try again what has rested long enough, and forget the rest of what is well."""
        if not self._lasting or self._aborted:
            return
        busy = {seat.number for seat in working}
        for number, (due, _) in list(resting.items()):
            if number in busy:
                if self._runners[number].ready:
                    del resting[number]
            elif time.monotonic() >= due:
                seat = self._begin(number, supply)
                working.add(seat)
                threads.append(seat.thread)

    def _end(self, threads: Sequence[threading.Thread]) -> None:
        """Wait for the runners' threads, and listen meanwhile: they may be waiting to be heard."""
        if any(thread.is_alive() for thread in threads):
            self.abort()
        while any(thread.is_alive() for thread in threads):
            with suppress(Empty):
                self._inbox.get(timeout=0.05)


class _Seat:
    """One runner's place at the supply, for one run of it: what it has, and whether it left."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.thread = threading.Thread()
        self.out: dict[str, Job] = {}
        self.left = False


class _Supply:
    """One stream of jobs for several runners; it ends when all that was drawn is done too."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self.error: BaseException | None = None
        self._jobs = iter(jobs)
        self._changed = threading.Condition()
        self._seats: list[_Seat] = []
        self._wanting: list[_Seat] = []
        self._returned: deque[Job] = deque()
        self._drawing = self._exhausted = self._stopped = False

    def seat(self, number: int) -> _Seat:
        """A new place."""
        seat = _Seat(number)
        with self._changed:
            self._seats.append(seat)
        return seat

    def draw(self, seat: _Seat) -> Iterator[Job]:
        """Jobs for the runner at ``seat``, as it asks for them."""
        while True:
            with self._changed:
                self._wanting.append(seat)
                self._changed.wait_for(lambda: self._is_over(seat) or self._is_next(seat))
                self._wanting.remove(seat)
                if self._is_over(seat):
                    self._changed.notify_all()
                    return
                job = self._returned.popleft() if self._returned else None
                if job is not None:
                    seat.out[job.id] = job
                    self._changed.notify_all()  # there may be more, and another is next now
                else:
                    self._drawing = True
            if job is None and (job := self._drawn(seat)) is None:
                continue
            yield job

    def finished(self, seat: _Seat, job: Job) -> None:
        """``job`` needs nobody any more."""
        with self._changed:
            seat.out.pop(job.id, None)
            self._changed.notify_all()

    def leave(self, seat: _Seat) -> None:
        """The runner at ``seat`` has failed: others do what it had."""
        with self._changed:
            seat.left = True
            self._returned.extend(seat.out.values())
            seat.out.clear()
            self._changed.notify_all()

    def stop(self) -> None:
        """Give out no more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _drawn(self, seat: _Seat) -> Job | None:
        """The next job, not under the lock: it may be long in coming."""
        job: Job | None = None
        error: BaseException | None = None
        try:
            job = next(self._jobs, None)
        except BaseException as caught:
            error = caught
        with self._changed:
            self._drawing = False
            self._exhausted = job is None
            self.error = error
            if job is not None and seat.left:
                self._returned.append(job)
                job = None
            if job is not None:
                seat.out[job.id] = job
            self._changed.notify_all()
        return job

    def _is_next(self, seat: _Seat) -> bool:
        there = self._returned or not (self._drawing or self._exhausted)
        return bool(there) and seat is min(self._wanting, key=lambda one: len(one.out))

    def _is_over(self, seat: _Seat) -> bool:
        nothing = self._exhausted and not self._returned and not any(s.out for s in self._seats)
        return self._stopped or seat.left or nothing


def _left_out(name: str, error: BaseException, lasting: bool) -> Notice:
    text = f"{name} is left out: {error}; its pictures go to the others"
    return Notice("gpu-lost", text + (", and it is tried again later" if lasting else ""))
