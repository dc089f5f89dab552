from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from cleancut.catalog import custom
from cleancut.distill.compact import with_int8_weights
from cleancut.distill.nets.imported import Imported, imported, own_size
from cleancut.errors import BadOption, InputNotFound, WeightsCorrupt
from cleancut.models.recipe import prepare
from tests.distill.small import small_onnx


def _rgb(size: int = 64) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (size, size, 3), np.uint8)


def _away(path: Path, net: torch.nn.Module) -> float:
    """How far the matte of ``net`` is from the file's own with its own recipe."""
    rgb = _rgb()
    recipe = replace(custom(path).recipe, size=(64, 64))
    session = onnxruntime.InferenceSession(path.read_bytes())
    wanted = session.run(None, {"input": prepare(rgb, recipe)[0]})[0].reshape(64, 64)
    image = torch.from_numpy((rgb.transpose(2, 0, 1)[None] / 127.5 - 1).astype(np.float32))
    with torch.no_grad():
        matte = torch.sigmoid(net(torch.cat([image * 0, image])))[1, 0].numpy()
    return float(np.abs(matte - wanted).max())


@pytest.mark.parametrize(
    ("how", "near"),
    [
        ({}, 1e-5),
        ({"nhwc": True}, 1e-5),
        ({"half": True}, 5e-3),
        ({"sigmoid": False}, 2e-4),
        ({"nhwc": True, "half": True}, 5e-3),
    ],
)
def test_an_imported_network_answers_as_its_file_does(
    tmp_path: Path, how: dict[str, bool], near: float
) -> None:
    path = small_onnx(tmp_path / "net.onnx", **how)
    net = imported(path, 64)
    assert isinstance(net, Imported)
    assert net.logits == how.get("sigmoid", True)
    assert _away(path, net) < near


def test_weights_packed_into_eight_bits_are_unpacked_and_trained(tmp_path: Path) -> None:
    path = small_onnx(tmp_path / "net.onnx")
    model = onnx.load(path)
    rng = np.random.default_rng(2)
    for name, shape in (("v", (12, 3, 5, 5)), ("u", (12, 12, 5, 5)), ("t", (3, 12, 5, 5))):
        weight = rng.normal(0, 0.1, shape).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(weight, name))
    pads = [2, 2, 2, 2]
    chain = (("input", "v", "one"), ("one", "u", "two"), ("two", "t", "three"))
    for at, (before, weight, after) in enumerate(chain):
        node = onnx.helper.make_node("Conv", [before, weight], [after], pads=pads)
        model.graph.node.insert(at, node)
    model.graph.node[3].input[0] = "three"
    onnx.save(with_int8_weights(model), path)
    assert "Cast" in {node.op_type for node in onnx.load(path).graph.node}
    net = imported(path, 64)
    assert sum(weight.numel() for weight in net.parameters()) > 12 * 12 * 25
    assert _away(path, net) < 1e-5


def test_statistics_stay_as_they_are_while_weights_are_trained() -> None:
    graph = torch.nn.Sequential(torch.nn.BatchNorm2d(3), torch.nn.Conv2d(3, 1, 1))
    from cleancut.catalog import Recipe

    net = Imported(graph, Recipe(), logits=True).train()
    net(torch.rand(2, 3, 8, 8))
    assert float(graph[0].running_mean.abs().sum()) == 0
    assert net.training
    assert graph[1].training


def test_the_sizes_that_a_file_asks_for(tmp_path: Path) -> None:
    assert own_size(small_onnx(tmp_path / "a.onnx", size=96)) == 96
    assert own_size(small_onnx(tmp_path / "b.onnx", size=96, nhwc=True)) == 96


def test_what_is_no_network_of_one_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputNotFound):
        imported(tmp_path / "none.onnx", 64)
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    with pytest.raises(WeightsCorrupt):
        imported(tmp_path / "bad.onnx", 64)
    path = small_onnx(tmp_path / "two.onnx")
    model = onnx.load(path)
    model.graph.input.append(
        onnx.helper.make_tensor_value_info("memory", onnx.TensorProto.FLOAT, [1, 3, 64, 64])
    )
    onnx.save(model, path)
    with pytest.raises(BadOption, match="2 inputs"):
        imported(path, 64)


def test_a_layer_that_cannot_be_trained_is_named(tmp_path: Path) -> None:
    path = small_onnx(tmp_path / "net.onnx")
    model = onnx.load(path)
    model.graph.node[0].op_type = "Conjure"
    onnx.save(model, path)
    with pytest.raises(BadOption, match=r"net\.onnx cannot be trained"):
        imported(path, 64)


def test_a_student_of_ours_is_imported_as_the_package_has_it(tmp_path: Path) -> None:
    """Of a newer opset, of any size, with weights in eight bits."""
    import shutil

    from cleancut.catalog import find
    from cleancut.distill.tune import keep_start
    from cleancut.weights.resolve import resolve

    shutil.copy(resolve(find("cleancut-nano")).path, tmp_path / "mine.onnx")
    start = keep_start("cleancut-nano", tmp_path / "run")
    assert start.read_bytes() == (tmp_path / "mine.onnx").read_bytes()
    net = imported(start, 64).eval()
    assert sum(weight.numel() for weight in net.parameters()) > 3_000_000
    assert _away(start, net) < 1e-3


def test_newer_operators_are_told_in_older_words(tmp_path: Path) -> None:
    path = small_onnx(tmp_path / "net.onnx")
    model = onnx.load(path)
    graph = model.graph
    model.opset_import[0].version = 18
    graph.initializer.append(onnx.numpy_helper.from_array(np.array([2, 3]), "sides"))
    graph.initializer.append(onnx.numpy_helper.from_array(np.array([2, 1]), "shares"))
    made = onnx.helper.make_node
    graph.node.insert(0, made("ReduceMean", ["input", "sides"], ["mean"], keepdims=1))
    graph.node.insert(1, made("Split", ["input", "shares"], ["two", "one"], axis=1))
    graph.node.insert(2, made("Concat", ["one", "two"], ["turned"], axis=1))
    graph.node.insert(3, made("Sub", ["turned", "mean"], ["centred"]))
    graph.node[4].input[0] = "centred"
    onnx.save(model, path)
    assert _away(path, imported(path, 64)) < 1e-5
