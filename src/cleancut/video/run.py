"""A whole video: plan its parts, render what is missing, join them, say how it went."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Protocol

from cleancut.errors import ClusterUnavailable, OutputNotWritable
from cleancut.video.crew import crew
from cleancut.video.order import Part, VideoOrder
from cleancut.video.parts import PartsFolder, size_of
from cleancut.video.render import render_part
from cleancut.video.report import (
    PartReport,
    Progress,
    VideoReport,
    joined_notes,
    unsure_spans,
)
from cleancut.video.scene import Scene, nothing_there, open_scene, scene_fingerprint

if TYPE_CHECKING:
    from cleancut.engine import Engine
    from cleancut.video.mattes import Matter

OnProgress = Callable[[Progress], None]

#: Seconds between two reports of progress.
_TELL_EVERY_S = 0.25


class Farm(Protocol):
    """Whoever renders parts elsewhere, several at once."""

    @property
    def workers(self) -> int:
        """How many parts are in work at once."""
        ...

    def render(
        self, orders: Sequence[tuple[VideoOrder, Path]], cancelled: Callable[[], bool]
    ) -> Iterator[tuple[Part, PartReport]]:
        """Render the ``part`` of every order into the path beside it; answers come in any order.

        Raises what rendering raises, and ``Cancelled`` soon after ``cancelled`` says so.
        """
        ...


def render_video(
    order: VideoOrder,
    *,
    engine: Engine | None = None,
    on_progress: OnProgress | None = None,
    cancelled: Callable[[], bool] | None = None,
    farm: Farm | None = None,
) -> VideoReport:
    """Cut out the video of ``order``; the target is there whole or not at all.

    Parts that an earlier run of the same order has finished are taken as they are. When it is
    interrupted, called off or fails, finished parts stay for the next run. ``engine`` brings loaded
    networks; ``cancelled`` is asked before every frame. With ``farm`` the parts are rendered there
    and joined here. Raises the errors of ``cleancut.errors``.
    """
    began = time.perf_counter()
    _refuse_target(order)
    progress = _Teller(on_progress)
    progress.stage("models")
    scene, notes = open_scene(order, engine)
    matters: tuple[Matter, ...] = ()
    if farm is None:
        matters = crew(order, scene, len(scene.parts), shared=engine is not None)
    work = _Work(order, scene, farm, matters, progress, cancelled or _never)
    reports, kept, told = work.done()
    seconds = time.perf_counter() - began
    jobs = len(matters) if farm is None else farm.workers
    return _report(order, scene, reports, (*notes, *told), kept, seconds, jobs)


def render_one(
    order: VideoOrder,
    target: Path,
    *,
    engine: Engine,
    on_progress: OnProgress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> PartReport:
    """Render the ``part`` of ``order`` alone into ``target``, for a ``Farm`` that has it joined.

    Raises as ``render_video`` does.
    """
    assert order.part is not None
    progress = _Teller(on_progress)
    progress.stage("models")
    scene, _ = open_scene(order, engine)
    progress.expect(scene.frames(order.part.start, order.part.stop))
    progress.stage("frames")
    return render_part(
        scene, order.part, target, on_frame=progress.frame, cancelled=cancelled or _never
    )


class _Work:
    """The parts of one video, from the plan to the joined target."""

    def __init__(
        self,
        order: VideoOrder,
        scene: Scene,
        farm: Farm | None,
        matters: tuple[Matter, ...],
        progress: _Teller,
        cancelled: Callable[[], bool],
    ) -> None:
        self._order = order
        self._scene = scene
        self._farm = farm
        self._matters = matters
        self._progress = progress
        self._cancelled = cancelled
        self._target = Path(order.target)

    def done(self) -> tuple[list[PartReport], int, tuple[str, ...]]:
        """What came of all parts, how many frames were there before, and notes."""
        scene = self._scene
        parts = scene.parts
        name = scene_fingerprint(scene)
        folder = PartsFolder(self._target, name, scene.form.part_suffix)
        try:
            with folder.held():
                notes = self._others(folder)
                folder.prepare()
                reports, kept = self._rendered(parts, folder)
                if not any(report.frames for report in reports):
                    raise nothing_there(scene.video, scene.info)
                self._progress.stage("joining")
                notes += self._joined(parts, reports, folder)
                folder.clear()
        finally:
            folder.leave()
        return reports, kept, notes

    def _others(self, folder: PartsFolder) -> tuple[str, ...]:
        """Remove what other runs have left, or say that it is there."""
        if self._order.fresh:
            folder.clear(everybody=True)
        if not (others := folder.others()):
            return ()
        return (
            f"other_parts: {others} unfinished run(s) with other options left parts in "
            f"{folder.root}; --fresh removes them",
        )

    def _rendered(self, parts: Sequence[Part], folder: PartsFolder) -> tuple[list[PartReport], int]:
        """Reports of all parts in order; those that are missing are rendered."""
        done = {part: report for part in parts if (report := folder.done(part)) is not None}
        kept = sum(report.frames for report in done.values())
        missing = [part for part in parts if part not in done]
        self._progress.expect(self._scene.frames(self._scene.start, self._scene.stop), kept)
        self._progress.stage("frames")
        for part in missing:
            folder.sweep(part)
        render = self._farmed if self._farm is not None else self._local
        for part, report in render(missing, folder):
            folder.finish(part, report)
            done[part] = report
        return [done[part] for part in parts], kept

    def _local(
        self, parts: Sequence[Part], folder: PartsFolder
    ) -> Iterator[tuple[Part, PartReport]]:
        """Render parts in threads of this process, in order, one at a time by each matter."""
        failed = threading.Event()
        free: SimpleQueue[Matter] = SimpleQueue()
        for matter in self._matters:
            free.put(matter)

        def render(part: Part) -> tuple[Part, PartReport]:
            matter = free.get()
            try:
                return part, render_part(
                    replace(self._scene, matter=matter),
                    part,
                    folder.path(part),
                    on_frame=self._progress.frame,
                    cancelled=lambda: failed.is_set() or self._cancelled(),
                )
            finally:
                free.put(matter)

        from cleancut.imaging.threads import few_threads

        jobs = min(len(self._matters), len(parts))
        if jobs <= 1:
            yield from map(render, parts)
            return
        waiting: set[Future[tuple[Part, PartReport]]] = set()
        pool = ThreadPoolExecutor(jobs, thread_name_prefix="cleancut-part")
        rest = iter(parts)
        try:
            with few_threads(jobs):
                while True:
                    while len(waiting) < jobs and (part := next(rest, None)) is not None:
                        waiting.add(pool.submit(render, part))
                    if not waiting:
                        return
                    ready, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    for future in ready:
                        yield future.result()
        finally:
            failed.set()
            pool.shutdown(wait=True, cancel_futures=True)

    def _farmed(
        self, parts: Sequence[Part], folder: PartsFolder
    ) -> Iterator[tuple[Part, PartReport]]:
        """Have parts rendered elsewhere."""
        assert self._farm is not None
        orders = [
            (replace(self._order, part=part, jobs=None, fresh=False), folder.path(part))
            for part in parts
        ]
        for part, report in self._farm.render(orders, self._cancelled):
            for name, digest in self._scene.weights.items():
                if (there := report.weights.get(name)) != digest:
                    raise ClusterUnavailable(
                        f"a worker has {name} {there or 'missing':.12}, here it is {digest:.12}",
                        hint="run on every node: cleancut models verify",
                    )
            self._progress.frame(report.frames)
            yield part, report

    def _joined(
        self, parts: Sequence[Part], reports: Sequence[PartReport], folder: PartsFolder
    ) -> tuple[str, ...]:
        from cleancut.video.join import join

        scene = self._scene
        made = zip(parts, reports, strict=True)
        files = [folder.path(part) for part, report in made if report.frames]

        first = scene.info.start_pts if scene.start is None else scene.start
        cut = scene.start is not None or scene.stop is not None
        last = scene.stop
        if last is None and scene.info.duration_s is not None:
            last = scene.info.pts_at(scene.info.duration_s)
        return join(
            files,
            self._target,
            source=scene.source,
            info=scene.info,
            form=scene.form,
            video=scene.video,
            span=(first, last) if cut else None,
        )


def _never() -> bool:
    return False


def _refuse_target(order: VideoOrder) -> None:
    """Say what is wrong with the target before a frame is decoded."""
    target = Path(order.target)
    for other in (order.source, order.options.background):
        try:
            same = other is not None and Path(other).samefile(target)
        except (OSError, ValueError):
            continue
        if same:
            raise OutputNotWritable(
                f"{target} is the input itself, which is never overwritten",
                hint="choose another name with -o",
            )


def _report(
    order: VideoOrder,
    scene: Scene,
    reports: Sequence[PartReport],
    notes: tuple[str, ...],
    kept: int,
    seconds: float,
    jobs: int,
) -> VideoReport:
    frames = sum(report.frames for report in reports)
    times = [at for report in reports for at in report.times]
    sure = [value for report in reports for value in report.confidence]
    busy: dict[str, float] = {}
    for report in reports:
        for stage, spent in report.busy_s.items():
            busy[stage] = round(busy.get(stage, 0.0) + spent, 3)
    info = scene.info
    begin = info.seconds(scene.start) if scene.start is not None else 0.0
    end = info.seconds(scene.stop) if scene.stop is not None else info.duration_s
    if info.duration_s is not None:
        end = info.duration_s if end is None else min(end, info.duration_s)
    return VideoReport(
        source=order.source,
        target=order.target,
        form=scene.form.name,
        networks=tuple(scene.weights),
        size=next((report.size for report in reports if report.size), (info.width, info.height)),
        frames=frames,
        frames_kept=kept,
        cuts=sum(report.cuts for report in reports),
        seconds=round(seconds, 3),
        video_s=round(max(0.0, (end or 0.0) - begin), 3),
        fps=round((frames - kept) / max(seconds, 1e-6), 2),
        written=size_of(Path(order.target)),
        parts=len(reports),
        jobs=jobs,
        confidence=round(sum(sure) / len(sure), 3) if sure else None,
        unsure=unsure_spans(times, sure),
        notes=(*dict.fromkeys(notes), *joined_notes(reports)),
        busy_s=busy,
    )


class _Teller:
    """Counts frames from any thread, and tells how far it is now and then."""

    def __init__(self, on_progress: OnProgress | None) -> None:
        self._on_progress = on_progress
        self._lock = threading.Lock()
        self._now = Progress()
        self._kept = 0
        self._began = time.monotonic()
        self._told_at = 0.0

    def stage(self, name: str) -> None:
        with self._lock:
            self._now = replace(self._now, stage=name)
            if name == "frames":
                self._began = time.monotonic()
            self._tell()

    def expect(self, total: int | None, kept: int = 0) -> None:
        with self._lock:
            self._kept = kept
            self._now = replace(self._now, total=total, frames=kept)

    def frame(self, count: int = 1) -> None:
        with self._lock:
            frames = self._now.frames + count
            total = self._now.total
            spent = max(1e-6, time.monotonic() - self._began)
            fps = (frames - self._kept) / spent
            known = total is not None
            left = max(0, total - frames) / fps if total is not None and fps > 0 else None
            share = min(1.0, frames / total) if total else 0.0
            self._now = replace(
                self._now,
                frames=frames,
                total=max(total, frames) if total is not None else None,
                share=round(share, 4) if known else 0.0,
                fps=round(fps, 2),
                left_s=None if left is None else round(left, 1),
            )
            if time.monotonic() - self._told_at >= _TELL_EVERY_S:
                self._tell()

    def _tell(self) -> None:
        self._told_at = time.monotonic()
        if self._on_progress is not None:
            self._on_progress(self._now)
