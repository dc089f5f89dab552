"""A video as a job: what a worker does with it, and parts of one video on a cluster."""

from __future__ import annotations

import os
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleancut.batch import storage
from cleancut.batch.job import Finished, Job, Notice, Outcome, Runner, error_from
from cleancut.errors import BadOption, Cancelled

if TYPE_CHECKING:
    from cleancut.engine import Engine
    from cleancut.video.order import Part, VideoOrder
    from cleancut.video.report import PartReport, Progress

#: Seconds between two words about one video.
_TELL_EVERY_S = 0.5


def do_video(job: Job, engine: Engine, tell: Callable[[str], None] | None) -> Outcome:
    """Cut out the video of ``job``, or the part of it that its order names.

    The outcome's facts are those of ``VideoReport.to_dict()``, for a part its ``PartReport``. Parts
    that are done stay beside the target when the process dies, and the same job goes on with them.
    Raises what ``render_video`` raises.
    """
    from cleancut.video.order import VideoOrder
    from cleancut.video.parts import size_of
    from cleancut.video.run import render_one, render_video

    on_progress = None if tell is None else _Telling(tell)
    order = replace(VideoOrder.from_json(job.video), source=_copies.local(job.source))
    with _sent(job.target) as target:
        if order.part is not None:
            part = render_one(order, target, engine=engine, on_progress=on_progress)
            facts: dict[str, Any] = {"part": asdict(part)}
        else:
            order = replace(order, target=str(target))
            facts = render_video(order, engine=engine, on_progress=on_progress).to_dict()
        return Outcome(job.id, "done", written=size_of(target), facts=facts)


@contextmanager
def at_hand(order: VideoOrder) -> Iterator[VideoOrder]:
    """``order`` on this machine: a source in an object store is fetched, a target sent at the end.

    Raises ``BadOption`` for pictures in a store, and what the store raises.
    """
    if storage.is_remote(order.target) and (order.target.endswith("/") or "%" in order.target):
        raise BadOption(
            "numbered pictures cannot go to an object store", hint="write a video, or to a folder"
        )
    source = order.source if storage.is_web(order.source) else _copies.local(order.source)
    with _sent(order.target) as target:
        kept = str(target) if storage.is_remote(order.target) else order.target
        yield replace(order, source=source, target=kept)


@contextmanager
def _sent(place: str) -> Iterator[Path]:
    """A local path for what goes to ``place``: the place itself, or a file that is sent there."""
    if not storage.is_remote(place):
        yield Path(place)
        return
    from cleancut.batch import remote

    with tempfile.TemporaryDirectory(prefix="cleancut-video-") as folder:
        path = Path(folder) / storage.base_name(place)
        yield path
        if path.exists():  # a part may have no frames
            remote.send(str(path), place)


class _Copies:
    """The last video that was fetched from a store, for as long as this process lives."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._what: tuple[str, str] | None = None
        self._path = ""

    def local(self, place: str) -> str:
        """A local file with what is at ``place``: the place itself, or a copy of it."""
        if not storage.is_remote(place):
            return place
        from cleancut.batch import remote

        with self._lock:
            what = (place, remote.stat(place).version)
            if what != self._what:
                self._what = None
                self._folder = tempfile.TemporaryDirectory(
                    prefix="cleancut-video-", ignore_cleanup_errors=True
                )
                self._path = os.path.join(self._folder.name, storage.base_name(place))  # noqa: PTH118
                remote.fetch(place, self._path)
                self._what = what
            return self._path


_copies = _Copies()


class _Telling:
    """Progress as words of a worker."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._told_at = 0.0

    def __call__(self, now: Progress) -> None:
        at = time.monotonic()
        if now.stage == "frames" and at - self._told_at < _TELL_EVERY_S:
            return
        self._told_at = at
        left = "-" if now.left_s is None else f"{now.left_s:.1f}"
        self._tell(f"progress {now.share:.4f} {left} {now.frames} {now.fps:.2f}")


class RunnerFarm:
    """Parts of a video as jobs of a ``Runner``: see ``video.run.Farm``.

    ``asked`` is the order as the user gave it: what it says is in an object store is read there by
    the workers, and parts travel through the store; else source and target must be in a folder that
    all workers share. ``on_notice`` hears what the runner has to say about itself.
    """

    def __init__(
        self,
        runner: Runner,
        workers: int,
        asked: VideoOrder,
        on_notice: Callable[[Notice], None] = lambda _: None,
    ) -> None:
        self._runner = runner
        self._source = asked.source if storage.is_remote(asked.source) else ""
        self._store = ""
        if storage.is_remote(asked.target):
            name = f".{storage.base_name(asked.target)}.parts/{secrets.token_hex(8)}"
            self._store = storage.join(storage.parent(asked.target), name)
        self._workers = workers
        self._on_notice = on_notice

    @property
    def workers(self) -> int:
        """How many parts are in work at once."""
        return self._workers

    def render(
        self, orders: Sequence[tuple[VideoOrder, Path]], cancelled: Callable[[], bool]
    ) -> Iterator[tuple[Part, PartReport]]:
        """Render every part; a first failure ends it. When called off, parts in work are done."""
        from cleancut.video.report import PartReport

        parts: dict[str, tuple[Part, Path]] = {}

        def jobs() -> Iterator[Job]:
            for order, path in orders:
                if cancelled():
                    return
                part = order.part
                assert part is not None
                order = _everywhere(order)
                name = f"part-{part.number}"
                parts[name] = (part, path)
                target = os.path.abspath(path)  # noqa: PTH100
                if self._store:
                    target = storage.join(self._store, path.name)
                source = self._source or order.source
                yield Job(name, source, target, path.name, video=order.to_json())

        with closing(self._runner.run(jobs())) as events:  # type: ignore[type-var]
            for event in events:
                if isinstance(event, Notice):
                    self._on_notice(event)
                elif isinstance(event, Finished):
                    error = event.outcome.error
                    if error is not None:
                        raise error_from(error["code"], error["message"], error["hint"])
                    part, path = parts[event.job.id]
                    report = PartReport.from_dict(event.outcome.facts["part"])
                    if self._store and report.frames:
                        _brought(event.job.target, path)
                    yield part, report
        if cancelled():
            raise Cancelled("the video was called off", hint="run it again to go on")


def ray_farm(
    order: VideoOrder, address: str | None, on_notice: Callable[[Notice], None] = lambda _: None
) -> RunnerFarm:
    """A farm of ``order.jobs`` workers of a Ray cluster, two if nobody says.

    ``address`` is that of a cluster ("auto", "host:port"); without one a cluster on this machine is
    started and stopped again. Raises ``MissingDependency``, ``BadOption``.
    """
    from cleancut.batch.cluster import RayRunner
    from cleancut.batch.worker import WorkerConfig

    workers = order.jobs or 2
    config = WorkerConfig(options=order.options.to_json(), threads=order.threads, videos=True)
    runner = RayRunner(config, address=address, workers=workers, timeout_s=_PART_TIMEOUT_S)
    return RunnerFarm(runner, workers, order, on_notice)


#: A part that has made no progress for so long, seconds, is given up.
_PART_TIMEOUT_S = 600.0


def _brought(place: str, path: Path) -> None:
    """Move a part from the store to where it is joined."""
    from cleancut.batch import remote

    remote.fetch(place, str(path))
    remote.remove(place)


def _everywhere(order: VideoOrder) -> VideoOrder:
    """``order`` as workers understand it, who stand in another folder."""
    options = order.options
    if options.background is not None and os.path.exists(options.background):  # noqa: PTH110
        options = options.with_(background=os.path.abspath(options.background))  # noqa: PTH100
    return replace(order, source=os.path.abspath(order.source), options=options)  # noqa: PTH100
