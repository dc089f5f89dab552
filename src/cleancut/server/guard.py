"""ASGI middleware between the network and the routes: limits on bodies, headers of answers, CORS.

Errors about a body are raised out of ``receive``, so that each door answers them in its own form. A
request that is answered before its body was read is drained for a while, because a client that is
still sending would get a reset connection instead of the answer (RFC 9112, 9.6).
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from cleancut.errors import BodyTooLarge, BodyTooSlow, Busy
from cleancut.server.answers import answered
from cleancut.server.settings import MIB

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from cleancut.server.settings import Settings

#: Bodies that are read at the same time; others wait as long as a head may take.
BODIES_AT_ONCE = 64
#: A body must bring so many bytes in so many seconds, whatever its deadline.
WINDOW_S = 10.0
WINDOW_BYTES = 10 * 1024
#: How long, and how much, a body is read on after it was refused; a silence ends it.
DRAIN_S = 10.0
DRAIN_SILENCE_S = 2.0
DRAIN_BYTES = 64 * MIB

#: Bytes of an answer that are handed on at once.
PIECE = 256 * 1024

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)
_CORS_METHODS = b"GET, POST, DELETE, HEAD, OPTIONS"
_CORS_HEADERS = b"authorization, content-type, idempotency-key, x-api-key, x-request-id"
_CORS_MAX_AGE = b"600"


class Guard:
    """Wraps ``app``; see the module."""

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._bodies = asyncio.Semaphore(BODIES_AT_ONCE)
        self._origins = tuple(origin.encode() for origin in settings.cors)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        cors = self._cors(headers.get(b"origin"))
        if cors and scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            await _preflight(send, cors)
            return
        head_only = scope["method"] == "HEAD"
        if head_only:
            scope = {**scope, "method": "GET"}
        body = _Body(receive, headers, self._limit(scope["path"]), self._settings, self._bodies)
        answer = _Answer(send, body, cors, head_only=head_only)
        try:
            await self._app(scope, body, answer)
        finally:
            body.let_go()
            answered(scope)

    def _limit(self, path: str) -> int:
        if path.rstrip("/") == "/v1/jobs":
            video = self._settings.max_video if self._settings.video else 0
            return self._settings.max_job_body + video + MIB
        return self._settings.max_body * 3 // 2 + 2 * MIB  # base64, and what frames it

    def _cors(self, origin: bytes | None) -> list[tuple[bytes, bytes]]:
        if origin is None or not self._origins:
            return []
        if b"*" in self._origins:
            allowed = b"*"
        elif origin in self._origins:
            allowed = origin
        else:
            return [(b"vary", b"Origin")]
        return [
            (b"access-control-allow-origin", allowed),
            (b"access-control-expose-headers", b"*"),
            *([] if allowed == b"*" else [(b"vary", b"Origin")]),
        ]


class _Body:
    """``receive`` with a limit, a deadline and a least rate."""

    def __init__(
        self,
        receive: Receive,
        headers: dict[bytes, bytes],
        limit: int,
        settings: Settings,
        bodies: asyncio.Semaphore,
    ) -> None:
        self._receive = receive
        self._limit = limit
        self._bodies = bodies
        self._patience = settings.header_timeout_s
        # A body that may be larger may take longer.
        self._left = settings.body_timeout_s * max(1.0, limit / (2 * settings.max_body + 2 * MIB))
        self._window, self._window_bytes = WINDOW_S, 0
        length = headers.get(b"content-length", b"")
        self._length = int(length) if length.isdigit() else None
        chunked = b"transfer-encoding" in headers
        self.complete = not chunked and not self._length
        #: The client waits for a sign before it sends, and has not been given one.
        self.held_back = headers.get(b"expect", b"").lower() == b"100-continue"
        self.hopeless = False
        self._taken = 0
        self._held = False

    async def __call__(self) -> Message:
        """The next message. Raises ``BodyTooLarge``, ``BodyTooSlow``, ``Busy``."""
        if self.complete:
            return await self._receive()
        if self._length is not None and self._length > self._limit:
            raise _too_large(self._limit)
        if not self._held:
            await self._begin()
        self.held_back = False
        message = await self._in_time()
        self._taken += len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body", False):
            self.complete = True
            self.let_go()
        if self._taken > self._limit:
            raise _too_large(self._limit)
        return message

    async def drain(self) -> None:
        """Read on for a while and forget what comes."""
        if self.complete or self.held_back or self.hopeless:
            return
        if self._length is not None and self._length - self._taken > DRAIN_BYTES:
            return
        until, taken = time.monotonic() + DRAIN_S, 0
        with suppress(asyncio.TimeoutError, OSError):
            while taken <= DRAIN_BYTES and not self.complete:
                wait = min(DRAIN_SILENCE_S, until - time.monotonic())
                message = await asyncio.wait_for(self._receive(), max(0.0, wait))
                taken += len(message.get("body", b""))
                self.complete = not message.get("more_body", False)

    def let_go(self) -> None:
        """Make room for another body."""
        if self._held:
            self._held = False
            self._bodies.release()

    async def _begin(self) -> None:
        try:
            await asyncio.wait_for(self._bodies.acquire(), self._patience)
        except asyncio.TimeoutError:
            raise Busy(
                "too many uploads at the same time", hint="try again", retry_after_s=5
            ) from None
        self._held = True

    async def _in_time(self) -> Message:
        began = time.monotonic()
        try:
            message = await asyncio.wait_for(self._receive(), min(self._left, self._window))
        except asyncio.TimeoutError:
            spent = time.monotonic() - began
            self._window -= spent
            self._left -= spent
            if self._left <= 0.001 or self._window_bytes < WINDOW_BYTES:
                self.hopeless = True
                raise BodyTooSlow(
                    "the body did not arrive in time", hint="check the connection and send it again"
                ) from None
            self._window, self._window_bytes = WINDOW_S, 0
            return await self._in_time()
        spent = time.monotonic() - began
        self._left -= spent
        self._window -= spent
        self._window_bytes += len(message.get("body", b""))
        if self._window <= 0:
            slow = self._window_bytes < WINDOW_BYTES and message.get("more_body", False)
            self._window, self._window_bytes = WINDOW_S, 0
            if slow:
                self._left = 0.0
        self._left = max(self._left, 0.0)
        return message


class _Answer:
    """``send`` with headers added, bodies left off for HEAD, and the request's body drained."""

    def __init__(
        self, send: Send, body: _Body, cors: list[tuple[bytes, bytes]], *, head_only: bool
    ) -> None:
        self._send = send
        self._body = body
        self._cors = cors
        self._head_only = head_only

    async def __call__(self, message: Message) -> None:
        """Send ``message``."""
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            there = {name.lower() for name, _ in headers}
            headers += [header for header in _HEADERS if header[0] not in there]
            headers += self._cors
            if not self._body.complete:
                headers.append((b"connection", b"close"))
            await self._send({**message, "headers": headers})
            return
        if message["type"] != "http.response.body":
            await self._send(message)
            return
        if self._head_only:
            message = {**message, "body": b""}
        message = await self._all_but_the_last(message)
        if message.get("more_body", False) or self._body.complete:
            await self._send(message)
            return
        # All of the answer goes out now; that it is over is said when the client has had its say.
        await self._send({**message, "more_body": True})
        await self._body.drain()
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _all_but_the_last(self, message: Message) -> Message:
        """Send a large body in pieces, so that it shows whether the client takes any; the rest."""
        body = memoryview(message.get("body", b""))
        while len(body) > PIECE:
            piece, body = bytes(body[:PIECE]), body[PIECE:]
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        return {**message, "body": bytes(body)}


async def _preflight(send: Send, cors: list[tuple[bytes, bytes]]) -> None:
    allowed = any(name == b"access-control-allow-origin" for name, _ in cors)
    headers = list(cors)
    if allowed:
        headers += [
            (b"access-control-allow-methods", _CORS_METHODS),
            (b"access-control-allow-headers", _CORS_HEADERS),
            (b"access-control-max-age", _CORS_MAX_AGE),
        ]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"a body of more than {limit / MIB:.4g} MiB", hint="send a smaller picture, or fewer"
    )
