"""What only the store of one server has to do: files, crashes, damage."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cleancut.errors import StorageFailed
from cleancut.server import job_files
from cleancut.server.job_store import Done, NewItem, NewJob
from cleancut.server.sqlite_jobs import SqliteJobs


def opened(folder: Path) -> SqliteJobs:
    return SqliteJobs(folder / "jobs", keep_s=60, max_bytes=1 << 30)


def a_job(folder: Path, count: int = 1) -> NewJob:
    items = []
    for n in range(count):
        (path := folder / f"upload-{n}").write_bytes(b"picture")
        items.append(NewItem(name=f"{n}.jpg", source=path))
    return NewJob(caller="ann", options="{}", items=items)


def files(folder: Path) -> list[str]:
    return sorted(p.name for p in (folder / "jobs").rglob("*") if p.suffix in (".in", ".out"))


def test_a_picture_moves_into_the_store_and_goes_when_it_is_done(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.add(a_job(tmp_path, 2))
    assert not list(tmp_path.glob("upload-*"))
    assert files(tmp_path) == ["0.in", "1.in"]
    (claim,) = store.claim(lease_s=30)
    (result := tmp_path / "result").write_bytes(b"out")
    assert store.finish(claim, Done(format="png"), result)
    assert not result.exists()
    assert files(tmp_path) == [f"0-{claim.token}.out", "1.in"]
    store.close()


def test_only_the_owner_may_look(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.add(a_job(tmp_path))
    for path in [tmp_path / "jobs", *(tmp_path / "jobs").iterdir()]:
        assert path.stat().st_mode & 0o077 == 0, path.name
    store.close()


def test_what_a_killed_process_left_is_picked_up(tmp_path: Path) -> None:
    store = opened(tmp_path)
    job, _ = store.add(a_job(tmp_path, 3))
    (claim,) = store.claim(lease_s=3600)
    (result := tmp_path / "result").write_bytes(b"out")
    store.finish(claim, Done(format="png"), result)
    (held,) = store.claim(lease_s=3600)
    store.close()
    # A result that was moved and never committed, an upload of a job that was never committed.
    home = tmp_path / "jobs" / job.id
    (home / f"1-{held.token}.out").write_bytes(b"half")
    (home / "0.in").write_bytes(b"left")
    (orphan := tmp_path / "jobs" / ("job_" + "a" * 32)).mkdir()
    (orphan / "0.in").write_bytes(b"left")
    (stranger := tmp_path / "jobs" / "notes").mkdir()
    store = opened(tmp_path)
    store.recover()
    assert files(tmp_path) == [f"0-{claim.token}.out", "1.in", "2.in"]
    assert not orphan.exists()
    assert stranger.exists()
    (again,) = store.claim(lease_s=30)
    assert again.index == 1
    assert again.attempts == 2
    store.close()


def test_a_damaged_database_is_refused_and_stays(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    (path := tmp_path / "jobs" / "jobs.db").write_bytes(b"junk" * 1000)
    with pytest.raises(StorageFailed, match="not a database") as caught:
        opened(tmp_path)
    assert str(tmp_path) not in str(caught.value)
    assert path.read_bytes() == b"junk" * 1000


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    store = opened(tmp_path)
    with store._rows.writing() as db:
        db.execute("PRAGMA user_version = 99")
    store.close()
    with pytest.raises(StorageFailed, match="newer cleancut"):
        opened(tmp_path)


def test_a_full_disk_refuses_the_job_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(tmp_path)
    monkeypatch.setattr(job_files, "_RESERVE_BYTES", 1 << 60)
    with pytest.raises(StorageFailed, match="disk is full"):
        store.add(a_job(tmp_path))
    monkeypatch.undo()

    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(job_files, "put", full)
    with pytest.raises(StorageFailed, match="No space left") as caught:
        store.add(a_job(tmp_path))
    assert str(tmp_path) not in str(caught.value)
    assert store.usage().waiting == 0
    assert [p.name for p in (tmp_path / "jobs").iterdir() if p.is_dir()] == []
    store.close()


_KILLED = """
import os, sys
from pathlib import Path
from cleancut.server.job_store import NewItem, NewJob
from cleancut.server.sqlite_jobs import SqliteJobs
folder = Path(sys.argv[1])
store = SqliteJobs(folder / "jobs", keep_s=60, max_bytes=1 << 30)
number = 0
while True:
    path = folder / "upload"
    path.write_bytes(b"x" * 5000)
    job, _ = store.add(NewJob(caller="a", options="{}", items=[NewItem(name="a", source=path)]))
    sys.stdout.write(job.id + chr(10))
    sys.stdout.flush()
"""


def test_every_accepted_job_survives_a_kill(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        told = [child.stdout.readline().strip() for _ in range(25)]
        os.kill(child.pid, signal.SIGKILL)
        told += [line.strip() for line in child.stdout.readlines() if line.endswith("\n")]
    store = opened(tmp_path)
    store.recover()
    for job in told:
        assert store.job(job) is not None
    claims = store.claim(lease_s=30, limit=10_000)
    assert {claim.job for claim in claims} >= set(told)
    for claim in claims:
        source = store.source(claim, tmp_path)
        assert source is not None
        assert source.read_bytes() == b"x" * 5000
    store.close()
