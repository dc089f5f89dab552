"""A closed loop of clients against an HTTP server: each asks again as soon as it was answered."""

from __future__ import annotations

import hashlib
import http.client
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

#: A client that waits longer than this for an answer counts a failure.
ANSWER_TIMEOUT_S = 300.0
#: What a refused client waits at most before it asks again, whatever it was told.
MOST_PATIENCE_S = 1.0


@dataclass(frozen=True, slots=True)
class Request:
    """One POST, made before the clock runs; ``name`` tells one from another."""

    name: str
    path: str
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """Status (0: none came), seconds from the first byte sent to the last received, sha256."""

    name: str
    status: int
    seconds: float
    sha256: str


@dataclass(frozen=True, slots=True)
class Load:
    """Every answer within a window of ``seconds``."""

    answers: tuple[Answer, ...]
    seconds: float
    by_status: Counter[int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_status", Counter(one.status for one in self.answers))

    @property
    def rate(self) -> float:
        """Pictures cut in a second."""
        return self.by_status[200] / self.seconds

    def percentile(self, share: float) -> float:
        """Seconds within which ``share`` (0..1) of the pictures were answered; nearest rank."""
        times = sorted(one.seconds for one in self.answers if one.status == 200)
        if not times:
            return math.nan
        return times[min(len(times) - 1, max(0, math.ceil(share * len(times)) - 1))]

    def digests(self) -> dict[str, set[str]]:
        """The different bodies that were sent for each request, by digest."""
        found: dict[str, set[str]] = {}
        for one in self.answers:
            if one.status == 200:
                found.setdefault(one.name, set()).add(one.sha256)
        return found


def multipart(name: str, path: str, fields: dict[str, str], file: str, data: bytes) -> Request:
    """A form with ``fields`` and one picture under the field ``file`` (RFC 7578)."""
    boundary = f"cleancut{hashlib.sha256(data).hexdigest()[:24]}"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in fields.items()
    ]
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{file}"; filename="{name}.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    body = b"".join([*parts, head.encode(), data, f"\r\n--{boundary}--\r\n".encode()])
    return Request(name, path, f"multipart/form-data; boundary={boundary}", body)


def press(
    port: int,
    requests: Sequence[Request],
    *,
    clients: int,
    seconds: float,
    on_answer: Callable[[Answer], None] | None = None,
) -> Load:
    """Ask a server on the loopback from ``clients`` threads for ``seconds``.

    What began within the window is waited for; the window ends with the last of it, so that slow
    answers are not left out. A client that is refused (429) comes back after a moment.
    """
    answers: list[Answer] = []
    lock = threading.Lock()
    started = time.perf_counter()
    last = started

    def client(number: int) -> None:
        nonlocal last
        connection: http.client.HTTPConnection | None = None
        turn = number
        while time.perf_counter() - started < seconds:
            request = requests[turn % len(requests)]
            turn += 1
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_TIMEOUT_S)
            answer, wait, keep = _ask(connection, request)
            if not keep:
                connection.close()
                connection = None
            with lock:
                answers.append(answer)
                last = max(last, time.perf_counter())
            if on_answer is not None:
                on_answer(answer)
            if wait:
                time.sleep(min(wait, MOST_PATIENCE_S))
        if connection is not None:
            connection.close()

    threads = [threading.Thread(target=client, args=(n,), daemon=True) for n in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Load(tuple(answers), last - started)


def ask(port: int, request: Request) -> tuple[Answer, bytes]:
    """Send one request on a connection of its own; the answer and its body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_TIMEOUT_S)
    try:
        begun = time.perf_counter()
        connection.request(
            "POST", request.path, request.body, {"Content-Type": request.content_type}
        )
        response = connection.getresponse()
        body = response.read()
        spent = time.perf_counter() - begun
    finally:
        connection.close()
    digest = hashlib.sha256(body).hexdigest()
    return Answer(request.name, response.status, spent, digest), body


def _ask(connection: http.client.HTTPConnection, request: Request) -> tuple[Answer, float, bool]:
    """The answer, seconds to wait before the next one, whether the connection can be kept."""
    begun = time.perf_counter()
    try:
        connection.request(
            "POST", request.path, request.body, {"Content-Type": request.content_type}
        )
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException):
        return Answer(request.name, 0, time.perf_counter() - begun, ""), 0.1, False
    spent = time.perf_counter() - begun
    wait = 0.0
    if response.status == 429:
        wait = MOST_PATIENCE_S
        with suppress(ValueError):
            wait = float(response.headers.get("Retry-After", wait))
    digest = hashlib.sha256(body).hexdigest()
    return Answer(request.name, response.status, spent, digest), wait, not response.will_close
