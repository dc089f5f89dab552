"""One contract, two stores: SQLite with files, and a real Redis."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cleancut.errors import Busy, JobConflict, StorageFailed
from cleancut.server import job_store as contract
from cleancut.server.job_store import Claim, Done, JobStore, NewItem, NewJob
from cleancut.server.redis_jobs import RedisJobs
from cleancut.server.sqlite_jobs import SqliteJobs
from tests.cache.conftest import redis_url  # noqa: F401

KEEP_S = 60.0
Opener = Callable[..., JobStore]


@pytest.fixture(params=["sqlite", "redis"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    """Opens the same store, each time as another process would."""
    made: list[JobStore] = []
    if request.param == "redis":
        url = request.getfixturevalue("redis_url")
        RedisJobs(url, keep_s=1, max_bytes=1)._client.flushall()

    def opened(*, keep_s: float = KEEP_S, max_bytes: int = 1 << 30) -> JobStore:
        store: JobStore = (
            RedisJobs(url, keep_s=keep_s, max_bytes=max_bytes)
            if request.param == "redis"
            else SqliteJobs(tmp_path / "jobs", keep_s=keep_s, max_bytes=max_bytes)
        )
        made.append(store)
        return store

    yield opened
    for store in made:
        store.close()


@pytest.fixture
def store(opener: Opener) -> JobStore:
    return opener()


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


def a_file(spool: Path, data: bytes) -> Path:
    path = spool / f"{time.monotonic_ns():x}"
    path.write_bytes(data)
    return path


def a_job(spool: Path, count: int = 2, **more: object) -> NewJob:
    items = [NewItem(name=f"{n}.jpg", source=a_file(spool, b"in %d" % n)) for n in range(count)]
    fields: dict[str, object] = {"caller": "ann", "options": '{"crop":true}', "items": items}
    return NewJob(**{**fields, **more})  # type: ignore[arg-type]


def take(store: JobStore, *, lease_s: float = 30.0) -> Claim:
    (claim,) = store.claim(lease_s=lease_s)
    return claim


def complete(store: JobStore, spool: Path, claim: Claim, data: bytes = b"out") -> bool:
    done = Done(facts={"model": "echo", "reasons": [], "note": "ü"}, format="png")
    return store.finish(claim, done, a_file(spool, data))


FAILED = Done(error={"code": "unreadable-image", "message": "no", "hint": ""})


def test_a_job_goes_its_way(store: JobStore, spool: Path) -> None:
    job, fresh = store.add(a_job(spool, callback="https://example.com/hook"))
    assert fresh
    assert job.status == "queued"
    assert (job.total, job.done, job.failed) == (2, 0, 0)
    first, second = store.claim(lease_s=30, limit=5)
    assert [(c.index, c.name, c.attempts) for c in (first, second)] == [
        (0, "0.jpg", 1),
        (1, "1.jpg", 1),
    ]
    assert (first.caller, first.options) == ("ann", '{"crop":true}')
    source = store.source(first, spool)
    assert source is not None
    assert source.read_bytes() == b"in 0"
    running = store.job(job.id)
    assert running is not None
    assert running.status == "running"
    assert complete(store, spool, first, b"result" * 1000)
    assert not list(spool.glob("*.out"))
    assert store.finish(second, FAILED)
    ended = store.job(job.id)
    assert ended is not None
    assert ended.status == "done"
    assert (ended.done, ended.failed) == (1, 1)
    assert ended.finished is not None
    assert ended.expires == pytest.approx(ended.finished + KEEP_S, abs=0.1)
    good, bad = store.items(job.id, limit=10)
    assert good.facts == {"model": "echo", "reasons": [], "note": "ü"}
    assert (good.status, good.format, good.size) == ("done", "png", 6000)
    file = store.result(good)
    assert file is not None
    with file:
        assert file.read() == b"result" * 1000
    assert (bad.status, bad.error) == ("failed", FAILED.error)
    assert store.result(bad) is None
    (event,) = store.claim_events(lease_s=30)
    assert (event.type, event.job, event.caller) == ("job.done", job.id, "ann")
    assert (event.url, event.total, event.failed) == ("https://example.com/hook", 2, 1)
    assert store.claim(lease_s=30) == []


def test_videos_wait_in_a_line_of_their_own(opener: Opener, spool: Path) -> None:
    store = opener()
    back = a_file(spool, b"behind")
    clip = NewItem(name="a.mp4", source=a_file(spool, b"clip"), background=back)
    video, _ = store.add(a_job(spool, kind="video", items=[clip]))
    pictures, _ = store.add(a_job(spool, 1))
    assert store.usage().waiting == 2
    assert take(store).job == pictures.id
    assert store.claim(lease_s=30.0) == []
    (claim,) = store.claim(lease_s=30.0, kind="video")
    assert (claim.job, claim.kind) == (video.id, "video")
    for find, data in ((store.source, b"clip"), (store.background, b"behind")):
        path = find(claim, spool)
        assert path is not None
        assert path.read_bytes() == data
    store.release(claim)
    (again,) = store.claim(lease_s=30.0, kind="video")
    before = store.usage().bytes
    (result := spool / "result").write_bytes(b"out")
    assert store.finish(again, Done(facts={"frames": 3}, format="webm"), result)
    assert store.usage().bytes == before - len(b"clip") - len(b"behind") + len(b"out")
    assert store.background(again, spool) is None


def test_how_far_an_item_is_is_told_until_it_ends(store: JobStore, spool: Path) -> None:
    job, _ = store.add(a_job(spool, 1, kind="video"))
    (claim,) = store.claim(lease_s=30.0, kind="video")
    store.progress(claim, {"share": 0.5})
    (item,) = store.items(job.id, limit=1)
    assert (item.status, item.facts) == ("running", {"share": 0.5})
    store.release(claim)
    store.progress(claim, {"share": 0.9})
    (item,) = store.items(job.id, limit=1)
    assert (item.status, item.facts) == ("queued", None)


def test_everything_is_there_for_the_next_process(opener: Opener, spool: Path) -> None:
    first = opener()
    job, _ = first.add(a_job(spool, 3))
    assert complete(first, spool, take(first))
    secret = first.secret()
    second = opener()
    assert second.job(job.id) == first.job(job.id)
    assert [item.status for item in second.items(job.id, limit=9)] == ["done", "queued", "queued"]
    assert second.secret() == secret
    assert len(secret) == 32
    assert take(second).index == 1


def test_a_job_of_failures_has_failed(store: JobStore, spool: Path) -> None:
    job, _ = store.add(a_job(spool, 1, callback="https://example.com/"))
    assert store.finish(take(store), FAILED)
    found = store.job(job.id)
    assert found is not None
    assert found.status == "failed"
    assert store.claim_events(lease_s=1)[0].type == "job.failed"


def test_a_lost_lease_is_taken_over_and_its_old_holder_changes_nothing(
    store: JobStore, spool: Path
) -> None:
    job, _ = store.add(a_job(spool, 1))
    late = take(store, lease_s=0.05)
    time.sleep(0.1)
    new = take(store)
    assert new.key == late.key
    assert new.attempts == 2
    assert store.renew([late, new], lease_s=30) == [late]
    store.release(late)
    assert not complete(store, spool, late, b"from the dead")
    assert store.claim(lease_s=30) == []
    assert complete(store, spool, new, b"alive")
    assert not complete(store, spool, late, b"from the dead")
    (item,) = store.items(job.id, limit=1)
    file = store.result(item)
    assert file is not None
    with file:
        assert file.read() == b"alive"
    found = store.job(job.id)
    assert found is not None
    assert found.done == 1


def test_a_lease_that_is_renewed_is_not_taken_over(store: JobStore, spool: Path) -> None:
    store.add(a_job(spool, 1))
    held = take(store, lease_s=0.2)
    for _ in range(4):
        time.sleep(0.1)
        assert store.renew([held], lease_s=0.2) == []
        assert store.claim(lease_s=1) == []
    assert complete(store, spool, held)


def test_a_late_holder_that_nobody_replaced_may_still_finish(store: JobStore, spool: Path) -> None:
    store.add(a_job(spool, 1))
    held = take(store, lease_s=0.01)
    time.sleep(0.05)
    assert complete(store, spool, held)


def test_what_is_given_back_was_no_attempt(store: JobStore, spool: Path) -> None:
    store.add(a_job(spool, 1))
    store.release(take(store))
    assert take(store).attempts == 1


def test_a_result_is_told_twice_when_the_answer_was_lost(store: JobStore, spool: Path) -> None:
    job, _ = store.add(a_job(spool, 2))
    claim = take(store)
    complete(store, spool, claim)
    complete(store, spool, claim)
    found = store.job(job.id)
    assert found is not None
    assert found.done == 1
    item = store.items(job.id, limit=1)[0]
    file = store.result(item)
    assert file is not None
    file.close()


def test_a_small_job_does_not_wait_for_all_of_a_large_one(
    store: JobStore, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large, _ = store.add(a_job(spool, 50))
    small, _ = store.add(a_job(spool, 2))
    order = [take(store).job for _ in range(6)]
    assert order.count(small.id) == 2
    assert order[0] == large.id


def test_many_hands_take_every_item_once(opener: Opener, spool: Path) -> None:
    stores = [opener() for _ in range(3)]
    stores[0].add(a_job(spool, 60))
    taken: list[int] = []

    def work(store: JobStore) -> None:
        while found := store.claim(lease_s=30):
            taken.extend(claim.index for claim in found)
            for claim in found:
                assert store.finish(claim, FAILED)

    threads = [threading.Thread(target=work, args=(store,)) for store in stores for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(60))


def test_cancelling_stops_what_waits_and_drops_what_runs(store: JobStore, spool: Path) -> None:
    job, _ = store.add(a_job(spool, 4, callback="https://example.com/"))
    complete(store, spool, take(store))
    assert store.finish(take(store), FAILED)
    running = take(store)
    cancelled = store.cancel(job.id)
    assert cancelled is not None
    assert cancelled.status == "cancelled"
    assert store.claim(lease_s=1) == []
    assert store.renew([running], lease_s=1) == [running]
    assert not complete(store, spool, running)
    statuses = [item.status for item in store.items(job.id, limit=9)]
    assert statuses == ["cancelled", "failed", "cancelled", "cancelled"]
    assert all(store.result(item) is None for item in store.items(job.id, limit=9))
    assert store.usage().bytes == 4 * contract.ROW_BYTES
    assert store.usage().waiting == 0
    assert [event.type for event in store.claim_events(lease_s=1)] == ["job.cancelled"]
    again = store.cancel(job.id)
    assert again == cancelled
    assert store.cancel("job_" + "0" * 32) is None


def test_deleting_what_has_ended_removes_its_results(store: JobStore, spool: Path) -> None:
    job, _ = store.add(a_job(spool, 1))
    complete(store, spool, take(store), b"x" * 5000)
    (item,) = store.items(job.id, limit=1)
    gone = store.cancel(job.id)
    assert gone is not None
    assert gone.status == "expired"
    assert store.items(job.id, limit=1) == []
    assert store.result(item) is None
    assert store.usage().bytes == contract.ROW_BYTES


def test_results_go_after_their_time_and_then_the_job_itself(opener: Opener, spool: Path) -> None:
    store = opener(keep_s=0.2)
    job, _ = store.add(a_job(spool, 1, idempotency=("k", "r")))
    assert store.expire() == 0
    complete(store, spool, take(store))
    time.sleep(0.3)
    assert store.expire() == 1
    found = store.job(job.id)
    assert found is not None
    assert found.status == "expired"
    assert store.items(job.id, limit=1) == []
    time.sleep(0.3)
    assert store.expire() == 1
    assert store.job(job.id) is None
    assert store.jobs("ann", limit=5) == []
    assert store.usage() == contract.Usage(0, 0)
    fresh, made = store.add(a_job(spool, 1, idempotency=("k", "other")))
    assert made
    assert fresh.id != job.id


def test_a_job_that_nobody_does_goes_too(opener: Opener, spool: Path) -> None:
    store = opener(keep_s=0.02)
    job, _ = store.add(a_job(spool, 2))
    time.sleep(0.3)
    store.expire()
    found = store.job(job.id)
    assert found is not None
    assert found.status == "expired"
    assert store.claim(lease_s=1) == []
    assert store.usage().waiting == 0


def test_the_same_request_gives_the_same_job(store: JobStore, spool: Path) -> None:
    job, _ = store.add(a_job(spool, idempotency=("key", "request")))
    again, fresh = store.add(a_job(spool, idempotency=("key", "request")))
    assert not fresh
    assert again.id == job.id
    with pytest.raises(JobConflict):
        store.add(a_job(spool, idempotency=("key", "another")))
    other, fresh = store.add(a_job(spool, caller="bob", idempotency=("key", "another")))
    assert fresh
    assert other.id != job.id
    assert store.usage().bytes == 4 * (contract.ROW_BYTES + 4)


def test_the_same_request_at_the_same_moment_gives_one_job(opener: Opener, spool: Path) -> None:
    stores = [opener() for _ in range(4)]
    wanted = [a_job(spool, idempotency=("key", "request")) for _ in stores]
    found: list[tuple[str, bool]] = []
    threads = [
        threading.Thread(
            target=lambda s=store, j=job: found.append((lambda r: (r[0].id, r[1]))(s.add(j)))
        )
        for store, job in zip(stores, wanted, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({name for name, _ in found}) == 1
    assert sum(fresh for _, fresh in found) == 1
    assert len(stores[0].jobs("ann", limit=9)) == 1


def test_there_is_a_limit_of_bytes(opener: Opener, spool: Path) -> None:
    store = opener(max_bytes=10_000)
    with pytest.raises(StorageFailed, match="room"):
        store.add(
            NewJob(
                caller="a",
                options="{}",
                items=[NewItem(name="x", source=a_file(spool, b"x" * 10_000))],
            )
        )
    assert store.usage().bytes == 0
    small, _ = store.add(a_job(spool, 9))
    with pytest.raises(StorageFailed, match="room"):
        store.add(a_job(spool, 9))
    store.cancel(small.id)
    assert store.usage().bytes == 9 * contract.ROW_BYTES


def test_there_is_a_limit_of_waiting_pictures(
    store: JobStore, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contract, "MAX_WAITING", 3)
    store.add(a_job(spool, 2))
    with pytest.raises(Busy):
        store.add(a_job(spool, 2))
    assert store.usage().waiting == 2


def test_pages_of_jobs_and_items(store: JobStore, spool: Path) -> None:
    ids = []
    for _ in range(4):
        ids.append(store.add(a_job(spool, 5))[0].id)
        time.sleep(0.01)
    store.add(a_job(spool, 1, caller="bob"))
    assert [job.id for job in store.jobs("ann", limit=3)] == ids[:0:-1]
    assert [job.id for job in store.jobs("ann", limit=3, offset=3)] == ids[:1]
    assert store.jobs("ann", limit=3, offset=9) == []
    assert store.jobs("nobody", limit=3) == []
    assert [item.index for item in store.items(ids[0], limit=2, offset=3)] == [3, 4]
    assert store.items(ids[0], limit=2, offset=9) == []
    assert store.items("job_" + "0" * 32, limit=2) == []


def test_an_event_is_told_until_it_is_settled(store: JobStore, spool: Path) -> None:
    store.add(a_job(spool, 1, callback="https://example.com/"))
    store.finish(take(store), FAILED)
    (event,) = store.claim_events(lease_s=0.05)
    assert event.attempts == 1
    assert store.claim_events(lease_s=1) == []
    time.sleep(0.1)
    (again,) = store.claim_events(lease_s=1)
    assert (again.id, again.created) == (event.id, event.created)
    assert again.attempts == 2
    store.settle_event(again, 0.0)
    (third,) = store.claim_events(lease_s=1)
    store.settle_event(third, None)
    time.sleep(0.01)
    assert store.claim_events(lease_s=1) == []


def test_events_of_some_callers_can_be_left_for_later(store: JobStore, spool: Path) -> None:
    for caller in ("ann", "ann", "bob"):
        store.add(a_job(spool, 1, caller=caller, callback="https://example.com/"))
        store.finish(take(store), FAILED)
    (event,) = store.claim_events(lease_s=9, without=["ann", "eve"])
    assert event.caller == "bob"
    assert store.claim_events(lease_s=9, without=["ann"]) == []
    assert len(store.claim_events(lease_s=9, limit=5, without=["bob"])) == 2


def test_a_job_of_addresses_has_no_files(store: JobStore, spool: Path) -> None:
    store.add(a_job(spool, items=[NewItem(name="a.jpg", url="https://example.com/a.jpg?k=1")]))
    claim = take(store)
    assert claim.url == "https://example.com/a.jpg?k=1"
    assert store.source(claim, spool) is None
    assert complete(store, spool, claim)


def test_a_thousand_items_fit(store: JobStore, spool: Path) -> None:
    items = [NewItem(name=f"{n}.jpg", url="https://example.com/" + "a" * 400) for n in range(3000)]
    job, _ = store.add(a_job(spool, items=items))
    assert len(store.items(job.id, limit=5000)) == 3000
    assert store.cancel(job.id) is not None
