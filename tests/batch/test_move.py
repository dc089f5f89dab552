from __future__ import annotations

import os
from pathlib import Path

import pytest

from cleancut.batch import move, storage
from cleancut.batch.inputs import resolve
from cleancut.batch.job import Job
from cleancut.batch.move import check_move, move_done
from cleancut.batch.plan import plan
from cleancut.errors import BadOption, OutputNotWritable


@pytest.fixture
def job(tmp_path: Path) -> Job:
    source = tmp_path / "in" / "sub" / "a.jpg"
    source.parent.mkdir(parents=True)
    source.write_bytes(b"picture")
    os.utime(source, ns=(10**18, 10**18))
    (only,) = plan([str(tmp_path / "in")], str(tmp_path / "out"), suffix="png")
    return only


def test_a_done_input_moves_with_its_tree_and_its_time(tmp_path: Path, job: Job) -> None:
    place = move_done(job, str(tmp_path / "done"))
    assert place == str(tmp_path / "done/sub/a.jpg")
    assert Path(place).read_bytes() == b"picture"
    assert Path(place).stat().st_mtime_ns == 10**18
    assert not Path(job.source).exists()
    assert move_done(job, str(tmp_path / "done")) is None


def test_nothing_that_is_there_is_replaced(tmp_path: Path, job: Job) -> None:
    there = tmp_path / "done/sub/a.jpg"
    there.parent.mkdir(parents=True)
    there.write_bytes(b"another")
    place = move_done(job, str(tmp_path / "done"))
    assert place is not None
    assert there.read_bytes() == b"another"
    assert Path(place).name == f"a-{job.id[:6]}.jpg"
    assert Path(place).read_bytes() == b"picture"


def test_a_source_that_has_changed_since_stays(tmp_path: Path, job: Job) -> None:
    Path(job.source).write_bytes(b"a new picture")
    assert move_done(job, str(tmp_path / "done")) is None
    assert Path(job.source).read_bytes() == b"a new picture"


@pytest.mark.parametrize("linked", [True, False])
def test_a_move_that_was_cut_short_is_completed(tmp_path: Path, job: Job, linked: bool) -> None:
    there = tmp_path / "done/sub/a.jpg"
    there.parent.mkdir(parents=True)
    if linked:
        os.link(job.source, there)
    else:
        there.write_bytes(b"picture")
    assert move_done(job, str(tmp_path / "done")) == str(there)
    assert not Path(job.source).exists()
    assert [path.name for path in there.parent.iterdir()] == ["a.jpg"]


def test_across_disks_the_bytes_are_safe_before_the_source_goes(
    tmp_path: Path, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_disk(source: str, target: str) -> None:
        raise OSError(18, "Invalid cross-device link")

    synced: list[bool] = []
    sync = os.fsync
    monkeypatch.setattr(os, "link", other_disk)
    monkeypatch.setattr(
        os, "fsync", lambda handle: (synced.append(Path(job.source).exists()), sync(handle))[1]
    )
    place = move_done(job, str(tmp_path / "done"))
    assert place is not None
    assert Path(place).read_bytes() == b"picture"
    assert Path(place).stat().st_mtime_ns == 10**18
    assert synced[0] is True
    assert not Path(job.source).exists()
    assert [path.name for path in Path(place).parent.iterdir()] == ["a.jpg"]


def test_a_full_disk_leaves_the_source(
    tmp_path: Path, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", fails)
    monkeypatch.setattr(move.shutil, "copyfileobj", fails)
    with pytest.raises(OutputNotWritable, match="No space left"):
        move_done(job, str(tmp_path / "done"))
    assert Path(job.source).read_bytes() == b"picture"
    assert list((tmp_path / "done").rglob("*.*")) == []


def test_links_are_left_where_they_are(tmp_path: Path, job: Job) -> None:
    real = Path(job.source).rename(tmp_path / "real.jpg")
    Path(job.source).symlink_to("../../real.jpg")
    with pytest.raises(OutputNotWritable, match="is a link"):
        move_done(job, str(tmp_path / "done"))
    assert Path(job.source).is_symlink()
    assert real.exists()


def test_a_folder_that_cannot_work_is_refused_first(tmp_path: Path, job: Job) -> None:
    inputs = resolve([str(tmp_path / "in")])
    out = str(tmp_path / "out")
    check_move(inputs, out, str(tmp_path / "in/done"))
    with pytest.raises(OutputNotWritable):
        check_move(inputs, out, str(tmp_path / "in"))
    with pytest.raises(BadOption, match="among the results"):
        check_move(inputs, out, out)
    (tmp_path / "file").touch()
    with pytest.raises(OutputNotWritable, match=r"--move-done: .*file is a file"):
        check_move(inputs, out, str(tmp_path / "file"))
    with pytest.raises(BadOption, match="cannot be moved"):
        check_move(inputs, out, "s3://bucket/done")
    with pytest.raises(BadOption, match="cannot be moved"):
        check_move(resolve(["https://host/a.jpg"]), out, str(tmp_path / "done"))


def test_a_file_is_not_taken_for_its_own_copy(tmp_path: Path, job: Job) -> None:
    # The same name again: a link of a folder makes input and "done" one place.
    (tmp_path / "done").symlink_to(tmp_path / "in")
    place = move_done(job, str(tmp_path / "done"))
    assert place is not None
    assert Path(place).read_bytes() == b"picture"
    assert storage.stat(place).size == 7
