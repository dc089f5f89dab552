"""Google's DeepLabV3 with MobileNetV2 out of its TensorFlow.js file, as an ONNX graph.

The published graph (tensorflow/models, deeplabv3_mnv2_pascal_trainval, output stride 8; Chen et
al., "Rethinking Atrous Convolution", arXiv 1706.05587) brings the picture to 513 pixels, pads it,
and answers with the number of the likeliest class of every pixel. Written here is what lies
between: from the normalised 513x513 picture to 21 logits a pixel, enlarged as it enlarges them.
The mobile checkpoints have neither the pyramid of atrous convolutions nor the decoder of
DeepLabV3+ (research/deeplab/g3doc/model_zoo.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleancut.errors import WeightsCorrupt
from cleancut.weights.tfjs import read_weights
from cleancut.weights.translation import CONVOLUTIONS, Translation, attribute, inputs_of, write

if TYPE_CHECKING:
    from onnx import ModelProto

#: Height and width of the picture, and of the features: an eighth.
SIZE, FEATURES = 513, 65
CLASSES = 21

_PICTURE = "sub_7"
_LOGITS = "logits/semantic/BiasAdd"


def to_onnx(graph_json: Path, shards: Sequence[Path], target: Path) -> None:
    """Write the graph to ``target``: input ``picture`` (1, 3, 513, 513) in -1..1.

    The output ``logits`` is (1, 21, 513, 513); class 0 is the background. ``shards`` are the files
    of the weights in their order. Raises ``WeightsCorrupt`` if the files are not this network.
    """

    def made(text: dict[str, Any]) -> ModelProto:
        data = b"".join(shard.read_bytes() for shard in shards)
        weights = read_weights(text["weightsManifest"], data)
        return _Translation(text["modelTopology"]["node"], weights).model()

    write(graph_json, target, made)


class _Translation(Translation):
    """From the normalised picture to the logits."""

    def model(self) -> ModelProto:
        from onnx import TensorProto, helper

        for name, node in self.by_name.items():  # in the file's order, so that no call goes deep
            if node["op"] in ("Relu6", "BatchToSpaceND"):
                self.tensor(name)
        large = self.add(
            "Resize",
            [
                self.tensor(_LOGITS),
                "",
                "",
                self.constant(_shape(1, CLASSES, SIZE, SIZE)),
            ],
            mode="linear",
            coordinate_transformation_mode="align_corners",
        )
        self.nodes.append(helper.make_node("Identity", [large], ["logits"]))

        def port(name: str, channels: int) -> Any:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, SIZE, SIZE])

        return self.finish("deeplab", [port("picture", 3)], [port("logits", CLASSES)])

    def translate(self, node: dict[str, Any]) -> str | list[str]:
        operation, inputs = node["op"], inputs_of(node)
        if node["name"] == _PICTURE:
            return "picture"
        if operation in CONVOLUTIONS:
            return self.convolution(node, inputs[0], [1, 1])
        if operation == "BatchToSpaceND":  # TensorFlow's way to write a dilated convolution
            return self._dilated(node)
        if operation in ("Mul", "Add", "AddN", "BiasAdd"):
            if len(inputs) != 2:
                raise WeightsCorrupt(f"the graph has an operation {operation!r} of {len(inputs)}")
            return self.arithmetic("Mul" if operation == "Mul" else "Add", inputs)
        if operation == "Relu":
            return self.add("Relu", [self.tensor(inputs[0])])
        if operation == "Relu6":
            limits = [self.constant(_scalar(value)) for value in (0, 6)]
            return self.add("Clip", [self.tensor(inputs[0]), *limits])
        if operation == "ConcatV2":
            return self.add("Concat", [self.tensor(name) for name in inputs[:-1]], axis=1)
        if operation == "AvgPool" and attribute(node, "ksize")[1:3] == [str(FEATURES)] * 2:
            return self.add("GlobalAveragePool", [self.tensor(inputs[0])])
        if operation == "ResizeBilinear":  # of the one value a channel that was pooled
            shape = self.constant(_shape(1, 1, FEATURES, FEATURES))
            return self.add("Expand", [self.tensor(inputs[0]), shape])
        return super().translate(node)

    def _dilated(self, node: dict[str, Any]) -> str:
        inner_name, _, crops = inputs_of(node)
        inner = self.by_name[inner_name]
        source, rate, paddings = inputs_of(self.by_name[inputs_of(inner)[0]])
        (top, bottom), (left, right) = self.weight(paddings).tolist()
        (_, less_high), (_, less_wide) = self.weight(crops).tolist()
        pads = [top, left, bottom - less_high, right - less_wide]
        return self.convolution(inner, source, [int(v) for v in self.weight(rate)], pads)


def _scalar(value: float) -> Any:
    import numpy as np

    return np.float32(value)


def _shape(*sides: int) -> Any:
    import numpy as np

    return np.array(sides, np.int64)
