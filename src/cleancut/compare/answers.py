"""Every contestant's answer for every picture, cut once and kept on disk.

A folder a contestant, named after everything that decides its answers; in it RGBA as PNG and JSON
with times, by the picture's digest. The JSON is written last: without it nothing counts, so a run
may be killed at any moment, and two runs may write the same folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Protocol

from cleancut.compare.comparison import System
from cleancut.compare.cutting import run
from cleancut.compare.starters import Starter, starter
from cleancut.errors import CleancutError
from cleancut.imaging.files import not_writable, write_atomic
from cleancut.weights.digest import remembered_sha256

Tell = Callable[[str], None]
#: Told after each picture: how many are done, how many there are, and what was cut last.
Step = Callable[[int, int, str], None]
#: So long may a tool be silent: loading, compiling, one large picture on a slow machine.
PATIENCE_S = 600.0
#: So many of a tool's processes may die one after another before it is given up.
_DEATHS = 3
#: Bytes of what is known of an answer; characters of a reason; seconds of one picture.
_MOST_FACTS, _MOST_REASON, _MOST_S = 1 << 20, 300, 86_400.0
#: After so long nobody goes on writing.
_STALE_S = 3600.0
#: Of a picture whose file is another than when the comparison began.
CHANGED = "its picture was changed while the comparison ran"
_UNWRITTEN = "its answer was not written; is the disk full?"
#: How a PNG ends: an empty chunk and its checksum.
_END = b"IEND\xaeB\x60\x82"


class Pictured(Protocol):
    """A picture to be cut; ``digest`` is the sha256 of its file."""

    @property
    def image(self) -> Path:
        """The file."""

    @property
    def digest(self) -> str:
        """64 hex digits."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer: ``path`` of the RGBA picture, or None and ``reason``.

    ``seconds`` is the median of its times in a warm process, without reading and writing files.
    """

    path: Path | None
    seconds: float | None = None
    confidence: float | None = None
    notes: tuple[str, ...] = ()
    model: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Answers:
    """What lies on disk, by contestant and picture; ``failed`` is what this run could not do."""

    folders: Mapping[str, Path]
    failed: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def of(self, system: System | str, picture: Pictured) -> Answered | None:
        """The answer of a contestant (or of its id), None if it was never asked."""
        id_ = system if isinstance(system, str) else system.id
        folder = self.folders.get(id_)
        answer = None if folder is None else read(_target(folder, picture.digest))
        if answer is not None and answer.path is not None:
            return answer
        if why := self.failed.get((id_, picture.digest)):
            return Answered(None, reason=why)
        return answer


@dataclass(slots=True)
class _Progress:
    step: Step
    total: int
    done: int = 0

    def on(self, name: str) -> None:
        self.done += 1
        self.step(min(self.done, self.total), self.total, name)


def answers(
    systems: Sequence[System],
    pictures: Sequence[Pictured],
    cache: Path,
    *,
    peers: Mapping[str, Path | None] | None = None,
    tell: Tell,
    step: Step,
    patience_s: float = PATIENCE_S,
) -> Answers:
    """Have every contestant without ``reason`` cut what is not kept in ``cache``, one at a time.

    ``peers`` is as in ``systems``. A picture that a tool fails on, or that ends its process, costs
    that picture; it is tried again in the next run. Whatever ends this, Ctrl-C above all, ends the
    tools at once and loses one picture at most: the same call goes on. Raises
    ``OutputNotWritable``.
    """
    cache = cache.absolute()
    starters, failed = _starters(systems, cache, peers, tell)
    unable = {(id_, one.digest): why for id_, why in failed.items() for one in pictures}
    found = Answers(_folders(starters, cache), unable)
    todo = {one.system.id: _missing(found.folders[one.system.id], pictures) for one in starters}
    progress = _Progress(step, sum(map(len, todo.values())))
    for one in starters:
        id_, missing = one.system.id, todo[one.system.id]
        if not missing:
            continue
        kept = len({picture.digest for picture in pictures}) - len(missing)
        tell(f"{id_}: {len(missing)} pictures to cut" + (f", {kept} are kept" if kept else ""))
        _prepare(found.folders[id_], one)
        for digest, why in _cut(one, missing, found.folders[id_], progress, patience_s):
            unable[id_, digest] = why
    return found


def kept(
    systems: Sequence[System],
    cache: Path,
    *,
    peers: Mapping[str, Path | None] | None = None,
) -> Answers:
    """What lies in ``cache`` already; nothing is cut. For what an interrupted run has left."""
    cache = cache.absolute()
    starters, _ = _starters(systems, cache, peers, lambda _: None)
    return Answers(_folders(starters, cache))


def read(target: Path) -> Answered | None:
    """The answer kept at ``target``, a PNG with JSON beside it; None if there is none, or half."""
    try:
        facts = json.loads(_text(target.with_suffix(".json")))
        if why := facts.get("error"):
            return Answered(None, reason=" ".join(str(why).split())[:_MOST_REASON])
        if not _is_whole(target):
            return None
        confidence = facts.get("confidence")
        return Answered(
            target,
            seconds=_within(median(float(seconds) for seconds in facts["times"]), _MOST_S),
            confidence=None if confidence is None else _within(float(confidence), 1.0),
            notes=tuple(str(note) for note in facts.get("notes", ())),
            model=str(facts.get("model", "")),
        )
    except (
        OSError,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        OverflowError,
        RecursionError,
    ):
        return None


def _text(path: Path) -> str:
    """What a small file holds; ``ValueError`` for a large one, a pipe or a device."""
    if not path.is_file():
        raise ValueError("no file")
    with path.open("rb") as file:
        data = file.read(_MOST_FACTS + 1)
    if len(data) > _MOST_FACTS:
        raise ValueError("too large")
    return data.decode("utf-8")


def _within(value: float, most: float) -> float:
    """``value``, from 0 to ``most``; ``ValueError`` for another, or none."""
    if not 0.0 <= value <= most:
        raise ValueError("out of range")
    return value


def _is_whole(target: Path) -> bool:
    """Whether the file ends as a PNG does: after a power cut one may be there without its bytes."""
    if not target.is_file():  # a pipe would be waited for
        return False
    with target.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - len(_END)))
        return file.read() == _END


def _starters(
    systems: Sequence[System], cache: Path, peers: Mapping[str, Path | None] | None, tell: Tell
) -> tuple[list[Starter], dict[str, str]]:
    """How to start whoever can run, and why the others cannot."""
    starters, failed = [], {}
    for system in systems:
        if system.reason:
            continue
        try:
            starters.append(starter(system, cache / "lent", peers=peers))
        except CleancutError as error:  # one tool that is broken must not end the comparison
            failed[system.id] = error.message
            tell(f"{system.id}: {error.message}")
    return starters, failed


def _folders(starters: Sequence[Starter], cache: Path) -> dict[str, Path]:
    found = {}
    for one in starters:
        text = json.dumps(one.identity(), sort_keys=True)
        slug = re.sub(r"[^a-z0-9.]+", "-", one.system.id.lower())[:60]
        found[one.system.id] = cache / f"{slug}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    return found


def _prepare(folder: Path, one: Starter) -> None:
    """Make the folder and say in it whose answers it holds."""
    about = folder / "about.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_writable(about, error) from error
    for part in folder.glob(".*.part"):  # of a process that was killed while it wrote
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > _STALE_S:
                part.unlink()
    text = json.dumps(one.identity(), indent=1, sort_keys=True)
    write_atomic(about, f"{text}\n".encode())


def _missing(folder: Path, pictures: Sequence[Pictured]) -> list[Pictured]:
    """The pictures without an answer; of several that are the same, one."""
    unique = {picture.digest: picture for picture in pictures}
    found = ((picture, read(_target(folder, digest))) for digest, picture in unique.items())
    return [picture for picture, answer in found if answer is None or answer.path is None]


def _target(folder: Path, digest: str) -> Path:
    return folder / f"{digest[:32]}.png"


def _is_other(picture: Pictured, cache: Path) -> bool:
    """Whether the file is not the one that was found: its answer is no answer for that one."""
    try:
        return remembered_sha256(picture.image, cache) != picture.digest
    except OSError:  # gone since it was cut
        return False


def _cut(
    one: Starter, pictures: list[Pictured], folder: Path, progress: _Progress, patience_s: float
) -> Iterator[tuple[str, str]]:
    """Cut ``pictures``, with a new process after each that died; the digests that failed, why."""
    deaths = 0
    while pictures:
        at = -1

        def moved(number: int, current: list[Pictured] = pictures) -> None:
            nonlocal at
            if number > at >= 0:
                progress.on(f"{one.system.id}, {current[at].image.name}")
            at = max(at, number)

        pairs = [(picture.image, _target(folder, picture.digest)) for picture in pictures]
        said = run(one, pairs, moved, patience_s)
        ended = len(pictures) if not said else max(at, 0)
        for picture in pictures[:ended]:
            answer = read(_target(folder, picture.digest))
            if answer is None or answer.path is None:
                yield picture.digest, answer.reason if answer else _UNWRITTEN
            elif _is_other(picture, folder.parent):
                _target(folder, picture.digest).with_suffix(".json").unlink(missing_ok=True)
                yield picture.digest, CHANGED
        if not said:
            progress.on(f"{one.system.id}, {pictures[-1].image.name}")
            return
        deaths = deaths + 1 if ended == 0 else 1
        if said.final or deaths == _DEATHS:
            yield from ((picture.digest, said.reason) for picture in pictures[ended:])
            progress.done += len(pictures) - ended
            return
        if at >= 0:  # it died of a picture, not while it was loading
            yield pictures[at].digest, said.reason
            progress.on(f"{one.system.id}, {pictures[at].image.name}")
            pictures = pictures[at + 1 :]
