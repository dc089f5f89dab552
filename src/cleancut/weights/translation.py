"""TensorFlow.js graphs to ONNX, operation by operation and channels first, without TensorFlow.

A network's own file says where its graph is entered and left, and translates the operations that
only it has.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from cleancut.errors import WeightsCorrupt
from cleancut.weights.tfjs import read_graph

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from onnx import ModelProto, NodeProto, ValueInfoProto

    from cleancut.arrays import Tensor

OPSET = 17
CONVOLUTIONS = ("_FusedConv2D", "Conv2D", "FusedDepthwiseConv2dNative", "DepthwiseConv2dNative")


def write(graph_json: Path, target: Path, make: Callable[[dict[str, Any]], ModelProto]) -> None:
    """Write what ``make`` makes of the graph in ``graph_json``, checked, to ``target``.

    Raises ``WeightsCorrupt`` if the files are not the network that ``make`` expects.
    """
    import onnx

    text = read_graph(graph_json)
    try:
        model = make(text)
        onnx.checker.check_model(model, full_check=True)
    except (KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise WeightsCorrupt(f"{graph_json.name} is not the graph of this network") from error
    except (ValueError, binascii.Error, onnx.checker.ValidationError) as error:
        raise WeightsCorrupt(f"{graph_json.name} cannot be translated") from error
    except onnx.shape_inference.InferenceError as error:
        raise WeightsCorrupt(f"{graph_json.name} cannot be translated") from error
    target.write_bytes(model.SerializeToString(deterministic=True))


class Translation:
    """One pass over a TensorFlow graph, from its outputs down; every tensor is made once.

    Where a graph is not built as expected, whatever error comes of it is for ``write`` to catch.
    """

    def __init__(self, nodes: Sequence[dict[str, Any]], weights: dict[str, Tensor]) -> None:
        self.by_name = {node["name"]: node for node in nodes}
        self.nodes: list[NodeProto] = []
        self._weights = weights
        self._constants: dict[str, Tensor] = {}
        self._made: dict[str, list[str]] = {}

    def translate(self, node: dict[str, Any]) -> str | list[str]:
        """The ONNX values of one node; ``WeightsCorrupt`` for an operation nobody expected."""
        raise WeightsCorrupt(f"the graph has an operation {node['op']!r} that is not expected")

    def finish(
        self, name: str, inputs: Sequence[ValueInfoProto], outputs: Sequence[ValueInfoProto]
    ) -> ModelProto:
        """The model of all that was made, between these ports."""
        from onnx import helper, numpy_helper

        graph = helper.make_graph(
            self.nodes,
            name,
            inputs,
            outputs,
            [numpy_helper.from_array(value, name) for name, value in self._constants.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = 8
        return model

    def tensor(self, reference: str) -> str:
        """Name of the ONNX value of ``node`` or ``node:output``."""
        name, _, output = reference.partition(":")
        if name not in self._made:
            made = self.translate(self.by_name[name])
            self._made[name] = [made] if isinstance(made, str) else made
        return self._made[name][int(output or 0)]

    def convolution(
        self,
        node: dict[str, Any],
        source: str,
        dilations: list[int],
        pads: Sequence[int] = (0, 0, 0, 0),
    ) -> str:
        """A convolution, with the padding before it and the activation in it.

        ``SAME`` is taken to pad all sides alike, as it does for odd sizes and for stride 1.
        """
        inputs, before = inputs_of(node), self.by_name.get(source, {})
        kernel = self.weight(inputs[1])
        height, width = kernel.shape[:2]
        if before.get("op") == "Pad":  # zeros, as a convolution pads by itself
            source, amounts = inputs_of(before)[0], self.weight(inputs_of(before)[1])
            pads = [int(amounts[axis][end]) for end in (0, 1) for axis in (1, 2)]
        elif attribute(node, "padding") == "SAME":
            pads = [(height - 1) // 2, (width - 1) // 2] * 2
        depthwise = "Depthwise" in node["op"]
        groups = kernel.shape[2] if depthwise else 1
        if depthwise:
            kernel = kernel.transpose(2, 3, 0, 1).reshape(-1, 1, height, width)
        else:
            kernel = kernel.transpose(3, 2, 0, 1)
        fused = attribute(node, "fused_ops") if "fused_ops" in node["attr"] else []
        arguments = [self.tensor(source), self.constant(kernel)]
        if "BiasAdd" in fused:
            arguments.append(self.constant(self.weight(inputs[2])))
        made = self.add(
            "Conv",
            arguments,
            kernel_shape=[height, width],
            strides=[int(step) for step in attribute(node, "strides")[1:3]],
            pads=list(pads),
            dilations=dilations,
            group=groups,
        )
        return self.add("Relu", [made]) if "Relu" in fused else made

    def arithmetic(self, operation: str, inputs: Sequence[str]) -> str:
        """An operation of two tensors, of which one may be constant."""
        arguments = [
            self.constant(per_channel(self.weight(name)))
            if self.is_constant(name)
            else self.tensor(name)
            for name in inputs
        ]
        return self.add(operation, arguments)

    def is_constant(self, name: str) -> bool:
        """Whether a node is a constant, or passes one on."""
        return bool(self.behind(name)["op"] == "Const")

    def weight(self, name: str) -> Tensor:
        """The values of a constant."""
        return self._weights[self.behind(name)["name"]]

    def behind(self, name: str) -> dict[str, Any]:
        """The node called ``name``, or what stands behind its identities."""
        node = self.by_name[name.partition(":")[0]]
        while node["op"] == "Identity":
            node = self.by_name[inputs_of(node)[0]]
        return node

    def constant(self, value: Tensor | Any) -> str:
        """Name of a new constant of the ONNX graph."""
        import numpy as np

        name = f"constant_{len(self._constants)}"
        self._constants[name] = np.array(value, order="C")
        return name

    def add(self, operation: str, inputs: list[str], **attributes: Any) -> str:
        """Name of the one output of a new ONNX node."""
        from onnx import helper

        name = f"{operation.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operation, inputs, [name], **attributes))
        return name


def inputs_of(node: dict[str, Any]) -> list[str]:
    """Data inputs: without those that only order the execution."""
    return [name for name in node.get("input", ()) if not name.startswith("^")]


def attribute(node: dict[str, Any], name: str) -> Any:
    """A value as protobuf's JSON writes it: strings in base64, lists in an object."""
    ((kind, value),) = node["attr"][name].items()
    if kind == "s":
        return base64.b64decode(value).decode("ascii")
    if kind == "list":
        ((kind, value),) = value.items()
        return [base64.b64decode(text).decode("ascii") for text in value] if kind == "s" else value
    return value


def per_channel(value: Tensor) -> Tensor:
    """A constant of channels-last arithmetic as it broadcasts over (1, channels, h, w)."""
    return value.reshape(()) if value.size == 1 else value.reshape(1, -1, 1, 1)
