"""Requests that are not quite HTTP, over a bare socket: answered or cut off, never a hang."""

from __future__ import annotations

import random
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.server.fuzz.conftest import SECONDS, SEED, Target
from tests.server.fuzz.malformed import photo

#: The server cuts off a head after 1 s and a body after 2 s; the rest is for a busy machine.
PATIENCE_S = 15
HOST = b"Host: 127.0.0.1\r\n"
POST = b"POST /v1/cutouts HTTP/1.1\r\n" + HOST + b"Content-Type: image/png\r\n"
PICTURE = photo("PNG", (24, 16))
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

REQUESTS: dict[str, bytes] = {
    "nothing": b"",
    "newlines": b"\r\n" * 1000,
    "zeros": bytes(1000),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n",
    "HTTP/9.9": b"GET / HTTP/9.9\r\n" + HOST + b"\r\n",
    "no host": b"GET /v1/models HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /v1/models HTTP/1.1\r\n" + HOST + b"Host: evil.example\r\n\r\n",
    "a foreign host": b"GET /v1/models HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "CONNECT": b"CONNECT 127.0.0.1:22 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a whole address": b"GET http://evil.example/v1/models HTTP/1.1\r\n" + HOST + b"\r\n",
    "OPTIONS of all": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "TRACE": b"TRACE / HTTP/1.1\r\n" + HOST + b"X-Api-Key: secret\r\n\r\n",
    "a method of its own": b"FROB / HTTP/1.1\r\n" + HOST + b"\r\n",
    "a path upwards": b"GET /../../../../etc/passwd HTTP/1.1\r\n" + HOST + b"\r\n",
    "a coded path upwards": b"GET /%2e%2e/%2e%2e/etc/passwd%00 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a path that is no text": b"GET /\xff\xfe%ff%fe HTTP/1.1\r\n" + HOST + b"\r\n",
    "a job upwards": b"GET /v1/jobs/..%2f..%2fetc%2fpasswd HTTP/1.1\r\n" + HOST + b"\r\n",
    "a long path": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "a long header": b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 1_000_000 + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n" * 50_000 + b"\r\n",
    "a header with a newline": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\n b\r\n\r\n",
    "a header with a zero": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\0b\r\n\r\n",
    "a header without a name": b"GET / HTTP/1.1\r\n" + HOST + b": a\r\n\r\n",
    "a name with a space": b"GET / HTTP/1.1\r\n" + HOST + b"X : a\r\n\r\n",
    "a length below zero": POST + b"Content-Length: -1\r\n\r\n" + PICTURE,
    "a length that is huge": POST + b"Content-Length: 99999999999999999999\r\n\r\n" + PICTURE,
    "a length of 30 MB": POST + b"Content-Length: 30000000\r\n\r\n" + PICTURE,
    "a length in words": POST + b"Content-Length: ten\r\n\r\n" + PICTURE,
    "a length with a sign": POST + b"Content-Length: +10\r\n\r\n" + PICTURE,
    "two lengths": POST + b"Content-Length: 5\r\nContent-Length: 9\r\n\r\n" + PICTURE,
    "a length and chunks": POST
    + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    + b"GET /v1/models HTTP/1.1\r\n"
    + HOST
    + b"\r\n",
    "chunks of two kinds": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunks packed": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunks with a tab": POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "a body that is packed": POST
    + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\0\0",
    "a chunk below zero": CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n",
    "a chunk that is huge": CHUNKED + b"ffffffffffffffffffff\r\nhello",
    "a chunk of 2 GiB": CHUNKED + b"7fffffff\r\nhello",
    "a chunk that is no number": CHUNKED + b"zz\r\nhello\r\n0\r\n\r\n",
    "a chunk that is too long": CHUNKED + b"3\r\nhello\r\n0\r\n\r\n",
    "a chunk with an extension": CHUNKED + b"5;" + b"a" * 300_000 + b"\r\nhello\r\n0\r\n\r\n",
    "chunks of one byte": CHUNKED + b"1\r\na\r\n" * 50_000 + b"0\r\n\r\n",
    "chunks with a trailer": CHUNKED + b"0\r\nX-Api-Key: secret\r\nContent-Length: 5\r\n\r\n",
    "chunks without an end": CHUNKED + b"5\r\nhello\r\n",
    "half a body": POST + b"Content-Length: 5000\r\n\r\n" + PICTURE[:40],
    "expect": POST + b"Expect: 100-continue\r\nContent-Length: 5000\r\n\r\n",
    "expect the unheard of": POST + b"Expect: a wonder\r\nContent-Length: 4\r\n\r\nabcd",
    "upgrade": b"GET / HTTP/1.1\r\n" + HOST + b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "100 requests at once": (b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n") * 100,
    "a key of a megabyte": b"GET /v1/models HTTP/1.1\r\n" + HOST + b"X-Api-Key: " + b"k" * 60_000
    + b"\r\n\r\n",
    "an id with a newline": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X-Request-Id: a\x0bb\r\n\r\n",
}  # fmt: skip


def told(port: int, data: bytes, *, pieces: int = 1) -> bytes:
    """Everything that the server says to ``data`` until it hangs up or has nothing more to say."""
    heard = b""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        try:
            step = max(1, len(data) // pieces)
            for start in range(0, len(data), step):
                connection.sendall(data[start : start + step])
        except OSError:  # it has hung up already
            pass
        until = time.monotonic() + PATIENCE_S
        try:
            # What is waited for longest is the end of an idle connection.
            connection.settimeout(PATIENCE_S)
            while part := connection.recv(1 << 16):
                heard += part
                assert time.monotonic() < until, "it never stops talking"
                if len(heard) > 10_000_000:
                    break
                connection.settimeout(1.0)
        except TimeoutError:
            assert heard or time.monotonic() < until, "it says nothing and does not hang up"
        except OSError:
            pass
    return heard


def statuses(heard: bytes) -> list[int]:
    """The status of every answer."""
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3}) ", heard)]


def test_what_is_not_quite_http_is_answered_or_cut_off(target: Target) -> None:
    with ThreadPoolExecutor(16) as threads:
        heard = dict(
            zip(
                REQUESTS,
                threads.map(lambda data: told(target.port, data), REQUESTS.values()),
                strict=True,
            )
        )
    for name, answer in heard.items():
        assert not [status for status in statuses(answer) if status >= 500], f"{name}: {answer!r}"
        assert str(target.data.parent).encode() not in answer, name
        assert b"Traceback" not in answer, name
        assert b"root:" not in answer, name
        assert b"server: uvicorn" not in answer.lower(), name
        assert b"secret" not in answer, name
    assert 401 in statuses(heard["a foreign host"])
    assert 413 in statuses(heard["a length of 30 MB"])
    assert statuses(heard["100 requests at once"]) == [200] * 100
    for name in ("two lengths", "a chunk that is no number", "a length below zero", "HTTP/2"):
        assert statuses(heard[name]) == [400], name
    # The second request hides in the first one's body, for a proxy that believes the length.
    assert statuses(heard["a length and chunks"]) in ([400], []), "request smuggling"
    assert 408 in statuses(heard["half a body"])
    target.check()


@pytest.mark.parametrize("pieces", [1, 40])
def test_requests_with_bytes_changed_do_no_harm(target: Target, pieces: int) -> None:
    dice = random.Random(SEED)
    sound = [
        POST + b"Content-Length: %d\r\n\r\n" % len(PICTURE) + PICTURE,
        CHUNKED + b"%x\r\n" % len(PICTURE) + PICTURE + b"\r\n0\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /api/remove?url=http%3A%2F%2F127.0.0.1%3A1%2F HTTP/1.1\r\n" + HOST + b"\r\n",
    ]

    def mutant() -> bytes:
        data = bytearray(dice.choice(sound))
        head = data.index(b"\r\n\r\n") + 4
        for _ in range(dice.choice((1, 1, 2, 4))):
            place = dice.randrange(min(len(data), head + 10))
            how = dice.randrange(4)
            if how == 0:
                data[place] = dice.randrange(256)
            elif how == 1:
                del data[place : place + dice.randrange(8)]
            elif how == 2:
                data[place:place] = dice.choice((b"\r\n", b"\n", b"\0", b" ", b":", b"\xff", b"0"))
            else:
                data[place:place] = data[place : place + dice.randrange(30)]
        # So that what is still sound does not keep the connection open.
        return bytes(data).replace(b"HTTP/1.1\r\n", b"HTTP/1.1\r\nConnection: close\r\n", 1)

    until = time.monotonic() + SECONDS / 2
    before = target.resident()
    number = 0
    with ThreadPoolExecutor(32) as threads:
        while time.monotonic() < until:
            several = [mutant() for _ in range(64)]
            for data, heard in zip(
                several,
                threads.map(lambda data: told(target.port, data, pieces=pieces), several),
                strict=True,
            ):
                number += 1
                wrong = [status for status in statuses(heard) if status >= 500]
                assert not wrong, f"{data!r} -> {heard!r}"
    assert number >= 64
    target.check()
    assert target.resident() < before + (64 << 20)


def test_clients_that_never_finish_are_cut_off(target: Target) -> None:
    slow = [
        socket.create_connection(("127.0.0.1", target.port), timeout=PATIENCE_S) for _ in range(100)
    ]
    try:
        for number, connection in enumerate(slow):
            begun = POST + b"Content-Length: 100000\r\n\r\n" + PICTURE[:100]
            connection.sendall(begun[: 10 + number * 2] if number % 2 else begun)
        with target.client() as client:
            assert client.get("/healthz").status_code == 200
            # As many bodies are read as may be: the rest is told so, and at once.
            assert client.post("/v1/cutouts", files={"image": PICTURE}).status_code in (200, 429)
        ended = time.monotonic() + PATIENCE_S
        for connection in slow:
            connection.settimeout(max(0.1, ended - time.monotonic()))
            try:
                while connection.recv(1 << 16):
                    pass
            except ConnectionError:
                pass
    finally:
        for connection in slow:
            connection.close()
    target.check()
