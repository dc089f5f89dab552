from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from cleancut.cli.main import main
from tests.bench.scenes import two_sets


def test_accuracy_prints_a_table_and_writes_what_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = two_sets(tmp_path / "pictures")
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- bench accuracy: begin -->\n<!-- bench accuracy: end -->\nafter")
    words = ["bench", "accuracy", str(pictures), "-m", "echo", "--refine", "off"]
    words += ["--json", str(tmp_path / "f.json"), "--html", str(tmp_path / "html")]
    assert main([*words, "--write", str(page)]) == 0
    table = capsys.readouterr().out.strip()
    assert "| cleancut echo |" in table
    assert page.read_text() == (
        f"before\n<!-- bench accuracy: begin -->\n{table}\n<!-- bench accuracy: end -->\nafter"
    )
    facts = json.loads((tmp_path / "f.json").read_text())
    assert len(facts["rows"][0]["pictures"]) == 5
    assert facts["options"] == '{"refine": "off"}'
    assert "soft/b" in (tmp_path / "html" / "index.html").read_text()


def test_accuracy_scores_only_what_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = two_sets(tmp_path / "pictures")
    words = ["bench", "accuracy", str(pictures), "--no-models", "--mattes", str(pictures / "soft")]
    assert main([*words, "--only", "soft"]) == 2
    assert main(["bench", "accuracy", str(pictures), "-m", "echo", "--only", " hard ,"]) == 0
    out = capsys.readouterr().out
    assert "**hard**" in out
    assert "**soft**" not in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--limit", "0"], "[bad-option]"),
        (["--no-models"], "[bad-option]"),
        (["--only", "sofa"], "[bad-option]"),
        (["--crop"], "[bad-option]"),
        (["-m", "echo", "--recipe", "size=9"], "[bad-option]"),
        (["-m", "nosuch"], "[unknown-model]"),
        (["--mattes", "nowhere"], "[input-not-found]"),
    ],
)
def test_accuracy_says_in_a_line_what_it_cannot_do(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = two_sets(tmp_path / "pictures")
    assert main(["bench", "accuracy", str(pictures), *words]) in (2, 3)
    error = capsys.readouterr().err.strip()
    assert said in error
    assert error.count("\n") == 0


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_goes_to_stderr_only(
    terminal: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from cleancut.cli import progress

    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    with progress.item_progress() as step:
        for done in range(3):
            step(done, 2, "[red]/file\x1b[2J")
    told = capsys.readouterr()
    assert told.out == ""
    assert "\x1b[2J" not in told.err, "a file's name moves the cursor"
    assert "2 of 2: [red]/file\\x1b" in told.err or terminal


@pytest.mark.parametrize("action", ["start", "server", "retouch", "compare", "gpu", "steady"])
def test_help_of_every_action_shows_how_it_is_called(
    action: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["bench", action, "--help"])
    examples = capsys.readouterr().out.partition("examples:")[2]
    assert f"cleancut bench {action}" in examples
    assert examples.count("cleancut bench ") == examples.count(f"cleancut bench {action}")
