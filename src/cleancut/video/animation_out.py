"""Animated pictures, made of the lossless parts of a video in one go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cleancut.video.apng_out import Still
from cleancut.video.part import PartFacts, timeline

if TYPE_CHECKING:
    from cleancut.video.form import Form
    from cleancut.video.frame import VideoInfo


def write_animation(
    target: Path,
    parts: Sequence[Path],
    facts: Sequence[PartFacts],
    *,
    form: Form,
    info: VideoInfo,
) -> list[str]:
    """Encode the frames of all parts as one animation; the notes. Raises OSError, av's errors."""
    times = timeline(facts, info)
    first = times.pts[0]
    spans = [
        ((at - first) * times.base, lasts * times.base)
        for at, lasts in zip(times.pts, times.durations, strict=True)
    ]

    def stills() -> Iterator[Still]:
        for pixels, (at, lasts) in zip(_decoded(parts), spans, strict=True):
            yield Still(pixels, at, lasts)

    if form.name == "apng":
        from cleancut.video.apng_out import write_apng

        write_apng(target, stills(), count=len(spans), form=form, repeats=info.repeats)
        return []
    if form.name == "gif":
        from cleancut.video.gif_out import write_gif

        return write_gif(target, stills, spans, repeats=info.repeats)
    _write_webp(target, stills(), form, info)
    return []


def _decoded(parts: Sequence[Path]) -> Iterator[NDArray[Any]]:
    import av

    for part in parts:
        with av.open(str(part), format="matroska") as container:
            container.streams.video[0].thread_type = "AUTO"
            for frame in container.decode(video=0):
                yield _pixels(frame)


def _pixels(frame: Any) -> NDArray[Any]:
    name = frame.format.name
    if name in ("bgra", "bgr0"):
        packed = _plane(frame.planes[0], np.dtype(np.uint8), 4)
        code = cv2.COLOR_BGRA2RGBA if name == "bgra" else cv2.COLOR_BGRA2RGB
        return cv2.cvtColor(packed, code)
    green, blue, red, *alpha = (_plane(p, np.dtype("<u2"), 1) for p in frame.planes)
    return cv2.merge([red, green, blue, *alpha])


def _plane(plane: Any, depth: np.dtype[Any], channels: int) -> NDArray[Any]:
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    row = plane.width * channels * depth.itemsize
    values = np.ascontiguousarray(rows[: plane.height, :row]).view(depth)
    return values.reshape(plane.height, plane.width, channels) if channels > 1 else values


def _write_webp(target: Path, stills: Iterator[Still], form: Form, info: VideoInfo) -> None:
    import av

    quality = 85 if form.quality is None else form.quality
    options = {
        "lossless": "1" if quality == 100 else "0",
        "quality": str(75 if quality == 100 else quality),
        "compression_level": "4" if form.compress == "small" else "2",
    }
    loop = {"loop": str(info.repeats)}
    with av.open(str(target), "w", format="webp", container_options=loop) as container:
        stream: Any = None
        for still in stills:
            if stream is None:
                stream = container.add_stream("libwebp_anim", rate=1000, options=options)
                stream.height, stream.width = still.pixels.shape[:2]
                stream.pix_fmt = "bgra"
                stream.codec_context.time_base = Fraction(1, 1000)
            alpha = still.pixels.shape[2] == 4
            code = cv2.COLOR_RGBA2BGRA if alpha else cv2.COLOR_RGB2BGRA
            pixels: Any = cv2.cvtColor(still.pixels, code)
            frame = av.VideoFrame.from_ndarray(pixels, format="bgra")
            frame.pts, frame.time_base = round(still.at * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    _end_webp(target, round((still.at + still.lasts) * 1000) - round(still.at * 1000))


def _end_webp(target: Path, lasts_ms: int) -> None:
    """Set the last frame's duration, which the encoder cannot know and guesses."""
    with target.open("rb+") as file:
        file.seek(12)
        last = 0
        while len(head := file.read(8)) == 8:
            if head[:4] == b"ANMF":
                last = file.tell()
            size = int.from_bytes(head[4:], "little")
            file.seek(size + size % 2, 1)
        if last:
            file.seek(last + 12)
            file.write(max(1, min(lasts_ms, 0xFFFFFF)).to_bytes(3, "little"))
