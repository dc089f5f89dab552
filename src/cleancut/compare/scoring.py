"""Every answer scored, picture by picture in worker processes, and the means of every set."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, Protocol

import numpy as np

from cleancut.compare.comparison import PictureScore, Scores, SetFacts, System
from cleancut.compare.measures import MEASURES
from cleancut.compare.one_picture import Answer, Examined, Found, Task, examine
from cleancut.errors import OutOfMemory
from cleancut.metrics import max_f
from cleancut.weights.folders import cache_folder

if TYPE_CHECKING:
    from cleancut.compare.answers import Answered
    from cleancut.compare.pictures import Shot

#: Told after each picture: how many are done, how many there are, and the name of the last.
Step = Callable[[int, int, str], None]
#: A subject counts as missed below this IoU.
_MISSED = 0.5
#: Windows waits for no more of them at once.
_MOST_WORKERS = 60
#: A system must have answered this share of a set to be compared on it, and show an edge in this
#: share of the pictures in which any system does, to be judged by its edges.
_ENOUGH = 0.5
#: A set of which fewer pictures have such an edge says nothing about it: sets weigh the same, and a
#: single picture must not weigh as much as all of another set.
_SOME = 0.1


class Answering(Protocol):
    """Where answers come from: ``compare.answers.Answers``."""

    def of(self, system: System, picture: Shot, /) -> Answered | None:
        """The answer of a system, None for a picture that it was never asked about."""


@dataclass(frozen=True, slots=True)
class Scored:
    """The fields of a ``Comparison`` that are about accuracy; ``skipped`` has a line a failure."""

    sets: tuple[SetFacts, ...]
    scores: tuple[Scores, ...]
    pictures: tuple[PictureScore, ...]
    skipped: tuple[str, ...] = ()


def score(
    shots: Sequence[Shot],
    systems: Sequence[System],
    answers: Answering,
    *,
    jobs: int = 1,
    step: Step | None = None,
    cache: Path | None = None,
) -> Scored:
    """Score the answers of all systems without ``reason``, with ``jobs`` processes.

    What was scored before is kept below ``cache``, and costs nothing. The result does not depend on
    ``jobs``. Raises ``OutOfMemory`` if a process was killed; Ctrl-C ends it, and nothing is lost.
    """
    running = [system for system in systems if not system.reason]
    given = {
        (system.id, number): answers.of(system, shot)
        for system in running
        for number, shot in enumerate(shots)
    }
    kept = (cache or cache_folder()) / "compare-scores"
    tasks = [_task(shot, number, running, given, kept) for number, shot in enumerate(shots)]
    examined = []
    for number, found in enumerate(_examined(tasks, jobs)):
        examined.append(found)
        if step is not None:
            step(number + 1, len(tasks), tasks[number].name)
    rows = [
        _Row(system, shot, answer, found)
        for system in running
        for number, (shot, found) in enumerate(zip(shots, examined, strict=True))
        if (answer := given[system.id, number]) is not None
    ]
    names = tuple(dict.fromkeys(shot.set for shot in shots))
    return Scored(
        sets=tuple(_facts(name, shots, examined) for name in names),
        scores=tuple(one for name in names for one in _scores(name, running, rows)),
        pictures=tuple(score for row in rows if (score := row.score()) is not None),
        skipped=_skipped(shots, examined, rows),
    )


@dataclass(frozen=True, slots=True)
class _Row:
    """One system's answer for one picture, and what was found."""

    system: System
    shot: Shot
    answer: Answered
    examined: Examined

    @property
    def found(self) -> Found | None:
        return self.examined.found.get(self.system.id)

    @property
    def figures(self) -> Mapping[str, float]:
        return self.found.figures if self.found is not None else {}

    @property
    def failure(self) -> str:
        """Why there is nothing, "" if the answer was scored or its picture is to blame."""
        if self.answer.path is None:
            return self.answer.reason or "it gave no answer"
        return self.examined.failed.get(self.system.id, "")

    def score(self) -> PictureScore | None:
        if (found := self.found) is None:
            return None
        return PictureScore(
            system=self.system.id,
            set=self.shot.set,
            stem=self.shot.stem,
            figures=found.figures,
            seconds=self.answer.seconds,
            agreement=found.agreement,
            confidence=self.answer.confidence,
            notes=self.answer.notes,
            model=self.answer.model,
        )


def _task(
    shot: Shot,
    number: int,
    systems: Sequence[System],
    given: Mapping[tuple[str, int], Answered | None],
    kept: Path,
) -> Task:
    networks = {one.model: _network(one) for one in systems if one.kind == "ours"}
    files = tuple(
        # "auto" answers with the matte of one of the others, and must not give it a second vote.
        Answer(system.id, answer.path, networks.get(answer.model, _network(system)), system.raw)
        for system in systems
        if (answer := given[system.id, number]) is not None and answer.path is not None
    )
    return Task(shot.name, shot.image, shot.alpha, shot.digest, shot.truth_digest, files, kept)


def _network(system: System) -> str:
    return system.weights or f"{system.tool}:{system.model}"


def _examined(tasks: Sequence[Task], jobs: int) -> Iterator[Examined]:
    """In the order of ``tasks``."""
    if jobs <= 1 or len(tasks) < 2:
        yield from map(examine, tasks)
        return
    with _workers(min(jobs, len(tasks), _MOST_WORKERS)) as pool:
        try:
            yield from pool.map(examine, tasks)
        except BrokenProcessPool as error:
            raise OutOfMemory(
                "a process that scores pictures was killed",
                hint="free memory and run the command again: what was scored is kept",
            ) from error


@contextmanager
def _workers(count: int) -> Iterator[ProcessPoolExecutor]:
    pool = ProcessPoolExecutor(
        count, mp_context=multiprocessing.get_context("spawn"), initializer=_quietly
    )
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _quietly() -> None:
    """In a worker: Ctrl-C is the parent's to handle, and one picture has one thread.

    A parent that was killed cannot end its workers, which would wait for work for ever.
    """
    import cv2

    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)


def _end_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


def _facts(name: str, shots: Sequence[Shot], examined: Sequence[Examined]) -> SetFacts:
    inside = [number for number, shot in enumerate(shots) if shot.set == name]
    known = [examined[number].binary for number in inside if examined[number].binary is not None]
    return SetFacts(
        name=name,
        group=shots[inside[0]].group,
        pictures=len(inside),
        binary=all(known) if known else None,  # one soft truth makes the set an exact one
    )


def _scores(name: str, systems: Sequence[System], rows: Sequence[_Row]) -> Iterator[Scores]:
    """Of every system that was asked about the set, over the pictures that all have answered."""
    asked = {
        system.id: [row for row in rows if row.system.id == system.id and row.shot.set == name]
        for system in systems
    }
    answered = {
        id_: {row.shot.stem: row for row in inside if row.found is not None}
        for id_, inside in asked.items()
    }
    sound = {
        row.shot.stem for inside in asked.values() for row in inside if not row.examined.unreadable
    }
    enough = [id_ for id_, by in answered.items() if by and len(by) >= _ENOUGH * len(sound)]
    shared = [stem for stem in sorted(sound) if all(stem in answered[id_] for id_ in enough)]
    known = Counter(
        key
        for stem in shared
        for key in {key for id_ in enough for key in answered[id_][stem].figures}
    )
    possible = {key: count for key, count in known.items() if count >= _SOME * len(shared)}
    for system in systems:
        if not (inside := asked[system.id]):
            continue
        chosen = [answered[system.id][stem] for stem in shared] if system.id in enough else []
        yield _mean(system.id, name, chosen, possible, sum(bool(row.failure) for row in inside))


def _mean(
    system: str, name: str, rows: Sequence[_Row], possible: Mapping[str, int], failed: int
) -> Scores:
    found = [row.found for row in rows if row.found is not None]
    figures = {}
    for key in (measure.key for measure in MEASURES):
        values = [one.figures[key] for one in found if key in one.figures]
        if values and key in possible and len(values) >= _ENOUGH * possible[key]:
            figures[key] = round(fmean(values), 6)
    if "max_f" in figures:
        figures["max_f"] = round(max_f([np.asarray(one.curve) for one in found]), 6)
    ious = [one.figures["iou"] for one in found if "iou" in one.figures]
    seconds = [row.answer.seconds for row in rows if row.answer.seconds is not None]
    return Scores(
        system=system,
        set=name,
        pictures=len(found),
        figures=figures,
        missed=fmean(iou < _MISSED for iou in ious) if ious else None,
        failed=failed,
        seconds=median(seconds) if seconds else None,
    )


def _skipped(
    shots: Sequence[Shot], examined: Sequence[Examined], rows: Sequence[_Row]
) -> tuple[str, ...]:
    """A line a picture that cannot be scored, and one a system and reason."""
    lines = [
        f"{shot.name}: {found.unreadable}"
        for shot, found in zip(shots, examined, strict=True)
        if found.unreadable
    ]
    failures: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row.failure:
            failures.setdefault((row.system.id, row.failure), []).append(row.shot.name)
    for (id_, reason), names in failures.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        lines.append(f"{id_}, {names[0]}{more}: {reason}")
    return tuple(lines)
