"""Calls that several threads make at the same time, joined into one run.

There is no timer. A free device takes a call at once, alone; what comes while it works is joined
in the next run, so a batch is as large as the device is slow, and nobody waits for company.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from cleancut.errors import CleancutError, InferenceFailed, OutOfMemory

#: Pictures in one run: more than this gains a GPU nothing and costs memory.
MAX_BATCH = 8
#: Runs at the same time: while one computes, pictures of the next go over.
IN_FLIGHT = 2
#: Threads that keep a GPU busy: a full batch at work in each run, and one that waits.
CALLERS = MAX_BATCH * (IN_FLIGHT + 1)

Call = TypeVar("Call", contravariant=True)
Answer = TypeVar("Answer", covariant=True)
Asked = TypeVar("Asked")
Given = TypeVar("Given")


class Joinable(Protocol[Call, Answer]):
    """What answers several calls in one run; thread-safe."""

    def group(self, call: Call) -> Hashable:
        """Calls of equal groups can be joined; None for one that has to be alone."""
        ...

    def run_many(self, calls: Sequence[Call]) -> Sequence[Answer]:
        """An answer for each call, all of one group. Raises ``InferenceFailed``, ``OutOfMemory``.

        The answers are owned by their callers.
        """
        ...


@dataclass(slots=True, eq=False)
class _Waiting(Generic[Asked, Given]):
    call: Asked
    group: Hashable
    taken: bool = False
    answers: list[Given] = field(default_factory=list)
    error: BaseException | None = None

    @property
    def done(self) -> bool:
        return bool(self.answers) or self.error is not None


class Batching(Generic[Asked, Given]):
    """``run`` may be called from any number of threads; those of one group share runs.

    No run joins more than ``most`` calls. One that is too large for the device's memory is done in
    halves, and ``most`` stays that much lower; a single call that is too large beside another run
    is done again when nothing else runs, and from then on there is one run at a time. An error of a
    joined run is asked for again one by one, so that only those see it whose call is to blame.
    """

    def __init__(
        self, worker: Joinable[Asked, Given], *, most: int = MAX_BATCH, in_flight: int = IN_FLIGHT
    ) -> None:
        self.most = most
        self._worker = worker
        self._in_flight = in_flight
        self._running = 0
        self._queue: list[_Waiting[Asked, Given]] = []
        self._changed = threading.Condition()

    def run(self, call: Asked) -> Given:
        """The answer to ``call``; raises what its run raises."""
        mine: _Waiting[Asked, Given] = _Waiting(call, self._worker.group(call))
        batch: list[_Waiting[Asked, Given]] = []
        try:
            self._take_or_wait(mine, batch)
            if batch:
                self._answer(batch)
        finally:
            if batch:
                self._finish(batch)
        if mine.error is not None:
            raise mine.error
        return mine.answers[0]

    def _take_or_wait(
        self, mine: _Waiting[Asked, Given], batch: list[_Waiting[Asked, Given]]
    ) -> None:
        """Fill ``batch`` with what this thread is to run, its own first; not if another has run it.

        Whatever is in it when this raises was taken, and has to be finished.
        """
        with self._changed:
            self._queue.append(mine)
            try:
                self._changed.wait_for(
                    lambda: mine.done or (not mine.taken and self._running < self._in_flight)
                )
            except BaseException:  # Ctrl-C while waiting: nobody is to work for a thread that left
                if not mine.taken:
                    self._queue.remove(mine)
                raise
            if mine.done:
                return
            alike = [one for one in self._queue if one is not mine and one.group == mine.group]
            taken = [mine, *(alike[: self.most - 1] if mine.group is not None else [])]
            left = [one for one in self._queue if one not in taken]
            self._running += 1
            batch += taken
            for one in taken:
                one.taken = True
            self._queue[:] = left

    def _finish(self, batch: list[_Waiting[Asked, Given]]) -> None:
        with self._changed:
            self._running -= 1
            for one in batch:
                if not one.done:  # the thread that ran it was interrupted
                    one.error = InferenceFailed("the run that this call had joined was called off")
            self._changed.notify_all()

    def _answer(self, batch: list[_Waiting[Asked, Given]]) -> None:
        alone = self._in_flight == self._running == 1
        try:
            answers = self._worker.run_many([one.call for one in batch])
        except CleancutError as error:
            full = isinstance(error, OutOfMemory)
            if len(batch) == 1 and (alone or not full):
                batch[0].error = error
                return
        else:
            for one, answer in zip(batch, answers, strict=True):
                one.answers.append(answer)
            return
        # Not while the error is handled: its traceback holds memory of the run that failed.
        if not full:
            for one in batch:
                self._answer([one])
        elif len(batch) == 1:
            self._be_alone()
            self._answer(batch)
        else:
            half = (len(batch) + 1) // 2
            with self._changed:
                self.most = min(self.most, half)
            self._answer(batch[:half])
            self._answer(batch[half:])

    def _be_alone(self) -> None:
        """Wait until no other run is under way, and let none begin beside one again."""
        with self._changed:
            self._in_flight = 1
            self._running -= 1
            self._changed.notify_all()
            try:
                self._changed.wait_for(lambda: self._running == 0)
            finally:
                self._running += 1
