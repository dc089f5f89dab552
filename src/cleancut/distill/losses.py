"""What a student's matte is charged for; pure functions, each the mean over a batch.

``alpha`` and ``target`` are mattes (N, 1, H, W) in 0..1, ``logits`` the same before the sigmoid.
``trust`` (N, 1, H, W) in 0..1 says how far a pixel's target is believed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cleancut.distill.config import LossWeights

#: Keeps quotients finite.
_TINY = 1e-6
#: Levels of the Laplacian pyramid, and the weight of one level over the next finer one.
_LEVELS, _GROWTH = 4, 2.0


def l1(alpha: Tensor, target: Tensor, trust: Tensor) -> Tensor:
    """Mean absolute difference."""
    return _mean((alpha - target).abs(), trust)


def bce(logits: Tensor, target: Tensor, trust: Tensor) -> Tensor:
    """Binary cross entropy with soft targets: steep where the student is sure and wrong."""
    loss = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return _mean(loss, trust)


def laplacian(alpha: Tensor, target: Tensor, trust: Tensor) -> Tensor:
    """L1 of the bands of a Laplacian pyramid, coarser ones weighing more.

    The loss of Hou and Liu (ICCV 2019), with box averages for the pyramid: errors of structure
    count once, not once a pixel.
    """
    difference, loss, weight = alpha - target, alpha.new_zeros(()), 1.0
    for _ in range(_LEVELS):
        small = functional.avg_pool2d(difference, 2)
        up = functional.interpolate(
            small, size=difference.shape[-2:], mode="bilinear", align_corners=False
        )
        loss = loss + weight * _mean((difference - up).abs(), trust)
        difference, trust, weight = small, functional.avg_pool2d(trust, 2), weight * _GROWTH
    return loss + weight * _mean(difference.abs(), trust)


def gradient(alpha: Tensor, target: Tensor, trust: Tensor) -> Tensor:
    """L1 between the Sobel gradients of both mattes."""
    kernel = alpha.new_tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 8
    kernels = torch.stack([kernel, kernel.T])[:, None]
    padded = functional.pad(alpha - target, (1, 1, 1, 1), mode="replicate")
    return _mean(functional.conv2d(padded, kernels).abs().sum(1, keepdim=True), trust)


def structure(logits: Tensor, target: Tensor, trust: Tensor) -> Tensor:
    """Cross entropy and IoU, both weighted towards edges (F3Net, Wei et al., AAAI 2020)."""
    near = functional.avg_pool2d(target, 31, stride=1, padding=15, count_include_pad=False)
    weight = trust * (1 + 5 * (near - target).abs())
    entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    alpha = torch.sigmoid(logits)
    both = (weight * torch.minimum(alpha, target)).sum((1, 2, 3))
    either = (weight * torch.maximum(alpha, target)).sum((1, 2, 3))
    return _mean(entropy, weight) + (1 - (both + 1) / (either + 1)).mean()


def feature(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
    """Squared distance of features (N, C, h, w), each scaled by the teacher's own power."""
    pairs = list(zip(student, teacher, strict=True))
    terms = [(s - t).square().mean() / (t.square().mean() + _TINY) for s, t in pairs]
    return torch.stack(terms).mean()


def matte_losses(
    logits: Tensor, target: Tensor, trust: Tensor, weights: LossWeights
) -> dict[str, Tensor]:
    """The losses that ``weights`` asks for, by name, each times its weight."""
    alpha = torch.sigmoid(logits)
    terms = {
        "l1": lambda: l1(alpha, target, trust),
        "bce": lambda: bce(logits, target, trust),
        "laplacian": lambda: laplacian(alpha, target, trust),
        "gradient": lambda: gradient(alpha, target, trust),
        "structure": lambda: structure(logits, target, trust),
    }
    wanted = {name: getattr(weights, name) for name in terms}
    return {name: weight * terms[name]() for name, weight in wanted.items() if weight}


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum() / (weight.sum() + _TINY)
