"""What all parts of a video share: found once, before the first frame is rendered."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cleancut.errors import BadOption
from cleancut.option_values import parse_background
from cleancut.video.crew import first_engine
from cleancut.video.order import Part
from cleancut.video.parts import fingerprint, plan_parts, source_facts
from cleancut.video.report import clock

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction

    from cleancut.engine import Engine
    from cleancut.options import Options
    from cleancut.video.form import Form
    from cleancut.video.frame import Frame, VideoInfo
    from cleancut.video.mattes import Matter
    from cleancut.video.options import VideoOptions
    from cleancut.video.order import VideoOrder
    from cleancut.video.reading import VideoReader

#: Frames that the choice of networks looks at, evenly spread.
_SAMPLES = 4
#: Frames that wait between two stages, at most, and the bytes that they may take.
_WAITING, _WAITING_BYTES = 4, 48 << 20


@dataclass(frozen=True, slots=True)
class Scene:
    """A video, what becomes of it, and who finds its mattes.

    ``weights`` are the sha256 of the weights by network. ``start`` and ``stop`` are the first pts
    and the one behind the last, None for the video's own. ``parts`` are all parts of the video.
    """

    source: str
    rate: Fraction | None
    options: Options
    video: VideoOptions
    info: VideoInfo
    form: Form
    matter: Matter
    weights: Mapping[str, str]
    start: int | None = None
    stop: int | None = None
    parts: tuple[Part, ...] = ()

    @property
    def depth(self) -> int:
        """How many frames may wait between two stages."""
        frame = 3 * self.info.width * self.info.height * (1 if self.info.bits <= 8 else 2)
        return max(1, min(_WAITING, _WAITING_BYTES // max(1, 2 * frame)))

    def frames(self, start: int | None, stop: int | None) -> int | None:
        """About how many frames there are between two pts; None where the source does not say."""
        info = self.info
        if start is None and stop is None and info.frames:
            return info.frames
        if info.rate is None or info.duration_s is None:
            return None
        end = info.pts_at(info.duration_s)
        first = info.start_pts if start is None else start
        last = end if stop is None else min(stop, end)
        return max(1, round(float((last - first) * info.time_base * info.rate)))


def open_scene(order: VideoOrder, engine: Engine | None) -> tuple[Scene, tuple[str, ...]]:
    """Look at the video, settle its output, plan its parts, choose its networks; notes on how.

    Without ``engine`` one is made that suits the number of parts. Raises what reading and the
    choice of networks raise, and ``BadOption`` for a span or an output that cannot be.
    """
    from cleancut.video.choose import choose_matter
    from cleancut.video.form import output_form
    from cleancut.video.reading import open_video

    rate = order.frame_rate()
    with open_video(order.source, max_megapixels=order.options.max_megapixels, rate=rate) as reader:
        info = reader.info
        if rate is not None and info.kind != "sequence":
            raise BadOption(
                "--rate is for numbered pictures; a video keeps its own", hint="leave --rate out"
            )
        form = output_form(order.target, order.video, order.options, info)
        start, stop = _span(order.video, info)
        asked = order.options.model != "auto" or order.video.engine != "auto"
        one = asked or not info.seekable
        samples = _samples(reader, start, stop, 1 if one else _SAMPLES)
        if not samples:
            raise nothing_there(order.video, info)
    parts: tuple[Part, ...] = (Part(0, start, stop),)
    if form.segmentable:
        parts = plan_parts(info, start, stop, order.part_s)
    engine = engine or first_engine(order, info, len(parts))
    matter, notes = choose_matter(engine, order.options, order.video, info, samples)
    weights = _weights(matter, order.options)
    scene = Scene(
        source=order.source,
        rate=rate,
        options=order.options,
        video=order.video,
        info=info,
        form=form,
        matter=matter,
        weights=weights,
        start=start,
        stop=stop,
        parts=parts,
    )
    return scene, (*info.notes, *notes)


def scene_fingerprint(scene: Scene) -> str:
    """The name of all that the frames of ``scene`` depend on."""
    from cleancut.version import PIPELINE_VERSION, __version__

    wanted = parse_background(scene.options.background)
    behind = None if wanted is None or wanted.path is None else source_facts(wanted.path)
    return fingerprint(
        {
            "source": [str(Path(scene.source).absolute()), source_facts(scene.source)],
            "rate": scene.rate,
            "options": scene.options.to_json(),
            "video": scene.video.to_json(),
            "form": asdict(scene.form),
            "background": behind,
            "weights": scene.weights,
            "parts": [(part.start, part.stop) for part in scene.parts],
            "versions": [__version__, PIPELINE_VERSION],
        }
    )


def nothing_there(video: VideoOptions, info: VideoInfo) -> BadOption:
    """The error for a span without a frame."""
    asked = f"from {video.start or '0:00'}" + (f" to {video.stop}" if video.stop else "")
    long = "" if info.duration_s is None else f", which is {clock(info.duration_s)} long"
    return BadOption(
        f"there is no frame {asked} in the video{long}", hint="choose another --from or --to"
    )


def _span(video: VideoOptions, info: VideoInfo) -> tuple[int | None, int | None]:
    """``--from`` and ``--to`` as pts."""
    start, stop = video.start_s, video.stop_s
    if start and info.duration_s is not None and start >= info.duration_s:
        raise nothing_there(video, info)
    return (
        None if start is None else info.pts_at(start),
        None if stop is None else info.pts_at(stop),
    )


def _samples(reader: VideoReader, start: int | None, stop: int | None, count: int) -> list[Frame]:
    """``count`` frames from all over the span; its first one at least, if there is any."""
    info = reader.info
    first = info.start_pts if start is None else start
    last = stop
    if info.duration_s is not None:
        end = info.pts_at(info.duration_s)
        last = end if stop is None else min(stop, end)
    places = [start]
    if last is not None and last > first:
        places += [first + (last - first) * k // count for k in range(1, count)]
    found: list[Frame] = []
    for place in places:
        frames = reader.frames(place, stop)
        frame = next(frames, None)
        if frame is not None and (not found or frame.pts > found[-1].pts):
            found.append(frame)
    return found


def _weights(matter: Matter, options: Options) -> dict[str, str]:
    """Names of the networks with the sha256 of their weights."""
    from cleancut.catalog import find
    from cleancut.models.choose import choose
    from cleancut.weights.resolve import resolve

    rows = [*map(find, matter.names)] if options.model == "auto" else [choose(options).lead]
    return {row.id: "" if row.family == "echo" else resolve(row).sha256 for row in rows}
