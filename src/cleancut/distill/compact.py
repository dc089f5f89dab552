"""Weights of an ONNX graph stored in fewer bits; all arithmetic stays float32.

Only the file gets smaller. What is stored becomes weights again by a Cast and, for 8 bits, a Mul,
both on constants, which ONNX Runtime and OpenVINO fold while they load the graph: a run costs what
it costs with the original. A DequantizeLinear would say the same, but ONNX Runtime keeps it for
kernels that compute in int8, and without those computes it at every run (a third slower).

8 bits are for the few layers that hold most of the weights. The many small ones, depthwise and
early, suffer most from rounding and save least: MODNet's mattes, split as the small student starts,
move by 0.0044 in the mean with all layers in 8 bits (4.3 MB), by 0.0005 with those below 100,000
weights as float16 (5.1 MB), by 0.00015 with all as float16 (8.0 MB).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from cleancut.errors import WeightsError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

    Floats = NDArray[np.float32]
    #: Initialisers, and the nodes that make weights of them.
    Stored = tuple[list[TensorProto], list[NodeProto]]

#: Layers whose second input may be stored in fewer bits, and the axis of their output channels.
_AXES = {"Conv": 0, "ConvTranspose": 1, "MatMul": 1, "Gemm": 1}
#: Weights with fewer values stay as they are: nodes would eat the gain.
_FEWEST = 256
#: Layers with fewer weights are stored as float16, not in 8 bits.
SMALL_LAYER = 100_000
#: Scales that are tried for a channel, as shares of the one that its largest weight asks for.
_SHARES = np.linspace(0.5, 1.0, 51, dtype=np.float32)


def with_int8_weights(model: ModelProto, *, small: int = SMALL_LAYER) -> ModelProto:
    """A copy whose layers of ``small`` and more weights store symmetric 8-bit codes.

    They have one scale for each output channel; the other layers' weights are stored as float16.
    Raises ``WeightsError`` for a network without layers to store so.
    """

    def store(name: str, array: Floats, axis: int) -> Stored:
        return _as_f16(name, array) if array.size < small else _as_int8(name, array, axis)

    return _rewritten(model, store)


def with_f16_weights(model: ModelProto) -> ModelProto:
    """A copy whose layers store their weights as float16; raises as ``with_int8_weights``."""
    return _rewritten(model, lambda name, array, _: _as_f16(name, array))


def rounded(weight: Floats, axis: int) -> tuple[NDArray[np.int8], Floats]:
    """``weight`` as codes in -127..127 of its shape, and the scale of each channel of ``axis``.

    Of 51 scales a channel keeps that with the smallest squared error, whose best multiple (a linear
    fit of the weights on the codes) is taken: outliers are cut where that serves the others.
    """
    rows = np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1).astype(np.float32)
    top = np.maximum(np.abs(rows).max(axis=1), np.float32(1e-12)) / np.float32(127)
    best = np.full(len(rows), np.inf, np.float32)
    codes, scale = np.zeros_like(rows), top.copy()
    for share in _SHARES:
        tried = np.clip(np.rint(rows / (share * top)[:, None]), -127, 127)
        power = np.maximum((tried * tried).sum(axis=1), np.float32(1e-12))
        fitted = np.where(power > 0.5, (tried * rows).sum(axis=1) / power, share * top)
        error = np.square(rows - tried * fitted[:, None]).sum(axis=1)
        better = error < best
        best[better], scale[better], codes[better] = error[better], fitted[better], tried[better]
    moved = np.moveaxis(weight, axis, 0).shape
    return np.moveaxis(codes.reshape(moved), 0, axis).astype(np.int8), scale.astype(np.float32)


def _rewritten(model: ModelProto, store: Callable[[str, Floats, int], Stored]) -> ModelProto:
    import onnx
    from onnx import numpy_helper

    small = onnx.ModelProto.FromString(model.SerializeToString())
    graph = small.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    chosen = _layers(graph, weights)
    if not chosen:
        raise WeightsError("no layer of this network has weights to store in fewer bits")
    nodes: dict[str, list[NodeProto]] = {}
    for node in chosen:
        name = node.input[1]
        if name not in nodes:
            array = numpy_helper.to_array(weights[name]).astype(np.float32)
            stored, made = store(name, array, _axis(node))
            graph.initializer.remove(weights[name])
            graph.initializer.extend(stored)
            nodes[name] = made
    first = [node for made in nodes.values() for node in made]
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*first, *rest])
    onnx.checker.check_model(small)
    return small


def _as_int8(name: str, array: Floats, axis: int) -> Stored:
    from onnx import TensorProto, helper, numpy_helper

    codes, scale = rounded(array, axis)
    shape = [-1 if at == axis else 1 for at in range(array.ndim)]
    stored = [
        numpy_helper.from_array(np.ascontiguousarray(codes), f"{name} codes"),
        numpy_helper.from_array(scale.reshape(shape), f"{name} scale"),
    ]
    cast = helper.make_node("Cast", [f"{name} codes"], [f"{name} float"], to=TensorProto.FLOAT)
    scaled = helper.make_node("Mul", [f"{name} float", f"{name} scale"], [name])
    return stored, [cast, scaled]


def _as_f16(name: str, array: Floats) -> Stored:
    from onnx import TensorProto, helper, numpy_helper

    stored = numpy_helper.from_array(array.astype(np.float16), f"{name} half")
    return [stored], [helper.make_node("Cast", [f"{name} half"], [name], to=TensorProto.FLOAT)]


def _layers(graph: GraphProto, weights: dict[str, Any]) -> list[NodeProto]:
    """Layers with weights worth it, read by nothing else that wants another axis."""
    found = [
        node
        for node in graph.node
        if node.op_type in _AXES
        and node.input[1] in weights
        and int(np.prod(weights[node.input[1]].dims)) >= _FEWEST
    ]
    axes: dict[str, set[int]] = {}
    for node in found:
        axes.setdefault(node.input[1], set()).add(_axis(node))
    return [node for node in found if len(axes[node.input[1]]) == 1]


def _axis(node: NodeProto) -> int:
    """Which axis of the weights counts output channels."""
    if node.op_type == "Gemm" and any(a.name == "transB" and a.i for a in node.attribute):
        return 0
    return _AXES[node.op_type]
