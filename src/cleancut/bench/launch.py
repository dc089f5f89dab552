"""Run one command and say how long it took and how much memory it held; started as a script.

A process of its own, because Linux counts the memory of the process that starts a program to that
program's peak: started by a benchmark that holds pictures, everything would look big. Stands alone:
it imports nothing of the package.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path


def main(argv: list[str]) -> int:
    """``argv`` is: file for stdout, file for stderr, command and its arguments."""
    with Path(argv[0]).open("wb") as out, Path(argv[1]).open("wb") as err:
        started = time.perf_counter()
        child = subprocess.Popen(argv[2:], stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        peak: int | None = None
        if sys.platform != "win32":
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            # getrusage(2): kibibytes on Linux, bytes on macOS.
            peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        code = child.wait()
        seconds = time.perf_counter() - started
    print(json.dumps({"code": code, "seconds": seconds, "peak_bytes": peak}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
