"""Every system in processes of its own, in turns: the runs that seconds and resources come from."""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from cleancut.backends.machine import cpu_limit
from cleancut.bench.measure import Sample, Turns, printed_json, run_once, take_turns
from cleancut.bench.pictures import make_photo
from cleancut.bench.rapl import idle_watts, unreadable
from cleancut.bench.start import LARGE_MP, SMALL_MP
from cleancut.compare.comparison import Speed, System
from cleancut.compare.machine import gpu_hindrance, gpus
from cleancut.compare.starters import Starter
from cleancut.compare.vram import VramWatch
from cleancut.errors import BadOption, RunError

#: A slow network needs most of a minute for 12 megapixels on one processor.
_TIMEOUT_S = 300.0
_IDLE_S = 3.0
#: What CUDA takes for itself is more; what else changes on a GPU meanwhile is less.
_LEAST_VRAM_MB = 100.0
#: By when, as a share of all the time, each kind of run has to be through.
_COLD, _WARM, _LARGE, _WARM_LARGE = 0.4, 0.55, 0.65, 0.85
#: What a run takes on two cores of a server, roughly: a process, and a call for 12 megapixels.
_PROCESS_S, _LARGE_S = 2.5, 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedPlan:
    """How often each system runs, and for how long all of them together, in seconds.

    ``runs`` are whole processes, ``calls`` and ``large_calls`` those in a running one (0: none of
    12 megapixels, nor a process for one). ``processors`` says whether fewer processors are tried.
    """

    runs: int = 5
    calls: int = 6
    large_calls: int = 3
    processors: bool = True
    limit_s: float = 840.0

    def __post_init__(self) -> None:
        """Refuse what measures nothing (``BadOption``)."""
        if self.runs < 1 or self.calls < 1 or self.large_calls < 0:
            raise BadOption("no run measures nothing", hint="give --runs 1 or more")

    @classmethod
    def quick(cls) -> SpeedPlan:
        """A look: one process, three calls, no large picture."""
        return cls(runs=1, calls=3, large_calls=0, processors=False, limit_s=240.0)

    @property
    def rounds(self) -> int:
        """Processes over which the calls are spread: what drifts should not meet one system."""
        return 2 if self.calls > 3 else 1

    @property
    def processes(self) -> int:
        """How many processes a system gets, those on GPUs left out."""
        small = self.runs + 1 + self.rounds + self.processors * len(_fewer())
        return small + 2 * bool(self.large_calls)

    def estimate_s(self, systems: int) -> float:
        """Seconds that so many systems will take, roughly; a slow one may exceed the limit."""
        large = 2 * _PROCESS_S + (self.large_calls + 2) * _LARGE_S if self.large_calls else 0.0
        each = (self.processes - 2 * bool(self.large_calls)) * _PROCESS_S + large
        return min(systems * each, max(self.limit_s, systems * (3 * _PROCESS_S + large)))


@dataclass(slots=True)
class Runs:
    """Every run that was made, by kind and system; what a child told is its sample's JSON.

    ``skipped`` has a line for everything that was left out. ``complete`` is False after Ctrl-C.
    """

    cold: Turns = field(default_factory=Turns)
    large: Turns = field(default_factory=Turns)
    warm: Turns = field(default_factory=Turns)
    warm_large: Turns = field(default_factory=Turns)
    by_processors: dict[int, Turns] = field(default_factory=dict)
    gpu: Turns = field(default_factory=Turns)
    vram_mb: dict[str, float] = field(default_factory=dict)
    idle_watts: float | None = None
    skipped: list[str] = field(default_factory=list)
    complete: bool = True

    def told(self, turns: Turns, system: str) -> list[dict[str, Any]]:
        """What that system's children told."""
        return [printed_json(sample) for sample in turns.samples.get(system, [])]


def run_systems(
    systems: Sequence[System],
    starters: Mapping[str, Starter],
    source: Path,
    *,
    plan: SpeedPlan,
    tell: Callable[[str], None],
    step: Callable[[int, int, str], None] | None = None,
) -> Runs:
    """Run every system that has a starter, on ``source`` as JPEGs of 0.7 and 12 megapixels.

    ``tell`` hears what begins, ``step`` (done, total, name) before every process. A system that
    fails is left out with a line; Ctrl-C ends what runs and returns what there is. Raises what
    reading ``source`` raises.
    """
    chosen = {one.id: starters[one.id] for one in systems if not one.reason and one.id in starters}
    runs = Runs()
    with tempfile.TemporaryDirectory(prefix="cleancut-compare-") as folder:
        work = Path(folder)
        small = make_photo(source, SMALL_MP, work / "small.jpg")
        large = make_photo(source, LARGE_MP, work / "large.jpg") if plan.large_calls else None
        rig = _Rig(chosen, plan, work, small, large, runs, step)
        try:
            rig.run(tell)
        except KeyboardInterrupt:
            runs.complete = False
    return runs


def speeds(runs: Runs) -> tuple[Speed, ...]:
    """The seconds of every system that ran."""
    found = []
    for system, samples in runs.cold.samples.items():
        warm = runs.told(runs.warm, system)
        if not samples and not warm:
            continue
        times = _times(runs, runs.warm, system)
        gpu = _times(runs, runs.gpu, system)
        by_threads = {
            str(count): median(some)
            for count, turns in runs.by_processors.items()
            if (some := _times(runs, turns, system))
        }
        if by_threads and times:
            by_threads[str(cpu_limit())] = median(times)
        first = [told["load_s"] + told["first_s"] for told in warm]
        found.append(
            Speed(
                system=system,
                cold=tuple(sample.seconds for sample in samples),
                warm=times,
                warm_large=_times(runs, runs.warm_large, system),
                first_call=median(first) if first else None,
                by_threads=by_threads,
                gpu=median(gpu) if gpu else None,
                runs_on=str(warm[0].get("runs_on", "")) if warm else "",
            )
        )
    return tuple(found)


def _times(runs: Runs, turns: Turns, system: str) -> tuple[float, ...]:
    return tuple(seconds for told in runs.told(turns, system) for seconds in told["times"])


@dataclass(slots=True)
class _Rig:
    """All that one measurement needs while it goes on."""

    starters: Mapping[str, Starter]
    plan: SpeedPlan
    work: Path
    small: Path
    large: Path | None
    runs: Runs
    step: Callable[[int, int, str], None] | None
    began: float = field(default_factory=time.monotonic)
    done: int = 0

    def run(self, tell: Callable[[str], None]) -> None:
        """Everything, the most wanted first."""
        plan, runs = self.plan, self.runs
        if why := unreadable():
            runs.skipped.append(f"energy: {why}")
        else:
            tell("the machine's power when idle")
            runs.idle_watts = idle_watts(_IDLE_S)
        tell("whole processes, 0.7 megapixels")
        self.turns(runs.cold, self.cut, plan.runs, _COLD, warm_up=True)
        tell("running processes, 0.7 megapixels")
        self.turns(runs.warm, self.calls, plan.rounds, _WARM)
        if self.large is not None:
            tell("whole processes, 12 megapixels")
            self.turns(runs.large, self.cut_large, 1, _LARGE, what=" at 12 megapixels")
            tell("running processes, 12 megapixels")
            what = " at 12 megapixels, running process"
            self.turns(runs.warm_large, self.calls_large, 1, _WARM_LARGE, what=what)
        self.run_gpu(tell)
        for count in _fewer() if plan.processors else ():
            of = f"{count} of {cpu_limit()} processors"
            if time.monotonic() > self.until(1.0):
                runs.skipped.append(f"speed on {of}: the time was up")
                continue
            tell(f"running processes on {of}")
            turns = runs.by_processors.setdefault(count, Turns())
            task = partial(self.calls, processors=count)
            self.turns(turns, task, 1, 1.0, what=f" on {of}")

    def run_gpu(self, tell: Callable[[str], None]) -> None:
        """Ours on a GPU where there is one that works; the memory of GPUs, peers' included."""
        if not gpus():
            return
        if why := gpu_hindrance():
            self.runs.skipped.append(f"speed on a GPU: {why}")
            return
        tell("running processes, 0.7 megapixels, on the GPU")
        self.turns(self.runs.gpu, self.calls_gpu, 1, 1.0, what=" on the GPU")

    def turns(
        self,
        turns: Turns,
        task: Callable[[str], Sample],
        rounds: int,
        share: float,
        *,
        what: str = "",
        warm_up: bool = False,
    ) -> None:
        """``task`` on every system that has not failed before, in turns."""
        failed = self.runs.cold.failed.keys() | self.runs.warm.failed.keys()
        tasks = {name: partial(task, name) for name in self.starters if name not in failed}
        total = len(self.starters) * self.plan.processes
        ahead = self.done + len(tasks) * (rounds + warm_up)

        def step(name: str) -> None:
            if self.step is not None:
                self.step(self.done, max(ahead, total), name)
            self.done += 1

        take_turns(tasks, rounds, warm_up=warm_up, turns=turns, step=step, until=self.until(share))
        self.done = ahead
        self.runs.skipped += [f"speed of {name}{what}: {why}" for name, why in turns.failed.items()]

    def until(self, share: float) -> float:
        return self.began + share * self.plan.limit_s

    def cut(self, system: str) -> Sample:
        """The tool's own command for the small picture."""
        return self._cut(system, self.small)

    def cut_large(self, system: str) -> Sample:
        """The same for the large one."""
        assert self.large is not None
        return self._cut(system, self.large)

    def _cut(self, system: str, image: Path) -> Sample:
        starter, output = self.starters[system], self.work / "cut.png"
        written = starter.written(image, output)
        written.unlink(missing_ok=True)
        sample = run_once(starter.cut(image, output), starter.env, timeout_s=_TIMEOUT_S)
        if not written.is_file() or written.stat().st_size == 0:
            raise RunError("it ended without an error and wrote no picture")
        return sample

    def calls(self, system: str, *, processors: int | None = None) -> Sample:
        """Calls for the small picture in one process."""
        calls = math.ceil(self.plan.calls / self.plan.rounds)
        wanted = {"repeat": calls, "processors": processors}
        return self._calls(self.starters[system], self.small, wanted)

    def calls_large(self, system: str) -> Sample:
        """Calls for the large picture in one process."""
        assert self.large is not None
        wanted = {"repeat": self.plan.large_calls}
        return self._calls(self.starters[system], self.large, wanted)

    def calls_gpu(self, system: str) -> Sample:
        """Calls on the GPU; a peer chooses its device itself, and its memory gives it away."""
        starter = self.starters[system]
        ours = starter.system.kind == "ours"
        if ours:
            starter = replace(starter, options={**starter.options, "device": "gpu"})
        with VramWatch() as watch:
            sample = self._calls(starter, self.small, {"repeat": self.plan.calls})
        if not ours and (watch.peak_mb or 0.0) < _LEAST_VRAM_MB:
            raise RunError("it does not use the GPU")
        if watch.peak_mb is not None:
            self.runs.vram_mb[system] = watch.peak_mb
        return sample

    def _calls(self, starter: Starter, image: Path, wanted: Mapping[str, Any]) -> Sample:
        """One child; its sample's JSON gets "times", and "cpu_s" of one call."""
        target = self.work / "child.png"
        told_at, jobs = target.with_suffix(".json"), self.work / "jobs.json"
        told_at.unlink(missing_ok=True)
        request = {"pictures": [[str(image), str(target)]], "processors": None, **wanted}
        jobs.write_text(json.dumps(request), "utf-8")
        sample = run_once(starter.child(jobs), starter.env, timeout_s=_TIMEOUT_S)
        return replace(sample, stdout=json.dumps(_told(printed_json(sample), told_at)))


def _told(told: dict[str, Any], told_at: Path) -> dict[str, Any]:
    """What a child printed and wrote, checked; ``RunError`` if it did not cut the picture."""
    try:
        answer = json.loads(told_at.read_text("utf-8"))
        if "error" in answer:
            raise RunError(str(answer["error"])[:300])
        times = [float(value) for value in answer["times"]]
        found = {
            **told,
            "times": times,
            "load_s": float(told["load_s"]),
            "first_s": float(told["first_s"]),
            "cpu_s": float(told["cpu_s"]) / len(times),
        }
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise RunError("the measured process did not tell its times") from error
    if not times or not all(math.isfinite(value) and value >= 0 for value in times):
        raise RunError("the measured process did not tell its times")
    return found


def _fewer() -> tuple[int, ...]:
    """1, 2, 4, ... below the number of processors that this process may use."""
    return tuple(2**power for power in range(16) if 2**power < cpu_limit())
