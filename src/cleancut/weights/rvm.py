"""Robust Video Matting out of its TensorFlow.js file: an ONNX graph of the small picture only.

The published graph shrinks the frame, finds a small matte with its memory, and refines it at full
size with a guided filter (Lin et al., "Robust High-Resolution Video Matting with Temporal
Guidance", WACV 2022, section 3). Only what lies between is written here: the filter takes more
time in the graph than the network, and its differences of nearly equal means need more digits than
bf16 has (``cleancut.models.guided`` does it). The graph is translated operation by operation,
channels first, without TensorFlow.

Differences from the published graph: the frame arrives shrunk, height and width multiples of 16,
and the memory arrives in its right shape instead of being spread from one zero.
"""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleancut.errors import WeightsCorrupt
from cleancut.weights.tfjs import read_graph, read_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnx import ModelProto, NodeProto

    from cleancut.arrays import Tensor

OPSET = 17
#: Channels of the memory, r1 (half the small size) to r4 (a sixteenth).
MEMORY_CHANNELS = (16, 20, 40, 64)

_NETWORK = "StatefulPartitionedCall/matting_network_wrapper/StatefulPartitionedCall/"
_SMALL_FRAME = _NETWORK + "cond/output/_660"
_SMALL_MATTE = _NETWORK + "conv2d_62/BiasAdd"
_MEMORY = ("Identity_2", "Identity_3", "Identity_4", "Identity_5")
_CONVOLUTIONS = ("_FusedConv2D", "Conv2D", "FusedDepthwiseConv2dNative", "DepthwiseConv2dNative")


def to_onnx(graph_json: Path, weights_bin: Path, target: Path) -> None:
    """Write the graph to ``target``: inputs ``src`` (1, 3, h, w) in 0..1 and ``r1i`` to ``r4i``.

    Outputs are ``matte`` (1, 4, h, w), the foreground's colour less the frame's and alpha, neither
    clipped, and ``r1o`` to ``r4o``. Raises ``WeightsCorrupt`` if
    the files are not this network.
    """
    import onnx

    text = read_graph(graph_json)
    try:
        weights = read_weights(text["weightsManifest"], weights_bin.read_bytes())
        model = _Translation(text["modelTopology"]["node"], weights).model()
        onnx.checker.check_model(model, full_check=True)
    except (KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise WeightsCorrupt(f"{graph_json.name} is not the graph of this network") from error
    except (ValueError, binascii.Error, onnx.checker.ValidationError) as error:
        raise WeightsCorrupt(f"{graph_json.name} cannot be translated") from error
    except onnx.shape_inference.InferenceError as error:
        raise WeightsCorrupt(f"{graph_json.name} cannot be translated") from error
    target.write_bytes(model.SerializeToString(deterministic=True))


class _Translation:
    """One pass over a TensorFlow graph, from its outputs down; every tensor is made once."""

    def __init__(self, nodes: Sequence[dict[str, Any]], weights: dict[str, Tensor]) -> None:
        self._by_name = {node["name"]: node for node in nodes}
        self._weights = weights
        self._nodes: list[NodeProto] = []
        self._constants: dict[str, Tensor] = {}
        self._made: dict[str, list[str]] = {}

    def model(self) -> ModelProto:
        """The graph from the small frame to the small matte and the memory."""
        from onnx import TensorProto, helper, numpy_helper

        for name, node in self._by_name.items():  # in the file's order, so that no call goes deep
            if node["op"] == "_FusedConv2D":
                self._tensor(name)
        outputs = {"matte": self._tensor(_SMALL_MATTE)}
        outputs |= {f"r{at + 1}o": self._tensor(name) for at, name in enumerate(_MEMORY)}
        for name, made in outputs.items():
            self._nodes.append(helper.make_node("Identity", [made], [name]))

        def port(name: str, channels: int, level: str) -> Any:
            shape: list[int | str] = [1, channels, f"h{level}", f"w{level}"]
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

        memory = [(f"r{at + 1}", channels) for at, channels in enumerate(MEMORY_CHANNELS)]
        graph = helper.make_graph(
            self._nodes,
            "rvm",
            [port("src", 3, ""), *(port(f"{name}i", size, name[1]) for name, size in memory)],
            [port("matte", 4, ""), *(port(f"{name}o", size, name[1]) for name, size in memory)],
            [numpy_helper.from_array(value, name) for name, value in self._constants.items()],
        )
        made_model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        made_model.ir_version = 8
        return made_model

    def _tensor(self, reference: str) -> str:
        """Name of the ONNX value of ``node`` or ``node:output``."""
        name, _, output = reference.partition(":")
        if name not in self._made:
            made = self._translate(self._by_name[name])
            self._made[name] = [made] if isinstance(made, str) else made
        return self._made[name][int(output or 0)]

    def _translate(self, node: dict[str, Any]) -> str | list[str]:
        operation, inputs = node["op"], _inputs(node)
        if node["name"] == _SMALL_FRAME:
            return "src"
        if operation == "Placeholder":
            return str(node["name"])
        if operation in ("Identity", "BroadcastTo", "Slice"):
            # Slices crop to the size of a skip connection; all sizes are even here.
            return self._tensor(inputs[0])
        if operation in _CONVOLUTIONS:
            return self._convolution(node, inputs[0], [1, 1])
        if operation == "BatchToSpaceND":  # TensorFlow's way to write a dilated convolution
            inner = self._by_name[inputs[0]]
            spread = self._by_name[_inputs(inner)[0]]
            source, rate, *_ = _inputs(spread)
            return self._convolution(inner, source, [int(v) for v in self._weight(rate)])
        if operation in ("Mul", "Add", "AddV2", "Sub"):
            return self._arithmetic(node, inputs)
        if operation == "ConcatV2":
            return self._add("Concat", [self._tensor(name) for name in inputs[:-1]], axis=1)
        if operation == "Split":
            return self._split(self._tensor(inputs[1]), int(_attribute(node, "num_split")))
        return self._add_simple(operation, self._tensor(inputs[0]))

    def _add_simple(self, operation: str, source: str) -> str:
        import numpy as np

        if operation in ("Sigmoid", "Tanh"):
            return self._add(operation, [source])
        if operation == "Mean":
            return self._add("GlobalAveragePool", [source])
        if operation == "AvgPool":
            return self._add("AveragePool", [source], kernel_shape=[2, 2], strides=[2, 2])
        if operation == "ResizeBilinear":
            return self._add(
                "Resize",
                [source, "", self._constant(np.array([1, 1, 2, 2], np.float32))],
                mode="linear",
                coordinate_transformation_mode="half_pixel",
            )
        raise WeightsCorrupt(f"the graph has an operation {operation!r} that is not expected")

    def _convolution(self, node: dict[str, Any], source: str, dilations: list[int]) -> str:
        inputs, before = _inputs(node), self._by_name.get(source, {})
        kernel = self._weight(inputs[1])
        height, width = kernel.shape[:2]
        pads = [0, 0, 0, 0]
        if before.get("op") == "Pad":  # zeros, as a convolution pads by itself
            source, amounts = _inputs(before)[0], self._weight(_inputs(before)[1])
            pads = [int(amounts[axis][end]) for end in (0, 1) for axis in (1, 2)]
        elif _attribute(node, "padding") == "SAME":
            pads = [(height - 1) // 2, (width - 1) // 2] * 2
        depthwise = "Depthwise" in node["op"]
        groups = kernel.shape[2] if depthwise else 1
        if depthwise:
            kernel = kernel.transpose(2, 3, 0, 1).reshape(-1, 1, height, width)
        else:
            kernel = kernel.transpose(3, 2, 0, 1)
        fused = _attribute(node, "fused_ops") if "fused_ops" in node["attr"] else []
        arguments = [self._tensor(source), self._constant(kernel)]
        if "BiasAdd" in fused:
            arguments.append(self._constant(self._weight(inputs[2])))
        made = self._add(
            "Conv",
            arguments,
            kernel_shape=[height, width],
            strides=[int(step) for step in _attribute(node, "strides")[1:3]],
            pads=pads,
            dilations=dilations,
            group=groups,
        )
        return self._add("Relu", [made]) if "Relu" in fused else made

    def _arithmetic(self, node: dict[str, Any], inputs: list[str]) -> str:
        """Sum, difference or product; hard sigmoid and hard swish become one operation each."""
        if node["op"] == "Mul" and (inner := self._shifted_relu6(inputs[1])):
            if self._is_constant(inputs[0]):
                return self._add("HardSigmoid", [self._tensor(inner)], alpha=1 / 6, beta=0.5)
            return self._add("HardSwish", [self._tensor(inner)])
        arguments = [
            self._constant(_per_channel(self._weight(name)))
            if self._is_constant(name)
            else self._tensor(name)
            for name in inputs
        ]
        return self._add(node["op"].removesuffix("V2"), arguments)

    def _shifted_relu6(self, name: str) -> str:
        """``x`` where ``name`` is relu6(x + 3), else nothing."""
        node = self._by_name.get(name.partition(":")[0], {})
        if node.get("op") != "Relu6":
            return ""
        return _inputs(self._by_name[_inputs(node)[0]])[0]

    def _is_constant(self, name: str) -> bool:
        return bool(self._behind(name)["op"] == "Const")

    def _weight(self, name: str) -> Tensor:
        return self._weights[self._behind(name)["name"]]

    def _behind(self, name: str) -> dict[str, Any]:
        node = self._by_name[name.partition(":")[0]]
        while node["op"] == "Identity":
            node = self._by_name[_inputs(node)[0]]
        return node

    def _constant(self, value: Tensor | Any) -> str:
        import numpy as np

        name = f"constant_{len(self._constants)}"
        self._constants[name] = np.array(value, order="C")
        return name

    def _add(self, operation: str, inputs: list[str], **attributes: Any) -> str:
        from onnx import helper

        name = f"{operation.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operation, inputs, [name], **attributes))
        return name

    def _split(self, source: str, count: int) -> list[str]:
        from onnx import helper

        names = [f"split_{len(self._nodes)}_{part}" for part in range(count)]
        self._nodes.append(helper.make_node("Split", [source], names, axis=1))
        return names


def _inputs(node: dict[str, Any]) -> list[str]:
    """Data inputs: without those that only order the execution."""
    return [name for name in node.get("input", ()) if not name.startswith("^")]


def _attribute(node: dict[str, Any], name: str) -> Any:
    """A value as protobuf's JSON writes it: strings in base64, lists in an object."""
    ((kind, value),) = node["attr"][name].items()
    if kind == "s":
        return base64.b64decode(value).decode("ascii")
    if kind == "list":
        ((kind, value),) = value.items()
        return [base64.b64decode(text).decode("ascii") for text in value] if kind == "s" else value
    return value


def _per_channel(value: Tensor) -> Tensor:
    """A constant of channels-last arithmetic as it broadcasts over (1, channels, h, w)."""
    return value.reshape(()) if value.size == 1 else value.reshape(1, -1, 1, 1)
