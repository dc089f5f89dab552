"""Several servers do the jobs of one Redis; they die, and so does Redis."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cleancut.errors import StorageFailed
from cleancut.server import jobs as module
from cleancut.server.job_store import Done, JobRecord, NewItem, NewJob
from cleancut.server.redis_jobs import RedisJobs
from tests.cache.conftest import redis_url  # noqa: F401
from tests.server.replica import replica
from tests.server.stand_ins import until

ROOT = Path(__file__).parent.parent.parent


def a_job(folder: Path, count: int) -> NewJob:
    items = []
    for n in range(count):
        (path := folder / f"upload-{n}").write_bytes(b"%d" % n)
        items.append(NewItem(name=f"{n}.jpg", source=path))
    return NewJob(caller="anonymous", options="{}", items=items)


def ended(store: RedisJobs, job: str) -> JobRecord | None:
    found = store.job(job)
    return found if found is not None and found.final else None


@contextmanager
def a_process(redis: str, folder: Path, log: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.server.replica", redis, str(folder), str(log)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_server_that_is_killed_is_replaced_by_the_others(
    redis_url: str,  # noqa: F811
    tmp_path: Path,
) -> None:
    store = RedisJobs(redis_url, keep_s=60, max_bytes=1 << 30)
    store._client.flushall()
    log = tmp_path / "log"
    with (
        a_process(redis_url, tmp_path / "a", log) as first,
        a_process(redis_url, tmp_path / "b", log) as second,
    ):
        job, _ = store.add(a_job(tmp_path, 60))
        until(lambda: store.job(job.id).done >= 10)  # type: ignore[union-attr]
        os.kill(first.pid, signal.SIGKILL)
        at_death = {item.index: item.token for item in store.items(job.id, limit=99) if item.token}
        found = until(lambda: ended(store, job.id), seconds=20)
        assert (found.status, found.done) == ("done", 60)
        lines = [line.split() for line in log.read_text().splitlines()]
        assert {int(pid) for _, pid in lines} == {first.pid, second.pid}
        cut = Counter(int(picture) for picture, _ in lines)
        assert set(cut) == set(range(60))
        # Only what the killed one had in its hands was cut twice.
        assert sum(cut.values()) <= 60 + 4
        tokens = {item.index: item.token for item in store.items(job.id, limit=99)}
        assert {index: tokens[index] for index in at_death} == at_death
        for index in range(60):
            (item,) = store.items(job.id, limit=1, offset=index)
            file = store.result(item)
            assert file is not None
            with file:
                assert file.read() == b"cut:%d" % index
    store.close()


@pytest.mark.slow
def test_a_server_that_comes_back_late_changes_nothing(
    redis_url: str,  # noqa: F811
    tmp_path: Path,
) -> None:
    store = RedisJobs(redis_url, keep_s=60, max_bytes=1 << 30)
    store._client.flushall()
    log = tmp_path / "log"
    with a_process(redis_url, tmp_path / "a", log) as first:
        (tmp_path / "upload").write_bytes(b"0")
        item = NewItem(name="0", source=tmp_path / "upload")
        jobs = [
            store.add(NewJob(caller="anonymous", options="{}", items=[item, item, item, item]))[0]
            for _ in range(10)
        ]
        until(lambda: sum(store.job(job.id).done for job in jobs) >= 4)  # type: ignore[union-attr]
        os.kill(first.pid, signal.SIGSTOP)
        second = replica(redis_url, tmp_path / "b", log)
        for job in jobs:
            until(lambda job=job: ended(store, job.id), seconds=20)  # type: ignore[misc]
        before = [store.items(job.id, limit=9) for job in jobs]
        os.kill(first.pid, signal.SIGCONT)
        time.sleep(1.5)
        assert [store.items(job.id, limit=9) for job in jobs] == before
        for job in jobs:
            found = store.job(job.id)
            assert found is not None
            assert found.done == 4
        results = list(store._client.scan_iter("*:out:*"))
        assert len(results) == 40, "the late one left its results behind"
        second.stop()
    store.close()


@contextmanager
def a_redis(port: int, folder: Path) -> Iterator[None]:
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir"]
    command += [str(folder), "--appendonly", "yes", "--appendfsync", "always"]
    command += ["--loglevel", "warning"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:

        def listens() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        until(listens)
        try:
            yield
        finally:
            server.kill()


def test_work_goes_on_when_redis_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAUSE_S", 0.1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder := tmp_path / "redis").mkdir()
    url = f"redis://127.0.0.1:{port}/0"
    log = tmp_path / "log"
    with a_redis(port, folder):
        jobs = replica(url, tmp_path / "a", log, slow_s=0.05)
        job, _ = jobs.accept(a_job(tmp_path, 30))
        until(lambda: jobs.store.job(job.id).done >= 3)  # type: ignore[union-attr]
    until(lambda: jobs.trouble() is not None)
    with pytest.raises(StorageFailed) as caught:
        jobs.accept(a_job(tmp_path, 1))
    assert "127.0.0.1" not in str(caught.value)
    with pytest.raises(StorageFailed):
        jobs.store.job(job.id)
    with a_redis(port, folder):
        store = jobs.store
        assert isinstance(store, RedisJobs)
        found = until(lambda: ended(store, job.id), seconds=20)
        assert found.done == 30
        until(lambda: jobs.trouble() is None)
        cut = Counter(line.split()[0] for line in log.read_text().splitlines())
        assert set(cut) == {str(n) for n in range(30)}
        jobs.stop()


def test_a_redis_that_is_full_refuses_jobs_and_keeps_what_it_has(
    redis_url: str,  # noqa: F811
    tmp_path: Path,
) -> None:
    store = RedisJobs(redis_url, keep_s=60, max_bytes=1 << 30)
    store._client.flushall()
    job, _ = store.add(a_job(tmp_path, 2))
    (claim,) = store.claim(lease_s=30)
    (tmp_path / "big").write_bytes(os.urandom(3_000_000))
    big = NewJob(caller="a", options="{}", items=[NewItem(name="b", source=tmp_path / "big")])
    used = int(store._client.info("memory")["used_memory"])
    store._client.config_set("maxmemory", str(used + 100_000))
    try:
        with pytest.raises(StorageFailed):
            store.add(big)
        assert store.job(job.id) is not None
    finally:
        store._client.config_set("maxmemory", "0")
    assert store.finish(claim, Done(format="png"))
    store.close()
