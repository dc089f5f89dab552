from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from cleancut.backends.batching import Batching
from cleancut.errors import InferenceFailed, OutOfMemory

SECONDS = 20


class Worker:
    """Answers a number with its square; the first run waits until ``gate`` opens."""

    def __init__(self, group: Callable[[int], Hashable] = lambda call: "all") -> None:
        self.group = group
        self.runs: list[list[int]] = []
        self.gate, self.begun = threading.Event(), threading.Event()
        self.room = 99

    def run_many(self, calls: Sequence[int]) -> list[int]:
        first = not self.runs
        self.runs.append(list(calls))
        if first:
            self.begun.set()
            assert self.gate.wait(SECONDS)
        if len(calls) > self.room:
            raise OutOfMemory("too many")
        if any(call < 0 for call in calls):
            raise InferenceFailed("a negative number")
        return [call * call for call in calls]


def asked_together(batching: Batching[int, int], worker: Worker, calls: Sequence[int]) -> list[int]:
    """Answers to ``calls``, all waiting while the first is at work; -1 for an error."""

    def ask(call: int) -> int:
        try:
            return batching.run(call)
        except (InferenceFailed, OutOfMemory):
            return -1

    with ThreadPoolExecutor(len(calls)) as pool:
        first = pool.submit(ask, calls[0])
        assert worker.begun.wait(SECONDS)
        others = [pool.submit(ask, call) for call in calls[1:]]
        while len(batching._queue) < len(others):
            threading.Event().wait(0.001)
        worker.gate.set()
        return [answer.result(SECONDS) for answer in (first, *others)]


def test_a_call_that_comes_alone_does_not_wait() -> None:
    worker = Worker()
    worker.gate.set()
    batching = Batching(worker)
    assert [batching.run(2), batching.run(3)] == [4, 9]
    assert worker.runs == [[2], [3]]


def test_what_comes_while_a_run_is_under_way_is_joined() -> None:
    worker = Worker()
    batching = Batching(worker, most=3, in_flight=1)
    assert asked_together(batching, worker, [1, 2, 3, 4, 5]) == [1, 4, 9, 16, 25]
    assert [len(run) for run in worker.runs] == [1, 3, 1]


def test_only_calls_of_one_group_are_joined() -> None:
    worker = Worker(group=lambda call: call % 2)
    batching = Batching(worker, in_flight=1)
    assert asked_together(batching, worker, [1, 2, 3, 4, 5]) == [1, 4, 9, 16, 25]
    assert sorted(sorted(run) for run in worker.runs[1:]) == [[2, 4], [3, 5]]


def test_what_cannot_be_joined_runs_alone() -> None:
    worker = Worker(group=lambda call: None)
    batching = Batching(worker, in_flight=1)
    asked_together(batching, worker, [1, 2, 3])
    assert [len(run) for run in worker.runs] == [1, 1, 1]


def test_an_error_reaches_only_the_caller_to_blame() -> None:
    worker = Worker()
    batching = Batching(worker, in_flight=1)
    assert asked_together(batching, worker, [1, 2, -3, 4]) == [1, 4, -1, 16]


def test_too_large_a_batch_is_halved_and_stays_so() -> None:
    worker = Worker()
    worker.room = 2
    batching = Batching(worker, most=8, in_flight=1)
    calls = list(range(1, 8))
    assert asked_together(batching, worker, calls) == [call * call for call in calls]
    assert batching.most == 2
    before = len(worker.runs)
    worker.gate.set()
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(batching.run, range(6))) == [call * call for call in range(6)]
    assert all(len(run) <= 2 for run in worker.runs[before:])


def test_one_that_has_no_room_alone_is_an_error() -> None:
    worker = Worker()
    worker.room, batching = 0, Batching(worker)
    worker.gate.set()
    with pytest.raises(OutOfMemory):
        batching.run(1)
    worker.room = 9
    assert batching.run(2) == 4  # and the next is served


def test_two_runs_are_under_way_at_most() -> None:
    inside, peak, lock = 0, 0, threading.Lock()

    class Counting(Worker):
        def run_many(self, calls: Sequence[int]) -> list[int]:
            nonlocal inside, peak
            with lock:
                inside += 1
                peak = max(peak, inside)
            threading.Event().wait(0.005)
            with lock:
                inside -= 1
            return list(calls)

    batching = Batching(Counting(), in_flight=2)
    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(batching.run, range(48))) == list(range(48))
    assert peak == 2


def test_an_interrupted_run_strands_nobody() -> None:
    class Interrupted(Worker):
        def run_many(self, calls: Sequence[int]) -> list[int]:
            if len(calls) > 1:
                raise KeyboardInterrupt
            return super().run_many(calls)

    worker = Interrupted()
    batching = Batching(worker, in_flight=1)
    errors: list[BaseException] = []

    def ask(call: int) -> None:
        try:
            batching.run(call)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=ask, args=(call,)) for call in range(4)]
    threads[0].start()
    assert worker.begun.wait(SECONDS)
    for thread in threads[1:]:
        thread.start()
    while len(batching._queue) < 3:
        threading.Event().wait(0.001)
    worker.gate.set()
    for thread in threads:
        thread.join(SECONDS)
    assert sorted(type(error).__name__ for error in errors) == [
        "InferenceFailed",
        "InferenceFailed",
        "KeyboardInterrupt",
    ]
    assert batching.run(5) == 25
