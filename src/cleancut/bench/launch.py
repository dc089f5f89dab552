"""Run one command and say how long it took and how much memory it held; started as a script.

A process of its own, because Linux counts the memory of the process that starts a program to that
program's peak: started by a benchmark that holds pictures, everything would look big. What the
command starts itself counts too. Stands alone: it imports nothing of the package but ``tree.py``
beside it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

#: Each reading takes time from the processors that are being measured.
_EVERY_S = 0.2


def main(argv: list[str]) -> int:
    """``argv`` is: file for stdout, file for stderr, command and its arguments."""
    with Path(argv[0]).open("wb") as out, Path(argv[1]).open("wb") as err:
        started = time.perf_counter()
        child = subprocess.Popen(argv[2:], stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        peak: int | None = None
        together = _watched(child.pid)
        if sys.platform != "win32":
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            # getrusage(2): kibibytes on Linux, bytes on macOS.
            peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
            peak = max(peak, together())
        code = child.wait()
        seconds = time.perf_counter() - started
    print(json.dumps({"code": code, "seconds": seconds, "peak_bytes": peak}))
    return 0


def _watched(pid: int) -> Callable[[], int]:
    """Watch the memory of ``pid`` and its children together; the answer ends it with the peak."""
    sys.path.insert(0, str(Path(__file__).parent))
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
