"""The measurements of ``bench gpu``, one function a number; each gives rows and notes."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleancut.bench.measure import Figure, Sample, Turns, printed_json, take_turns
from cleancut.bench.report import Row
from cleancut.bench.sides import Side
from cleancut.errors import CleancutError, RunError

if TYPE_CHECKING:
    from cleancut.arrays import Alpha

#: What was promised: the share of the network alone, times rembg, difference of alpha.
SHARE, TIMES_REMBG, DIFFERENCE = 70.0, 5.0, 1e-2
#: Pictures whose alphas are compared.
COMPARED = 8
#: Alpha between these is an edge.
_EDGE = (0.02, 0.98)
#: Share of a stream that its beginning takes, while pools and caches fill.
_WARM_UP = 0.15
_HERE = Path(__file__).parent


@dataclass(slots=True)
class GpuBench:
    """What a measurement needs, and what earlier ones found.

    ``alone`` is the best of the network by model, in pictures a second, and ``places`` where that
    ran; ``streams`` are the turns of whole folders.
    """

    sides: Mapping[str, Side]
    device: str
    precision: str
    models: tuple[str, ...]
    runs: int
    seconds: float
    work: Path = Path()
    images: Path = Path()
    notes: list[str] = field(default_factory=list)
    alone: dict[str, Figure] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    streams: dict[str, Turns] = field(default_factory=dict)

    def net_alone(self, model: str) -> Figure | None:
        """Pictures a second of the network alone, measured once."""
        if model not in self.alone:
            side = self.sides["cleancut"]
            words = [str(_HERE / "child_batches.py"), model, self.device, self.precision]
            argv = [sys.executable, "-P", *words, f"{self.seconds:g}"]
            try:
                told = _on(self.device, printed_json(side.run_once(argv, side.env)), "cleancut")
            except RunError as error:
                self.notes.append(f"1: {model} alone not measured: {error.message}")
                return None
            rates = {int(size): value for size, value in told["per_s"].items()}
            by_size = ", ".join(f"{size}: {value:.1f}" for size, value in rates.items())
            note = f"1: {model} alone on {told['runs_on']}, pictures a second by batch: {by_size}"
            self.notes.append(note + (f" ({told['stopped']})" if told["stopped"] else ""))
            self.places[model] = told["runs_on"]
            self.alone[model] = Figure((max(rates.values()),))
        return self.alone[model]

    def stream(self, model: str) -> Turns:
        """Every side's run over the folder, in turns, measured once."""
        if model not in self.streams:
            tasks = {name: partial(self._cut, side, model) for name, side in self.sides.items()}
            turns = take_turns(tasks, self.runs, warm_up=False)
            self.notes += [f"{model}: {side} failed: {why}" for side, why in turns.failed.items()]
            self.streams[model] = turns
        return self.streams[model]

    def _cut(self, side: Side, model: str) -> Sample:
        out = Path(tempfile.mkdtemp(dir=self.work)) / "out"
        words = [side.name, side.names[model], str(self.images), str(out)]
        script = str(_HERE / "child_stream.py")
        sample = side.run_once(
            [side.python, "-P", script, *words, self.device, self.precision], side.env
        )
        told = _on(self.device, printed_json(sample), side.name)
        given = sum(1 for _ in self.images.iterdir())
        if len(told["done"]) != given:
            raise RunError(f"{side.name} did {len(told['done'])} of {given} pictures")
        return sample


def measure_alone(bench: GpuBench) -> list[Row]:
    """1. The network alone, by batch size: what nothing around it can beat."""
    rows = [(model, bench.net_alone(model)) for model in bench.models]
    return [Row(1, f"{model} alone", "/s", None, figure) for model, figure in rows if figure]


def measure_stream(bench: GpuBench) -> list[Row]:
    """2. JPEGs in, PNGs out, and its share of the network alone."""
    rows = []
    for model in bench.models:
        turns, alone = bench.stream(model), bench.net_alone(model)
        ours, theirs = (turns.figure(side, steady_rate) for side in ("cleancut", "rembg"))
        rows.append(Row(2, f"{model}, JPEG to PNG", "/s", theirs, ours, at_least=True))
        if ours is None or alone is None:
            continue
        place = printed_json(turns.samples["cleancut"][-1])["runs_on"]
        if place != bench.places[model]:
            why = f"alone it ran on {bench.places[model]}, in the stream on {place}"
            bench.notes.append(f"2: no share for {model}: {why}")
        else:
            share = Figure((100 * ours.median / alone.median,))
            what = f"{model}: share of the network alone"
            rows.append(Row(2, what, "%", None, share, SHARE, at_least=True))
    return rows


def measure_rembg(bench: GpuBench) -> list[Row]:
    """3. How many times as fast as rembg on the same device."""
    rows = []
    for model in bench.models:
        turns = bench.stream(model)
        ours, theirs = (turns.figure(side, steady_rate) for side in ("cleancut", "rembg"))
        if ours is not None and theirs is not None:
            times = Figure((ours.median / theirs.median,))
            what = f"{model}: times as fast as rembg"
            rows.append(Row(3, what, "x", None, times, TIMES_REMBG, at_least=True))
    return rows


def measure_alpha(bench: GpuBench) -> list[Row]:
    """4. How far the cutouts' alpha is from that of the processor in f32."""
    rows = []
    paths = sorted(bench.images.iterdir())[:COMPARED]
    for model in bench.models:
        try:
            found, where = _differences(bench, model, paths)
        except CleancutError as error:
            bench.notes.append(f"4: {model} not compared: {error.message}")
            continue
        told = ", ".join(f"{what} {value:.1e}" for what, value in found.items())
        places = f"{where[0]} beside {where[1]}, {len(paths)} pictures"
        bench.notes.append(f"4: {model}: {told}; {places}")
        rows += [
            Row(4, f"{model}: alpha's difference, {what}", " ", None, Figure((value,)), DIFFERENCE)
            for what, value in found.items()
        ]
    return rows


MEASUREMENTS: dict[int, Callable[[GpuBench], list[Row]]] = {
    1: measure_alone,
    2: measure_stream,
    3: measure_rembg,
    4: measure_alpha,
}


def steady_rate(sample: Sample) -> float | None:
    """Pictures a second once a stream runs; None where it is too short to tell."""
    done = sorted(printed_json(sample)["done"])
    first = int(_WARM_UP * len(done))
    return (len(done) - 1 - first) / (done[-1] - done[first]) if len(done) - first > 1 else None


def difference(pairs: Iterable[tuple[Alpha, Alpha]]) -> dict[str, float]:
    """Mean and greatest absolute difference of alphas (H, W), everywhere and at edges.

    Edges are where the second, which is the one believed, lies between ``_EDGE``.
    """
    import numpy as np

    everywhere, edges = [], []
    for one, other in pairs:
        apart = np.abs(one - other)
        everywhere.append(apart.ravel())
        edges.append(apart[(other > _EDGE[0]) & (other < _EDGE[1])])
    whole, edge = np.concatenate(everywhere), np.concatenate(edges)
    found = {"mean": float(whole.mean()), "greatest": float(whole.max())}
    if edge.size:
        found |= {"mean at edges": float(edge.mean()), "greatest at edges": float(edge.max())}
    return found


def _differences(
    bench: GpuBench, model: str, paths: list[Path]
) -> tuple[dict[str, float], tuple[str, str]]:
    from cleancut.engine import Engine
    from cleancut.options import Options

    options = Options(model=model, device=bench.device, precision=bench.precision)  # type: ignore[arg-type]
    plain = Options(model=model, device="cpu", backend="ort", precision="f32")
    engines = Engine(options), Engine(plain)
    asked, believed = engines
    different = difference([(asked.matte(path), believed.matte(path)) for path in paths])
    places = tuple(", ".join(one.backend for one in engine.loaded()) for engine in engines)
    return different, places  # type: ignore[return-value]


def _on(device: str, told: dict[str, Any], side: str) -> dict[str, Any]:
    """``told``, unless it was measured on another device than was asked for (``RunError``)."""
    if told["device"] != device:
        raise RunError(f"{side} ran on the {told['device']}: {told['runs_on']}")
    return told
