from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cleancut.batch.inputs import resolve
from cleancut.batch.job import Job
from cleancut.batch.watch import watch
from cleancut.errors import BadOption, CleancutError


class Dropbox:
    """A watched folder; jobs are gathered as they come."""

    def __init__(self, root: Path, settle: float = 0.15) -> None:
        self.root = root
        self.names: list[str] = []
        self.troubles: list[CleancutError] = []
        self.stop = threading.Event()
        inputs = resolve([str(root)])
        self._jobs: Iterator[Job] = watch(
            inputs,
            str(root.parent / "out"),
            suffix="png",
            stop=self.stop,
            settle=settle,
            trouble=self.troubles.append,
        )
        self._thread = threading.Thread(target=self._gather)
        self._thread.start()

    def _gather(self) -> None:
        for job in self._jobs:
            self.names.append(job.path)

    def wait_for(self, count: int) -> list[str]:
        until = time.monotonic() + 5
        while len(self.names) < count and time.monotonic() < until:
            time.sleep(0.01)
        return self.names

    def close(self) -> None:
        self.stop.set()
        self._thread.join(5)
        assert not self._thread.is_alive()


@pytest.fixture
def dropbox(tmp_path: Path) -> Iterator[Dropbox]:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/early.jpg").write_bytes(b"early")
    box = Dropbox(tmp_path / "in")
    yield box
    box.close()


def test_early_late_and_changed_pictures_come_once_each(dropbox: Dropbox) -> None:
    assert dropbox.wait_for(1) == ["early.jpg"]
    (dropbox.root / "sub").mkdir()
    (dropbox.root / "sub/late.jpg").write_bytes(b"late")
    assert dropbox.wait_for(2) == ["early.jpg", "sub/late.jpg"]
    (dropbox.root / "early.jpg").write_bytes(b"early, but changed")
    assert dropbox.wait_for(3)[2] == "early.jpg"
    time.sleep(0.4)
    assert len(dropbox.names) == 3


def test_a_file_that_grows_is_waited_for(dropbox: Dropbox) -> None:
    dropbox.wait_for(1)
    path = dropbox.root / "slow.jpg"
    with path.open("wb", buffering=0) as file:
        for _ in range(12):
            file.write(b"part")
            time.sleep(0.05)
            assert "slow.jpg" not in dropbox.names
    assert dropbox.wait_for(2)[1] == "slow.jpg"


def test_unfinished_uploads_and_empty_files_are_left_alone(dropbox: Dropbox) -> None:
    for name in ("a.jpg.part", "b.crdownload", "c.jpg.tmp", "~d.jpg", ".e.jpg", "f.jpg~"):
        (dropbox.root / name).write_bytes(b"x")
    (dropbox.root / "empty.jpg").touch()
    (dropbox.root / "z.jpg").write_bytes(b"x")
    dropbox.wait_for(2)
    time.sleep(0.4)
    assert dropbox.names == ["early.jpg", "z.jpg"]
    (dropbox.root / "a.jpg.part").rename(dropbox.root / "a.jpg")
    assert dropbox.wait_for(3)[2] == "a.jpg"


def test_a_picture_that_went_and_came_back_is_given_again(dropbox: Dropbox) -> None:
    dropbox.wait_for(1)
    (dropbox.root / "early.jpg").unlink()
    time.sleep(0.3)
    (dropbox.root / "early.jpg").write_bytes(b"early")
    assert dropbox.wait_for(2) == ["early.jpg", "early.jpg"]


def test_a_drive_that_is_away_for_a_while_is_asked_again(dropbox: Dropbox) -> None:
    dropbox.wait_for(1)
    away = dropbox.root.with_name("away")
    dropbox.root.rename(away)
    time.sleep(0.5)
    assert len(dropbox.troubles) == 1
    (away / "more.jpg").write_bytes(b"x")
    away.rename(dropbox.root)
    assert "more.jpg" in dropbox.wait_for(2)
    assert dropbox.names.count("early.jpg") == 1


def test_it_ends_when_told(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    box = Dropbox(tmp_path / "in", settle=30)
    began = time.monotonic()
    box.close()
    assert time.monotonic() - began < 1


def test_only_folders_can_be_watched(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    inputs = resolve([os.fspath(tmp_path / "a.jpg")])
    with pytest.raises(BadOption, match="folder"):
        next(watch(inputs, "out", suffix="png", stop=threading.Event()))
