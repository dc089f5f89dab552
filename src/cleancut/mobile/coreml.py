"""ONNX to Core ML: the network's nodes as MIL operators, in an ML program for iOS 16 and macOS 13.

The picture goes in as an image (RGB, 0..255), so that Vision can hand it over; the steps of the
recipe's normalisation are the program's first operators. Runs in the child process of ``child.py``.
coremltools converts on every system, but Core ML itself runs on Apple's only: what is written here
is checked for its shapes, names and types (``facts``), not for its answers.
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

    from cleancut.catalog import Recipe


def convert(
    model: ModelProto, form: str, recipe: Recipe, target: Path, about: dict[str, str]
) -> None:
    """Write ``model`` to ``target``, a folder called .mlpackage.

    ``form``: "f32" and "f16" compute and store so; "int8-weights" stores weights in 8 bits, one
    scale a channel, and computes in f16. ``about`` holds "title" and "licence".
    """
    with extra("mobile"):
        import coremltools as ct
        import coremltools.optimize.coreml as smaller
        from coremltools.converters.mil import Builder as Mil
    height, width = recipe.size
    shape = (1, 3, height, width)

    @Mil.program(input_specs=[Mil.TensorSpec(shape=shape)], opset_version=ct.target.iOS16)  # type: ignore[untyped-decorator]
    def program(picture: Any) -> Any:
        raw = walk(model, _normalised(picture, recipe), operators(), nhwc=recipe.layout == "nhwc")
        return Mil.identity(x=raw, name="alpha")

    precision = ct.precision.FLOAT32 if form == "f32" else ct.precision.FLOAT16
    made = ct.convert(
        program,
        convert_to="mlprogram",
        minimum_deployment_target=ct.target.iOS16,
        inputs=[ct.ImageType(name="picture", shape=shape, color_layout=ct.colorlayout.RGB)],
        compute_precision=precision,
        skip_model_load=True,
    )
    if form == "int8-weights":
        how = smaller.OpLinearQuantizerConfig(mode="linear_symmetric", weight_threshold=512)
        made = smaller.linear_quantize_weights(made, smaller.OptimizationConfig(global_config=how))
    made.short_description, made.license = about["title"], about["licence"]
    made.save(str(target))


def facts(target: Path) -> dict[str, Any]:
    """What the file says of itself, read again: input, output, how often it has each operator."""
    with extra("mobile"):
        import coremltools as ct

    spec = ct.models.MLModel(str(target), skip_model_load=True).get_spec()
    (picture,) = spec.description.input
    (alpha,) = spec.description.output
    (block,) = spec.mlProgram.functions["main"].block_specializations.values()
    operators = [operation.type for operation in block.operations]
    image = picture.type.imageType
    found = {
        "input": {"name": picture.name, "height": image.height, "width": image.width},
        "output": {"name": alpha.name, "shape": list(alpha.type.multiArrayType.shape)},
        "operators": {name: operators.count(name) for name in sorted({*operators} - {"const"})},
    }
    return {"read_back": found}


def operators() -> Mapping[str, Op]:
    """What each ONNX operator is in MIL."""
    from coremltools.converters.mil import Builder as Mil

    def many(join: Any) -> Op:
        return lambda _, inputs: reduce(lambda x, y: join(x=x, y=y), inputs)

    return {
        "Conv": _conv,
        "ConvTranspose": _conv_transpose,
        "Clip": lambda _, inputs: Mil.clip(
            x=inputs[0], alpha=float(inputs[1]), beta=float(inputs[2])
        ),
        "Relu": lambda _, inputs: Mil.relu(x=inputs[0]),
        "Sigmoid": lambda _, inputs: Mil.sigmoid(x=inputs[0]),
        "Identity": lambda _, inputs: inputs[0],
        "Add": many(Mil.add),
        "Sum": many(Mil.add),
        "Mul": many(Mil.mul),
        "Concat": lambda node, inputs: Mil.concat(values=inputs, axis=node.get("axis")),
        "Split": lambda node, inputs: Mil.split(
            x=inputs[0], split_sizes=_whole(inputs[1]), axis=node.get("axis", 0)
        ),
        "Slice": _slice,
        "Resize": _resize,
        "MaxPool": lambda node, inputs: _pool(node, inputs[0], Mil.max_pool),
        "AveragePool": lambda node, inputs: _pool(node, inputs[0], Mil.avg_pool),
        "GlobalAveragePool": lambda _, inputs: Mil.reduce_mean(
            x=inputs[0], axes=[2, 3], keep_dims=True
        ),
        "ReduceMean": lambda node, inputs: Mil.reduce_mean(
            x=inputs[0], axes=_axes(node, inputs), keep_dims=bool(node.get("keepdims", 1))
        ),
        "InstanceNormalization": lambda node, inputs: Mil.instance_norm(
            x=inputs[0], gamma=inputs[1], beta=inputs[2], epsilon=node.get("epsilon", 1e-5)
        ),
        "BatchNormalization": lambda node, inputs: Mil.batch_norm(
            **dict(zip(("x", "gamma", "beta", "mean", "variance"), inputs, strict=True)),
            epsilon=node.get("epsilon", 1e-5),
        ),
        "Gemm": _gemm,
        "MatMul": lambda _, inputs: Mil.matmul(x=inputs[0], y=inputs[1]),
        "Reshape": lambda _, inputs: Mil.reshape(x=inputs[0], shape=_whole(inputs[1])),
        "Unsqueeze": lambda node, inputs: Mil.expand_dims(x=inputs[0], axes=_axes(node, inputs)),
        "Expand": _expand,
    }


def _normalised(picture: Any, recipe: Recipe) -> Any:
    """What the recipe does to values of 0..255."""
    from coremltools.converters.mil import Builder as Mil

    mean = np.array(recipe.mean, np.float32).reshape(1, 3, 1, 1)
    std = np.array(recipe.std, np.float32).reshape(1, 3, 1, 1)
    x = picture
    if recipe.divide_by == "max":
        top = Mil.reduce_max(x=x, axes=[1, 2, 3], keep_dims=True)
        x = Mil.real_div(x=x, y=Mil.maximum(x=top, y=np.float32(1e-3)))
    scale = np.float32(1 / 255) if recipe.divide_by == "255" else np.float32(1)
    return Mil.add(x=Mil.mul(x=x, y=scale / std), y=-mean / std)


def _whole(values: Any) -> list[int]:
    return [int(value) for value in values]


def _axes(node: Node, inputs: list[Any]) -> list[int]:
    return _whole(inputs[1] if len(inputs) > 1 else node.get("axes"))


def _pads(node: Node) -> list[int]:
    if node.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise cannot(node, "auto_pad")
    top, left, bottom, right = node.get("pads", [0, 0, 0, 0])
    return [top, bottom, left, right]


def _conv(node: Node, inputs: list[Any]) -> Any:
    from coremltools.converters.mil import Builder as Mil

    bias = {"bias": inputs[2]} if len(inputs) > 2 else {}
    return Mil.conv(
        x=inputs[0],
        weight=inputs[1],
        strides=list(node.get("strides", [1, 1])),
        dilations=list(node.get("dilations", [1, 1])),
        groups=node.get("group", 1),
        pad_type="custom",
        pad=_pads(node),
        **bias,
    )


def _conv_transpose(node: Node, inputs: list[Any]) -> Any:
    from coremltools.converters.mil import Builder as Mil

    if any(node.get("output_padding", [0, 0])):
        raise cannot(node, "output padding")
    bias = {"bias": inputs[2]} if len(inputs) > 2 else {}
    return Mil.conv_transpose(
        x=inputs[0],
        weight=inputs[1],
        strides=list(node.get("strides", [1, 1])),
        dilations=list(node.get("dilations", [1, 1])),
        groups=node.get("group", 1),
        pad_type="custom",
        pad=_pads(node),
        **bias,
    )


def _slice(node: Node, inputs: list[Any]) -> Any:
    from coremltools.converters.mil import Builder as Mil

    x, starts, ends, axes, *steps = inputs
    if steps and any(step != 1 for step in steps[0]):
        raise cannot(node, "steps")
    begin, end = [0] * len(x.shape), list(x.shape)
    for start, stop, axis in zip(starts, ends, axes, strict=True):
        begin[axis], end[axis], _ = slice(int(start), int(stop)).indices(x.shape[axis])
    return Mil.slice_by_index(x=x, begin=begin, end=end)


def _resize(node: Node, inputs: list[Any]) -> Any:
    from coremltools.converters.mil import Builder as Mil

    x = inputs[0]
    if len(inputs) > 3:
        height, width = _whole(inputs[3][2:])
    else:
        height, width = (
            int(n * scale) for n, scale in zip(x.shape[2:], inputs[2][2:], strict=True)
        )
    how = node.get("coordinate_transformation_mode", "half_pixel")
    modes = {
        "half_pixel": "UNALIGN_CORNERS",
        "pytorch_half_pixel": "UNALIGN_CORNERS",
        "align_corners": "STRICT_ALIGN_CORNERS",
    }
    if node.get("mode") != "linear" or node.get("antialias", 0) or how not in modes:
        raise cannot(node, f"mode {node.get('mode')}, {how}")
    return Mil.resize_bilinear(
        x=x, target_size_height=height, target_size_width=width, sampling_mode=modes[how]
    )


def _pool(node: Node, x: Any, kind: Any) -> Any:
    from coremltools.converters.mil import Builder as Mil

    if list(node.get("dilations", [1, 1])) != [1, 1]:
        raise cannot(node, "dilations")
    average = kind is Mil.avg_pool
    inside = {"exclude_padding_from_average": not node.get("count_include_pad", 0)}
    return kind(
        x=x,
        kernel_sizes=list(node.get("kernel_shape")),
        strides=list(node.get("strides", [1, 1])),
        pad_type="custom",
        pad=_pads(node),
        ceil_mode=bool(node.get("ceil_mode", 0)),
        **(inside if average else {}),
    )


def _gemm(node: Node, inputs: list[Any]) -> Any:
    from coremltools.converters.mil import Builder as Mil

    x, weight, *rest = inputs
    if node.get("transA", 0) or node.get("alpha", 1.0) != 1 or node.get("beta", 1.0) != 1:
        raise cannot(node, "factors")
    by_row = weight if node.get("transB", 0) else np.ascontiguousarray(weight.T)
    return Mil.linear(x=x, weight=by_row, **({"bias": rest[0]} if rest else {}))


def _expand(_: Node, inputs: list[Any]) -> Any:
    from coremltools.converters.mil import Builder as Mil

    x, shape = inputs[0], _whole(inputs[1])
    repeats = [max(1, wanted // there) for there, wanted in zip(x.shape, shape, strict=True)]
    return x if max(repeats) == 1 else Mil.tile(x=x, reps=repeats)
