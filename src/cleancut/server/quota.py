"""What a key may use: requests a minute, megapixels a day and a month of UTC.

``admit`` before a body is read, ``check`` before a picture is cut, ``charge`` after it was, so
that nobody pays for a failure. Pictures that are in work when a quota runs out are finished: it
may be exceeded by what the queue holds.
"""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, TypeVar

from cleancut.cache.breaker import Breaker
from cleancut.errors import CleancutError, QuotaSpent, RateLimited, StorageFailed
from cleancut.server.keys import ANONYMOUS, Caller, Limits
from cleancut.server.rates import UNLIMITED, Rate, Rates
from cleancut.server.usage import RedisUsage, Row, SqliteUsage, Usage, Used

if TYPE_CHECKING:
    from cleancut.server.settings import Settings

T = TypeVar("T")

PER_S = 60.0
#: How often what was used is written down: a killed server forgets no more than this.
FLUSH_S = 0.5
#: For how long what another server may have used in the meantime is not asked for again.
FRESH_S = 1.0
#: For how long a store that failed is left alone.
PAUSE_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What a key may use and has used, today and this month of UTC."""

    limits: Limits
    today: Used
    month: Used

    @property
    def megapixels_left(self) -> float | None:
        """Megapixels until the next quota is spent, None without one."""
        left = [
            limit - used.megapixels
            for limit, used in (
                (self.limits.megapixels_per_day, self.today),
                (self.limits.megapixels_per_month, self.month),
            )
            if limit is not None
        ]
        return max(0.0, min(left)) if left else None


class Quota:
    """Counts what keys use; safe for several threads.

    ``admit``, ``check`` and ``account`` may ask a disk or a Redis, ``charge`` never does. If the
    store fails, ``trouble`` says so; what was charged is kept in memory until it is back, and
    requests are limited by what this server alone knows. Opening raises ``SetupError``,
    ``BadOption``, ``MissingDependency``.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._wall = wall
        self._clock = clock
        self._rates = Rates(per_s=PER_S, clock=clock)
        self._store: Usage | None = None
        self._breaker = Breaker(PAUSE_S, clock=clock)
        self._trouble: StorageFailed | None = None
        #: Held while the store is asked; `_lock` only while numbers are looked at.
        self._asking = threading.RLock()
        self._lock = threading.Lock()
        self._known: dict[Row, tuple[Used, float]] = {}
        self._pending: dict[Row, Used] = {}
        self._batch: tuple[str, dict[Row, Used]] | None = None
        self._ending = threading.Event()
        self._writer: threading.Thread | None = None

    def start(self) -> None:
        """Open the store and begin to write down what is used."""
        with self._asking:
            if self._store is None:
                redis = self._settings.redis
                self._store = (
                    RedisUsage(redis)
                    if redis
                    else SqliteUsage(self._settings.data / "usage.sqlite")
                )
            if self._writer is None:
                self._ending.clear()
                self._writer = threading.Thread(target=self._write, name="quota", daemon=True)
                self._writer.start()

    def stop(self) -> None:
        """Write down what is left and close the store."""
        self._ending.set()
        if self._writer is not None:
            self._writer.join()
        with self._asking:
            self._breaker.reset()
            self._flush()
            if self._store is not None:
                self._store.close()
            self._store, self._writer = None, None

    def admit(self, caller: Caller) -> Rate:
        """Count one request of ``caller``. Raises ``RateLimited``."""
        limit = caller.limits.requests_per_minute
        if limit is None:
            return UNLIMITED
        rate = None
        if self._settings.redis and not self._breaker.open:
            with suppress(StorageFailed):
                rate = self._asked(lambda store: store.take(caller.id, limit, PER_S))
        if rate is None:
            rate = self._rates.take(caller.id, limit)
        if rate.wait_s > 0:
            raise RateLimited(
                f"more than {limit} requests a minute",
                hint=f"try again in {math.ceil(rate.wait_s)} s",
                retry_after_s=rate.wait_s,
            )
        return rate

    def check(self, caller: Caller) -> None:
        """Raise ``QuotaSpent`` if ``caller`` has had its megapixels of this day or month."""
        limits = caller.limits
        if limits.megapixels_per_day is None and limits.megapixels_per_month is None:
            return
        account = self.account(caller)
        now = datetime.fromtimestamp(self._wall(), timezone.utc)
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        for limit, used, name, begins in (
            (limits.megapixels_per_month, account.month, "month", _next_month(midnight)),
            (limits.megapixels_per_day, account.today, "day", midnight + timedelta(days=1)),
        ):
            if limit is not None and used.megapixels >= limit:
                raise QuotaSpent(
                    f"the {limit:g} megapixels of this {name} are spent",
                    hint=f"there are new ones from {begins:%Y-%m-%d} 00:00 UTC on",
                    retry_after_s=(begins - now).total_seconds(),
                )

    def charge(self, caller: Caller, megapixels: float) -> None:
        """Count one picture of so many megapixels that ``caller`` was given; never blocks."""
        if caller is ANONYMOUS or caller.id == ANONYMOUS.id:
            return
        if self._writer is None:
            self.start()
        used = Used(max(0.0, megapixels), 1)
        with self._lock:
            for period in self._periods():
                row = (caller.id, period)
                self._pending[row] = self._pending.get(row, Used()) + used

    def account(self, caller: Caller) -> Account:
        """What ``caller`` may use and has used."""
        if caller.id == ANONYMOUS.id:
            return Account(limits=caller.limits, today=Used(), month=Used())
        today, month = self._used(caller.id, self._periods())
        return Account(limits=caller.limits, today=today, month=month)

    def trouble(self) -> CleancutError | None:
        """Why nothing can be written down just now, None if all is well."""
        return self._trouble

    def _periods(self) -> tuple[str, str]:
        now = datetime.fromtimestamp(self._wall(), timezone.utc)
        return f"{now:%Y-%m-%d}", f"{now:%Y-%m}"

    def _used(self, caller: str, periods: tuple[str, str]) -> list[Used]:
        # While this is held no batch is on its way, so that none is counted twice.
        with self._asking:
            now = self._clock()
            stale = any(
                now - self._known.get((caller, period), (Used(), -math.inf))[1] >= FRESH_S
                for period in periods
            )
            if stale and not self._breaker.open:
                with suppress(StorageFailed):
                    found = self._asked(lambda store: store.read(caller, periods))
                    self._known |= {(caller, name): (used, now) for name, used in found.items()}
            batch = self._batch[1] if self._batch else {}
            with self._lock:
                return [
                    self._known.get((caller, period), (Used(), now))[0]
                    + batch.get((caller, period), Used())
                    + self._pending.get((caller, period), Used())
                    for period in periods
                ]

    def _asked(self, ask: Callable[[Usage], T]) -> T:
        with self._asking:
            if self._store is None:
                self.start()
            assert self._store is not None
            try:
                answer = ask(self._store)
            except StorageFailed as error:
                self._trouble = error
                self._breaker.trip()
                raise
            self._trouble = None
            self._breaker.reset()
            return answer

    def _write(self) -> None:
        while not self._ending.wait(FLUSH_S):
            self._flush()

    def _flush(self) -> None:
        with self._asking:
            if self._breaker.open:
                return
            if self._batch is None:
                with self._lock:
                    rows, self._pending = self._pending, {}
                if not rows:
                    return
                self._batch = (secrets.token_hex(8), rows)
            batch, rows = self._batch
            if len(self._known) > 20_000:
                self._known = {row: known for row, known in self._known.items() if row in rows}
            # One that failed is sent again under the same name: it may have been counted in.
            with suppress(StorageFailed):
                self._asked(lambda store: store.add(batch, rows))
                for row, used in rows.items():
                    # Not asked for yet, it is no less than this.
                    known, asked = self._known.get(row, (Used(), -math.inf))
                    self._known[row] = (known + used, asked)
                self._batch = None


def _next_month(midnight: datetime) -> datetime:
    return (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)
