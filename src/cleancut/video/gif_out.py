"""GIF: one palette for all frames, opaque or clear pixels, hundredths of seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2

from cleancut.video.apng_out import Still

#: Browsers show a GIF frame of less than 2 hundredths of a second for 10 of them.
_SHORTEST = 2
#: Opacity from which on a pixel is opaque, of 255.
_OPAQUE = 128


def write_gif(
    target: Path,
    stills: Callable[[], Iterator[Still]],
    spans: Sequence[tuple[Fraction, Fraction]],
    *,
    repeats: int,
) -> list[str]:
    """Look at all frames twice: for a palette of 255 colours and clear, and to write them.

    ``spans`` are their times and durations in seconds; ``repeats`` how often the animation is
    played, 0 for ever. The notes. Raises OSError, av's errors.
    """
    import av

    ticks, last = _ticks(spans)
    palette = _palette(s for s, tick in zip(stills(), ticks, strict=True) if tick is not None)
    end = round(sum(spans[-1], Fraction(0)) * 100)
    loop = -1 if repeats == 1 else max(0, repeats - 1)
    options = {"loop": str(loop), "final_delay": str(max(_SHORTEST, end - last))}
    with av.open(str(target), "w", format="gif", container_options=options) as container:
        stream: Any = None
        graph: Any = None
        for still, tick in zip(stills(), ticks, strict=True):
            if tick is None:
                continue
            if stream is None:
                stream = container.add_stream("gif", rate=100)
                stream.height, stream.width = still.pixels.shape[:2]
                stream.pix_fmt = "pal8"
                stream.codec_context.time_base = Fraction(1, 100)
                graph, source = _palette_user(still, palette)
            source.push(_frame(still, tick))
            container.mux(stream.encode(graph.vpull()))
        container.mux(stream.encode(None))
    dropped = ticks.count(None)
    if not dropped:
        return []
    return [f"gif_rate: {dropped} frames were left out, since GIFs end at 50 frames a second"]


def _ticks(spans: Sequence[tuple[Fraction, Fraction]]) -> tuple[list[int | None], int]:
    """When each frame is shown, in hundredths of a second, None where it is left out; the last."""
    ticks: list[int | None] = []
    last = -_SHORTEST
    for at, _ in spans:
        tick = round(at * 100)
        if tick - last < _SHORTEST:
            ticks.append(None)
            continue
        ticks.append(tick)
        last = tick
    return ticks, last


def _palette(stills: Iterator[Still]) -> Any:
    """FFmpeg's palettegen over all frames: median cut, weighted to what changes."""
    from av.filter import Graph

    graph: Any = None
    for number, still in enumerate(stills):
        if graph is None:
            graph = Graph()
            source = _buffer(graph, still.pixels.shape[1], still.pixels.shape[0])
            maker = graph.add("palettegen", "reserve_transparent=1:stats_mode=diff")
            sink = graph.add("buffersink")
            graph.link_nodes(source, maker, sink).configure()
        source.push(_frame(still, number))
    source.push(None)
    return graph.vpull()


def _palette_user(still: Still, palette: Any) -> tuple[Any, Any]:
    from av.filter import Graph

    graph = Graph()
    pictures = _buffer(graph, still.pixels.shape[1], still.pixels.shape[0])
    colours = _buffer(graph, palette.width, palette.height)
    user = graph.add("paletteuse", f"diff_mode=rectangle:alpha_threshold={_OPAQUE}")
    sink = graph.add("buffersink")
    pictures.link_to(user, 0, 0)
    colours.link_to(user, 0, 1)
    user.link_to(sink)
    graph.configure()
    palette.pts, palette.time_base = 0, Fraction(1, 100)
    colours.push(palette.reformat(format="bgra"))
    colours.push(None)
    return graph, pictures


def _buffer(graph: Any, width: int, height: int) -> Any:
    from av import VideoFormat

    return graph.add_buffer(
        width=width, height=height, format=VideoFormat("bgra"), time_base=Fraction(1, 100)
    )


def _frame(still: Still, tick: int) -> Any:
    from av import VideoFrame

    alpha = still.pixels.shape[2] == 4
    code = cv2.COLOR_RGBA2BGRA if alpha else cv2.COLOR_RGB2BGRA
    pixels: Any = cv2.cvtColor(still.pixels, code)
    frame = VideoFrame.from_ndarray(pixels, format="bgra")
    frame.pts, frame.time_base = tick, Fraction(1, 100)
    return frame
