"""Small videos of every kind for the tests of reading: a ramp of colours that moves."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from cleancut.video.frame import Frame
from cleancut.video.reading import VideoReader

WIDTH, HEIGHT = 64, 48
X264 = {"preset": "veryfast", "g": "8", "bf": "3"}


def picture(number: int, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """(H, W, 4) RGBA, different for every ``number``."""
    y, x = np.mgrid[:height, :width]
    planes = [x * 3 + number * 5, 60 + y * 3, 255 - x * 2 - number * 2, (x - number * 2) * 8]
    return np.dstack([np.clip(plane, 0, 255) for plane in planes]).astype(np.uint8)


def write_clip(
    path: Path,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    *,
    count: int = 10,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    times: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, 25),
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    format_: str | None = None,
    alpha: bool = False,
    setup: Callable[[Any], None] = lambda stream: None,
    source: Callable[[int], av.VideoFrame] | None = None,
) -> Path:
    """A video of ``count`` pictures; ``source`` gives frames that are coded as they are."""
    options = X264 if options is None and codec == "libx264" else options or {}
    with av.open(str(path), "w", format=format_, container_options=container or {}) as file:
        stream: Any = file.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        stream.time_base = stream.codec_context.time_base = time_base
        setup(stream)
        for number in range(count):
            if source is not None:
                frame = source(number)
            else:
                pixels = picture(number, *size)
                layout = "rgba" if alpha else "rgb24"
                pixels = pixels if alpha else np.ascontiguousarray(pixels[..., :3])
                frame = av.VideoFrame.from_ndarray(pixels, layout)
            frame.pts, frame.time_base = times[number] if times else number, time_base
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def mark(frame: Frame) -> tuple[int, int | None, int, int]:
    """All of a frame, small enough to compare."""
    alpha = 0 if frame.alpha is None else zlib.crc32(frame.alpha.tobytes())
    return frame.pts, frame.duration, zlib.crc32(frame.rgb.tobytes()), alpha


def marks(
    reader: VideoReader, start: int | None = None, stop: int | None = None
) -> list[tuple[int, int | None, int, int]]:
    return [mark(frame) for frame in reader.frames(start, stop)]
