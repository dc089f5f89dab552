"""What a stream's first frames and its container tell, before anything is promised about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice, pairwise
from typing import TYPE_CHECKING

from cleancut.errors import OutOfMemory, UnreadableVideo
from cleancut.video.decoding import Opened, Timing
from cleancut.video.frame import USUAL_RATE, ColourTags, Track, VideoInfo
from cleancut.video.pixels_in import Layout, PixelReader, layout_of, tags_of

if TYPE_CHECKING:
    from av import VideoFrame, VideoStream
    from av.stream import Stream

#: So many frames tell whether times are given and whether fields are interlaced.
_PROBED = 4
_MOST_BROKEN = 500
_WIDEST_ASPECT = 16
_FASTEST = 1000
#: Containers in which the same frame has the same time wherever reading began. Others, such as
#: MPEG program streams, give times to packs, and guess those of frames.
_SEEKABLE = {
    "mov",
    "matroska",
    "avi",
    "mpegts",
    "flv",
    "nut",
    "mxf",
    "ivf",
    "yuv4mpegpipe",
    "m4v",
    "asf",
    "ogg",
    "dv",
    "rm",
    "gxf",
}
_TURNED = {3: 180, 5: 90, 6: 90, 7: 270, 8: 270}


@dataclass(frozen=True, slots=True)
class Probe:
    """What the first frames of a stream show."""

    layout: Layout
    tags: ColourTags
    timing: Timing
    notes: tuple[str, ...]


def probe(opened: Opened) -> Probe:
    """Look at the first frames of a stream.

    Raises ``UnreadableVideo`` if there is none, PyAV's errors.
    """
    frames = list(islice(_first_frames(opened), _PROBED))
    if not frames:
        raise undecodable(opened)
    first, stream = frames[0], opened.stream
    tags = _tags(first, stream)
    codec = codec_of(stream)
    layout, found = layout_of(first, tags, codec)
    timing = _timing(opened, frames)
    notes = [*opened.notes, *found]
    if timing.counted:
        notes.append("timestamps: the video gives its frames no usable times; they were counted")
    if timing.interlaced:
        notes.append("interlaced: the video is interlaced, and was deinterlaced (bwdif)")
    if layout.alpha and codec == "rawvideo":
        _, alpha = PixelReader(layout).read(first)
        if alpha is not None and not alpha.any():
            layout = replace(layout, alpha=False)
            notes.append("alpha_unused: the video's alpha is empty, and was left out")
    if _aspect(stream) is None:
        notes.append("aspect: the shape of the video's pixels is absurd; square ones were taken")
    return Probe(layout, tags, timing, tuple(notes))


def info_of(opened: Opened, found: Probe) -> VideoInfo:
    """What is known about a stream."""
    container, stream, timing = opened.container, opened.stream, found.timing
    width, height = found.layout.size
    turned = found.layout.orientation >= 5
    aspect = _aspect(stream) or Fraction(1)
    end = timing.end
    return VideoInfo(
        kind="stream",
        width=height if turned else width,
        height=width if turned else height,
        time_base=timing.time_base,
        start_pts=timing.first_pts,
        duration_s=None if end is None else float((end - timing.first_pts) * timing.time_base),
        frames=stream.frames or None,
        rate=_rate(stream),
        bits=found.layout.bits,
        has_alpha=found.layout.alpha,
        sample_aspect=1 / aspect if turned else aspect,
        rotation=_TURNED.get(found.layout.orientation, 0),
        colour=found.tags,
        container=container.format.name,
        codec=codec_of(stream),
        tracks=tuple(_tracks(opened)),
        seekable=timing.seekable,
        notes=found.notes,
    )


def undecodable(opened: Opened) -> UnreadableVideo:
    """The error for a stream without a frame that can be decoded."""
    name = codec_of(opened.stream)
    return UnreadableVideo(
        f"no frame of the video ({name}) can be decoded: it is damaged, cut off or protected",
        hint="check that it plays; if it does, convert it to H.264 in MP4 and try again",
    )


def codec_of(stream: Stream) -> str:
    """The codec of a stream, by whichever decoder: "av1", not "libdav1d"."""
    codec = stream.codec_context.codec
    return str(getattr(codec, "canonical_name", codec.name))


def _first_frames(opened: Opened) -> Iterator[VideoFrame]:
    import av

    decoder = opened.decoder(threads=1)
    broken = 0
    packets = opened.container.demux(opened.stream)
    while True:
        packet = None
        try:
            packet = next(packets, None)
            if packet is not None and packet.size == 0:
                continue
            yield from decoder.decode(packet)
        except MemoryError as error:
            raise OutOfMemory("not enough memory to decode the video") from error
        except (av.error.FFmpegError, ValueError):
            broken += 1
            if broken > _MOST_BROKEN:
                return
        if packet is None:
            return


def _timing(opened: Opened, frames: list[VideoFrame]) -> Timing:
    stream = opened.stream
    times = [frame.pts for frame in frames]
    known = [pts for pts in times if pts is not None]
    base = stream.time_base or Fraction(0)
    counted = base <= 0 or len(known) < len(times)
    counted = counted or any(b <= a for a, b in pairwise(known))
    interlaced = any(frame.interlaced_frame for frame in frames)
    rate = _rate(stream)
    if counted:
        rate = rate or USUAL_RATE
        ends = round((_seconds(opened) or 0) * rate) or None
        return Timing(1 / rate, 0, 1, counted=True, seekable=False, interlaced=interlaced, end=ends)
    seekable = not _SEEKABLE.isdisjoint(opened.container.format.name.split(","))
    step = max(1, round(1 / (rate * base))) if rate else max(1, frames[0].duration or 1)
    seconds = _seconds(opened)
    end = None if seconds is None else known[0] + max(1, round(seconds / base))
    return Timing(base, known[0], step, seekable=seekable, interlaced=interlaced, end=end)


def _seconds(opened: Opened) -> Fraction | None:
    """How long the stream is by its container; None where that is unknown or absurd."""
    stream, container = opened.stream, opened.container
    if stream.duration is not None and stream.time_base:
        seconds = stream.duration * stream.time_base
    elif container.duration is not None:
        seconds = Fraction(container.duration, 1_000_000)
    else:
        return None
    return seconds if 0 < seconds < 10**7 else None


def _rate(stream: VideoStream) -> Fraction | None:
    """Frames a second on average; None where the container says nothing sensible."""
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate and Fraction(1, 1000) <= rate <= _FASTEST:
            return Fraction(rate)
    return None


def _aspect(stream: VideoStream) -> Fraction | None:
    """Width of a pixel by its height, 1 where nothing is said, None where it is absurd."""
    aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    if not aspect:
        return Fraction(1)
    return Fraction(aspect) if 1 <= max(aspect, 1 / aspect) <= _WIDEST_ASPECT else None


def _tags(first: VideoFrame, stream: VideoStream) -> ColourTags:
    """The frame's tags, and the container's where the frame is silent."""
    tags, context = tags_of(first), stream.codec_context
    if tags.primaries == 2 and context.color_primaries not in (0, 2):
        tags = replace(tags, primaries=int(context.color_primaries))
    if tags.transfer == 2 and context.color_trc not in (0, 2):
        tags = replace(tags, transfer=int(context.color_trc))
    if tags.matrix == 2 and context.colorspace not in (0, 2):
        tags = replace(tags, matrix=int(context.colorspace))
    if first.color_range == 0 and context.color_range == 2:
        tags = replace(tags, full_range=True)
    return tags


def _tracks(opened: Opened) -> Iterator[Track]:
    for stream in opened.container.streams:
        if stream.codec_context is None or stream.type not in ("audio", "subtitle"):
            continue
        yield Track(
            stream.index,
            "audio" if stream.type == "audio" else "subtitle",
            codec_of(stream),
            (stream.language or "")[:16],
        )
