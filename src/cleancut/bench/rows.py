"""The five measurements of ``bench start``, one function a number; each gives rows and notes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

from cleancut.bench.measure import Figure, Sample, Turns, printed_json, take_turns
from cleancut.bench.report import Row
from cleancut.bench.sides import Side

#: A run with nothing compiled takes rembg most of a minute.
MAX_COLD_RUNS = 3
#: Processes over which the warm calls are spread, in turns.
MAX_CALL_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Bench:
    """What a measurement needs: the sides by name, how often, a folder to work in, the pictures."""

    sides: Mapping[str, Side]
    runs: int
    work: Path
    small: Path
    large: Path
    notes: list[str] = field(default_factory=list)

    def turns(
        self, task: Callable[[Side], Sample], *, rounds: int | None = None, warm_up: bool = True
    ) -> Turns:
        """``task`` on every side in turns; failures become notes."""
        tasks = {name: partial(task, side) for name, side in self.sides.items()}
        turns = take_turns(tasks, self.runs if rounds is None else rounds, warm_up=warm_up)
        self.notes.extend(f"{name} failed: {reason}" for name, reason in turns.failed.items())
        return turns

    def new_folder(self) -> Path:
        """An empty folder on the disk the benchmark works on."""
        return Path(tempfile.mkdtemp(dir=self.work))


def measure_import(bench: Bench) -> list[Row]:
    """1. What the import of each package loads, and how long it takes."""

    def seconds(sample: Sample) -> float:
        return float(printed_json(sample)["seconds"])

    def count(sample: Sample) -> float:
        return float(len(printed_json(sample)["modules"]))

    def empty_numba_cache(side: Side) -> Sample:
        return side.fresh(bench.new_folder(), bytecode=False).import_package()

    warm = bench.turns(Side.import_package)
    cold = bench.turns(empty_numba_cache, rounds=1, warm_up=False)
    for name, samples in warm.samples.items():
        modules = printed_json(samples[0])["modules"] if samples else []
        if modules:
            bench.notes.append(f"import {name} loads: {', '.join(map(str, modules))}")
    return [
        _row(1, "third-party modules loaded by import", "", warm, count, target=0),
        _row(1, "import", "s", warm, seconds),
        _row(1, "import, empty numba cache", "s", cold, seconds),
    ]


def measure_help(bench: Bench) -> list[Row]:
    """2. The commands that touch no picture."""

    def model_list(side: Side) -> Sample:
        # rembg has no list of models; what its help takes is what any command takes at least.
        return side.run("models", "list") if side.name == "cleancut" else side.run("--help")

    helped = bench.turns(lambda side: side.run("--help"))
    listed = bench.turns(model_list)
    return [
        _row(2, "`--help`", "s", helped, _wall, target=0.15),
        _row(2, "`models list` (rembg: `--help`)", "s", listed, _wall, target=0.15),
    ]


def measure_process(bench: Bench) -> list[Row]:
    """3. One 0.7-megapixel JPEG through isnet, whole process, warm disk."""
    from cleancut.bench.pictures import alpha_difference

    def cut(side: Side) -> Sample:
        return side.cut_picture("isnet", bench.small, bench.work / f"{side.name}.png")

    turns = bench.turns(cut)
    outputs = [bench.work / f"{name}.png" for name in bench.sides]
    if len(outputs) == 2 and not turns.failed:
        difference = alpha_difference(outputs[0], outputs[1])
        bench.notes.append(f"3: the two mattes differ by {difference:.4f} on average (0..1)")
    what = "one 0.7-megapixel JPEG, isnet, whole process"
    return [
        _row(3, what, "s", turns, _wall, target=1.3),
        _row(3, "same, peak memory", "MB", turns, lambda sample: sample.peak_mb, target=750),
    ]


def measure_first(bench: Bench) -> list[Row]:
    """4. The same as the first run ever after an installation."""
    pulls: list[float] = []

    def fresh(side: Side) -> Side:
        return side.fresh(bench.new_folder())

    def cut(side: Side) -> Sample:
        return side.cut_picture("isnet", bench.small, bench.work / f"first-{side.name}.png")

    def cut_after_pull(side: Side) -> Sample:
        ours = fresh(side)
        pulls.append(ours.run("models", "pull", "isnet").seconds)
        return cut(ours)

    def first(side: Side) -> Sample:
        return cut_after_pull(side) if side.name == "cleancut" else cut(fresh(side))

    rounds = min(bench.runs, MAX_COLD_RUNS)
    after_pull = bench.turns(first, rounds=rounds, warm_up=False)
    only_ours = {name: side for name, side in bench.sides.items() if name == "cleancut"}
    alone = take_turns(
        {name: partial(lambda s: cut(fresh(s)), side) for name, side in only_ours.items()},
        rounds,
        warm_up=False,
    )
    bench.notes.extend(f"{name} failed: {reason}" for name, reason in alone.failed.items())
    alone.samples["rembg"] = after_pull.samples.get("rembg", [])
    if pulls:
        bench.notes.append(
            f"4: `models pull isnet` with the weights there already took {median(pulls):.1f} s: it"
            " measures the backends and compiles the network once"
        )
    return [
        _row(4, "first run ever, after `models pull`", "s", after_pull, _wall, target=2.5),
        _row(4, "first run ever, weights copied there", "s", alone, _wall, target=2.5),
    ]


def measure_calls(bench: Bench) -> list[Row]:
    """5. A warm Python call: 12-megapixel JPEG bytes in, PNG bytes out, u2netp."""
    rounds = min(bench.runs, MAX_CALL_ROUNDS)
    turns = bench.turns(
        lambda side: side.call_often("u2netp", bench.large, bench.runs),
        rounds=rounds,
        warm_up=False,
    )
    whole: dict[str, Figure] = {}
    net: dict[str, Figure] = {}
    for name, samples in turns.samples.items():
        told = [printed_json(sample) for sample in samples]
        if not told:
            continue
        whole[name] = Figure(tuple(s for one in told for s in one["seconds"]))
        net[name] = Figure(tuple(s for one in told for s in one["net_s"]))
        last = told[-1]
        stages = {k: median(one["stages_ms"][k] for one in told) for k in last["stages_ms"]}
        parts = ", ".join(f"{stage} {ms:.0f}" for stage, ms in stages.items())
        bench.notes.append(
            f"5: {name} runs on {last['runs_on']}, PNG {last['png_bytes'] / 1e6:.1f} MB"
            + (f"; ms by stage: {parts}" if parts else "")
        )
    what = "warm call, 12-megapixel JPEG to PNG, u2netp"
    return [
        Row(5, what, "s", whole.get("rembg"), whole.get("cleancut"), 0.6),
        Row(5, "same, the network alone", "s", net.get("rembg"), net.get("cleancut")),
    ]


MEASUREMENTS: dict[int, Callable[[Bench], list[Row]]] = {
    1: measure_import,
    2: measure_help,
    3: measure_process,
    4: measure_first,
    5: measure_calls,
}


def _wall(sample: Sample) -> float:
    return sample.seconds


def _row(
    number: int,
    metric: str,
    unit: str,
    turns: Turns,
    value: Callable[[Sample], float | None],
    *,
    target: float | None = None,
) -> Row:
    ours, theirs = turns.figure("cleancut", value), turns.figure("rembg", value)
    return Row(number, metric, unit, theirs, ours, target)
