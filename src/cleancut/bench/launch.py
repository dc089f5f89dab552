"""Run one command and say how long it took, how much memory, processor and energy; a script.

A process of its own, because Linux counts the memory of the process that starts a program to that
program's peak: started by a benchmark that holds pictures, everything would look big. What the
command starts itself counts too. Stands alone: it imports nothing of the package but ``tree.py``
and ``rapl.py`` beside it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

#: Bytes handed over at a time.
_BLOCK = 1 << 20
#: Each reading takes time from the processors that are being measured.
_EVERY_S = 0.2


def main(argv: list[str]) -> int:
    """``argv`` is: file for stdout, file for stderr, file for stdin or "", command, arguments.

    With a file for stdin both are pipes, since some programs take nothing else.
    """
    sys.path.insert(0, str(Path(__file__).parent))
    from rapl import Meter  # type: ignore[import-not-found]

    _end_with_parent()
    feed = Path(argv[2]) if argv[2] else None
    meter = Meter()
    with Path(argv[0]).open("wb") as out, Path(argv[1]).open("wb") as err:
        started = time.perf_counter()
        child = subprocess.Popen(
            argv[3:],
            stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
            stdout=subprocess.PIPE if feed else out,
            stderr=err,
        )
        pipes = _piped(child, feed, out) if feed else []
        peak: int | None = None
        cpu: float | None = None
        together = _watched(child.pid)
        if sys.platform != "win32":
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            # getrusage(2): kibibytes on Linux, bytes on macOS.
            peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
            peak = max(peak, together())
            # With those of its own children that it waited for (wait4(2)).
            cpu = usage.ru_utime + usage.ru_stime
        code = child.wait()
        for pipe in pipes:
            pipe.join()
        seconds = time.perf_counter() - started
    told = {"code": code, "seconds": seconds, "peak_bytes": peak, "cpu_s": cpu}
    print(json.dumps({**told, "energy_j": meter.joules()}))
    return 0


def _end_with_parent() -> None:
    """Where stdin is a pipe: end with all that was started here when its other end is closed."""
    if sys.platform == "win32" or not stat.S_ISFIFO(os.fstat(0).st_mode):
        return

    def watch() -> None:
        while os.read(0, 4096):
            pass
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def _piped(child: subprocess.Popen[bytes], feed: Path, out: BinaryIO) -> list[threading.Thread]:
    """Threads that write ``feed`` to the child, and what it answers to ``out``."""

    def write() -> None:
        assert child.stdin is not None
        # A child that ends early says so with its status.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError), feed.open("rb") as source:
            shutil.copyfileobj(source, child.stdin, _BLOCK)
        with contextlib.suppress(OSError):
            child.stdin.close()

    def read() -> None:
        assert child.stdout is not None
        shutil.copyfileobj(child.stdout, out, _BLOCK)

    threads = [threading.Thread(target=task, daemon=True) for task in (write, read)]
    for thread in threads:
        thread.start()
    return threads


def _watched(pid: int) -> Callable[[], int]:
    """Watch the memory of ``pid`` and its children together; the answer ends it with the peak."""
    from tree import resident_bytes  # type: ignore[import-not-found]

    highest, ended = 0, threading.Event()

    def watch() -> None:
        nonlocal highest
        while not ended.wait(_EVERY_S):
            highest = max(highest, resident_bytes(pid) or 0)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()

    def end() -> int:
        ended.set()
        thread.join()
        return highest

    return end


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
