"""One side's server as a running process: started, asked, watched, ended."""

from __future__ import annotations

import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from cleancut.bench.load import Request, ask
from cleancut.bench.sides import Side
from cleancut.bench.tree import resident_bytes
from cleancut.errors import RunError

READY_TIMEOUT_S = 180.0
_END_TIMEOUT_S = 30.0
#: Each reading takes time from the processors that are being measured.
_EVERY_S = 0.5


@dataclass(slots=True)
class Service:
    """A server on a port of the loopback; ``memory`` is (seconds, bytes) of all its processes."""

    port: int
    process: subprocess.Popen[bytes]
    ready_s: float = 0.0
    memory: list[tuple[float, int]] = field(default_factory=list)

    def peak_mb(self) -> float:
        """The most memory that was seen, in MB (10^6 bytes)."""
        return max((held for _, held in self.memory), default=0) / 1e6


@contextmanager
def serving(side: Side, words: Sequence[str], first: Request) -> Iterator[Service]:
    """Run ``side``'s server with ``words``, in which {port} stands for its port.

    It counts as ready when it has answered ``first`` with 200. Raises ``RunError`` with what it
    said if it ends before or takes too long.
    """
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="cleancut-bench-") as folder:
        said = Path(folder, "said")
        command = [*side.command, *(word.replace("{port}", str(port)) for word in words)]
        begun = time.perf_counter()
        with said.open("wb") as log:
            process = subprocess.Popen(
                command,
                env=dict(side.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                start_new_session=True,
            )
        service = Service(port, process)
        ended = threading.Event()
        watcher = threading.Thread(target=_watch, args=(service, ended), daemon=True)
        try:
            _await(service, first, said, begun)
            watcher.start()
            yield service
        finally:
            ended.set()
            _end(process)
            if watcher.is_alive():
                watcher.join()


def _await(service: Service, first: Request, said: Path, begun: float) -> None:
    while time.perf_counter() - begun < READY_TIMEOUT_S:
        if service.process.poll() is not None:
            break
        with suppress(OSError):
            answer, _ = ask(service.port, first)
            if answer.status == 200:
                service.ready_s = time.perf_counter() - begun
                return
            if answer.status not in (429, 503):
                raise RunError(f"the server answers {answer.status} to a picture")
        time.sleep(0.02)
    lines = said.read_text("utf-8", "replace").strip().splitlines()
    raise RunError(f"the server does not get ready ({lines[-1][:300] if lines else 'no reason'})")


def _watch(service: Service, ended: threading.Event) -> None:
    begun = time.perf_counter()
    while not ended.wait(_EVERY_S):
        if held := resident_bytes(service.process.pid):
            service.memory.append((time.perf_counter() - begun, held))


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
