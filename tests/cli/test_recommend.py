from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from cleancut.cli.main import main
from cleancut.compare.uses import USES
from tests.compare.comparisons import hostile, made_up, without_truth


@pytest.fixture
def figures(tmp_path: Path) -> Path:
    path = tmp_path / "mine.json"
    path.write_text(made_up().to_json(pictures=False), "utf-8")
    return path


def told(capsys: pytest.CaptureFixture[str], words: Sequence[str], code: int = 0) -> str:
    assert main(["recommend", *words]) == code
    said = capsys.readouterr()
    return said.out if code == 0 else said.err


def test_without_a_use_the_uses_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    out = told(capsys, [])
    for use in USES.values():
        assert use.id in out
    assert [row["id"] for row in json.loads(told(capsys, ["--json"]))] == list(USES)


@pytest.mark.parametrize("use", USES)
def test_an_answer_fits_on_a_screen(
    use: str, figures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = told(capsys, ["--for", use, "--figures", str(figures)]).splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 100
    words = [line.split(" ")[0] for line in lines]
    for wanted in ("take", "why", "licence", "measured", "rule"):
        assert wanted in words


def test_the_answer_says_what_is_not_here_and_how_to_get_it(
    figures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = told(capsys, ["--for", "shop", "--figures", str(figures)])
    assert "$ cleancut models pull\n" in out
    assert "not on this machine yet" in out
    out = told(capsys, ["--for", "phone", "--figures", str(figures)])
    assert "not on this machine yet" not in out  # in the package


def test_only_what_is_here(figures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = told(capsys, ["--for", "shop", "--here", "--figures", str(figures)])
    assert "take       cleancut-nano" in out


def test_commercial_only_recommends_nothing_else(
    figures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--for", "passport", "--commercial-only", "--json", "--figures", str(figures)]
    answer = json.loads(told(capsys, words))
    assert answer["picks"][0]["system"] == "modnet"
    assert {pick["licence"]["commercial"] for pick in answer["picks"]} == {"yes"}
    assert "--commercial-only" in answer["picks"][0]["commands"][-1]


def test_a_wrong_use_gets_the_nearest(figures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean passport?" in told(capsys, ["--for", "pasport"], code=2)


def test_nothing_left_is_an_error_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.json"
    path.write_text(without_truth().to_json(), "utf-8")
    error = told(capsys, ["--for", "shop", "--figures", str(path)], code=2)
    assert "not measured" in error
    assert "bench compare --data" in error
    bare = replace(made_up(), systems=tuple(s for s in made_up().systems if s.id == "isnet"))
    path.write_text(bare.to_json(), "utf-8")
    words = ["--for", "research", "--figures", str(path), "--commercial-only"]
    assert "leave out --commercial-only" in told(capsys, words, code=2)


def test_a_file_that_holds_no_comparison_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "other.json"
    path.write_text("[1]", "utf-8")
    assert "[bad-option] other.json" in told(capsys, ["--for", "shop", "--figures", str(path)], 2)


def test_names_from_a_file_move_no_cursor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.json"
    whole = hostile()
    rows = tuple(replace(row, title="\x1b[2Jgone") for row in whole.systems)
    path.write_text(replace(whole, systems=rows).to_json(pictures=False), "utf-8")
    out = told(capsys, ["--for", "research", "--figures", str(path)])
    assert "\x1b" not in out
    assert "gone" in out


def test_an_answer_imports_nothing_heavy(figures: Path) -> None:
    code = (
        "import sys; before = set(sys.modules)\n"
        "from cleancut.cli.main import main\n"
        f"assert main(['recommend', '--for', 'shop', '--figures', {str(figures)!r}]) == 0\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(new - set(sys.stdlib_module_names) - {'cleancut'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_another_tool_is_here_if_its_command_is(monkeypatch: pytest.MonkeyPatch) -> None:
    from cleancut.compare.presence import here

    monkeypatch.setattr(shutil, "which", lambda name: "/bin/rembg" if name == "rembg" else None)
    found = here(made_up())
    assert "rembg:u2netp" in found
    assert "transparent-background" not in found
    assert {"cleancut-nano", "deeplabv3plus-portrait"} <= found
    assert "auto" not in found
