from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

import pytest

from cleancut import Options
from cleancut.batch.job import Event, Finished, Job, Notice, Outcome, Started
from cleancut.batch.station import Reply, Station, ingredients, read_jobs, versions, write_jobs
from cleancut.batch.worker import WorkerConfig
from cleancut.errors import ClusterUnavailable, OutputNotWritable, WeightsMissing

ECHO = WorkerConfig(options=Options(model="echo").to_json())


class Sure:
    """A runner that is done with everything at once."""

    def __init__(self, config: WorkerConfig) -> None: ...

    def run(self, jobs: Iterable[Job]) -> Iterator[Event]:
        for job in jobs:
            yield Started(job)
            if job.name == "odd":
                yield Notice("odd", "an odd one")
            if job.name == "full":
                raise OutputNotWritable("the disk is full", hint="make room")
            if job.name == "bug":
                raise ZeroDivisionError
            yield Finished(job, Outcome(job.id, "done", written=5, facts={"size": [1, 2]}))


def job(name: str) -> Job:
    return Job(id=f"id-{name}", source=f"in/{name}", target=f"out/{name}", name=name, size=7)


def ask(station: Station, *names: str) -> Reply:
    answers = list(station({"jobs": [write_jobs([job(name) for name in names])]}))
    assert len(answers) == 1
    return Reply.from_json(answers[0]["replies"][0])


def test_jobs_and_replies_survive_the_way_through_the_cluster() -> None:
    jobs = [job("ä b.png"), job("\u2028.png")]
    assert read_jobs(write_jobs(jobs)) == jobs
    outcome = Outcome("1", "failed", 0.5, error={"code": "unreadable-image"})
    reply = Reply(
        "w", (Notice("memory", "less"), Finished(jobs[0], outcome)), WeightsMissing("no", hint="go")
    )
    back = Reply.from_json(reply.to_json())
    assert back.events == reply.events
    assert isinstance(back.error, WeightsMissing)
    assert (back.error.message, back.error.hint) == ("no", "go")


def test_every_job_is_answered_once_and_notices_come_along() -> None:
    station = Station(Sure, ECHO, ingredients(ECHO.options))
    reply = ask(station, "a", "odd", "b")
    assert [e.job.name for e in reply.events if isinstance(e, Finished)] == ["a", "odd", "b"]
    assert [e.code for e in reply.events if isinstance(e, Notice)] == ["odd"]
    assert ask(station, "c").worker == reply.worker
    assert Station(Sure, ECHO, {})._id != reply.worker


def test_calls_from_several_threads_get_their_own_answers() -> None:
    station = Station(Sure, ECHO, {})
    answers: dict[int, list[str]] = {}

    def call(number: int) -> None:
        reply = ask(station, *(f"{number}-{n}" for n in range(20)))
        answers[number] = [e.job.name for e in reply.events if isinstance(e, Finished)]

    threads = [threading.Thread(target=call, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    for number in range(8):
        assert sorted(answers[number]) == sorted(f"{number}-{n}" for n in range(20))


@pytest.mark.parametrize(
    ("name", "code", "text"),
    [
        ("full", "output-not-writable", "the disk is full"),
        ("bug", "cleancut-error", "ZeroDivision"),
    ],
)
def test_what_ends_the_runner_ends_every_call(name: str, code: str, text: str) -> None:
    station = Station(Sure, ECHO, {})
    for reply in (ask(station, "a", name), ask(station, "b")):
        assert reply.error is not None
        assert reply.error.code == code
        assert text in reply.error.message


def test_jobs_that_may_not_be_begun_again_are_left_without_an_answer() -> None:
    ended: list[tuple[str, int]] = []
    station = Station(
        Sure, ECHO, {}, lambda name: name != "id-bad", lambda *what: ended.append(what)
    )
    assert ask(station, "bad", "a").events == ()
    assert len(ask(station, "b").events) == 1
    assert ended == [("id-bad", 2), ("id-b", 1)]


@pytest.mark.parametrize(
    ("name", "hint"),
    [("cleancut", "pip install 'cleancut=="), ("weights of isnet", "cleancut models verify")],
)
def test_a_worker_that_would_write_other_bytes_takes_no_part(name: str, hint: str) -> None:
    reply = ask(Station(_never, ECHO, {**versions(), name: "99.9"}), "a")
    assert isinstance(reply.error, ClusterUnavailable)
    assert f"has {name} " in reply.error.message
    assert "the driver has 99.9" in reply.error.message
    assert hint in reply.error.hint


def test_a_worker_without_weights_says_where_and_what_to_do() -> None:
    config = WorkerConfig(options=Options(model="u2netp").to_json())
    reply = ask(Station(_never, config, versions()), "a")
    assert isinstance(reply.error, WeightsMissing)
    assert reply.error.message.startswith("a worker of the cluster, ")
    assert reply.error.hint == "on every node, run: cleancut models pull u2netp"


def _never(config: WorkerConfig) -> Sure:
    raise AssertionError("no runner is made")
