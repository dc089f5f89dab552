"""How a video goes: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cleancut.cli.batch_progress import FIRST_LINE_S, LONGEST_PAUSE_S, clock

if TYPE_CHECKING:
    from cleancut.video.frame import VideoInfo
    from cleancut.video.report import Progress

_STAGES = {"models": "choosing networks", "joining": "joining"}


def figures(now: Progress) -> str:
    """ "120 of 433 frames, 0:12 left, 25.3 a second"."""
    if now.stage != "frames":
        return _STAGES.get(now.stage, now.stage)
    of = f" of {now.total}" if now.total else ""
    parts = [f"{now.frames}{of} frames"]
    if now.left_s is not None:
        parts.append(f"{clock(now.left_s)} left")
    if now.fps:
        parts.append(f"{now.fps:.1f} a second")
    return ", ".join(parts)


@contextmanager
def progress(*, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """Whoever shows how it goes."""
    if quiet or not sys.stderr.isatty():
        yield (lambda _now: None) if quiet else _lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn
    from rich.progress import Progress as Bars

    columns = (SpinnerColumn(), BarColumn(), TextColumn("{task.description}", markup=False))
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("starting", total=None)

        def show(now: Progress) -> None:
            bars.update(task, total=now.total, completed=now.frames, description=figures(now))

        yield show


def _lines() -> Callable[[Progress], None]:
    """A line after five seconds, then ever more rarely, to one a minute."""
    pause, last = FIRST_LINE_S, time.monotonic()

    def show(now: Progress) -> None:
        nonlocal pause, last
        at = time.monotonic()
        if at - last >= pause:
            pause, last = min(LONGEST_PAUSE_S, 1.5 * pause), at
            print(f"cleancut: {figures(now)}", file=sys.stderr, flush=True)

    return show


def described(info: VideoInfo) -> str:
    """What is known about a video, in one line."""
    parts = [f"{info.width}x{info.height}"]
    if info.codec:
        # FFmpeg has one name for a family of containers: mov,mp4,m4a,3gp,3g2,mj2.
        kind = "/".join(info.container.split(",")[:2])
        parts.insert(0, f"{kind} ({info.codec})" if kind else info.codec)
    if info.rate:
        parts.append(f"{float(info.rate):.5g} frames a second")
    if info.frames:
        parts.append(f"{info.frames} frames")
    if info.duration_s is not None:
        parts.append(f"{clock(info.duration_s)} long")
    if info.bits != 8:
        parts.append(f"{info.bits} bits")
    if info.has_alpha:
        parts.append("transparent")
    if info.colour.hdr:
        parts.append("high dynamic range")
    if info.rotation:
        parts.append(f"rotated by {info.rotation} degrees")
    if info.sample_aspect != 1:
        parts.append(f"pixels {info.sample_aspect.numerator}:{info.sample_aspect.denominator}")
    for track in info.tracks:
        language = "" if track.language == "und" else track.language
        parts.append(" ".join(filter(None, (track.kind, track.codec, language))))
    return ", ".join(parts)
