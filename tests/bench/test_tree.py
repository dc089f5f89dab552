from __future__ import annotations

import subprocess
import sys

import pytest

from cleancut.bench.tree import family, resident_bytes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

_HOLD = "import sys; b = bytearray(40_000_000); print(len(b), flush=True); sys.stdin.read()"


def test_children_are_family_and_their_memory_counts() -> None:
    outer = (
        "import subprocess, sys;"
        f"p = subprocess.Popen([sys.executable, '-c', {_HOLD!r}], stdin=sys.stdin);"
        "p.wait()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", outer], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "40000000"
        assert len(family(process.pid)) == 2
        assert (resident_bytes(process.pid) or 0) > 40_000_000
        process.communicate("")


def test_a_process_that_has_ended_holds_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        assert family(process.pid) == []
        assert resident_bytes(process.pid) is None
