"""Lines that outlive the process: appended to a file, or to an object store in whole segments."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO

from cleancut.batch import storage
from cleancut.errors import OutputNotWritable, WeightsError
from cleancut.weights import lock

#: A local file is synced at most this often, and a segment is put this often (or when it is full).
SYNC_S = 1.0
SEGMENT_S, SEGMENT_BYTES = 5.0, 1 << 20
#: How long a lock may be held that another run only looks at.
PATIENCE_S = 0.5
#: From this many segments on, they are put together when the ledger is opened.
MANY_SEGMENTS = 64
#: What a killed run has left in the temporary folder goes after a day, seconds.
_SPOOL, _ABANDONED_S = "cleancut-spool-", 86400.0


class LocalJournal:
    """A file of lines, of which one process at a time is the writer.

    A line is one ``write`` at the end of the file. The last line may be torn by a crash: it is
    closed when the file is opened again, and readers skip it.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.notes: list[str] = []
        self._closing = ExitStack()
        self._file: IO[bytes] | None = None
        self._synced = 0.0
        self._dirty = False

    def open(self) -> None:
        """Take the lock and close a torn line; ``OutputNotWritable`` if another run has it."""
        storage.make_folder(storage.parent(self.path))
        try:
            self._lock()
            check_plain(self.path)
            self._file = open(self.path, "ab", buffering=0)  # noqa: PTH123, SIM115
            self._closing.callback(self._file.close)
            if _is_torn(self.path):
                self._file.write(b"\n")
        except OSError as error:
            self._closing.close()
            raise _not_writable(self.path, error) from error
        except BaseException:
            self._closing.close()
            raise

    def _lock(self) -> None:
        own = Path(self.path).with_suffix(".lock")
        try:
            self._closing.enter_context(lock.held(own, waiting=lambda: _busy(self.path)))
        except WeightsError:
            self.notes.append("no-locks: this file system has no locks; start one run at a time")
            return
        for other in _rivals(own):
            _refuse_if_held(other)

    def append(self, lines: bytes) -> int:
        """Write ``lines``, each with its newline; the offset of the first."""
        if self._file is None:
            raise ValueError("the journal is closed")
        try:
            facts = os.fstat(self._file.fileno())
            if not facts.st_nlink and os.name != "nt":
                raise OSError(errno.ENOENT, "it was removed while the run was at work")
            at = facts.st_size
            left = memoryview(lines)
            while left:  # a disk that is nearly full takes a part
                left = left[self._file.write(left) or 0 :]
        except OSError as error:
            raise _not_writable(self.path, error) from error
        self._dirty = True
        return at

    def sync(self, *, now: bool = False) -> None:
        """Make the lines durable, unless that was done a moment ago; always if ``now``."""
        if not self._dirty or self._file is None:
            return
        moment = time.monotonic()
        if now or moment - self._synced >= SYNC_S:
            try:
                os.fsync(self._file.fileno())
            except OSError as error:
                raise _not_writable(self.path, error) from error
            self._synced, self._dirty = moment, False

    def replace(self, lines: Iterator[bytes]) -> None:
        """Put ``lines`` in the place of all lines, at once."""
        fresh = f"{self.path}.part"
        try:
            with open(fresh, "wb") as file:  # noqa: PTH123
                file.writelines(lines)
                file.flush()
                os.fsync(file.fileno())
            if self._file is not None:
                self._file.close()
            os.replace(fresh, self.path)  # noqa: PTH105
            storage.sync_folder(storage.parent(self.path))
            self._file = open(self.path, "ab", buffering=0)  # noqa: PTH123, SIM115
            self._closing.callback(self._file.close)
        except OSError as error:
            raise _not_writable(self.path, error) from error

    def close(self) -> None:
        """Sync, and let the next run in."""
        try:
            self.sync(now=True)
        finally:
            self._closing.close()
            self._file = None


class RemoteJournal:
    """The same on an object store, which can put whole objects only.

    Lines are gathered for seconds and put as segments ``<name>-<run>-<number>.jsonl``; what a
    killed run had gathered is lost, and its pictures are done again. There are no locks: two runs
    over one output do the same work twice, into the same names.
    """

    def __init__(self, folder: str, name: str) -> None:
        self.folder = folder
        self.name = name
        self.notes: list[str] = []
        _sweep_spools()
        self._spool = tempfile.TemporaryDirectory(prefix=f"{_SPOOL}{os.getpid()}-")
        self.path = os.path.join(self._spool.name, "ledger.jsonl")  # noqa: PTH118
        self.others = os.path.join(self._spool.name, "others.jsonl")  # noqa: PTH118
        self._run = f"{int(time.time()):010x}{secrets.token_hex(3)}"
        self._number = 0
        self._waiting: list[bytes] = []
        self._bytes = 0
        self._put_at = time.monotonic()
        self.segments: list[str] = []

    def open(self) -> None:
        """Fetch the segments: this shard's into ``path``, those of others into ``others``."""
        found = sorted(name for name in storage.listing(self.folder) if name.endswith(".jsonl"))
        own = re.compile(re.escape(self.name) + r"-[0-9a-f]{16}-[0-9]{6}\.jsonl")
        self.segments = [name for name in found if own.fullmatch(name)]
        self._fetch(self.segments, self.path)
        self._fetch([name for name in found if not own.fullmatch(name)], self.others)

    def _fetch(self, segments: list[str], path: str) -> None:
        from cleancut.batch import remote

        with open(path, "wb") as file:  # noqa: PTH123
            for start in range(0, len(segments), MANY_SEGMENTS):
                part = segments[start : start + MANY_SEGMENTS]
                for data in remote.read_many([storage.join(self.folder, name) for name in part]):
                    file.write(data if data.endswith(b"\n") else data + b"\n")

    def append(self, lines: bytes) -> int:
        """As ``LocalJournal.append``; nothing is put before ``sync``."""
        with open(self.path, "ab") as file:  # noqa: PTH123
            at = file.tell()
            file.write(lines)
        self._waiting.append(lines)
        self._bytes += len(lines)
        return at

    def sync(self, *, now: bool = False) -> None:
        """Put what was gathered, if it is time."""
        due = time.monotonic() - self._put_at >= SEGMENT_S or self._bytes >= SEGMENT_BYTES
        if not self._waiting or not (now or due):
            return
        self._put(b"".join(self._waiting))
        self._waiting, self._bytes, self._put_at = [], 0, time.monotonic()

    def _put(self, data: bytes) -> None:
        segment = f"{self.name}-{self._run}-{self._number:06d}.jsonl"
        storage.write(storage.join(self.folder, segment), data)
        self._number += 1
        self.segments.append(segment)

    def replace(self, lines: Iterator[bytes]) -> None:
        """One segment in the place of this shard's many; it is there before they go."""
        data = b"".join(lines)
        old, self.segments = self.segments, []
        self._put(data)
        Path(self.path).write_bytes(data)
        for name in old:
            storage.remove(storage.join(self.folder, name))

    def close(self) -> None:
        """Put what is left."""
        try:
            self.sync(now=True)
        finally:
            self._spool.cleanup()


def _sweep_spools() -> None:
    """Remove the folders of runs that were killed: old, ours, and nobody's any more."""
    with suppress(OSError):
        for entry in os.scandir(tempfile.gettempdir()):
            process = entry.name.removeprefix(_SPOOL).partition("-")[0]
            if not entry.name.startswith(_SPOOL) or not process.isdecimal():
                continue
            with suppress(OSError):
                silent = time.time() - max(
                    Path(place).stat().st_mtime
                    for place in (entry.path, *(file.path for file in os.scandir(entry.path)))
                )
                if silent > _ABANDONED_S and not _is_alive(int(process)):
                    shutil.rmtree(entry.path, ignore_errors=True)


def _is_alive(process: int) -> bool:
    """Whether there is such a process; yes where that cannot be asked."""
    if os.name == "nt":
        return True  # a signal would end it there
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        pass
    return True


def check_plain(path: str) -> None:
    """Raise ``OSError`` for what is there and no plain file: a pipe hangs, a link leads away."""
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise OSError(errno.EINVAL, "it is no plain file")


def _is_torn(path: str) -> bool:
    with open(path, "rb") as file:  # noqa: PTH123
        end = file.seek(0, os.SEEK_END)
        if not end:
            return False
        file.seek(end - 1)
        return file.read(1) != b"\n"


def _rivals(own: Path) -> list[Path]:
    """Locks of runs that do the same pictures: the whole against shards, other divisions."""
    division = own.stem.rpartition("-of-")[2] if "-of-" in own.stem else ""
    return [
        other
        for other in sorted(own.parent.glob("ledger*.lock"))
        if other != own and not (division and other.stem.endswith(f"-of-{division}"))
    ]


def _refuse_if_held(other: Path) -> None:
    until = time.monotonic() + PATIENCE_S

    def patient() -> None:
        # Another run that starts may be asking just as briefly.
        if time.monotonic() < until:
            raise _Again
        _busy(str(other))

    while True:
        try:
            with suppress(WeightsError), lock.held(other, waiting=patient):
                return
        except _Again:
            time.sleep(0.05)


class _Again(Exception):
    """Ask once more."""


def _busy(path: str) -> None:
    folder = storage.parent(storage.parent(path))
    raise OutputNotWritable(
        f"another run is writing to {folder}",
        hint="wait for it, or give this one another output folder",
    )


def _not_writable(path: str, error: OSError) -> OutputNotWritable:
    return OutputNotWritable(
        f"the ledger {path} cannot be written: {error.strerror or error}",
        hint="check the disk's space and permissions; run again to go on",
    )
