"""A student as a run's folder holds it: its configuration and its averaged weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from cleancut.catalog import Recipe
from cleancut.distill.checkpoint import BEST, CHECKPOINT, CONFIG, load_weights, reason
from cleancut.distill.config import TrainConfig, load_config
from cleancut.errors import InputNotFound, WeightsCorrupt
from cleancut.extras import extra
from cleancut.models.recipe import prepare

if TYPE_CHECKING:
    from torch import nn

    from cleancut.arrays import Alpha, Rgb

#: (H, W, 3) uint8 to a matte of any size, float32 in 0..1.
Predict: TypeAlias = "Callable[[Rgb], Alpha]"


@dataclass(frozen=True, slots=True, eq=False)
class Student:
    """A trained network, ready to answer. ``step`` is how many steps it has behind it."""

    config: TrainConfig
    net: nn.Module
    step: int
    file: Path


def load_student(run: Path) -> Student:
    """The student of a run's folder, or of one checkpoint in it, on the processor.

    In a folder the best checkpoint counts, where evaluations have chosen one, else the last.
    Raises ``InputNotFound`` where there is none, ``WeightsCorrupt`` for a file that is not of this
    run, ``BadOption`` for its configuration; where it is blended with its start, what ``started``
    raises.
    """
    with extra("train"):
        from cleancut.distill.nets.build import blend_in, build, started

    file = find_checkpoint(run)
    config = load_config(file.with_name(CONFIG))
    net = build(config, file.parent)
    try:
        kept = load_weights(file)
        net.load_state_dict(kept["ema"] if "ema" in kept else kept["model"])
        step = int(kept.get("step", 0))
    except Exception as error:  # whatever zip files, pickles and shapes can be
        raise WeightsCorrupt(
            f"{file}: not a checkpoint of this run ({reason(error)})",
            hint="give another one of the run, with the config.toml that it was trained with",
        ) from error
    if config.blend < 1:
        net = blend_in(net, started(config, file.parent), config.blend)
    return Student(config, net.eval(), step, file)


def find_checkpoint(run: Path) -> Path:
    """The checkpoint that ``run``, a folder or a file, means.

    Raises ``InputNotFound`` if there is none.
    """
    if run.suffix == ".pt" and run.is_file():
        return run
    for name in (BEST, CHECKPOINT):
        if (run / name).is_file():
            return run / name
    raise InputNotFound(
        f"{run}: there is no checkpoint in it", hint="run: cleancut distill train CONFIG"
    )


def is_run(path: Path) -> bool:
    """Whether ``path`` is a run's folder or a checkpoint, and not a model's name or ONNX file."""
    return path.is_dir() or path.suffix == ".pt"


def recipe_of(size: int) -> Recipe:
    """How a student of ours sees a picture: stretched to a square of ``size``, in -1..1."""
    return Recipe(size=(size, size), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), output="alpha")


def predictor(net: nn.Module, size: int) -> Predict:
    """``net`` as the engine will ask it: mattes of ``size`` x ``size``; its mode is kept."""
    import torch

    recipe = recipe_of(size)

    def predict(rgb: Rgb) -> Alpha:
        first = next(net.parameters())
        feed, _ = prepare(rgb, recipe)
        training = net.training
        net.eval()
        try:
            with torch.inference_mode():
                logits = net(torch.from_numpy(feed).to(first.device))
        finally:
            net.train(training)
        alpha: Alpha = torch.sigmoid(logits.float())[0, 0].cpu().numpy()
        return alpha

    return predict
