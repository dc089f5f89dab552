"""Fine-tuning: a network of the catalog, or any ONNX file, goes on learning from a user's pairs.

A tenth of the pairs is held back; what the network made of them before and after is the answer.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from cleancut.catalog import Recipe, find
from cleancut.distill.checkpoint import CONFIG, LOG
from cleancut.distill.config import Data, LossWeights, Shares, TrainConfig, check_config
from cleancut.errors import BadOption, InputNotFound
from cleancut.imaging.files import not_writable, write_atomic
from cleancut.imaging.pairs import Pair, find_pairs

if TYPE_CHECKING:
    from torch import nn

    from cleancut.distill.evaluate import Scores
    from cleancut.distill.labels import Labels
    from cleancut.distill.log import Step

#: The network that a run begins from, and the copies of its pairs, in the run's folder.
START, LABELS = "start.onnx", "labels"
#: Suffixes of what ``--backgrounds`` may hold.
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
_MOST_WARMUP, _EVALUATIONS = 50, 5
#: A subject that fills less of all pictures than this is not put on other backgrounds.
_SMALLEST_SUBJECT = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneOrder:
    """What is to be tuned, with which pairs, where.

    ``model`` is an id of the catalog or the path of an .onnx file, ``pairs`` a folder of pictures
    with true mattes, ``held_back`` another one to judge by, in place of a tenth of the first.
    ``backgrounds`` is a folder of pictures without a subject. ``size`` is the side of the square
    that the network sees, its own if None.
    """

    model: str
    pairs: Path
    run: Path
    held_back: Path | None = None
    backgrounds: Path | None = None
    steps: int = 500
    rate: float = 1e-4
    batch: int = 4
    size: int | None = None
    seed: int = 8


@dataclass(frozen=True, slots=True)
class Tuned:
    """What came of it: scores by set of the pairs that were held back.

    ``before`` are those of the model as it is used, ``after`` those of the student's best
    evaluation, which ``step`` says; 0 is the student before any step. ``done`` is False where the
    sitting ended early.
    """

    before: Scores
    after: Scores
    learnt: int
    held: int
    step: int
    done: bool

    @property
    def worse(self) -> bool:
        """Whether the student's mattes are further from the truth than the model's."""
        return _mad(self.after) > _mad(self.before)


def tune(
    order: TuneOrder,
    *,
    device: str = "auto",
    progress: Callable[[int, int, str], None] = lambda *_: None,
    on_step: Callable[[Step], None] = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
    skipped: Callable[[str], None] = lambda _: None,
) -> Tuned:
    """Tune a model on pairs, or go on with it; the run's folder is one that ``export`` takes.

    ``skipped`` is told of each picture without a matte, and the like.

    Raises ``BadOption`` for a model that cannot be trained here, too few pairs, or a folder that
    holds another run; ``UnknownModel``, ``WeightsMissing``, ``InputNotFound``, and what reading
    pictures and ``train`` raise.
    """
    from cleancut.distill.data import Pictures
    from cleancut.distill.evaluate import network, score
    from cleancut.distill.log import best_step, read_log
    from cleancut.distill.nets.imported import imported
    from cleancut.distill.pairs import labels_of, split
    from cleancut.distill.student import predictor
    from cleancut.distill.train import train

    found = find_pairs(order.pairs)
    for line in found.skipped:
        skipped(line)
    pairs: Sequence[Pair] = found.pairs
    if order.held_back is None:
        pairs, held = split(pairs)
    else:
        held = find_pairs(order.held_back).pairs
    backgrounds = find_pictures(order.backgrounds) if order.backgrounds else ()
    start = keep_start(order.model, order.run)
    labels = labels_of(pairs, order.run / LABELS, progress=progress)
    config = config_of(order, start, labels, backgrounds)
    imported(start, config.size)  # what cannot be trained is told before anything is written

    def evaluate(net: nn.Module) -> Scores:
        return score(predictor(net, config.size), held)

    before = score(network(str(start))[0], held, progress=progress)
    train(
        config,
        Pictures(config, labels, backgrounds),
        order.run,
        device=device,
        evaluate=evaluate,
        on_step=on_step,
        cancelled=cancelled,
    )
    _keep_origin(order, config, len(pairs), backgrounds)
    log = read_log(order.run / LOG)
    evaluated = {facts["step"]: facts["eval"] for facts in log if "eval" in facts}
    best = best_step(evaluated) or 0
    done = any(facts["step"] >= config.steps for facts in log)
    return Tuned(before, evaluated.get(best, before), len(pairs), len(held), best, done)


def find_pictures(folder: Path) -> tuple[Path, ...]:
    """The pictures in ``folder`` and below, by name. Raises ``InputNotFound`` for none."""
    found = sorted(
        path
        for path in (folder.rglob("*") if folder.is_dir() else ())
        if path.suffix.lower() in PICTURES and path.name[0] != "." and path.is_file()
    )
    if not found:
        raise InputNotFound(f"{folder} holds no pictures", hint=f"with {', '.join(PICTURES)}")
    return tuple(found)


def keep_start(model: str, run: Path) -> Path:
    """The network of ``model`` copied into the folder ``run``, its recipe beside it.

    A run that has begun keeps its own. Raises ``UnknownModel``, ``WeightsMissing``, ``BadOption``
    for the folder of another run, ``OutputNotWritable``.
    """
    from cleancut.weights.digest import sha256_of
    from cleancut.weights.resolve import resolve

    spec = find(model)
    source, target = resolve(spec).path, run / START
    if (run / CONFIG).is_file():
        if not target.is_file():
            raise BadOption(f"{run}: holds a run that is no tuning", hint="give another -o")
        if sha256_of(target) != sha256_of(source):
            raise BadOption(f"{run}: has begun from another network", hint="give another -o")
        return target
    try:
        run.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part")
        shutil.copyfile(source, part)
        part.replace(target)
    except OSError as error:
        raise not_writable(target, error) from error
    write_atomic(target.with_suffix(".toml"), _recipe_text(spec.recipe).encode())
    return target


def config_of(
    order: TuneOrder, start: Path, labels: Labels, backgrounds: Sequence[Path]
) -> TrainConfig:
    """The run that ``order`` asks for; raises ``BadOption`` for what cannot be."""
    from cleancut.distill.nets.imported import own_size

    movable = any(row.coverage >= _SMALLEST_SUBJECT for row in labels.rows)
    shares = Shares(
        photo=0.6,
        composite=0.35 if movable else 0.0,
        portrait=0.0,
        drawn=0.0,
        empty=0.05 if backgrounds else 0.0,
    )
    often = max(1, -(-order.steps // _EVALUATIONS))
    config = TrainConfig(
        name=f"{Path(order.model).stem}-tuned",
        kind="onnx",
        start=START,
        size=order.size or own_size(start),
        batch=order.batch,
        steps=order.steps,
        rate=order.rate,
        warmup=min(_MOST_WARMUP, order.steps // 10),
        # The mean of about the last tenth of the steps: a longer one would be of the start.
        ema=round(min(0.998, max(0.0, 1 - 10 / order.steps)), 4) if order.steps > 0 else 0.0,
        seed=order.seed,
        save_every=min(50, often),
        eval_every=often,
        data=Data(shares=shares, crop=0.6, degrade=0.3),
        losses=LossWeights(l1=1.0, bce=0.5, laplacian=1.0, gradient=0.5),
    )
    check_config(config, "tune")
    return config


def _keep_origin(
    order: TuneOrder, config: TrainConfig, learnt: int, backgrounds: Sequence[Path]
) -> None:
    """Say in the run's folder what the student was made of, for export and card."""
    from cleancut.distill.origin import Origin, Pictures, Teacher
    from cleancut.distill.pairs import PREFIX

    spec = find(order.model)
    name = spec.id if spec.path is None else spec.path.name
    start = Teacher(
        name, "start", 0, spec.weight_licence, spec.training_data or "not known", spec.commercial
    )
    own = Pictures(PREFIX, learnt, learnt, content="pictures of the user with true mattes")
    scenes = Pictures("", len(backgrounds), len(backgrounds), content="backgrounds of the user")
    Origin(
        licence=spec.weight_licence,
        photographs=(own,),
        backgrounds=(scenes,) if backgrounds else (),
        teachers=(start,),
        drawn=config.data.shares.drawn > 0,
    ).write(order.run)


def _recipe_text(recipe: Recipe) -> str:
    """The recipe as the TOML that stands beside an ONNX file."""
    plain = Recipe()
    lines = []
    for name in Recipe.__dataclass_fields__:
        value = getattr(recipe, name)
        if value != getattr(plain, name) or name == "size":
            told = list(value) if isinstance(value, tuple) else value
            lines.append(f"{name} = {json.dumps(told)}\n")
    return "".join(lines)


def _mad(scores: Scores) -> float:
    return fmean(figures["mad"] for figures in scores.values())
