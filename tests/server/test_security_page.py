from __future__ import annotations

import re
from pathlib import Path

from cleancut.cli.main import build_parser

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")


def test_every_test_that_the_page_names_exists() -> None:
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text("utf-8"), re.MULTILINE)
    }
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 50
    assert named <= there, sorted(named - there)


def test_every_promise_names_a_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "---" not in line]
    promises = rows[rows.index("| promise | test |") :]
    assert [row for row in promises if row != "| promise | test |" and "`test_" not in row] == []


def test_every_flag_that_the_page_names_exists() -> None:
    known: set[str] = set()
    for name in ("serve", "keys"):
        parsers = [build_parser(name)]
        while parsers:
            parser = parsers.pop()
            for action in parser._actions:
                known.update(action.option_strings)
                choices = getattr(action, "choices", None)
                if isinstance(choices, dict):
                    parsers += choices.values()
    foreign = {"--timeout"}
    named = set(re.findall(r"(?<![\w-])(--[a-z][a-z-]+)", PAGE)) - foreign
    assert named <= known, sorted(named - known)
