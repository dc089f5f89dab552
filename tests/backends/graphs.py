"""Tiny ONNX graphs made in code, shared by the backend tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def save(graph: onnx.GraphProto, path: Path) -> Path:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def value(name: str, shape: list[int | str | None]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def weights() -> np.ndarray:
    return np.random.default_rng(7).standard_normal((4, 3, 3, 3)).astype(np.float32)


def conv(path: Path, *, size: int | None = 16, half: bool = False) -> Path:
    """Convolution -> sigmoid ("alpha") and the raw convolution ("logits"); any size if None.

    With ``half`` all is float16, inputs and outputs too.
    """
    sides: list[int | str | None] = [size, size] if size else ["h", "w"]
    nodes = [
        helper.make_node("Conv", ["picture", "w"], ["logits"], pads=[1, 1, 1, 1]),
        helper.make_node("Sigmoid", ["logits"], ["alpha"]),
    ]
    graph = helper.make_graph(
        nodes,
        "conv",
        [value("picture", [1, 3, *sides])],
        [value("alpha", [1, 4, *sides]), value("logits", [1, 4, *sides])],
        [numpy_helper.from_array(weights().astype(np.float16 if half else np.float32), "w")],
    )
    for port in (*graph.input, *graph.output) if half else ():
        port.type.tensor_type.elem_type = TensorProto.FLOAT16
    return save(graph, path)


def nhwc(path: Path) -> Path:
    """Takes height x width x colour and gives the mean over colours."""
    nodes = [helper.make_node("ReduceMean", ["x"], ["y"], axes=[3], keepdims=1)]
    graph = helper.make_graph(nodes, "nhwc", [value("x", [1, 8, 8, 3])], [value("y", [1, 8, 8, 1])])
    return save(graph, path)


def half_inside(path: Path) -> Path:
    """float32 outside, float16 weights and a cast at the input, as IS-Net is distributed."""
    nodes = [
        helper.make_node("Cast", ["input"], ["half"], to=TensorProto.FLOAT16),
        helper.make_node("Conv", ["half", "w"], ["out16"], pads=[1, 1, 1, 1]),
        helper.make_node("Cast", ["out16"], ["output"], to=TensorProto.FLOAT),
    ]
    graph = helper.make_graph(
        nodes,
        "half",
        [value("input", [1, 3, 8, 8])],
        [value("output", [1, 4, 8, 8])],
        [numpy_helper.from_array(weights().astype(np.float16), "w")],
    )
    return save(graph, path)


def picture(height: int = 16, width: int = 16) -> np.ndarray:
    return np.random.default_rng(1).random((1, 3, height, width), dtype=np.float32)


def external(path: Path, location: str) -> Path:
    """y = x + w, where the four numbers of w lie in another file, which is not written here."""
    tensor = onnx.TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    nodes = [helper.make_node("Add", ["x", "w"], ["y"])]
    graph = helper.make_graph(nodes, "external", [value("x", [4])], [value("y", [4])], [tensor])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path
