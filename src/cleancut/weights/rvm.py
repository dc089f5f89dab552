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

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleancut.errors import WeightsCorrupt
from cleancut.weights.tfjs import read_weights
from cleancut.weights.translation import CONVOLUTIONS, Translation, attribute, inputs_of, write

if TYPE_CHECKING:
    from onnx import ModelProto

#: Channels of the memory, r1 (half the small size) to r4 (a sixteenth).
MEMORY_CHANNELS = (16, 20, 40, 64)

_NETWORK = "StatefulPartitionedCall/matting_network_wrapper/StatefulPartitionedCall/"
_SMALL_FRAME = _NETWORK + "cond/output/_660"
_SMALL_MATTE = _NETWORK + "conv2d_62/BiasAdd"
_MEMORY = ("Identity_2", "Identity_3", "Identity_4", "Identity_5")


def to_onnx(graph_json: Path, weights_bin: Path, target: Path) -> None:
    """Write the graph to ``target``: inputs ``src`` (1, 3, h, w) in 0..1 and ``r1i`` to ``r4i``.

    Outputs are ``matte`` (1, 4, h, w), the foreground's colour less the frame's and alpha, neither
    clipped, and ``r1o`` to ``r4o``. Raises ``WeightsCorrupt`` if the files are not this network.
    """

    def made(text: dict[str, Any]) -> ModelProto:
        weights = read_weights(text["weightsManifest"], weights_bin.read_bytes())
        return _Translation(text["modelTopology"]["node"], weights).model()

    write(graph_json, target, made)


class _Translation(Translation):
    """From the small frame to the small matte and the memory."""

    def model(self) -> ModelProto:
        """The graph from the small frame to the small matte and the memory."""
        from onnx import TensorProto, helper

        for name, node in self.by_name.items():  # in the file's order, so that no call goes deep
            if node["op"] == "_FusedConv2D":
                self.tensor(name)
        outputs = {"matte": self.tensor(_SMALL_MATTE)}
        outputs |= {f"r{at + 1}o": self.tensor(name) for at, name in enumerate(_MEMORY)}
        for name, made in outputs.items():
            self.nodes.append(helper.make_node("Identity", [made], [name]))

        def port(name: str, channels: int, level: str) -> Any:
            shape: list[int | str] = [1, channels, f"h{level}", f"w{level}"]
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

        memory = [(f"r{at + 1}", channels) for at, channels in enumerate(MEMORY_CHANNELS)]
        return self.finish(
            "rvm",
            [port("src", 3, ""), *(port(f"{name}i", size, name[1]) for name, size in memory)],
            [port("matte", 4, ""), *(port(f"{name}o", size, name[1]) for name, size in memory)],
        )

    def translate(self, node: dict[str, Any]) -> str | list[str]:
        operation, inputs = node["op"], inputs_of(node)
        if node["name"] == _SMALL_FRAME:
            return "src"
        if operation == "Placeholder":
            return str(node["name"])
        if operation in ("Identity", "BroadcastTo", "Slice"):
            # Slices crop to the size of a skip connection; all sizes are even here.
            return self.tensor(inputs[0])
        if operation in CONVOLUTIONS:
            return self.convolution(node, inputs[0], [1, 1])
        if operation == "BatchToSpaceND":  # TensorFlow's way to write a dilated convolution
            inner = self.by_name[inputs[0]]
            spread = self.by_name[inputs_of(inner)[0]]
            source, rate, *_ = inputs_of(spread)
            return self.convolution(inner, source, [int(v) for v in self.weight(rate)])
        if operation in ("Mul", "Add", "AddV2", "Sub"):
            return self._arithmetic(node, inputs)
        if operation == "ConcatV2":
            return self.add("Concat", [self.tensor(name) for name in inputs[:-1]], axis=1)
        if operation == "Split":
            return self._split(self.tensor(inputs[1]), int(attribute(node, "num_split")))
        return self._add_simple(operation, self.tensor(inputs[0]))

    def _add_simple(self, operation: str, source: str) -> str:
        import numpy as np

        if operation in ("Sigmoid", "Tanh"):
            return self.add(operation, [source])
        if operation == "Mean":
            return self.add("GlobalAveragePool", [source])
        if operation == "AvgPool":
            return self.add("AveragePool", [source], kernel_shape=[2, 2], strides=[2, 2])
        if operation == "ResizeBilinear":
            return self.add(
                "Resize",
                [source, "", self.constant(np.array([1, 1, 2, 2], np.float32))],
                mode="linear",
                coordinate_transformation_mode="half_pixel",
            )
        raise WeightsCorrupt(f"the graph has an operation {operation!r} that is not expected")

    def _arithmetic(self, node: dict[str, Any], inputs: list[str]) -> str:
        """Sum, difference or product; hard sigmoid and hard swish become one operation each."""
        if node["op"] == "Mul" and (inner := self._shifted_relu6(inputs[1])):
            if self.is_constant(inputs[0]):
                return self.add("HardSigmoid", [self.tensor(inner)], alpha=1 / 6, beta=0.5)
            return self.add("HardSwish", [self.tensor(inner)])
        return self.arithmetic(node["op"].removesuffix("V2"), inputs)

    def _shifted_relu6(self, name: str) -> str:
        """``x`` where ``name`` is relu6(x + 3), else nothing."""
        node = self.by_name.get(name.partition(":")[0], {})
        if node.get("op") != "Relu6":
            return ""
        return inputs_of(self.by_name[inputs_of(node)[0]])[0]

    def _split(self, source: str, count: int) -> list[str]:
        from onnx import helper

        names = [f"split_{len(self.nodes)}_{part}" for part in range(count)]
        self.nodes.append(helper.make_node("Split", [source], names, axis=1))
        return names
