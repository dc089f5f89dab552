"""What a run writes down about itself, a line of JSON a step and an evaluation.

::

    {"step": 10, "loss": 0.21, "parts": {"l1": 0.05, ...}, "rate": 0.0002, "seconds": 17.3}
    {"step": 11, "skipped": true, "rate": 0.0002, "seconds": 19.0}       its loss was not finite
    {"step": 500, "eval": {"portraits": {"mad": 11.2, ...}, ...}}        0: before the first step
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from cleancut.imaging.files import not_writable, write_atomic

Figures = Mapping[str, Mapping[str, float]]
#: A MAD below this (of 1000) counts as this much: quotients of nothing mean nothing.
_LEAST_MAD = 0.1


@dataclass(frozen=True, slots=True)
class Step:
    """What a step has shown: ``parts`` are the losses times their weights.

    ``step`` counts from 1, ``seconds`` from where this sitting began. A ``skipped`` one had a loss
    or a gradient that was not finite, and has changed nothing.
    """

    step: int
    loss: float
    parts: Mapping[str, float]
    rate: float
    seconds: float
    skipped: bool = False


@dataclass(slots=True)
class Log:
    """The file; lines after the step ``done``, which a run goes on from, are dropped."""

    path: Path
    done: int
    _waiting: list[str] = field(default_factory=list)
    _before_s: float = 0.0
    _evaluated: dict[int, Figures] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kept = [facts for facts in read_log(self.path) if facts["step"] <= self.done]
        lines = "".join(f"{json.dumps(facts)}\n" for facts in kept)
        write_atomic(self.path, lines.encode())
        self._before_s = max((facts.get("seconds", 0.0) for facts in kept), default=0.0)
        self._evaluated = {facts["step"]: facts["eval"] for facts in kept if "eval" in facts}

    def add(self, step: Step) -> None:
        """Note a step; it is written by ``flush``."""
        facts: dict[str, Any] = {"step": step.step}
        if step.skipped:
            facts["skipped"] = True
        else:
            facts["loss"] = round(step.loss, 5)
            facts["parts"] = {name: round(part, 5) for name, part in step.parts.items()}
        facts["rate"] = step.rate
        facts["seconds"] = round(self._before_s + step.seconds, 2)
        self._waiting.append(json.dumps(facts))

    def add_evaluation(self, step: int, figures: Figures) -> None:
        """Write an evaluation."""
        plain = {name: dict(scores) for name, scores in figures.items()}
        self._evaluated[step] = plain
        self._waiting.append(json.dumps({"step": step, "eval": plain}))
        self.flush()

    def evaluated(self, step: int) -> bool:
        """Whether there is an evaluation of ``step``."""
        return step in self._evaluated

    def best(self) -> int | None:
        """The step of the best evaluation; None without any that has a MAD."""
        return best_step(self._evaluated)

    def flush(self) -> None:
        """Write what waits. Raises ``OutputNotWritable``."""
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in self._waiting)
        except OSError as error:
            raise not_writable(self.path, error) from error
        self._waiting.clear()


def read_log(path: Path) -> list[dict[str, Any]]:
    """The lines of a log; one that a kill cut short is passed over."""
    try:
        text = path.read_text("utf-8", errors="replace")
    except FileNotFoundError:
        return []
    found = []
    for line in text.splitlines():
        try:
            facts = json.loads(line)
        except ValueError:
            continue
        if isinstance(facts, dict) and isinstance(facts.get("step"), int):
            found.append(facts)
    return found


def best_step(evaluated: Mapping[int, Figures]) -> int | None:
    """Where the sets' MAD, each relative to the first evaluation's, is lowest in the mean.

    The earliest of equals; None where nothing with a MAD was evaluated.
    """
    if not evaluated:
        return None
    first = evaluated[min(evaluated)]
    scores = {}
    for step, figures in sorted(evaluated.items()):
        quotients = [
            max(figures[name]["mad"], _LEAST_MAD) / max(scores_at["mad"], _LEAST_MAD)
            for name, scores_at in first.items()
            if "mad" in scores_at and "mad" in figures.get(name, {})
        ]
        if quotients and math.isfinite(mean := fmean(quotients)):
            scores[step] = mean
    return min(scores, key=lambda step: (scores[step], step)) if scores else None
