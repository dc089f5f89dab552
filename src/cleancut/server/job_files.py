"""The pictures and results of jobs as files: durable, whole, and gone when they should be."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cleancut.batch.storage import sync_folder
from cleancut.errors import StorageFailed
from cleancut.server.job_store import NewItem, is_job_id

#: So much stays free on the disk whatever the store may hold.
_RESERVE_BYTES = 64 << 20


class JobFiles:
    """``<folder>/<job>/<index>.in``, ``<index>.back`` and ``<index>-<token>.out``.

    ``folder`` is made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with disk_errors():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def source(self, job: str, index: int) -> Path:
        """Where the picture of an item lies."""
        return self.folder / job / f"{index}.in"

    def background(self, job: str, index: int) -> Path:
        """Where the picture lies that stands behind the subject of an item."""
        return self.folder / job / f"{index}.back"

    def result(self, job: str, index: int, token: str) -> Path:
        """Where the cutout lies that the holder of ``token`` made."""
        return self.folder / job / f"{index}-{token}.out"

    def check_disk(self) -> None:
        """Raise ``StorageFailed`` if the disk is as good as full."""
        with disk_errors():
            free = shutil.disk_usage(self.folder).free
        if free < _RESERVE_BYTES:
            raise StorageFailed(
                "the disk is full", hint="the operator has to make room on the server's disk"
            )

    def take_over(self, job: str, items: Sequence[NewItem]) -> None:
        """Make the files of ``items`` those of ``job``, durably."""
        with disk_errors():
            (self.folder / job).mkdir(mode=0o700)
            for index, item in enumerate(items):
                for file, place in (
                    (item.source, self.source(job, index)),
                    (item.background, self.background(job, index)),
                ):
                    if file is not None:
                        put(file, place, sync_names=False)
            sync_folder(str(self.folder / job))
            sync_folder(str(self.folder))

    def remove(self, job: str) -> None:
        """Remove all files of ``job``."""
        if is_job_id(job):
            shutil.rmtree(self.folder / job, ignore_errors=True)

    def jobs(self) -> list[str]:
        """Jobs that have files."""
        with disk_errors():
            return [path.name for path in self.folder.iterdir() if is_job_id(path.name)]

    def keep_only(self, job: str, names: Collection[str]) -> None:
        """Remove the files of ``job`` that are not called so."""
        with disk_errors():
            for path in (self.folder / job).iterdir():
                if path.name not in names:
                    path.unlink(missing_ok=True)


def put(source: Path, target: Path, *, sync_names: bool = True) -> int:
    """Move a file durably, also from another disk; its size.

    Raises ``FileNotFoundError`` if there is no such file, or no such folder any more; the same
    move may be asked for again.
    """
    if not source.is_file() and target.is_file():
        return target.stat().st_size
    with source.open("rb") as file:
        os.fsync(file.fileno())
        size = os.fstat(file.fileno()).st_size
    try:
        source.replace(target)
    except OSError as error:
        if not target.parent.is_dir():
            raise FileNotFoundError(str(target)) from error
        draft = target.with_suffix(".part")
        shutil.copyfile(source, draft)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(target)
        source.unlink(missing_ok=True)
    if sync_names:
        sync_folder(str(target.parent))
    return size


@contextmanager
def disk_errors() -> Iterator[None]:
    """Turn what a disk refuses into ``StorageFailed``; a missing file stays what it is."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise failed(error) from error


def failed(error: OSError | sqlite3.Error) -> StorageFailed:
    """The error for a database or disk that does not serve; it names no path."""
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return StorageFailed(
        f"the store of jobs does not serve: {reason or type(error).__name__}",
        hint="try again later; the operator finds more in the server's log",
    )
