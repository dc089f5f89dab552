from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

from cleancut.catalog import ModelSpec, Part, Recipe, WeightFile, find
from cleancut.errors import (
    BadOption,
    InputNotFound,
    MissingDependency,
    OutOfMemory,
    SetupError,
    WeightsMissing,
)
from cleancut.optimize import child, judge, run
from cleancut.optimize.graph import Site, sites_of, with_extremes
from cleancut.optimize.run import STEPS, Keep, Plan, optimize
from cleancut.weights.folders import models_folder
from cleancut.weights.optimized import copy_path, read_copy
from tests.optimize.nets import SIDE, net, quantised
from tests.weights.copies import digest


@pytest.fixture
def spec(monkeypatch: pytest.MonkeyPatch) -> ModelSpec:
    """A stored model, and few scenes to score it with."""
    folder = models_folder() / "tiny"
    folder.mkdir(parents=True)
    path = net(folder / "tiny.onnx")
    weight = WeightFile(path.name, (Part(path.name, path.stat().st_size, digest(path)),), ())
    recipe = Recipe(size=(SIDE, SIDE), mean=(0.5,) * 3, std=(0.25,) * 3)
    row = ModelSpec("tiny", "tiny", "saliency", recipe, weights=(weight,))
    monkeypatch.setattr(run, "find", lambda name: row if name == "tiny" else find(name))
    monkeypatch.setattr(run, "find_spec", lambda _: object())
    monkeypatch.setattr(judge, "SCENES", 3)
    monkeypatch.setattr(judge, "_RACE_S", 0.0)
    return row


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    chance = np.random.default_rng(0)
    for number in range(10):
        noise = chance.integers(0, 256, (20, 24, 3), np.uint8)
        Image.fromarray(noise).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def without_nncf(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The child's work in this process, the quantised graph made by hand; the actions asked for."""
    asked: list[str] = []

    def act(action: str, *arguments: str) -> dict[str, Any]:
        asked.append(action)
        if action == "assemble":
            return child.assemble(Path(arguments[0]), Path(arguments[1]))
        folder = Path(arguments[2])
        plain = onnx.load(arguments[0])
        made = onnx.load(quantised(folder / child.QUANTISED, scale=0.3))
        onnx.save(plain, folder / child.PLAIN)
        sites = sites_of(made)
        onnx.save(with_extremes(plain, [s.name for s in sites]), folder / child.EXTREMES)
        rows = [[s.name, s.together, s.first, s.last] for s in sites]
        (folder / child.SITES).write_text(json.dumps(rows), "utf-8")
        return {"layers": 3, "tools": {"nncf": "0"}}

    monkeypatch.setattr(child, "in_own_process", act)
    return asked


def test_a_copy_is_made_measured_and_stored(
    spec: ModelSpec, photos: Path, without_nncf: list[str]
) -> None:
    told: list[str] = []
    plan = Plan(calibrate=photos, pictures=10)
    copy = optimize("tiny", plan, progress=lambda _done, _total, what: told.append(what))
    assert read_copy(spec) == copy
    assert (copy.made_from, copy.layers) == (spec.weights[0].sha256, 3)
    assert (copy.calibration, copy.calibration_pictures) == ("photographs", 10)
    assert (copy.truth, copy.sets[0].pictures) == ("generated", 3)
    assert copy.curve[0].what == "all layers in int8"
    assert 0.0 < copy.apart_mad < 40.0  # 22 where products of bytes saturate (AVX2 without VNNI)
    assert copy.ms[0] > 0.0
    assert {"calibrating", "original", "all layers in int8"} <= set(told)
    assert sorted(path.name for path in copy_path(spec).parent.iterdir()) == [
        "tiny.int8.onnx", "tiny.int8.onnx.json", "tiny.onnx",
    ]  # fmt: skip


def test_layers_are_taken_back_to_float_until_it_is_good_enough(
    spec: ModelSpec, photos: Path, without_nncf: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "GOOD_GRAD", 0.0)  # never good enough
    monkeypatch.setattr(run, "TIME_LIMIT", 1000.0)  # nor too slow
    copy = optimize("tiny", Plan(calibrate=photos, pictures=10))
    assert [step.kept for step in copy.curve] == sorted(step.kept for step in copy.curve)
    assert len(copy.curve) >= 2
    assert without_nncf.count("assemble") == len(copy.curve)
    monkeypatch.setattr(run, "TIME_LIMIT", 0.0)
    assert len(optimize("tiny", Plan(calibrate=photos, pictures=10)).curve) == 1
    monkeypatch.setattr(run, "TIME_LIMIT", 1000.0)
    monkeypatch.setattr(run, "GOOD_GRAD", 100.0)
    monkeypatch.setattr(run, "GOOD_MAD", 100.0)
    assert len(optimize("tiny", Plan(calibrate=photos, pictures=10)).curve) == 1


def test_what_fails_leaves_the_earlier_copy_and_no_half_one(
    spec: ModelSpec, photos: Path, without_nncf: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = optimize("tiny", Plan(calibrate=photos, pictures=10))

    def interrupted(*_: object) -> Iterator[None]:
        raise KeyboardInterrupt

    monkeypatch.setattr(judge, "race", interrupted)
    with pytest.raises(KeyboardInterrupt):
        optimize("tiny", Plan(calibrate=photos, pictures=10))
    assert read_copy(spec) == before
    assert not (copy_path(spec).parent / ".optimize").exists()


def test_a_killed_runs_folder_is_taken_over(
    spec: ModelSpec, photos: Path, without_nncf: list[str]
) -> None:
    left = copy_path(spec).parent / ".optimize"
    left.mkdir()
    (left / "step-9.onnx").write_bytes(b"half")
    optimize("tiny", Plan(calibrate=photos, pictures=10))
    assert not left.exists()


def test_what_cannot_be_optimised_says_why(
    spec: ModelSpec, photos: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(SetupError, match="only still networks"):
        optimize("rvm")
    with pytest.raises(WeightsMissing, match="not on this machine"):
        optimize("silueta")
    with pytest.raises(InputNotFound, match="not a folder"):
        optimize("tiny", Plan(calibrate=tmp_path / "none"))
    for count in (7, 2001):
        with pytest.raises(BadOption, match="--pictures"):
            Plan(pictures=count)
    monkeypatch.setattr(run, "find_spec", lambda _: None)
    with pytest.raises(MissingDependency) as caught:
        optimize("tiny")
    assert caught.value.hint == "run: pip install 'cleancut[optimize]'"
    assert read_copy(spec) is None


def test_the_fastest_copy_that_is_not_refused_is_kept(
    spec: ModelSpec, photos: Path, without_nncf: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "GOOD_GRAD", 0.0)
    speeds = iter([(100.0, 60.0), (100.0, 30.0), (100.0, 99.0)])
    monkeypatch.setattr(judge, "race", lambda *_: next(speeds))
    copy = optimize("tiny", Plan(calibrate=photos, pictures=10))
    assert (copy.ms, copy.refused) == ((100.0, 30.0), "")
    assert [step.ms for step in copy.curve] == [60.0, 30.0, 99.0]


def test_of_refused_copies_a_faster_one_is_kept_before_a_closer_one(
    spec: ModelSpec, photos: Path, without_nncf: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = iter([1.0, 1.5, 2.0, 1.1])  # Grad of the original, and of three steps
    monkeypatch.setattr(judge, "score", lambda *_: {"a": [judge.Figures(1.0, next(figures), 0.9)]})
    speeds = iter([(100.0, 60.0), (100.0, 30.0), (100.0, 99.0)])
    monkeypatch.setattr(judge, "race", lambda *_: next(speeds))
    copy = optimize("tiny", Plan(calibrate=photos, pictures=10))
    assert copy.ms == (100.0, 60.0)
    assert "Grad is 50% worse" in copy.refused


def test_steps_keep_more_and_more() -> None:
    sites = [Site(str(at), at, first=at, last=12 - at) for at in range(13)]
    counts = [sum(keep.holds(site) for site in sites) for keep in STEPS]
    assert counts == sorted(counts)
    assert counts[0] == 1  # what comes after the last layer always stays in float
    assert Keep("", first=1).holds(Site("x", 0, first=0, last=9))


def test_a_child_that_dies_is_told_in_one_line(tmp_path: Path) -> None:
    assert isinstance(child._died(-9, ""), OutOfMemory)
    assert "status 7: no luck" in child._died(7, "first\nno luck\n").message
    with pytest.raises(SetupError, match="No such file"):
        child.in_own_process("assemble", str(tmp_path), str(tmp_path / "out.onnx"))


@pytest.mark.slow
def test_nncf_quantises_a_small_net(spec: ModelSpec, photos: Path) -> None:
    pytest.importorskip("nncf")
    copy = optimize("tiny", Plan(calibrate=photos, pictures=10))
    assert copy.layers == 3
    assert set(copy.tools) == {"nncf", "onnx"}
    assert copy.apart_mad < 20.0
    onnx.checker.check_model(onnx.load(copy_path(spec)))


@pytest.mark.weights
@pytest.mark.slow
def test_the_small_u2net_is_quantised_with_generated_pictures(
    real_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a home of its own, since the pulled models are shared between tests."""
    pytest.importorskip("nncf")
    shutil.copytree(real_models / "models" / "u2netp", tmp_path / "home" / "models" / "u2netp")
    monkeypatch.setenv("CLEANCUT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CLEANCUT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(judge, "SCENES", 6)
    copy = optimize("u2netp", Plan(pictures=8))
    assert copy.layers == 119
    assert (copy.calibration, copy.truth) == ("generated", "generated")
    assert copy.refused or copy.grad_ratio <= 1.2
    assert copy_path(find("u2netp")).is_file()


def test_a_file_that_is_no_row_is_quantised_without_the_store(
    spec: ModelSpec, photos: Path, without_nncf: list[str], tmp_path: Path
) -> None:
    source = net(tmp_path / "own.onnx")
    target = tmp_path / "out" / "own.int8.onnx"
    target.parent.mkdir()
    copy = run.quantise(source, target, spec.recipe, Plan(calibrate=photos, pictures=10))
    assert copy.sha256 == digest(target)
    assert (copy.file, copy.made_from) == (target.name, digest(source))
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    assert read_copy(spec) is None
