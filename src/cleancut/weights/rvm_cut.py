"""The published ONNX of Robust Video Matting without its full-size end.

Its refiner, a deep guided filter, finds a linear model ``A``, ``b`` at the small size (with learned
weights, so inside the graph) and applies it to the full frame: ``A * guide + b``. The cut is made
there, and where the frame was shrunk. What is looked for is the arithmetic, not the names of one
export; the cut graph is kept only if it answers as the whole one does.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleancut.errors import WeightsCorrupt
from cleancut.weights.reach import keep_only, reachable

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

    from cleancut.arrays import Tensor

_MEMORY = ("r1", "r2", "r3", "r4")
_INPUTS = {"src", "downsample_ratio", *(f"{name}i" for name in _MEMORY)}
_OUTPUTS = {"fgr", "pha", *(f"{name}o" for name in _MEMORY)}
#: What may stand between the filter and an output.
_PASSED = ("Clip", "Identity", "Slice", "Split", "Min", "Max", "Cast")
#: The most that the two graphs may differ by, in alphas or colours.
_TOLERANCE = 2e-3


def to_onnx(source: Path, target: Path) -> bool:
    """Write ``source`` without its end to ``target``, or as it is; True if it was cut.

    The cut graph takes ``src`` (1, 3, h, w), the shrunk frame, and gives ``A`` and ``b``
    (1, 4, h, w). Raises ``WeightsCorrupt`` if the file is not this network.
    """
    import onnx

    data = source.read_bytes()
    try:
        model = onnx.load_from_string(data)
        inputs = {value.name for value in model.graph.input}
        outputs = {value.name for value in model.graph.output}
        weights = {tensor.name for tensor in model.graph.initializer}
    except Exception as error:  # protobuf's DecodeError has moved between its releases
        raise WeightsCorrupt(f"{source.name} is not an ONNX model") from error
    if inputs - weights != _INPUTS or not outputs >= _OUTPUTS:
        raise WeightsCorrupt(f"{source.name} has not the inputs and outputs of this network")
    cut = _cut(model)
    if cut is None or not _same_answers(onnx.load_from_string(data), cut):
        target.write_bytes(data)
        return False
    target.write_bytes(cut.SerializeToString(deterministic=True))
    return True


def _cut(model: ModelProto) -> ModelProto | None:
    """``model`` cut at both places, or None where they are not found."""
    from onnx import TensorProto, helper

    graph = model.graph
    maker = {name: node for node in graph.node for name in node.output}
    ends = _filter_ends(maker)
    shrunk = [
        n for n in graph.node if n.op_type == "Resize" and _behind(n.input[0], maker) == "src"
    ]
    if ends is None or len(shrunk) != 1:
        return None
    small = shrunk[0].output[0]
    kept = [node for node in graph.node if node is not shrunk[0]]
    kept += [
        helper.make_node("Identity", [end], [name]) for name, end in zip("Ab", ends, strict=True)
    ]
    wanted = ["A", "b", *(f"{name}o" for name in _MEMORY)]
    nodes, needed = reachable(kept, wanted)
    if needed & {"src", "downsample_ratio"}:
        return None  # something else looks at the full frame
    for node in nodes:
        for at, name in enumerate(node.input):
            if name == small:
                node.input[at] = "src"
    nodes = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(nodes)
    keep_only(graph.initializer, needed)
    keep_only(graph.value_info, set())
    keep_only(graph.input, needed | {"src"})
    keep_only(graph.output, set(wanted))
    for value in graph.input:
        if value.name == "src":
            shape = [1, 3, "small_height", "small_width"]
            value.CopyFrom(helper.make_tensor_value_info("src", TensorProto.FLOAT, shape))
    for name in ("b", "A"):
        ports = helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4, None, None])
        graph.output.insert(0, ports)
    return model


def _filter_ends(maker: dict[str, NodeProto]) -> tuple[str, str] | None:
    """``A`` and ``b`` before they are enlarged, in ``Resize(A) * guide + Resize(b)``."""
    found = maker.get("pha")
    while found is not None and found.op_type in _PASSED:
        found = maker.get(found.input[0])
    if found is None or found.op_type != "Add":
        return None
    terms = {maker[name].op_type: maker[name] for name in found.input if name in maker}
    if set(terms) != {"Mul", "Resize"}:
        return None
    factors = {maker[n].op_type: maker[n] for n in terms["Mul"].input if n in maker}
    if set(factors) != {"Resize", "Concat"}:
        return None
    return factors["Resize"].input[0], terms["Resize"].input[0]


def _behind(name: str, maker: dict[str, NodeProto]) -> str:
    while name in maker and maker[name].op_type == "Identity":
        name = maker[name].input[0]
    return name


def _same_answers(whole: ModelProto, cut: ModelProto) -> bool:
    """Whether both say the same about two frames of noise, the second with a memory."""
    import cv2
    import numpy as np
    from onnx.reference import ReferenceEvaluator

    def enlarged(planes: Tensor) -> Tensor:
        return np.stack([cv2.resize(plane, (128, 96)) for plane in planes])

    try:
        one, other = ReferenceEvaluator(whole), ReferenceEvaluator(cut)
        axes = next(len(_shape(v)) for v in whole.graph.input if v.name == "downsample_ratio")
        state: dict[str, Tensor] = {
            f"{name}i": np.zeros((1, 1, 1, 1), np.float32) for name in _MEMORY
        }
        ratio = np.full((1,) * axes, 0.5, np.float32)
        for seed in (0, 1):
            frame = np.random.default_rng(seed).random((3, 96, 128), np.float32)
            frame = np.stack([cv2.GaussianBlur(plane, (0, 0), 3) for plane in frame])
            small = np.stack([cv2.resize(plane, (64, 48)) for plane in frame])
            wanted = dict(
                zip(
                    one.output_names,
                    one.run(None, {"src": frame[None], "downsample_ratio": ratio, **state}),
                    strict=True,
                )
            )
            made = dict(
                zip(other.output_names, other.run(None, {"src": small[None], **state}), strict=True)
            )
            guide = np.concatenate([frame, frame.mean(axis=0, keepdims=True)])
            refined = enlarged(made["A"][0]) * guide + enlarged(made["b"][0])
            refined[:3] += frame
            answer = np.concatenate([wanted["fgr"][0], wanted["pha"][0]])
            if not np.abs(np.clip(refined, 0, 1) - answer).max() < _TOLERANCE:
                return False
            state = {f"{name}i": made[f"{name}o"] for name in _MEMORY}
    except Exception:
        return False  # whatever it is, the whole graph goes on working
    return True


def _shape(value: Any) -> list[Any]:
    return list(value.type.tensor_type.shape.dim)
