"""Who does the jobs: against a pool and a web that do what the test wants."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cleancut.errors import (
    AddressRefused,
    CleancutError,
    FetchFailed,
    QuotaSpent,
    StorageFailed,
    UnreadableImage,
)
from cleancut.server import jobs as module
from cleancut.server.job_store import Done, ItemRecord, JobRecord, NewItem, NewJob
from cleancut.server.jobs import Jobs
from cleancut.server.key_file import Limits
from cleancut.server.keys import Keys
from cleancut.server.order import Order
from cleancut.server.settings import Settings
from cleancut.server.sqlite_jobs import SqliteJobs
from tests.server.stand_ins import FakePool, FakeWeb, until

Make = Callable[..., tuple[Jobs, FakePool]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(data=tmp_path / "data", workers=2)
    made.spool.mkdir(parents=True)
    return made


@pytest.fixture
def make(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Starts ``Jobs`` over the same folder, as one process after the other would."""
    monkeypatch.setattr(module, "_PAUSE_S", 0.05)
    made: list[tuple[Jobs, FakePool]] = []

    def start(
        web: FakeWeb | None = None, work: Callable[[Order], None] | None = None, **more: Any
    ) -> tuple[Jobs, FakePool]:
        pool = FakePool(before=work)
        jobs = Jobs(settings, pool, web or FakeWeb(), **more)  # type: ignore[arg-type]
        jobs.start()
        made.append((jobs, pool))
        return jobs, pool

    yield start
    for jobs, pool in made:
        jobs.stop()
        pool.stop()


def a_job(settings: Settings, *pictures: bytes, **more: Any) -> NewJob:
    items = []
    for n, data in enumerate(pictures):
        (path := settings.data / f"upload-{n}").write_bytes(data)
        items.append(NewItem(name=f"{n}.jpg", source=path))
    return NewJob(**{"caller": "anonymous", "options": "{}", "items": items, **more})


def ended(jobs: Jobs, job: str) -> JobRecord:
    def look() -> JobRecord | None:
        found = jobs.store.job(job)
        return found if found is not None and found.final else None

    found: JobRecord = until(look)
    return found


def items(jobs: Jobs, job: str) -> list[ItemRecord]:
    return jobs.store.items(job, limit=1000)


def test_every_picture_is_cut_once_and_patiently(make: Make, settings: Settings) -> None:
    jobs, pool = make()
    job, _ = jobs.accept(a_job(settings, b"a", b"b", b"c", options='{"format":"webp"}'))
    assert ended(jobs, job.id).status == "done"
    assert sorted(pool.seen) == [b"a", b"b", b"c"]
    assert all(order.patient and order.options.format == "webp" for order in pool.orders)
    for item, data in zip(items(jobs, job.id), (b"cut:a", b"cut:b", b"cut:c"), strict=True):
        assert (item.status, item.format, item.size) == ("done", "webp", 5)
        assert item.facts is not None
        assert item.facts["model"] == "echo"
        file = jobs.store.result(item)
        assert file is not None
        with file:
            assert file.read() == data
    until(lambda: not list(settings.spool.iterdir()))


def test_a_picture_that_cannot_be_cut_fails_alone(make: Make, settings: Settings) -> None:
    def work(order: Order) -> None:
        if order.source.read_bytes() == b"bad":
            raise UnreadableImage(f"{order.source.absolute()} is no picture", hint="look at it")
        if order.source.read_bytes() == b"bug":
            raise CleancutError("unexpected ValueError: /etc/passwd")

    jobs, _ = make(work=work)
    job, _ = jobs.accept(a_job(settings, b"good", b"bad", b"bug"))
    found = ended(jobs, job.id)
    assert (found.status, found.done, found.failed) == ("done", 1, 2)
    good, bad, bug = items(jobs, job.id)
    assert good.status == "done"
    assert bad.error is not None
    assert bad.error["code"] == "unreadable-image"
    assert str(settings.data) not in bad.error["message"]
    assert bug.error is not None
    assert "passwd" not in str(bug.error)


def test_addresses_are_fetched_at_their_turn(make: Make, settings: Settings) -> None:
    web = FakeWeb({"https://a/": b"A", "https://b/": AddressRefused("not public")})
    jobs, pool = make(web)
    wanted = [NewItem(name="a", url="https://a/"), NewItem(name="b", url="https://b/")]
    job, _ = jobs.accept(a_job(settings, items=wanted))
    ended(jobs, job.id)
    assert pool.seen == [b"A"]
    good, bad = items(jobs, job.id)
    assert good.status == "done"
    assert bad.error is not None
    assert bad.error["code"] == "address-refused"
    until(lambda: not list(settings.spool.iterdir()))


def test_an_address_that_may_answer_later_is_asked_once_more(
    make: Make, settings: Settings
) -> None:
    class Flaky(FakeWeb):
        asked = 0

        def get(self, url: str, **more: Any) -> Any:
            self.asked += 1
            if self.asked == 1:
                raise FetchFailed("busy", retry_after_s=5)
            return super().get(url, **more)

    web = Flaky({"https://a/": b"A"})
    jobs, _ = make(web)
    job, _ = jobs.accept(a_job(settings, items=[NewItem(name="a", url="https://a/")]))
    assert ended(jobs, job.id).status == "done"
    assert web.asked == 2


def test_what_was_in_work_is_done_by_the_next_process(make: Make, settings: Settings) -> None:
    jobs, pool = make()
    pool.open.clear()
    job, _ = jobs.accept(a_job(settings, *(b"%d" % n for n in range(6))))
    until(lambda: pool.seen)
    began = time.monotonic()
    jobs.stop()
    assert time.monotonic() - began < 2
    pool.stop()
    jobs, second = make()
    assert ended(jobs, job.id).status == "done"
    assert sorted(second.seen) == [b"%d" % n for n in range(6)]
    assert all(item.status == "done" for item in items(jobs, job.id))


def test_cancelling_takes_back_what_waits_and_drops_what_runs(
    make: Make, settings: Settings
) -> None:
    jobs, pool = make()
    pool.open.clear()
    job, _ = jobs.accept(a_job(settings, *(b"%d" % n for n in range(6))))
    until(lambda: pool.seen)
    found = jobs.cancel(job.id)
    assert found is not None
    assert found.status == "cancelled"
    other, _ = jobs.accept(a_job(settings, b"next"))
    pool.open.set()
    ended(jobs, other.id)
    assert pool.seen[1:] == [b"next"]
    assert {item.status for item in items(jobs, job.id)} == {"cancelled"}
    assert jobs.cancel("job_" + "0" * 32) is None


class _Quota:
    def __init__(self, left: int) -> None:
        self.left = left
        self.charged: list[tuple[str, float]] = []

    def check(self, caller: Any) -> None:
        if len(self.charged) >= self.left:
            raise QuotaSpent("spent")

    def charge(self, caller: Any, megapixels: float) -> None:
        self.charged.append((caller.id, megapixels))


def test_callers_pay_for_what_they_get(make: Make, settings: Settings) -> None:
    def work(order: Order) -> None:
        if order.source.read_bytes() == b"bad":
            raise UnreadableImage("no")

    quota = _Quota(99)
    jobs, _ = make(work=work, quota=quota)
    job, _ = jobs.accept(a_job(settings, b"a", b"bad", b"b"))
    ended(jobs, job.id)
    until(lambda: len(quota.charged) == 2)
    assert quota.charged == [("anonymous", 2.0)] * 2


def test_a_spent_quota_fails_the_picture(make: Make, settings: Settings) -> None:
    jobs, pool = make(quota=_Quota(0))
    job, _ = jobs.accept(a_job(settings, b"a"))
    assert ended(jobs, job.id).status == "failed"
    error = items(jobs, job.id)[0].error
    assert error is not None
    assert error["code"] == "quota-spent"
    assert pool.seen == []


def test_jobs_of_a_key_that_was_removed_are_not_done(make: Make, settings: Settings) -> None:
    keys = Keys.of(settings)
    keys.add("ann", Limits())
    caller = keys.listed()[0].caller
    quota = _Quota(9)
    jobs, pool = make(quota=quota, keys=keys)
    job, _ = jobs.accept(a_job(settings, b"a", caller=caller.id))
    assert ended(jobs, job.id).status == "done"
    until(lambda: quota.charged)
    keys.remove("ann")
    job, _ = jobs.accept(a_job(settings, b"b", caller=caller.id))
    ended(jobs, job.id)
    error = items(jobs, job.id)[0].error
    assert error is not None
    assert error["code"] == "key-refused"
    assert pool.seen == [b"a"]


class _Failing(SqliteJobs):
    failing = threading.Event()
    asked = 0

    def finish(self, claim: Any, done: Done, result: Path | None = None) -> bool:
        if self.failing.is_set():
            type(self).asked += 1
            raise StorageFailed("away")
        return super().finish(claim, done, result)


def test_a_result_waits_for_the_store_to_come_back(make: Make, settings: Settings) -> None:
    store = _Failing(settings.data / "jobs", keep_s=60, max_bytes=1 << 30)
    _Failing.failing.set()
    jobs, pool = make(store=store)
    job, _ = jobs.accept(a_job(settings, b"a"))
    until(lambda: _Failing.asked > 2)
    assert jobs.trouble() is not None
    _Failing.failing.clear()
    assert ended(jobs, job.id).status == "done"
    until(lambda: jobs.trouble() is None)
    assert pool.seen == [b"a"]


def test_a_server_that_is_full_tries_again(make: Make, settings: Settings) -> None:
    tries: list[int] = []

    def work(order: Order) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise StorageFailed("the disk is full")

    jobs, _ = make(work=work)
    job, _ = jobs.accept(a_job(settings, b"a"))
    assert ended(jobs, job.id).status == "done"
    assert len(tries) == 3


def test_a_picture_that_ends_the_server_again_and_again_is_given_up(
    make: Make, settings: Settings
) -> None:
    store = SqliteJobs(settings.data / "jobs", keep_s=60, max_bytes=1 << 30)
    job, _ = store.add(a_job(settings, b"a"))
    for _ in range(module.MAX_ATTEMPTS):
        store.claim(lease_s=60)
        store.recover()
    store.close()
    jobs, pool = make()
    assert ended(jobs, job.id).status == "failed"
    error = items(jobs, job.id)[0].error
    assert error is not None
    assert error["code"] == "crashed"
    assert pool.seen == []


def test_an_item_that_is_in_work_for_long_is_held(make: Make, settings: Settings) -> None:
    jobs, pool = make(lease_s=0.3)
    pool.open.clear()
    job, _ = jobs.accept(a_job(settings, b"a"))
    until(lambda: pool.seen)
    time.sleep(1.0)
    pool.open.set()
    assert ended(jobs, job.id).status == "done"
    assert pool.seen == [b"a"]


def test_a_damaged_store_says_where_it_is_to_whoever_starts_the_server(
    settings: Settings,
) -> None:
    (settings.data / "jobs").mkdir()
    (settings.data / "jobs" / "jobs.db").write_bytes(b"junk" * 999)
    jobs = Jobs(settings, FakePool(), FakeWeb())  # type: ignore[arg-type]
    with pytest.raises(StorageFailed, match="not a database") as caught:
        jobs.start()
    assert str(settings.data / "jobs") in caught.value.message


def test_the_operators_secret_is_the_same_everywhere(settings: Settings, tmp_path: Path) -> None:
    def secret(data: Path, words: str | None) -> bytes:
        jobs = Jobs(Settings(data=data, secret=words), FakePool(), FakeWeb())  # type: ignore[arg-type]
        jobs._store = SqliteJobs(data / "jobs", keep_s=1, max_bytes=1)
        try:
            return jobs.secret()
        finally:
            jobs._store.close()

    assert secret(tmp_path / "a", "words") == secret(tmp_path / "b", "words")
    assert secret(tmp_path / "a", None) == secret(tmp_path / "a", None)
    assert secret(tmp_path / "a", None) != secret(tmp_path / "b", None)


def test_a_container_claims_no_more_than_its_share_of_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cleancut.backends.machine._cgroup_quota", lambda: 0.5)
    made = Settings(data=tmp_path / "data")
    made.spool.mkdir(parents=True)
    jobs = Jobs(made, FakePool(), FakeWeb())  # type: ignore[arg-type]
    jobs.start()
    names = [one.name for one in jobs._threads if one.name.startswith("cleancut-job-")]
    jobs.stop()
    assert len(names) == 3
