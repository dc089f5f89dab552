"""Real sockets: slow heads, huge heads, refused bodies, hang-ups, an orderly end."""

from __future__ import annotations

import http.client
import shutil
import socket
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from cleancut.errors import BadOption, Busy, SetupError
from cleancut.server.app import create_app
from cleancut.server.listen import Listener
from cleancut.server.order import Cut
from tests.server.live import listening, png, read_all, services_with
from tests.server.stand_ins import FACTS, FakePool

MIB = 1 << 20


def test_a_head_that_comes_byte_by_byte_is_cut_off(tmp_path: Path) -> None:
    services = services_with(tmp_path, header_timeout_s=0.6)
    with listening(services) as place, socket.create_connection(place) as sock:
        began = time.monotonic()
        sock.settimeout(5)
        with pytest.raises(OSError):  # noqa: PT012
            for byte in b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n" * 100:
                sock.sendall(bytes([byte]))
                time.sleep(0.05)
        assert time.monotonic() - began < 2.5


def test_empty_lines_do_not_keep_a_connection(tmp_path: Path) -> None:
    services = services_with(tmp_path, header_timeout_s=0.5)
    with listening(services) as place, socket.create_connection(place) as sock:
        began = time.monotonic()
        with pytest.raises(OSError):  # noqa: PT012
            for _ in range(100):
                sock.sendall(b"\r\n")
                time.sleep(0.05)
        assert time.monotonic() - began < 2.5


def test_a_silent_connection_is_closed(tmp_path: Path) -> None:
    services = services_with(tmp_path, header_timeout_s=0.3)
    with listening(services) as place, socket.create_connection(place) as sock:
        sock.settimeout(5)
        assert read_all(sock) == b""


def test_a_slow_second_head_on_the_same_connection_is_cut_off(tmp_path: Path) -> None:
    services = services_with(tmp_path, header_timeout_s=0.5)
    with listening(services) as place, socket.create_connection(place) as sock:
        sock.settimeout(5)
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert sock.recv(65536).startswith(b"HTTP/1.1 200")
        sock.sendall(b"GET /heal")
        assert read_all(sock).startswith(b"HTTP/1.1 408")


def test_an_endless_head_is_refused(tmp_path: Path) -> None:
    with listening(services_with(tmp_path)) as place, socket.create_connection(place) as sock:
        sock.settimeout(5)
        try:
            sock.sendall(b"GET /healthz HTTP/1.1\r\nX-Long: ")
            for _ in range(64):
                sock.sendall(b"a" * 16384)
        except OSError:
            return
        assert b"431" in read_all(sock)[:60]


def test_a_request_after_a_large_body_is_not_taken_for_a_large_head(tmp_path: Path) -> None:
    with listening(services_with(tmp_path)) as (host, port):
        connection = http.client.HTTPConnection(host, port, timeout=10)
        for _ in range(3):
            connection.request(
                "POST", "/v1/cutouts", png() + bytes(2 * MIB), {"Content-Type": "image/png"}
            )
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
        connection.close()


@pytest.mark.parametrize("close", [False, True])
def test_who_sends_too_much_gets_the_answer_and_no_reset(tmp_path: Path, close: bool) -> None:
    services = services_with(tmp_path, max_body=MIB)
    headers = {"Content-Type": "image/png"} | ({"Connection": "close"} if close else {})
    with listening(services) as (host, port):
        connection = http.client.HTTPConnection(host, port, timeout=20)
        connection.request("POST", "/v1/cutouts", bytes(20 * MIB), headers)
        answer = connection.getresponse()
        assert answer.status == 413
        assert b"body-too-large" in answer.read()
        connection.close()
        with httpx.Client(base_url=f"http://{host}:{port}", timeout=20) as client:
            files = {"image": ("a.png", bytes(20 * MIB))}
            assert client.post("/v1/cutouts", files=files).status_code == 413


def test_who_is_refused_while_sending_gets_the_answer(tmp_path: Path) -> None:
    pool = FakePool()
    pool.busy = Busy("32 pictures wait already", retry_after_s=7)
    with listening(services_with(tmp_path, pool)) as (host, port):
        connection = http.client.HTTPConnection(host, port, timeout=20)
        connection.request(
            "POST", "/v1/cutouts", iter([bytes(MIB)] * 20), {"Content-Type": "image/png"}
        )
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("Retry-After")) == (429, "7")
        connection.close()
    assert pool.orders == []


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_curl_gets_the_answer_too(tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(20 * MIB))
    with listening(services_with(tmp_path, max_body=MIB)) as (host, port):
        for extra in ([], ["-H", "Expect:"]):
            command = ["curl", "-s", "-w", "%{http_code}", *extra, "-F", f"image=@{large}"]
            done = subprocess.run(
                [*command, f"http://{host}:{port}/v1/cutouts"],
                capture_output=True,
                text=True,
                timeout=30,
            )
            assert done.returncode == 0
            assert done.stdout.endswith("413")


def test_a_chunked_body_is_limited_while_it_streams(tmp_path: Path) -> None:
    head = (
        b"POST /v1/cutouts HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    services = services_with(tmp_path, max_body=MIB)
    with listening(services) as place, socket.create_connection(place) as sock:
        sock.settimeout(20)
        sock.sendall(head)
        for _ in range(5):
            sock.sendall(b"80000\r\n" + bytes(0x80000) + b"\r\n")
        sock.sendall(b"0\r\n\r\n")
        assert sock.recv(65536).startswith(b"HTTP/1.1 413")


def test_endless_trailers_are_cut_off(tmp_path: Path) -> None:
    with listening(services_with(tmp_path)) as place, socket.create_connection(place) as sock:
        sock.settimeout(10)
        sock.sendall(
            b"POST /v1/cutouts HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n"
        )
        sent = 0
        with pytest.raises(OSError):  # noqa: PT012
            while sent < 64 * MIB:
                sock.sendall(b"X-Trailer: " + b"a" * 8000 + b"\r\n")
                sent += 8000
        assert sent < 32 * MIB


def test_a_body_that_stops_is_given_up(tmp_path: Path) -> None:
    services = services_with(tmp_path, body_timeout_s=0.5)
    with listening(services) as place, socket.create_connection(place) as sock:
        sock.settimeout(10)
        sock.sendall(
            b"POST /v1/cutouts HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"
            b"Content-Length: 1000\r\n\r\nabc"
        )
        began = time.monotonic()
        answer = read_all(sock)
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"body-too-slow" in answer
        assert time.monotonic() - began < 3
    assert list(services.settings.spool.iterdir()) == []


def test_hanging_up_calls_waiting_work_off(tmp_path: Path) -> None:
    pool = FakePool()
    pool.held = True
    services = services_with(tmp_path, pool)
    body = png()
    with listening(services) as place:
        with socket.create_connection(place) as sock:
            sock.sendall(
                b"POST /v1/cutouts HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"
                b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
            )
            _until(lambda: bool(pool.futures))
        _until(lambda: pool.futures[0].cancelled())
        _until(lambda: not list(services.settings.spool.iterdir()))


def test_what_was_accepted_is_finished_when_the_server_ends(tmp_path: Path) -> None:
    pool = FakePool()
    pool.held = True
    services = services_with(tmp_path, pool)
    found: list[int] = []
    with listening(services) as (host, port):

        def ask() -> None:
            found.append(
                httpx.post(
                    f"http://{host}:{port}/v1/cutouts",
                    content=png(),
                    headers={"Content-Type": "image/png"},
                    timeout=20,
                ).status_code
            )

        client = threading.Thread(target=ask)
        client.start()
        _until(lambda: bool(pool.futures))
        threading.Timer(0.4, pool.let_go).start()
    client.join(10)
    assert found == [200]
    assert pool.stopped is not None
    assert services.obstacles()[0] == "the server is ending"


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        services = services_with(tmp_path, port=taken.getsockname()[1])
        with pytest.raises(SetupError, match="cannot be listened on"):
            Listener(create_app(services), services).run()


def test_a_host_of_another_machine_is_said(tmp_path: Path) -> None:
    services = services_with(tmp_path, host="no.such.host.invalid")
    with pytest.raises(BadOption, match="no address of this machine"):
        Listener(create_app(services), services).run()


def _until(question: object, seconds: float = 10.0) -> None:
    assert callable(question)
    end = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def _reader(place: tuple[str, int]) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    sock.connect(place)
    sock.settimeout(20)
    data = png()
    head = f"POST /v1/cutouts HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(data)}\r\n"
    sock.sendall(head.encode() + b"Content-Type: image/png\r\nConnection: close\r\n\r\n" + data)
    return sock


def test_who_takes_nothing_of_its_answer_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cleancut.server.listen.STALL_S", 0.5)
    pool = FakePool(lambda order: Cut(data=bytes(20 * MIB), facts=FACTS))
    with listening(services_with(tmp_path, pool)) as place, _reader(place) as sock:
        time.sleep(1.5)
        heard = 0
        with suppress(ConnectionResetError):
            while part := sock.recv(1 << 20):
                heard += len(part)
        assert heard < 10 * MIB


def test_who_takes_its_answer_slowly_gets_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cleancut.server.listen.STALL_S", 0.5)
    whole = bytes(range(256)) * 4096 * 6
    pool = FakePool(lambda order: Cut(data=whole, facts=FACTS))
    with listening(services_with(tmp_path, pool)) as place, _reader(place) as sock:
        began, heard = time.monotonic(), b""
        while part := sock.recv(1 << 17):
            heard += part
            time.sleep(0.01)
        assert heard.partition(b"\r\n\r\n")[2] == whole
        assert time.monotonic() - began > 0.5, "too fast to show anything"
