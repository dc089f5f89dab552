from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cleancut.cli.main import main
from cleancut.distill import export as exporting
from cleancut.distill.export import Exported, Parity
from cleancut.toml import tomllib
from tests.distill.students import make_run, write_pairs


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_run(tmp_path, monkeypatch)


def test_eval_prints_a_table_and_keeps_figures_without_local_paths(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs, figures = write_pairs(tmp_path / "pairs", ("a", "b")), tmp_path / "figures.json"
    words = ["distill", "eval", str(run), "--pairs", str(pairs), "--against", "echo", "--only", "b"]
    assert main([*words, "--limit", "2", "-q", "--json", str(figures)]) == 0
    told = capsys.readouterr()
    assert "tiny / echo" in told.out
    assert "| b   | 2        | MAD" in told.out
    assert told.err == ""
    kept = figures.read_text()
    assert str(tmp_path) not in kept
    assert json.loads(kept)["command"] == (
        "cleancut distill eval run --pairs PAIRS --against echo --only b --limit 2"
    )


def test_card_names_what_it_wrote(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["distill", "card", str(run), "--machine", "a desk"]) == 0
    assert capsys.readouterr().out.split() == [str(run / "card.md"), str(run / "card.curves.png")]
    text = (run / "card.md").read_text()
    assert "on a desk" in text
    assert "(card.curves.png)" in text
    assert main(["distill", "card", str(run), "-o", str(tmp_path / "card.txt")]) == 2


def test_export_hands_everything_over_and_prints_toml(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: dict[str, Any] = {}

    def export(folder: Path, target: Path, **how: Any) -> Exported:
        asked.update(how)
        parity = (Parity("ort", 1e-7, 1e-5),)
        row = 'title = "x"\n'
        return Exported(target, "f16", 96, 9, "0" * 64, 7, 10, 1, parity, row, "")

    monkeypatch.setattr(exporting, "export", export)
    target = str(tmp_path / "tiny.onnx")
    words = ["distill", "export", str(run), "-o", target, "--form", "f16", "--size", "96"]
    assert main([*words, "--any-size"]) == 0
    assert (asked["form"], asked["size"], asked["any_size"]) == ("f16", 96, True)
    told = capsys.readouterr().out
    assert "# ort beside torch on 1 pictures: mean 1.0e-07" in told
    assert tomllib.loads(told) == {"title": "x"}
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["parity"][0]["runtime"] == "ort"


def test_flags_that_mean_nothing_together_are_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, target = str(tmp_path), str(tmp_path / "tiny.onnx")
    for words in (
        ["-o", str(tmp_path / "tiny.pt")],
        ["-o", target, "--calibrate", folder],
        ["-o", target, "--terms", folder],
        ["-o", target, "--size", "100"],
    ):
        assert main(["distill", "export", str(run), *words]) == 2
        assert "bad-option" in capsys.readouterr().err
