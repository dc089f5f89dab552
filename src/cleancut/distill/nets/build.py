"""The student that a configuration asks for, with the weights that it starts from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from cleancut.catalog import find
from cleancut.distill.nets.nano import Nano
from cleancut.distill.nets.start import start_encoder_from_modnet, start_from_modnet
from cleancut.errors import BadOption
from cleancut.weights.resolve import resolve

if TYPE_CHECKING:
    from cleancut.distill.config import TrainConfig


def build(config: TrainConfig) -> nn.Module:
    """The student without its starting weights: (N, 3, S, S) in -1..1 to logits (N, 1, S, S)."""
    torch.manual_seed(config.seed)
    if config.kind == "nano":
        return Nano()
    if config.kind == "portrait":
        from cleancut.distill.nets.deeplab import DeepLabV3Plus

        return DeepLabV3Plus()
    from cleancut.distill.nets.imported import imported

    return imported(Path(config.start), config.size)


def started(config: TrainConfig) -> nn.Module:
    """The student with its starting weights.

    Raises ``WeightsMissing`` if they are not on this machine, ``WeightsCorrupt`` if they are not
    what they should be.
    """
    net = build(config)
    if not config.start or config.kind == "onnx":
        return net
    if config.start.endswith(".pt"):
        kept = torch.load(config.start, map_location="cpu", weights_only=True)
        net.load_state_dict(kept["ema"])
        return net
    if config.start != "modnet":
        raise BadOption(
            f"start = {config.start!r}: a {config.kind} begins from modnet or a checkpoint",
            hint='write start = "modnet", or the path of a checkpoint.pt',
        )
    path = resolve(find("modnet")).path
    if isinstance(net, Nano):
        start_from_modnet(net, path)
    else:
        start_encoder_from_modnet(net.encoder, path)
    return net
