"""TensorFlow.js graph models: read the manifest, unpack the weights, hand the graph to tf2onnx.

The JSON holds a TensorFlow GraphDef whose constants are empty, and ``weightsManifest``, which says
where each constant lies in the .bin and how it was quantised (tfjs-core ``io/types.ts``).
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleancut.errors import WeightsCorrupt

if TYPE_CHECKING:
    from cleancut.arrays import Tensor

OPSET = 17
_STORED = ("float32", "float16", "int32", "uint16", "uint8", "bool")
_JSON_LIMIT = 64 << 20


def to_onnx(graph_json: Path, weights_bin: Path, target: Path) -> None:
    """Convert to ONNX at ``target``; inputs and outputs keep their names and NHWC layout.

    Needs TensorFlow and tf2onnx (ImportError without them).
    """
    import onnx
    import tensorflow as tf
    import tf2onnx
    from google.protobuf import json_format  # type: ignore[import-untyped, unused-ignore]
    from tensorflow.core.framework import graph_pb2

    model = read_graph(graph_json)
    try:
        weights = read_weights(model["weightsManifest"], weights_bin.read_bytes())
        graph = json_format.ParseDict(model["modelTopology"], graph_pb2.GraphDef())
        signature = model["signature"]
        inputs, outputs = list(signature["inputs"]), list(signature["outputs"])
    except (json_format.ParseError, KeyError, TypeError) as error:
        raise WeightsCorrupt(f"{graph_json.name} is not a TensorFlow.js graph model") from error
    for node in graph.node:
        if node.op == "Const":
            if node.name not in weights:
                raise WeightsCorrupt(f"{graph_json.name}: no weights for {node.name}")
            values = weights[node.name]
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(values))
            node.attr["dtype"].type = tf.as_dtype(values.dtype).as_datatype_enum
        elif node.op.startswith("_Fused"):
            # tfjs leaves out two attributes that TensorFlow has meanwhile made compulsory.
            count = node.attr["num_args"].i
            node.attr["TArgs"].list.type.extend([tf.float32.as_datatype_enum] * count)
            node.attr["num_host_args"].i = 0
    with tf.Graph().as_default():
        converted, _ = tf2onnx.convert.from_graph_def(
            graph, input_names=inputs, output_names=outputs, opset=OPSET
        )
    onnx.save(converted, str(target))


def read_weights(manifest: Any, data: bytes) -> dict[str, Tensor]:
    """Constants by name, dequantised: float16 is widened, uint8 and uint16 are value*scale+min."""
    import numpy as np

    weights: dict[str, Tensor] = {}
    offset = 0
    for group in manifest:
        for row in group["weights"]:
            rule = row.get("quantization") or {}
            stored = rule.get("dtype", row["dtype"])
            if stored not in _STORED or row["dtype"] not in _STORED:
                raise WeightsCorrupt(f"weights of type {stored!r} are not understood")
            shape = [int(side) for side in row["shape"]]
            count, kind = math.prod(shape), np.dtype(stored)
            if min(shape, default=0) < 0 or offset + count * kind.itemsize > len(data):
                raise WeightsCorrupt("the weights are shorter than their manifest says")
            values = np.frombuffer(data, kind, count, offset).reshape(shape).astype(row["dtype"])
            if "scale" in rule:
                values = values * np.float32(rule["scale"]) + np.float32(rule.get("min", 0.0))
            weights[row["name"]] = values.astype(row["dtype"], copy=False)
            offset += count * kind.itemsize
    if offset != len(data):
        raise WeightsCorrupt("the weights are longer than their manifest says")
    return weights


def read_graph(path: Path) -> dict[str, Any]:
    """The JSON of a graph model; ``WeightsCorrupt`` if it is none."""
    if path.stat().st_size > _JSON_LIMIT:
        raise WeightsCorrupt(f"{path.name} is too large for a graph")
    try:
        model = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise WeightsCorrupt(f"{path.name} is not JSON") from error
    if not isinstance(model, dict):
        raise WeightsCorrupt(f"{path.name} is not a TensorFlow.js graph model")
    return model
