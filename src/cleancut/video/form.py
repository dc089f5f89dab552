"""What a video becomes: container, codec, depth and transparency, by the target's suffix.

Nothing here imports a third-party package: the command line asks it before any work is done.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Literal

from cleancut.errors import BadOption
from cleancut.option_values import parse_background

if TYPE_CHECKING:
    from cleancut.option_choices import CompressChoice
    from cleancut.options import Options
    from cleancut.video.frame import VideoInfo
    from cleancut.video.options import VideoOptions

FormKind = Literal["stream", "animation", "sequence"]

#: Codecs that a container holds, the one for transparency first, else the one for opaque pictures.
_CONTAINERS: dict[str, tuple[str, dict[bool, tuple[str, ...]]]] = {
    ".webm": ("webm", {True: ("vp9",), False: ("vp9",)}),
    ".mov": ("mov", {True: ("prores",), False: ("h264", "h265", "prores")}),
    ".mkv": (
        "matroska",
        {True: ("ffv1", "vp9", "prores"), False: ("h264", "h265", "vp9", "prores", "ffv1")},
    ),
    ".mp4": ("mp4", {True: (), False: ("h264", "h265", "vp9")}),
    ".m4v": ("mp4", {True: (), False: ("h264", "h265")}),
}
_ANIMATIONS = {".gif": "gif", ".apng": "apng", ".png": "apng", ".webp": "webp"}
_PICTURES = {
    ".png": "png",
    ".webp": "webp",
    ".jpg": "jpg",
    ".jpeg": "jpg",
    ".tif": "tiff",
    ".tiff": "tiff",
}
_PATTERN = re.compile(r"%0?(\d{0,2})d")
_SUFFIXES = "webm, mov, mkv, mp4, gif, apng, webp or numbered pictures (frames/%05d.png)"


@dataclass(frozen=True, slots=True)
class Form:
    """What is written: ``name`` is FFmpeg's name of the container, or the format of pictures.

    ``alpha`` says whether frames are transparent (straight, never premultiplied), ``bits`` how deep
    colours are kept, ``audio`` whether sound and subtitles are taken along, ``segmentable`` whether
    parts can be written side by side and joined. ``grey`` is the matte alone, ``tone_mapped`` means
    that ``Frame.view`` is written, since the form has no room for the source's range.
    """

    name: str
    suffix: str
    codec: str
    alpha: bool
    bits: int
    audio: bool
    segmentable: bool
    kind: FormKind
    grey: bool = False
    tone_mapped: bool = False
    quality: int | None = None
    compress: CompressChoice = "fast"
    notes: tuple[str, ...] = ()

    @property
    def part_suffix(self) -> str:
        """Of the file of a part; "" where a part is a folder of pictures."""
        return "" if self.kind == "sequence" else ".mkv"


def is_transparent(video: VideoOptions, options: Options) -> bool:
    """Whether these options leave anything of a frame transparent."""
    if video.matte_only or video.side_by_side:
        return False
    behind = parse_background(options.background)
    return behind is None or (behind.colour is not None and behind.opacity < 1)


def output_form(target: str, video: VideoOptions, options: Options, info: VideoInfo) -> Form:
    """The form of ``target``: a file by its suffix, or a pattern of numbered pictures (%05d).

    Raises ``BadOption``: an unknown suffix, a codec that the container does not hold, transparency
    that it does not hold.
    """
    alpha = is_transparent(video, options)
    path = PurePath(target)
    suffix = path.suffix.lower()
    if target.endswith(("/", "\\")):
        raise BadOption(
            f"{target} is a folder", hint=f"for numbered pictures name them: {target}%05d.png"
        )
    if _PATTERN.search(path.name):
        if suffix not in _PICTURES:
            raise BadOption(
                f"{target}: numbered pictures cannot be {suffix or 'without a suffix'}",
                hint="use png, webp, tiff or jpg, like frames/%05d.png",
            )
        return _sequence(_PICTURES[suffix], suffix, video, options, info, alpha)
    if suffix in _ANIMATIONS:
        return _animation(_ANIMATIONS[suffix], suffix, video, options, info, alpha)
    if suffix in _CONTAINERS:
        return _stream(suffix, video, options, info, alpha)
    raise _unknown(target, suffix)


def numbered(target: str, number: int) -> str:
    """The name of one picture of a sequence; ``target`` is a pattern like %05d.png."""
    path = PurePath(target)
    name = _PATTERN.sub(lambda found: f"{number:0{found[1] or 1}d}", path.name, count=1)
    return str(path.with_name(name))


def _unknown(target: str, suffix: str) -> BadOption:
    if not suffix:
        return BadOption(f"{target}: what it shall become is not clear", hint=f"name a {_SUFFIXES}")
    close = difflib.get_close_matches(suffix, [*_CONTAINERS, *_ANIMATIONS], n=1, cutoff=0.5)
    meant = f"did you mean {close[0]}? " if close else ""
    return BadOption(
        f"{target}: videos are not written as {suffix}", hint=f"{meant}known: {_SUFFIXES}"
    )


def _stream(
    suffix: str, video: VideoOptions, options: Options, info: VideoInfo, alpha: bool
) -> Form:
    name, held = _CONTAINERS[suffix]
    codecs = held[alpha]
    codec = codecs[0] if video.codec == "auto" and codecs else video.codec
    if codec not in codecs:
        raise _not_held(suffix, codec, alpha=alpha)
    bits = _bits(codec, 8 if video.matte_only else info.bits)
    form = Form(name, suffix, codec, alpha, bits, video.audio, True, "stream")
    return _finished(form, video, options, info)


def _not_held(suffix: str, codec: str, *, alpha: bool) -> BadOption:
    every = held_by(codec, alpha=alpha)
    if codec == "auto" or (alpha and codec in ("h264", "h265")):
        what = suffix if codec == "auto" else codec
        return BadOption(
            f"{what} has no transparency",
            hint="put the subject on something: --background '#00b140', or write .webm or .mov",
        )
    if not every:
        return BadOption(f"{codec} has no transparency", hint="use --codec vp9, prores or ffv1")
    return BadOption(
        f"{suffix} does not hold {'transparent ' if alpha else ''}{codec}",
        hint=f"leave --codec out, or write {' or '.join(every)}",
    )


def held_by(codec: str, *, alpha: bool) -> tuple[str, ...]:
    """Suffixes of the containers that hold a codec, transparent or not."""
    return tuple(suffix for suffix, (_, held) in _CONTAINERS.items() if codec in held[alpha])


def _bits(codec: str, source: int) -> int:
    if codec == "prores":
        return 10
    if codec == "ffv1":
        return 8 if source <= 8 else 16
    return 10 if codec == "h265" and source > 8 else 8


def _animation(
    name: str, suffix: str, video: VideoOptions, options: Options, info: VideoInfo, alpha: bool
) -> Form:
    _no_codec(suffix, video)
    bits = 16 if name == "apng" and info.bits > 8 and not video.matte_only else 8
    form = Form(name, suffix, name, alpha, bits, False, True, "animation")
    if name == "gif" and alpha:
        form = _noted(form, "gif_hard_edges: GIF pixels are opaque or clear; .webp has soft edges")
    return _finished(form, video, options, info)


def _sequence(
    name: str, suffix: str, video: VideoOptions, options: Options, info: VideoInfo, alpha: bool
) -> Form:
    _no_codec("numbered pictures", video)
    if alpha and name == "jpg":
        raise BadOption(
            "JPEG has no transparency", hint="use --background '#00b140', or write png or webp"
        )
    deep = name in ("png", "tiff") and info.bits > 8 and not video.matte_only
    form = Form(name, suffix, name, alpha, 16 if deep else 8, False, True, "sequence")
    return _finished(form, video, options, info)


def _no_codec(what: str, video: VideoOptions) -> None:
    if video.codec != "auto":
        raise BadOption(f"{what} has no choice of codec", hint="leave --codec out")


def _finished(form: Form, video: VideoOptions, options: Options, info: VideoInfo) -> Form:
    form = replace(form, grey=video.matte_only, quality=options.quality, compress=options.compress)
    if info.colour.hdr and form.bits == 8 and not video.matte_only:
        form = _noted(
            replace(form, tone_mapped=True),
            f"tone_mapped: {form.codec} has 8 bits here, so the high dynamic range was mapped to "
            "BT.709; .mov (ProRes) and --codec h265 keep it",
        )
    sounds = any(track.kind == "audio" for track in info.tracks)
    if sounds and video.audio and not form.audio:
        form = _noted(form, f"no_sound: {form.suffix} holds no sound")
    return form


def _noted(form: Form, note: str) -> Form:
    return replace(form, notes=(*form.notes, note))
