"""Sound, subtitles, chapters and titles of the source beside the new pictures, in sync."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from cleancut.video.sound_out import EncodedSound
from cleancut.video.text_out import TEXT_CODECS, WrittenText

if TYPE_CHECKING:
    from cleancut.video.form import Form
    from cleancut.video.frame import Track, VideoInfo

#: Codecs that are taken over as they are, by container.
_PCM = tuple(f"pcm_{kind}" for kind in ("s16le", "s16be", "s24le", "s24be", "s32le", "f32le"))
_COPIED = {
    "webm": {"opus", "vorbis", "webvtt"},
    "mp4": {"aac", "mp3", "mp2", "ac3", "eac3", "opus", "alac", "flac", "mov_text"},
    "mov": {"aac", "mp3", "ac3", "eac3", "alac", "mov_text", *_PCM},
    "matroska": {
        *("aac", "mp3", "mp2", "ac3", "eac3", "dts", "truehd", "opus", "vorbis", "flac", "alac"),
        *_PCM,
        *("subrip", "ass", "webvtt", "hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle"),
    },
}
_TEXT = {"webm": "webvtt", "mp4": "mov_text", "mov": "mov_text", "matroska": "subrip"}
_TITLES = ("title", "artist", "album", "comment", "description", "copyright", "date", "genre")
#: Sound that begins no earlier than this before the pictures is an encoder's priming.
_PRIMING_S = Fraction(1, 20)
#: How far before 0 mp4 and mov may keep packets, which an edit list hides: the decoder's run-up.
_RUN_UP_S = Fraction(1, 10)


class Tracks:
    """What of the source goes beside the pictures. Times are seconds of the source.

    ``origin`` is the source's time that becomes 0.
    """

    def __init__(
        self, path: str, source: Any, info: VideoInfo, form: Form, *, first: Fraction, end: Fraction
    ) -> None:
        self._path, self._source = path, source
        self._info, self._form, self._end = info, form, end
        self.origin = first
        self.notes: list[str] = []
        self._keepers: dict[int, CopiedTrack | EncodedSound | WrittenText] = {}

    @classmethod
    def open(
        cls, source: str, info: VideoInfo, form: Form, *, first: Fraction, end: Fraction, cut: bool
    ) -> Tracks:
        """Look at ``source``; where it cannot be read again, there is a note and no sound.

        ``first`` and ``end`` are when the pictures begin and end. ``cut``: whether they are a span,
        which begins with its first picture, whatever was heard before it.
        """
        import av

        container, trouble = None, ""
        if info.kind == "stream":
            try:
                container = _opened(source)
            except (OSError, ValueError, av.FFmpegError) as error:
                if info.tracks:
                    trouble = f"no_sound: the sound could not be read: {_words(error)}"
        tracks = cls(source, container, info, form, first=first, end=end)
        if trouble:
            tracks.notes.append(trouble)
        if container is not None and not cut:
            starts = [
                stream.start_time * stream.time_base
                for stream in container.streams.audio
                if stream.start_time is not None and stream.time_base
            ]
            if starts and first - min(starts) >= _PRIMING_S:
                tracks.origin = min(starts)
        return tracks

    def add_to(self, container: Any) -> None:
        """Make a stream in ``container`` for every track that it can hold, and take titles over."""
        import av

        if self._source is None:
            return
        for track in self._info.tracks:
            try:
                keeper = self._keeper(track, container)
            except (OSError, ValueError, LookupError, av.FFmpegError) as error:
                self._lost(track, _words(error))
                continue
            if keeper is not None:
                take_names(self._source.streams[track.index], keeper.stream)
                self._keepers[track.index] = keeper
        for name in _TITLES:
            if name in self._source.metadata:
                container.metadata[name] = self._source.metadata[name]
        self._take_chapters(container)

    def _keeper(
        self, track: Track, container: Any
    ) -> CopiedTrack | EncodedSound | WrittenText | None:
        stream = self._source.streams[track.index]
        if track.codec in _COPIED[self._form.name]:
            early = self._run_up(stream) if track.kind == "audio" else Fraction(0)
            return CopiedTrack(stream, container, early, origin=self.origin, end=self._end)
        if track.kind == "audio":
            goal = "opus" if self._form.name == "webm" else "aac"
            sound = EncodedSound(stream, container, goal, origin=self.origin, end=self._end)
            self.notes.append(
                f"sound_encoded: {track.codec} is not for {self._form.suffix} and became {goal}"
            )
            return sound
        if track.codec in TEXT_CODECS:
            goal = _TEXT[self._form.name]
            self.notes.append(
                f"subtitles_rewritten: {track.codec} is not for {self._form.suffix} and became "
                f"{goal}"
            )
            codecs = (track.codec, goal)
            return WrittenText(stream, container, codecs, origin=self.origin, end=self._end)
        self._lost(track, f"{self._form.suffix} does not hold {track.codec or 'this codec'}")
        return None

    def _run_up(self, stream: Any) -> Fraction:
        """How long before 0 copied sound may begin, so that its decoder is in step at 0.

        Matroska has no time before 0 but the codec's own delay, which it states and its demuxer
        takes off the first packet's time.
        """
        if self._form.name in ("mov", "mp4"):
            return _RUN_UP_S
        if "matroska" not in self._source.format.name:
            return Fraction(0)
        with _opened(self._path) as again:  # nothing seeks back to before 0
            packets = again.demux(again.streams[stream.index])
            first = next((packet.pts for packet in packets if packet.pts is not None), 0)
        return max(Fraction(0), -first * Fraction(stream.time_base))

    def _lost(self, track: Track, why: str) -> None:
        what = "no_sound: a sound track" if track.kind == "audio" else "no_subtitles: a track"
        self.notes.append(f"{what} was left out: {why}")

    def _take_chapters(self, container: Any) -> None:
        chapters = []
        for chapter in self._source.chapters():
            base = chapter["time_base"]
            if not base:
                continue
            start = max(chapter["start"] * base, self.origin) - self.origin
            end = min(chapter["end"] * base, self._end) - self.origin
            if start < end:
                chapters.append({**chapter, "start": round(start / base), "end": round(end / base)})
        if chapters:
            container.set_chapters(chapters)

    def beside(self, pictures: Iterator[Any]) -> Iterator[Any]:
        """``pictures`` (packets) with those of the tracks between them, by time of decoding."""
        others = self._packets()
        ahead = next(others, None)
        for picture in pictures:
            at = picture.dts * picture.time_base
            while ahead is not None and ahead.dts * ahead.time_base <= at:
                yield ahead
                ahead = next(others, None)
            yield picture
        while ahead is not None:
            yield ahead
            ahead = next(others, None)

    def _packets(self) -> Iterator[Any]:
        import av

        if not self._keepers:
            return
        faults = (OSError, ValueError, LookupError, av.FFmpegError)
        broken = 0
        for packet in self._demuxed():
            keeper = self._keepers.get(packet.stream.index)
            if keeper is None:
                continue
            try:
                kept = keeper.keep(packet)
            except faults as error:
                _reraise_full(error)
                broken += 1
                continue
            yield from kept
            if all(keeper.done for keeper in self._keepers.values()):
                break
        for keeper in self._keepers.values():
            try:
                rest = keeper.finish()
            except faults:
                broken += 1
                continue
            yield from rest
        if broken:
            self.notes.append(
                f"sound_broken: {broken} packet(s) of sound or text could not be read"
            )

    def _demuxed(self) -> Iterator[Any]:
        """The source's packets from a little before the origin on; a broken end is an end."""
        import av
        from av.stream import Discard

        for stream in self._source.streams:
            if stream.index not in self._keepers:
                stream.discard = Discard.all
        early = self.origin - 1
        start = Fraction(self._source.start_time or 0, 1_000_000)
        chosen = [self._source.streams[index] for index in self._keepers]
        try:
            if early > start + 1:
                self._source.seek(round(early * 1_000_000), backward=True)
            for packet in self._source.demux(*chosen):
                if packet.size and packet.pts is not None:
                    yield packet
        except (OSError, ValueError, av.FFmpegError) as error:
            self.notes.append(f"sound_broken: the sound ends early: {_words(error)}")

    def drop(self, packet: Any, error: Exception) -> None:
        """Go on without the rest of a track whose ``packet`` the container refuses."""
        _reraise_full(error)
        for index, keeper in list(self._keepers.items()):
            if keeper.stream is packet.stream:
                del self._keepers[index]
                self.notes.append(f"sound_broken: a track was not taken along: {_words(error)}")

    def close(self) -> None:
        """Close the source."""
        if self._source is not None:
            self._source.close()


class CopiedTrack:
    """Packets taken over as they are, moved in time and cut to the span."""

    def __init__(
        self, stream: Any, container: Any, early: Fraction, *, origin: Fraction, end: Fraction
    ) -> None:
        self.stream = container.add_stream_from_template(stream, opaque=True)
        self.stream.time_base = stream.time_base
        self._base = stream.time_base
        self._shift = round(origin / self._base)
        self._stop = round((end - origin) / self._base)
        self._begin = -round(early / self._base)
        self._last: int | None = None
        self.done = False

    def keep(self, packet: Any) -> list[Any]:
        """The packet, if it belongs to the span."""
        pts: int = packet.pts - self._shift
        lasts: int = packet.duration or 0
        if pts >= self._stop:
            self.done = True
            return []
        if self.stream.type == "subtitle":
            ends = min(pts + lasts, self._stop)
            pts = max(pts, min(0, ends))
            packet.duration = lasts = ends - pts
        # One packet more than is heard: without it the decoder cannot make the first that is.
        if pts < self._begin or (pts < 0 and pts + 2 * lasts <= 0):
            return []
        dts = pts if packet.dts is None else min(packet.dts - self._shift, pts)
        if self._last is not None and dts <= self._last:
            dts = self._last + 1
        self._last = dts
        packet.pts, packet.dts = max(pts, dts), dts
        packet.time_base, packet.stream = self._base, self.stream
        return [packet]

    def finish(self) -> list[Any]:
        """Nothing is held back."""
        return []


def take_names(source: Any, target: Any) -> None:
    """Language, title and disposition of a track."""
    for name in ("language", "title", "handler_name"):
        if name in source.metadata:
            target.metadata[name] = source.metadata[name]
    target.disposition = source.disposition


def _opened(source: str) -> Any:
    """The source, opened as strictly as the reader does it."""
    import av

    from cleancut.video.stream_in import FORMATS

    strict = {"protocol_whitelist": "file", "format_whitelist": FORMATS, "max_streams": "100"}
    name = "file:" + os.path.abspath(source)  # noqa: PTH100
    return av.open(name, container_options=strict, metadata_errors="replace")


def _words(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)[:200]


def is_full(error: Exception) -> bool:
    """Whether the disk, and not what is written to it, is the trouble."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _reraise_full(error: Exception) -> None:
    if is_full(error):
        raise error
