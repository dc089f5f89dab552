from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from cleancut.catalog import parse
from cleancut.distill import export as module
from cleancut.distill.evaluate import network
from cleancut.distill.export import export
from cleancut.distill.origin import Origin, Pictures, Teacher
from cleancut.distill.student import load_student, predictor
from cleancut.engine import Engine
from cleancut.errors import BadOption, InferenceFailed
from cleancut.toml import tomllib
from tests.distill.students import Tiny, make_run, red_on_green

PICTURES = [red_on_green()[0]]


@pytest.fixture(scope="module")
def graphs() -> dict[int, bytes]:
    """What torch exported, by size: each takes seconds, and all tests have one network."""
    return {}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, graphs: dict[int, bytes]) -> Path:
    real = module.to_onnx

    def once(net: Any, size: int, *, trace: bool = False) -> onnx.ModelProto:
        if size not in graphs:
            graphs[size] = real(net, size, trace=trace).SerializeToString()
        return onnx.ModelProto.FromString(graphs[size])

    monkeypatch.setattr(module, "to_onnx", once)
    return make_run(tmp_path, monkeypatch)


def test_the_file_answers_as_torch_does_and_the_engine_reads_it(run: Path, tmp_path: Path) -> None:
    done = export(run, tmp_path / "tiny.onnx", pictures=PICTURES)
    assert {one.runtime for one in done.parity} >= {"ort"}
    assert all(one.mean < 1e-5 for one in done.parity if "bf16" not in one.runtime)
    want = predictor(load_student(run).net, 64)(PICTURES[0])
    predict, _, size = network(str(done.path))
    assert size == 64
    assert np.abs(predict(PICTURES[0]) - want).max() < 1e-4
    result = Engine().cutout(PICTURES[0], model=str(done.path), backend="ort", precision="f32")
    assert result.alpha[24, 40] > 0.9 > 0.1 > result.alpha[2, 2]


def test_the_row_is_one_that_the_catalog_reads(run: Path, tmp_path: Path) -> None:
    origin = Origin(
        photographs=(Pictures("clo", 9, 8, terms="CC0", free=True),),
        teachers=(Teacher("isnet", "teacher", 8, "Apache-2.0", 'DIS5K, "research"', "unclear"),),
    )
    done = export(run, tmp_path / "tiny.onnx", pictures=PICTURES, origin=origin)
    (spec,) = parse(tomllib.loads(done.row)).values()
    assert (spec.id, spec.commercial, spec.recipe.size) == ("tiny", "unclear", (64, 64))
    assert spec.training_data == ('photographs 8 clo_ (CC0); labelled by isnet (DIS5K, "research")')
    part = spec.weights[0].parts[0]
    data = done.path.read_bytes()
    assert (part.bytes, part.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    props = {prop.key: prop.value for prop in onnx.load(done.path).metadata_props}
    assert props["training_data"] == spec.training_data
    assert props["licence"] == "Apache-2.0"
    assert str(tmp_path) not in done.row + str(props) + done.recipe


def test_another_size_and_any_size(run: Path, tmp_path: Path) -> None:
    from cleancut.backends import select

    done = export(run, tmp_path / "any.onnx", any_size=True, pictures=PICTURES)
    predict, label, size = network(str(done.path), 96)
    assert (label, size, predict(PICTURES[0]).shape) == ("any", 96, (96, 96))
    where = select.candidates(backend="ort", device="cpu", precision="f32", bf16_ok=False)[0]
    session = select.open_session(done.path, where)
    wide = session.run({"input": np.zeros((1, 3, 32, 160), np.float32)})["alpha"]
    assert wide.shape == (1, 1, 32, 160)
    with pytest.raises(BadOption):
        export(run, tmp_path / "odd.onnx", size=100)


@pytest.mark.parametrize("form", ["f16", "int8-weights"])
def test_smaller_forms_say_what_they_are(run: Path, tmp_path: Path, form: module.Form) -> None:
    done = export(run, tmp_path / "small.onnx", form=form, pictures=PICTURES)
    assert done.metadata["form"] == form
    assert done.parity[0].mean < 1e-3


def test_nothing_is_written_where_a_runtime_answers_otherwise(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_by_torch", lambda _net, feed: np.zeros_like(feed[:, :1]))
    target = tmp_path / "out" / "tiny.onnx"
    target.parent.mkdir()
    target.write_bytes(b"the old one")
    with pytest.raises(InferenceFailed, match="otherwise than torch"):
        export(run, target, pictures=PICTURES)
    assert target.read_bytes() == b"the old one"
    assert [path.name for path in target.parent.iterdir()] == ["tiny.onnx"]


def test_bf16_is_only_in_the_row_where_it_is_near(run: Path) -> None:
    student = load_student(run)
    row = module.catalog_row(student, Origin(), 64, "t.onnx", 1, "0" * 64, bf16=True)
    assert "bf16 = true" in row
    people = replace(student, config=replace(student.config, kind="portrait"))
    assert '"portrait"' in module.catalog_row(people, Origin(), 64, "t.onnx", 1, "0" * 64)


def test_ctrl_c_inside_torch_stays_a_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its exporter turns it into an error that would be told as a bug of ours."""

    def interrupted(*_: object, **__: object) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise AttributeError("module has no attribute 'exc'")  # noqa: B904

    monkeypatch.setattr("torch.onnx.export", interrupted)
    with pytest.raises(KeyboardInterrupt):
        module.to_onnx(Tiny(), 64)
