"""Mattes of clips with true mattes: every system frame by frame and steadied, and rvm as video."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cleancut.bench.video_accuracy import (
    ALONE,
    RECURRENT,
    STEADY,
    LoadedClip,
    Scored,
    is_recurrent,
    read_clip,
    score_clip,
)
from cleancut.bench.video_truth import TrueClip, find_clips
from cleancut.compare.comparison import System, VideoScore
from cleancut.engine import Engine
from cleancut.errors import BadOption, CleancutError, InputNotFound
from cleancut.options import Options
from cleancut.video.options import VideoOptions

#: Figures of clips whose truth is yes-or-no; the others mean nothing there.
_BINARY_KEYS = ("iou", "wobble")
_KEYS = ("mad", "mse", "grad", "dtssd", *_BINARY_KEYS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipPlan:
    """``frames`` of each clip are taken, and no clip is begun after ``limit_s`` seconds.

    One that is begun is finished: means are only fair where every system saw the same clips.
    """

    frames: int = 16
    limit_s: float = 600.0

    def __post_init__(self) -> None:
        """Refuse what measures nothing (``BadOption``)."""
        if self.frames < 2:
            raise BadOption("steadiness needs two frames", hint="give 2 or more")


@dataclass(slots=True)
class Clips:
    """What was scored; ``skipped`` tells what was not, ``complete`` is False after Ctrl-C."""

    scores: list[VideoScore] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    complete: bool = True


def clip_folders(folder: Path) -> tuple[Path, ...]:
    """The folders in ``folder`` whose children are clips: SET/CLIP/image and SET/CLIP/alpha.

    SET/image and SET/alpha is a set of single pictures, which no clip is told from.
    """
    if not folder.is_dir():
        raise InputNotFound(f"{folder} is not a folder", hint="give a folder of sets")
    inside = sorted(path for path in folder.iterdir() if path.is_dir())
    return tuple(
        path
        for path in inside
        if not _is_clip(path) and any(_is_clip(below) for below in path.iterdir())
    )


def measure_clips(
    folders: Sequence[Path],
    systems: Sequence[System],
    *,
    plan: ClipPlan,
    tell: Callable[[str], None],
    step: Callable[[int, int, str], None] | None = None,
) -> Clips:
    """Every clip of ``folders`` by those of our systems that run and are not raw.

    ``step`` hears (done, total, name) before each. What fails is left out with a line; after Ctrl-C
    there is what was done.
    """
    found, until = Clips(), time.monotonic() + plan.limit_s
    engine = Engine(Options())
    try:
        clips = [clip for folder in folders for clip in _clips(folder, found)]
        chosen = [(one, how) for one in systems if _takes_part(one) for how in _ways(one, found)]
        for number, clip in enumerate(clips):
            if time.monotonic() > until:
                found.skipped.append(f"video: {clip.name}: the time was up")
                continue
            tell(f"clip {clip.name}")
            loaded = _loaded(clip, plan.frames, found)
            if loaded is None:
                continue
            for place, (system, how) in enumerate(chosen):
                if step is not None:
                    done = number * len(chosen) + place
                    step(done, len(clips) * len(chosen), f"{clip.name}: {system.id}, {how}")
                try:
                    options = Options(model=system.model)
                    row = score_clip(loaded, engine, options, VideoOptions(), how)
                except CleancutError as error:
                    name = f"video: {clip.name} by {system.id}, {how}"
                    found.skipped.append(f"{name}: {error.message}")
                    continue
                found.scores.append(_score(system, row))
    except KeyboardInterrupt:
        found.complete = False
    return found


def _score(system: System, row: Scored) -> VideoScore:
    keys = _BINARY_KEYS if row.binary else _KEYS
    return VideoScore(
        system=system.id,
        clip=row.clip,
        how=row.how,
        binary=row.binary,
        figures={key: float(getattr(row, key)) for key in keys},
        seconds=row.seconds,
    )


def _takes_part(system: System) -> bool:
    return system.kind == "ours" and not system.raw and not system.reason


def _ways(system: System, found: Clips) -> tuple[str, ...]:
    """A recurrent network also as one without a memory, so that one sees what memory is for."""
    try:
        return (ALONE, RECURRENT) if is_recurrent(system.model) else (ALONE, STEADY)
    except CleancutError as error:
        found.skipped.append(f"video: {system.id}: {error.message}")
        return ()


def _clips(folder: Path, found: Clips) -> Iterator[TrueClip]:
    try:
        yield from find_clips(folder)
    except CleancutError as error:
        found.skipped.append(f"video: {error.message}")


def _loaded(clip: TrueClip, frames: int, found: Clips) -> LoadedClip | None:
    try:
        return read_clip(clip, frames)
    except CleancutError as error:
        found.skipped.append(f"video: {clip.name}: {error.message}")
        return None


def _is_clip(folder: Path) -> bool:
    return (folder / "image").is_dir() and (folder / "alpha").is_dir()
