"""Raw frames in, raw frames out: one for one, as soon as it is ready."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeAlias

import cv2
import numpy as np

from cleancut.errors import BadOption, ImageTooLarge, UnreadableVideo
from cleancut.imaging.encode import quantise
from cleancut.matting.foreground import clear_hidden
from cleancut.video.dress import Dresser
from cleancut.video.frame import Frame
from cleancut.video.latency import Latency

if TYPE_CHECKING:
    from cleancut.engine import Engine
    from cleancut.options import Options
    from cleancut.video.mattes import Matted, Matter
    from cleancut.video.options import VideoOptions

PipePixels: TypeAlias = Literal["rgb24", "rgba"]
#: Bytes of a pixel.
_DEPTH = {"rgb24": 3, "rgba": 4}
#: Seconds between two reports, and bytes written at once.
_EVERY_S = 2.0
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class PipeReport:
    """What went through: ``pixels`` and ``size`` are those of the frames that came out.

    Latencies are from a frame's last byte to its answer's, in milliseconds.
    """

    frames: int
    seconds: float
    fps: float
    pixels: str
    size: tuple[int, int]
    latency_ms_median: float | None
    latency_ms_p95: float | None
    networks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)


def run_pipe(
    source: BinaryIO,
    target: BinaryIO,
    engine: Engine,
    options: Options,
    video: VideoOptions,
    *,
    size: tuple[int, int],
    pixels: PipePixels = "rgb24",
    on_report: Callable[[PipeReport], None] | None = None,
) -> PipeReport:
    """Cut out frames of ``size`` (width, height) from ``source`` until it ends.

    What comes out is RGBA, straight, or rgb24 where nothing is transparent (a background, a matte,
    side by side); every frame is flushed. ``on_report`` is called every two seconds. Raises
    ``UnreadableVideo`` where the last frame is not whole, ``ImageTooLarge``, ``BrokenPipeError``
    and what networks raise.
    """
    if pixels not in _DEPTH:
        raise BadOption(f"--pipe: {pixels!r} is not a choice", hint="one of: rgb24, rgba")
    megapixels = size[0] * size[1] / 1e6
    if megapixels > options.max_megapixels:
        raise ImageTooLarge(
            f"{size[0]} x {size[1]} pixels are more than {options.max_megapixels:g} megapixels",
            hint=f"use --max-megapixels {int(megapixels) + 1}",
        )
    return _Pipe(source, target, engine, options, video, size, pixels).run(on_report)


class _Pipe:
    """One run, from the first frame to the last."""

    def __init__(
        self,
        source: BinaryIO,
        target: BinaryIO,
        engine: Engine,
        options: Options,
        video: VideoOptions,
        size: tuple[int, int],
        pixels: PipePixels,
    ) -> None:
        self._source, self._target = source, target
        self._engine, self._options, self._video = engine, options, video
        self._shape = (size[1], size[0], _DEPTH[pixels])
        self._late = Latency()
        self._came: dict[int, float] = {}
        self._began: float | None = None
        self._matter: Matter | None = None
        self._notes: tuple[str, ...] = ()

    def run(self, on_report: Callable[[PipeReport], None] | None) -> PipeReport:
        from cleancut.video.choose import choose_matter
        from cleancut.video.cutting import counted_info

        memory: Any = None
        blank = np.zeros((*self._shape[:2], 3), np.uint8)
        info = counted_info(Frame(0, blank, blank))
        told = time.perf_counter()
        with Dresser(self._options, self._video, info) as dresser:
            while (frame := self._read()) is not None:
                if self._matter is None:
                    self._matter, self._notes = choose_matter(
                        self._engine, self._options, self._video, info, [frame]
                    )
                answers, memory = self._matter.step(frame, memory)
                self._write(answers, dresser)
                if on_report is not None and time.perf_counter() - told >= _EVERY_S:
                    told = time.perf_counter()
                    on_report(self._report(dresser))
            if self._matter is not None:
                self._write(self._matter.finish(memory), dresser)
            return self._report(dresser)

    def _read(self) -> Frame | None:
        """The next frame; None at the end."""
        held: Any = np.empty(self._shape, np.uint8)
        room = memoryview(held).cast("B")
        have = 0
        while have < len(room):
            got = self._source.readinto(room[have:])  # type: ignore[attr-defined]
            if not got:
                break
            have += got
        if have == 0:
            return None
        number = self._late.frames + len(self._came)
        if have < len(room):
            height, width, depth = self._shape
            raise UnreadableVideo(
                f"frame {number} ends after {have} of {len(room)} bytes",
                hint=f"send whole frames of {width}x{height}x{depth} bytes; is --size right?",
            )
        now = time.perf_counter()
        self._began = self._began or now
        self._came[number] = now
        if self._shape[2] == 3:
            return Frame(number, held, held)
        rgb: Any = cv2.cvtColor(held, cv2.COLOR_RGBA2RGB)
        alpha: Any = held[..., 3].astype(np.float32) / np.float32(255)
        return Frame(number, rgb, rgb, alpha)

    def _write(self, answers: tuple[Matted, ...], dresser: Dresser) -> None:
        for matted in answers:
            made = dresser.dress(matted)
            out: Any = made.rgb
            if made.alpha is not None:
                shown: Any = clear_hidden(out, made.alpha)
                out = cv2.cvtColor(shown, cv2.COLOR_RGB2RGBA)
                out[..., 3] = quantise(made.alpha, 8)
            out = np.ascontiguousarray(out)
            rest = memoryview(out).cast("B")
            while rest:  # a raw stream may take less
                rest = rest[self._target.write(rest[:_CHUNK]) or 0 :]
            self._target.flush()
            self._late.add(time.perf_counter() - self._came.pop(made.pts))

    def _report(self, dresser: Dresser) -> PipeReport:
        began = self._began
        seconds = 0.0 if began is None else time.perf_counter() - began
        return PipeReport(
            frames=self._late.frames,
            seconds=round(seconds, 2),
            fps=round(self._late.frames / seconds, 1) if seconds > 0 else 0.0,
            pixels="rgba" if dresser.alpha else "rgb24",
            size=dresser.size,
            networks=() if self._matter is None else self._matter.names,
            notes=self._notes,
            **self._late.facts(),
        )
