"""One part of a video: decode, matte, dress and encode, each stage in a thread of its own.

Queues between the stages hold a few frames, by their size, so memory does not depend on the
video's length. A part knows nothing of the others: it looks at ``warm_up`` frames before its first
one and ``look_ahead`` after its last, so its pixels do not depend on who renders it and when.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing
from fractions import Fraction
from typing import TYPE_CHECKING

from cleancut.errors import Cancelled
from cleancut.pipeline import is_empty
from cleancut.video.ahead import ahead
from cleancut.video.frame import USUAL_RATE
from cleancut.video.report import PartReport

if TYPE_CHECKING:
    from pathlib import Path

    from cleancut.video.dress import Dresser
    from cleancut.video.frame import Frame
    from cleancut.video.mattes import Matted
    from cleancut.video.order import Part
    from cleancut.video.scene import Scene
    from cleancut.video.writing import VideoWriter


def render_part(
    scene: Scene,
    part: Part,
    target: Path,
    *,
    on_frame: Callable[[], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> PartReport:
    """Render ``part`` into the file (or folder of pictures) ``target``, whole or not at all.

    Nothing is written for a part without frames. ``on_frame`` is called after every frame of the
    part, ``cancelled`` before: ``Cancelled`` is raised where it says so. Raises what reading,
    networks and writing raise.
    """
    from cleancut.video.dress import Dresser
    from cleancut.video.writing import open_writer

    report = PartReport(weights=dict(scene.weights))
    clock = _Clock(report.busy_s)
    began = time.perf_counter()
    dresser = Dresser(scene.options, scene.video, scene.info)
    decoded = ahead(_decoded(scene, part, report, clock), scene.depth, "cleancut-decode")
    matted = ahead(_matted(scene, part, decoded, clock), scene.depth, "cleancut-matte")
    dressed = ahead(_dressed(dresser, matted, report, scene, clock), scene.depth, "cleancut-dress")
    writer: VideoWriter | None = None
    try:
        with closing(dressed):
            for frame in dressed:
                if cancelled is not None and cancelled():
                    raise Cancelled("the video was called off", hint="run it again to go on")
                with clock.stage("encode"):
                    if writer is None:
                        report.size = (frame.rgb.shape[1], frame.rgb.shape[0])
                        writer = open_writer(
                            target, scene.form, dresser.info, scene.options, size=report.size
                        )
                    writer.write(frame)
                report.frames += 1
                if on_frame is not None:
                    on_frame()
        if writer is not None:
            with clock.stage("encode"):
                writer.close()
    except BaseException:
        if writer is not None:
            writer.abort()
        raise
    finally:
        dresser.close()
    report.seconds = round(time.perf_counter() - began, 3)
    report.busy_s = {name: round(seconds, 3) for name, seconds in report.busy_s.items()}
    return report


def _decoded(
    scene: Scene, part: Part, report: PartReport, clock: _Clock
) -> Generator[Frame, None, None]:
    """The part's frames, those that the matter wants to see before, and those after."""
    from cleancut.video.reading import open_video

    info = scene.info
    start = part.start
    if start is not None and start > info.start_pts:
        seconds = (scene.matter.warm_up + Fraction(1, 2)) / (info.rate or USUAL_RATE)
        start = max(info.start_pts, start - round(seconds / info.time_base))
    limit = scene.options.max_megapixels
    with open_video(scene.source, max_megapixels=limit, rate=scene.rate) as reader:
        frames = iter(reader.frames(start))
        later = 0
        while later <= scene.matter.look_ahead:
            with clock.stage("decode"):
                frame = next(frames, None)
            if frame is None:
                break
            later += part.stop is not None and frame.pts >= part.stop
            if part.stop is None or frame.pts < part.stop or scene.matter.look_ahead:
                yield frame
        for note in reader.notes:
            if note not in info.notes:
                report.note(note, 0.0)


def _matted(
    scene: Scene, part: Part, frames: Generator[Frame, None, None], clock: _Clock
) -> Generator[Matted, None, None]:
    """The mattes of the part's own frames."""
    memory = None
    with closing(frames):
        for frame in frames:
            with clock.stage("matte"):
                answers, memory = scene.matter.step(frame, memory)
            yield from (matted for matted in answers if _within(part, matted.frame.pts))
    with clock.stage("matte"):
        answers = () if memory is None else scene.matter.finish(memory)
    yield from (matted for matted in answers if _within(part, matted.frame.pts))


def _dressed(
    dresser: Dresser,
    mattes: Generator[Matted, None, None],
    report: PartReport,
    scene: Scene,
    clock: _Clock,
) -> Generator[Frame, None, None]:
    """Frames as they are written; what is known about them goes into the report."""
    with closing(mattes):
        for matted in mattes:
            at = scene.info.seconds(matted.frame.pts)
            report.cuts += matted.cut
            for note in matted.notes:
                report.note(note, at)
            if is_empty(matted.alpha):
                report.note("no_subject: nothing stands out; another --engine may see more", at)
            if matted.confidence is not None:
                report.times.append(round(at, 3))
                report.confidence.append(round(float(matted.confidence), 3))
            with clock.stage("dress"):
                frame = dresser.dress(matted)
            yield frame


def _within(part: Part, pts: int) -> bool:
    after = part.start is None or pts >= part.start
    return after and (part.stop is None or pts < part.stop)


class _Clock:
    """Seconds that each stage worked, without those in which it waited; one thread a stage."""

    def __init__(self, busy_s: dict[str, float]) -> None:
        self._busy_s = busy_s

    def stage(self, name: str) -> _Lap:
        return _Lap(self._busy_s, name)


class _Lap:
    def __init__(self, busy_s: dict[str, float], name: str) -> None:
        self._busy_s, self._name = busy_s, name

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        spent = time.perf_counter() - self._began
        self._busy_s[self._name] = self._busy_s.get(self._name, 0.0) + spent
