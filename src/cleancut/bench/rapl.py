"""Energy counters of processor packages (RAPL), from Linux's powercap; imports nothing of ours.

``intel-rapl:N/energy_uj`` counts microjoules of a whole package and begins anew after
``max_energy_range_uj`` (kernel, Documentation/power/powercap). The driver serves AMD's processors
too. Since CVE-2020-8694 only root may read it. Domains within a package ("intel-rapl:0:0") are part
of it, "psys" is the whole board, and "intel-rapl-mmio" counts the packages once more.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

_ROOT = Path("/sys/class/powercap")
#: A package at 400 W goes once around the smallest range, 65 kJ, in less than three minutes.
_EVERY_S = 5.0


class Meter:
    """Joules of all packages since it was made; threads and long runs are taken care of."""

    def __init__(self, root: Path = _ROOT) -> None:
        paths = _readable(root)
        self._counters = [(path, _number(path.parent / "max_energy_range_uj")) for path in paths]
        self._last = [_number(path) for path in paths]
        self._spent = 0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        if self._counters:
            threading.Thread(target=self._watch, daemon=True).start()

    def joules(self) -> float | None:
        """So many joules until now; None where no counter can be read."""
        with self._lock:
            for number, (path, range_) in enumerate(self._counters):
                now, before = _number(path), self._last[number]
                self._spent += now - before if now >= before else range_ - before + now
                self._last[number] = now
            return self._spent / 1e6 if self._counters else None

    def close(self) -> None:
        """Watch no longer."""
        self._ended.set()

    def _watch(self) -> None:
        while not self._ended.wait(_EVERY_S):
            self.joules()


def unreadable(root: Path = _ROOT) -> str:
    """Why no package's energy can be read here, "" if it can."""
    packages = _packages(root)
    if not packages:
        return "this machine shows no energy counter (RAPL) of its processor"
    if not _readable(root):
        return "only root may read the processor's energy counter (RAPL)"
    return ""


def idle_watts(seconds: float, root: Path = _ROOT) -> float | None:
    """What the packages take while nothing is asked of them, over ``seconds``; None: unreadable."""
    meter = Meter(root)
    try:
        begun = time.perf_counter()
        time.sleep(seconds)
        spent = meter.joules()
        return None if spent is None else spent / (time.perf_counter() - begun)
    finally:
        meter.close()


def _packages(root: Path) -> list[Path]:
    found = []
    for path in sorted(root.glob("intel-rapl:*")):
        try:
            name = (path / "name").read_text("ascii").strip()
        except (OSError, ValueError):
            continue
        if path.name.count(":") == 1 and name.startswith("package"):
            found.append(path / "energy_uj")
    return found


def _readable(root: Path) -> list[Path]:
    found = []
    for path in _packages(root):
        try:
            _number(path)
            _number(path.parent / "max_energy_range_uj")
        except (OSError, ValueError):
            continue
        found.append(path)
    return found


def _number(path: Path) -> int:
    return int(path.read_text("ascii"))
