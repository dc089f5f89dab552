"""A video as a job: what a worker does with it, and parts of one video on a cluster."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleancut.batch.job import Job, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from cleancut.engine import Engine
    from cleancut.video.report import Progress

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

    order = VideoOrder.from_json(job.video)
    target = Path(job.target)
    on_progress = None if tell is None else _Telling(tell)
    order = replace(order, source=job.source)
    if order.part is not None:
        part = render_one(order, target, engine=engine, on_progress=on_progress)
        facts: dict[str, Any] = {"part": asdict(part)}
    else:
        order = replace(order, target=job.target)
        facts = render_video(order, engine=engine, on_progress=on_progress).to_dict()
    return Outcome(job.id, "done", written=size_of(target), facts=facts)


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
