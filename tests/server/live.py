"""A whole server in this process, over a stand-in for the pool: on a port, or without one."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from anyio.from_thread import BlockingPortal, start_blocking_portal
from numpy.typing import NDArray
from PIL import Image

from cleancut.batch.job import error_from
from cleancut.cache import open_cache
from cleancut.engine import Engine
from cleancut.errors import CleancutError
from cleancut.guidance import Guidance
from cleancut.options import Options
from cleancut.server import spool
from cleancut.server.app import create_app
from cleancut.server.fetch import Fetcher
from cleancut.server.keys import Keys, Limits
from cleancut.server.listen import Listener
from cleancut.server.order import Cut, Order
from cleancut.server.quota import Quota
from cleancut.server.services import Services
from cleancut.server.settings import Settings
from cleancut.server.telemetry import Metrics
from cleancut.server.wording import placeless
from tests.server.stand_ins import FakePool


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
        fetcher=Fetcher(made),
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


@dataclass
class Live:
    """A running server: where it is, what it works with, and a client of it."""

    url: str
    services: Services
    pool: FakePool
    client: httpx.Client
    settings: Settings = field(repr=False)


@contextmanager
def serving(
    data: Path, *, key: bool = False, limits: dict[str, Any] | None = None, **values: Any
) -> Iterator[Live]:
    """A server on a free port with ``echo`` as its model; with ``key`` its client has one."""
    services = services_with(data, data=data, **{"fetch_from": ("127.0.0.1",)} | values)
    headers = {"X-Api-Key": services.keys.add("shop", Limits(**limits or {}))} if key else {}
    pool = services.pool = FakePool(cut_here(services.engine))
    with listening(services) as (host, port):
        url = f"http://{host}:{port}"
        with httpx.Client(base_url=url, headers=headers, timeout=20) as client:
            yield Live(url, services, pool, client, services.settings)


def cut_here(engine: Engine) -> Any:
    """Answers orders by ``engine``, in this process; errors are told as the pool tells them."""

    def cut(order: Order) -> Cut:
        guidance = Guidance(**order.guidance) if order.guidance else None
        try:
            done = engine.encoded(order.source, guidance=guidance, options=order.options)
        except CleancutError as error:
            told = placeless(error.message), placeless(error.hint)
            raise error_from(error.code, *told) from error
        return Cut(data=done.data, facts=done.facts, cached=done.cached)

    return cut


def png(width: int = 4, height: int = 3, value: int = 200) -> bytes:
    """A plain picture."""
    out = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), value, np.uint8)).save(out, "PNG")
    return out.getvalue()


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
