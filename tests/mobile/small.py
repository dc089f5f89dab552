"""A network of a few hundred weights with the operators that real ones have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE = 32


def network(path: Path, *, odd: str = "") -> Path:
    """Write it to ``path``; with ``odd`` another operator stands before the answer."""
    chance = np.random.default_rng(3)

    def held(name: str, array: Any, kind: type = np.float32) -> str:
        tensors.append(numpy_helper.from_array(np.asarray(array, kind), name))
        return name

    def weights(name: str, *shape: int) -> str:
        return held(name, chance.normal(0, 0.3, shape))

    tensors: list[TensorProto] = []
    made = helper.make_node
    nodes = [
        made(
            "Conv",
            ["picture", weights("w0", 8, 3, 3, 3), weights("b0", 8)],
            ["a"],
            pads=[1, 1, 1, 1],
            strides=[2, 2],
        ),
        made("Clip", ["a", held("low", 0.0), held("high", 6.0)], ["b"]),
        made(
            "Conv",
            ["b", weights("w1", 8, 1, 3, 3)],
            ["c"],
            group=8,
            pads=[2, 2, 2, 2],
            dilations=[2, 2],
        ),
        made("Split", ["c", held("parts", [3, 5], np.int64)], ["d", "e"], axis=1),
        made("InstanceNormalization", ["d", weights("g", 3), weights("h", 3)], ["f"]),
        made(
            "BatchNormalization",
            ["e", weights("s", 5), weights("t", 5), weights("m", 5), held("v", [1, 2, 1, 2, 1])],
            ["i"],
        ),
        made("Concat", ["f", "i"], ["j"], axis=1),
        made("MaxPool", ["j"], ["k"], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
        made("AveragePool", ["k"], ["l"], kernel_shape=[2, 2], strides=[2, 2]),
        made("ReduceMean", ["l", held("axes", [2, 3], np.int64)], ["n"], keepdims=0),
        made("Gemm", ["n", weights("w2", 8, 8), weights("b2", 8)], ["o"], transB=1),
        made("Sigmoid", ["o"], ["p"]),
        made("Unsqueeze", ["p", held("new", [2, 3], np.int64)], ["q"]),
        made("Mul", ["l", "q"], ["r"]),
        made("Conv", ["r", weights("w3", 16, 8, 3, 3)], ["s0"], pads=[1, 1, 1, 1]),
        made(
            "Slice",
            [
                "s0",
                held("from", [2], np.int64),
                held("to", [14], np.int64),
                held("on", [1], np.int64),
            ],
            ["s1"],
        ),
        made(
            "Resize",
            ["s1", "", "", held("sizes", [1, 12, SIDE, SIDE], np.int64)],
            ["u"],
            mode="linear",
            coordinate_transformation_mode="half_pixel",
        ),
        made("Conv", ["u", weights("w4", 1, 12, 1, 1)], ["x"]),
        *([made(odd, ["x"], ["y"])] if odd else []),
        made("Sigmoid", ["y" if odd else "x"], ["alpha"]),
    ]
    shape = [1, 3, SIDE, SIDE]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("alpha", TensorProto.FLOAT, [1, 1, SIDE, SIDE])],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())
    path.with_suffix(".toml").write_text(f"size = {SIDE}\nmean = [0.5, 0.4, 0.3]\nstd = 0.25\n")
    return path
