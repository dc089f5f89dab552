"""Frames to the packets of one codec, in a part's file."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleancut.errors import OutputNotWritable
from cleancut.extras import extra
from cleancut.imaging.files import not_writable
from cleancut.video.frame import USUAL_RATE
from cleancut.video.part import TICK, PartFacts, append_facts, draft_of
from cleancut.video.pixels_out import LAYOUTS, Coding, cleared, coding, fill_planes, spread

if TYPE_CHECKING:
    from cleancut.options import Options
    from cleancut.video.form import Form
    from cleancut.video.frame import Frame, VideoInfo

_ENCODERS = {
    "h264": "libx264",
    "h265": "libx265",
    "vp9": "libvpx-vp9",
    "prores": "prores_ks",
    "ffv1": "ffv1",
}
#: Threads of an encoder. Fixed, since some encode differently with another number of them, and a
#: video must not depend on the machine that a part was made on.
_THREADS = 4
#: libavutil's FF_QP2LAMBDA: a quantiser in the unit of ``global_quality``.
_LAMBDA = 118


class StreamWriter:
    """Encodes frames of one size; see ``VideoWriter``."""

    def __init__(
        self,
        target: Path,
        form: Form,
        info: VideoInfo,
        options: Options,
        *,
        size: tuple[int, int],
    ) -> None:
        with extra("video"):
            import av
        self._av = av
        self._faults = (OSError, ValueError, av.FFmpegError)
        self._target, self._form, self._info = target, form, info
        codec = "ffv1" if form.kind == "animation" else form.codec
        self._layout = LAYOUTS[codec, form.alpha, form.bits]
        self._code = coding(
            info,
            self._layout,
            plain=form.tone_mapped or form.grey,
            deep_range=codec in ("h264", "h265", "vp9"),
        )
        self._lossless = codec == "ffv1"
        self._facts = PartFacts()
        self._pad = _odd(codec, size)
        if any(self._pad):
            self._facts.notes.append(
                f"padded: {size[0]} x {size[1]} is odd, and {codec} needs even sides, so the last "
                "row or column was doubled"
            )
        self._durations: list[tuple[int, int]] = []
        self._draft = draft_of(target)
        self._done = False
        try:
            if not target.parent.is_dir():
                raise FileNotFoundError(target.parent)
            self._container = av.open(
                str(self._draft),
                "w",
                format="matroska",
                container_options={"avoid_negative_ts": "disabled"},
            )
            self._stream = self._open_stream(codec, options, size)
        except self._faults as error:
            self.abort()
            raise not_writable(target, error) from error

    def _open_stream(self, codec: str, options: Options, size: tuple[int, int]) -> Any:
        rate = self._info.rate or USUAL_RATE
        stream: Any = self._container.add_stream(
            _ENCODERS[codec],
            rate=Fraction(rate).limit_denominator(1001 * 60),
            options=encoder_options(codec, options, alpha=self._form.alpha),
        )
        stream.width, stream.height = size[0] + self._pad[0], size[1] + self._pad[1]
        stream.pix_fmt = self._layout.name
        context = stream.codec_context
        context.time_base = self._info.time_base
        context.sample_aspect_ratio = self._info.sample_aspect
        context.thread_count = _THREADS
        if codec in ("prores", "ffv1"):
            context.thread_type = "SLICE"
        _tag(context, self._code)
        if codec == "vp9" and self._form.alpha:
            stream.metadata["alpha_mode"] = "1"
        return stream

    def write(self, frame: Frame) -> None:
        """See ``VideoWriter.write``."""
        rgb = frame.view if self._form.tone_mapped and frame.rgb.dtype != "uint8" else frame.rgb
        alpha = frame.alpha if self._form.alpha else None
        if alpha is not None:
            rgb = (cleared if self._lossless else spread)(rgb, alpha)
        if any(self._pad):
            rgb = _padded(rgb, self._pad)
        picture = self._av.VideoFrame(rgb.shape[1], rgb.shape[0], self._layout.name)
        fill_planes(picture, rgb, alpha, self._layout, self._code)
        _tag(picture, self._code)
        if not self._durations:
            self._facts.start = frame.pts
        tick = frame.pts - self._facts.start
        self._durations.append((frame.pts, -1 if frame.duration is None else frame.duration))
        picture.pts, picture.time_base = tick, self._info.time_base
        try:
            self._mux(self._stream.encode(picture))
        except self._faults as error:
            raise not_writable(self._target, error) from error

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            self._facts.ticks.append(packet.pts)
            packet.time_base = TICK  # see part.py: a tick of the source, called a millisecond
            self._container.mux(packet)

    def close(self) -> None:
        """See ``VideoWriter.close``."""
        if self._done:
            return
        if not self._durations:
            self.abort()
            raise OutputNotWritable(
                f"{self._target.name}: there was no frame to write", hint="choose another span"
            )
        try:
            self._mux(self._stream.encode(None))
            self._container.close()
            self._facts.durations = [duration for _, duration in sorted(self._durations)]
            append_facts(self._draft, self._facts)
            self._draft.replace(self._target)
        except self._faults as error:
            self.abort()
            raise not_writable(self._target, error) from error
        self._done = True

    def abort(self) -> None:
        """See ``VideoWriter.abort``."""
        if self._done:
            return
        self._done = True
        container = getattr(self, "_container", None)
        if container is not None:
            with suppress(*self._faults):  # the file goes away all the same
                container.close()
        self._draft.unlink(missing_ok=True)


def encoder_options(codec: str, options: Options, *, alpha: bool) -> dict[str, str]:
    """What an encoder is told: ``quality`` as its constant rate factor, ``compress`` as effort."""
    small = options.compress == "small"
    quality = options.quality
    if codec == "h264":
        crf = 20 if quality is None else round(42 - 0.28 * quality)
        # With macroblock trees x264 gives other bytes from run to run (seen at 1080x720, not at
        # 1024x704), and frames must not depend on who renders them. Without them files are a
        # tenth larger at equal error. superfast needs 60 % of veryfast's time.
        return {
            "preset": "medium" if small else "superfast",
            "crf": str(crf),
            "x264-params": "mbtree=0",
        }
    if codec == "h265":
        crf = 21 if quality is None else round(44 - 0.28 * quality)
        return {
            "preset": "medium" if small else "ultrafast",
            "crf": str(crf),
            "x265-params": "log-level=error:pools=4:frame-threads=2",
        }
    if codec == "vp9":
        crf = 24 if quality is None else round(58 - 0.43 * quality)
        return {
            "deadline": "good" if small else "realtime",
            "cpu-used": "2" if small else "6",
            "crf": str(crf),
            "b": "0",
            "row-mt": "1",
            "tile-columns": "2",
            **({"auto-alt-ref": "0"} if alpha or not small else {}),
        }
    if codec == "prores":
        # A fixed quantiser: five times as fast as the search for one that fits a bit rate.
        quantiser = _LAMBDA * (4 if quality is None else max(1, round((104 - quality) / 6)))
        profile = "4444" if alpha else "hq"
        return {"profile": profile, "flags": "+qscale", "global_quality": str(quantiser)}
    return {"level": "3", "slices": "4", "slicecrc": "1"}


def _odd(codec: str, size: tuple[int, int]) -> tuple[int, int]:
    """Columns and rows that must be added: H.264 and H.265 have no odd sides at 4:2:0."""
    if codec not in ("h264", "h265"):
        return (0, 0)
    return (size[0] % 2, size[1] % 2)


def _padded(pixels: Any, pad: tuple[int, int]) -> Any:
    import cv2

    return cv2.copyMakeBorder(pixels, 0, pad[1], 0, pad[0], cv2.BORDER_REPLICATE)


def _tag(tagged: Any, code: Coding) -> None:
    """Say on a codec's context or on a frame what its colours are."""
    tagged.color_primaries, tagged.color_trc = code.primaries, code.transfer
    tagged.colorspace = code.matrix
    tagged.color_range = 2 if code.full_range else 1
