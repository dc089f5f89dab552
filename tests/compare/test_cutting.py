"""Tools that misbehave: whatever they say or leave behind, there is an answer in time."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from cleancut.compare import cutting
from cleancut.compare.cutting import Death, run
from cleancut.compare.starters import Starter
from tests.compare.fakes import fake_system

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the tools are scripts")


def told_by(
    folder: Path, code: str, patience_s: float = 20, pictures: int = 2
) -> tuple[Death | None, list[int]]:
    """What ``run`` makes of a tool whose interpreter is ``code``, and the numbers it was told."""
    tool = folder / "tool"
    tool.write_text(f"#!{sys.executable} -I\nimport json, os, sys, time\n{code}\n")
    tool.chmod(0o755)
    one = Starter(system=fake_system(), python=str(tool), env=dict(os.environ), words=())
    moved: list[int] = []
    pairs = [(folder / "a.png", folder / f"{number}.png") for number in range(pictures)]
    return run(one, pairs, moved.append, patience_s), moved


def test_nonsense_is_passed_over(tmp_path: Path) -> None:
    said, moved = told_by(
        tmp_path,
        """
for line in ("no JSON", "[" * 100_000, "1", "NaN", '{"at": "x"}', '{"at": 99}', '{"at": -1}'):
    print(line)
sys.stdout.write("x" * 5_000_000 + "\\n")
sys.stdout.buffer.write(b"\\xff\\x00\\n")
print('{"at": 1}\\n{"done": 2}')
""",
    )
    assert said is None
    assert moved == [1]


def test_a_tool_that_talks_without_end_is_ended(tmp_path: Path) -> None:
    said, _ = told_by(tmp_path, "while True: print('{\"at\": 0}')")
    assert said == Death("it talks without end", final=True)


def test_what_leaves_the_group_and_holds_the_pipe_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cutting, "_LINGERS_S", 0.2)
    started = time.monotonic()
    code = "if os.fork() == 0:\n    os.setsid(); time.sleep(6)\nelse: os._exit(3)"
    said, _ = told_by(tmp_path, code, patience_s=1)
    assert said is not None
    assert time.monotonic() - started < 5


def test_one_that_closes_its_mouth_and_stays_is_ended(tmp_path: Path) -> None:
    said, _ = told_by(tmp_path, "os.close(1); time.sleep(60)", patience_s=1)
    assert said == Death("it took longer than 1 s")


def test_of_a_long_complaint_the_end_is_told(tmp_path: Path) -> None:
    code = "for _ in range(50): sys.stderr.write('x' * 100_000)\nsys.exit('\\nno weights')"
    said, _ = told_by(tmp_path, code)
    assert said == Death("its process ended with status 1: no weights")
