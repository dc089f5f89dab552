"""Streams through PyAV: opened without going anywhere else, the best track, frames as arrays."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from cleancut.errors import CleancutError, ImageTooLarge, NoVideoStream, UnreadableVideo
from cleancut.extras import extra
from cleancut.video.decoding import Decoding, Opened
from cleancut.video.frame import Frame, VideoInfo
from cleancut.video.pixels_in import PixelReader
from cleancut.video.probing import Probe, info_of, probe, undecodable
from cleancut.video.reading import VideoReader
from cleancut.video.tones import view_of

if TYPE_CHECKING:
    from av import VideoStream
    from av.container import InputContainer

#: Demuxers that read one file and name no other. Playlists (HLS, DASH, concat), devices, nets,
#: pictures and whatever takes text for a video are not among them.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,live_flv,asf,ogg,nut,mxf,"
    "gxf,dv,rm,ivf,h264,hevc,vvc,av1,obu,m4v,h263,h261,vc1,vc1test,cavsvideo,avs2,avs3,evc,dirac,"
    "yuv4mpegpipe,swf,wtv,roq,bink,smk,amv,nsv,nuv,film_cpk,mjpeg,mjpeg_2000,mpjpeg,4xm,flic,thp,"
    "vivo,wc3movie,xmv,yop,ea,dhav,ifv,kux,lxf,mlv,mods,moflex,cine,ser,cdxl,filmstrip,vmd,smush,"
    "pva,ty,mp3,wav,flac,aac,aiff,w64,caf"
)
#: Suffixes of JPEGs that follow one another without a container.
JPEG_STREAMS = (".mjpeg", ".mjpg")


def open_stream(path: Path, head: bytes, *, max_megapixels: float) -> StreamReader:
    """Open a file of any container in ``FORMATS``; ``head`` is its first bytes, for the error.

    Raises ``UnreadableVideo``, ``NoVideoStream``, ``ImageTooLarge``, ``MissingDependency``.
    """
    with extra("video"):
        import av

    def opened() -> Opened:
        container = _open(path, head, max_megapixels)
        try:
            stream, notes = _best(container)
            _check_size(stream, max_megapixels)
            return Opened(container, stream, _most_pixels(max_megapixels), notes)
        except BaseException:
            container.close()
            raise

    first = opened()
    try:
        found = probe(first)
        if found.timing.seekable and first.container.format.name == "mpegts":
            facts = path.stat()
            if not _times_run_on(path, facts.st_size, facts.st_mtime_ns, first.stream.index):
                found = replace(found, timing=replace(found.timing, seekable=False))
        return StreamReader(opened, found, info_of(first, found))
    except (av.error.FFmpegError, ValueError, OverflowError) as error:
        raise undecodable(first) from error
    finally:
        first.close()


class StreamReader(VideoReader):
    """A ``VideoReader`` of a stream; every span is decoded by a decoder of its own."""

    def __init__(self, opened: Callable[[], Opened], found: Probe, info: VideoInfo) -> None:
        self._opened = opened
        self._found = found
        self._info = info
        self._notes: dict[str, str] = {}
        self._running: list[Decoding] = []
        self._closed = False

    @property
    def info(self) -> VideoInfo:
        """See ``VideoReader``."""
        return self._info

    @property
    def notes(self) -> tuple[str, ...]:
        """See ``VideoReader``."""
        for decoding in tuple(self._running):
            self._take_notes(decoding)
        return (*self._info.notes, *self._notes.values())

    def frames(self, start: int | None = None, stop: int | None = None) -> Iterator[Frame]:
        """See ``VideoReader``."""
        found, info = self._found, self._info
        decoding = Decoding(self._opened, found.timing)
        self._running.append(decoding)
        pixels = PixelReader(found.layout)
        size = found.layout.size
        try:
            for pts, duration, frame in decoding.frames(start, stop):
                if self._closed:
                    return
                if (frame.width, frame.height) != size:
                    self._notes["size_change"] = (
                        f"size_change: frames change their size at {info.seconds(pts):.1f} s and "
                        f"are scaled to {size[0]} x {size[1]}"
                    )
                rgb, alpha = pixels.read(frame)
                yield Frame(pts, rgb, view_of(rgb, found.tags), alpha, duration)
        finally:
            self._running.remove(decoding)
            self._take_notes(decoding)

    def _take_notes(self, decoding: Decoding) -> None:
        for note in decoding.notes(self._info):
            self._notes[note.split(":", 1)[0]] = note

    def close(self) -> None:
        """See ``VideoReader``."""
        self._closed = True


def _open(path: Path, head: bytes, max_megapixels: float) -> InputContainer:
    import av

    # The prefix keeps a name such as "concat:a|b" from being taken for a protocol.
    name = "file:" + os.path.abspath(path)  # noqa: PTH100
    options = {"protocol_whitelist": "file", "format_whitelist": FORMATS, "max_streams": "100"}
    try:
        return av.open(
            name,
            # FFmpeg takes a stream of JPEGs for a single one.
            format="mjpeg" if path.suffix.lower() in JPEG_STREAMS else None,
            options={"max_pixels": str(_most_pixels(max_megapixels))},
            container_options=options,
            metadata_errors="replace",
        )
    except (av.error.FFmpegError, ValueError, OverflowError) as error:
        raise _unreadable(head, error) from error


def _most_pixels(max_megapixels: float) -> int:
    """What decoders are held to: they count whole blocks of up to 128 x 128."""
    return round(max_megapixels * 1.25e6) + (1 << 16)


@lru_cache(maxsize=64)
def _times_run_on(path: Path, size: int, changed_ns: int, index: int) -> bool:  # noqa: ARG001
    """Whether the times of a transport stream never go back, as they do where two are joined.

    Such a file cannot be searched for a time. It has no index that would tell, so all of it is read
    once (200 MB a second); ``size`` and ``changed_ns`` tell one state of it from another.
    """
    import av

    last: int | None = None
    with _open(path, b"", 1e6) as container:
        try:
            for packet in container.demux(container.streams[index]):
                if packet.dts is not None:
                    if last is not None and packet.dts < last:
                        return False
                    last = packet.dts
        except (av.error.FFmpegError, ValueError):
            return True
    return True


def _unreadable(head: bytes, error: Exception) -> CleancutError:
    """Why a file is no video: what it looks like, or what FFmpeg says."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith((b"#EXTM3U", b"ffconcat", b"[playlist]")) or b"<MPD" in start:
        return UnreadableVideo(
            "this is a playlist, which names videos and holds none",
            hint="hand in the video itself",
        )
    if not head.strip(b"\0"):
        return UnreadableVideo(
            "the file holds nothing but zero bytes, as a broken copy leaves behind",
            hint="copy or download it again",
        )
    if b"\0" not in head and _is_text(head):
        return UnreadableVideo(
            "the file is text, not a video", hint="check that it is the file you mean"
        )
    if head[4:8] == b"ftyp":
        return UnreadableVideo(
            "the video is cut off: its index is missing, as when a recording or a download was "
            "interrupted",
            hint="copy or download it again, or mend it with a tool such as untrunc",
        )
    reason = " ".join(str(getattr(error, "strerror", "") or error).split())
    return UnreadableVideo(
        f"the file is no video that can be read ({reason:.100})",
        hint="check that it plays; if it does, convert it to MP4 and try again",
    )


def _is_text(head: bytes) -> bool:
    try:
        head[:-4].decode("utf-8")
    except UnicodeDecodeError:
        return False
    return not any(byte < 9 for byte in head)


def _best(container: InputContainer) -> tuple[VideoStream, tuple[str, ...]]:
    """The video stream to show, and a note where there was a choice."""
    from av.stream import Disposition

    covers = Disposition.attached_pic | Disposition.timed_thumbnails
    # A stream without a decoder has no context, and most of its attributes raise.
    videos = [s for s in container.streams.video if not s.disposition & covers]
    if not videos:
        raise NoVideoStream(
            "the file has no video in it"
            + (", only a cover picture" if container.streams.video else ""),
            hint="hand in a file with moving pictures",
        )
    known = [stream for stream in videos if stream.codec_context is not None]
    if not known:
        raise UnreadableVideo(
            "the video's codec is not known here", hint="convert it to H.264 or VP9 and try again"
        )
    best = max(
        known,
        key=lambda s: (bool(s.disposition & Disposition.default), s.width * s.height, -s.index),
    )
    if len(videos) == 1:
        return best, ()
    note = f"several_videos: the file holds {len(videos)} videos; number {best.index} was taken"
    return best, (note,)


def _check_size(stream: VideoStream, max_megapixels: float) -> None:
    context = stream.codec_context
    megapixels = context.width * context.height / 1e6
    if megapixels > max_megapixels:
        raise ImageTooLarge(
            f"frames of {context.width} x {context.height} pixels ({megapixels:.0f} megapixels) "
            f"are more than the limit of {max_megapixels:g} megapixels",
            hint=f"use --max-megapixels {int(megapixels) + 1} if the file can be trusted",
        )
