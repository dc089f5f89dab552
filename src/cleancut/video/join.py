"""Finished parts to the file that was asked for: packets put one behind the other, sound beside."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleancut.errors import OutputNotWritable
from cleancut.extras import extra
from cleancut.imaging.files import not_writable
from cleancut.video.part import TICK, PartFacts, draft_of, read_facts

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
    span: tuple[int, int] | None,
    quality: int | None = None,
) -> tuple[str, ...]:
    """Make ``target`` of parts in their order, with sound and subtitles of ``source``; the notes.

    Pictures are not encoded again, except in an animation, whose parts are lossless. ``span`` is
    what was cut out of the source, in ``info.time_base``; the target then begins at its first frame,
    else where the source begins. ``quality`` is that of an animated WebP. The target is there whole
    or not at all. Raises ``OutputNotWritable``.
    """
    if form.kind == "sequence":
        return form.notes
    if not parts:
        raise OutputNotWritable(f"{target.name}: there was no frame to write", hint="check the span")
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

                write_animation(draft, parts, facts, form=form, info=info, quality=quality)
            else:
                notes += _join_stream(
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


def _join_stream(
    draft: Path,
    parts: Sequence[Path],
    facts: Sequence[PartFacts],
    *,
    source: str,
    info: VideoInfo,
    form: Form,
    video: VideoOptions,
    span: tuple[int, int] | None,
) -> list[str]:
    import av

    from cleancut.video.tracks_out import Sound

    options = {"movie_timescale": str(min(info.time_base.denominator, 2**31 - 1))}
    mov = form.name in ("mov", "mp4")
    if mov:
        options["movflags"] = "faststart"
    with ExitStack() as stack:
        first = stack.enter_context(av.open(str(parts[0]), format="matroska"))
        container = stack.enter_context(
            av.open(str(draft), "w", format=form.name, options=options if mov else {})
        )
        stream = _video_stream(container, first.streams.video[0], info, form)
        end = _end(parts[-1], facts[-1], info)
        sound = Sound.open(source, info, form, first_pts=facts[0].start, end_pts=end, span=span)
        if video.audio:
            sound.add_to(container)
        stack.callback(sound.close)
        pictures = _packets(parts, facts, info, origin=sound.origin, stream=stream)
        for packet in sound.beside(pictures):
            container.mux(packet)
    return sound.notes


def _video_stream(container: Any, template: Any, info: VideoInfo, form: Form) -> Any:
    stream = container.add_stream_from_template(template, opaque=True)
    stream.time_base = info.time_base
    context = stream.codec_context
    tag = _PRORES[form.alpha] if form.codec == "prores" else _TAGS.get((form.codec, form.name))
    if tag:
        context.codec_tag = tag
    if form.alpha and form.codec == "vp9":
        stream.metadata["alpha_mode"] = "1"
    return stream


def _end(part: Path, facts: PartFacts, info: VideoInfo) -> int:
    """Where the last frame ends, in the source's time base."""
    ticks = _order(part)[0]
    return facts.start + ticks[-1] + _last(ticks, facts, info)


def _last(ticks: Sequence[int], facts: PartFacts, info: VideoInfo) -> int:
    """How long the last frame is shown: as the source says, else as long as the one before."""
    if facts.durations and facts.durations[-1] > 0:
        return facts.durations[-1]
    if info.rate:
        return max(1, round(1 / (info.rate * info.time_base)))
    return ticks[-1] - ticks[-2] if len(ticks) > 1 else max(1, round(Fraction(1, 25) / info.time_base))


def _order(part: Path) -> tuple[list[int], int]:
    """Ticks of a part's frames, rising, and by how many frames its packets are out of order."""
    import av

    with av.open(str(part), format="matroska") as container:
        stored = [p.pts for p in container.demux(video=0) if p.pts is not None and p.size]
    ticks = sorted(stored)
    place = {tick: index for index, tick in enumerate(ticks)}
    return ticks, max((index - place[tick] for index, tick in enumerate(stored)), default=0)


def _packets(
    parts: Sequence[Path], facts: Sequence[PartFacts], info: VideoInfo, *, origin: Fraction, stream: Any
) -> Iterator[Any]:
    """Packets of all parts; ``dts`` is the pts of so many frames before as the codec reorders."""
    import av

    begin = round(origin / info.time_base)
    orders = [_order(part) for part in parts]
    delay = max(late for _, late in orders)
    every = [fact.start - begin + tick for fact, (ticks, _) in zip(facts, orders, strict=True) for tick in ticks]
    durations = [b - a for a, b in zip(every, every[1:], strict=False)]
    durations.append(_last(orders[-1][0], facts[-1], info))
    lasting = dict(zip(every, durations, strict=True))
    step = max(1, min(durations))
    early = [every[0] - (delay - index) * step for index in range(delay)]
    times = iter([*early, *every])
    extradata = None
    for part, fact in zip(parts, facts, strict=True):
        with av.open(str(part), format="matroska") as container:
            picture = container.streams.video[0]
            if extradata is None:
                extradata = picture.codec_context.extradata
            if picture.codec_context.extradata != extradata:
                raise ValueError("its parts were encoded differently; run again with --fresh")
            for packet in container.demux(picture):
                if packet.pts is None or not packet.size:
                    continue
                packet.stream = stream
                packet.pts = fact.start - begin + packet.pts
                packet.dts = next(times)
                packet.duration = lasting[packet.pts]
                packet.time_base = info.time_base
                yield packet


__all__ = ["TICK", "join"]
