"""ONNX to TensorFlow Lite (LiteRT): the network's nodes as TensorFlow's, pictures in NHWC.

Values of four axes stand in NHWC, others as ONNX has them; weights are turned once, here. Runs in
the child process of ``child.py``: TensorFlow writes where it likes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cleancut.extras import extra
from cleancut.mobile.network import Node, Op, cannot, walk

if TYPE_CHECKING:
    from onnx import ModelProto

    from cleancut.arrays import Tensor

#: Where an axis of NCHW is in NHWC.
_AXIS = (0, 3, 1, 2)


def convert(model: ModelProto, form: str, *, nhwc: bool) -> bytes:
    """``model`` as a .tflite file that takes (1, h, w, 3) float32, normalised as its card says.

    ``form``: "f32"; "f16" stores weights in 16 bits; "int8-weights" in 8, one scale a channel, and
    what reads them rounds its inputs too (dynamic range).
    """
    with extra("mobile"):
        import tensorflow as tf

    (value,) = model.graph.input
    dims = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
    shape = dims if nhwc else [dims[0], *dims[2:], dims[1]]

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="input")], autograph=False)  # type: ignore[untyped-decorator]
    def network(picture: Any) -> dict[str, Any]:
        return {"alpha": walk(model, picture, operators(), nhwc=nhwc)}

    module = tf.Module()
    module.network = network
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [network.get_concrete_function()], module
    )
    if form != "f32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if form == "f16":
        converter.target_spec.supported_types = [tf.float16]
    return bytes(converter.convert())


def answers(path: Path, feeds: list[Tensor], *, threads: int = 2) -> list[Tensor]:
    """What TensorFlow Lite's own interpreter says to each feed (1, h, w, 3)."""
    with extra("mobile"):
        import tensorflow as tf

    interpreter = tf.lite.Interpreter(str(path), num_threads=threads)
    interpreter.allocate_tensors()
    into = interpreter.get_input_details()[0]["index"]
    out = interpreter.get_output_details()[0]["index"]
    found = []
    for feed in feeds:
        interpreter.set_tensor(into, feed)
        interpreter.invoke()
        found.append(interpreter.get_tensor(out))
    return found


def operators() -> Mapping[str, Op]:
    """What each ONNX operator is in TensorFlow."""
    import tensorflow as tf

    def many(join: Any) -> Op:
        return lambda _, inputs: reduce(join, map(_turned, inputs))

    return {
        "Conv": _conv,
        "ConvTranspose": _conv_transpose,
        "Clip": _clip,
        "Relu": lambda _, inputs: tf.nn.relu(inputs[0]),
        "Sigmoid": lambda _, inputs: tf.sigmoid(inputs[0]),
        "Identity": lambda _, inputs: inputs[0],
        "Add": many(tf.add),
        "Sum": many(tf.add),
        "Mul": many(tf.multiply),
        "Concat": _concat,
        "Split": _split,
        "Slice": _slice,
        "Resize": _resize,
        "MaxPool": lambda node, inputs: _pool(node, inputs[0], "MAX"),
        "AveragePool": lambda node, inputs: _pool(node, inputs[0], "AVG"),
        "GlobalAveragePool": lambda _, inputs: tf.reduce_mean(inputs[0], [1, 2], keepdims=True),
        "ReduceMean": _reduce_mean,
        "InstanceNormalization": _instance_norm,
        "BatchNormalization": _batch_norm,
        "Gemm": _gemm,
        "MatMul": lambda _, inputs: tf.matmul(*inputs),
        "Reshape": lambda _, inputs: _reshaped(inputs[0], [int(side) for side in inputs[1]]),
        "Unsqueeze": _unsqueeze,
        "Expand": _expand,
    }


def _turned(value: Any) -> Any:
    """A constant of ONNX as it must lie beside values in NHWC."""
    if not isinstance(value, np.ndarray):
        return value
    if value.ndim == 4:
        return value.transpose(0, 2, 3, 1)
    return value.transpose(1, 2, 0) if value.ndim == 3 else value


def _padded(node: Node, x: Any, spread: list[int]) -> tuple[Any, str]:
    """``x`` with the padding of ``node``, and what TensorFlow calls the rest."""
    import tensorflow as tf

    pads = list(node.get("pads", [0, 0, 0, 0]))
    if node.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise cannot(node, "auto_pad")
    if not any(pads):
        return x, "VALID"
    if list(node.get("strides", [1, 1])) == [1, 1] and pads == [side // 2 for side in spread] * 2:
        return x, "SAME"
    return tf.pad(x, [(0, 0), (pads[0], pads[2]), (pads[1], pads[3]), (0, 0)]), "VALID"


def _conv(node: Node, inputs: list[Any]) -> Any:
    import tensorflow as tf

    x, weight, *rest = inputs
    group, dilations = node.get("group", 1), list(node.get("dilations", [1, 1]))
    strides = [1, *node.get("strides", [1, 1]), 1]
    spread = [(side - 1) * step for side, step in zip(weight.shape[2:], dilations, strict=True)]
    x, padding = _padded(node, x, spread)
    how = {"strides": strides, "padding": padding, "dilations": [1, *dilations, 1]}
    kernel = np.ascontiguousarray(weight.transpose(2, 3, 1, 0))
    if group == 1:
        y = tf.raw_ops.Conv2D(input=x, filter=kernel, **how)
    elif group == x.shape[3] and weight.shape[1] == 1:
        each = kernel.reshape(*weight.shape[2:], group, -1)
        y = tf.raw_ops.DepthwiseConv2dNative(input=x, filter=each, **how)
    else:
        raise cannot(node, f"{group} groups")
    return tf.nn.bias_add(y, rest[0]) if rest else y


def _conv_transpose(node: Node, inputs: list[Any]) -> Any:
    import tensorflow as tf

    x, weight, *rest = inputs
    strides, sides = list(node.get("strides", [1, 1])), list(weight.shape[2:])
    plain = node.get("group", 1) == 1 and not any(node.get("pads", [0] * 4))
    if not plain or any(node.get("output_padding", [0, 0])):
        raise cannot(node, "groups or padding")
    height, width = (
        (n - 1) * step + side for n, step, side in zip(x.shape[1:3], strides, sides, strict=True)
    )
    kernel = np.ascontiguousarray(weight.transpose(2, 3, 1, 0))
    shape = [1, height, width, weight.shape[1]]
    y = tf.nn.conv2d_transpose(x, kernel, shape, strides, padding="VALID")
    return tf.nn.bias_add(y, rest[0]) if rest else y


def _clip(_: Node, inputs: list[Any]) -> Any:
    import tensorflow as tf

    low, high = (*(float(bound) for bound in inputs[1:3]),)
    return (
        tf.nn.relu6(inputs[0]) if (low, high) == (0, 6) else tf.clip_by_value(inputs[0], low, high)
    )


def _concat(node: Node, inputs: list[Any]) -> Any:
    import tensorflow as tf

    return tf.concat(inputs, _AXIS[node.get("axis")])


def _split(node: Node, inputs: list[Any]) -> Any:
    import tensorflow as tf

    return tf.split(inputs[0], [int(size) for size in inputs[1]], axis=_AXIS[node.get("axis", 0)])


def _slice(node: Node, inputs: list[Any]) -> Any:
    import tensorflow as tf

    x, starts, ends, axes, *steps = inputs
    if steps and any(step != 1 for step in steps[0]):
        raise cannot(node, "steps")
    begin, size = [0] * 4, list(x.shape)
    for start, end, axis in zip(starts, ends, axes, strict=True):
        there = _AXIS[int(axis)]
        first, last, _ = slice(int(start), int(end)).indices(x.shape[there])
        begin[there], size[there] = first, last - first
    return tf.slice(x, begin, size)


def _resize(node: Node, inputs: list[Any]) -> Any:
    import tensorflow as tf

    x, sizes = inputs[0], inputs[3] if len(inputs) > 3 else None
    if sizes is not None:
        size = [int(side) for side in sizes[2:]]
    else:
        size = [int(n * scale) for n, scale in zip(x.shape[1:3], inputs[2][2:], strict=True)]
    how = node.get("coordinate_transformation_mode", "half_pixel")
    if node.get("mode") != "linear" or node.get("antialias", 0):
        raise cannot(node, f"mode {node.get('mode')}")
    return tf.raw_ops.ResizeBilinear(
        images=x,
        size=size,
        align_corners=how == "align_corners",
        half_pixel_centers=how.endswith("half_pixel"),
    )


def _pool(node: Node, x: Any, kind: str) -> Any:
    import tensorflow as tf

    sides, strides = list(node.get("kernel_shape")), list(node.get("strides", [1, 1]))
    if any(node.get("pads", [0])) or list(node.get("dilations", [1, 1])) != [1, 1]:
        raise cannot(node, "padding")
    whole = all(
        (n - side) % step == 0 for n, side, step in zip(x.shape[1:3], sides, strides, strict=True)
    )
    if node.get("ceil_mode", 0) and not whole and sides != strides:
        raise cannot(node, "windows that overlap and reach over the rim")
    # Without padding SAME is what ONNX calls ceil_mode: the last window reaches over the rim.
    padding = "SAME" if node.get("ceil_mode", 0) and not whole else "VALID"
    return tf.nn.pool(x, sides, kind, strides, padding)


def _reduce_mean(node: Node, inputs: list[Any]) -> Any:
    import tensorflow as tf

    axes = inputs[1] if len(inputs) > 1 else node.get("axes")
    where = [_AXIS[int(axis)] for axis in axes]
    return tf.reduce_mean(inputs[0], where, keepdims=bool(node.get("keepdims", 1)))


def _instance_norm(node: Node, inputs: list[Any]) -> Any:
    import tensorflow as tf

    x, scale, bias = inputs
    mean = tf.reduce_mean(x, [1, 2], keepdims=True)
    away = x - mean
    power = tf.reduce_mean(away * away, [1, 2], keepdims=True)
    return away * tf.math.rsqrt(power + node.get("epsilon", 1e-5)) * scale + bias


def _batch_norm(node: Node, inputs: list[Any]) -> Any:
    x, scale, bias, mean, variance = inputs
    factor = scale / np.sqrt(variance + np.float32(node.get("epsilon", 1e-5)))
    return x * factor + (bias - mean * factor)


def _gemm(node: Node, inputs: list[Any]) -> Any:
    import tensorflow as tf

    x, weight, *rest = inputs
    if node.get("transA", 0) or node.get("alpha", 1.0) != 1 or node.get("beta", 1.0) != 1:
        raise cannot(node, "factors")
    y = tf.matmul(x, weight, transpose_b=bool(node.get("transB", 0)))
    return y + rest[0] if rest else y


def _unsqueeze(node: Node, inputs: list[Any]) -> Any:
    axes = [int(axis) for axis in (inputs[1] if len(inputs) > 1 else node.get("axes"))]
    shape = list(inputs[0].shape)
    for axis in sorted(axes):
        shape.insert(axis, 1)
    return _reshaped(inputs[0], shape)


def _reshaped(x: Any, shape: list[int]) -> Any:
    """``x`` in the ONNX shape ``shape``, where channels keep standing together."""
    import tensorflow as tf

    flat = len(x.shape) == 2 or x.shape[1] == x.shape[2] == 1
    if len(shape) == len(x.shape) == 4 and shape[3] == x.shape[3] == 1:  # a matte, already as NHWC
        return tf.reshape(x, shape)
    if flat and len(shape) == 4 and shape[2] == shape[3] == 1:
        return tf.reshape(x, [shape[0], 1, 1, shape[1]])
    if flat and len(shape) == 2:
        return tf.reshape(x, shape)
    raise cannot(Node("Reshape", {}, 1), f"the shape {shape}")


def _expand(_: Node, inputs: list[Any]) -> Any:
    import tensorflow as tf

    batch, channels, height, width = (int(side) for side in inputs[1])
    x = inputs[0]
    shape = [max(a, b) for a, b in zip(x.shape, (batch, height, width, channels), strict=True)]
    return x if list(x.shape) == shape else tf.broadcast_to(x, shape)
