from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from cleancut.catalog import Part, WeightFile
from cleancut.errors import MissingDependency, WeightsCorrupt, WeightsError
from cleancut.weights import convert
from cleancut.weights.convert import check_tools, prepare, prune_outputs


def model(nodes: list[Any], outputs: list[str], weights: dict[str, Any]) -> onnx.ModelProto:
    shape: list[Any] = ["N", 3, "H", "W"]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in outputs],
        [numpy_helper.from_array(np.asarray(v, np.float32), k) for k, v in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8
    return made


def two_headed() -> onnx.ModelProto:
    node = helper.make_node
    return model(
        [
            node("Mul", ["x", "w1"], ["a"]),
            node("Add", ["a", "w2"], ["first"]),
            node("Mul", ["a", "w3"], ["b"]),
            node("Sub", ["b", "w1"], ["second"]),
        ],
        ["first", "second"],
        {"w1": 2.0, "w2": 3.0, "w3": 5.0},
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    onnx.save(two_headed(), tmp_path / "in.onnx")
    return tmp_path / "in.onnx"


def test_unused_outputs_and_all_they_alone_need_are_cut_off(source: Path, tmp_path: Path) -> None:
    prune_outputs(source, tmp_path / "out.onnx")
    graph = onnx.load(tmp_path / "out.onnx").graph
    assert [o.name for o in graph.output] == ["first"]
    assert [n.op_type for n in graph.node] == ["Mul", "Add"]
    assert {t.name for t in graph.initializer} == {"w1", "w2"}


def test_the_kept_output_answers_as_before(source: Path, tmp_path: Path) -> None:
    prune_outputs(source, tmp_path / "out.onnx", keep="second")
    x = np.random.default_rng(0).random((1, 3, 4, 5), np.float32)
    before = ReferenceEvaluator(str(source)).run(["second"], {"x": x})[0]
    after = ReferenceEvaluator(str(tmp_path / "out.onnx")).run(None, {"x": x})[0]
    assert np.array_equal(before, after)


def test_a_symbolic_batch_becomes_one_and_the_sides_stay_free(source: Path, tmp_path: Path) -> None:
    prune_outputs(source, tmp_path / "out.onnx")
    (value,) = onnx.load(tmp_path / "out.onnx").graph.input
    dims = value.type.tensor_type.shape.dim
    assert dims[0].dim_value == 1
    assert [dims[2].dim_param, dims[3].dim_param] == ["H", "W"]


def test_nodes_in_the_wrong_order_are_sorted(tmp_path: Path) -> None:
    made = two_headed()
    nodes = list(made.graph.node)[::-1]
    del made.graph.node[:]
    made.graph.node.extend(nodes)
    (tmp_path / "in.onnx").write_bytes(made.SerializeToString())
    prune_outputs(tmp_path / "in.onnx", tmp_path / "out.onnx", keep="second")
    out = onnx.load(tmp_path / "out.onnx").graph
    assert [n.op_type for n in out.node] == ["Mul", "Mul", "Sub"]


def test_what_a_subgraph_captures_is_kept(tmp_path: Path) -> None:
    branch = helper.make_graph(
        [helper.make_node("Add", ["x", "w2"], ["y"])],
        "b",
        [],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    made = model(
        [helper.make_node("If", ["c"], ["first"], then_branch=branch, else_branch=branch)],
        ["first"],
        {"w2": 1.0, "w9": 1.0},
    )
    made.graph.initializer.append(numpy_helper.from_array(np.array(True), "c"))
    onnx.save(made, tmp_path / "in.onnx")
    prune_outputs(tmp_path / "in.onnx", tmp_path / "out.onnx")
    kept = {t.name for t in onnx.load(tmp_path / "out.onnx").graph.initializer}
    assert kept == {"w2", "c"}


def test_a_graph_that_runs_in_a_circle_is_refused(tmp_path: Path) -> None:
    node = helper.make_node
    made = model([node("Add", ["x", "b"], ["a"]), node("Neg", ["a"], ["b"])], ["b"], {})
    (tmp_path / "in.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(WeightsCorrupt, match="circle"):
        prune_outputs(tmp_path / "in.onnx", tmp_path / "out.onnx")


def test_an_output_that_does_not_exist_is_named(source: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsCorrupt, match=r"no output 'third'.*first, second"):
        prune_outputs(source, tmp_path / "out.onnx", keep="third")


def test_weights_in_another_file_are_refused(tmp_path: Path) -> None:
    made = two_headed()
    tensor = made.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"
    (tmp_path / "in.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(WeightsCorrupt, match="another file"):
        prune_outputs(tmp_path / "in.onnx", tmp_path / "out.onnx")


@pytest.mark.parametrize("data", [b"", b"\x00" * 100, b"text, not a model" * 50])
def test_rubbish_is_not_a_model(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "in.onnx").write_bytes(data)
    with pytest.raises(WeightsCorrupt):
        prune_outputs(tmp_path / "in.onnx", tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()


def weight(prepare_: Any) -> WeightFile:
    return WeightFile("m.onnx", (Part("in.onnx", 1, "0" * 64),), (), prepare=prepare_)


def test_preparing_runs_in_another_process_and_names_its_tools(
    source: Path, tmp_path: Path
) -> None:
    tools = prepare(weight("prune"), [source], tmp_path / "out.onnx")
    assert tools == {"onnx": onnx.__version__}
    assert len(onnx.load(tmp_path / "out.onnx").graph.output) == 1


def test_errors_of_the_other_process_arrive_with_their_type(tmp_path: Path) -> None:
    (tmp_path / "in.onnx").write_bytes(b"rubbish")
    with pytest.raises(WeightsCorrupt, match=r"in\.onnx is not"):
        prepare(weight("prune"), [tmp_path / "in.onnx"], tmp_path / "out.onnx")


def test_a_file_that_cannot_be_read_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(WeightsError):
        prepare(weight("prune"), [tmp_path / "missing.onnx"], tmp_path / "out.onnx")


def test_a_conversion_that_takes_too_long_is_ended(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(convert.TIMEOUT_S, "prune", 0.01)
    with pytest.raises(WeightsError, match="took more than"):
        prepare(weight("prune"), [source], tmp_path / "out.onnx")


def test_a_missing_extra_is_said_before_anything_is_downloaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependency) as caught:
        check_tools(weight("tfjs"))
    assert caught.value.hint == "run: pip install 'cleancut[convert]'"
    check_tools(weight("prune"))


def test_the_old_name_of_numpy_is_there_only_inside() -> None:
    with convert._numpy_1_names():
        assert np.product((2, 3)) == 6  # type: ignore[attr-defined]
    assert not hasattr(np, "product") or np.__version__ < "2"
