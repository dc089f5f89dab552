"""One video at a time, in a child process of its own that ends with it.

A child per video: whatever a file does to it ends there, its memory is given back, and calling a
video off is ending its child. Parts that are done lie beside the target, so nothing but the part in
work is lost, whoever ends.
"""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cleancut.batch.budget import usual_limit
from cleancut.batch.job import Finished, Job, Notice, Progressed, error_from
from cleancut.batch.local import LocalRunner
from cleancut.batch.worker import WorkerConfig
from cleancut.errors import (
    Cancelled,
    CleancutError,
    ImageTooLarge,
    OutputNotWritable,
    PictureCrashed,
    StorageFailed,
    TimedOut,
)
from cleancut.server.job_store import is_job_id
from cleancut.server.video_form import for_video
from cleancut.server.wording import placeless

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cleancut.server.settings import Settings

_log = logging.getLogger(__name__)

#: A child that has not got on by a frame for so long is given up, seconds.
STALL_S = 600.0

#: What a video of the longest length may have at most, frames a second.
_MOST_FPS = 120

#: Hears the share that is done, 0 to 1, and what else is known: ``progress_of``.
Hear = Callable[[Mapping[str, Any]], None]


class Rendering(Protocol):
    """What jobs need of whoever does one video; tests have one of their own."""

    def run(self, source: Path, target: Path, order: str, hear: Hear) -> Mapping[str, Any]:
        """Make ``target``; the facts of it. Raises what went wrong, ``Cancelled`` after stop."""
        ...

    def stop(self) -> None:
        """Make ``run`` in another thread end soon."""
        ...


class VideoChild:
    """A ``Rendering`` in a child process; ``command`` is the child's, for tests."""

    def __init__(self, settings: Settings, *, command: Sequence[str] = ()) -> None:
        minutes = f"{settings.max_video_minutes:g}"
        #: Whatever a file says of its length.
        self._most_frames = int(settings.max_video_minutes * 60 * _MOST_FPS)
        self._stopped = False
        self._runner = LocalRunner(
            WorkerConfig(
                options=for_video(settings.defaults).to_json(),
                threads=settings.threads,
                memory=settings.memory_limit or usual_limit(),
                videos=True,
            ),
            workers=1,
            timeout_s=max(STALL_S, settings.timeout_s),
            command=command or (sys.executable, "-m", "cleancut.server.video_child", minutes),
        )

    @property
    def pid(self) -> int | None:
        """The child's number, None while there is none."""
        return self._runner.pid

    def run(self, source: Path, target: Path, order: str, hear: Hear) -> Mapping[str, Any]:
        """See ``Rendering``."""
        job = Job(
            id="video",
            source=str(source.absolute()),
            target=str(target.absolute()),
            name=target.name,
            video=order,
        )
        if self._stopped:
            raise _called_off()
        with closing(self._runner.run([job])) as events:
            for event in events:
                if isinstance(event, Progressed):
                    progress = progress_of(event)
                    if progress.get("frames", 0) > self._most_frames:
                        raise ImageTooLarge(
                            f"more than {self._most_frames} frames", hint="send a part of it"
                        )
                    hear(progress)
                elif isinstance(event, Notice):
                    _log.warning("video process: %s", event.code)
                elif isinstance(event, Finished):
                    if event.outcome.error is not None:
                        raise _told(event.outcome.error)
                    return event.outcome.facts
        raise _called_off()

    def stop(self) -> None:
        """See ``Rendering``."""
        self._stopped = True
        self._runner.abort()


def progress_of(event: Progressed) -> dict[str, Any]:
    """Share, seconds left, frames, frames a second, as far as the worker has said them."""
    found: dict[str, Any] = {"share": round(event.share, 4), "seconds_left": event.left_s}
    with suppress(IndexError, ValueError):
        found["frames"] = int(event.words[2])
        found["fps"] = float(event.words[3])
    return found


class VideoFolders:
    """``<data>/videos/<job>-<index>/``: what is half done, until the job has ended."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, job: str, index: int) -> Path:
        """The folder of one video."""
        return self._folder / f"{job}-{index}"

    def made(self, job: str, index: int) -> Path:
        """The same, made if it is not there; it may hold what an earlier run has done."""
        path = self.path(job, index)
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StorageFailed(
                f"the server cannot keep videos: {error.strerror}", hint="try again later"
            ) from error
        return path

    def check_room(self, size: int) -> None:
        """Raise ``StorageFailed`` unless ``size`` more bytes are free, and as many for the work."""
        with suppress(OSError):
            if shutil.disk_usage(self._folder.parent).free < 2 * size + _RESERVE:
                raise StorageFailed("the server has no room for this video", hint="try again later")

    def remove(self, job: str, index: int) -> None:
        """Remove what one video left behind."""
        if is_job_id(job):
            shutil.rmtree(self.path(job, index), ignore_errors=True)

    def sweep(self, at_work: Callable[[str], bool], held: Iterable[tuple[str, int]]) -> None:
        """Remove what belongs to no job that is ``at_work``, but for what is ``held``."""
        kept = {f"{job}-{index}" for job, index in held}
        with suppress(OSError):
            for path in [*self._folder.iterdir()]:
                if path.name not in kept and not at_work(path.name.rpartition("-")[0]):
                    shutil.rmtree(path, ignore_errors=True)


_RESERVE = 256 << 20


def _told(facts: Mapping[str, str]) -> CleancutError:
    """The error of the child, in words for a video."""
    error = error_from(facts["code"], facts["message"], facts["hint"])
    if isinstance(error, PictureCrashed):
        return PictureCrashed(
            "the process that worked on this video ended",
            hint="convert it with another program, or make it smaller, and send it again",
        )
    if isinstance(error, TimedOut):
        return TimedOut(
            f"the video did not get on for {STALL_S:g} s", hint="convert it with another program"
        )
    if error.kind == "bug" or isinstance(error, OutputNotWritable):
        _log.error("a video failed: %s", placeless(error.message))
    if isinstance(error, OutputNotWritable):
        if facts.get("scope") == "run":
            return OutputNotWritable(
                "the server has no room for what becomes of this video",
                hint="send a shorter part of it, or try again later",
            )
        return OutputNotWritable(
            "what becomes of this video cannot be written",
            hint="choose another output, or convert the video first",
        )
    return error


def _called_off() -> Cancelled:
    return Cancelled("the video was called off", hint="send it again")
