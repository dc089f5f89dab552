"""``cleancut models export`` as a person types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cleancut.cli.main import main
from tests.mobile.small import network


def test_it_writes_a_file_and_a_card_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = str(network(tmp_path / "small.onnx"))
    order = ["models", "export", given, "--to", "onnx-web", "--form", "f32", "-o", str(tmp_path)]
    assert main(order) == 0
    out = capsys.readouterr().out
    assert "small-f32.onnx: f32, 0.0" in out
    assert "mean" in out
    assert json.loads((tmp_path / "small-f32.onnx.json").read_text("utf-8"))["output"]["name"]
    assert main([*order, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["path"].endswith("small-f32.onnx")
    assert told["mean"] < 1e-6


def test_errors_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, code in (("nanno", 3), ("rvm", 2)):
        assert main(["models", "export", name, "--to", "tflite", "-o", str(tmp_path)]) == code
        assert capsys.readouterr().err.count("\n") == 1
