from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import nn

from cleancut.distill.config import Data, Shares
from cleancut.distill.data import Pictures
from cleancut.distill.log import read_log
from cleancut.distill.train import MOST_FAILING, rate_at, train
from cleancut.errors import BadOption, OutOfMemory
from tests.distill.small import Small, config_with, labels_in, pictures_for, small_net


class Killed(Exception):
    """What ends a process without a word."""


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("cleancut.distill.train.started", small_net)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _kept(run: Path) -> Mapping[str, torch.Tensor]:
    kept = torch.load(run / "checkpoint.pt", weights_only=True)
    assert kept["step"] == 6
    return {f"{part} {name}": kept[part][name] for part in ("model", "ema") for name in kept[part]}


def _same(one: Path, other: Path) -> bool:
    first, second = _kept(one), _kept(other)
    return all(torch.equal(first[name], second[name]) for name in first)


def _kill_at(step: int):
    def on_step(shown) -> None:
        if shown.step == step:
            raise Killed

    return on_step


@pytest.mark.parametrize("at", [1, 2, 5])
def test_a_killed_run_ends_as_an_undisturbed_one_to_the_last_bit(tmp_path: Path, at: int) -> None:
    config = config_with()
    pictures = pictures_for(config, tmp_path)
    train(config, pictures, tmp_path / "whole", device="cpu")
    with pytest.raises(Killed):
        train(config, pictures, tmp_path / "killed", device="cpu", on_step=_kill_at(at))
    train(config, pictures, tmp_path / "killed", device="cpu")
    assert _same(tmp_path / "whole", tmp_path / "killed")
    logs = [read_log(tmp_path / run / "log.jsonl") for run in ("whole", "killed")]
    facts = [[(line["step"], line["loss"], line["rate"]) for line in log] for log in logs]
    assert facts[0] == facts[1]


def test_a_stopped_run_loses_no_step_and_goes_on(tmp_path: Path) -> None:
    config = config_with(save_every=100)
    pictures = pictures_for(config, tmp_path)
    train(config, pictures, tmp_path / "whole", device="cpu")
    seen: list[int] = []
    train(
        config,
        pictures,
        tmp_path / "run",
        device="cpu",
        on_step=lambda step: seen.append(step.step),
        cancelled=lambda: len(seen) == 3,
    )
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["step"] == 3
    train(config, pictures, tmp_path / "run", device="cpu", until=5)
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["step"] == 5
    train(config, pictures, tmp_path / "run", device="cpu")
    assert _same(tmp_path / "whole", tmp_path / "run")


def test_learning_lowers_the_loss(tmp_path: Path) -> None:
    config = config_with(steps=30, save_every=30)
    train(config, pictures_for(config, tmp_path), tmp_path / "run", device="cpu")
    losses = [line["loss"] for line in read_log(tmp_path / "run" / "log.jsonl")]
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])


def test_the_best_evaluation_is_kept_beside_the_last_step(tmp_path: Path) -> None:
    config = config_with()
    mads = iter([10.0, 4.0, 8.0])
    asked: list[nn.Module] = []

    def evaluate(net: nn.Module) -> dict[str, dict[str, float]]:
        asked.append(net)
        return {"discs": {"mad": next(mads)}}

    run = tmp_path / "run"
    train(config, pictures_for(config, tmp_path), run, device="cpu", evaluate=evaluate)
    evaluated = [line["step"] for line in read_log(run / "log.jsonl") if "eval" in line]
    assert evaluated == [0, 3, 6]
    best = torch.load(run / "best.pt", weights_only=True)
    last = torch.load(run / "checkpoint.pt", weights_only=True)
    assert (best["step"], set(best)) == (3, {"step", "ema"})
    assert not torch.equal(best["ema"]["layers.0.weight"], last["ema"]["layers.0.weight"])


def test_an_evaluation_that_a_kill_has_cost_is_made_up_for(tmp_path: Path) -> None:
    config = config_with(save_every=3)
    pictures, run = pictures_for(config, tmp_path), tmp_path / "run"

    def killed(net: nn.Module) -> dict[str, dict[str, float]]:
        if (run / "checkpoint.pt").exists():
            raise Killed
        return {"discs": {"mad": 2.0}}

    with pytest.raises(Killed):
        train(config, pictures, run, device="cpu", evaluate=killed)
    train(config, pictures, run, device="cpu", evaluate=lambda net: {"discs": {"mad": 1.0}})
    evaluated = [line["step"] for line in read_log(run / "log.jsonl") if "eval" in line]
    assert evaluated == [0, 3, 6]


class Poisoned(Small):
    """Answers NaN at the forward passes ``at``."""

    def __init__(self, at: set[int]) -> None:
        super().__init__()
        self.at, self.asked = at, 0

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.asked += 1
        answer = super().forward(image)
        return answer * math.nan if self.asked in self.at else answer


def test_a_step_without_a_finite_loss_changes_nothing_and_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cleancut.distill.train.started", lambda *_: Poisoned({2, 3}))
    config = config_with(save_every=1)
    run, seen = tmp_path / "run", []

    def on_step(step) -> None:
        seen.append((step.skipped, _weights(run) if step.step > 1 else None))

    train(config, pictures_for(config, tmp_path), run, device="cpu", on_step=on_step)
    assert [skipped for skipped, _ in seen] == [False, True, True, False, False, False]
    # Each sees the checkpoint of the step before it.
    assert torch.equal(seen[1][1], seen[2][1])
    assert torch.equal(seen[2][1], seen[3][1])
    assert not torch.equal(seen[3][1], seen[4][1])
    kept = torch.load(run / "checkpoint.pt", weights_only=True)
    assert (kept["skipped"], kept["failing"]) == (2, 0)
    assert all(values.isfinite().all() for values in kept["ema"].values())


def _weights(run: Path) -> torch.Tensor:
    weights: torch.Tensor = torch.load(run / "checkpoint.pt", weights_only=True)["model"][
        "layers.0.weight"
    ]
    return weights


def test_ten_steps_in_a_row_without_a_finite_loss_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cleancut.distill.train.started", lambda *_: Poisoned(set(range(3, 99))))
    config = config_with(steps=40)
    seen: list[int] = []
    with pytest.raises(BadOption, match="not been finite for 10 steps") as caught:
        train(
            config,
            pictures_for(config, tmp_path),
            tmp_path / "run",
            device="cpu",
            on_step=lambda step: seen.append(step.step),
        )
    assert "rate = 0.003" in caught.value.hint
    assert seen[-1] == 2 + MOST_FAILING


def test_a_folder_with_another_run_is_refused(tmp_path: Path) -> None:
    config = config_with(steps=1)
    pictures = pictures_for(config, tmp_path)
    train(config, pictures, tmp_path / "run", device="cpu")
    with pytest.raises(BadOption, match="another configuration"):
        train(config_with(steps=2), pictures, tmp_path / "run", device="cpu")


def test_memory_that_runs_out_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out(self: nn.Module, image: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate ...")

    monkeypatch.setattr(Small, "forward", out)
    config = config_with()
    with pytest.raises(OutOfMemory) as caught:
        train(config, pictures_for(config, tmp_path), tmp_path / "run", device="cpu")
    assert "batch" in caught.value.hint


def test_half_floats_are_trained_with_a_scaler_that_is_kept(tmp_path: Path) -> None:
    config = config_with(precision="bf16", steps=2)
    train(config, pictures_for(config, tmp_path), tmp_path / "run", device="cpu")
    kept = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert kept["scaler"] == {}
    assert kept["model"]["layers.0.weight"].dtype == torch.float32


def test_the_rate_rises_and_falls() -> None:
    config = config_with(steps=100, warmup=10, rate=1.0, final_rate=0.1)
    rates = [rate_at(step, config) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[10] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.1, abs=0.01)


def test_a_loss_of_features_needs_an_encoder(tmp_path: Path) -> None:
    from cleancut.distill.config import LossWeights

    config = config_with(losses=LossWeights(feature=1.0))
    with pytest.raises(BadOption, match=r"losses\.feature"):
        train(config, pictures_for(config, tmp_path), tmp_path / "run", device="cpu")


def test_what_is_no_picture_is_told_before_the_first_step(tmp_path: Path) -> None:
    scene = tmp_path / "scene.jpg"
    scene.write_bytes(b"a page of an error, say")
    with pytest.raises(BadOption, match=r"scene\.jpg: cannot be read") as caught:
        Pictures(config_with(), labels_in(tmp_path), (scene,))
    assert "backgrounds" in caught.value.hint


def test_a_share_without_pictures_says_what_is_missing(tmp_path: Path) -> None:
    config = config_with(data=Data(shares=Shares(portrait=0.2, empty=0.0)))
    with pytest.raises(BadOption, match=r"shares\.portrait: .* shows a person") as caught:
        Pictures(config, labels_in(tmp_path), ())
    assert "configuration of your own" in caught.value.hint
