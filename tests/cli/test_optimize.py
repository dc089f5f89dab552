from __future__ import annotations

import json
from typing import Any

import pytest

from cleancut import catalog
from cleancut.cli import models
from cleancut.cli import optimize as command
from cleancut.cli.main import main
from cleancut.optimize import run
from cleancut.weights import store
from cleancut.weights.optimized import SetScore, copy_path
from tests.weights.copies import put_copy_of, stored_row

WORSE = (SetScore("people", 9, (20.0, 20.0), (0.1, 0.134), (0.9, 0.9)),)


@pytest.fixture
def spec(monkeypatch: pytest.MonkeyPatch) -> catalog.ModelSpec:
    row = stored_row()
    for module in (models, command, store):
        monkeypatch.setattr(
            module, "find", lambda name: row if name == "tiny" else catalog.find(name)
        )
    for module in (models, store):
        monkeypatch.setattr(module, "catalog", lambda: {"tiny": row})
    return row


def test_the_table_of_a_copy_is_shown(spec: Any, capsys: pytest.CaptureFixture[str]) -> None:
    put_copy_of(spec)
    assert main(["models", "optimize", "tiny", "--show"]) == 0
    out = capsys.readouterr().out
    assert "45 ms instead of 100 (openvino cpu bf16)" in out
    assert "Grad +2.0%" in out
    assert "used by default" in out
    assert "not used" not in out
    assert main(["models", "optimize", "tiny", "--show", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["used"], shown["refused"], shown["layers"]) == (True, "", 12)


def test_listings_say_that_a_copy_is_there_and_whether_it_is_used(
    spec: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    put_copy_of(spec)
    main(["models", "list"])
    assert "* tiny int8 " in capsys.readouterr().out
    put_copy_of(spec, sets=WORSE)
    main(["models", "list"])
    assert "* tiny (int8) " in capsys.readouterr().out
    assert main(["models", "info", "tiny"]) == 0
    assert "not used by default: Grad is 34% worse" in capsys.readouterr().out
    main(["models", "info", "tiny", "--json"])
    facts = json.loads(capsys.readouterr().out)["int8"]
    assert (facts["used"], facts["refused"][:11]) == (False, "Grad is 34%")
    put_copy_of(spec, machine="another")
    main(["models", "info", "tiny"])
    assert "measured on another machine" in capsys.readouterr().out


def test_verify_names_the_command_that_mends_a_copy(
    spec: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    put_copy_of(spec)
    assert main(["models", "verify"]) == 0
    assert "tiny (int8 copy): ok" in capsys.readouterr().out
    copy_path(spec).write_bytes(b"broken")
    assert main(["models", "verify", "tiny"]) == 3
    assert "run: cleancut models optimize tiny" in capsys.readouterr().err


def test_a_copy_is_removed_and_the_model_stays(
    spec: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    put_copy_of(spec)
    assert main(["models", "optimize", "tiny", "--remove"]) == 0
    assert capsys.readouterr().out.count("removed") == 2
    assert main(["models", "optimize", "tiny", "--show"]) == 3
    assert "run: cleancut models optimize tiny" in capsys.readouterr().err
    assert main(["models", "remove", "tiny"]) == 0


def test_several_models_are_made_and_one_failure_does_not_stop_the_rest(
    spec: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plans = []

    def made(name: str, plan: run.Plan, *, progress: object) -> Any:
        plans.append(plan)
        run.check(catalog.find(name)) if name != "tiny" else None
        return put_copy_of(spec)

    monkeypatch.setattr(run, "optimize", made)
    assert main(["models", "optimize", "rvm", "tiny", "--pictures", "64"]) == 5
    captured = capsys.readouterr()
    assert "tiny: int8" in captured.out
    assert "only still networks" in captured.err
    assert [plan.pictures for plan in plans] == [64, 64]


def test_contradicting_flags_are_refused(spec: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "optimize", "tiny", "--show", "--pairs", "x"]) == 2
    assert main(["models", "optimize", "tiny", "--show", "--remove"]) == 2
    assert main(["models", "optimize", "tiny", "--pictures", "3"]) == 2
    assert "give 8 to 2000" in capsys.readouterr().err
