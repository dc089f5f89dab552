"""Servers for tests: a pool that answers what a test wants, without a working process."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
from anyio.from_thread import BlockingPortal, start_blocking_portal
from PIL import Image

from cleancut.cache import open_cache
from cleancut.engine import Engine
from cleancut.errors import Busy, CleancutError
from cleancut.options import Options
from cleancut.server import spool
from cleancut.server.app import create_app
from cleancut.server.keys import Keys
from cleancut.server.listen import Listener
from cleancut.server.order import Cut, Order
from cleancut.server.quota import Quota
from cleancut.server.services import Services
from cleancut.server.settings import Settings
from cleancut.server.telemetry import Metrics

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


def png(width: int = 4, height: int = 3, value: int = 200) -> bytes:
    """A plain picture."""
    out = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), value, np.uint8)).save(out, "PNG")
    return out.getvalue()


class FakePool:
    """Takes orders and answers each with the bytes it was sent, or as ``answer`` says."""

    def __init__(self, answer: Callable[[Order], Cut] | None = None) -> None:
        self.orders: list[Order] = []
        self.futures: list[Future[Cut]] = []
        self.answer = answer
        self.busy: Busy | None = None
        self.problem: CleancutError | None = None
        self.held = False
        self.stopped: float | None = None

    def start(self) -> None:
        """Nothing to start."""

    def submit(self, order: Order) -> Future[Cut]:
        """Answer at once, unless orders are held."""
        future: Future[Cut] = Future()
        self.orders.append(order)
        self.futures.append(future)
        if not self.held:
            self.finish(-1)
        return future

    def finish(self, index: int) -> None:
        """Answer the order of this number."""
        order, future = self.orders[index], self.futures[index]
        try:
            done = self.answer(order) if self.answer else _copied(order)
        except CleancutError as error:
            future.set_exception(error)
        else:
            future.set_result(done)

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

    def stop(self, grace_s: float) -> None:
        """Remember that it was asked."""
        self.stopped = grace_s


def _copied(order: Order) -> Cut:
    return Cut(data=order.source.read_bytes(), facts=FACTS)


def services_with(tmp_path: Path, pool: Any = None, **settings: Any) -> Services:
    """Services over ``pool``, without jobs; anything of ``Settings`` by name."""
    place = settings.get("cache")
    made = Settings(
        **{"data": tmp_path / "server", "options": Options(model="echo"), "port": 0, **settings}
    )
    spool.empty(made.spool)
    cache = open_cache(place)
    return Services(
        made,
        pool=pool or FakePool(),
        engine=Engine(made.defaults, cache=cache),
        cache=cache,
        keys=Keys.of(made),
        quota=Quota(made),
        metrics=Metrics(),
    )


class Asker:
    """A client of an application that runs in a thread, without a socket."""

    def __init__(self, portal: BlockingPortal, client: httpx.AsyncClient) -> None:
        self._portal = portal
        self._client = client

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One request, answered."""
        return self._portal.call(partial(self._client.request, method, path, **more))

    def get(self, path: str, **more: Any) -> httpx.Response:
        """GET."""
        return self.request("GET", path, **more)

    def post(self, path: str, **more: Any) -> httpx.Response:
        """POST."""
        return self.request("POST", path, **more)


@contextmanager
def client(tmp_path: Path, pool: FakePool | None = None, **settings: Any) -> Iterator[Asker]:
    """A client of a server over ``pool`` with these settings."""
    app = create_app(services_with(tmp_path, pool, **settings))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(app.router.lifespan_context(app)),
    ):
        yield Asker(portal, httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1"))


@contextmanager
def listening(services: Services) -> Iterator[tuple[str, int]]:
    """The address of a real server over ``services`` in a thread of this process."""
    there, place = threading.Event(), []

    def tell(address: str) -> None:
        host, _, port = address.rpartition("/")[2].rpartition(":")
        place.append((host, int(port)))
        there.set()

    listener = Listener(create_app(services), services, on_ready=tell)
    thread = threading.Thread(target=listener.run)
    thread.start()
    try:
        assert there.wait(20)
        yield place[0]
    finally:
        listener.end()
        thread.join(20)
        assert not thread.is_alive()


def read_all(sock: socket.socket) -> bytes:
    """Everything until the other side closes."""
    found = b""
    while True:
        try:
            data = sock.recv(65536)
        except ConnectionResetError:
            return found + b"(reset)"
        if not data:
            return found
        found += data
