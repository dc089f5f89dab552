from __future__ import annotations

import json
from pathlib import Path

import pytest

from cleancut.bench.report import Report
from cleancut.bench.speed import MARKERS, SpeedPlan, speed
from cleancut.cli.main import main
from cleancut.errors import BadOption, WeightsMissing
from tests.bench.test_start import no_weights


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(BadOption, match="no measurement 9"):
        SpeedPlan(only=frozenset({1, 9}))
    with pytest.raises(BadOption, match="0 runs"):
        SpeedPlan(runs=0)


def test_without_weights_the_error_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_weights(tmp_path, monkeypatch)
    with pytest.raises(WeightsMissing) as caught:
        speed(SpeedPlan(), lambda line: None)
    assert "cleancut models pull" in caught.value.hint


def test_table_drawing_and_document_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from cleancut.bench import speed as module

    def fake(plan: SpeedPlan, tell: object) -> tuple[Report, str]:
        assert plan.peer_venv is None
        assert plan.only == {1, 3}
        return Report("2030-01-02", plan.runs, "CPU", (), (), ("the note",)), "<svg/>"

    monkeypatch.setattr(module, "speed", fake)
    document, drawing, kept = (tmp_path / name for name in ("doc.md", "where.svg", "out.json"))
    document.write_text("\n".join(MARKERS), "utf-8")
    words = ["bench", "speed", "--no-rembg", "--only", "1,3", "--json", str(kept)]
    assert main([*words, "--write", str(document), "--flame", str(drawing)]) == 0
    assert "the note" in capsys.readouterr().out
    assert "the note" in document.read_text("utf-8")
    assert drawing.read_text("utf-8") == "<svg/>"
    assert json.loads(kept.read_text("utf-8"))["runs"] == 3
