"""The model card: what a student is, was made of, can and cannot do, and how to make it again.

After Mitchell et al., "Model Cards for Model Reporting" (FAT* 2019). Everything in it is read from
the run's folder, the origin of its pictures and the figures of ``cleancut distill eval``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cleancut.distill.checkpoint import CONFIG, LOG
from cleancut.distill.config import TrainConfig, config_text, load_config
from cleancut.distill.evaluate import Evaluation, table, to_markdown
from cleancut.distill.log import read_log
from cleancut.distill.origin import Origin, Pictures, Teacher
from cleancut.errors import BadOption, InputNotFound

_USES = {
    "portrait": "People only, head to hips: portraits and ID photographs. Anything else is "
    "background to it.",
    "nano": "One or a few main subjects of any kind: people, animals, products, vehicles, "
    "graphics. Made to be small and quick: a first look, a preview, a default that needs no "
    "download.",
    "onnx": "What the network that it was begun from is for, on pictures like those it was tuned "
    "with.",
}
_LIMITS = (
    "It learned from another network's mattes, not from people's: it repeats the teacher's "
    "mistakes, and where the teacher's own training data has gaps, so has it.",
    "It sees {size} x {size} pixels of a picture. Hair and fur are drawn at that size and refined "
    "afterwards; wires, nets and lace are lost.",
    "Glass, smoke and veils come out opaque or not at all.",
    "Where several things could be the subject it takes a guess, or all of them.",
    "Nothing was done to measure whether it serves people of all looks, ages and clothes alike. "
    "Do not use it to decide anything about a person.",
)


def model_card(
    run: Path,
    *,
    origin: Origin | None = None,
    evaluations: Sequence[Evaluation] = (),
    command: str = "",
    machine: str = "",
    curves: str = "",
) -> str:
    """The card of the student in ``run`` as Markdown; no local path stands in it.

    ``evaluations`` are its own first, then others to compare with; ``command`` made them.
    ``machine`` says where it was trained, ``curves`` is the name of a picture beside the card.
    Raises ``InputNotFound`` without a configuration, ``BadOption``.
    """
    if not (run / CONFIG).is_file():
        raise InputNotFound(f"{run} is not the folder of a run", hint="give what train wrote into")
    config = load_config(run / CONFIG)
    origin = origin or Origin.of(run)
    parts = [
        f"# {config.name}",
        _summary(config, origin),
        f"## Intended use\n\n{_USES[config.kind]}",
        "## Limits\n\n" + "\n".join(f"- {line.format(size=config.size)}" for line in _LIMITS),
        _pictures(origin),
        _teachers(origin),
        _figures(evaluations, command),
        _training(run, config, machine, curves, scenes=bool(origin.backgrounds)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def read_evaluations(path: Path) -> tuple[tuple[Evaluation, ...], str]:
    """What ``distill eval --json`` wrote: the models' figures, and the command.

    Raises ``InputNotFound``, ``BadOption`` for another file.
    """
    try:
        told = json.loads(path.read_text("utf-8"))
        found = tuple(_evaluation(row) for row in told["models"])
        return found, str(told.get("command", ""))
    except FileNotFoundError as error:
        raise InputNotFound(
            f"{path}: there is no such file", hint="run: cleancut distill eval RUN --json FILE"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadOption(
            f"{path}: not figures of distill eval ({error!r:.80})",
            hint="run: cleancut distill eval RUN --json FILE",
        ) from error


def _evaluation(row: Mapping[str, Any]) -> Evaluation:
    scores = {
        str(name): {str(key): float(value) for key, value in figures.items()}
        for name, figures in row["scores"].items()
    }
    pictures = {str(name): int(count) for name, count in row["pictures"].items()}
    step = None if row.get("step") is None else int(row["step"])
    return Evaluation(str(row["label"]), scores, pictures, int(row.get("size", 0)), step)


def _summary(config: TrainConfig, origin: Origin) -> str:
    subject = "people" if config.kind == "portrait" else "the main subject"
    lines = [
        f"A small network that tells {subject} of a picture from its background, as a matte "
        f"(alpha), at {config.size} x {config.size} pixels.",
        "",
        f"- Weights: {origin.licence}. Code: Apache-2.0.",
        f"- Commercial use, by the terms of everything below read together: {origin.commercial}.",
        "- Input: one RGB picture stretched to a square, values -1..1; output: alpha 0..1.",
    ]
    return "\n".join(lines)


def _pictures(origin: Origin) -> str:
    parts = ["## Training pictures"]
    for title, pictures in (
        ("Photographs, with mattes of the teacher", origin.photographs),
        ("Backgrounds, without a main subject", origin.backgrounds),
    ):
        if pictures:
            parts.append(f"{title}:\n\n{_by_prefix(pictures)}")
    if origin.drawn:
        parts.append("Besides, logos and text drawn from fonts, with exact mattes.")
    if len(parts) == 1:
        parts.append("Not stated.")
    parts.append("No training picture is part of the package or of a release.")
    return "\n\n".join(parts)


def _by_prefix(pictures: Sequence[Pictures]) -> str:
    lines = [["prefix", "labelled", "used", "content", "source", "terms stated there"]]
    for one in pictures:
        terms = one.terms or "not stated"
        counts = [str(one.labelled), str(one.used)]
        lines.append([one.prefix or "(none)", *counts, one.content, one.source, terms])
    total = [str(sum(getattr(one, key) for one in pictures)) for key in ("labelled", "used")]
    lines.append(["all", *total, "", "", ""])
    return table([[cell.replace("|", "/") for cell in line] for line in lines])


def _teachers(origin: Origin) -> str:
    if not origin.teachers:
        return ""
    lines = [["model", "part", "photographs", "licence of its weights", "trained on", "commercial"]]
    for one in origin.teachers:
        part = "teacher" if one.role == "teacher" else "starting weights"
        count = str(one.pictures) if one.pictures else ""
        lines.append([one.id, part, count, one.licence, one.training_data, one.commercial])
    text = f"## Teachers\n\n{table(lines)}"
    if doubtful := [one for one in origin.teachers if one.commercial != "yes"]:
        text += f"\n\n{_doubts(doubtful)}"
    return text


def _doubts(teachers: Sequence[Teacher]) -> str:
    named = " and ".join(f"{one.id} ({one.training_data or 'not known'})" for one in teachers)
    return (
        f"The training data of {named} come with terms of their own. Whether these reach a student "
        "that has never seen that data is not settled; whoever must be sure labels the photographs "
        "again with another teacher."
    )


def _figures(evaluations: Sequence[Evaluation], command: str) -> str:
    if not evaluations:
        return ""
    text = (
        "## Figures\n\nThe network alone, its matte enlarged to the picture, without refinement; "
        "less is better, except for IoU.\n\n"
        f"{to_markdown(evaluations)}"
    )
    return text + (f"\n\nMade with: `{command}`" if command else "")


def _training(run: Path, config: TrainConfig, machine: str, curves: str, *, scenes: bool) -> str:
    steps = [line for line in read_log(run / LOG) if "rate" in line]
    facts = [f"- Seed {config.seed}, {config.steps:,} steps of {config.batch} pictures."]
    if steps:
        seconds = float(steps[-1].get("seconds", 0.0))
        took = f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.1f} minutes"
        where = f" on {machine}" if machine else ""
        facts.append(f"- Done: {steps[-1]['step']:,} steps in {took}{where}.")
    if config.start:
        facts.append(f"- Begun from {Path(config.start).name}.")
    text = "## Training\n\n" + "\n".join(facts)
    if curves:
        text += f"\n\n![loss and evaluations against steps]({curves})"
    return text + (
        "\n\nTo make it again, with the photographs in a folder:\n\n```\n"
        "cleancut distill label PHOTOS -o LABELS\n"
        f"cleancut distill train CONFIG --labels LABELS{' --backgrounds DIR' * scenes} --out RUN"
        "\n```\n\n"
        f"CONFIG is:\n\n```toml\n{_public(config)}```"
    )


def _public(config: TrainConfig) -> str:
    """The configuration without the folders of whoever trained."""
    lines = []
    for line in config_text(config).splitlines():
        key, equals, value = line.partition(" = ")
        if equals and value.startswith('"') and ("/" in value or "\\\\" in value):
            name = Path(json.loads(value).replace("\\", "/")).name
            line = f"{key} = {json.dumps(name)}"
        lines.append(line)
    return "\n".join(lines) + "\n"
