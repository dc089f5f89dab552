"""Surgery on ONNX graphs: float ones made plain, quantised ones given other ranges.

Quantised graphs are in QDQ form: beside a tensor that is kept in 8 bits stands a QuantizeLinear and
a DequantizeLinear (ONNX operators, opset 13). Both runtimes fuse these pairs into int8 kernels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import GraphProto, ModelProto, NodeProto

    Ranges = Mapping[str, tuple[float, float]]

#: Below this a graph cannot hold one scale a channel.
OPSET = 13
#: Layers with weights; all others only pass values on, or are cheap.
WEIGHTED = ("Conv", "ConvTranspose", "MatMul", "Gemm")


#: Weights that are rounded by more than this share of their mean size stay in float. Networks that
#: are sound have 0.7 to 2 percent; a few weights of U2-Net small are 700 times the others, and such
#: a layer alone costs four times the MAD.
COARSE = 0.03
#: Layers that hand 8-bit values on as they are.
PASSING = (
    *("AveragePool", "Concat", "DepthToSpace", "Flatten", "Gather", "Identity", "MaxPool", "Pad"),
    *("Reshape", "Resize", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze", "Upsample"),
)


#: What makes weights of stored ones, where all that it reads is constant.
UNPACKING = ("Cast", "DequantizeLinear", "Mul")


@dataclass(frozen=True, slots=True)
class Site:
    """A tensor that a quantised graph keeps in 8 bits.

    ``together`` names the sites that share its scale (inputs of one Concat). ``last`` and ``first``
    are how many weighted layers lie between it and the graph's output or input, at least.
    """

    name: str
    together: int
    first: int
    last: int


def as_float(model: ModelProto) -> ModelProto:
    """The same graph with weights and arithmetic of float32, without casts that became idle.

    Weights that are stored in fewer bits, as in the package, become those that they stand for.
    """
    import onnx
    import onnx.version_converter
    from onnx import TensorProto, numpy_helper

    def widen(tensor: Any) -> None:
        if tensor.data_type == TensorProto.FLOAT16:
            values = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))

    graph = model.graph
    _unpack(graph)
    for tensor in graph.initializer:
        widen(tensor)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                widen(attribute.t)
            if attribute.name == "to" and attribute.i == TensorProto.FLOAT16:
                attribute.i = TensorProto.FLOAT
    for value in (*graph.input, *graph.output):
        if value.type.tensor_type.elem_type == TensorProto.FLOAT16:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    del graph.value_info[:]
    if max(o.version for o in model.opset_import if o.domain in ("", "ai.onnx")) < OPSET:
        model = onnx.version_converter.convert_version(model, OPSET)
    _drop_idle_casts(model)
    return onnx.shape_inference.infer_shapes(model)


def _unpack(graph: GraphProto) -> None:
    """Compute weights that nodes make of constants, and let nodes and constants go."""
    from onnx import numpy_helper
    from onnx.reference import ReferenceEvaluator

    weights = {tensor.name: tensor for tensor in graph.initializer}
    left = []
    for node in graph.node:
        if node.op_type not in UNPACKING or not all(name in weights for name in node.input):
            left.append(node)
            continue
        feeds = {name: numpy_helper.to_array(weights[name]) for name in node.input}
        (value,) = ReferenceEvaluator(node).run(None, feeds)
        weights[node.output[0]] = numpy_helper.from_array(np.asarray(value), node.output[0])
    if len(left) == len(graph.node):
        return
    read = {name for node in left for name in node.input} | {out.name for out in graph.output}
    del graph.node[:], graph.initializer[:]
    graph.node.extend(left)
    graph.initializer.extend(tensor for name, tensor in weights.items() if name in read)


def sites_of(model: ModelProto) -> list[Site]:
    """The 8-bit activations of a quantised graph, in its order."""
    from onnx import numpy_helper

    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    pairs = [n for n in model.graph.node if n.op_type == "QuantizeLinear"]
    pairs = [n for n in pairs if n.input[0] not in weights]
    last, first = _distances(model.graph, backward=True), _distances(model.graph, backward=False)
    groups: dict[bytes, int] = {}
    found = []
    for node in pairs:
        scale = b"".join(numpy_helper.to_array(weights[n]).tobytes() for n in node.input[1:])
        group = groups.setdefault(scale, len(groups))
        name = node.input[0]
        found.append(Site(name, group, first.get(name, 0), last.get(node.output[0], 0)))
    return found


def with_extremes(model: ModelProto, names: Iterable[str]) -> ModelProto:
    """``model`` with two outputs more a tensor: ``min N`` and ``max N``, one number each."""
    import onnx
    from onnx import helper

    grown = onnx.ModelProto.FromString(model.SerializeToString())
    for at, name in enumerate(names):
        for word, operator in (("min", "ReduceMin"), ("max", "ReduceMax")):
            output = f"{word} {at}"
            grown.graph.node.append(helper.make_node(operator, [name], [output], keepdims=0))
            grown.graph.output.append(
                helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, [])
            )
    return grown


def with_ranges(
    quantised: ModelProto, plain: ModelProto, ranges: Ranges, keep: Iterable[str]
) -> tuple[ModelProto, tuple[str, ...]]:
    """``quantised`` with these ranges of its activations, and the sites ``keep`` left in float.

    ``plain`` is the float graph that it was made from. Also the names of the weighted layers that
    stay in float: those that read a kept site, and those whose weights 8 bits do not hold.
    """
    import onnx

    model = onnx.ModelProto.FromString(quantised.SerializeToString())
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    reader = {n.input[0]: n for n in model.graph.node if n.op_type == "DequantizeLinear"}
    kept, instead, gone = set(keep), dict[str, str](), set()
    for node in model.graph.node:
        if node.op_type != "QuantizeLinear" or node.input[0] in weights:
            continue
        if node.input[0] in kept:
            back = reader[node.output[0]]
            instead[back.output[0]] = node.input[0]
            gone |= {node.output[0], back.output[0]}
        elif node.input[0] in ranges:
            _set_range(weights, node, *ranges[node.input[0]])
    _rewire(model.graph, instead, gone)
    layers = _restore_weights(model.graph, plain.graph)
    _drop_unused(model.graph)
    onnx.checker.check_model(model)
    return model, layers


def weighted_layers(model: ModelProto) -> int:
    """How many layers with weights the graph has."""
    weights = {tensor.name for tensor in model.graph.initializer}
    scaled = {n.output[0] for n in model.graph.node if n.op_type == "DequantizeLinear"}
    return sum(
        n.op_type in WEIGHTED and (n.input[1] in weights or n.input[1] in scaled)
        for n in model.graph.node
    )


def _set_range(weights: Mapping[str, Any], node: NodeProto, low: float, high: float) -> None:
    """Scale and zero point so that [low, high], widened to hold 0, becomes 256 steps."""
    from onnx import numpy_helper

    low, high = min(low, 0.0), max(high, 0.0)
    zero = numpy_helper.to_array(weights[node.input[2]])
    steps = np.iinfo(zero.dtype)
    scale = (high - low) / 255 if high > low else 1.0
    point = np.clip(round(-low / scale) + steps.min, steps.min, steps.max)
    for name, value, kind in (
        (node.input[1], scale, np.dtype(np.float32)),
        (node.input[2], point, zero.dtype),
    ):
        shape = tuple(weights[name].dims)
        array = np.full(shape, value, kind)  # one a channel in some graphs: all are given the same
        weights[name].CopyFrom(numpy_helper.from_array(array, name))


def _rewire(graph: GraphProto, instead: Mapping[str, str], gone: set[str]) -> None:
    for node in graph.node:
        for at, name in enumerate(node.input):
            if name in instead:
                node.input[at] = instead[name]
    _keep(graph.node, lambda node: node.output[0] not in gone)


def _restore_weights(graph: GraphProto, plain: GraphProto) -> tuple[str, ...]:
    """Give layers that are to stay in float their own weights back; the layers' names."""
    from onnx import numpy_helper

    scaled = {n.output[0]: n for n in graph.node if n.op_type == "DequantizeLinear"}
    makers = {name: n for n in graph.node for name in n.output}
    stored = {t.name: t for t in graph.initializer}
    inner = set(stored)
    original = {n.name: n for n in plain.node if n.op_type in WEIGHTED}
    tensors = {t.name: t for t in plain.initializer}
    restored = []
    for node in graph.node:
        weight = scaled.get(node.input[1]) if node.op_type in WEIGHTED else None
        if weight is None or not _is_constant(weight, graph, inner) or node.name not in original:
            continue
        name = original[node.name].input[1]
        if name not in tensors:
            continue
        exact = numpy_helper.to_array(tensors[name])
        fits = _rounding(exact, weight, stored) <= COARSE
        if fits and _in_8_bits(node.input[0], makers, inner):
            continue
        node.input[1] = name
        if name not in inner:
            graph.initializer.append(tensors[name])
            inner.add(name)
        restored.append(node.name)
    return tuple(restored)


def _rounding(exact: NDArray[Any], scaled: NodeProto, stored: Mapping[str, Any]) -> float:
    """Mean change of a weight by its 8 bits, as a share of its mean size; 0 where unknown."""
    from onnx import numpy_helper

    if any(name not in stored for name in scaled.input):
        return 0.0
    codes, scale, *zero = (
        numpy_helper.to_array(stored[name]).astype(np.float32) for name in scaled.input
    )
    if codes.shape != exact.shape:
        return 0.0
    axis = next((a.i for a in scaled.attribute if a.name == "axis"), 1)
    shape = [-1 if at == axis % codes.ndim else 1 for at in range(codes.ndim)]
    step, point = (
        v.reshape(shape if v.ndim else ()) for v in (scale, zero[0] if zero else scale * 0)
    )
    size = float(np.abs(exact).mean())
    return float(np.abs((codes - point) * step - exact).mean()) / size if size else 0.0


def _in_8_bits(tensor: str, makers: Mapping[str, NodeProto], weights: set[str]) -> bool:
    """Whether every value of ``tensor`` comes out of a DequantizeLinear, only moved about since."""
    todo, seen = [tensor], set[str]()
    while todo:
        name = todo.pop()
        if name in seen or not name or name in weights:
            continue
        seen.add(name)
        maker = makers.get(name)
        if maker is None or maker.op_type not in (*PASSING, "DequantizeLinear", "Constant"):
            return False
        if maker.op_type in PASSING:
            todo += maker.input if maker.op_type == "Concat" else maker.input[:1]
    return True


def _is_constant(scaled: NodeProto, graph: GraphProto, inner: set[str]) -> bool:
    """Whether a DequantizeLinear reads a weight: stored in 8 bits, or quantised from a weight."""
    if scaled.input[0] in inner:
        return True
    maker = next((n for n in graph.node if scaled.input[0] in n.output), None)
    return maker is not None and maker.input[0] in inner


def _drop_unused(graph: GraphProto) -> None:
    """Remove nodes and weights that nothing reads any more."""
    while True:
        read = {name for node in graph.node for name in node.input}
        read |= {output.name for output in graph.output}
        before = len(graph.node)
        _keep(graph.node, lambda node, read=read: any(name in read for name in node.output))
        if len(graph.node) == before:
            _keep(graph.initializer, lambda tensor, read=read: tensor.name in read)
            return


def _drop_idle_casts(model: ModelProto) -> None:
    """Remove casts from float32 to float32, whichever names they hand their values on under."""
    import onnx
    from onnx import TensorProto

    graph = model.graph
    seen = onnx.shape_inference.infer_shapes(model).graph
    kinds = {v.name: v.type.tensor_type.elem_type for v in (*seen.value_info, *seen.input)}
    kinds |= {v.name: v.type.tensor_type.elem_type for v in seen.output}
    outputs = {value.name for value in graph.output}
    instead: dict[str, str] = {}
    gone: set[str] = set()
    for node in graph.node:
        to = next((a.i for a in node.attribute if a.name == "to"), None)
        if node.op_type != "Cast" or to != TensorProto.FLOAT:
            continue
        source = instead.get(node.input[0], node.input[0])
        if kinds.get(node.input[0]) != TensorProto.FLOAT or node.output[0] in outputs:
            continue
        instead[node.output[0]] = source
        gone.add(node.output[0])
    _rewire(graph, instead, gone)
    _take_output_names(graph)


def _take_output_names(graph: GraphProto) -> None:
    """Let what an idle cast at the very end reads bear the output's name itself."""
    from onnx import TensorProto

    outputs = {value.name for value in graph.output}
    for cast in [n for n in graph.node if n.op_type == "Cast" and n.output[0] in outputs]:
        if next((a.i for a in cast.attribute if a.name == "to"), None) != TensorProto.FLOAT:
            continue
        inner, outer = cast.input[0], cast.output[0]
        maker = next((n for n in graph.node if inner in n.output), None)
        if maker is None or maker.op_type == "Cast":
            continue
        _keep(graph.node, lambda node, outer=outer: node.output[0] != outer)
        for node in graph.node:
            for names in (node.input, node.output):
                for at, name in enumerate(names):
                    if name == inner:
                        names[at] = outer


def _distances(graph: GraphProto, *, backward: bool) -> dict[str, int]:
    """By tensor: weighted layers between it and the nearest output (or input), at least."""
    ends = graph.output if backward else graph.input
    near = {value.name: 0 for value in ends}
    weights = {tensor.name for tensor in graph.initializer}
    for node in reversed(graph.node) if backward else graph.node:
        come, go = (node.output, node.input) if backward else (node.input, node.output)
        known = [near[name] for name in come if name in near and name not in weights]
        if not known:
            continue
        step = min(known) + (node.op_type in WEIGHTED)
        for name in go:
            if name and name not in weights:
                near[name] = min(step, near.get(name, step))
    return near


def _keep(rows: Any, wanted: Any) -> None:
    """Delete from a repeated field what is not ``wanted``, in place."""
    for at in reversed(range(len(rows))):
        if not wanted(rows[at]):
            del rows[at]
