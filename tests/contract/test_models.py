"""Every row of the catalog, run on a tiny graph that has the documented inputs and outputs.

The table below states the published facts a second time, on purpose: a row whose size, mean,
activation or layout is changed by mistake does not agree with it any more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from cleancut.catalog import ModelSpec, catalog
from cleancut.models.load import Placing, load
from cleancut.models.recipe import stretch

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (1.0, 1.0, 1.0))
RAW = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
SIGNED = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
#: One weight a colour, so that swapped channels show.
MIX = np.array([0.2, 0.3, 0.5], np.float32)


@dataclass(frozen=True)
class Facts:
    """What a network's authors document."""

    size: tuple[int, int]
    norm: tuple[tuple[float, float, float], tuple[float, float, float]]
    by_max: bool = False
    activation: str = "none"
    minmax: bool = False
    nhwc: bool = False
    output: str = "matte"
    classes: int = 0


U2NET = Facts((320, 320), IMAGENET, by_max=True, minmax=True)
BIREFNET = Facts((1024, 1024), IMAGENET, activation="sigmoid")
DOCUMENTED = {
    "cleancut-nano": Facts((320, 320), SIGNED, output="alpha"),
    "deeplabv3plus-portrait": Facts((320, 320), SIGNED, output="alpha"),
    "isnet": Facts((1024, 1024), HALF, minmax=True),
    "u2netp": U2NET,
    "u2net": U2NET,
    "silueta": U2NET,
    "u2net-human-seg": U2NET,
    "u2net-cloth-seg": Facts((768, 768), IMAGENET, by_max=True, activation="softmax", classes=4),
    "isnet-anime": Facts((1024, 1024), (IMAGENET[0], (1.0, 1.0, 1.0)), minmax=True),
    "birefnet-general": BIREFNET,
    "birefnet-lite": BIREFNET,
    "birefnet-portrait": BIREFNET,
    "birefnet-dis": BIREFNET,
    "birefnet-hrsod": BIREFNET,
    "birefnet-cod": BIREFNET,
    "birefnet-massive": BIREFNET,
    "bria-rmbg-1.4": Facts((1024, 1024), HALF, minmax=True),
    "bria-rmbg-2.0": Facts((1024, 1024), IMAGENET),
    "inspyrenet": Facts((1024, 1024), IMAGENET),
    "ben2": Facts((1024, 1024), RAW, minmax=True),
    "withoutbg-open": Facts((448, 448), RAW, output="alpha"),
    "modnet": Facts((512, 512), SIGNED),
    "selfie": Facts((256, 256), RAW, nhwc=True),
    "selfie-landscape": Facts((144, 256), RAW, nhwc=True, activation="softmax", classes=2),
    "deeplabv3plus": Facts((513, 513), SIGNED, activation="softmax", classes=21),
}
FOREGROUND = {
    "u2net-cloth-seg": [1, 2, 3],
    "selfie-landscape": [1],
    "deeplabv3plus": [*range(1, 21)],
}


def _save(nodes: list[onnx.NodeProto], inputs, outputs, constants, path: Path) -> Path:  # type: ignore[no-untyped-def]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def _tiny_network(facts: Facts, path: Path) -> Path:
    """A weighted sum of the colours; for class networks one such sum a class."""
    channels = max(facts.classes, 1)
    kernel = np.stack([MIX * (k + 1) for k in range(channels)])[:, :, None, None]
    height, width = facts.size
    shape = [1, height, width, 3] if facts.nhwc else [1, 3, height, width]
    answer = [1, height, width, channels] if facts.nhwc else [1, channels, height, width]
    nodes = [helper.make_node("Conv", ["planes", "kernel"], ["sums"])]
    if facts.nhwc:
        nodes.insert(0, helper.make_node("Transpose", ["picture"], ["planes"], perm=[0, 3, 1, 2]))
        nodes.append(helper.make_node("Transpose", ["sums"], [facts.output], perm=[0, 2, 3, 1]))
    else:
        nodes.insert(0, helper.make_node("Identity", ["picture"], ["planes"]))
        nodes.append(helper.make_node("Identity", ["sums"], [facts.output]))
    value = helper.make_tensor_value_info
    return _save(
        nodes,
        [value("picture", TensorProto.FLOAT, shape)],
        [value(facts.output, TensorProto.FLOAT, answer)],
        [numpy_helper.from_array(kernel.astype(np.float32), "kernel")],
        path,
    )


def _expected(rgb: NDArray[np.uint8], facts: Facts, foreground: list[int]) -> NDArray[np.float32]:
    """The documented recipe, written out plainly."""
    x = rgb.astype(np.float64) / (rgb.max() if facts.by_max else 255)
    total = ((x - np.array(facts.norm[0])) / np.array(facts.norm[1])) @ MIX
    if facts.activation == "sigmoid":
        total = 1 / (1 + np.exp(-total))
    if facts.classes:
        scores = np.exp(np.stack([total * (k + 1) for k in range(facts.classes)]))
        total = (scores / scores.sum(axis=0))[foreground].sum(axis=0)
    return np.clip(total, 0, 1).astype(np.float32)


def _picture(height: int, width: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(3)
    coarse = rng.integers(40, 200, (6, 6, 3)).astype(np.uint8)
    return np.kron(coarse, np.ones((-(-height // 6), -(-width // 6), 1), np.uint8))[:height, :width]


def test_every_row_is_in_this_table() -> None:
    assert set(catalog()) - set(DOCUMENTED) == {"rvm"}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_row_feeds_its_network_as_documented(name: str, tmp_path: Path) -> None:
    facts = DOCUMENTED[name]
    spec = replace(catalog()[name], path=_tiny_network(facts, tmp_path / "net.onnx"))
    model = load(spec, Placing(backend="ort", precision="f32"))
    picture = _picture(*facts.size)
    alpha = model.predict(picture).alpha
    expected = _expected(picture, facts, FOREGROUND.get(name, []))
    assert alpha.shape == facts.size
    assert alpha.dtype == np.float32
    assert np.ptp(expected) > 0.05  # the comparison would see a difference
    assert np.abs(alpha - expected).max() < 2e-5
    assert spec.recipe.minmax == facts.minmax


def test_the_recurrent_row_threads_its_state(tmp_path: Path) -> None:
    """RVM's interface: r1..r4 come back with the first frame and change the second."""
    value = helper.make_tensor_value_info
    memory = ["r1", "r2", "r3", "r4"]
    nodes = [
        helper.make_node("ReduceMean", ["src"], ["grey"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["grey", "downsample_ratio"], ["scaled"]),
        helper.make_node("Add", ["scaled", "r1i"], ["pha"]),
        helper.make_node("Identity", ["src"], ["fgr"]),
        *[helper.make_node("Add", [f"{m}i", "tenth"], [f"{m}o"]) for m in memory],
    ]
    floats = TensorProto.FLOAT
    path = _save(
        nodes,
        [value("src", floats, [1, 3, "h", "w"]), value("downsample_ratio", floats, [1]),
         *[value(f"{m}i", floats, [1, 1, 1, 1]) for m in memory]],
        [value("fgr", floats, [1, 3, "h", "w"]), value("pha", floats, [1, 1, "h", "w"]),
         *[value(f"{m}o", floats, [1, 1, 1, 1]) for m in memory]],
        [numpy_helper.from_array(np.full((1, 1, 1, 1), 0.1, np.float32), "tenth")],
        tmp_path / "rvm.onnx",
    )  # fmt: skip
    spec: ModelSpec = replace(catalog()["rvm"], path=path)
    model = load(spec, Placing(backend="ort"))
    frame = np.full((16, 24, 3), 51, np.uint8)
    first = model.predict(frame)
    second = model.predict(frame, first.state)
    assert first.alpha.shape == (16, 24)
    assert np.allclose(first.alpha, 0.2, atol=1e-6)
    assert np.allclose(second.alpha, 0.3, atol=1e-6)
    assert first.foreground is not None
    assert first.foreground.shape == (16, 24, 3)
    wide = np.full((64, 1024, 3), 255, np.uint8)
    assert np.allclose(model.predict(wide).alpha, 0.5, atol=1e-6)  # 1024 -> 512: ratio .5


def test_stretch_spans_the_range_and_leaves_flat_mattes_alone() -> None:
    assert stretch(np.array([[0.2, 0.4]], np.float32)).tolist() == [[0.0, pytest.approx(1.0)]]
    flat = np.full((2, 2), 0.3, np.float32)
    assert (stretch(flat) == flat).all()
