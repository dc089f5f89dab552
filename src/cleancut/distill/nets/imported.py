"""Any ONNX file of a matting network as a module that can be trained.

Shapes are fixed first (onnxslim folds what follows from them), then each node becomes a module
(onnx2torch). The graph's shapes may hold a batch of one, so pictures go through it one by one.
Statistics of normalisation stay as they are: small batches would spoil them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cleancut.catalog import Recipe, custom
from cleancut.errors import BadOption, CleancutError, WeightsCorrupt
from cleancut.extras import extra
from cleancut.imaging.files import read_bytes

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

#: Mattes closer to 0 or 1 than this cannot be told from them in logits.
_EDGE = 1e-4
#: Constants with more values than this are weights of a layer that multiplies matrices.
_WEIGHTS_FROM = 256
#: What may stand between the last sigmoid and the output without changing a value.
_MOVES = ("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Identity", "Cast")
#: What undoes the packing of weights in fewer bits.
_UNPACKS = ("Cast", "Mul", "DequantizeLinear", "Identity")
_NEWEST_OPSET = 17
#: Attributes that came after it, with the values at which they change nothing.
_PLAIN_SINCE: dict[str, dict[str, Any]] = {
    "Reduce": {"noop_with_empty_axes": 0},
    "Resize": {"antialias": 0, "keep_aspect_ratio_policy": b"stretch"},
    "AveragePool": {"dilations": [1, 1]},
    "Cast": {"saturate": 1, "round_mode": b"up"},
}
_HINT = "take another, like modnet, u2netp, isnet or cleancut-nano"


class Imported(nn.Module):
    """A network of others with a student's inputs and outputs.

    (N, 3, S, S) in -1..1 to logits (N, 1, S, S); inside stand the file's own input, as ``recipe``
    says, and its own output, which holds logits where ``logits`` is set and else mattes.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, graph: nn.Module, recipe: Recipe, *, logits: bool) -> None:
        super().__init__()
        self.graph, self.recipe, self.logits = graph, recipe, logits
        for name in ("mean", "std"):
            values = torch.tensor(getattr(recipe, name)).reshape(1, 3, 1, 1)
            self.register_buffer(name, values, persistent=False)
        self.train()  # before the first picture, which must not change statistics

    def train(self, mode: bool = True) -> Imported:
        """Train the weights, but no statistics."""
        super().train(mode)
        for module in self.graph.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm | nn.modules.dropout._DropoutNd):
                module.eval()
        return self

    def forward(self, image: Tensor) -> Tensor:
        """The logits of a batch of pictures."""
        return torch.cat([self._one(picture) for picture in torch.split(image, 1)])

    def _one(self, picture: Tensor) -> Tensor:
        x = (picture + 1) / 2
        if self.recipe.divide_by == "max":
            x = x / x.amax().clamp_min(1e-6)
        elif self.recipe.divide_by == "1":
            x = x * 255
        x = (x - self.mean) / self.std
        if self.recipe.layout == "nhwc":
            x = x.permute(0, 2, 3, 1)
        answer = self.graph(x.contiguous())
        answer = answer[0] if isinstance(answer, tuple | list) else answer
        if answer.ndim == 4 and self.recipe.layout == "nhwc":
            answer = answer.permute(0, 3, 1, 2)
        planes = answer.reshape(1, -1, *answer.shape[-2:])
        logits = self._logits(planes)
        if logits.shape[-2:] != picture.shape[-2:]:
            logits = functional.interpolate(logits, picture.shape[-2:], mode="bilinear")
        return logits

    def _logits(self, planes: Tensor) -> Tensor:
        if self.recipe.classes:
            chosen = list(self.recipe.classes)
            others = [at for at in range(planes.shape[1]) if at not in chosen]
            if self.recipe.activation == "softmax":
                inside, outside = planes[:, chosen], planes[:, others]
                return inside.logsumexp(1, keepdim=True) - outside.logsumexp(1, keepdim=True)
            planes = planes[:, chosen].sum(1, keepdim=True)
        elif self.logits:
            return planes[:, :1]
        return torch.logit(planes[:, :1].clamp(_EDGE, 1 - _EDGE))


def imported(path: Path, size: int) -> nn.Module:
    """The network in ``path``, as the recipe in the .toml beside it says, for pictures of ``size``.

    Raises ``InputNotFound``, ``WeightsCorrupt`` for a file that is no network, ``BadOption`` for
    one that cannot be trained here or not at this size, ``MissingDependency``.
    """
    with extra("train"):
        import onnxslim
        from onnx2torch import convert

    recipe = custom(path).recipe
    model = _read(path)
    try:
        name = _one_picture(model, recipe)
        sides = (size, size)
        shape = (1, *sides, 3) if recipe.layout == "nhwc" else (1, 3, *sides)
        _keep_output(model, recipe.output)
        _in_float(model)
        _unpack(model)
        model = onnxslim.slim(model, input_shapes=[f"{name}:{','.join(map(str, shape))}"])
        logits = _without_sigmoid(model) or recipe.activation in ("sigmoid", "logits>0")
        _at_opset_17(model)
        graph = convert(model)
        _free_weights(graph)
        net = Imported(graph, recipe, logits=logits)
        with torch.no_grad():
            answer = net(torch.zeros(1, 3, size, size))
    except CleancutError:
        raise
    except Exception as error:  # whatever can be in a graph
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BadOption(f"{path.name} cannot be trained ({reason:.200})", hint=_HINT) from error
    if answer.shape != (1, 1, size, size):
        raise BadOption(f"{path.name} answers with no matte: {tuple(answer.shape)}", hint=_HINT)
    return net


def own_size(path: Path) -> int:
    """The side of the square input that a file asks for, else its recipe's, to a multiple of 32.

    Raises as ``imported``.
    """
    recipe = custom(path).recipe
    model = _read(path)
    dims = [dim.dim_value for dim in _inputs(model)[0].type.tensor_type.shape.dim]
    rows, columns = dims[1:3] if recipe.layout == "nhwc" else dims[2:4] or (0, 0)
    if rows != columns or recipe.size[0] != recipe.size[1]:
        raise BadOption(f"{path.name} takes no squares but {rows} x {columns}", hint=_HINT)
    return max(64, min(2048, round((rows or recipe.size[0]) / 32) * 32))


def _read(path: Path) -> ModelProto:
    import onnx

    data = read_bytes(path)
    try:
        return onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's DecodeError has moved between its releases
        raise WeightsCorrupt(f"{path.name} is not an ONNX model", hint="check the file") from error


def _inputs(model: ModelProto) -> list[Any]:
    weights = {tensor.name for tensor in model.graph.initializer}
    found = [value for value in model.graph.input if value.name not in weights]
    if len(found) != 1:
        raise BadOption(f"the network has {len(found)} inputs instead of a picture", hint=_HINT)
    return found


def _one_picture(model: ModelProto, recipe: Recipe) -> str:
    """The name of the only input; refuses what a batch of one picture does not fit."""
    picture = _inputs(model)[0]
    dims = [dim.dim_value for dim in picture.type.tensor_type.shape.dim]
    colours = dims[3 if recipe.layout == "nhwc" else 1] if len(dims) == 4 else 0
    if len(dims) != 4 or dims[0] > 1 or colours not in (0, 3):
        raise BadOption(f"the network's input {dims} is no picture", hint=_HINT)
    return str(picture.name)


def _keep_output(model: ModelProto, name: str) -> None:
    outputs = model.graph.output
    kept = [value for value in outputs if value.name == name] or list(outputs[:1])
    del outputs[:]
    outputs.extend(kept)


def _in_float(model: ModelProto) -> None:
    """What is stored or computed in float16, in float32."""
    from onnx import TensorProto, numpy_helper

    def grown(tensor: TensorProto) -> TensorProto:
        return numpy_helper.from_array(
            numpy_helper.to_array(tensor).astype(np.float32), tensor.name
        )

    graph = model.graph
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT16:
            tensor.CopyFrom(grown(tensor))
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.i == TensorProto.FLOAT16:
                attribute.i = TensorProto.FLOAT
            if attribute.HasField("t") and attribute.t.data_type == TensorProto.FLOAT16:
                attribute.t.CopyFrom(grown(attribute.t))
    for value in (*graph.input, *graph.output):
        if value.type.tensor_type.elem_type == TensorProto.FLOAT16:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    del graph.value_info[:]


def _unpack(model: ModelProto) -> None:
    """Weights that are stored in fewer bits, as the floats that they stand for."""
    from onnx import numpy_helper
    from onnx.reference import ReferenceEvaluator

    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    left: list[NodeProto] = []
    for node in graph.node:
        if node.op_type not in _UNPACKS or not all(name in constants for name in node.input):
            left.append(node)
            continue
        feeds = {name: numpy_helper.to_array(constants[name]) for name in node.input}
        (value,) = ReferenceEvaluator(node).run(None, feeds)
        tensor = numpy_helper.from_array(np.asarray(value), node.output[0])
        constants[tensor.name] = tensor
        graph.initializer.append(tensor)
    del graph.node[:]
    graph.node.extend(left)


def _at_opset_17(model: ModelProto) -> None:
    """Operators of newer opsets in the words of opset 17, the newest that onnx2torch knows.

    Between the two few say something else: their axes became inputs, and what they may do besides
    became attributes. Raises what onnx's checker does for a graph that needs more than 17 has.
    """
    import onnx
    from onnx import helper, numpy_helper

    (opset,) = (one for one in model.opset_import if one.domain in ("", "ai.onnx"))
    if opset.version <= _NEWEST_OPSET:
        return
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        reduces = node.op_type.startswith("Reduce") and node.op_type != "ReduceSum"
        plain = _PLAIN_SINCE.get("Reduce" if reduces else node.op_type, {})
        kept = [
            one for one in node.attribute if helper.get_attribute_value(one) != plain.get(one.name)
        ]
        if node.op_type == "Split":
            kept = [one for one in kept if one.name != "num_outputs"]
        if reduces and node.input[1:]:
            axes = numpy_helper.to_array(constants[node.input.pop()]).tolist()
            kept.append(helper.make_attribute("axes", axes))
        del node.attribute[:]
        node.attribute.extend(kept)
    opset.version = _NEWEST_OPSET
    onnx.checker.check_model(model)


def _without_sigmoid(model: ModelProto) -> bool:
    """Take the sigmoid before the output away, if that is where it ends; whether it was."""
    graph = model.graph
    makers = {name: node for node in graph.node for name in node.output}
    readers = [name for node in graph.node for name in node.input]
    last = makers.get(graph.output[0].name)
    after: NodeProto | None = None
    while last is not None and last.op_type in _MOVES and readers.count(last.input[0]) == 1:
        after, last = last, makers.get(last.input[0])
    if last is None or last.op_type != "Sigmoid":
        return False
    if after is not None:
        after.input[0] = last.input[0]
    elif last.output[0] in readers:
        return False
    else:
        graph.output[0].name = last.input[0]
    graph.node.remove(last)
    return True


def _free_weights(graph: nn.Module) -> None:
    """Matrices that onnx2torch keeps as constants become weights."""
    for module in graph.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            continue
        for name, values in list(module.named_buffers(recurse=False)):
            if values.is_floating_point() and values.ndim >= 2 and values.numel() > _WEIGHTS_FROM:
                delattr(module, name)
                module.register_parameter(name, nn.Parameter(values.clone()))
