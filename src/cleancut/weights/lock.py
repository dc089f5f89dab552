"""One process at a time pulls a model; the operating system frees the lock of a killed one."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from cleancut.errors import WeightsError

_POLL_S = 0.1


@contextmanager
def held(path: Path, *, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold an exclusive lock on the file ``path``, which is created and never deleted.

    ``waiting`` is called once if another process (or thread) has it. Raises ``WeightsError`` if
    the file system knows no locks.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        told = False
        while not _taken(file, path):
            if waiting and not told:
                waiting()
            told = True
            time.sleep(_POLL_S)
        try:
            yield
        finally:
            _free(file)


def _no_locks(path: Path, error: OSError) -> WeightsError:
    return WeightsError(
        f"{path.parent}: this file system cannot lock files ({error.strerror})",
        hint="set CLEANCUT_HOME to a folder on a local disk",
    )


if sys.platform == "win32":
    import msvcrt

    def _taken(file: IO[bytes], path: Path) -> bool:
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError:  # somebody else has it
            return False
        except OSError as error:
            raise _no_locks(path, error) from error
        return True

    def _free(file: IO[bytes]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _taken(file: IO[bytes], path: Path) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            raise _no_locks(path, error) from error
        return True

    def _free(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
