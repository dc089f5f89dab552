"""Surgery on a student's exported graph: short names, no leftovers, sizes that may differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto


def tidy(model: ModelProto) -> None:
    """Give tensors and nodes short names and drop what only debugging wants, in place.

    Inputs and outputs keep theirs. A third of the text in a file of 4 MB is names.
    """
    graph = model.graph
    fixed = {value.name for value in (*graph.input, *graph.output)}
    names: dict[str, str] = {name: name for name in (*fixed, "")}
    for tensor in graph.initializer:
        names.setdefault(tensor.name, f"w{len(names)}")
        tensor.name = names[tensor.name]
    for number, node in enumerate(graph.node):
        for ports in (node.input, node.output):
            for at, name in enumerate(ports):
                ports[at] = names.setdefault(name, f"t{len(names)}")
        node.name = f"{node.op_type} {number}"
        node.doc_string = ""
    del graph.value_info[:]
    graph.doc_string = model.doc_string = ""
    graph.name = "student"
    model.producer_name, model.producer_version = "cleancut", ""


def loosen(model: ModelProto) -> bool:
    """Let the graph take any height and width that are multiples of 32, in place.

    Possible where sizes occur in it only as targets of a Resize that grows by a whole number: these
    become factors. Says whether it was; else the graph stays as it is.
    """
    import onnx
    from onnx import numpy_helper

    graph = model.graph
    seen = onnx.shape_inference.infer_shapes(model).graph
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*seen.value_info, *seen.input)
    }
    sizes = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    factors: dict[str, np.ndarray] = {}
    for node in graph.node:
        if node.op_type in ("Reshape", "Expand", "Slice"):
            return False
        if node.op_type != "Resize" or len(node.input) < 4 or not node.input[3]:
            continue
        before = shapes.get(node.input[0], [])
        if node.input[3] not in sizes or len(before) != 4 or 0 in before:
            return False
        factor = sizes[node.input[3]] / np.asarray(before)
        if (factor != np.rint(factor)).any() or before[2] == 1:
            return False
        factors[node.output[0]] = factor.astype(np.float32)
    for node in graph.node:
        if node.output[0] in factors:
            name = f"factor {node.output[0]}"
            graph.initializer.append(numpy_helper.from_array(factors[node.output[0]], name))
            del node.input[2:]
            node.input.append(name)
    _drop_unread(graph)
    for value in (*graph.input, *graph.output):
        for at, side in ((2, "height"), (3, "width")):
            value.type.tensor_type.shape.dim[at].dim_param = side
    onnx.checker.check_model(model)
    return True


def _drop_unread(graph: GraphProto) -> None:
    read = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)
