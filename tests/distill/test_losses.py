from __future__ import annotations

import pytest
import torch

from cleancut.distill.config import LossWeights
from cleancut.distill.losses import (
    bce,
    feature,
    gradient,
    l1,
    laplacian,
    matte_losses,
    structure,
)


def _mattes(n: int = 2, size: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    target = torch.rand(n, 1, size, size, generator=generator)
    return target, torch.ones_like(target)


@pytest.mark.parametrize("loss", [l1, laplacian, gradient])
def test_the_truth_costs_nothing_and_anything_else_does(loss) -> None:
    target, trust = _mattes()
    assert float(loss(target, target, trust)) == 0
    assert float(loss(1 - target, target, trust)) > 0.01


@pytest.mark.parametrize("loss", [bce, structure])
def test_logits_of_the_truth_cost_least(loss) -> None:
    target, trust = _mattes()
    best = torch.logit(target.clamp(1e-4, 1 - 1e-4))
    assert loss(best, target, trust) < loss(best + 1, target, trust)
    assert loss(best, target, trust) < loss(-best, target, trust)


def test_pixels_that_are_not_trusted_cost_nothing() -> None:
    target, trust = _mattes()
    trust[..., :16] = 0
    wrong = target.clone()
    wrong[..., :16] = 1 - wrong[..., :16]
    assert float(l1(wrong, target, trust)) == 0
    assert float(gradient(wrong[..., 2:], target[..., 2:], trust[..., 2:])) < 0.05


def test_an_error_of_a_constant_costs_its_size() -> None:
    target, trust = torch.zeros(1, 1, 32, 32), torch.ones(1, 1, 32, 32)
    assert float(l1(target + 0.25, target, trust)) == pytest.approx(0.25, rel=1e-5)
    assert float(gradient(target + 0.25, target, trust)) == 0
    # Only the coarsest level, which weighs 16 times the finest, sees a constant.
    assert float(laplacian(target + 0.25, target, trust)) == pytest.approx(4.0, rel=1e-4)


def test_features_are_compared_at_their_own_power() -> None:
    few, many = torch.full((1, 2, 4, 4), 2.0), torch.full((1, 8, 2, 2), 200.0)
    assert float(feature([few, many], [few, many])) == 0
    assert float(feature([few * 0, many * 0], [few, many])) == pytest.approx(1.0, rel=1e-4)


def test_only_losses_with_a_weight_are_computed_and_multiplied() -> None:
    target, trust = _mattes()
    logits = torch.zeros_like(target)
    parts = matte_losses(logits, target, trust, LossWeights(l1=2.0, bce=0, laplacian=0))
    assert list(parts) == ["l1"]
    assert float(parts["l1"]) == pytest.approx(2 * float((target - 0.5).abs().mean()), rel=1e-4)
