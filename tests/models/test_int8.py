"""Which precision means the int8 copy of a model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cleancut import Options
from cleancut.backends import machine, select
from cleancut.catalog import custom, find
from cleancut.errors import BackendUnavailable, WeightsCorrupt, WeightsMissing
from cleancut.models import choose
from cleancut.models.load import (
    Placing,
    int8_copy,
    load,
    open_original,
    open_session,
    weights_sha256,
)
from cleancut.weights.optimized import SetScore, copy_path
from tests.backends.graphs import conv
from tests.weights.copies import put_copy_of, stored_row

WORSE = (SetScore("people", 9, (20.0, 20.0), (0.1, 0.13), (0.9, 0.9)),)


def test_an_accepted_copy_is_what_auto_means() -> None:
    spec = stored_row()
    copy = put_copy_of(spec)
    session = open_session(spec, Placing())
    assert session.placement.precision == "int8"
    assert session.placement.reason == "measured: 45 ms, openvino cpu bf16 100 ms"
    assert open_original(spec, Placing()).placement.precision != "int8"
    assert weights_sha256(spec, Placing()) == copy.sha256
    assert load(spec).placement.precision == "int8"


@pytest.mark.parametrize("placing", [Placing(precision="f32"), Placing(backend="ort")])
def test_who_asks_for_something_else_gets_the_original(placing: Placing) -> None:
    spec = stored_row()
    put_copy_of(spec)
    assert open_session(spec, placing).placement.precision == "f32"
    assert weights_sha256(spec, placing) == spec.weights[0].sha256


@pytest.mark.parametrize(
    "changes",
    [{"sets": WORSE}, {"machine": "another"}, {"ms": (10.0, 9.9)}, {"made_from": "1" * 64}],
)
def test_auto_leaves_a_worse_foreign_slow_or_outdated_copy(changes: dict[str, object]) -> None:
    spec = stored_row()
    put_copy_of(spec, **changes)
    assert int8_copy(spec, Placing()) is None


def test_auto_prefers_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = stored_row()
    put_copy_of(spec)
    gpu = select.candidates(bf16_ok=False, precision="f32")[0]
    monkeypatch.setattr(
        select,
        "candidates",
        lambda device, **_: [replace(gpu, device="gpu") if device == "auto" else gpu],
    )
    assert int8_copy(spec, Placing()) is None
    assert int8_copy(spec, Placing(device="cpu")) is not None


def test_a_refused_copy_runs_when_asked_for() -> None:
    spec = stored_row()
    put_copy_of(spec, sets=WORSE, machine="another")
    assert open_session(spec, Placing(precision="int8")).placement.precision == "int8"


@pytest.mark.parametrize("backend", ["ort", "openvino"])
def test_either_runtime_reads_the_copy(backend: str) -> None:
    if not machine.installed("onnxruntime" if backend == "ort" else backend):
        pytest.skip(f"no {backend} here")
    spec = stored_row()
    put_copy_of(spec)
    session = open_session(spec, Placing(backend=backend, precision="int8"))  # type: ignore[arg-type]
    assert (session.placement.backend, session.placement.precision) == (backend, "int8")


def test_int8_without_a_copy_names_the_command() -> None:
    spec = stored_row()
    with pytest.raises(WeightsMissing) as caught:
        load(spec, Placing(precision="int8"))
    assert caught.value.hint == "run: cleancut models optimize tiny"


def test_a_damaged_copy_is_an_error_and_never_passed_over() -> None:
    spec = stored_row()
    put_copy_of(spec)
    path = copy_path(spec)
    path.write_bytes(bytes(path.stat().st_size))
    for placing in (Placing(), Placing(precision="int8")):
        with pytest.raises(WeightsCorrupt, match="int8 copy"):
            load(spec, placing)


def test_a_file_of_the_users_has_no_copy(tmp_path: Path) -> None:
    spec = custom(conv(tmp_path / "net.onnx"), {"size": 16, "output": "alpha"})
    with pytest.raises(WeightsMissing, match="none can be made"):
        load(spec, Placing(precision="int8"))
    with pytest.raises(WeightsMissing, match="none can be made"):
        load(find("rvm"), Placing(precision="int8"))


def test_int8_on_a_gpu_is_refused() -> None:
    spec = stored_row()
    put_copy_of(spec)
    with pytest.raises(BackendUnavailable, match="processor only"):
        load(spec, Placing(precision="int8", device="gpu"))


def test_a_batch_is_told_beforehand_which_copies_are_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lead, second = stored_row("lead"), stored_row("second")
    put_copy_of(lead)
    monkeypatch.setattr(choose, "choose", lambda _: choose.Choice(lead, second=second))
    choose.check(Options())
    with pytest.raises(WeightsMissing) as caught:
        choose.check(Options(precision="int8"))
    assert caught.value.hint == "run: cleancut models optimize second"
    put_copy_of(second)
    choose.check(Options(precision="int8"))
