from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from cleancut.catalog import Part, WeightFile, find
from cleancut.errors import WeightsCorrupt
from cleancut.weights import deeplab
from cleancut.weights.convert import prepare
from tests.weights.tiny_rvm import Net, text


def steps(*values: int) -> dict[str, Any]:
    return {"list": {"i": [str(value) for value in values]}}


def net(weights: dict[str, np.ndarray]) -> Net:
    """Every operation of the published graph once; one convolution does the shrinking."""
    made = Net()
    made.node("sub_7", "Sub", ["mul_1", "ToFloat/x"])
    made.const("first/kernel", weights["first"])
    first = made.node(
        "first",
        "Conv2D",
        ["sub_7", "first/kernel"],
        strides=steps(1, 8, 8, 1),
        padding=text("SAME"),
    )
    scaled = made.node("scaled", "Mul", [first, made.const("scale", weights["scale"])])
    moved = made.node("moved", "Add", [scaled, made.const("offset", weights["offset"])])
    clipped = made.node("clipped", "Relu6", [moved])
    rate = made.const("rate", [2, 2], np.int32)
    wide = made.const("wide", [[2, 3], [2, 3]], np.int32)
    less = made.const("less", [[0, 1], [0, 1]], np.int32)
    spread = made.node("spread", "SpaceToBatchND", [clipped, rate, wide])
    inner = made.conv("inner", spread, weights["dilated"], "DepthwiseConv2dNative")
    whole = made.node("whole", "BatchToSpaceND", [inner, rate, less])
    both = made.node("both", "AddN", [clipped, whole])
    pooled = made.node("pooled", "AvgPool", [both], ksize=steps(1, 65, 65, 1))
    rectified = made.node("rectified", "Relu", [pooled])
    large = made.node(
        "large", "ResizeBilinear", [rectified, made.const("size", [65, 65], np.int32)]
    )
    joined = made.node("joined", "ConcatV2", [large, both, made.const("axis", 3, np.int32)])
    classes = made.conv("classes", joined, weights["classes"], "Conv2D")
    bias = made.const("bias", weights["bias"])
    made.node("logits/semantic/BiasAdd", "BiasAdd", [classes, bias])
    return made


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    shapes = {
        "first": (1, 1, 3, 4),
        "scale": (4,),
        "offset": (4,),
        "dilated": (3, 3, 4, 1),
        "classes": (1, 1, 8, 21),
        "bias": (21,),
    }
    return {name: random.standard_normal(shape).astype("f4") for name, shape in shapes.items()}


def by_hand(picture: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    """What the graph says in plain numpy, channels last: (65, 65, 21)."""
    first = picture[::8, ::8] @ weights["first"][0, 0] * weights["scale"] + weights["offset"]
    clipped = np.clip(first, 0, 6)
    around = np.pad(clipped, ((2, 2), (2, 2), (0, 0)))
    taps = weights["dilated"][..., 0]
    whole = sum(
        around[2 * y : 2 * y + 65, 2 * x : 2 * x + 65] * taps[y, x]
        for y in range(3)
        for x in range(3)
    )
    both = clipped + whole
    pooled = np.maximum(both.mean(axis=(0, 1)), 0)
    joined = np.concatenate([np.broadcast_to(pooled, both.shape), both], axis=2)
    answer: np.ndarray = joined @ weights["classes"][0, 0] + weights["bias"]
    return answer


def test_the_translated_graph_computes_the_same_channels_first(
    tmp_path: Path, weights: dict[str, np.ndarray]
) -> None:
    graph, data = net(weights).save(tmp_path)
    deeplab.to_onnx(graph, [data], tmp_path / "out.onnx")
    picture = np.random.default_rng(1).uniform(-1, 1, (513, 513, 3)).astype("f4")
    session = onnxruntime.InferenceSession(tmp_path / "out.onnx")
    (logits,) = session.run(None, {"picture": picture.transpose(2, 0, 1)[None]})
    assert logits.shape == (1, 21, 513, 513)
    expected = by_hand(picture, weights)
    # Enlarged corner to corner, 64 steps become 512: every eighth pixel is as it was.
    assert np.abs(logits[0].transpose(1, 2, 0)[::8, ::8] - expected).max() < 1e-3
    middle = (expected[0, 0] + expected[0, 1]) / 2
    assert np.abs(logits[0, :, 0, 4] - middle).max() < 1e-3


def test_what_google_does_to_the_picture_is_left_out(
    tmp_path: Path, weights: dict[str, np.ndarray]
) -> None:
    graph, data = net(weights).save(tmp_path)
    deeplab.to_onnx(graph, [data], tmp_path / "out.onnx")
    made = onnx.load(tmp_path / "out.onnx").graph
    kinds = [node.op_type for node in made.node]
    assert not {"Sub", "Transpose", "ArgMax", "SpaceToDepth"} & set(kinds)
    assert [value.name for value in made.input] == ["picture"]
    dilated = [node for node in made.node if node.op_type == "Conv"][1]
    found = {a.name: list(a.ints) for a in dilated.attribute if a.ints}
    assert (found["dilations"], found["pads"]) == ([2, 2], [2, 2, 2, 2])


def test_the_shards_are_joined_in_their_order_and_prepared_without_tensorflow(
    tmp_path: Path, weights: dict[str, np.ndarray]
) -> None:
    graph, data = net(weights).save(tmp_path)
    whole = data.read_bytes()
    shards = [tmp_path / "group1-shard1of2", tmp_path / "group1-shard2of2"]
    shards[0].write_bytes(whole[:100])
    shards[1].write_bytes(whole[100:])
    parts = [graph, *shards]
    rows = tuple(Part(part.name, part.stat().st_size, "0" * 64) for part in parts)
    tools = prepare(WeightFile("m.onnx", rows, (), prepare="deeplab"), parts, tmp_path / "m.onnx")
    assert tools == {"onnx": onnx.__version__}
    deeplab.to_onnx(graph, [data], tmp_path / "whole.onnx")
    assert (tmp_path / "m.onnx").read_bytes() == (tmp_path / "whole.onnx").read_bytes()
    with pytest.raises(WeightsCorrupt):  # sizes end up where values belong
        deeplab.to_onnx(graph, shards[::-1], tmp_path / "turned.onnx")


@pytest.mark.parametrize("change", ["operation", "output", "pool", "addends", "weights"])
def test_another_graph_is_refused(
    tmp_path: Path, weights: dict[str, np.ndarray], change: str
) -> None:
    made = net(weights)
    by_name = {node["name"]: node for node in made.nodes}
    if change == "operation":
        by_name["rectified"]["op"] = "Softmax"
    elif change == "output":
        del made.nodes[-1]
    elif change == "pool":
        by_name["pooled"]["attr"]["ksize"] = steps(1, 33, 33, 1)
    elif change == "addends":
        by_name["both"]["input"].append("clipped")
    else:
        made.values["inner/kernel"] = np.zeros((3, 3), np.float32)
    with pytest.raises(WeightsCorrupt):
        deeplab.to_onnx(*_parts(made, tmp_path), tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()


def _parts(made: Net, folder: Path) -> tuple[Path, list[Path]]:
    graph, data = made.save(folder)
    return graph, [data]


def test_the_catalog_s_row_lists_the_shards_in_the_manifest_s_order() -> None:
    (weight,) = find("deeplabv3plus").weights
    assert weight.prepare == "deeplab"
    assert weight.pinned
    names = [part.name for part in weight.parts]
    assert names == ["model.json", *(f"group1-shard{at}of3" for at in (1, 2, 3))]
    assert [Path(member).name for member in weight.sources[0].members] == names
