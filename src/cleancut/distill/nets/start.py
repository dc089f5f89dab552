"""What a student begins from: weights of a published network, laid into ours."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from cleancut.distill.nets.nano import Nano
from cleancut.errors import WeightsCorrupt

if TYPE_CHECKING:
    from cleancut.distill.nets.blocks import MobileNetV2

#: Added to variances by the networks' batch normalisation.
_EPSILON = 1e-5


def start_from_modnet(net: Nano, onnx: Path) -> None:
    """Lay the weights of MODNet's ONNX file into ``net``; its heaviest layer is split by an SVD.

    With ``rank`` 1280 the mattes are MODNet's own (to 1e-4 in the mean). Raises ``WeightsCorrupt``
    for a file that is another network.
    """
    try:
        _lay(net, _initialisers(onnx))
    except (KeyError, ValueError, RuntimeError, IndexError) as error:
        raise WeightsCorrupt(
            f"{onnx}: these are not the weights of MODNet ({error})",
            hint="run: cleancut models pull modnet",
        ) from error


def start_encoder_from_modnet(encoder: MobileNetV2, onnx: Path) -> None:
    """Lay the weights of MODNet's encoder into ``encoder``; a ``last`` layer of other size stays,
    and there may be none.

    Raises ``WeightsCorrupt`` as ``start_from_modnet`` does.
    """
    try:
        with torch.no_grad():
            _lay_encoder(encoder, _initialisers(onnx))
    except (KeyError, ValueError, RuntimeError, IndexError) as error:
        raise WeightsCorrupt(
            f"{onnx}: these are not the weights of MODNet ({error})",
            hint="run: cleancut models pull modnet",
        ) from error


def _initialisers(path: Path) -> dict[str, Tensor]:
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(path)).graph
    return {
        one.name: torch.from_numpy(np.array(numpy_helper.to_array(one)))
        for one in graph.initializer
    }


@torch.no_grad()
def _lay(net: Nano, weights: dict[str, Tensor]) -> None:
    _lay_encoder(net.encoder, weights)
    squeeze, excite = (weights[key] for key in _unnamed(weights, axes=2))
    net.semantics.attend.squeeze.weight.copy_(squeeze.T)
    net.semantics.attend.excite.weight.copy_(excite.T)
    _split(net, *_folded(weights, "lr_branch.conv_lr16x"))
    low, high, fusion = net.semantics, net.detail, net.fusion
    _copy(low.at_8, weights, "lr_branch.conv_lr8x")
    _copy(high.from_2, weights, "hr_branch.tohr_enc2x")
    _copy(high.from_4, weights, "hr_branch.tohr_enc4x")
    _copy(high.down, weights, "hr_branch.conv_enc2x")
    _copy(high.join, weights, "hr_branch.conv_enc4x")
    for number, layer in enumerate(high.at_4):
        _copy(layer, weights, f"hr_branch.conv_hr4x.{number}")
    for number, layer in enumerate(high.at_2):
        _copy(layer, weights, f"hr_branch.conv_hr2x.{number}")
    _copy(fusion.at_4, weights, "f_branch.conv_lr4x")
    _copy(fusion.at_2, weights, "f_branch.conv_f2x")
    _copy(fusion.at_1, weights, "f_branch.conv_f.0")
    last = "f_branch.conv_f.1.layers.0"
    _put(fusion.out, weights[f"{last}.weight"], weights[f"{last}.bias"])


def _lay_encoder(encoder: MobileNetV2, weights: dict[str, Tensor]) -> None:
    """Its convolutions have lost their names to the folding, not their order."""
    convs = [layer for layer in encoder.modules() if isinstance(layer, nn.Conv2d)]
    keys = _unnamed(weights, axes=4)
    if isinstance(encoder.last, nn.Identity):
        keys.pop()
    for conv, key in zip(convs, keys, strict=True):
        if conv is convs[-1] and conv.weight.shape != weights[key].shape:
            continue
        _put(conv, weights[key], weights[str(int(key) + 1)])


def _unnamed(weights: dict[str, Tensor], axes: int) -> list[str]:
    keys = sorted((key for key in weights if re.fullmatch(r"\d+", key)), key=int)
    return [key for key in keys if weights[key].ndim == axes]


def _folded(weights: dict[str, Tensor], name: str) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution with the batch normalisation of its first half in them."""
    weight = weights[f"{name}.layers.0.weight"].clone()
    bias = weights[f"{name}.layers.0.bias"].clone()
    norm = {
        part: weights[f"{name}.layers.1.bnorm.{part}"]
        for part in ("weight", "bias", "running_mean", "running_var")
    }
    scale = norm["weight"] / torch.sqrt(norm["running_var"] + _EPSILON)
    half = len(scale)
    weight[:half] *= scale[:, None, None, None]
    bias[:half] = bias[:half] * scale + norm["bias"] - norm["running_mean"] * scale
    return weight, bias


def _copy(layer: nn.Module, weights: dict[str, Tensor], name: str) -> None:
    """Into the convolution of a ``ConvNorm``."""
    _put(layer.get_submodule("0"), *_folded(weights, name))


def _put(conv: nn.Module, weight: Tensor, bias: Tensor) -> None:
    conv.load_state_dict({"weight": weight, "bias": bias})


def _split(net: Nano, weight: Tensor, bias: Tensor) -> None:
    """The nearest product of a 1x1 and a 5x5 convolution to ``weight`` (96, 1280, 5, 5)."""
    outside, inside, height, width = weight.shape
    rank = net.semantics.reduce.out_channels
    left, power, right = torch.linalg.svd(
        weight.permute(1, 0, 2, 3).reshape(inside, -1), full_matrices=False
    )
    root = power[:rank].sqrt()
    net.semantics.reduce.weight.copy_((left[:, :rank] * root).T[:, :, None, None])
    core = (right[:rank] * root[:, None]).reshape(rank, outside, height, width)
    _put(net.semantics.at_16.get_submodule("0"), core.permute(1, 0, 2, 3), bias)
