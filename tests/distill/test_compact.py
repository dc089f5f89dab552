from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from cleancut.backends.base import Placement
from cleancut.backends.select import open_session
from cleancut.distill.compact import rounded, with_f16_weights, with_int8_weights
from cleancut.errors import WeightsError

_RNG = np.random.default_rng(1)
FIRST = _RNG.standard_normal((16, 3, 3, 3)).astype(np.float32) * np.linspace(0.01, 2, 16)[
    :, None, None, None
].astype(np.float32)
SECOND = _RNG.standard_normal((24, 16, 3, 3)).astype(np.float32)
LAST = _RNG.standard_normal((24, 32)).astype(np.float32)


def graph() -> onnx.ModelProto:
    """Two convolutions, a mean, and a matrix: 432, 3456 and 768 weights."""
    nodes = [
        helper.make_node("Conv", ["input", "first"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "second"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["c"], ["d"]),
        helper.make_node("Flatten", ["d"], ["e"]),
        helper.make_node("MatMul", ["e", "last"], ["alpha"]),
    ]
    stored = [
        numpy_helper.from_array(array.astype(np.float32), name)
        for name, array in (("first", FIRST), ("second", SECOND), ("last", LAST))
    ]
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 16, 16])],
        [helper.make_tensor_value_info("alpha", TensorProto.FLOAT, [1, 32])],
        stored,
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def answer(model: onnx.ModelProto, folder: Path, backend: str = "ort") -> np.ndarray:
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    provider = "CPUExecutionProvider" if backend == "ort" else "CPU"
    session = open_session(path, Placement(backend, "cpu", "f32", provider, ""))  # type: ignore[arg-type]
    feed = np.random.default_rng(2).random((1, 3, 16, 16), np.float32)
    return session.run({"input": feed})["alpha"]


@pytest.mark.parametrize("backend", ["ort", "openvino"])
def test_8_bit_weights_answer_nearly_alike_in_both_runtimes(tmp_path: Path, backend: str) -> None:
    exact = answer(graph(), tmp_path, backend)
    rounding = np.abs(answer(with_int8_weights(graph(), small=0), tmp_path, backend) - exact)
    half = np.abs(answer(with_f16_weights(graph()), tmp_path, backend) - exact)
    assert 0 < half.mean() < rounding.mean() < 0.02 * np.abs(exact).mean()


def test_only_large_layers_are_stored_in_8_bits() -> None:
    small = with_int8_weights(graph(), small=1000)
    kinds = {tensor.name: tensor.data_type for tensor in small.graph.initializer}
    assert kinds == {
        "first half": TensorProto.FLOAT16,
        "second codes": TensorProto.INT8,
        "second scale": TensorProto.FLOAT,
        "last half": TensorProto.FLOAT16,
    }
    assert len(small.SerializeToString()) < 0.6 * len(graph().SerializeToString())


def test_the_graph_handed_in_stays_as_it_is() -> None:
    model = graph()
    before = model.SerializeToString(deterministic=True)
    with_int8_weights(model, small=0)
    assert model.SerializeToString(deterministic=True) == before


def test_a_channel_of_small_weights_has_its_own_scale() -> None:
    codes, scale = rounded(FIRST, 0)
    back = codes * scale[:, None, None, None]
    off = np.abs(back - FIRST).max(axis=(1, 2, 3))
    assert (off < 3 * scale).all()  # a step or two where an outlier is cut
    assert scale[0] < 0.05 * scale[-1]


def test_the_scale_is_no_worse_than_that_of_the_largest_weight() -> None:
    weight = _RNG.standard_normal((8, 400)).astype(np.float32)
    weight[:, 0] = 9.0  # an outlier costs all others their steps
    codes, scale = rounded(weight, 0)
    top = np.abs(weight).max(axis=1, keepdims=True) / 127
    plain = np.square(np.rint(weight / top) * top - weight).sum(axis=1)
    ours = np.square(codes * scale[:, None] - weight).sum(axis=1)
    assert (ours <= plain * (1 + 1e-5)).all()
    assert np.abs(codes).max() <= 127


def test_a_channel_of_zeros_stays_zero() -> None:
    codes, scale = rounded(np.zeros((2, 300), np.float32), 0)
    assert not codes.any()
    assert np.isfinite(scale).all()


def test_a_network_without_layers_is_refused() -> None:
    model = graph()
    del model.graph.node[:]
    model.graph.node.append(helper.make_node("Relu", ["input"], ["alpha"]))
    with pytest.raises(WeightsError):
        with_f16_weights(model)
