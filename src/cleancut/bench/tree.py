"""Memory of a process and everything it started, from Linux's /proc; imports nothing of ours."""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")


def family(pid: int) -> list[int]:
    """``pid`` and its descendants that are alive; [] where there is no /proc."""
    found, left = [], [pid]
    while left:
        one = left.pop()
        try:
            threads = list((_PROC / str(one) / "task").iterdir())
        except OSError:
            continue
        found.append(one)
        for thread in threads:
            try:
                left += map(int, (thread / "children").read_text().split())
            except OSError:  # that thread has ended meanwhile
                continue
    return found


def resident_bytes(pid: int) -> int | None:
    """Memory held by ``pid`` and its descendants together; None where it cannot be read.

    Pages that two of them share are counted twice, so this is never too low.
    """
    pages = 0
    for one in family(pid):
        try:
            pages += int((_PROC / str(one) / "statm").read_text().split()[1])
        except (OSError, IndexError, ValueError):
            continue
    return pages * os.sysconf("SC_PAGE_SIZE") if pages else None
