from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from cleancut.bench.measure import Sample
from cleancut.bench.report import Row
from cleancut.bench.rows import (
    MEASUREMENTS,
    Bench,
    measure_calls,
    measure_first,
    measure_import,
    measure_process,
)
from cleancut.bench.sides import Side
from cleancut.errors import RunError

SECONDS = {"rembg": 4.0, "cleancut": 1.0}
IMPORTED = {
    "rembg": {"seconds": 0.9, "modules": ["numba", "numpy"]},
    "cleancut": {"seconds": 0.01, "modules": []},
}


def side(name: str, calls: list[list[str]], *, breaks: bool = False) -> Side:
    def run_once(argv: list[str], env: Mapping[str, str]) -> Sample:
        calls.append([name, *argv, env.get("CLEANCUT_CACHE", "")])
        if breaks:
            raise RunError("it broke")
        printed = ""
        if any(word.endswith("child_import.py") for word in argv):
            printed = json.dumps(IMPORTED[name])
        if any(word.endswith("child_calls.py") for word in argv):
            printed = json.dumps(
                {
                    "seconds": [SECONDS[name], 9.0, SECONDS[name]],
                    "net_s": [0.1],
                    "stages_ms": {"decode": 40.0},
                    "runs_on": "cpu",
                    "png_bytes": 5_000_000,
                }
            )
        for word in argv:
            if word.endswith(".png"):
                level = 100 if name == "rembg" else 151
                Image.fromarray(np.full((4, 4, 4), level, np.uint8)).save(word)
        return Sample(SECONDS[name], 100 * SECONDS[name], printed)

    names = {"isnet": "isnet", "u2netp": "u2netp"}
    return Side(name, "python", ("run",), ("{image}", "{output}"), (), names, {}, run_once)


def bench(folder: Path, calls: list[list[str]], *, runs: int = 2, breaks: str = "") -> Bench:
    names = ("rembg", "cleancut")
    sides = {name: side(name, calls, breaks=name == breaks) for name in names}
    return Bench(sides, runs, folder, folder / "small.jpg", folder / "large.jpg")


def found(rows: list[Row], metric: str) -> Row:
    return next(row for row in rows if metric in row.metric)


def test_the_modules_of_an_import_are_counted_and_named(tmp_path: Path) -> None:
    job = bench(tmp_path, [])
    row = found(measure_import(job), "modules")
    assert row.rembg is not None
    assert row.cleancut is not None
    assert (row.rembg.median, row.cleancut.median, row.met) == (2, 0, True)
    assert "import rembg loads: numba, numpy" in job.notes


def test_a_whole_process_gives_time_memory_and_how_far_the_mattes_are_apart(tmp_path: Path) -> None:
    job = bench(tmp_path, [])
    rows = measure_process(job)
    assert found(rows, "whole process").ratio == 4.0
    assert found(rows, "memory").cleancut is not None
    assert found(rows, "memory").met
    assert any("0.2000" in note for note in job.notes)


def test_each_first_run_has_folders_of_its_own_and_shares_them_with_its_pull(
    tmp_path: Path,
) -> None:
    calls: list[list[str]] = []
    rows = measure_first(bench(tmp_path, calls))
    ours = [(call[2:4] == ["models", "pull"], call[-1]) for call in calls if call[0] == "cleancut"]
    pulls = [cache for is_pull, cache in ours if is_pull]
    cuts = [cache for is_pull, cache in ours if not is_pull]
    assert len(pulls) == len(set(pulls)) == 2
    assert len(cuts) == len(set(cuts)) == 4
    assert set(pulls) < set(cuts)
    assert found(rows, "copied").rembg == found(rows, "after `models pull`").rembg


def test_warm_calls_pool_every_call_of_every_process(tmp_path: Path) -> None:
    job = bench(tmp_path, [])
    row = found(measure_calls(job), "warm call")
    assert row.cleancut is not None
    assert row.cleancut.values == (1.0, 9.0, 1.0) * 2
    assert row.met is False
    assert any("decode 40" in note for note in job.notes)


def test_a_side_that_breaks_leaves_its_figures_empty_and_says_why(tmp_path: Path) -> None:
    for number, measurement in MEASUREMENTS.items():
        job = bench(tmp_path, [], breaks="rembg")
        rows = measurement(job)
        assert all(row.number == number and row.rembg is None for row in rows)
        assert all(row.cleancut is not None for row in rows)
        assert "rembg failed: it broke" in job.notes
