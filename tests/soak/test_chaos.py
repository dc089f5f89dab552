"""What happens to servers: killed, disk full, clients that dribble or hang up, Redis away."""

from __future__ import annotations

import concurrent.futures
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.batch.pictures import picture
from tests.server.process import SOAK_S, Running, cut, free_port, gone, running

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data() -> bytes:
    return picture(3, height=300, width=400)


def test_killed_in_the_middle_of_work_it_comes_back_clean(tmp_path: Path, data: bytes) -> None:
    with running(tmp_path / "data", "--queue", "64") as live:
        expected = cut(live, data).content
        children = [pid for pid in live.family() if live.process and pid != live.process.pid]
        assert children
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            waiting = [pool.submit(_cut_or_none, live, data) for _ in range(40)]
            while sum(one.done() for one in waiting) < 5:
                time.sleep(0.005)
            live.kill()
            answers = [one.result() for one in waiting]
        assert all(one is None or one.content == expected for one in answers)
        assert None in answers, "it was killed when all was done: this test shows nothing"
        assert all(gone(pid) for pid in children), "the working process outlived the server"
        live.start()
        assert live.spooled() == []
        assert cut(live, data).content == expected


def test_a_killed_worker_is_replaced_and_nobody_notices(tmp_path: Path, data: bytes) -> None:
    with running(tmp_path / "data", "--queue", "64") as live:
        expected = cut(live, data).content
        ended = threading.Event()

        def hurt() -> None:
            while not ended.wait(1.0):
                for pid in live.family()[1:]:
                    os.kill(pid, signal.SIGKILL)

        killer = threading.Thread(target=hurt)
        killer.start()
        until = time.monotonic() + max(SOAK_S, 4)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: _cuts_until(live, data, until), range(4)))
        ended.set()
        killer.join()
        flat = [one for some in answers for one in some]
        assert len(flat) > 10
        assert {one.status_code for one in flat} == {200}
        assert all(one.content == expected for one in flat)
        assert live.metric("cleancut_worker_restarts_total") >= 2


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", str(folder)], capture_output=True
    )
    if made.returncode:
        pytest.skip("a small disk can be made by root only")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_fails_requests_and_not_the_server(
    tmp_path: Path, small_disk: Path, data: bytes
) -> None:
    with running(small_disk / "data", log=tmp_path / "log") as live:
        expected = cut(live, data).content
        filler = small_disk / "filler"
        with pytest.raises(OSError, match="No space"):
            _fill(filler)
        refused = cut(live, data)
        assert refused.status_code in (503, 507), refused.text
        assert str(small_disk) not in refused.text
        assert httpx.get(f"{live.url}/readyz").status_code == 503
        assert httpx.get(f"{live.url}/healthz").status_code == 200
        filler.unlink()
        assert cut(live, data).content == expected
        assert httpx.get(f"{live.url}/readyz").status_code == 200


def test_clients_that_dribble_keep_nobody_else_waiting(tmp_path: Path, data: bytes) -> None:
    words = ("--header-timeout", "2", "--body-timeout", "3")
    with running(tmp_path / "data", *words) as live, ExitStack() as sockets:
        slow = [
            sockets.enter_context(socket.create_connection(("127.0.0.1", live.port)))
            for _ in range(150)
        ]
        heads = [
            b"POST /v1/cutouts HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ",
            b"POST /v1/cutouts HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"
            b"Content-Length: 1000000\r\n\r\n\x89PNG",
            b"",
        ]
        for number, one in enumerate(slow):
            one.sendall(heads[number % 3])
        begun = time.monotonic()
        assert cut(live, data, timeout=10).status_code == 200
        assert time.monotonic() - begun < 3
        open_ones = set(slow)
        while open_ones and time.monotonic() - begun < 20:
            for one in list(open_ones):
                if _closed(one):
                    open_ones.discard(one)
            time.sleep(0.2)
        assert not open_ones, f"{len(open_ones)} of 150 are still connected"
        assert cut(live, data).status_code == 200
        assert live.spooled() == []


def test_clients_that_hang_up_free_their_place(tmp_path: Path, data: bytes) -> None:
    large = picture(5, height=1500, width=2000)
    with (
        running(tmp_path / "data", "--queue", "20", "--workers", "1") as live,
        ExitStack() as sockets,
    ):
        head = (
            "POST /v1/cutouts HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"
            f"Content-Length: {len(large)}\r\n\r\n"
        ).encode()
        callers = [
            sockets.enter_context(socket.create_connection(("127.0.0.1", live.port)))
            for _ in range(21)
        ]
        *whole, half = callers
        for caller in whole:
            caller.sendall(head + large)
        half.sendall(head + large[: len(large) // 2])
        until = time.monotonic() + 20
        while live.metric("cleancut_queue_depth") < 5 and time.monotonic() < until:
            time.sleep(0.02)
        for caller in callers:
            caller.close()
        begun = time.monotonic()
        while live.metric("cleancut_queue_depth") > 0:
            assert time.monotonic() - begun < 5, "orders of clients that are gone still wait"
            time.sleep(0.02)
        assert cut(live, data).status_code == 200
        while live.spooled() and time.monotonic() - begun < 10:
            time.sleep(0.05)
        assert live.spooled() == []


def test_redis_away_and_back_loses_no_job(tmp_path: Path, data: bytes) -> None:
    port = free_port()
    words = ["redis-server", "--port", str(port), "--dir", str(tmp_path), "--appendonly", "yes"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}

    def redis() -> subprocess.Popen[bytes]:
        started = subprocess.Popen([*words, "--appendfsync", "always"], **quiet)  # type: ignore[call-overload]
        until = time.monotonic() + 10
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                break
        return started  # type: ignore[no-any-return]

    server = redis()
    try:
        with running(tmp_path / "data", "--redis", f"redis://127.0.0.1:{port}/0") as live:
            files = [("image", (f"{n}.png", picture(n, height=300, width=400))) for n in range(12)]
            accepted = httpx.post(f"{live.url}/v1/jobs", files=files, timeout=30)
            assert accepted.status_code == 202, accepted.text
            server.kill()
            server.wait()
            away = httpx.post(f"{live.url}/v1/jobs", files=files[:1], timeout=30)
            assert away.status_code == 503, away.text
            assert int(away.headers["Retry-After"]) >= 1
            assert cut(live, data).status_code == 200, "one picture needs no Redis"
            server = redis()
            link = f"{live.url}{accepted.headers['Location']}".replace(
                live.url + live.url, live.url
            )
            until = time.monotonic() + 100  # the lease of one that was just being taken: 60 s
            while time.monotonic() < until:
                job = httpx.get(link, timeout=30)
                if job.status_code == 200 and job.json()["status"] == "done":
                    break
                time.sleep(0.2)
            assert job.json()["progress"] == {"total": 12, "done": 12, "failed": 0}, job.text
    finally:
        server.kill()
        server.wait()


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as full:
        while True:
            full.write(b"\0" * 4096)


def _cut_or_none(live: Running, data: bytes) -> httpx.Response | None:
    try:
        return cut(live, data)
    except httpx.HTTPError:
        return None


def _cuts_until(live: Running, data: bytes, until: float) -> list[httpx.Response]:
    answers = []
    while time.monotonic() < until:
        answers.append(cut(live, data))
    return answers


def _closed(one: socket.socket) -> bool:
    one.setblocking(False)
    try:
        while one.recv(65536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
