"""uvicorn, with limits on heads and connections that it lacks, and an orderly end."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from cleancut.errors import BadOption, SetupError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from cleancut.server.services import Services
    from cleancut.server.settings import Settings

EXIT_AT_ONCE = 130
#: What "at once" may take, seconds.
AT_ONCE_S = 3.0
#: Open connections; more are closed as soon as they come.
MAX_CONNECTIONS = 1024
#: A connection between two requests is kept this long, seconds.
KEEP_ALIVE_S = 20
#: A client that takes no 200 KiB of its answer in so many seconds is cut off: it holds memory.
STALL_S = 20.0
#: A head, with the request line, and whatever frames a body beyond the body itself, bytes.
MAX_HEAD = 64 * 1024
_SLACK = 256 * 1024

_TIMEOUT = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class Listener:
    """A server on a port; ``run`` serves until it is told to end."""

    def __init__(
        self,
        app: FastAPI,
        services: Services,
        *,
        certificate: Path | None = None,
        key: Path | None = None,
        on_ready: Callable[[str], None] | None = None,
    ) -> None:
        settings = services.settings
        self._services = services
        self._on_ready = on_ready
        self._scheme = "https" if certificate else "http"
        config = uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            http=protocol_of(settings),
            ws="none",
            loop="auto",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(settings.trust_proxy),
            forwarded_allow_ips=list(settings.trust_proxy),
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=max(1, round(settings.grace_s)),
            ssl_certfile=None if certificate is None else str(certificate),
            ssl_keyfile=None if key is None else str(key),
        )
        self._server = _Server(config, services)

    def run(self) -> int:
        """Serve until a signal comes; the exit code. Raises ``SetupError``, ``BadOption``."""
        settings = self._services.settings
        listening = _bound(settings)
        host, port = listening.getsockname()[:2]
        address = f"{self._scheme}://{f'[{host}]' if ':' in host else host}:{port}"
        if self._on_ready is not None:
            tell = partial(self._on_ready, address)
            threading.Thread(target=self._when_ready, args=(tell,), daemon=True).start()
        try:
            self._server.run(sockets=[listening])
        except SystemExit as end:
            if self._server.cause is not None:
                raise self._server.cause from None
            return int(end.code or 0)
        finally:
            listening.close()
        return EXIT_AT_ONCE if self._server.force_exit else 0

    def end(self) -> None:
        """What the first signal does, for servers that run in a thread."""
        self._server.handle_exit(signal.SIGTERM, None)

    def _when_ready(self, tell: Callable[[], None]) -> None:
        """Call ``tell`` once, when pictures can be sent."""
        while not self._services.ending:
            if self._server.started and self._services.pool.ready():
                tell()
                return
            time.sleep(0.01)


class _Server(uvicorn.Server):
    """Ends in order at the first signal, at once at the second, and raises none again."""

    def __init__(self, config: uvicorn.Config, services: Services) -> None:
        super().__init__(config)
        self.cause: BaseException | None = None
        self._services = services

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take one signal."""
        del sig, frame
        self._services.ending = True
        if self.should_exit and not self.force_exit:
            self.force_exit = True
            # Whatever still holds on, like a connection that is not read, has had its time.
            last = threading.Timer(AT_ONCE_S, os._exit, (EXIT_AT_ONCE,))
            last.daemon = True
            last.start()
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn does, without raising what was caught once more at the end."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        signals = [signal.SIGINT, signal.SIGTERM]
        before = {number: signal.signal(number, self.handle_exit) for number in signals}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _bound(settings: Settings) -> socket.socket:
    """A socket that listens where the settings say. Raises ``SetupError``, ``BadOption``."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise BadOption(
            f"--host: {settings.host} is no address of this machine", hint="like 127.0.0.1"
        ) from error
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(1024)
    except OSError as error:
        listening.close()
        raise SetupError(
            f"{settings.host} port {settings.port} cannot be listened on: {error.strerror}",
            hint="another server may have it; give another port with --port",
        ) from error
    return listening


class Connection(HttpToolsProtocol):
    """One connection. A head is timed from its first byte, a connection from its beginning."""

    header_timeout_s = 10.0
    _timer: asyncio.TimerHandle | None = None
    #: Cuts off a client that takes nothing of its answer.
    _stalled: asyncio.TimerHandle | None = None
    #: Whether a head is being read; how many messages began; of the last one, the bytes of its
    #: body and all others.
    _in_head = True
    _messages = _body = _framing = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.close()
            return
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        self._disarm()
        self._unstall()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Give the client ``STALL_S`` to take what was written."""
        super().pause_writing()
        self._unstall()
        self._stalled = self.loop.call_later(STALL_S, self.transport.abort)

    def resume_writing(self) -> None:
        """It did."""
        self._unstall()
        super().resume_writing()

    def _unstall(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def data_received(self, data: bytes) -> None:
        """Take bytes; those that are no body are few."""
        if self._timer is None and not self._busy():
            self._arm()
        messages, body = self._messages, self._body
        super().data_received(data)
        if self._messages != messages:
            self._framing = 0
        else:
            self._framing += len(data) - (self._body - body)
        if self._framing > (MAX_HEAD if self._in_head else _SLACK + self._body):
            self._refuse(_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Time the head."""
        super().on_message_begin()
        self._messages += 1
        self._in_head, self._body = True, 0
        self._arm()

    def on_headers_complete(self) -> None:
        """Time the head no longer."""
        self._in_head = False
        self._disarm()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Count the body."""
        self._body += len(body)
        super().on_body(body)

    def _busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _arm(self) -> None:
        self._disarm()
        self._timer = self.loop.call_later(self.header_timeout_s, self._late)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        if self._busy():  # somebody waits for an answer: what comes after it is looked at then
            self._arm()
        elif self._in_head and self._messages:
            self._refuse(_TIMEOUT)
        elif not self.transport.is_closing():
            self.transport.close()

    def _refuse(self, answer: bytes) -> None:
        if self.transport.is_closing():
            return
        if not self._busy():
            self.transport.write(answer)
        self.transport.close()


def protocol_of(settings: Settings) -> type[Connection]:
    """The protocol class of a server with these settings."""

    class Limited(Connection):
        """With the operator's time for a head."""

        header_timeout_s = settings.header_timeout_s

    return Limited
