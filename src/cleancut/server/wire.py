"""One HTTP/1.1 exchange over a socket, under a deadline and under limits for every byte.

``http.client`` reads the answer; what it reads from counts bytes and watches the clock, so that
neither a server that drips nor one that never ends its headers or chunks is waited for.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import cast

#: Of status line and headers together, in bytes.
MAX_HEAD = 64 << 10
#: A silence of this many seconds ends an exchange.
SILENCE_S = 15.0


class TooMuch(Exception):
    """More bytes than were agreed."""


class Deadline:
    """A point in time; ``left`` seconds until then."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def left(self, most: float = float("inf")) -> float:
        """Seconds left, ``most`` at most; raises ``TimeoutError`` if there are none."""
        left = self._at - time.monotonic()
        if left <= 0:
            raise TimeoutError("out of time")
        return min(left, most)


class Wire(io.RawIOBase):
    """Reads from a socket until the deadline, ``limit`` bytes at most."""

    def __init__(self, sock: socket.socket, deadline: Deadline, limit: int) -> None:
        self._sock = sock
        self._deadline = deadline
        self._left = limit

    def allow(self, limit: int) -> None:
        """From now on ``limit`` bytes."""
        self._left = limit

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: object) -> int:
        """Fill ``buffer`` as far as there is something; 0 at the end."""
        if self._left <= 0:
            raise TooMuch
        view = memoryview(buffer)[: self._left]  # type: ignore[arg-type]
        self._sock.settimeout(self._deadline.left(SILENCE_S))
        count = self._sock.recv_into(view)
        self._left -= count
        return count

    def makefile(self, mode: str = "rb") -> io.BufferedReader:  # noqa: ARG002 - it is always "rb"
        """What ``http.client`` asks a socket for."""
        return io.BufferedReader(self, 1 << 13)


def exchange(
    sock: socket.socket, head: bytes, body: bytes, deadline: Deadline, *, method: str
) -> tuple[http.client.HTTPResponse, Wire]:
    """Send a request and read the head of the answer, whose body is still to be read.

    Raises ``OSError`` (``TimeoutError``), ``http.client.HTTPException``, ``TooMuch``.
    """
    for part in (head, body):
        if part:
            sock.settimeout(deadline.left())
            sock.sendall(part)
    wire = Wire(sock, deadline, MAX_HEAD)
    answer = http.client.HTTPResponse(cast("socket.socket", wire), method=method)
    answer.begin()
    return answer, wire
