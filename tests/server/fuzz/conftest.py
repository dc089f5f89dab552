"""A whole server, its working process included, that everything here is thrown at."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from cleancut.backends.memory import resident_bytes
from tests.server.fuzz.malformed import photo
from tests.server.process import Running, ended

#: Seconds for each kind of attack; the machine that releases takes more.
SECONDS = float(os.environ.get("CLEANCUT_FUZZ_SECONDS", "1"))
#: Another seed each time where there is time to find something new.
SEED = int(os.environ.get("CLEANCUT_FUZZ_SEED", "1"))
MEMORY = 1 << 30


@dataclass
class Target(Running):
    """A server in a process of its own, that everything here is thrown at."""

    def client(self) -> httpx.Client:
        """A client that waits no longer than the server may take."""
        return httpx.Client(base_url=self.url, timeout=30)

    def resident(self) -> int:
        """Bytes in memory of the process that listens."""
        assert self.process is not None
        return resident_bytes(self.process.pid) or 0

    def check(self) -> None:
        """It is alive, cuts pictures out, keeps no upload, and has told no secret."""
        log = self.log.read_text("utf-8", "replace")
        assert self.process is not None
        assert self.process.poll() is None, log[-2000:]
        with self.client() as client:
            assert client.get("/healthz").status_code == 200
            answer = client.post("/v1/cutouts", files={"image": photo("PNG")})
            assert answer.status_code == 200, answer.text
            assert answer.content.startswith(b"\x89PNG")
        left = self.spooled()
        assert not left, f"{len(left)} files are left in the spool"
        assert "Traceback" not in log


@pytest.fixture(scope="session")
def target() -> Iterator[Target]:
    """A server with the weightless model and little patience."""
    with tempfile.TemporaryDirectory(prefix="cleancut-fuzz-") as folder:
        environ = {"CLEANCUT_HOME": folder, "CLEANCUT_CACHE": f"{folder}/cache"}
        words = "--queue 64 --log text --header-timeout 1 --body-timeout 2 --timeout 20 --grace 5"
        target = Target(
            Path(folder) / "server", (*words.split(), "--memory-limit", str(MEMORY)), environ
        )
        with ended(target):
            target.start()
            target.check()
            yield target
