"""Telling callbacks that jobs have ended: signed, again and again, until they have heard it.

Standard Webhooks (https://www.standardwebhooks.com): the headers ``webhook-id``,
``webhook-timestamp`` and ``webhook-signature``, which is ``v1,`` and the base64 of an HMAC-SHA256
over ``id.timestamp.body``. Every caller has a secret of its own. What is to be told stands in the
store, so that a restart goes on with it; an event may be told twice, under the same id.
"""

from __future__ import annotations

import base64
import hmac
import json
import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import Any, Protocol

from cleancut.errors import AddressRefused, CleancutError, StorageFailed
from cleancut.server.job_store import Event, JobStore
from cleancut.server.links import Links, derived

_log = logging.getLogger(__name__)

#: Seconds from one attempt to the next, each give or take a fifth; 14 hours in all.
DELAYS_S: tuple[float, ...] = (5, 30, 120, 600, 3600, 10_800, 36_000)
#: A callback that has not answered by then has not heard it.
TIMEOUT_S = 10.0
#: Callbacks that are told at the same time, and those of one caller: if all of its hang, the others
#: are told all the same.
_AT_ONCE, _AT_ONCE_OF_ONE = 8, 4
_LEASE_S = 60.0
_POLL_S = 2.0
_GONE = 410


class Poster(Protocol):
    """What is needed of a ``Fetcher``."""

    def post(self, url: str, body: bytes, headers: dict[str, str], *, timeout_s: float) -> int:
        """The status that the address answered with."""
        ...


def secret_for(secret: bytes, caller: str) -> str:
    """The caller's signing secret as the verifying libraries want it: ``whsec_`` and base64."""
    return "whsec_" + base64.b64encode(_key(secret, caller)).decode()


def headers_of(event: str, body: bytes, key: bytes, now: float) -> dict[str, str]:
    """The headers that prove who sent ``body``, and when (seconds since the epoch)."""
    stamp = str(int(now))
    digest = hmac.digest(key, f"{event}.{stamp}.".encode() + body, "sha256")
    return {
        "content-type": "application/json",
        "webhook-id": event,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def body_of(event: Event, links: Links, base: str) -> bytes:
    """The event as JSON; the same bytes however often it is told."""
    path = f"/v1/jobs/{event.job}"
    status = event.type.removeprefix("job.")
    data: dict[str, Any] = {
        "id": event.job,
        "status": status,
        "progress": {"total": event.total, "done": event.done, "failed": event.failed},
        "expires": told_time(event.expires),
        "job": base + path,
    }
    if status == "done":
        data["archive"] = base + links.signed(f"{path}/archive", event.expires)
    document = {"type": event.type, "timestamp": told_time(event.created), "data": data}
    return json.dumps(document, separators=(",", ":")).encode()


def told_time(seconds: float) -> str:
    """A time as RFC 3339 writes it, in UTC."""
    when = datetime.fromtimestamp(seconds, timezone.utc)
    return when.isoformat(timespec="seconds").replace("+00:00", "Z")


class Webhooks:
    """Threads that tell the events of ``store``. ``secret`` is asked for when it is needed."""

    def __init__(
        self,
        store: JobStore,
        poster: Poster,
        secret: Callable[[], bytes],
        *,
        base: str = "",
        delays_s: Sequence[float] = DELAYS_S,
    ) -> None:
        self._store = store
        self._poster = poster
        self._secret = secret
        self._base = base
        self._delays_s = delays_s
        self._asking = threading.Lock()
        self._counting = threading.Lock()
        self._telling: Counter[str] = Counter()
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, name=f"cleancut-webhook-{n}", daemon=True)
            for n in range(_AT_ONCE)
        ]

    def start(self) -> None:
        """Begin to tell."""
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """There may be something to tell."""
        self._woken.set()

    def stop(self) -> None:
        """Begin nothing more; what is being told is left alone, and told again after a restart."""
        self._stopping.set()
        self._woken.set()

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                event = self._next()
                if event is not None:
                    try:
                        self._tell(event)
                    finally:
                        self._told(event)
            except StorageFailed:
                self._stopping.wait(_POLL_S)
            except Exception:
                _log.exception("a webhook failed")
                self._stopping.wait(_POLL_S)

    def _next(self) -> Event | None:
        with self._asking:
            if self._stopping.is_set():
                return None
            self._woken.clear()
            with self._counting:
                full = [who for who, n in self._telling.items() if n >= _AT_ONCE_OF_ONE]
            found = self._store.claim_events(lease_s=_LEASE_S, without=full)
            if not found:
                self._woken.wait(_POLL_S)
                return None
            with self._counting:
                self._telling[found[0].caller] += 1
            return found[0]

    def _told(self, event: Event) -> None:
        with self._counting:
            self._telling[event.caller] -= 1
            full = self._telling[event.caller] == _AT_ONCE_OF_ONE - 1
            self._telling = +self._telling  # without those of whom nothing is told
        if full:
            self.wake()  # more of them may be due

    def _tell(self, event: Event) -> None:
        secret = self._secret()
        body = body_of(event, Links(secret), self._base)
        headers = headers_of(event.id, body, _key(secret, event.caller), time.time())
        try:
            status = self._poster.post(event.url, body, headers, timeout_s=TIMEOUT_S)
            heard, refused = 200 <= status < 300, status == _GONE
            word = str(status)
        except CleancutError as error:
            heard, refused = False, isinstance(error, AddressRefused)
            word = error.code
        again = self._again(event.attempts)
        if heard or refused or again is None:
            if not heard:
                _log.warning("webhook %s is given up: %s", event.id, word)
            self._store.settle_event(event, None)
        else:
            self._store.settle_event(event, again)

    def _again(self, attempts: int) -> float | None:
        """Seconds until the next attempt, None after the last."""
        if attempts > len(self._delays_s):
            return None
        return self._delays_s[attempts - 1] * random.uniform(0.8, 1.2)


def _key(secret: bytes, caller: str) -> bytes:
    return derived(secret, f"webhook {caller}")
