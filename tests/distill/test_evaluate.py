from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cleancut.distill import evaluate as module
from cleancut.distill.card import read_evaluations
from cleancut.distill.evaluate import Evaluation, choose_pairs, evaluate, evaluate_model
from cleancut.distill.student import load_student, predictor
from cleancut.errors import BadOption, InputNotFound, UnknownModel, UnreadableImage, WeightsCorrupt
from tests.distill.students import Tiny, make_run, red_on_green, write_pairs


def test_a_perfect_matte_scores_nothing_and_an_empty_one_its_subject(tmp_path: Path) -> None:
    folder = write_pairs(tmp_path)
    right = evaluate(lambda rgb: rgb[..., 0].astype(np.float32) / 255, folder)
    assert right == {"boxes": {"mad": 0.0, "mse": 0.0, "grad": 0.0, "iou": 1.0}}
    wrong = evaluate(lambda _: np.zeros((8, 8), np.float32), folder)["boxes"]
    assert wrong["mad"] == pytest.approx(250.0)
    assert wrong["iou"] == 0.0


def test_a_soft_truth_is_not_scored_with_iou(tmp_path: Path) -> None:
    from cleancut.imaging.encode import encode_mask

    folder = write_pairs(tmp_path, count=2)
    soft = np.full((48, 80), 0.5, np.float32)
    (folder / "boxes" / "alpha" / "0.png").write_bytes(encode_mask(soft))
    assert "iou" not in evaluate(lambda rgb: rgb[..., 0] / np.float32(255), folder)["boxes"]


def test_a_limit_takes_pictures_from_all_over_a_set(tmp_path: Path) -> None:
    folder = write_pairs(tmp_path, ("a", "b"), count=4)
    chosen = choose_pairs(folder, limit=2)
    assert [pair.name for pair in chosen] == ["a/0", "a/2", "b/0", "b/2"]
    assert len(choose_pairs(folder, only=("b",), limit=9)) == 4
    with pytest.raises(BadOption):
        choose_pairs(folder, limit=0)


def test_a_run_answers_with_its_averaged_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path, monkeypatch)
    found = evaluate_model(str(run), choose_pairs(write_pairs(tmp_path / "pairs")))
    assert (found.label, found.size, found.step, found.pictures) == ("tiny", 64, 7, {"boxes": 3})
    assert found.scores["boxes"]["iou"] > 0.9  # the weights that are not averaged find nothing


def test_the_best_checkpoint_comes_before_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    run = make_run(tmp_path, monkeypatch)
    torch.save({"step": 3, "ema": Tiny(5.0).state_dict()}, run / "best.pt")
    assert load_student(run).step == 3
    assert load_student(run / "checkpoint.pt").step == 7


def test_what_is_no_run_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path, monkeypatch)
    pairs = choose_pairs(write_pairs(tmp_path / "pairs"))
    with pytest.raises(InputNotFound):
        evaluate_model(str(tmp_path), pairs)
    (run / "checkpoint.pt").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(WeightsCorrupt):
        evaluate_model(str(run), pairs)
    with pytest.raises(UnknownModel):
        evaluate_model("nono-net", pairs)
    with pytest.raises(BadOption):
        evaluate_model("u2netp", pairs, size=64)


def test_prediction_keeps_the_mode_of_the_network() -> None:
    net = Tiny().train()
    alpha = predictor(net, 64)(red_on_green()[0])
    assert net.training
    assert alpha.shape == (64, 64)
    assert alpha[32, 32] > 0.9 > 0.1 > alpha[2, 2]


def test_the_table_compares_errors_by_quotients_and_iou_by_difference() -> None:
    ours = Evaluation("ours", {"a": {"mad": 5.0, "mse": 1.0, "grad": 0.5, "iou": 0.9}}, {"a": 3})
    theirs = Evaluation("theirs", {"a": {"mad": 10.0, "mse": 2.0, "grad": 0.0, "iou": 0.7}})
    lines = module.to_markdown([ours, theirs]).splitlines()
    assert "ours / theirs" in lines[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert ["a", "3", "MAD", "5.00", "10.00", "0.50"] in cells
    assert ["a", "3", "IoU", "0.9000", "0.7000", "+0.200"] in cells
    assert len(cells) == 3  # Grad says nothing about yes-or-no truths


def test_figures_come_back_from_json(tmp_path: Path) -> None:
    row = Evaluation("ours", {"a": {"mad": 5.0}}, {"a": 3}, 320, 7)
    path = tmp_path / "figures.json"
    path.write_bytes(module.to_json([row], "cleancut distill eval ours"))
    assert read_evaluations(path) == ((row,), "cleancut distill eval ours")
    path.write_text(json.dumps({"models": [{"label": "x"}]}))
    with pytest.raises(BadOption):
        read_evaluations(path)
    with pytest.raises(InputNotFound):
        read_evaluations(tmp_path / "none.json")


def test_what_is_no_pair_is_told_and_a_bad_one_is_named(tmp_path: Path) -> None:
    folder, told = write_pairs(tmp_path), []
    (folder / "boxes" / "alpha" / "1.png").unlink()
    assert len(choose_pairs(folder, skipped=told.append)) == 2
    assert told == ["boxes/image/1.png: no alpha"]
    (folder / "boxes" / "image" / "2.png").write_bytes(b"no picture")
    with pytest.raises(UnreadableImage, match="boxes/2: "):
        evaluate(lambda rgb: rgb[..., 0] / np.float32(255), folder)
