from __future__ import annotations

import json
from pathlib import Path

import pytest

from cleancut.bench.start import Plan, numbers, start
from cleancut.cli.main import main
from cleancut.errors import BadOption, WeightsMissing


def test_numbers_are_a_list() -> None:
    assert numbers("1, 3,") == {1, 3}
    assert numbers("") == frozenset()


def test_other_text_is_no_list_of_numbers() -> None:
    with pytest.raises(BadOption, match="list of numbers"):
        numbers("1-3")


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(BadOption, match="no measurement 7"):
        Plan(only=frozenset({1, 7}))
    with pytest.raises(BadOption, match="0 runs"):
        Plan(runs=0)


def test_without_weights_the_error_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_weights(tmp_path, monkeypatch)
    with pytest.raises(WeightsMissing) as caught:
        start(Plan(), lambda line: None)
    assert "cleancut models pull" in caught.value.hint


def test_the_command_reports_errors_on_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    no_weights(tmp_path, monkeypatch)
    assert main(["bench", "start", "--no-rembg"]) == 3
    assert main(["bench", "start", "--only", "9"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 2


def test_json_and_document_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from cleancut.bench import start as module
    from cleancut.bench.report import BEGIN, END, Report

    def fake(plan: Plan, tell: object) -> Report:
        assert plan.peer_venv is None
        return Report("2030-01-02", plan.runs, "CPU", (), (), ("the note",))

    monkeypatch.setattr(module, "start", fake)
    document = tmp_path / "doc.md"
    document.write_text(f"{BEGIN}\n{END}\n", "utf-8")
    kept = tmp_path / "out.json"
    words = ["bench", "start", "--no-rembg", "--runs", "1"]
    assert main([*words, "--json", str(kept), "--write", str(document)]) == 0
    assert "the note" in capsys.readouterr().out
    assert "the note" in document.read_text("utf-8")
    assert json.loads(kept.read_text("utf-8"))["runs"] == 1


def no_weights(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "USERPROFILE", "CLEANCUT_HOME", "CLEANCUT_CACHE"):
        monkeypatch.setenv(name, str(folder))
    for name in ("CLEANCUT_MODELS", "U2NET_HOME", "REMBG_HOME"):
        monkeypatch.delenv(name, raising=False)
