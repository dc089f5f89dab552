"""What stands in for the pool and for the web, so that nothing is cut and nobody is asked."""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cleancut.errors import Busy, Cancelled, CleancutError, FetchFailed
from cleancut.server.fetch import Fetched
from cleancut.server.order import Cut, Order

FACTS: dict[str, Any] = {
    "model": "echo",
    "models": ["echo"],
    "backend": "numpy",
    "size": [4, 3],
    "output_size": [4, 3],
    "box": [1, 0, 3, 2],
    "coverage": 0.5,
    "confidence": 0.75,
    "reasons": [],
    "timings_ms": {"decode": 1.0, "model": 2.0},
    "notes": [],
    "cached": False,
}
#: Of a picture in a job: two megapixels.
JOB_FACTS: dict[str, Any] = {**FACTS, "size": [1000, 2000], "timings_ms": {}}


def copied(order: Order) -> Cut:
    """The picture itself; where there is a target, ``cut:`` and the picture are written there."""
    data = order.source.read_bytes()
    if order.target is None:
        return Cut(data=data, facts=FACTS)
    order.target.write_bytes(b"cut:" + data)
    return Cut(data=b"", facts=JOB_FACTS)


class FakePool:
    """Does orders one after the other: ``before`` may raise, ``answer`` makes the cutout.

    ``held`` orders wait in line until ``let_go``; with ``open`` cleared the one in work does not
    end. ``busy`` is what a full line refuses with, ``problem`` why nothing can be cut, ``fails``
    what every order comes to. ``seen`` are the pictures that were begun.
    """

    def __init__(
        self,
        answer: Callable[[Order], Cut] = copied,
        *,
        before: Callable[[Order], None] | None = None,
    ) -> None:
        self.answer = answer
        self.orders: list[Order] = []
        self.futures: list[Future[Cut]] = []
        self.seen: list[bytes] = []
        self.busy: Busy | None = None
        self.problem: CleancutError | None = None
        self.fails: CleancutError | None = None
        self.stopped: float | None = None
        self.held = False
        self.open = threading.Event()
        self.open.set()
        self._before = before
        self._line: deque[tuple[Future[Cut], Order]] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Nothing to start."""

    def submit(self, order: Order) -> Future[Cut]:
        """Put it in line."""
        future: Future[Cut] = Future()
        with self._changed:
            self.orders.append(order)
            self.futures.append(future)
            self._line.append((future, order))
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, daemon=True)
                self._thread.start()
            self._changed.notify_all()
        return future

    def let_go(self) -> None:
        """Begin with those that were held."""
        with self._changed:
            self.held = False
            self._changed.notify_all()

    def full(self) -> Busy | None:
        """Whatever the test said."""
        return self.busy

    def ready(self) -> bool:
        """Whether nothing is wrong."""
        return self.problem is None

    def trouble(self) -> CleancutError | None:
        """Whatever the test said."""
        return self.problem

    def state(self) -> Any:
        """Numbers to be found again in the metrics."""
        model = SimpleNamespace(name="echo", precision="f32", backend="numpy", bytes=1000)
        return SimpleNamespace(
            waiting=2,
            patient=3,
            working=1,
            restarts=4,
            child_pid=1,
            child_rss_bytes=5000,
            models=(model,),
        )

    def stop(self, grace_s: float = 0) -> None:
        """Finish what was begun, or with time to spare everything, and end."""
        if grace_s:
            until(lambda: all(future.done() for future in self.futures), seconds=grace_s)
        with self._changed:
            self.stopped = grace_s
            line = [*self._line]
            self._line.clear()
            self._changed.notify_all()
        self.open.set()
        for future, _ in line:
            if future.set_running_or_notify_cancel():
                future.set_exception(Cancelled("the server has ended"))
        if self._thread is not None:
            self._thread.join()

    def _serve(self) -> None:
        while True:
            with self._changed:
                while self.stopped is None and (self.held or not self._line):
                    self._changed.wait()
                if self.stopped is not None:
                    return
                future, order = self._line.popleft()
            if future.set_running_or_notify_cancel():
                self._do(future, order)

    def _do(self, future: Future[Cut], order: Order) -> None:
        try:
            self.seen.append(order.source.read_bytes())
            self.open.wait(10)
            if self.fails is not None:
                raise self.fails
            if self._before is not None:
                self._before(order)
            future.set_result(self.answer(order))
        except Exception as error:
            future.set_exception(error)


class FakeWeb:
    """Gives pictures by URL, and remembers what was posted."""

    def __init__(self, pictures: Mapping[str, bytes | CleancutError] | None = None) -> None:
        self.pictures = dict(pictures or {})
        self.posts: list[tuple[str, bytes, dict[str, str]]] = []
        self.answers: list[int | CleancutError] = []

    def check(self, url: str) -> None: ...

    def get(
        self, url: str, *, max_bytes: int, folder: Path, total_s: float | None = None
    ) -> Fetched:
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
