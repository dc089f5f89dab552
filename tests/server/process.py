"""A real server process, for tests that hurt or kill it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

#: Seconds of load in each test; `make soak` gives more.
SOAK_S = float(os.environ.get("CLEANCUT_SOAK_S", "4"))
_READY_S = 60.0


@dataclass
class Running:
    """``cleancut serve`` on one port with one data folder, which can be ended and begun again."""

    data: Path
    words: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    log: Path = Path()

    def __post_init__(self) -> None:
        if self.log == Path():
            self.log = self.data.parent / f"{self.data.name}.log"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Begin, and wait until it is ready."""
        self.port = self.port or free_port()
        argv = [sys.executable, "-m", "cleancut", "serve", "--port", str(self.port)]
        argv += ["--data", str(self.data), "--cache", "off", "--model", "echo", *self.words]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                argv,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **self.env},
            )
        until = time.monotonic() + _READY_S
        while time.monotonic() < until and self.process.poll() is None:
            try:
                if httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"not ready:\n{self.log.read_text('utf-8', 'replace')[-3000:]}")

    def kill(self) -> None:
        """``kill -9``."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def family(self) -> list[int]:
        """The server and its children."""
        from cleancut.bench.tree import family

        assert self.process is not None
        return family(self.process.pid)

    def memory_mb(self) -> float:
        from cleancut.bench.tree import resident_bytes

        assert self.process is not None
        return (resident_bytes(self.process.pid) or 0) / 1e6

    def spooled(self) -> list[Path]:
        """Files of uploads and results that lie about."""
        return [path for path in (self.data / "spool").rglob("*") if path.is_file()]

    def metric(self, name: str) -> float:
        """The sum of a metric's samples."""
        text = httpx.get(f"{self.url}/metrics", timeout=10).text
        lines = [line for line in text.splitlines() if line.startswith((name + " ", name + "{"))]
        assert lines, f"no metric {name} in:\n{text}"
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


@contextmanager
def running(data: Path, *words: str, log: Path = Path()) -> Iterator[Running]:
    """A server that is ready; ended at the end, whatever happens."""
    server = Running(data, words, log=log)
    with ended(server):
        server.start()
        yield server


@contextmanager
def ended(server: Running) -> Iterator[None]:
    """No process of ``server`` is left behind."""
    try:
        yield
    finally:
        if server.process is not None and server.process.poll() is None:
            server.process.kill()
            server.process.wait()


def cut(live: Running, data: bytes, timeout: float = 60) -> httpx.Response:
    """One picture through our own door."""
    return httpx.post(f"{live.url}/v1/cutouts", files={"image": ("a.png", data)}, timeout=timeout)


def gone(pid: int, within_s: float = 10.0) -> bool:
    """Whether a process ends in time; one that nobody has buried counts as ended."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text("ascii").rsplit(") ", 1)[1][0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def log_records(live: Running) -> list[dict[str, object]]:
    """The lines of the log that are JSON."""
    found = []
    for line in live.log.read_text("utf-8", "replace").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return [record for record in found if isinstance(record, dict)]
