"""Token buckets: so many requests a minute, all at once or evenly."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """What is left of a rate; None where there is no limit.

    After ``reset_s`` seconds without a request the bucket is full again. ``wait_s`` is above 0 if
    a request was refused, and then how long until one would not be.
    """

    limit: int | None = None
    remaining: int | None = None
    reset_s: float = 0.0
    wait_s: float = 0.0


UNLIMITED = Rate()


class Rates:
    """One bucket a name, as the generic cell rate algorithm (ITU-T I.371) keeps it: one number.

    A bucket holds ``limit`` requests and fills up within ``per_s`` seconds. Names beyond
    ``capacity`` push out those that were used longest ago. Times are the monotonic clock's, so
    that setting the clock neither locks anybody out nor lets anybody in.
    """

    def __init__(
        self,
        *,
        per_s: float = 60.0,
        capacity: int = 20_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_s = per_s
        self._capacity = capacity
        self._clock = clock
        self._lock = threading.Lock()
        #: When each bucket will be full.
        self._full: OrderedDict[str, float] = OrderedDict()

    def take(self, name: str, limit: int) -> Rate:
        """Take one request out of the bucket, or say how long to wait; never blocks."""
        with self._lock:
            now = self._clock()
            rate, full = taken(self._full.get(name, 0.0) - now, limit, self._per_s)
            if rate.wait_s == 0.0:
                self._full[name] = now + full
                self._full.move_to_end(name)
                while len(self._full) > self._capacity:
                    self._full.popitem(last=False)
            return rate

    def look(self, name: str, limit: int) -> Rate:
        """What is left, without taking any."""
        with self._lock:
            busy = max(0.0, self._full.get(name, 0.0) - self._clock())
        return Rate(limit, _left(busy, limit, self._per_s), busy)


def taken(busy_s: float, limit: int, per_s: float) -> tuple[Rate, float]:
    """The rate after one more request, and the seconds until full then.

    ``busy_s`` is how long the bucket would have taken to be full; negative counts as 0.
    """
    busy, step = max(0.0, busy_s), per_s / limit
    wait = busy + step - per_s
    # Sixty steps of a sixtieth are not quite one.
    if wait > per_s * 1e-9:
        return Rate(limit, 0, busy, wait), busy
    busy += step
    return Rate(limit, _left(busy, limit, per_s), busy), busy


def _left(busy: float, limit: int, per_s: float) -> int:
    return max(0, min(limit, int((per_s - busy) * limit / per_s + 1e-6)))
