"""Mattes of clips with the truth: image models frame by frame, the same made steady, and rvm.

A clip is scored by its error and its steadiness together: each alone can be bought with the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from statistics import fmean, median
from typing import TYPE_CHECKING

import numpy as np

from cleancut.bench.video_truth import find_clips
from cleancut.catalog import find
from cleancut.engine import Engine
from cleancut.imaging.decode import decode
from cleancut.imaging.files import read_bytes
from cleancut.imaging.pairs import read_truth
from cleancut.metrics import grad, iou, is_binary, mad, mse
from cleancut.video.choose import choose_matter
from cleancut.video.frame import Frame, VideoInfo
from cleancut.video.metrics import dtssd, iou_wobble
from cleancut.video.options import VideoOptions

if TYPE_CHECKING:
    from pathlib import Path

    from cleancut.arrays import Alpha
    from cleancut.bench.video_truth import TrueClip
    from cleancut.options import Options
    from cleancut.video.mattes import Matted, Matter, Memory

MARKERS = ("<!-- bench steady: begin -->", "<!-- bench steady: end -->")
ALONE, STEADY, RECURRENT = "frame by frame", "steadied", "recurrent"
#: Published for 512x288 clips, the network the same (Lin et al., WACV 2022, table 1: VM).
PUBLISHED = "rvm as published, on other clips (VideoMatte240K): MAD 6.08, dtSSD 1.36"
_HEAD = ("clip", "model", "how", "MAD", "MSE", "Grad", "dtSSD", "IoU", "IoU wobble", "s/frame")


@dataclass(frozen=True, slots=True)
class Scored:
    """One clip by one model in one way; binary truths have ``iou`` and ``wobble`` only.

    ``seconds`` is the median time of a frame, networks included, decoding not.
    """

    clip: str
    model: str
    how: str
    binary: bool
    mad: float
    mse: float
    grad: float
    dtssd: float
    iou: float
    wobble: float
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class LoadedClip:
    """The frames of a clip, and their true mattes: (H, W) float32 in 0..1."""

    name: str
    frames: tuple[Frame, ...]
    truths: tuple[Alpha, ...]


def measure(
    folder: Path,
    models: Sequence[str],
    options: Options,
    video: VideoOptions,
    *,
    tell: Callable[[str], None],
    limit: int | None = None,
) -> list[Scored]:
    """Every clip of ``folder`` (CLIP/image, CLIP/alpha) by every model, ``limit`` frames of each.

    ``options.model`` does not count. Raises what ``find_clips``, reading and the models raise.
    """
    engine, rows = Engine(), []
    for clip in find_clips(folder):
        loaded = read_clip(clip, limit)
        for model in models:
            for how in (RECURRENT,) if is_recurrent(model) else (ALONE, STEADY):
                tell(f"{clip.name}: {model}, {how}")
                rows.append(score_clip(loaded, engine, options.with_(model=model), video, how))
    return rows


def is_recurrent(model: str) -> bool:
    """Whether the model remembers frames; raises ``UnknownModel``."""
    return model not in ("echo", "auto") and find(model).family == "recurrent"


def read_clip(clip: TrueClip, limit: int | None) -> LoadedClip:
    """The first ``limit`` frames of a clip; raises what reading raises."""
    frames, truths = _read(clip, limit)
    return LoadedClip(clip.name, tuple(frames), tuple(truths))


def score_clip(
    clip: LoadedClip, engine: Engine, options: Options, video: VideoOptions, how: str
) -> Scored:
    """One clip by ``options.model`` in one way: ``ALONE``, ``STEADY`` or ``RECURRENT``.

    A recurrent network frame by frame is the same one, made to forget every frame. Raises what
    models raise.
    """
    remembers = is_recurrent(options.model)
    height, width = clip.truths[0].shape
    info = VideoInfo("sequence", width, height, Fraction(1, 25))
    wanted = VideoOptions(
        engine="rvm" if remembers else "image",
        steady=how == STEADY,
        look_ahead=video.look_ahead,
        ratio=video.ratio,
    )
    matter, _ = choose_matter(engine, options, wanted, info, clip.frames[:1])
    mattes, seconds = matted(matter, clip.frames, forget=remembers and how == ALONE)
    return _scored(clip.name, options.model, how, mattes, clip.truths, seconds)


def matted(
    matter: Matter, frames: Sequence[Frame], *, forget: bool = False
) -> tuple[list[Alpha], float]:
    """The mattes of ``frames``, and the median seconds of a step.

    ``forget`` is for a matter that answers at once: it sees every frame as its first.
    """
    memory: Memory = None
    answers: list[Matted] = []
    seconds: list[float] = []
    for frame in frames:
        began = time.perf_counter()
        found, memory = matter.step(frame, None if forget else memory)
        seconds.append(time.perf_counter() - began)
        answers += found
    answers += matter.finish(memory)
    return [answer.alpha for answer in answers], median(seconds)


def to_markdown(rows: Sequence[Scored]) -> str:
    """The table, the means over clips, and how steadied and frame by frame compare."""
    lines = [_line(_HEAD), _line(["---"] * len(_HEAD))]
    lines += [_line(_cells(row)) for row in rows]
    exact = [row for row in rows if not row.binary]
    for key, group in groupby(sorted(exact, key=_way), key=_way):
        some = list(group)
        lines.append(_line(_cells(_mean(f"**mean of {len(some)}**", *key, some))))
    lines.append("")
    for model in dict.fromkeys(row.model for row in rows):
        alone, steady = (
            [row for row in exact if (row.model, row.how) == (model, how)]
            for how in (ALONE, STEADY)
        )
        if alone and steady:
            ratios = " and ".join(
                f"{name} {_ratio(steady, alone, name.lower())}" for name in ("MAD", "dtSSD")
            )
            lines.append(f"- {model}: steadied by frame by frame, of the means: {ratios}")
    if any(row.how == RECURRENT for row in rows):
        lines.append(f"- {PUBLISHED}")
    return "\n".join(lines)


def _read(clip: TrueClip, limit: int | None) -> tuple[list[Frame], list[Alpha]]:
    frames, truths = [], []
    for number, pair in enumerate(clip.pairs[:limit]):
        rgb = decode(read_bytes(pair.image)).rgb
        view = rgb if rgb.dtype == np.uint8 else (rgb // 257).astype(np.uint8)
        frames.append(Frame(number, view, view, duration=1))
        truths.append(read_truth(pair.alpha))
    return frames, truths


def _scored(
    clip: str,
    model: str,
    how: str,
    mattes: Sequence[Alpha],
    truths: Sequence[Alpha],
    seconds: float,
) -> Scored:
    def mean(measure: Callable[[Alpha, Alpha], float]) -> float:
        return fmean(measure(matte, truth) for matte, truth in zip(mattes, truths, strict=True))

    return Scored(
        clip=clip,
        model=model,
        how=how,
        binary=all(is_binary(truth) for truth in truths),
        mad=mean(mad),
        mse=mean(mse),
        grad=mean(grad),
        dtssd=dtssd(mattes, truths),
        iou=mean(iou),
        wobble=iou_wobble(mattes, truths),
        seconds=seconds,
    )


def _way(row: Scored) -> tuple[str, str]:
    return row.model, row.how


def _mean(clip: str, model: str, how: str, rows: Sequence[Scored]) -> Scored:
    names = ("mad", "mse", "grad", "dtssd", "iou", "wobble", "seconds")
    means = {name: fmean(getattr(row, name) for row in rows) for name in names}
    return Scored(clip=clip, model=model, how=how, binary=False, **means)


def _ratio(rows: Sequence[Scored], others: Sequence[Scored], name: str) -> str:
    one, other = (fmean(getattr(row, name) for row in some) for some in (rows, others))
    return f"{one / other:.2f}" if other else "-"


def _cells(row: Scored) -> tuple[str, ...]:
    figures = (f"{row.mad:.2f}", f"{row.mse:.2f}", f"{row.grad:.3f}", f"{row.dtssd:.2f}")
    return (
        *(row.clip, row.model, row.how),
        *(("-",) * 4 if row.binary else figures),
        *(f"{row.iou:.3f}", f"{row.wobble:.2f}", f"{row.seconds:.3f}"),
    )


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
