"""Trouble is met once, not once a picture."""

from __future__ import annotations

import time
from collections.abc import Callable

#: Seconds for which a place that failed is left alone.
PAUSE_S = 30.0


class Breaker:
    """Open for a while after a failure: what would wait for a timeout is not tried again."""

    def __init__(
        self, pause_s: float = PAUSE_S, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pause_s = pause_s
        self._clock = clock
        self._until: float | None = None

    @property
    def open(self) -> bool:
        """Whether the place is to be left alone just now."""
        return self._until is not None and self._clock() < self._until

    def trip(self) -> None:
        """Leave the place alone from now on, for the pause."""
        self._until = self._clock() + self._pause_s

    def reset(self) -> None:
        """It works again."""
        self._until = None
