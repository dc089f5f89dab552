from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from cleancut.bench.measure import Sample
from cleancut.compare import speed as module
from cleancut.compare.comparison import System
from cleancut.compare.resources import resources
from cleancut.compare.speed import Runs, SpeedPlan, run_systems, speeds
from cleancut.compare.starters import Starter, starter
from cleancut.errors import BadOption, RunError

PLAN = SpeedPlan(runs=2, calls=4, large_calls=2)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny pictures, two processors, no GPU, no energy counter."""
    monkeypatch.setattr(module, "SMALL_MP", 0.003)
    monkeypatch.setattr(module, "LARGE_MP", 0.005)
    monkeypatch.setattr(module, "cpu_limit", lambda: 2)
    monkeypatch.setattr(module, "gpus", tuple)
    monkeypatch.setattr(module, "unreadable", lambda: "no counter")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    target = tmp_path / "photo.png"
    cv2.imwrite(str(target), np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8))
    return target


def system(name: str, kind: str = "ours", reason: str = "") -> System:
    tool = "cleancut" if kind == "ours" else name
    return System(id=name, title=name, kind=kind, tool=tool, model=name, reason=reason)  # type: ignore[arg-type]


def stand_in(one: System) -> Starter:
    words = ("cut", one.id, "{image}", "{output}")
    return Starter(system=one, python="python", env={}, words=words)


class Processes:
    """Stands in for ``run_once``: writes what a process would write, and takes notes.

    A name in ``fails`` raises where (argv, kind) says so.
    """

    def __init__(self, fails: Callable[[str, str], bool] = lambda *_: False) -> None:
        self.ran: list[tuple[str, str]] = []
        self.jobs: list[dict[str, object]] = []
        self._fails = fails

    def __call__(self, argv: Sequence[str], env: Mapping[str, str], *, timeout_s: float) -> Sample:
        del env
        assert timeout_s > 0
        if argv[0] == "cut":
            name, kind = argv[1], f"cut {Path(argv[2]).stem}"
            self._note(name, kind)
            Path(argv[3]).write_bytes(b"png")
            return Sample(2.0, 300.0 if "small" in kind else 900.0, "", 1.5, 50.0)
        name, asked = argv[4], json.loads(Path(argv[-1]).read_text("utf-8"))
        self.jobs.append({"name": name, "options": json.loads(argv[5]), **asked})
        image, target = asked["pictures"][0]
        self._note(name, f"calls {Path(image).stem}")
        times = [0.1] * asked["repeat"]
        Path(target).with_suffix(".json").write_text(json.dumps({"times": times}))
        told = {"load_s": 0.25, "first_s": 0.5, "cpu_s": 0.2 * len(times), "runs_on": "fake cpu"}
        return Sample(1.0, None, json.dumps(told))

    def _note(self, name: str, kind: str) -> None:
        self.ran.append((name, kind))
        if self._fails(name, kind):
            raise RunError(f"{name} broke")


def run(
    monkeypatch: pytest.MonkeyPatch,
    photo: Path,
    processes: Processes,
    names: Sequence[System],
    plan: SpeedPlan = PLAN,
    step: Callable[[int, int, str], None] | None = None,
) -> Runs:
    monkeypatch.setattr(module, "run_once", processes)
    starters = {one.id: stand_in(one) for one in names}
    return run_systems(names, starters, photo, plan=plan, tell=lambda _: None, step=step)


def test_systems_take_turns_and_every_kind_of_run_is_there(
    photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes = Processes()
    steps: list[tuple[int, int]] = []
    names = [system("a"), system("b", "peer"), system("c", reason="not pulled")]
    runs = run(
        monkeypatch,
        photo,
        processes,
        names,
        step=lambda done, total, _: steps.append((done, total)),
    )
    assert [name for name, _ in processes.ran[:6]] == ["a", "b"] * 3  # a warm-up and two runs
    assert {name for name, _ in processes.ran} == {"a", "b"}
    first, second = speeds(runs)
    assert (first.system, second.system) == ("a", "b")
    assert first.cold == (2.0, 2.0)
    assert first.warm == (0.1,) * 4
    assert first.warm_large == (0.1,) * 2
    assert first.first_call == 0.75
    assert first.by_threads == {"1": 0.1, "2": 0.1}
    assert first.gpu is None
    assert first.runs_on == "fake cpu"
    assert [job["processors"] for job in processes.jobs if job["name"] == "a"] == [
        *(None, None, None),
        1,
    ]
    assert steps == [(number, 2 * PLAN.processes) for number in range(2 * PLAN.processes)]
    assert runs.complete


def test_what_was_taken_comes_from_the_same_runs(
    photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = run(monkeypatch, photo, Processes(), [system("a")])
    (taken,) = resources(runs)
    assert (taken.peak_mb, taken.peak_large_mb) == (300.0, 900.0)
    assert (taken.cpu_s, taken.warm_cpu_s) == (1.5, pytest.approx(0.2))
    assert (taken.vram_mb, taken.energy_j) == (None, None)
    assert runs.skipped == ["energy: no counter"]


def test_energy_is_what_the_run_took_above_idle(
    photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "unreadable", str)
    monkeypatch.setattr(module, "idle_watts", lambda _: 10.0)
    runs = run(monkeypatch, photo, Processes(), [system("a")])
    assert resources(runs)[0].energy_j == pytest.approx(50.0 - 2.0 * 10.0)
    runs.idle_watts = 100.0
    assert resources(runs)[0].energy_j == 0.0


def test_a_system_that_fails_costs_a_line_and_not_the_others(
    photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [system("a"), system("b"), system("c")]
    processes = Processes(
        lambda name, kind: (name, kind) in (("a", "cut small"), ("b", "calls large"))
    )
    runs = run(monkeypatch, photo, processes, names)
    assert processes.ran.count(("a", "cut small")) == 1
    assert [speed.system for speed in speeds(runs)] == ["b", "c"]
    assert speeds(runs)[0].warm_large == ()
    assert [one.system for one in resources(runs)] == ["b", "c"]
    assert runs.skipped == [
        "energy: no counter",
        "speed of a: a broke",
        "speed of b at 12 megapixels, running process: b broke",
    ]


def test_after_an_interruption_there_is_what_was_done(
    photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(name: str, kind: str) -> bool:
        if (name, kind) == ("b", "calls small"):
            raise KeyboardInterrupt
        return False

    runs = run(monkeypatch, photo, Processes(interrupted), [system("a"), system("b")])
    assert not runs.complete
    first, second = speeds(runs)
    assert first.warm
    assert second.cold == (2.0, 2.0)
    assert second.warm == ()
    assert second.first_call is None


def test_when_the_time_is_up_every_kind_is_run_once_and_processors_are_left_out(
    photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = replace(PLAN, limit_s=-1.0)
    runs = run(monkeypatch, photo, Processes(), [system("a")], plan)
    (only,) = speeds(runs)
    assert (only.cold, only.by_threads) == ((2.0,), {})
    assert only.warm
    assert "speed on 1 of 2 processors: the time was up" in runs.skipped


def test_on_a_gpu_ours_are_told_to_use_it_and_peers_must_be_seen_there(
    photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Watch:
        seen = iter([900.0, 0.0])

        def __enter__(self) -> Watch:
            self.peak_mb = next(self.seen)
            return self

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(module, "gpus", lambda: ("a GPU",))
    monkeypatch.setattr(module, "gpu_hindrance", str)
    monkeypatch.setattr(module, "VramWatch", Watch)
    processes = Processes()
    runs = run(monkeypatch, photo, processes, [system("a"), system("b", "peer")])
    first, second = speeds(runs)
    assert (first.gpu, second.gpu) == (0.1, None)
    assert [one.vram_mb for one in resources(runs)] == [900.0, None]
    assert {"device": "gpu"} in [job["options"] for job in processes.jobs]
    assert "speed of b on the GPU: it does not use the GPU" in runs.skipped


def test_a_gpu_that_no_runtime_can_use_is_told(
    photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "gpus", lambda: ("a GPU",))
    monkeypatch.setattr(module, "gpu_hindrance", lambda: "no CUDA provider")
    runs = run(monkeypatch, photo, Processes(), [system("a")])
    assert "speed on a GPU: no CUDA provider" in runs.skipped
    assert speeds(runs)[0].gpu is None


def test_a_command_that_writes_no_picture_has_failed(
    photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "run_once", lambda *_, **__: Sample(1.0, None, ""))
    one = system("a")
    runs = run_systems([one], {"a": stand_in(one)}, photo, plan=PLAN, tell=lambda _: None)
    assert speeds(runs) == ()
    assert runs.skipped[1:] == ["speed of a: it ended without an error and wrote no picture"]


@pytest.mark.parametrize(
    "answer",
    [
        {"times": []},
        {"times": ["fast"]},
        {"times": [float("nan")]},
        {"times": [-1.0]},
        {"error": "it broke"},
        {},
    ],
)
def test_answers_without_times_are_refused(tmp_path: Path, answer: dict[str, object]) -> None:
    kept = tmp_path / "child.json"
    kept.write_text(json.dumps(answer))
    with pytest.raises(RunError):
        module._told({"load_s": 1, "first_s": 1, "cpu_s": 1}, kept)


def test_a_child_that_failed_on_its_only_picture_says_why(tmp_path: Path) -> None:
    kept = tmp_path / "child.json"
    kept.write_text(json.dumps({"error": "memory ran out"}))
    told = {"load_s": 1, "first_s": None, "cpu_s": 0}
    with pytest.raises(RunError, match="memory ran out"):
        module._told(told, kept)


def test_real_processes_are_measured(photo: Path, tmp_path: Path) -> None:
    one = system("echo")
    plan = SpeedPlan(runs=1, calls=2, large_calls=0, processors=os.name != "nt")
    runs = run_systems(
        [one], {"echo": starter(one, tmp_path)}, photo, plan=plan, tell=lambda _: None
    )
    (speed,), (taken,) = speeds(runs), resources(runs)
    assert runs.skipped == ["energy: no counter"]
    assert len(speed.cold) == 1
    assert len(speed.warm) == 2
    assert speed.first_call is not None
    if sys.platform == "linux":
        assert (taken.peak_mb or 0) > 20
        assert (taken.cpu_s or 0) > 0.01
        assert set(speed.by_threads) == {"1", "2"}


def test_plans_say_how_long_they_take() -> None:
    assert SpeedPlan.quick().estimate_s(10) < SpeedPlan().estimate_s(10)
    assert SpeedPlan().estimate_s(1) < SpeedPlan().estimate_s(5)
    assert SpeedPlan().estimate_s(15) <= 900
    with pytest.raises(BadOption):
        SpeedPlan(runs=0)
