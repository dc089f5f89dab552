"""Finished parts to the file that was asked for: packets put one behind the other, sound beside."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleancut.errors import OutputNotWritable
from cleancut.extras import extra
from cleancut.imaging.files import not_writable
from cleancut.video.matroska_aspect import PLACEHOLDER, write_aspect
from cleancut.video.part import PartFacts, Timeline, draft_of, read_facts, timeline

if TYPE_CHECKING:
    from cleancut.video.form import Form
    from cleancut.video.frame import VideoInfo
    from cleancut.video.options import VideoOptions

#: FourCCs that players expect: Apple's take HEVC only as hvc1, ProRes goes by its own.
_TAGS = {("h265", "mov"): "hvc1", ("h265", "mp4"): "hvc1"}
_PRORES = {True: "ap4h", False: "apch"}


def join(
    parts: Sequence[Path],
    target: Path,
    *,
    source: str,
    info: VideoInfo,
    form: Form,
    video: VideoOptions,
    span: tuple[int, int | None] | None,
) -> tuple[str, ...]:
    """Make ``target`` of parts in their order, with sound and subtitles of ``source``; the notes.

    Pictures are not encoded again, except in an animation, whose parts are lossless. ``span`` is
    what was cut out of the source, in ``info.time_base``; the target then begins with its first
    frame, else where the source begins. The target is there whole or not at all. Raises
    ``OutputNotWritable``.
    """
    if form.kind == "sequence":
        from cleancut.video.sequence_out import settle_sequence

        return settle_sequence(parts, target, form=form)
    if not parts:
        raise OutputNotWritable(
            f"{target.name}: there was no frame to write", hint="check the span"
        )
    if os.path.exists(source) and target.exists() and target.samefile(source):  # noqa: PTH110
        raise OutputNotWritable(f"{target} is the input itself", hint="choose another output")
    facts = [read_facts(part) for part in parts]
    notes = [*form.notes, *(note for fact in facts for note in fact.notes)]
    goal = Path(os.path.realpath(target))
    draft = draft_of(goal)
    try:
        with extra("video"):
            import av
        try:
            if form.kind == "animation":
                from cleancut.video.animation_out import write_animation

                notes += write_animation(draft, parts, facts, form=form, info=info)
            else:
                notes += _streamed(
                    draft, parts, facts, source=source, info=info, form=form, video=video, span=span
                )
            _settle(draft, goal)
        except (OSError, ValueError, av.FFmpegError) as error:
            raise not_writable(target, error) from error
    finally:
        draft.unlink(missing_ok=True)
    return tuple(dict.fromkeys(notes))


def _settle(draft: Path, goal: Path) -> None:
    with draft.open("rb+") as file:
        os.fsync(file.fileno())
    if goal.exists():
        draft.chmod(goal.stat().st_mode & 0o7777)
    draft.replace(goal)


def _streamed(
    draft: Path,
    parts: Sequence[Path],
    facts: Sequence[PartFacts],
    *,
    video: VideoOptions,
    **rest: Any,
) -> list[str]:
    """``_join_stream``, if need be without sound: what is wrong with it must not cost the video."""
    import av

    from cleancut.video.tracks_out import is_full

    try:
        return _join_stream(draft, parts, facts, video=video, **rest)
    except (OSError, ValueError, av.FFmpegError) as error:
        if not video.audio or is_full(error):
            raise
        mute = replace(video, audio=False)
        why = str(getattr(error, "strerror", None) or error)[:200]
        note = f"no_sound: sound and subtitles could not be taken along: {why}"
        return [*_join_stream(draft, parts, facts, video=mute, **rest), note]


def _join_stream(
    draft: Path,
    parts: Sequence[Path],
    facts: Sequence[PartFacts],
    *,
    source: str,
    info: VideoInfo,
    form: Form,
    video: VideoOptions,
    span: tuple[int, int | None] | None,
) -> list[str]:
    import av

    from cleancut.video.tracks_out import Tracks

    options = {}
    if form.name in ("mov", "mp4"):
        options = {
            "movflags": "faststart",
            "movie_timescale": str(min(info.time_base.denominator, 2**31 - 1)),
        }
    elif _wants_aspect(info, form):
        options = {"write_crc32": "0"}
    base, times = info.time_base, timeline(facts, info)
    with ExitStack() as stack:
        template = stack.enter_context(av.open(str(parts[0]), format="matroska"))
        container = stack.enter_context(
            av.open(str(draft), "w", format=form.name, container_options=options)
        )
        stream = _video_stream(container, template.streams.video[0], info, form)
        tracks = Tracks.open(
            source,
            info,
            form,
            first=times.pts[0] * base,
            end=times.end * base,
            cut=span is not None,
        )
        stack.callback(tracks.close)
        if video.audio and form.audio:
            tracks.add_to(container)
        begin = round(tracks.origin / base)
        pictures = _packets(parts, facts, times, begin=begin, stream=stream)
        for packet in tracks.beside(pictures):
            if packet.stream is stream:
                container.mux(packet)
                continue
            try:
                container.mux(packet)
            except (OSError, ValueError, av.FFmpegError) as error:
                tracks.drop(packet, error)
    if _wants_aspect(info, form):
        write_aspect(draft, info.sample_aspect)
    return tracks.notes


def _video_stream(container: Any, template: Any, info: VideoInfo, form: Form) -> Any:
    stream = container.add_stream_from_template(template, opaque=True)
    stream.time_base = info.time_base
    context = stream.codec_context
    context.sample_aspect_ratio = info.sample_aspect
    tag = _PRORES[form.alpha] if form.codec == "prores" else _TAGS.get((form.codec, form.name))
    if tag:
        context.codec_tag = tag
    if form.alpha and form.codec == "vp9":
        stream.metadata["alpha_mode"] = "1"
    if _wants_aspect(info, form):
        stream.metadata["title"] = PLACEHOLDER
    return stream


def _wants_aspect(info: VideoInfo, form: Form) -> bool:
    """Whether the shape of pixels must be said by Matroska, since the codec does not."""
    ours = form.name in ("webm", "matroska") and form.codec not in ("h264", "h265")
    return ours and info.sample_aspect != 1


def _packets(
    parts: Sequence[Path], facts: Sequence[PartFacts], times: Timeline, *, begin: int, stream: Any
) -> Iterator[Any]:
    """Packets of all parts; ``dts`` is the pts of so many frames before as the codec reorders.

    ``begin`` is the source's pts that becomes 0.
    """
    import av

    pts, late = [at - begin for at in times.pts], times.late
    lasting = dict(zip(pts, times.durations, strict=True))
    step = max(1, min(times.durations))
    dts = iter([*(pts[0] - (late - index) * step for index in range(late)), *pts])
    extradata: bytes | None = None
    for number, (part, fact) in enumerate(zip(parts, facts, strict=True)):
        with av.open(str(part), format="matroska") as container:
            picture = container.streams.video[0]
            if number == 0:
                extradata = picture.codec_context.extradata
            elif picture.codec_context.extradata != extradata:
                raise ValueError("its parts were encoded differently; run again with --fresh")
            for packet in container.demux(picture):
                if packet.pts is None or not packet.size:
                    continue
                packet.stream = stream
                packet.pts += fact.start - begin
                at, lasts = next(dts, None), lasting.get(packet.pts)
                if at is None or lasts is None:
                    raise ValueError("a finished part is damaged; run again with --fresh")
                packet.dts, packet.duration = at, lasts
                packet.time_base = times.base
                yield packet
