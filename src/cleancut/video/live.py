"""From a camera to a virtual camera: always the newest frame, and how late it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import cv2

from cleancut.errors import BadOption, InputNotFound
from cleancut.video.camera_in import PATIENCE_S
from cleancut.video.dress import Dresser
from cleancut.video.latency import Latency

if TYPE_CHECKING:
    from cleancut.arrays import Rgb
    from cleancut.engine import Engine
    from cleancut.options import Options
    from cleancut.video.frame import Frame, VideoInfo
    from cleancut.video.mattes import Matter
    from cleancut.video.options import VideoOptions

#: Image models for cameras, the quickest first.
_QUICK = ("selfie-landscape", "selfie", "modnet", "cleancut-nano")
#: Seconds between two reports while it runs.
_EVERY_S = 2.0
#: A camera's first frames are dark.
_SKIPPED = 5


class Source(Protocol):
    """A camera that is open."""

    @property
    def info(self) -> VideoInfo:
        """Size, rate and notes."""
        ...

    def frames(self) -> Iterator[Frame]:
        """Frames as they come; waits for each."""
        ...


class Screen(Protocol):
    """What shows frames, (H, W, 3) uint8 each."""

    def send(self, rgb: Rgb) -> None:
        """Show a frame from now on."""
        ...


@dataclass(frozen=True, slots=True)
class LiveReport:
    """What happened so far: frames sent, frames of the camera that were left out for newer ones.

    Latencies are from a frame's arrival to when it was sent, in milliseconds.
    """

    frames: int
    dropped: int
    seconds: float
    fps: float
    latency_ms_median: float | None
    latency_ms_p95: float | None
    networks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)


def quick_options(
    options: Options, video: VideoOptions
) -> tuple[Options, VideoOptions, tuple[str, ...]]:
    """Options under which a camera can be followed, and a note on the network.

    No look-ahead. Where nothing was asked for: rvm where it is pulled and allowed, else the
    quickest image model that is.
    """
    from cleancut.catalog import find
    from cleancut.weights.resolve import is_pulled

    video = replace(video, look_ahead=0)
    if video.engine == "rvm" or options.model != "auto":
        return options, video, ()

    def usable(name: str) -> bool:
        spec = find(name)
        refused = options.commercial_only and spec.commercial != "yes"
        return not refused and bool(is_pulled(spec))

    if video.engine == "auto" and usable("rvm"):
        return options, replace(video, engine="rvm"), ()
    for name in _QUICK:
        if usable(name):
            note = f"engine: {name}, which is quick enough; for people rvm is steadier"
            return options.with_(model=name), video, (note,)
    return options, video, ()


def check_opaque(options: Options, video: VideoOptions) -> None:
    """Raise ``BadOption`` where frames would be transparent: a camera has no transparency."""
    from cleancut.options import parse_background

    wanted = parse_background(options.background)
    if video.matte_only or video.side_by_side or (wanted and wanted.opacity >= 1):
        return
    raise BadOption("a virtual camera has no transparency", hint="add: --background blur")


class Newest:
    """A camera read by a thread of its own; what nobody took in time is replaced."""

    def __init__(self, frames: Iterator[Frame]) -> None:
        self.dropped = 0
        self._frames = frames
        self._ready = threading.Condition()
        self._slot: tuple[Frame, float] | None = None
        self._error: BaseException | None = None
        self._ended = self._stop = False
        self._thread = threading.Thread(target=self._read, name="cleancut-camera", daemon=True)
        self._thread.start()

    def take(self, timeout: float) -> tuple[Frame, float] | None:
        """The newest frame and when it came; None when there will be no more.

        Waits for one; ``InputNotFound`` where none comes within ``timeout`` seconds. Raises what
        reading raised.
        """
        with self._ready:
            there = self._ready.wait_for(
                lambda: self._slot is not None or self._ended, timeout=timeout
            )
            found, self._slot = self._slot, None
            if found is None and self._error is not None:
                raise self._error
            if found is None and not there:
                raise InputNotFound(
                    f"the camera gave no frame for {timeout:.0f} seconds",
                    hint="check its cable, then start again",
                )
            return found

    def stop(self, patience_s: float = 2.0) -> bool:
        """Stop reading; whether the thread has ended."""
        self._stop = True
        self._thread.join(patience_s)
        return not self._thread.is_alive()

    def _read(self) -> None:
        try:
            for frame in self._frames:
                with self._ready:
                    self.dropped += self._slot is not None
                    self._slot = frame, time.perf_counter()
                    self._ready.notify()
                if self._stop:
                    return
        except BaseException as error:
            self._error = error
        finally:
            with self._ready:
                self._ended = True
                self._ready.notify()


def run_live(
    camera: Source,
    open_screen: Callable[[tuple[int, int], float], Screen],
    engine: Engine,
    options: Options,
    video: VideoOptions,
    *,
    mirror: bool = False,
    cancelled: Callable[[], bool] | None = None,
    on_report: Callable[[LiveReport], None] | None = None,
) -> LiveReport:
    """Cut out what ``camera`` sees until it ends or ``cancelled`` says so.

    ``open_screen`` is called once with width, height and rate. Neither is closed here: whoever
    opened them does. ``on_report`` is called every two seconds. Raises what networks, the camera
    and the screen raise.
    """
    from cleancut.video.choose import choose_matter

    check_opaque(options, video)
    options, video, notes = quick_options(options, video)
    newest = Newest(camera.frames())
    late = Latency()
    try:
        with Dresser(options, video, camera.info) as dresser:
            found = _first(newest)
            if found is None:
                return _report(late, newest, 0.0, (), notes)
            matter, more = choose_matter(engine, options, video, camera.info, [found[0]])
            notes = (*camera.info.notes, *notes, *more)
            screen = open_screen(dresser.size, float(camera.info.rate or 30))
            matter.step(found[0], None)  # loads the network; the frame is late by then
            newest.dropped = 0
            return _follow(
                newest, matter, dresser, screen, late, notes, mirror, cancelled, on_report
            )
    finally:
        newest.stop()


def _first(newest: Newest) -> tuple[Frame, float] | None:
    found = newest.take(PATIENCE_S)
    for _ in range(_SKIPPED):
        if (after := newest.take(PATIENCE_S)) is None:
            break
        found = after
    return found


def _follow(
    newest: Newest,
    matter: Matter,
    dresser: Dresser,
    screen: Screen,
    late: Latency,
    notes: tuple[str, ...],
    mirror: bool,
    cancelled: Callable[[], bool] | None,
    on_report: Callable[[LiveReport], None] | None,
) -> LiveReport:
    memory: Any = None
    began = told = time.perf_counter()
    while not (cancelled is not None and cancelled()):
        found = newest.take(PATIENCE_S)
        if found is None:
            break
        frame, came = found
        if mirror:
            turned: Any = cv2.flip(frame.rgb, 1)
            frame = replace(frame, rgb=turned, view=turned)
        answers, memory = matter.step(frame, memory)
        for matted in answers:
            screen.send(dresser.dress(matted).view)
        now = time.perf_counter()
        late.add(now - came)
        if on_report is not None and now - told >= _EVERY_S:
            told = now
            on_report(_report(late, newest, now - began, matter.names, notes))
    return _report(late, newest, time.perf_counter() - began, matter.names, notes)


def _report(
    late: Latency,
    newest: Newest,
    seconds: float,
    networks: tuple[str, ...],
    notes: tuple[str, ...],
) -> LiveReport:
    return LiveReport(
        frames=late.frames,
        dropped=newest.dropped,
        seconds=round(seconds, 2),
        fps=round(late.frames / seconds, 1) if seconds > 0 else 0.0,
        networks=networks,
        notes=notes,
        **late.facts(),
    )
