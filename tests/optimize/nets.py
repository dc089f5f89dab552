"""A small net with what the large ones have: skip connection, pooling, resize, logits, sigmoid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tests.backends.graphs import save, value

SIDE = 32
NODES = (
    ("Conv", ["x", "w1"], "first", {"pads": [1, 1, 1, 1]}),
    ("Relu", ["first"], "a", {}),
    ("MaxPool", ["a"], "pooled", {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ("Conv", ["pooled", "w2"], "second", {"pads": [1, 1, 1, 1]}),
    ("Relu", ["second"], "b", {}),
    ("Resize", ["b", "", "twice"], "grown", {"mode": "linear"}),
    ("Concat", ["grown", "a"], "both", {"axis": 1}),
    ("Conv", ["both", "w3"], "logits", {"pads": [1, 1, 1, 1]}),
    ("Sigmoid", ["logits"], "alpha", {}),
)
#: Activations that the quantised form keeps in 8 bits.
SITES = ("x", "a", "b", "grown", "logits")


def weights() -> dict[str, NDArray[np.float32]]:
    chance = np.random.default_rng(3)
    shapes = {"w1": (4, 3, 3, 3), "w2": (4, 4, 3, 3), "w3": (1, 8, 3, 3)}
    made = {
        name: chance.standard_normal(shape).astype(np.float32) * 0.15
        for name, shape in shapes.items()
    }
    return {**made, "twice": np.array([1, 1, 2, 2], np.float32)}


def net(path: Path) -> Path:
    nodes = [
        helper.make_node(kind, inputs, [out], name=out, **more) for kind, inputs, out, more in NODES
    ]
    return _save(nodes, weights(), path)


def quantised(path: Path, scale: float = 0.02) -> Path:
    """The same net in QDQ form, every activation with one scale, weights in 8 bits."""
    floats = weights()
    tensors: dict[str, NDArray[np.generic]] = {"twice": floats.pop("twice")}
    nodes, renamed = [], dict[str, str]()
    for name, array in floats.items():
        steps = np.abs(array).max(axis=(1, 2, 3)) / 127
        tensors[f"{name}_q"] = np.rint(array / steps[:, None, None, None]).astype(np.int8)
        tensors[f"{name}_s"] = steps.astype(np.float32)
        tensors[f"{name}_z"] = np.zeros(len(steps), np.int8)
        inputs = [f"{name}_q", f"{name}_s", f"{name}_z"]
        nodes.append(helper.make_node("DequantizeLinear", inputs, [f"{name}_f"], axis=0))
        renamed[name] = f"{name}_f"

    def pair(name: str) -> None:
        # "a" and "grown" meet in a Concat and share their scale.
        step = scale * (2 if name in ("a", "grown") else 3 + SITES.index(name))
        tensors[f"{name}_s"] = np.array(step, np.float32)
        tensors[f"{name}_z"] = np.array(128 if name in ("x", "logits") else 0, np.uint8)
        scales = [f"{name}_s", f"{name}_z"]
        nodes.append(helper.make_node("QuantizeLinear", [name, *scales], [f"{name}_q"]))
        nodes.append(helper.make_node("DequantizeLinear", [f"{name}_q", *scales], [f"{name}_f"]))
        renamed[name] = f"{name}_f"

    pair("x")
    for kind, inputs, out, more in NODES:
        read = [renamed.get(name, name) for name in inputs]
        nodes.append(helper.make_node(kind, read, [out], name=out, **more))
        if out in SITES:
            pair(out)
    return _save(nodes, tensors, path)


def _save(nodes: list[onnx.NodeProto], tensors: dict[str, NDArray[np.generic]], path: Path) -> Path:
    graph = helper.make_graph(
        nodes,
        "net",
        [value("x", [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("alpha", TensorProto.FLOAT, [1, 1, SIDE, SIDE])],
        [numpy_helper.from_array(array, name) for name, array in tensors.items()],
    )
    return save(graph, path)


def feed(number: int = 0) -> NDArray[np.float32]:
    noise = np.random.default_rng(number).standard_normal((1, 3, SIDE, SIDE)).astype(np.float32)
    return np.clip(noise, -2.5, 2.5)
