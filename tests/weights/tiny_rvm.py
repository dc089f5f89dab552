"""A TensorFlow.js graph with every operation of Robust Video Matting, and hardly any weights."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np

ROOT = "StatefulPartitionedCall/matting_network_wrapper/StatefulPartitionedCall/"


def text(value: str) -> dict[str, str]:
    return {"s": base64.b64encode(value.encode()).decode()}


class Net:
    """A TensorFlow.js graph in the making: nodes in order, constants with their values."""

    def __init__(self) -> None:
        self.nodes: list[dict[str, Any]] = []
        self.values: dict[str, np.ndarray] = {}

    def const(self, name: str, value: Any, kind: type = np.float32) -> str:
        self.values[name] = np.asarray(value, kind)
        self.nodes.append({"name": name, "op": "Const", "attr": {}})
        return name

    def node(self, name: str, op: str, inputs: list[str], **attributes: Any) -> str:
        self.nodes.append({"name": name, "op": op, "input": inputs, "attr": attributes})
        return name

    def conv(self, name: str, source: str, kernel: np.ndarray, op: str, *fused: str) -> str:
        inputs = [source, self.const(f"{name}/kernel", kernel)]
        extra: dict[str, Any] = {}
        if fused:
            inputs.append(self.const(f"{name}/bias", np.arange(kernel.shape[-1]) * 0.1))
            extra["fused_ops"] = {"list": {"s": [text(word)["s"] for word in fused]}}
        steps = {"list": {"i": ["1", "1", "1", "1"]}}
        return self.node(name, op, inputs, strides=steps, padding=text("VALID"), **extra)

    def save(self, folder: Path) -> list[Path]:
        rows, data = [], b""
        for name, value in self.values.items():
            rows.append({"name": name, "shape": list(value.shape), "dtype": value.dtype.name})
            data += value.tobytes()
        model = {
            "modelTopology": {"node": self.nodes},
            "weightsManifest": [{"weights": rows}],
            "signature": {},
        }
        (folder / "g.json").write_text(json.dumps(model))
        (folder / "g.bin").write_bytes(data)
        return [folder / "g.json", folder / "g.bin"]


def net(kernel: np.ndarray, dilated: np.ndarray) -> Net:
    """Everything the network is made of, once: from the small frame to four channels."""
    made = Net()
    made.node("src", "Placeholder", [])
    for level in (1, 2, 3, 4):
        made.node(f"r{level}i", "Placeholder", [])
    small = made.node(ROOT + "cond/output/_660", "Merge", ["src", "src"])
    mean = made.const("mean", [0.1, 0.2, 0.3])
    less = made.node("less", "Sub", [small, mean])
    pads = made.const("pads", [[0, 0], [1, 1], [1, 1], [0, 0]], np.int32)
    padded = made.node("padded", "Pad", [less, pads])
    first = made.conv("first", padded, kernel, "_FusedConv2D", "BiasAdd", "Relu")
    # hard swish: x * (1/6) * relu6(x + 3)
    three, sixth = made.const("three", 3.0), made.const("sixth", 1 / 6)
    shifted = made.node("shifted", "AddV2", [first, three])
    clipped = made.node("clipped", "Relu6", [shifted])
    scaled = made.node("scaled", "Mul", [sixth, first])
    swish = made.node("swish", "Mul", [scaled, clipped])
    wide = made.const("wide", [[0, 0], [2, 2], [2, 2], [0, 0]], np.int32)
    around = made.node("around", "Pad", [swish, wide])
    rate = made.const("rate", [2, 2], np.int32)
    spread = made.node("spread", "SpaceToBatchND", [around, rate, "wide"])
    inner = made.conv("inner", spread, dilated, "DepthwiseConv2dNative")
    whole = made.node("whole", "BatchToSpaceND", [inner, rate, "wide"])
    pooled = made.node("pooled", "AvgPool", [whole])
    larger = made.node("larger", "ResizeBilinear", [pooled, rate])
    axis = made.const("axis", 3, np.int32)
    halves = made.node("halves", "Split", [axis, larger], num_split={"i": "2"})
    made.node(ROOT + "conv2d_62/BiasAdd", "ConcatV2", [f"{halves}:1", halves, axis])
    for level, name in enumerate(("Identity_2", "Identity_3", "Identity_4", "Identity_5"), 1):
        gate = made.node(f"gate{level}", "Tanh", [f"r{level}i"])
        made.node(name, "Identity", [gate, "^whole"])
    return made
