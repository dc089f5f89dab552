"""A place for results, and a Redis of its own."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cleancut.cache.disk import DiskCache
from cleancut.cache.entry import Entry

PASSWORD = "hidden-word"


def quiet(line: str) -> None:
    """Takes what a cache tells; nothing may be told."""
    pytest.fail(f"unexpected: {line}")


def key_of(number: int) -> str:
    return f"{number:064x}"


@pytest.fixture
def entry() -> Entry:
    return Entry(b"PNG" * 1000, "png", {"model": "echo", "size": [3, 4], "notes": ["a: ü"]})


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[DiskCache]:
    cache = DiskCache(tmp_path / "deep" / "results")
    yield cache
    cache.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real server on this machine's loopback, without persistence."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    port = _free_port()
    folder = tmp_path_factory.mktemp("redis")
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly"]
    command += ["no", "--dir", str(folder), "--requirepass", PASSWORD, "--loglevel", "warning"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            _wait_for(port)
            yield f"redis://:{PASSWORD}@127.0.0.1:{port}/0"
        finally:
            server.terminate()


def _wait_for(port: int) -> None:
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail("redis-server did not start")
