"""The memory of NVIDIA GPUs that a process takes, watched from outside."""

from __future__ import annotations

import threading
from types import TracebackType

from cleancut.compare.machine import ask_nvidia

_EVERY_S = 0.3


class VramWatch:
    """The most GPU memory that appeared while it lasted; ``peak_mb`` is None where none is told.

    Summed over processes that were not there before, with their children; process ids need not
    match, since a container counts its own. Where the driver lists no process (in most containers)
    it is what all GPUs hold more than before. In MB (10^6 bytes).
    """

    def __init__(self) -> None:
        self.peak_mb: float | None = None
        self._before = _processes()
        self._held = _held_mb()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> VramWatch:
        if self._held is not None:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        if self._held is not None:
            self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(_EVERY_S):
            new = {pid: size for pid, size in _processes().items() if pid not in self._before}
            seen = sum(new.values())
            if not new and (held := _held_mb()) is not None:
                seen = held - (self._held or 0.0)
            self.peak_mb = max(self.peak_mb or 0.0, seen)


def _processes() -> dict[str, float]:
    """MB by process that computes on a GPU; one that is not told in figures is left out."""
    found: dict[str, float] = {}
    for line in ask_nvidia("--query-compute-apps=pid,used_memory"):
        pid, _, size = line.partition(",")
        if (mb := _mb(size)) is not None:
            found[pid] = found.get(pid, 0.0) + mb
    return found


def _held_mb() -> float | None:
    sizes = [_mb(line) for line in ask_nvidia("--query-gpu=memory.used")]
    known = [size for size in sizes if size is not None]
    return sum(known) if known else None


def _mb(text: str) -> float | None:
    """MB (10^6 bytes) of a number of MiB, as nvidia-smi writes it; None for "[N/A]"."""
    try:
        return float(text) * 1.048576
    except ValueError:
        return None
