"""What processes hold of the machine's memory, and how freed memory is really given back."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")


def resident_bytes(pid: int | None = None) -> int | None:
    """Resident memory of a process, this one without ``pid``; None where it cannot be told."""
    return status_bytes("VmRSS", pid)


def status_bytes(field: str, pid: int | None = None) -> int | None:
    """A field of proc(5)'s ``status``, like "VmData"; None off Linux, or if the process is gone."""
    if sys.platform != "linux":
        return None
    try:
        for line in (_PROC / str(pid or "self") / "status").read_text("ascii").splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None


def give_back() -> None:
    """Hand free memory back to the system, which glibc does not do by itself after a large free."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # musl has no such function, and no need of one
            ctypes.CDLL(None).malloc_trim(0)


#: mallopt(3): names of parameters, and what they are set to.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES, _LARGE_BYTES = 512 << 20, 32 << 20


def keep_freed() -> None:
    """Keep freed memory for what comes next, for a process that makes frame after frame.

    glibc else maps and unmaps every large array: of a 1080 x 720 video that is four page faults out
    of five, and 5 % of all processor time. Only for a process of one's own.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            libc = ctypes.CDLL(None)
            libc.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
            libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
