"""How long frames take from one end to the other."""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import TypedDict

#: Median and percentile are those of the last so many frames.
_KEPT = 5000


class LatencyFacts(TypedDict):
    """Milliseconds; None before the first frame."""

    latency_ms_median: float | None
    latency_ms_p95: float | None


class Latency:
    """Latencies of frames in seconds: how many there were, and what the last ones were like."""

    def __init__(self) -> None:
        self.frames = 0
        self._last: deque[float] = deque(maxlen=_KEPT)

    def add(self, seconds: float) -> None:
        """One more frame took so long."""
        self.frames += 1
        self._last.append(seconds)

    def facts(self) -> LatencyFacts:
        """Median and 95th percentile."""
        if not self._last:
            return {"latency_ms_median": None, "latency_ms_p95": None}
        ordered = sorted(self._last)
        high = ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
        return {
            "latency_ms_median": round(1000 * median(ordered), 1),
            "latency_ms_p95": round(1000 * high, 1),
        }
