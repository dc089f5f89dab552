from __future__ import annotations

import json
from pathlib import Path

from cleancut.distill.log import Log, Step, best_step, read_log


def _step(number: int, *, skipped: bool = False) -> Step:
    return Step(number, 0.5, {"l1": 0.5}, 1e-4, number * 2.0, skipped)


def test_lines_after_the_checkpoint_and_torn_ones_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    log = Log(path, 0)
    for number in range(1, 5):
        log.add(_step(number))
    log.flush()
    with path.open("a", encoding="utf-8") as file:
        file.write('{"step": 5, "lo')
    again = Log(path, 3)
    assert [line["step"] for line in read_log(path)] == [1, 2, 3]
    again.add(_step(4))
    again.flush()
    assert read_log(path)[-1]["seconds"] == 6.0 + 8.0  # of this sitting and those before


def test_a_skipped_step_is_valid_json_without_a_loss(tmp_path: Path) -> None:
    log = Log(tmp_path / "log.jsonl", 0)
    log.add(Step(1, float("nan"), {"l1": float("nan")}, 1e-4, 1.0, skipped=True))
    log.flush()
    line = (tmp_path / "log.jsonl").read_text("utf-8")
    facts = json.loads(line, parse_constant=lambda name: (_ for _ in ()).throw(ValueError(name)))
    assert facts["skipped"]
    assert "loss" not in facts


def test_the_best_is_lowest_relative_to_the_first_whatever_the_size_of_a_set() -> None:
    evaluated = {
        0: {"hard": {"mad": 100.0}, "easy": {"mad": 1.0}},
        10: {"hard": {"mad": 90.0}, "easy": {"mad": 2.0}},  # 1.45
        20: {"hard": {"mad": 95.0}, "easy": {"mad": 0.8}},  # 0.875
        30: {"hard": {"mad": 95.0}, "easy": {"mad": 0.8}},
    }
    assert best_step(evaluated) == 20


def test_without_a_mad_nothing_is_best() -> None:
    assert best_step({}) is None
    assert best_step({0: {"a": {"iou": 0.5}}}) is None
    assert best_step({0: {"a": {"mad": 1.0}}, 5: {"a": {"mad": float("nan")}}}) == 0


def test_evaluations_are_remembered_over_sittings(tmp_path: Path) -> None:
    log = Log(tmp_path / "log.jsonl", 0)
    log.add_evaluation(0, {"a": {"mad": 2.0}})
    log.add_evaluation(4, {"a": {"mad": 1.0}})
    again = Log(tmp_path / "log.jsonl", 3)
    assert again.evaluated(0)
    assert not again.evaluated(4)
    assert again.best() == 0
