from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from cleancut.distill.config import load_config
from cleancut.distill.log import read_log
from cleancut.distill.student import load_student
from cleancut.distill.tune import Tuned, TuneOrder, find_pictures, tune
from cleancut.errors import BadOption, InputNotFound, UnknownModel
from tests.distill.small import make_pairs, small_onnx


def _order(folder: Path, **changes: object) -> TuneOrder:
    values: dict[str, object] = {
        "model": str(small_onnx(folder / "net.onnx")),
        "pairs": make_pairs(folder / "mine", 8),
        "run": folder / "run",
        "steps": 10,
        "rate": 0.1,
        "batch": 2,
    }
    return TuneOrder(**{**values, **changes})  # type: ignore[arg-type]


def test_tuning_brings_mattes_nearer_to_those_of_the_user(tmp_path: Path) -> None:
    seen: list[int] = []
    done = tune(_order(tmp_path), device="cpu", on_step=lambda step: seen.append(step.step))
    assert (done.learnt, done.held, done.done, done.worse) == (7, 1, True, False)
    assert done.after["mine"]["mad"] < 0.8 * done.before["mine"]["mad"]
    assert seen == list(range(1, 11))
    assert done.step > 0
    student = load_student(tmp_path / "run")
    assert (student.file.name, student.step) == ("best.pt", done.step)


def test_the_first_evaluation_is_of_the_model_as_it_is(tmp_path: Path) -> None:
    done = tune(_order(tmp_path, steps=1), device="cpu")
    first = read_log(tmp_path / "run" / "log.jsonl")[0]
    assert first["step"] == 0
    assert first["eval"]["mine"]["mad"] == pytest.approx(done.before["mine"]["mad"], rel=1e-3)


def test_the_run_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    order = _order(tmp_path)
    seen: list[int] = []
    part = tune(
        order,
        device="cpu",
        on_step=lambda step: seen.append(step.step),
        cancelled=lambda: len(seen) == 3,
    )
    assert not part.done
    tune(order, device="cpu", on_step=lambda step: seen.append(step.step))
    assert seen == list(range(1, 11))
    whole = replace(order, run=tmp_path / "whole")
    tune(whole, device="cpu")
    one, other = (
        torch.load(run / "checkpoint.pt", weights_only=True)["model"]
        for run in (order.run, whole.run)
    )
    assert all(torch.allclose(one[name], other[name], atol=1e-6) for name in one)


def test_a_run_can_be_moved_and_exported_without_the_model(tmp_path: Path) -> None:
    from cleancut.distill.export import export

    order = _order(tmp_path, steps=2)
    tune(order, device="cpu")
    (tmp_path / "net.onnx").unlink()
    (tmp_path / "run").rename(tmp_path / "moved")
    done = export(tmp_path / "moved", tmp_path / "mine.onnx")
    assert {one.runtime for one in done.parity} >= {"ort"}
    assert "7 pairs_" in done.row
    assert 'commercial = "unclear"' in done.row


def test_backgrounds_make_empty_pictures_and_composites(tmp_path: Path) -> None:
    scenes = tmp_path / "scenes"
    scenes.mkdir()
    noise = np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8)
    cv2.imwrite(str(scenes / "a.jpg"), noise)
    tune(_order(tmp_path, steps=2, backgrounds=scenes), device="cpu")
    assert load_config(tmp_path / "run" / "config.toml").data.shares.empty > 0
    assert "backgrounds" in json.loads((tmp_path / "run" / "origin.json").read_text("utf-8"))


def test_pairs_to_judge_by_can_be_given(tmp_path: Path) -> None:
    other = make_pairs(tmp_path / "judges", 2)
    done = tune(_order(tmp_path, steps=1, held_back=other), device="cpu")
    assert (done.learnt, done.held, list(done.before)) == (8, 2, ["judges"])


def test_what_cannot_be_tuned_is_refused_before_the_first_step(tmp_path: Path) -> None:
    order = _order(tmp_path)
    with pytest.raises(UnknownModel):
        tune(replace(order, model="nonet"), device="cpu")
    with pytest.raises(BadOption, match="too few"):
        tune(replace(order, pairs=make_pairs(tmp_path / "few", 2)), device="cpu")
    with pytest.raises(InputNotFound):
        tune(replace(order, backgrounds=tmp_path / "none"), device="cpu")
    with pytest.raises(BadOption, match="size 100"):
        tune(replace(order, size=100), device="cpu")


def test_the_folder_of_another_run_is_refused(tmp_path: Path) -> None:
    order = _order(tmp_path, steps=1)
    tune(order, device="cpu")
    with pytest.raises(BadOption, match="another configuration"):
        tune(replace(order, rate=0.2), device="cpu")
    other = small_onnx(tmp_path / "other" / "net.onnx", size=96)
    with pytest.raises(BadOption, match="another network"):
        tune(replace(order, model=str(other)), device="cpu")
    (tmp_path / "trained").mkdir()
    (tmp_path / "trained" / "config.toml").write_text("", "utf-8")
    with pytest.raises(BadOption, match="no tuning"):
        tune(replace(order, run=tmp_path / "trained"), device="cpu")


def test_worse_means_further_from_the_truth_in_the_mean_of_all_sets() -> None:
    before = {"a": {"mad": 10.0}, "b": {"mad": 20.0}}
    after = {"a": {"mad": 12.0}, "b": {"mad": 17.0}}
    assert not Tuned(before, after, 9, 1, 5, done=True).worse
    assert Tuned(after, before, 9, 1, 5, done=True).worse


def test_pictures_are_found_below_a_folder_in_order(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("b/2.JPG", "a.png", ".hidden.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in find_pictures(tmp_path)] == ["a.png", "2.JPG"]
