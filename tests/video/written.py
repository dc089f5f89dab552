"""Small videos written through the package's own writers, and read back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cleancut.options import Options
from cleancut.video.form import output_form
from cleancut.video.frame import Frame, VideoInfo
from cleancut.video.join import join
from cleancut.video.options import VideoOptions
from cleancut.video.reading import open_video
from cleancut.video.writing import open_writer

WIDTH, HEIGHT = 64, 48
GREEN = Options(background="#00b140")
#: Times of a video without a constant rate, in 90000ths of a second.
PTS = (0, 3600, 7300, 10000, 14400, 18003, 25000, 28800, 32400, 36000)
LAST = 2250
INFO = VideoInfo(
    kind="pipe", width=WIDTH, height=HEIGHT, time_base=Fraction(1, 90000), rate=Fraction(25)
)


def frames(
    count: int = len(PTS),
    *,
    alpha: bool = True,
    deep: bool = False,
    size: tuple[int, int] = (WIDTH, HEIGHT),
) -> list[Frame]:
    """A soft disc that moves over a ramp of colours."""
    width, height = size
    y, x = np.mgrid[:height, :width]
    found = []
    for number, pts in enumerate(PTS[:count]):
        rgb: Any = np.empty((height, width, 3), np.uint8)
        rgb[..., 0], rgb[..., 2] = 200, 60
        rgb[..., 1] = np.clip(x * 2 + 4 * number, 0, 255)
        if deep:
            rgb = rgb.astype(np.uint16) * 256 + (x[..., None] * 4).astype(np.uint16)
        distance = np.hypot(x - width / 2 - number, y - height / 2)
        matte = np.clip((16 - distance) / 6, 0, 1).astype(np.float32)
        view = (rgb >> 8).astype(np.uint8) if deep else rgb
        lasts = LAST if number == count - 1 else None
        found.append(Frame(pts, rgb, view, matte if alpha else None, lasts))
    return found


def written(
    target: Path | str,
    shown: Sequence[Frame] | None = None,
    *,
    cuts: Sequence[int] = (),
    info: VideoInfo = INFO,
    options: Options | None = None,
    source: str = "",
    span: tuple[int, int | None] | None = None,
    **video: Any,
) -> tuple[str, ...]:
    """Write frames in parts that end before each of ``cuts``, and join them; the notes."""
    options, knobs = options or Options(), VideoOptions(**video)
    form = output_form(str(target), knobs, options, info)
    shown = frames(alpha=form.alpha) if shown is None else shown
    height, width = shown[0].rgb.shape[:2]
    near = next(folder for folder in Path(str(target)).parents if folder.is_dir())
    folder = near / "parts"
    folder.mkdir(exist_ok=True)
    edges = [0, *cuts, len(shown)]
    parts = []
    for number, (begin, end) in enumerate(pairwise(edges)):
        part = folder / f"{number}{form.part_suffix}"
        writer = open_writer(part, form, info, options, size=(width, height))
        for frame in shown[begin:end]:
            writer.write(frame)
        writer.close()
        parts.append(part)
    return join(parts, Path(target), source=source, info=info, form=form, video=knobs, span=span)


def back(path: Path | str, *, rate: Fraction | None = None) -> tuple[VideoInfo, list[Frame]]:
    """What a video says, and its frames."""
    with open_video(str(path), rate=rate) as reader:
        return reader.info, list(reader.frames())


def seconds(info: VideoInfo, shown: Sequence[Frame]) -> NDArray[np.float64]:
    return np.array([info.seconds(frame.pts) for frame in shown])


def tagged(**tags: Any) -> VideoInfo:
    return replace(INFO, kind="stream", **tags)
