"""The measurements of ``bench speed``, one function a number; each gives rows and notes."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

from cleancut.bench.growth import watch_memory
from cleancut.bench.measure import Figure, Sample, Turns, printed_json, take_turns
from cleancut.bench.report import Row
from cleancut.bench.sides import Side
from cleancut.errors import RunError

#: Picture after which the memory of a long batch should have settled.
EARLY = 200
_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class SpeedBench:
    """What a measurement needs.

    ``images`` is a folder of pictures, ``many`` one of small pictures for the long run, ``large`` a
    picture of 12 megapixels and ``one`` one of the folder. ``store`` is the user's own home, where
    optimised copies of networks are. ``stages`` gathers milliseconds by stage for the drawing.
    """

    sides: Mapping[str, Side]
    runs: int
    work: Path
    images: Path
    many: Path
    large: Path
    one: Path
    store: Path
    notes: list[str] = field(default_factory=list)
    stages: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def ours(self) -> Side:
        """cleancut."""
        return self.sides["cleancut"]

    def turns(self, task: Callable[[Side], Sample], *, only_ours: bool = False) -> Turns:
        """``task`` on every side in turns, once before uncounted; failures become notes."""
        tasks = {
            name: partial(task, side)
            for name, side in self.sides.items()
            if name == "cleancut" or not only_ours
        }
        turns = take_turns(tasks, self.runs)
        self.notes.extend(f"{name} failed: {reason}" for name, reason in turns.failed.items())
        return turns

    def new_folder(self) -> Path:
        """A name for a folder that does not exist yet."""
        return Path(tempfile.mkdtemp(dir=self.work)) / "out"


def measure_isnet(bench: SpeedBench) -> list[Row]:
    """1. A folder of 16 pictures with isnet, whole process, and the share of the network in it."""
    turns = bench.turns(lambda side: side.cut_folder("isnet", bench.images, bench.new_folder()))
    rows = _folder_rows(1, "16 pictures of 0.4-1.5 MP, isnet, folder", turns, 6.5, 900)
    count = sum(1 for _ in bench.images.iterdir())
    alone = bench.turns(partial(_net_alone, model="isnet", count=count), only_ours=True)
    net = alone.figure("cleancut", lambda sample: printed_json(sample)["seconds"] * count)
    whole = turns.figure("cleancut", _wall)
    if net is None or whole is None:
        return rows
    place = printed_json(alone.samples["cleancut"][-1])["runs_on"]
    bench.notes.append(f"1: isnet runs on {place} in cleancut; alone it takes {net.median:.2f} s")
    share = Figure((100 * net.median / whole.median,))
    what = "share of the wall time that is the network itself"
    return [*rows, Row(1, what, "%", None, share, 90, at_least=True)]


def measure_int8(bench: SpeedBench) -> list[Row]:
    """2. The same with the int8 copies that `cleancut models optimize` made."""
    side = bench.ours.at_home(bench.store)
    rows = []
    for model, seconds, mb in (("isnet", 3.8, 900), ("u2netp", 1.8, 500)):
        turns = take_turns({"cleancut": partial(_int8_folder, bench, side, model)}, bench.runs)
        if "cleancut" in turns.failed:
            bench.notes.append(f"2: {model} not measured: {turns.failed['cleancut']}")
        else:
            rows += _folder_rows(2, f"same pictures, {model} int8", turns, seconds, mb)
    return rows


def measure_u2netp(bench: SpeedBench) -> list[Row]:
    """3. The same folder with u2netp."""
    turns = bench.turns(lambda side: side.cut_folder("u2netp", bench.images, bench.new_folder()))
    return _folder_rows(3, "same pictures, u2netp, folder", turns, 1.8, 500)


def measure_large(bench: SpeedBench) -> list[Row]:
    """4. One 12-megapixel picture, warm, u2netp, JPEG to PNG; and where its time goes."""
    turns = bench.turns(lambda side: side.call_often("u2netp", bench.large, max(bench.runs, 5)))
    figures: dict[str, Figure] = {}
    for name, samples in turns.samples.items():
        told = [printed_json(sample) for sample in samples]
        if told:
            figures[name] = Figure(tuple(s for one in told for s in one["seconds"]))
    small = bench.turns(
        lambda side: side.call_often("isnet", bench.one, max(bench.runs, 5)), only_ours=True
    )
    for title, found in (
        ("12 megapixels, u2netp", turns),
        ("one picture of the folder, isnet", small),
    ):
        told = [printed_json(sample) for sample in found.samples.get("cleancut", [])]
        if told:
            names = told[-1]["stages_ms"]
            middle = {n: median(one["stages_ms"].get(n, 0.0) for one in told) for n in names}
            bench.stages[title] = middle
            parts = ", ".join(f"{stage} {ms:.0f}" for stage, ms in middle.items())
            bench.notes.append(f"4: {title}, ms by stage: {parts}")
    what = "one 12 MP picture, warm, u2netp, JPEG to PNG"
    return [Row(4, what, "s", figures.get("rembg"), figures.get("cleancut"), 0.40)]


def measure_memory(bench: SpeedBench) -> list[Row]:
    """5. Memory of a long batch: after 200 pictures and at its end."""
    pictures = sum(1 for _ in bench.many.iterdir())
    words = ["batch", str(bench.many), "-o", str(bench.new_folder()), "--model", "u2netp"]
    argv = [*bench.ours.command, *words, "--cache", "off", "--json"]
    try:
        growth = watch_memory(argv, bench.ours.env, early=EARLY, pictures=pictures)
    except RunError as error:
        bench.notes.append(f"5: not measured: {error.message}")
        return []
    bench.notes.append(
        f"5: {growth.early_mb:.0f} MB around picture {EARLY}, {growth.late_mb:.0f} MB at the end,"
        f" {growth.peak_mb:.0f} MB at most"
    )
    what = f"{pictures} pictures: memory at the end over picture {EARLY}"
    return [Row(5, what, "%", None, Figure((100 * growth.share,)), 5.0)]


MEASUREMENTS: dict[int, Callable[[SpeedBench], list[Row]]] = {
    1: measure_isnet,
    2: measure_int8,
    3: measure_u2netp,
    4: measure_large,
    5: measure_memory,
}


def _int8_folder(bench: SpeedBench, side: Side, model: str) -> Sample:
    return side.cut_folder(model, bench.images, bench.new_folder(), "--precision", "int8")


def _net_alone(side: Side, *, model: str, count: int) -> Sample:
    argv = [sys.executable, "-P", str(_HERE / "child_net.py"), model, "auto", str(count)]
    return side.run_once(argv, side.env)


def _folder_rows(number: int, what: str, turns: Turns, seconds: float, mb: float) -> list[Row]:
    def row(metric: str, unit: str, value: Callable[[Sample], float | None], top: float) -> Row:
        theirs, ours = turns.figure("rembg", value), turns.figure("cleancut", value)
        return Row(number, metric, unit, theirs, ours, top)

    return [
        row(what, "s", _wall, seconds),
        row("same, peak memory", "MB", lambda sample: sample.peak_mb, mb),
    ]


def _wall(sample: Sample) -> float:
    return sample.seconds
