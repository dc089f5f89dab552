"""What a recipe does to pixels and to scores, as ONNX graphs that run where the network does.

The same steps as ``models.recipe`` takes on the processor, from the same numbers. ``INTER_AREA``
has no counterpart in ONNX (its antialiased Resize weighs twice as wide a triangle), but it is a
linear map along each axis, so shrinking is two products with matrices that the graph makes from
the sizes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from cleancut.catalog import Recipe

#: Operator set and file format that every runtime of our dependency range reads.
_OPSET, _IR = 17, 8
_TYPES = {"uint8": TensorProto.UINT8, "uint16": TensorProto.UINT16, "float32": TensorProto.FLOAT}
_FULL_SCALE = {"uint8": 255.0, "uint16": 65535.0, "float32": 1.0}
#: OpenCV's cubic.
_CUBIC = -0.75


class _Graph:
    """A graph in the making: ``op`` adds a node and returns its output's name."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def const(self, value: Any, dtype: Any = np.float32) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def file(self, inputs: dict[str, tuple[int, list[Any]]], output: str, rank: int) -> bytes:
        made = helper.make_graph(
            self.nodes,
            "cleancut",
            [helper.make_tensor_value_info(name, *what) for name, what in inputs.items()],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, [None] * rank)],
            initializer=self.constants,
        )
        model = helper.make_model(
            made, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR
        )
        data: bytes = model.SerializeToString()
        return data


@lru_cache(maxsize=64)
def before(recipe: Recipe, dtype: str, *, shrinks: bool, grows: bool) -> bytes:
    """``recipe.prepare`` as a graph: "picture" (h, w, 3) of ``dtype`` -> the network's input.

    Further inputs, int64: with ``shrinks`` "middle" (height, width) that area averaging leaves,
    with ``grows`` "size" (1, 3, height, width) that cubic enlarging ends at, and for letterboxing
    "padding" (8,), as ONNX's Pad takes it.
    """
    graph, whole = _Graph(), dtype != "float32"
    inputs: dict[str, tuple[int, list[Any]]] = {"picture": (_TYPES[dtype], ["h", "w", 3])}
    pixels = graph.op("Cast", "picture", to=TensorProto.FLOAT)
    planes = graph.op("Transpose", pixels, perm=[2, 0, 1])
    if shrinks:
        inputs["middle"] = (TensorProto.INT64, [2])
        rows, columns = (_area(graph, planes, axis) for axis in range(2))
        planes = graph.op("MatMul", rows, planes)
        planes = graph.op("MatMul", planes, graph.op("Transpose", columns, perm=[1, 0]))
        planes = graph.op("Round", planes) if whole else planes
    planes = graph.op("Unsqueeze", planes, graph.const([0], np.int64))
    if grows:
        inputs["size"] = (TensorProto.INT64, [4])
        large = graph.op(
            "Resize", planes, "", "", "size", mode="cubic", cubic_coeff_a=_CUBIC
        )  # half-pixel centres, as OpenCV has them
        top = graph.const(_FULL_SCALE[dtype])
        planes = graph.op("Clip", large, graph.const(0.0), top)
        planes = graph.op("Round", planes) if whole else planes
    planes = _normalised(graph, planes, recipe, _FULL_SCALE[dtype])
    if recipe.resize == "letterbox":
        inputs["padding"] = (TensorProto.INT64, [8])
        planes = graph.op("Pad", planes, "padding", graph.const(0.0))
    if recipe.layout == "nhwc":
        planes = graph.op("Transpose", planes, perm=[0, 2, 3, 1])
    return graph.file(inputs, planes, 4)


@lru_cache(maxsize=64)
def after(recipe: Recipe) -> bytes | None:
    """Class scores to the summed probability of ``recipe.classes``, (1, h, w); else None.

    A matte needs no graph: it comes back as the network gave it, and costs nothing to finish.
    """
    if not recipe.classes:
        return None
    graph, axis = _Graph(), 3 if recipe.layout == "nhwc" else 1
    scores = "scores"
    if recipe.activation == "softmax":
        scores = graph.op("Softmax", scores, axis=axis)
    wanted = graph.op("Gather", scores, graph.const(list(recipe.classes), np.int64), axis=axis)
    matte = graph.op("ReduceSum", wanted, graph.const([axis], np.int64), keepdims=0)
    return graph.file({"scores": (TensorProto.FLOAT, [1, None, None, None])}, matte, 3)


def _area(graph: _Graph, planes: str, axis: int) -> str:
    """(small, large) weights of area averaging: how much of each pixel lies in each larger one."""
    one, none = graph.const(1.0), graph.const(0.0)
    shape = graph.op("Shape", planes)
    size = graph.op("Gather", shape, graph.const(axis + 1, np.int64))
    large = graph.op("Cast", size, to=TensorProto.FLOAT)
    middle = graph.op("Gather", "middle", graph.const(axis, np.int64))
    small = graph.op("Cast", middle, to=TensorProto.FLOAT)
    step = graph.op("Div", large, small)
    left = graph.op("Range", none, large, one)
    index = graph.op("Range", none, small, one)
    index = graph.op("Unsqueeze", index, graph.const([1], np.int64))
    start = graph.op("Mul", index, step)
    stop = graph.op("Min", graph.op("Add", start, step), graph.op("Add", left, one))
    inside = graph.op("Sub", stop, graph.op("Max", start, left))
    return graph.op("Div", graph.op("Max", inside, none), step)


def _normalised(graph: _Graph, planes: str, recipe: Recipe, full_scale: float) -> str:
    column = (1, 3, 1, 1)
    mean, std = (np.reshape(values, column) for values in (recipe.mean, recipe.std))
    if recipe.divide_by == "max":
        brightest = graph.op("ReduceMax", planes, axes=[1, 2, 3], keepdims=1)
        planes = graph.op("Div", planes, graph.op("Max", brightest, graph.const(1e-6)))
    else:
        top = full_scale / 255 if recipe.divide_by == "1" else full_scale
        planes = graph.op("Mul", planes, graph.const(1 / top))
    return graph.op("Div", graph.op("Sub", planes, graph.const(mean)), graph.const(std))
