"""Small videos made in code: a bright disc that moves over a dark ground."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from cleancut.video.frame import Frame
from cleancut.video.reading import open_video

HEIGHT, WIDTH = 48, 64


def pictures(count: int, height: int = HEIGHT, width: int = WIDTH) -> Iterator[NDArray[np.uint8]]:
    y, x = np.mgrid[:height, :width]
    for number in range(count):
        middle = 10 + (number * 3) % (width - 20)
        edge = np.clip(height / 4 - np.hypot(y - height / 2, x - middle) + 0.5, 0, 1)
        grey = (20 + 215 * edge).astype(np.uint8)
        yield np.dstack([grey, grey, 255 - grey // 2])


def clip(
    path: Path, count: int = 20, *, rate: int = 10, sound: bool = False, scale: int = 1
) -> Path:
    """A video of ``count`` frames at ``rate`` a second, H.264 with a key frame every 5."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"g": "5", "crf": "10"})
        height, width = scale * HEIGHT, scale * WIDTH
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        tone = container.add_stream("aac", rate=8000) if sound else None
        for number, rgb in enumerate(pictures(count, height, width)):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts, frame.time_base = number * 1000 // rate, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if tone is not None:
            wave = np.sin(np.arange(8000 * count // rate) / 5).astype(np.float32)[None]
            samples = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
            samples.sample_rate, samples.pts = 8000, 0
            container.mux(tone.encode(samples))
            container.mux(tone.encode(None))
    return path


def frames_of(path: Path | str) -> list[Frame]:
    with open_video(str(path)) as reader:
        return list(reader.frames())


def times_of(path: Path | str) -> list[float]:
    with open_video(str(path)) as reader:
        return [round(reader.info.seconds(frame.pts), 6) for frame in reader.frames()]


def same_frames(one: Path | str, other: Path | str) -> bool:
    a, b = frames_of(one), frames_of(other)
    return len(a) == len(b) and all(
        left.pts == right.pts
        and np.array_equal(left.rgb, right.rgb)
        and (left.alpha is None) == (right.alpha is None)
        and (left.alpha is None or np.array_equal(left.alpha, right.alpha))
        for left, right in zip(a, b, strict=True)
    )
