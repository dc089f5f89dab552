from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cleancut.bench.load import Answer, Load, ask, multipart, press


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen: list[bytes]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append(body)
        number = len(self.seen)
        status = 429 if number == 2 else 200
        answer = b"busy" if status == 429 else body[-40:]
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", "0.05")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[tuple[int, list[bytes]]]:
    handler = type("OneHandler", (Handler,), {"seen": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield listening.server_port, handler.seen  # type: ignore[attr-defined]
        listening.shutdown()


def test_every_answer_is_counted_by_status(server: tuple[int, list[bytes]]) -> None:
    port, seen = server
    requests = [multipart(str(n), "/x", {"model": "m"}, "file", bytes([n]) * 99) for n in range(3)]
    load = press(port, requests, clients=2, seconds=0.3)
    assert len(load.answers) == len(seen) == sum(load.by_status.values())
    assert load.by_status[429] == 1
    assert load.by_status[200] == len(seen) - 1 > 3
    assert all(len(different) == 1 for different in load.digests().values())
    assert load.rate == pytest.approx(load.by_status[200] / load.seconds)


def test_the_form_is_what_a_parser_reads() -> None:
    from email import message_from_bytes

    request = multipart("pic", "/x", {"model": "isnet"}, "file", b"\xff\xd8 data")
    head = f"Content-Type: {request.content_type}\r\n\r\n".encode()
    fields = message_from_bytes(head + request.body).get_payload()
    assert [part.get_payload(decode=True) for part in fields] == [b"isnet", b"\xff\xd8 data"]  # type: ignore[union-attr]


def test_percentiles_are_of_the_pictures_only() -> None:
    answers = [Answer("a", 200, n / 100, "") for n in range(1, 101)]
    load = Load((*answers, Answer("a", 429, 99.0, "")), 10.0)
    assert load.percentile(0.95) == 0.95
    assert load.percentile(0.5) == 0.5
    assert load.rate == 10.0


def test_a_server_that_is_gone_is_an_answer_of_its_own() -> None:
    request = multipart("pic", "/x", {}, "file", b"data")
    load = press(1, [request], clients=1, seconds=0.05)
    assert set(load.by_status) == {0}
    assert load.rate == 0.0
    with pytest.raises(OSError):
        ask(1, request)
