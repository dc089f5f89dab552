"""The measurements of ``bench video``, one function a number; each gives rows and notes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from cleancut.bench.clips import CLIP_FRAMES, CLIP_RATE, CLIP_SECONDS
from cleancut.bench.measure import Figure, Sample, Turns, run_once, take_turns
from cleancut.bench.report import Row
from cleancut.bench.sides import Side
from cleancut.bench.video_peers import Remover
from cleancut.bench.video_truth import (
    TrueClip,
    matted_by_ours,
    matted_by_rembg,
    matted_by_remover,
    scored,
)
from cleancut.errors import RunError

#: Frames that go through a pipe, by network: enough that the start of a process counts little.
PIPED = {"u2netp": 60, "isnet": 24}
#: Frames of the clip that backgroundremover gets; it needs about a second for each.
SHORT = 60
#: What a frame of 1280x720 may take rvm.
_FRAME_MS = 45.0
GREEN = "#00b140"
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class VideoBench:
    """What a measurement needs.

    ``clip`` is the demo clip, ``raw`` its first frames as rgb24, ``size`` their (width, height).
    ``recurrent`` says whether rvm is pulled.
    """

    ours: Side
    rembg: Side | None
    remover: Remover | None
    runs: int
    work: Path
    clip: Path
    raw: Path
    size: tuple[int, int]
    recurrent: bool
    truth: tuple[TrueClip, ...] = ()
    notes: list[str] = field(default_factory=list)

    def new_folder(self) -> Path:
        """An empty folder on the disk the benchmark works on."""
        return Path(tempfile.mkdtemp(dir=self.work))

    def turns(self, number: int, tasks: Mapping[str, Callable[[], Sample]]) -> Turns:
        """The tasks in turns, none of them uncounted before; failures become notes."""
        turns = take_turns(tasks, self.runs, warm_up=False)
        self.notes.extend(f"{number}: {n} failed: {why}" for n, why in turns.failed.items())
        return turns

    def raw_of(self, frames: int) -> Path:
        """The first ``frames`` raw frames in a file of their own."""
        target = self.work / f"first-{frames}.rgb24"
        if not target.exists():
            with self.raw.open("rb") as source:
                target.write_bytes(source.read(frames * 3 * self.size[0] * self.size[1]))
        return target

    def over_green(self, target: Path, *words: str) -> Sample:
        """Our whole job: the clip over green, H.264."""
        return self.rendered(target, "--background", GREEN, *words)

    def rendered(self, target: Path, *words: str) -> Sample:
        """``cleancut video`` on the clip; ``RunError`` if it leaves no video."""
        target.unlink(missing_ok=True)
        named = ["video", str(self.clip), "-o", str(target)]
        sample = self.ours.run(*named, "--fresh", "--quiet", *words)
        if not target.is_file():
            raise RunError("cleancut ended without an error and wrote no video")
        return sample


def measure_pipe(bench: VideoBench) -> list[Row]:
    """1. Raw frames in by a pipe, frames with alpha out by a pipe."""
    rows = []
    for model, frames in PIPED.items():
        tasks = {"cleancut": partial(_piped_by_ours, bench, model, frames)}
        if bench.rembg is not None:
            tasks["rembg"] = partial(_piped_by_rembg, bench, bench.rembg, model, frames)
        what = f"{frames} raw frames by pipe, {model} (peer: rembg b)"
        rows += _rate_rows(1, what, frames, bench.turns(1, tasks), "rembg")
    return rows


def measure_pictures(bench: VideoBench) -> list[Row]:
    """2. The same frames to numbered PNGs; cleancut decodes them from the clip besides."""
    rows = []
    for model, frames in PIPED.items():
        tasks = {"cleancut": partial(_pictures_by_ours, bench, model, frames)}
        if bench.rembg is not None:
            tasks["rembg"] = partial(_pictures_by_rembg, bench, bench.rembg, model, frames)
        what = f"{frames} frames to numbered PNGs, {model} (peer: rembg b -o)"
        rows += _rate_rows(2, what, frames, bench.turns(2, tasks), "rembg")
    return rows


def measure_job(bench: VideoBench) -> list[Row]:
    """3. The whole demo clip over green, H.264: how many times real time."""
    rows = []
    engines = {"rvm": ("--engine", "rvm")} if bench.recurrent else {}
    for name, words in {**engines, "u2netp": ("--model", "u2netp")}.items():
        task = partial(bench.over_green, bench.work / f"{name}.mp4", *words)
        turns = bench.turns(3, {"cleancut": task})
        figure = turns.figure("cleancut", lambda sample: CLIP_SECONDS / sample.seconds)
        what = f"{CLIP_SECONDS:.1f} s clip over green, H.264, {name}: times real time"
        rows.append(Row(3, what, "x", None, figure, 1.0, at_least=True))
        peak = turns.figure("cleancut", lambda sample: sample.peak_mb)
        rows.append(Row(3, "same, peak memory", "MB", None, peak))
        if figure is not None:
            rate = CLIP_FRAMES / CLIP_SECONDS * figure.median
            bench.notes.append(f"3: {name}: {rate:.1f} frames a second")
    return rows


def measure_remover(bench: VideoBench) -> list[Row]:
    """4. The beginning of that clip as ProRes 4444 with alpha, beside backgroundremover."""
    tasks = {"cleancut": partial(_transparent, bench, bench.work / "short.mov")}
    if (remover := bench.remover) is not None:
        short = bench.work / "beginning.mp4"
        remover.copy_beginning(bench.clip, SHORT / CLIP_RATE, short)
        tasks["remover"] = partial(remover.transparent, short, bench.work / "remover.mov")
    what = f"first {SHORT} frames to ProRes 4444, u2netp (peer: backgroundremover -tv)"
    return _rate_rows(4, what, SHORT, bench.turns(4, tasks), "remover")


def measure_truth(bench: VideoBench) -> list[Row]:
    """5. Mattes of whole commands on clips with true mattes: MAD and dtSSD, always both."""
    rows: list[Row] = []
    if not bench.truth:
        bench.notes.append("5: mattes not scored: no folder of clips with true mattes was given")
        return rows
    for model in PIPED:
        ours = scored(bench.truth, partial(matted_by_ours, bench.ours, model), bench.new_folder())
        theirs = None
        if bench.rembg is not None:
            run = partial(matted_by_rembg, bench.rembg, model)
            theirs = scored(bench.truth, run, bench.new_folder())
        rows += _truth_rows(bench, f"{model} (peer: rembg b)", ours, theirs)
        if model == "u2netp" and bench.remover is not None:
            found = scored(
                bench.truth, partial(matted_by_remover, bench.remover), bench.new_folder()
            )
            rows += _truth_rows(bench, f"{model} (peer: backgroundremover -mk)", ours, found)
    return rows


def measure_network(bench: VideoBench) -> list[Row]:
    """6. rvm alone on frames in memory: ours beside the same weights as one graph."""
    if not bench.recurrent:
        return []
    from cleancut.bench.video_net import time_net

    found = time_net()
    whole = {side.runs_on: side for side in found if side.side == "one graph"}
    rows = []
    for side in found:
        ours = Figure((side.ms,))
        if side.side == "cleancut":
            what = f"rvm {side.runs_on}, 1280x720 at 0.375, a frame (peer: one graph)"
            rows.append(Row(6, what, "ms", Figure((whole[side.runs_on].ms,)), ours))
        elif side.side != "one graph":
            what = f"rvm as it is run here ({side.runs_on})"
            rows.append(Row(6, what, "ms", None, ours, _FRAME_MS))
    return rows


MEASUREMENTS: dict[int, Callable[[VideoBench], list[Row]]] = {
    1: measure_pipe,
    2: measure_pictures,
    3: measure_job,
    4: measure_remover,
    5: measure_truth,
    6: measure_network,
}


def _piped_by_ours(bench: VideoBench, model: str, frames: int) -> Sample:
    width, height = bench.size
    words = ["video", "--pipe", "rgb24", "--size", f"{width}x{height}", "--model", model]
    answer = bench.work / "answer.rgba"
    argv = [*bench.ours.command, *words, "--quiet"]
    sample = run_once(argv, bench.ours.env, feed=bench.raw_of(frames), answer=answer)
    made = answer.stat().st_size / (4 * width * height)
    answer.unlink()
    if made != frames:
        raise RunError(f"cleancut answered {made:g} of {frames} frames")
    return sample


def _piped_by_rembg(bench: VideoBench, side: Side, model: str, frames: int) -> Sample:
    width, height = map(str, bench.size)
    argv = [*side.command, "b", "-m", side.names[model], width, height]
    answer = bench.work / "answer.png"
    sample = run_once(argv, side.env, feed=bench.raw_of(frames), answer=answer)
    made = answer.read_bytes().count(_PNG)
    answer.unlink()
    if made != frames:
        bench.notes.append(
            f"1: rembg b wrote {made} of {frames} frames ({model}): it ends without waiting for "
            "what is still to be written; counted as if it had written all"
        )
    return sample


def _pictures_by_ours(bench: VideoBench, model: str, frames: int) -> Sample:
    target = bench.new_folder() / "out"
    target.mkdir()
    seconds = f"{frames / CLIP_RATE:g}"
    sample = bench.ours.run(
        *("video", str(bench.clip), "-o", str(target / "%05d.png"), "--model", model),
        *("--to", seconds, "--fresh", "--quiet"),
    )
    return _all_there(sample, "cleancut", target, frames)


def _pictures_by_rembg(bench: VideoBench, side: Side, model: str, frames: int) -> Sample:
    target = bench.new_folder() / "out"
    width, height = map(str, bench.size)
    words = ["b", "-m", side.names[model], "-o", str(target / "%05d.png"), width, height]
    answer = bench.work / "answer.bin"
    argv = [*side.command, *words]
    sample = run_once(argv, side.env, feed=bench.raw_of(frames), answer=answer)
    return _all_there(sample, "rembg", target, frames)


def _transparent(bench: VideoBench, target: Path) -> Sample:
    return bench.rendered(target, "--model", "u2netp", "--to", f"{SHORT / CLIP_RATE:g}")


def _all_there(sample: Sample, name: str, folder: Path, frames: int) -> Sample:
    made = sum(1 for _ in folder.glob("*.png"))
    if made != frames:
        raise RunError(f"{name} ended without an error and made {made} of {frames} pictures")
    return sample


def _rate_rows(number: int, what: str, frames: int, turns: Turns, peer: str) -> list[Row]:
    def rate(sample: Sample) -> float:
        return frames / sample.seconds

    def peak(sample: Sample) -> float | None:
        return sample.peak_mb

    return [
        Row(
            *(number, f"{what}, frames a second", "/s"),
            *(turns.figure(peer, rate), turns.figure("cleancut", rate)),
            at_least=True,
        ),
        Row(
            *(number, "same, peak memory", "MB"),
            *(turns.figure(peer, peak), turns.figure("cleancut", peak)),
        ),
    ]


def _truth_rows(
    bench: VideoBench,
    what: str,
    ours: tuple[float, float] | str,
    theirs: tuple[float, float] | str | None,
) -> list[Row]:
    figures = []
    for name, found in (("peer", theirs), ("cleancut", ours)):
        if isinstance(found, str):
            bench.notes.append(f"5: {what}: {name} failed: {found}")
        known = found if isinstance(found, tuple) else (None, None)
        figures.append([None if value is None else Figure((value,)) for value in known])
    peer, own = figures
    return [
        Row(5, f"{len(bench.truth)} clips, {what}: MAD x1000", " ", peer[0], own[0]),
        Row(5, "same, dtSSD x100", " ", peer[1], own[1]),
    ]
