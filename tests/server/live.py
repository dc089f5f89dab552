"""A whole server in this process, on a loopback port, for the tests of its doors.

Pictures are cut in threads of this process instead of a child, which starts in no time.
"""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import uvicorn
from numpy.typing import NDArray
from PIL import Image

from cleancut import Engine, Options
from cleancut.batch.job import error_from
from cleancut.errors import Busy, CleancutError
from cleancut.guidance import Guidance
from cleancut.server.app import create_app
from cleancut.server.fetch import Fetcher
from cleancut.server.keys import Keys
from cleancut.server.order import Cut, Order
from cleancut.server.quota import Quota
from cleancut.server.services import Services
from cleancut.server.settings import Settings
from cleancut.server.spool import empty
from cleancut.server.telemetry import Metrics
from cleancut.server.wording import placeless


class Here:
    """A pool of threads of this process; ``orders`` are all it was given, ``busy`` refuses."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._threads = ThreadPoolExecutor(2)
        self.orders: list[Order] = []
        self.busy: Busy | None = None
        self.fails: CleancutError | None = None

    def start(self) -> None:
        """Nothing to begin."""

    def submit(self, order: Order) -> Future[Cut]:
        """Cut it in one of the threads."""
        self.orders.append(order)
        return self._threads.submit(self._cut, order)

    def _cut(self, order: Order) -> Cut:
        if self.fails is not None:
            raise self.fails
        guidance = Guidance(**order.guidance) if order.guidance else None
        try:
            done = self._engine.encoded(order.source, guidance=guidance, options=order.options)
        except CleancutError as error:  # as the pool tells it
            told = placeless(error.message), placeless(error.hint)
            raise error_from(error.code, *told) from error
        return Cut(data=done.data, facts=done.facts, cached=done.cached)

    def full(self) -> Busy | None:
        """What a test says."""
        return self.busy

    def ready(self) -> bool:
        """Always."""
        return True

    def trouble(self) -> CleancutError | None:
        """Never any."""
        return None

    def state(self) -> Any:
        """Not asked for."""
        return None

    def stop(self, grace_s: float) -> None:
        """End the threads."""
        self._threads.shutdown()


@dataclass
class Live:
    """A running server: where it is, what it works with, and a client of it."""

    url: str
    services: Services
    pool: Here
    client: httpx.Client
    settings: Settings = field(repr=False)


@contextmanager
def serving(
    data: Path, *, key: bool = False, limits: dict[str, Any] | None = None, **values: Any
) -> Iterator[Live]:
    """A server on a free port with ``echo`` as its model; with ``key`` its client has one."""
    sock = socket.create_server(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    given: dict[str, Any] = {"options": Options(model="echo"), "fetch_from": ("127.0.0.1",)}
    settings = Settings(data=data, port=port, **given | values)
    empty(settings.spool)
    keys = Keys.of(settings)
    headers = {}
    if key:
        from cleancut.server.keys import Limits

        headers["X-Api-Key"] = keys.add("shop", Limits(**limits or {}))
    engine = Engine(settings.defaults)
    pool = Here(engine)
    services = Services(
        settings,
        pool=pool,
        engine=engine,
        cache=None,
        keys=keys,
        quota=Quota(settings),
        metrics=Metrics(),
        fetcher=Fetcher(settings),
    )
    with (
        listening(services, sock) as url,
        httpx.Client(base_url=url, headers=headers, timeout=20) as client,
    ):
        yield Live(url, services, pool, client, settings)


@contextmanager
def listening(services: Services, sock: socket.socket) -> Iterator[str]:
    """The application over ``services`` in a thread, answering on ``sock``; its address."""
    config = uvicorn.Config(create_app(services), log_level="error", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    try:
        until = time.monotonic() + 30
        while not server.started and thread.is_alive() and time.monotonic() < until:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)
        sock.close()


def photo(disc: NDArray[np.uint8], form: str = "PNG", *, tint: bool = True, **how: Any) -> bytes:
    """A disc as a picture file: soft and coloured, or without ``tint`` white on black."""
    tinted = np.clip(disc * np.array((1, 0.8, 0.6)) + 10, 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(tinted if tint else disc).save(out, form, **how)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    """The picture in ``data``, decoded."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image
