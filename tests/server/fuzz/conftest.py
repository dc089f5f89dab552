"""A whole server, its working process included, that everything here is thrown at."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.server.fuzz.malformed import photo

#: Seconds for each kind of attack; the machine that releases takes more.
SECONDS = float(os.environ.get("CLEANCUT_FUZZ_SECONDS", "2"))
#: Another seed each time where there is time to find something new.
SEED = int(os.environ.get("CLEANCUT_FUZZ_SEED", "1"))
MEMORY = 1 << 30


@dataclass
class Target:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    port: int
    data: Path
    log: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> httpx.Client:
        """A client that waits no longer than the server may take."""
        return httpx.Client(base_url=self.url, timeout=30)

    def metric(self, name: str) -> float:
        """A number of /metrics."""
        text = httpx.get(f"{self.url}/metrics", timeout=10).text
        found = re.search(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE)
        assert found, f"{name} is not counted"
        return float(found[1])

    def resident(self) -> int:
        """Bytes in memory of the process that listens."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        return 1024 * int(re.search(r"VmRSS:\s+(\d+)", status)[1])  # type: ignore[index]

    def check(self) -> None:
        """It is alive, cuts pictures out, keeps no upload, and has told no secret."""
        assert self.process.poll() is None, "\n".join(self.log[-5:])
        with self.client() as client:
            assert client.get("/healthz").status_code == 200
            answer = client.post("/v1/cutouts", files={"image": photo("PNG")})
            assert answer.status_code == 200, answer.text
            assert answer.content.startswith(b"\x89PNG")
        left = [path for path in (self.data / "spool").rglob("*") if path.is_file()]
        assert not left, f"{len(left)} files are left in the spool"
        assert not any("Traceback" in line for line in self.log)


@pytest.fixture(scope="session")
def target() -> Iterator[Target]:
    """A server with the weightless model and little patience."""
    with tempfile.TemporaryDirectory(prefix="cleancut-fuzz-") as folder:
        data = Path(folder) / "server"
        environ = {**os.environ, "CLEANCUT_HOME": folder, "CLEANCUT_CACHE": f"{folder}/cache"}
        words = f"serve --model echo --port 0 --data {data} --cache off --queue 64 --log text"
        words += " --header-timeout 1 --body-timeout 3 --timeout 20 --grace 5"
        command = [sys.executable, "-m", "cleancut", *words.split(), "--memory-limit", str(MEMORY)]
        with subprocess.Popen(
            command, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process:
            assert process.stdout is not None
            found = None
            for line in process.stdout:
                found = re.search(r"ready at http://127\.0\.0\.1:(\d+)", line)
                if found:
                    break
            assert found, "it did not start"
            target = Target(process, int(found[1]), data)
            reader = threading.Thread(
                target=lambda: target.log.extend(process.stdout or ()), daemon=True
            )
            reader.start()
            target.check()
            yield target
            process.terminate()
            try:
                process.wait(20)
            finally:
                process.kill()
            reader.join(5)
