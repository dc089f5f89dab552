"""From packets to frames in order of time: exact spans, mended times, what is broken left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, cast

from cleancut.errors import OutOfMemory
from cleancut.extras import extra

if TYPE_CHECKING:
    from av import Packet, VideoCodecContext, VideoFrame, VideoStream
    from av.container import InputContainer
    from av.filter import Graph

    from cleancut.video.frame import VideoInfo

#: How far before a span decoding begins, in seconds, until a key frame is found that precedes it.
_REACHES = (0, 1, 5, 25)
#: Packets without a key frame among them, after which a file is read from its beginning.
_PATIENCE = 5000
#: VP8 and VP9 with alpha: FFmpeg's own decoders leave it out, libvpx's do not.
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}


@dataclass(frozen=True, slots=True)
class Opened:
    """A container that is open, and the stream in it that is shown."""

    container: InputContainer
    stream: VideoStream
    max_pixels: int
    notes: tuple[str, ...] = ()

    def decoder(self, *, threads: int = 0) -> VideoCodecContext:
        """A decoder for the stream's packets on ``threads`` threads, 0: as many as are useful."""
        from av import CodecContext

        context: VideoCodecContext = self.stream.codec_context
        name = _ALPHA_DECODERS.get(context.name)
        # Muxers spell the tag in small letters or in capitals.
        tags = {key.lower(): value for key, value in self.stream.metadata.items()}
        if name is not None and tags.get("alpha_mode") == "1":
            context = cast("VideoCodecContext", CodecContext.create(name, "r"))
        context.options = {"max_pixels": str(self.max_pixels)}
        context.thread_count = threads
        context.thread_type = "AUTO"
        return context

    def close(self) -> None:
        """Close the file."""
        self.container.close()


@dataclass(frozen=True, slots=True)
class Timing:
    """What is known about the times of a stream's frames, in its ``time_base``.

    ``step`` is the usual distance of two frames, ``end`` the end that the container states, None
    where it does not. ``counted``: times cannot be trusted, and frames are counted instead.
    ``seekable``: a frame has the same time wherever reading began; else it begins at the beginning.
    """

    time_base: Fraction
    first_pts: int
    step: int
    counted: bool = False
    seekable: bool = True
    interlaced: bool = False
    end: int | None = None


class Decoding:
    """One pass over a span of a stream, with a decoder of its own; counts what went wrong."""

    def __init__(self, opened: Callable[[], Opened], timing: Timing) -> None:
        self._open = opened
        self._timing = timing
        self._broken = self._mended = 0
        self._last: int | None = None
        self._cut_off = self._complete = False

    def frames(self, start: int | None, stop: int | None) -> Iterator[tuple[int, int, VideoFrame]]:
        """(pts, duration, frame) with ``start`` <= pts < ``stop``, in order.

        A frame lasts until the next one, which is looked at even beyond ``stop``: what containers
        say about it may be wrong, and may depend on where reading began.
        """
        held: tuple[int, VideoFrame] | None = None
        for pts, frame in self._reached(start):
            if held is not None:
                yield held[0], pts - held[0], held[1]
            held = None
            if stop is not None and pts >= stop:
                return
            if start is None or pts >= start:
                held = pts, frame
        if held is not None:
            yield (
                held[0],
                (not self._timing.counted and held[1].duration) or self._timing.step,
                held[1],
            )
        self._complete = True

    def notes(self, info: VideoInfo) -> Iterator[str]:
        """What the pass came across."""
        if self._broken:
            yield f"damaged: {self._broken} broken pieces of the video were left out or patched"
        if self._mended:
            yield f"timestamps: {self._mended} frames without a usable time were given one"
        if not self._complete or self._last is None:
            return
        over = self._last + self._timing.step
        at = info.seconds(over)
        lacking = float(((self._timing.end or over) - over) * info.time_base)
        if self._cut_off or lacking > max(0.5, 0.02 * (info.duration_s or 0)):
            yield f"truncated: the video breaks off at {at:.1f} s; what is there was read"

    def _reached(self, start: int | None) -> Iterator[tuple[int, VideoFrame]]:
        """Frames from one at or before ``start`` on, the same as from the beginning."""
        # A deinterlacer looks at one frame before; the second makes sure that it has seen it.
        margin = 2 * self._timing.step if self._timing.interlaced else 0
        for target in self._targets(start, margin):
            self._broken = self._mended = 0
            frames = self._mended_times(target)
            first = next(frames, None)
            if target is None or (first is not None and start is not None):
                if first is None:
                    return
                if target is None or first[0] <= (start or 0) - margin:
                    yield first
                    yield from frames
                    return

    def _targets(self, start: int | None, margin: int) -> Iterator[int | None]:
        """Where to seek, one after the other until it is early enough; None: the beginning."""
        timing = self._timing
        if start is not None and timing.seekable:
            second = max(1, round(1 / timing.time_base))
            for reach in _REACHES:
                target = start - margin - reach * second
                if target <= timing.first_pts:
                    break
                yield target
        yield None

    def _mended_times(self, target: int | None) -> Iterator[tuple[int, VideoFrame]]:
        timing, last = self._timing, None
        for count, (pts, frame) in enumerate(self._shown(target)):
            if timing.counted:
                pts = timing.first_pts + count * timing.step
            elif pts is None or (last is not None and pts <= last):
                if last is None and target is not None:
                    return
                pts = timing.first_pts if last is None else last + timing.step
                self._mended += 1
            last = self._last = pts
            yield pts, frame

    def _shown(self, target: int | None) -> Iterator[tuple[int | None, VideoFrame]]:
        opened = self._open()
        try:
            decoded = self._decoded(opened, target)
            if self._timing.interlaced:
                yield from deinterlaced(decoded, opened.stream.time_base)
            else:
                for frame in decoded:
                    yield frame.pts, frame
        finally:
            opened.close()

    def _decoded(self, opened: Opened, target: int | None) -> Iterator[VideoFrame]:
        with extra("video"):
            import av

        decoder = opened.decoder()
        for packet in self._packets(opened, target):
            try:
                frames = decoder.decode(packet)
            except MemoryError as error:
                raise _too_little_memory() from error
            except (av.error.FFmpegError, ValueError):
                self._broken += 1
                if packet is None:
                    return
                continue
            for frame in frames:
                self._broken += frame.is_corrupt
                yield frame

    def _packets(self, opened: Opened, target: int | None) -> Iterator[Packet[VideoStream] | None]:
        """Packets of the stream, from a key frame on where ``target`` was sought; then None."""
        with extra("video"):
            import av

        waiting = target is not None
        try:
            if target is not None:
                opened.container.seek(target, stream=opened.stream, backward=True)
            for passed, packet in enumerate(opened.container.demux(opened.stream)):
                if packet.size == 0:  # the end, or a frame left out by its encoder
                    continue
                if waiting and not packet.is_keyframe:
                    if passed > _PATIENCE:
                        return
                    continue
                waiting = False
                self._broken += packet.is_corrupt
                yield packet
        except MemoryError as error:
            raise _too_little_memory() from error
        except (av.error.FFmpegError, ValueError, OverflowError):
            if target is not None and waiting:  # it cannot be sought there
                return
            self._cut_off = True
        yield None


def deinterlaced(
    frames: Iterator[VideoFrame], time_base: Fraction | None
) -> Iterator[tuple[int | None, VideoFrame]]:
    """(pts, frame): interlaced frames as whole ones (bwdif), the others as they are.

    One frame for one frame, with its time.
    """
    graph: Graph | None = None
    shape: tuple[int, int, str] | None = None
    for frame in frames:
        found = (frame.width, frame.height, frame.format.name)
        if found != shape:
            if graph is not None:
                yield from _drained(graph, time_base)
            graph, shape = _graph(frame, time_base), found
        assert graph is not None
        graph.push(frame)
        yield from _pulled(graph, time_base)
    if graph is not None:
        yield from _drained(graph, time_base)


def _graph(frame: VideoFrame, time_base: Fraction | None) -> Graph:
    from av.filter import Graph

    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=time_base
    )
    bwdif = graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
    sink = graph.add("buffersink")
    graph.link_nodes(source, bwdif, sink).configure()
    return graph


def _drained(graph: Graph, time_base: Fraction | None) -> Iterator[tuple[int | None, VideoFrame]]:
    graph.push(None)
    yield from _pulled(graph, time_base)


def _pulled(graph: Graph, time_base: Fraction | None) -> Iterator[tuple[int | None, VideoFrame]]:
    from av.error import EOFError as EndOfFile

    while True:
        try:
            frame: VideoFrame = graph.pull()  # type: ignore[assignment]
        except (BlockingIOError, EndOfFile):
            return
        pts = frame.pts
        if pts is not None and frame.time_base and time_base:  # the filter counts in halves
            pts = round(pts * frame.time_base / time_base)
        yield pts, frame


def _too_little_memory() -> OutOfMemory:
    return OutOfMemory(
        "not enough memory to decode the video", hint="close other programs or convert it smaller"
    )
