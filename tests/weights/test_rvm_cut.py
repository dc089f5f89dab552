from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from cleancut.errors import WeightsCorrupt
from cleancut.weights import rvm_cut

MEMORY = ("r1", "r2", "r3", "r4")


def published(*, learned: bool = True, guide: str = "full", end: str = "filter") -> onnx.ModelProto:
    """A graph with the interface of the published export and its refiner, the network in small.

    ``guide`` "small" lets the network look at the full frame too; ``end`` "none" has no refiner.
    """
    node = helper.make_node
    random = np.random.default_rng(5)
    constants: dict[str, Any] = {
        "ones": np.ones(2, np.float32),
        "box": np.full((4, 1, 3, 3), 1 / 9, np.float32),
        "net": random.standard_normal((4, 3, 3, 3)).astype(np.float32) * 0.3,
        "mix": random.standard_normal((4, 8, 1, 1)).astype(np.float32) * 0.2,
        "zero": np.float32(0),
        "one": np.float32(1),
        "tenth": np.float32(0.1),
        "spatial": np.array([2], np.int64),
        "last": np.array([4], np.int64),
        "parts": np.array([3, 1], np.int64),
    }
    linear: dict[str, Any] = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    box: dict[str, Any] = {"group": 4, "pads": [1, 1, 1, 1]}
    nodes = [
        node("Concat", ["ones", "downsample_ratio", "downsample_ratio"], ["scales"], axis=0),
        node("Resize", ["src", "", "scales"], ["small"], **linear),
        node("Conv", ["small", "net"], ["seen"], pads=[1, 1, 1, 1]),
        node("ReduceMean", ["r1i"], ["past"], axes=[1, 2, 3], keepdims=1),
        node("Add", ["seen", "past"], ["matte"]),
        *[node("Add", [f"{name}i", "tenth"], [f"{name}o"]) for name in MEMORY],
        node("ReduceMean", ["small"], ["small_grey"], axes=[1], keepdims=1),
        node("Concat", ["small", "small_grey"], ["x"], axis=1),
        node("Mul", ["x", "matte"], ["xy"]),
        node("Mul", ["x", "x"], ["xx"]),
        *[node("Conv", [n, "box"], [f"mean_{n}"], **box) for n in ("x", "matte", "xy", "xx")],
        node("Concat", ["mean_xy", "mean_xx"], ["both"], axis=1),
        node("Conv", ["both", "mix"], ["A_small"]),
        node("Mul", ["A_small", "mean_x"], ["Ax"]),
        node("Sub", ["mean_matte", "Ax"], ["b_small"]),
        node("ReduceMean", ["src"], ["grey"], axes=[1], keepdims=1),
        node("Concat", ["src", "grey"], ["guide"], axis=1),
        node("Shape", ["guide"], ["shape"]),
        node("Shape", ["A_small"], ["small_shape"]),
        node("Slice", ["shape", "spatial", "last"], ["full"]),
        node("Slice", ["small_shape", "zero_index", "spatial"], ["kept"]),
        node("Concat", ["kept", "full"], ["sizes"], axis=0),
        node("Resize", ["A_small", "", "", "sizes"], ["A_full"], **linear),
        node("Resize", ["b_small", "", "", "sizes"], ["b_full"], **linear),
        node("Mul", ["A_full", "guide"], ["product"]),
        node("Add", ["product", "b_full"], ["refined"]),
        node("Split", ["refined", "parts"], ["residual", "alpha"], axis=1),
        node("Add", ["residual", "src"], ["colours"]),
        node("Clip", ["colours", "zero", "one"], ["fgr"]),
        node("Clip", ["alpha", "zero", "one"], ["pha"]),
    ]
    constants["zero_index"] = np.array([0], np.int64)
    if not learned:  # something else than A * guide + b
        nodes[-4] = node("Split", ["product", "parts"], ["residual", "alpha"], axis=1)
    if guide == "small":
        nodes[4] = node("Add", ["seen", "glimpse"], ["matte"])
        nodes.insert(4, node("ReduceMean", ["src"], ["glimpse"], axes=[1, 2, 3], keepdims=1))
    if end == "none":
        nodes[-1] = node("Sigmoid", ["grey"], ["pha"])
    value, floats = helper.make_tensor_value_info, TensorProto.FLOAT
    any_size = [1, None, None, None]
    graph = helper.make_graph(
        nodes,
        "published",
        [
            value("src", floats, [1, 3, "height", "width"]),
            *(value(f"{name}i", floats, any_size) for name in MEMORY),
            value("downsample_ratio", floats, [1]),
        ],
        [
            value("fgr", floats, any_size),
            value("pha", floats, any_size),
            *(value(f"{name}o", floats, any_size) for name in MEMORY),
        ],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model


def saved(model: onnx.ModelProto, folder: Path) -> Path:
    onnx.save(model, folder / "in.onnx")
    return folder / "in.onnx"


def test_the_full_size_end_is_cut_off(tmp_path: Path) -> None:
    assert rvm_cut.to_onnx(saved(published(), tmp_path), tmp_path / "out.onnx")
    model = onnx.load(tmp_path / "out.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert {v.name for v in model.graph.input} == {"src", *(f"{name}i" for name in MEMORY)}
    assert {v.name for v in model.graph.output} == {"A", "b", *(f"{name}o" for name in MEMORY)}
    assert not any(node.op_type == "Resize" for node in model.graph.node)
    given = {f"{name}i": np.zeros((1, 4, 4, 4), np.float32) for name in MEMORY}
    given["src"] = np.random.default_rng(0).random((1, 3, 16, 32), np.float32)
    answer = ReferenceEvaluator(model).run(None, given)
    assert answer[0].shape == answer[1].shape == (1, 4, 16, 32)


@pytest.mark.parametrize(
    "change", [{"learned": False}, {"guide": "small"}, {"end": "none"}], ids=str
)
def test_a_graph_that_is_otherwise_made_stays_whole(tmp_path: Path, change: dict[str, Any]) -> None:
    source = saved(published(**change), tmp_path)
    assert not rvm_cut.to_onnx(source, tmp_path / "out.onnx")
    assert (tmp_path / "out.onnx").read_bytes() == source.read_bytes()


def test_a_cut_that_answers_otherwise_is_not_taken(tmp_path: Path) -> None:
    """The frame is shrunk by another rule than the one that is used outside of the graph."""
    model = published()
    (node,) = (n for n in model.graph.node if n.output[0] == "small")
    (mode,) = (a for a in node.attribute if a.name == "coordinate_transformation_mode")
    mode.s = b"align_corners"
    source = saved(model, tmp_path)
    assert not rvm_cut.to_onnx(source, tmp_path / "out.onnx")
    assert (tmp_path / "out.onnx").read_bytes() == source.read_bytes()


def test_another_network_is_refused(tmp_path: Path) -> None:
    model = published()
    del model.graph.output[1]
    with pytest.raises(WeightsCorrupt, match="inputs and outputs"):
        rvm_cut.to_onnx(saved(model, tmp_path), tmp_path / "out.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"\x0a\xffno model")
    with pytest.raises(WeightsCorrupt, match="not an ONNX model"):
        rvm_cut.to_onnx(tmp_path / "bad.onnx", tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()
