"""What stands in for the pool and the web in tests of jobs."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cleancut.errors import Cancelled, CleancutError, FetchFailed
from cleancut.server.fetch import Fetched
from cleancut.server.order import Cut, Order

FACTS = {"model": "echo", "size": [1000, 2000], "confidence": 0.9, "notes": [], "timings_ms": {}}


class OnePool:
    """Does one order at a time: the result is ``cut:`` and the picture."""

    def __init__(self, *, work: Callable[[Order], None] | None = None) -> None:
        self.seen: list[bytes] = []
        self.orders: list[Order] = []
        self.open = threading.Event()
        self.open.set()
        self._work = work
        self._line: list[tuple[Future[Cut], Order]] = []
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def start(self) -> None: ...

    def full(self) -> None:
        return None

    def ready(self) -> bool:
        return True

    def trouble(self) -> CleancutError | None:
        return None

    def state(self) -> Any:
        return SimpleNamespace(
            waiting=0, patient=0, working=0, child_rss_bytes=0, restarts=0, models=()
        )

    def submit(self, order: Order) -> Future[Cut]:
        future: Future[Cut] = Future()
        with self._changed:
            self.orders.append(order)
            self._line.append((future, order))
            self._changed.notify_all()
        return future

    def stop(self, grace_s: float = 0) -> None:
        with self._changed:
            self._ended = True
            line, self._line = self._line, []
            self._changed.notify_all()
        self.open.set()
        for future, _ in line:
            if future.set_running_or_notify_cancel():
                future.set_exception(Cancelled("the server has ended"))
        self._thread.join()

    def _serve(self) -> None:
        while True:
            with self._changed:
                while not self._line and not self._ended:
                    self._changed.wait()
                if self._ended:
                    return
                future, order = self._line.pop(0)
            if not future.set_running_or_notify_cancel():
                continue
            data = order.source.read_bytes()
            self.seen.append(data)
            self.open.wait(10)
            try:
                if self._work is not None:
                    self._work(order)
                assert order.target is not None
                order.target.write_bytes(b"cut:" + data)
                future.set_result(Cut(data=b"", facts=FACTS))
            except CleancutError as error:
                future.set_exception(error)


class OneWeb:
    """Gives pictures by URL, and remembers what was posted."""

    def __init__(self, pictures: Mapping[str, bytes | CleancutError] | None = None) -> None:
        self.pictures = dict(pictures or {})
        self.posts: list[tuple[str, bytes, dict[str, str]]] = []
        self.answers: list[int | CleancutError] = []

    def check(self, url: str) -> None: ...

    def get(self, url: str, *, max_bytes: int, folder: Path) -> Fetched:
        found = self.pictures.get(url, FetchFailed("no such picture"))
        if isinstance(found, CleancutError):
            raise found
        path = folder / secrets.token_hex(8)
        path.write_bytes(found)
        return Fetched(path, "image/png", url, len(found))

    def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> int:
        self.posts.append((url, body, dict(headers)))
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, CleancutError):
            raise answer
        return answer


def until(happens: Callable[[], Any], *, seconds: float = 8.0) -> Any:
    """What ``happens`` gives as soon as it is true."""
    end = time.monotonic() + seconds
    while not (found := happens()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
    return found
