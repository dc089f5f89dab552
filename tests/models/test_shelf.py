from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cleancut.backends.base import Placement
from cleancut.backends.memory import resident_bytes
from cleancut.catalog import ModelSpec, custom
from cleancut.errors import WeightsMissing
from cleancut.models import load as loading
from cleancut.models.base import Prediction
from cleancut.models.echo import SPEC
from cleancut.models.load import Placing
from cleancut.models.shelf import LoadedModel, Shelf
from tests.backends.graphs import conv

MB = 1_000_000
linux = pytest.mark.skipif(resident_bytes() is None, reason="resident memory is Linux's to tell")


class Heavy:
    """A model that takes ``megabytes`` of memory when it is first run, as runtimes do."""

    def __init__(self, spec: ModelSpec, placing: Placing, megabytes: float = 0) -> None:
        self.spec = spec
        precision = "bf16" if placing.precision == "auto" else placing.precision
        self.placement = Placement("openvino", "cpu", precision, "CPU", "")
        self._megabytes = megabytes
        self._held: object = None

    def predict(self, rgb: object, state: object = None) -> Prediction:
        self._held = np.ones(int(self._megabytes * MB) // 8 + 1)
        return Prediction(np.zeros((2, 2), np.float32))


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], list[Heavy]]:
    """Make ``load`` return models of this many megabytes; the list holds what was loaded."""

    def use(megabytes: float) -> list[Heavy]:
        made: list[Heavy] = []

        def fake(spec: ModelSpec, placing: Placing) -> Heavy:
            made.append(Heavy(spec, placing, megabytes))
            return made[-1]

        monkeypatch.setattr(loading, "load", fake)
        return made

    return use


def rows(count: int) -> list[ModelSpec]:
    return [replace(SPEC, id=f"m{number}") for number in range(count)]


def test_many_threads_load_a_model_once(loads: Callable[[float], list[Heavy]]) -> None:
    made, gate, shelf = loads(0), threading.Barrier(8), Shelf(3)

    def ask(number: int) -> object:
        gate.wait()
        return shelf.get(rows(2)[number % 2], Placing())

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(8)))
    assert len(made) == 2
    assert len({id(model) for model in found}) == 2


def test_what_auto_means_and_its_name_are_one_model(
    loads: Callable[[float], list[Heavy]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, shelf = loads(0), Shelf(3)
    expected = Placement("openvino", "cpu", "bf16", "CPU", "expected")
    monkeypatch.setattr(loading, "destined", lambda spec, placing: (expected, 5))
    auto = shelf.get(SPEC, Placing())
    assert shelf.get(SPEC, Placing(precision="bf16")) is auto
    assert shelf.get(SPEC, Placing(backend="openvino", device="cpu")) is auto
    assert len(made) == 1
    assert len(shelf.loaded()) == 1


def test_another_precision_is_another_model(loads: Callable[[float], list[Heavy]]) -> None:
    made, shelf = loads(0), Shelf(3)
    assert shelf.get(SPEC, Placing()) is not shelf.get(SPEC, Placing(precision="f32"))
    assert [model.placement.precision for model in made] == ["bf16", "f32"]
    assert {one.precision for one in shelf.loaded()} == {"bf16", "f32"}


def test_where_a_real_graph_will_run_is_known_after_it_ran(tmp_path: Path) -> None:
    spec, shelf = custom(conv(tmp_path / "net.onnx"), {"size": 16, "output": "alpha"}), Shelf(3)
    auto = shelf.get(spec, Placing())
    where = auto.placement
    assert loading.destined(spec, Placing())[0] is not None
    named = Placing(backend=where.backend, device=where.device, precision=where.precision)  # type: ignore[arg-type]
    assert shelf.get(spec, named) is auto
    assert [one.name for one in shelf.loaded()] == [spec.id]


def test_the_least_recently_used_one_goes_first(loads: Callable[[float], list[Heavy]]) -> None:
    made, shelf = loads(0), Shelf(2)
    one, two, three = rows(3)
    for spec in (one, two, one, three, one, two):
        shelf.get(spec, Placing())
    assert [model.spec.id for model in made] == ["m0", "m1", "m2", "m1"]
    assert [loaded.name for loaded in shelf.loaded()] == ["m0", "m1"]


@linux
def test_models_go_until_what_is_left_fits_and_memory_is_given_back(
    loads: Callable[[float], list[Heavy]],
) -> None:
    made, shelf = loads(60), Shelf(64, 150 * MB)
    before = resident_bytes() or 0
    for spec in rows(8):
        shelf.get(spec, Placing())
        made.clear()
    assert [loaded.name for loaded in shelf.loaded()] == ["m6", "m7"]
    assert all(50 * MB < loaded.bytes < 75 * MB for loaded in shelf.loaded())
    assert (resident_bytes() or 0) - before < 150 * MB


def test_one_that_is_larger_than_all_room_is_kept_alone(
    loads: Callable[[float], list[Heavy]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, shelf = loads(0), Shelf(64, 10 * MB)
    # The process's own memory is no measure here: what earlier tests left may be freed meanwhile.
    monkeypatch.setattr("cleancut.models.shelf.resident_bytes", lambda: len(made) * 40 * MB)
    for spec in rows(3):
        shelf.get(spec, Placing())
    assert [loaded.name for loaded in shelf.loaded()] == ["m2"]


def test_one_that_goes_while_it_works_is_freed_when_it_is_done(
    loads: Callable[[float], list[Heavy]],
) -> None:
    made, shelf = loads(0), Shelf(1)
    one, two = rows(2)
    working = shelf.get(one, Placing())
    gone = weakref.ref(working)
    made.clear()
    shelf.get(two, Placing())
    assert gone() is working
    del working
    gc.collect()
    assert gone() is None
    assert [loaded.name for loaded in shelf.loaded()] == ["m1"]


def test_the_file_s_size_stands_in_where_memory_cannot_be_told(
    loads: Callable[[float], list[Heavy]], monkeypatch: pytest.MonkeyPatch
) -> None:
    loads(0)
    monkeypatch.setattr("cleancut.models.shelf.resident_bytes", lambda: None)
    monkeypatch.setattr(loading, "destined", lambda spec, placing: (None, 70 * MB))
    shelf = Shelf(64, 150 * MB)
    for spec in rows(3):
        shelf.get(spec, Placing())
    assert shelf.loaded() == (
        LoadedModel("m1", "bf16", "openvino", 70 * MB),
        LoadedModel("m2", "bf16", "openvino", 70 * MB),
    )


def test_a_model_that_cannot_be_loaded_is_tried_again(
    loads: Callable[[float], list[Heavy]], monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(3)

    def refuse(spec: ModelSpec, placing: Placing) -> Heavy:
        raise WeightsMissing("not here", hint="pull it")

    monkeypatch.setattr(loading, "load", refuse)
    with pytest.raises(WeightsMissing):
        shelf.get(SPEC, Placing())
    loads(0)
    assert shelf.get(SPEC, Placing()).spec is SPEC


def test_digests_are_those_of_what_was_loaded(
    loads: Callable[[float], list[Heavy]], monkeypatch: pytest.MonkeyPatch
) -> None:
    loads(0)
    monkeypatch.setattr(loading, "weights_sha256", lambda spec, placing: "first")
    shelf = Shelf(1, digests=True)
    assert shelf.digest(SPEC, Placing()) is None
    shelf.get(SPEC, Placing())
    monkeypatch.setattr(loading, "weights_sha256", lambda spec, placing: "second")
    assert shelf.digest(SPEC, Placing()) == "first"
    shelf.get(rows(1)[0], Placing())
    assert shelf.digest(SPEC, Placing()) is None
