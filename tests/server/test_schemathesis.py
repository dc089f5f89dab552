"""The schema and the server say the same: schemathesis looks for requests that disprove it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_serve import running


@pytest.mark.slow
def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("schemathesis")
    if not program.exists():
        pytest.skip("schemathesis is not installed")
    with running(tmp_path, "--header-timeout", "5", "--no-fetch") as (_, address):
        done = subprocess.run(
            [
                *(program, "--config-file", Path(__file__).with_name("schemathesis.toml")),
                *("run", f"{address}/openapi.json", "--max-examples", "12", "--seed", "1"),
                *("--no-color", "--workers", "1"),
            ],
            capture_output=True,
            text=True,
            timeout=180,
            cwd=tmp_path,
        )
    assert done.returncode == 0, done.stdout[-8000:]
