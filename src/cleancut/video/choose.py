"""Who finds a video's mattes: rvm, or an image model frame by frame, made steady."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleancut.catalog import find, refuse_non_commercial
from cleancut.errors import BadOption
from cleancut.weights.resolve import is_pulled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cleancut.catalog import ModelSpec
    from cleancut.engine import Engine
    from cleancut.models.base import Model
    from cleancut.options import Options
    from cleancut.panel import Panel
    from cleancut.video.frame import Frame, VideoInfo
    from cleancut.video.mattes import Matter
    from cleancut.video.options import VideoOptions

#: The catalog's row of the recurrent network.
RECURRENT = "rvm"
#: The shorter side below which a sample says nothing about who is in it, in pixels.
_TINY_PX = 32
#: How far (soft IoU) rvm must agree with the image models, where there is a face and where not.
_ALIKE_WITH_FACE, _ALIKE = 0.5, 0.8


def choose_matter(
    engine: Engine,
    options: Options,
    video: VideoOptions,
    info: VideoInfo,  # noqa: ARG001  (part of what every choice may go by)
    samples: Sequence[Frame],
) -> tuple[Matter, tuple[str, ...]]:
    """The matter that ``video.engine`` and ``options.model`` ask for, with notes on the choice.

    "auto" looks at ``samples``, frames from all over the video: people are rvm's where it is pulled
    and its licence allowed, everything else is an image model's. A model that is named is meant.
    Raises ``BadOption`` where engine and model contradict each other, and what ``Engine.panel_for``
    raises.
    """
    named = options.model != "auto"
    recurrent = named and _family(options.model) == "recurrent"
    if video.engine == "rvm" and named and not recurrent:
        raise BadOption(
            f"--engine rvm and --model {options.model} contradict each other",
            hint="leave one of them out",
        )
    if video.engine == "image" and recurrent:
        raise BadOption(
            f"--engine image: {options.model} is no image model", hint="use --engine rvm"
        )
    if recurrent:
        return _recurrent(engine, options, video, f"{options.model}, as asked for")
    if video.engine == "rvm":
        chosen = options.with_(model=RECURRENT)
        return _recurrent(engine, chosen, video, "rvm, as asked for")
    if named:
        panel, notes = engine.panel_for(options)
        return _image(panel, options, video, notes, f"{options.model}, as asked for")
    if video.engine == "image":
        panel, notes = engine.panel_for(options)
        return _image(panel, options, video, notes, "image, as asked for")
    return _by_content(engine, options, video, samples)


def _by_content(
    engine: Engine,
    options: Options,
    video: VideoOptions,
    samples: Sequence[Frame],
) -> tuple[Matter, tuple[str, ...]]:
    """What ``--engine auto`` means for this video."""
    spec = find(RECURRENT)
    if not is_pulled(spec):
        why = f"image; for people rvm is faster (GPL-3.0 weights): cleancut models pull {spec.id}"
    elif options.commercial_only and spec.commercial != "yes":
        why = f"image, since --commercial-only refuses rvm ({spec.weight_licence} weights)"
    else:
        panel, notes = _panel_or_none(engine, options)
        chosen = options.with_(model=RECURRENT)
        people, reason = shows_people(panel, engine.model_for(chosen)[0], samples)
        if people or panel is None:
            return _recurrent(engine, chosen, video, f"rvm, {reason}")
        return _image(panel, options, video, notes, f"image, {reason}")
    panel, notes = engine.panel_for(options)
    return _image(panel, options, video, notes, why)


def _panel_or_none(engine: Engine, options: Options) -> tuple[Panel | None, tuple[str, ...]]:
    """The image models; None where nothing but rvm is pulled."""
    from cleancut.errors import WeightsMissing

    try:
        return engine.panel_for(options)
    except WeightsMissing:
        return None, ()


def shows_people(panel: Panel | None, rvm: Model, samples: Sequence[Frame]) -> tuple[bool, str]:
    """Whether most of ``samples`` show people in front, and how that was found out.

    Of cats and cars ``rvm`` knows nothing: what it finds must be what the image models find, fairly
    where there is a face, exactly where there is none.
    """
    if panel is None:
        return True, "the only network that is pulled"
    told = [
        _person(panel, rvm, frame) for frame in samples if min(frame.view.shape[:2]) >= _TINY_PX
    ]
    count = sum(told)
    reason = f"since {count} of {len(told)} sampled frames show people"
    return bool(told) and 2 * count > len(told), reason


def _person(panel: Panel, rvm: Model, frame: Frame) -> bool:
    from cleancut.matting.fusion import UNSURE, agreement, softness
    from cleancut.models.faces import load_faces
    from cleancut.panel import judge

    face = bool(load_faces().find(frame.view))
    first = rvm.predict(frame.view)
    again = rvm.predict(frame.view, first.state)  # its first answer is its worst
    alike = agreement(judge(frame.view, panel).alpha, again.alpha)
    return alike >= (_ALIKE_WITH_FACE if face else _ALIKE) and softness(again.alpha) < UNSURE


def _family(name: str) -> str:
    return "echo" if name == "echo" else find(name).family


def _recurrent(
    engine: Engine, options: Options, video: VideoOptions, why: str
) -> tuple[Matter, tuple[str, ...]]:
    from cleancut.video.recurrent_matter import RecurrentMatter

    spec: ModelSpec = find(options.model)
    if options.commercial_only:
        refuse_non_commercial(spec)
    model, notes = engine.model_for(options)
    matter = RecurrentMatter(model, options, ratio=video.ratio)
    return matter, (f"engine: {why}", *notes)


def _image(
    panel: Panel,
    options: Options,
    video: VideoOptions,
    notes: tuple[str, ...],
    why: str,
) -> tuple[Matter, tuple[str, ...]]:
    from cleancut.video.steady import image_matter

    return image_matter(panel, options, video), (f"engine: {why}", *notes)
