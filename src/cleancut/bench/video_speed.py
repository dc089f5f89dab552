"""``bench video``: frames through a pipe, numbered pictures and whole jobs, beside the peers."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cleancut.bench import peer as rembg_peer
from cleancut.bench.clips import CLIP_RATE, CLIP_WHEEL, fetch_demo_clip
from cleancut.bench.measure import check_request, gather
from cleancut.bench.report import Report
from cleancut.bench.sides import Tell, our_side, our_software, rembg_or_reason
from cleancut.bench.video_peers import remover_or_reason
from cleancut.bench.video_rows import MEASUREMENTS, PIPED, SHORT, VideoBench
from cleancut.bench.video_truth import find_clips
from cleancut.catalog import find
from cleancut.errors import CleancutError
from cleancut.video.reading import open_video
from cleancut.weights.folders import cache_folder, home
from cleancut.weights.resolve import resolve

MARKERS = ("<!-- bench video: begin -->", "<!-- bench video: end -->")


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoPlan:
    """What to measure.

    ``clips`` holds clips with true mattes (CLIP/image/NNNNN.* and CLIP/alpha/NNNNN.png), None to
    leave accuracy out. ``only`` holds numbers of measurements (empty: all). ``peer_venv`` and
    ``remover_venv`` are where rembg and backgroundremover are or will be installed, None to leave
    them out.
    """

    clips: Path | None = None
    runs: int = 2
    only: frozenset[int] = frozenset()
    peer_venv: Path | None = None
    remover_venv: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be measured (``BadOption``)."""
        check_request(self.runs, self.only, MEASUREMENTS)


def video(plan: VideoPlan, tell: Tell) -> Report:
    """Measure all sides; where a peer cannot be had its column stays empty and a note says why.

    Raises ``WeightsMissing``, ``DownloadFailed``, ``MissingDependency``, ``InputNotFound``.
    """
    weights = {model: resolve(find(model)).path for model in rembg_peer.NAMES}
    truth = () if plan.clips is None else find_clips(plan.clips)
    with tempfile.TemporaryDirectory(prefix="cleancut-bench-") as folder:
        work = Path(folder)
        tell("fetching the demo clip")
        clip = fetch_demo_clip(cache_folder() / "demo-pictures")
        raw, size = _raw_frames(clip, work, max(PIPED.values()))
        theirs, about_rembg = rembg_or_reason(plan.peer_venv, weights, work, tell)
        remover, about_remover = remover_or_reason(plan.remover_venv, work / "remover", tell)
        ours = our_side(weights, work).at_home(home())
        models = [*weights, *_recurrent(notes := [_about(clip, size)])]
        tell("cleancut measures its backends")
        ours.run("models", "pull", *models)
        bench = VideoBench(
            ours=ours,
            rembg=theirs,
            remover=remover,
            runs=plan.runs,
            work=work,
            clip=clip,
            raw=raw,
            size=size,
            recurrent="rvm" in models,
            truth=truth,
            notes=notes,
        )
        rows = gather(MEASUREMENTS, bench, plan.only, tell)
    about = (our_software(), about_rembg, about_remover)
    return Report.of_today(plan.runs, about, rows, bench.notes, peer="peer")


def _recurrent(notes: list[str]) -> list[str]:
    """["rvm"] where its weights are here; a note where not: nobody pulls GPL weights unasked."""
    try:
        resolve(find("rvm"))
    except CleancutError as error:
        notes.append(f"rvm: not measured, since {error.message}")
        return []
    return ["rvm"]


def _raw_frames(clip: Path, work: Path, frames: int) -> tuple[Path, tuple[int, int]]:
    """The first ``frames`` frames of the clip as raw rgb24 in one file, and (width, height)."""
    target = work / "frames.rgb24"
    with open_video(clip) as reader, target.open("wb") as out:
        info = reader.info
        for _, frame in zip(range(frames), reader.frames(), strict=False):
            out.write(np.ascontiguousarray(frame.view).tobytes())
    return target, (info.width, info.height)


def _about(clip: Path, size: tuple[int, int]) -> str:
    return (
        f"clip: {clip.name} of the package {CLIP_WHEEL}, three people, {size[0]}x{size[1]}, "
        f"{CLIP_RATE} frames a second; whole processes, their start and the loading of the network "
        f"included; through pipes {PIPED['u2netp']} frames (isnet {PIPED['isnet']}), in the "
        f"comparison with backgroundremover {SHORT}"
    )
