"""How good a student is on pictures with true mattes, beside another model.

What is scored is the network alone, its matte enlarged to the picture, as ``optimize`` does;
``cleancut bench accuracy`` scores the whole way with refinement.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from cleancut import metrics
from cleancut.distill.student import Predict, is_run, load_student, predictor
from cleancut.engine import Engine
from cleancut.errors import BadOption
from cleancut.imaging.pairs import Pair, find_pairs, read_named
from cleancut.imaging.resize import upsample_alpha
from cleancut.options import Options

#: By set: means by metric. IoU only where the truths of the set are yes-or-no.
Scores = dict[str, dict[str, float]]
#: Told before each picture: how many are done, how many there are, its name.
Progress = Callable[[int, int, str], None]

#: Metric, its title, digits, whether more is better, whether it is compared for yes-or-no truths.
METRICS = (
    ("mad", "MAD", 2, False, True),
    ("mse", "MSE", 2, False, True),
    ("grad", "Grad", 4, False, False),
    ("iou", "IoU", 4, True, True),
)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one model scored; ``pictures`` are by set, ``size`` the side of its input or 0."""

    label: str
    scores: Scores
    pictures: dict[str, int] = field(default_factory=dict)
    size: int = 0
    step: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


def evaluate(
    predict: Predict,
    folder: Path,
    *,
    only: Sequence[str] = (),
    limit: int | None = None,
    progress: Progress | None = None,
) -> Scores:
    """Mean MAD, MSE and Grad (and IoU for yes-or-no truths) of ``predict`` by set of ``folder``.

    ``predict`` answers (H, W, 3) uint8 with a matte of any size. ``only`` names sets, ``limit`` is
    the pictures of each, spread evenly. Raises ``InputNotFound`` where there is no pair, and what
    reading a pair raises.
    """
    return score(predict, choose_pairs(folder, only=only, limit=limit), progress=progress)


def choose_pairs(
    folder: Path,
    *,
    only: Sequence[str] = (),
    limit: int | None = None,
    skipped: Callable[[str], None] = lambda _: None,
) -> tuple[Pair, ...]:
    """The pairs of ``folder``; with ``limit`` so many of each set, spread evenly over it.

    ``skipped`` is told of each thing there that is no pair.
    """
    found = find_pairs(folder, only=only)
    for line in found.skipped:
        skipped(line)
    if limit is None:
        return found.pairs
    if limit < 1:
        raise BadOption(f"--limit: {limit} pictures score nothing", hint="give 1 or more")
    chosen: list[Pair] = []
    for name in found.sets:
        mine = [pair for pair in found.pairs if pair.set == name]
        count = min(limit, len(mine))
        chosen += [mine[at * len(mine) // count] for at in range(count)]
    return tuple(chosen)


def score(predict: Predict, pairs: Sequence[Pair], *, progress: Progress | None = None) -> Scores:
    """As ``evaluate``, of these pairs."""
    rows: dict[str, list[dict[str, float]]] = {}
    binary: dict[str, bool] = {}
    for at, pair in enumerate(pairs):
        if progress:
            progress(at, len(pairs), pair.name)
        picture, truth = read_named(pair)
        alpha = upsample_alpha(predict(picture.rgb), *truth.shape)
        binary[pair.set] = binary.get(pair.set, True) and metrics.is_binary(truth)
        rows.setdefault(pair.set, []).append(
            {
                "mad": metrics.mad(alpha, truth),
                "mse": metrics.mse(alpha, truth),
                "grad": metrics.grad(alpha, truth),
                "iou": metrics.iou(alpha, truth),
            }
        )
    if progress:
        progress(len(pairs), len(pairs), "")
    return {
        name: {
            key: fmean(row[key] for row in found)
            for key in found[0]
            if key != "iou" or binary[name]
        }
        for name, found in rows.items()
    }


def evaluate_model(
    what: str,
    pairs: Sequence[Pair],
    *,
    size: int | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Score a run's folder or checkpoint, an ONNX file, or a model of the catalog.

    A run answers through torch with its averaged weights, at ``size`` or its configuration's; the
    others through the engine with their recipes, whose size ``size`` replaces. Raises
    ``InputNotFound``, ``UnknownModel``, ``WeightsMissing`` and what reading pairs raises.
    """
    step: int | None = None
    if is_run(Path(what)):
        student = load_student(Path(what))
        size, step = size or student.config.size, student.step
        predict, label = predictor(student.net, size), student.config.name
    else:
        predict, label, size = network(what, size)
    return Evaluation(label, score(predict, pairs, progress=progress), _counts(pairs), size, step)


def network(what: str, size: int | None = None) -> tuple[Predict, str, int]:
    """An ONNX file or a row of the catalog through the engine; its label and its input's size."""
    options, is_file = Options(model=what), what.lower().endswith(".onnx")
    if size is not None:
        if not is_file:
            raise BadOption(
                f"--size: {what} has the size of its row in the catalog",
                hint="give the path of an .onnx file, or a run",
            )
        options = options.with_(recipe=f"size={size}")  # the rest stands beside the file
    model, _ = Engine(options).model_for(options)
    label = Path(what).stem if is_file else what
    return (lambda rgb: model.predict(rgb).alpha), label, model.spec.recipe.size[0]


def _counts(pairs: Sequence[Pair]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for pair in pairs:
        counts[pair.set] = counts.get(pair.set, 0) + 1
    return counts


def ratio(key: str, ours: float, other: float) -> str:
    """How ``ours`` stands to ``other``: a quotient, or for IoU a difference."""
    if key == "iou":
        return f"{ours - other:+.3f}"
    return f"{ours / other:.2f}" if other else "-"


def to_markdown(rows: Sequence[Evaluation]) -> str:
    """A table: a line for each set and metric, a column for each model, the first beside each.

    The columns after the second are the first model's quotient to the others' (for IoU the
    difference).
    """
    first, *others = rows
    head = ["set", "pictures", "metric", first.label]
    head += [text for row in others for text in (row.label, f"{first.label} / {row.label}")]
    lines = [head]
    for name, figures in first.scores.items():
        for key, title, digits, _, for_binary in METRICS:
            if key not in figures or ("iou" in figures and not for_binary):
                continue
            cells = [name, str(first.pictures.get(name, 0)), title, f"{figures[key]:.{digits}f}"]
            for row in others:
                other = row.scores[name][key]
                cells += [f"{other:.{digits}f}", ratio(key, figures[key], other)]
            lines.append(cells)
    return table(lines)


def table(lines: Sequence[Sequence[str]]) -> str:
    """Markdown with columns of equal width; the first line is the head."""
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    padded = ([cell.ljust(n) for cell, n in zip(line, widths, strict=True)] for line in lines)
    texts = [f"| {' | '.join(line)} |" for line in padded]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([texts[0], rule, *texts[1:]])


def to_json(rows: Sequence[Evaluation], command: str = "") -> bytes:
    """The evaluations as JSON; ``command`` is what was typed, without local paths."""
    told: Mapping[str, Any] = {"command": command, "models": [row.to_dict() for row in rows]}
    return json.dumps(told, indent=1).encode() + b"\n"
