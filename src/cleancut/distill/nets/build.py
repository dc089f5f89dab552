"""The student that a configuration asks for, with the weights that it starts from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from cleancut.catalog import find
from cleancut.distill.checkpoint import load_weights, reason
from cleancut.distill.nets.nano import Nano
from cleancut.distill.nets.start import start_encoder_from_modnet, start_from_modnet
from cleancut.errors import BadOption, WeightsCorrupt, WeightsMissing
from cleancut.weights.resolve import resolve

if TYPE_CHECKING:
    from cleancut.distill.config import TrainConfig


def build(config: TrainConfig, run: Path | None = None) -> nn.Module:
    """The student without its starting weights: (N, 3, S, S) in -1..1 to logits (N, 1, S, S).

    An imported network has those of its file, which is looked for in the folder ``run`` first.
    """
    torch.manual_seed(config.seed)
    if config.kind == "nano":
        return Nano()
    if config.kind == "portrait":
        from cleancut.distill.nets.deeplab import DeepLabV3Plus

        return DeepLabV3Plus()
    from cleancut.distill.nets.imported import imported

    kept = Path(config.start) if run is None else run / Path(config.start).name
    return imported(kept if kept.is_file() else Path(config.start), config.size)


def started(config: TrainConfig, run: Path | None = None) -> nn.Module:
    """The student with its starting weights.

    Raises ``WeightsMissing`` if they are not on this machine, ``WeightsCorrupt`` if they are not
    what they should be.
    """
    net = build(config, run)
    if not config.start or config.kind == "onnx":
        return net
    if config.start.endswith(".pt"):
        _lay_checkpoint(net, Path(config.start))
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
        encoder: Any = net.encoder
        start_encoder_from_modnet(encoder, path)
    return net


def blend_in(net: nn.Module, start: nn.Module, share: float) -> nn.Module:
    """``net`` with ``share`` (0..1) of its own weights and the rest from ``start``."""
    began = start.state_dict()
    mixed = {
        name: torch.lerp(began[name], one, share) if one.is_floating_point() else one
        for name, one in net.state_dict().items()
    }
    net.load_state_dict(mixed)
    return net


def _lay_checkpoint(net: nn.Module, path: Path) -> None:
    if not path.is_file():
        raise WeightsMissing(f"{path}: there is no such checkpoint", hint="check the path")
    try:
        net.load_state_dict(load_weights(path)["ema"])
    except Exception as error:  # whatever zip files, pickles and shapes can be
        raise WeightsCorrupt(
            f"{path}: not a checkpoint of such a student ({reason(error)})",
            hint="kind must be that of the run that it is from",
        ) from error
