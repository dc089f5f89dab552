"""How a server ends that talks over stdin and stdout, to a client that is only lines."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.batch.pictures import folder_of

COMMAND = [sys.executable, "-m", "cleancut", "mcp"]


class Bare:
    """A server process to which a test writes lines itself."""

    def __init__(self, root: Path) -> None:
        pipe = subprocess.PIPE
        command = [*COMMAND, "--root", str(root)]
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
        about = {"protocolVersion": "2025-06-18", "capabilities": {}}
        self.say("initialize", 1, {**about, "clientInfo": {"name": "x", "version": "1"}})
        assert self.process.stdout is not None
        assert json.loads(self.process.stdout.readline())["id"] == 1
        self.say("notifications/initialized", None, {})

    def say(self, method: str, number: int | None, params: dict[str, Any]) -> None:
        line = {"jsonrpc": "2.0", "method": method, "params": params}
        line |= {} if number is None else {"id": number}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(line).encode() + b"\n")
        self.process.stdin.flush()

    def ended(self) -> tuple[int, bytes]:
        """How it ended, and what it had to say about that."""
        assert self.process.stderr is not None
        try:
            code = self.process.wait(20)
            return code, self.process.stderr.read()
        finally:
            self.process.kill()
            for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
                assert stream is not None
                with suppress(BrokenPipeError):
                    stream.close()


def test_a_signal_ends_a_server_whose_stdin_stays_open(tmp_path: Path) -> None:
    server = Bare(tmp_path)
    server.process.terminate()
    assert server.ended()[0] == 143


@pytest.mark.parametrize("writes", [True, False])
def test_a_client_that_reads_no_more_ends_the_server_quietly(tmp_path: Path, writes: bool) -> None:
    server = Bare(tmp_path)
    assert server.process.stdin is not None
    assert server.process.stdout is not None
    server.process.stdout.close()
    server.say("tools/list", 2, {})
    if not writes:
        server.process.stdin.close()
    assert server.ended() == (0, b"")


def test_a_client_that_goes_away_in_the_middle_ends_a_batch_that_can_be_resumed(
    tmp_path: Path,
) -> None:
    folder_of(tmp_path / "in", 30, height=240, width=320)
    server, out = Bare(tmp_path), tmp_path / "out"
    asked = {"folder": "in", "output": "out", "refine": "best"}
    server.say("tools/call", 2, {"name": "batch", "arguments": asked})
    while not list(out.rglob("*.png")):
        assert server.process.poll() is None
        time.sleep(0.1)
    assert server.process.stdin is not None
    server.process.stdin.close()
    assert server.ended() == (0, b"")
    assert 0 < len(list(out.rglob("*.png"))) < 30
    assert (out / "cleancut-report.json").is_file()
