"""An ONNX network with one fixed input size and its constants folded, and a walk over its nodes.

Every target is made by the same walk: a table says what each ONNX operator is there. What a table
does not know is an error that names the operator, never a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleancut.catalog import Recipe
from cleancut.errors import BadOption, WeightsCorrupt
from cleancut.extras import extra

if TYPE_CHECKING:
    from onnx import ModelProto

#: Networks with this input answer to NCHW pictures once the step that turns them is left out.
_TURN = [0, 3, 1, 2]
_HINT = "take another, like cleancut-nano, u2netp or modnet, or export it --to onnx-web"


@dataclass(frozen=True, slots=True)
class Node:
    """One operator: its ONNX name, its attributes as plain values, how many outputs it has."""

    op: str
    attributes: Mapping[str, Any]
    outputs: int

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute, texts as ``str``."""
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value


#: What a table holds: a node and its inputs (arrays, values of the target, None) to its outputs.
Op = Callable[[Node, list[Any]], Any]


def slimmed(path: Path, recipe: Recipe) -> ModelProto:
    """The network at ``path`` for one picture of ``recipe.size``, constants folded, in float32.

    One input, one output (the recipe's, else the first). Raises ``MissingDependency`` without the
    extra ``mobile``, ``WeightsCorrupt`` for a file that is no ONNX network, ``BadOption`` for one
    of several inputs or of another size.
    """
    with extra("mobile"):
        import onnx
        import onnxslim

    from cleancut.weights.reach import keep_only, reachable

    try:
        model: ModelProto = onnx.load(path)
    except Exception as error:  # protobuf's DecodeError moves between its releases
        if isinstance(error, OSError):
            raise
        raise WeightsCorrupt(f"{path.name} is not an ONNX model") from error
    graph = model.graph
    wanted = recipe.output or graph.output[0].name
    keep_only(graph.output, {wanted})
    nodes, needed = reachable(graph.node, [wanted])
    del graph.node[:]
    graph.node.extend(nodes)
    keep_only(graph.input, needed)
    height, width = recipe.size
    shape = (1, height, width, 3) if recipe.layout == "nhwc" else (1, 3, height, width)
    held = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in held]
    if len(inputs) != 1:
        raise BadOption(
            f"{path.name} has {len(inputs)} inputs; only networks of one picture can be exported",
            hint=_HINT,
        )
    dims = inputs[0].type.tensor_type.shape.dim
    for dim, side in zip(dims, shape, strict=True):
        if dim.dim_value not in (0, side):
            raise BadOption(
                f"{path.name} takes pictures of one size only, not {width} x {height}",
                hint="leave out --size",
            )
    for dim, side in zip(dims, shape, strict=True):
        dim.Clear()
        dim.dim_value = side
    graph.output[0].type.tensor_type.ClearField("shape")
    del graph.value_info[:]
    return onnxslim.slim(model)


def walk(model: ModelProto, picture: Any, ops: Mapping[str, Op], *, nhwc: bool = False) -> Any:
    """The output of ``model`` in a target's own values, from ``picture`` in NCHW meaning.

    With ``nhwc`` the file takes pictures in NHWC: the step that turns them is passed over.
    Raises ``BadOption`` for an operator that ``ops`` does not have.
    """
    from onnx import helper, numpy_helper

    graph = model.graph
    values: dict[str, Any] = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    (picture_name,) = [value.name for value in graph.input if value.name not in values]
    values[picture_name] = picture
    if missing := sorted({node.op_type for node in graph.node} - set(ops) - {"Transpose"}):
        raise BadOption(
            f"this network needs operators that the conversion does not know: {', '.join(missing)}",
            hint=_HINT,
        )
    for proto in graph.node:
        attributes = {a.name: helper.get_attribute_value(a) for a in proto.attribute}
        node = Node(proto.op_type, attributes, len(proto.output))
        inputs = [values[name] if name else None for name in proto.input]
        if node.op == "Transpose":
            if not nhwc or proto.input[0] != picture_name or list(node.get("perm")) != _TURN:
                raise BadOption("this network turns its axes in the middle", hint=_HINT)
            made = picture
        else:
            made = ops[node.op](node, inputs)
        outputs = made if node.outputs > 1 else [made]
        values.update(zip(proto.output, outputs, strict=True))
    return values[graph.output[0].name]


def cannot(node: Node, what: str) -> BadOption:
    """The error for an operator in a form that a target has no word for."""
    return BadOption(f"{node.op} with {what} cannot be converted", hint=_HINT)
