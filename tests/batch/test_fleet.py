from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cleancut.batch.fleet import Fleet, _Supply
from cleancut.batch.job import Event, Finished, Job, Notice
from cleancut.batch.local import LocalRunner
from cleancut.batch.worker import WorkerConfig
from cleancut.errors import SetupError
from tests.batch.pictures import job_for, notices, outcomes, picture

COMMAND = (sys.executable, str(Path(__file__).with_name("faulty_child.py")))
CONFIG = WorkerConfig(options='{"model":"echo"}', threads=1)


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    others = set(threading.enumerate())
    yield
    until(lambda: not [t for t in {*threading.enumerate()} - others if "cleancut-" in t.name])


def until(true, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.01)


def fleet(count: int = 2, *, workers: int = 2, lasting: bool = False, bad: int = -1) -> Fleet:
    """Runners of processes that see GPU 0, 1...; the network of number ``bad`` does not load."""
    runners = []
    for number in range(count):
        environ = {"CUDA_VISIBLE_DEVICES": f"{number}"}
        if number == bad or bad == count:
            environ["CLEANCUT_TEST_WARM_UP"] = "refuses"
        runner = LocalRunner(
            CONFIG, workers=workers, timeout_s=60, environ=environ, lasting=lasting, command=COMMAND
        )
        runners.append((f"GPU {number}", runner))
    return Fleet(runners, lasting=lasting)


def jobs(folder: Path, *names: str) -> list[Job]:
    made = []
    for number, name in enumerate(names):
        (folder / name).write_bytes(picture(number))
        made.append(job_for(folder / name, folder / "out", number))
    return made


def shown(crew: Fleet) -> set[tuple[int, int, str]]:
    """Each living process by the number of its runner, and the GPU that it was shown."""
    found = set()
    for number, runner in enumerate(crew._runners):
        for pid in runner.pids:
            with suppress(OSError):
                environ = Path(f"/proc/{pid}/environ").read_bytes()  # of a zombie it is empty
                for entry in environ.split(b"\0"):
                    if entry.startswith(b"CUDA_VISIBLE_DEVICES="):
                        found.add((number, pid, entry.partition(b"=")[2].decode()))
    return found


def test_every_picture_is_done_once_and_by_all_of_them(tmp_path: Path) -> None:
    work = jobs(tmp_path, *(f"slow-{n}.png" for n in range(8)))
    crew, seen = fleet(), set()
    done: list[str] = []
    for event in crew.run(work):
        seen |= {gpu for _, _, gpu in shown(crew)}
        if isinstance(event, Finished):
            assert event.outcome.status == "done"
            done.append(event.job.id)
    assert sorted(done) == sorted(job.id for job in work)
    assert seen == {"0", "1"}
    assert (crew.workers, crew.children, crew.pids) == (4, 1, ())


def test_a_process_that_dies_is_replaced_on_its_gpu_and_the_other_goes_on(tmp_path: Path) -> None:
    names = ["segfault.png", *(f"slow-{n}.png" for n in range(9))]
    crew, seen = fleet(), set()
    events = []
    for event in crew.run(jobs(tmp_path, *names)):
        events.append(event)
        seen |= shown(crew)
    ends = outcomes(events)
    assert ends.pop("segfault.png") == "crashed"
    assert list(ends.values()) == ["done"] * 9
    assert {(number, gpu) for number, _, gpu in seen} == {(0, "0"), (1, "1")}
    assert crew.children >= 2


def test_a_gpu_that_does_not_begin_is_left_out_and_its_pictures_are_done(tmp_path: Path) -> None:
    events = list(fleet(bad=1).run(jobs(tmp_path, *(f"slow-{n}.png" for n in range(6)))))
    assert set(outcomes(events).values()) == {"done"}
    assert len(outcomes(events)) == 6
    (told,) = [e for e in events if isinstance(e, Notice) and e.code == "gpu-lost"]
    assert told.text.startswith("GPU 1 is left out: the network is out of order")


def test_what_fails_everywhere_is_raised_once(tmp_path: Path) -> None:
    events: list[object] = []
    with pytest.raises(SetupError, match="out of order"):
        events.extend(fleet(bad=2).run(jobs(tmp_path, "a.png", "b.png", "c.png")))
    assert events == []


def test_a_gpu_is_tried_again_in_a_run_without_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cleancut.batch.fleet._FIRST_PAUSE_S", 0.1)
    crew = fleet(lasting=True, bad=0)
    first, *others = jobs(tmp_path, "a.png", *(f"slow-{n}.png" for n in range(4)))
    seen = []

    def feed() -> Iterator[Job]:
        yield first
        until(lambda: crew._runners[0].ready)
        seen.extend(gpu for number, _, gpu in shown(crew) if number == 0)
        yield from others

    events = []
    for event in crew.run(feed()):
        events.append(event)
        if isinstance(event, Notice):
            assert (event.code, event.text[-11:]) == ("gpu-lost", "again later")
            crew._runners[0]._environ.pop("CLEANCUT_TEST_WARM_UP")
    assert seen == ["0"]
    assert list(outcomes(events).values()) == ["done"] * 5
    assert notices(events) == ["gpu-lost"]


def test_jobs_go_to_whoever_has_least_in_work(tmp_path: Path) -> None:
    """Two pictures, two GPUs: neither waits for the other."""
    crew = fleet(lasting=True)
    start = threading.Event()

    def feed() -> Iterator[Job]:
        assert start.wait(20)
        yield from jobs(tmp_path, "slow-a.png", "slow-b.png")

    threading.Thread(
        target=lambda: (until(lambda: all(r.ready for r in crew._runners)), start.set()),
        name="starter",
    ).start()
    began = []
    for event in crew.run(feed()):
        if isinstance(event, Finished):
            began.append(time.monotonic())
    assert len(began) == 2
    assert all(runner.children == 1 for runner in crew._runners)
    assert abs(began[1] - began[0]) < 0.25  # one after the other would take 0.3 s more


def test_a_failing_stream_of_jobs_is_told_after_what_was_begun(tmp_path: Path) -> None:
    def feed() -> Iterator[Job]:
        yield from jobs(tmp_path, "a.png", "b.png")
        raise SetupError("the list is torn", hint="mend it")

    events: list[Event] = []
    with pytest.raises(SetupError, match="torn"):
        events.extend(fleet().run(feed()))
    assert set(outcomes(events).values()) == {"done"}
    assert len(outcomes(events)) == 2


def test_a_run_that_is_given_up_ends_its_processes(tmp_path: Path) -> None:
    crew = fleet()
    run = crew.run(jobs(tmp_path, "a.png", *(f"hang-{n}.png" for n in range(6))))
    while not isinstance(next(run), Finished):
        pass
    pids = crew.pids
    assert len(pids) == 2
    began = time.monotonic()
    run.close()
    assert time.monotonic() - began < 5
    assert crew.pids == ()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_killed_process_of_one_gpu_costs_no_picture(tmp_path: Path) -> None:
    crew, killed = fleet(), None
    events = []
    for event in crew.run(jobs(tmp_path, *(f"slow-{n}.png" for n in range(10)))):
        events.append(event)
        if killed is None and isinstance(event, Finished):
            killed = crew._runners[1].pid
            assert killed is not None
            os.kill(killed, signal.SIGKILL)
    assert set(outcomes(events).values()) == {"done"}
    assert len(outcomes(events)) == 10
    assert {"memory", "restarted"} & set(notices(events))


def test_all_that_was_given_back_is_taken_up_at_once(tmp_path: Path) -> None:
    supply = _Supply(jobs(tmp_path, "a.jpg", "b.jpg"))
    lost, *others = (supply.seat(number) for number in range(3))
    drawing = supply.draw(lost)
    next(drawing), next(drawing)
    taken: list[Job] = []
    for seat in others:
        work = threading.Thread(target=lambda seat=seat: taken.append(next(supply.draw(seat))))
        work.daemon = True
        work.start()
    until(lambda: len(supply._wanting) == 2)
    supply.leave(lost)
    until(lambda: len(taken) == 2)
