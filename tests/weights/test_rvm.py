from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from cleancut.catalog import Part, WeightFile
from cleancut.errors import WeightsCorrupt
from cleancut.weights import rvm
from cleancut.weights.convert import prepare
from tests.weights.tiny_rvm import Net, net


def feeds() -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    shapes = {f"r{k}i": (1, c, 16 >> k, 32 >> k) for k, c in enumerate((16, 20, 40, 64), 1)}
    shapes["src"] = (1, 3, 16, 32)
    return {name: random.random(shape, np.float32) for name, shape in shapes.items()}


def by_hand(source: np.ndarray, kernel: np.ndarray, dilated: np.ndarray) -> np.ndarray:
    """What the graph says, in plain numpy, channels last."""
    picture = source[0].transpose(1, 2, 0) - np.array([0.1, 0.2, 0.3], np.float32)
    height, width = picture.shape[:2]

    def shifted(planes: np.ndarray, step: int) -> list[np.ndarray]:
        padded = np.pad(planes, ((step, step), (step, step), (0, 0)))
        return [
            padded[step * y : step * y + height, step * x : step * x + width]
            for y in range(3)
            for x in range(3)
        ]

    taps = kernel.reshape(9, 3, 4)
    first = sum(view @ tap for view, tap in zip(shifted(picture, 1), taps, strict=True))
    first = np.maximum(first + np.arange(4) * 0.1, 0)
    swish = first * np.clip(first + 3, 0, 6) / 6
    deep = sum(
        view * tap for view, tap in zip(shifted(swish, 2), dilated.reshape(9, 4), strict=True)
    )
    small = deep.reshape(height // 2, 2, width // 2, 2, 4).mean(axis=(1, 3))
    import cv2

    large = cv2.resize(small.astype(np.float32), (width, height))
    return np.concatenate([large[..., 2:], large[..., :2]], axis=2)


@pytest.fixture
def kernels() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return (
        random.standard_normal((3, 3, 3, 4)).astype(np.float32),
        random.standard_normal((3, 3, 4, 1)).astype(np.float32),
    )


def test_the_translated_graph_computes_the_same_channels_first(
    tmp_path: Path, kernels: tuple[np.ndarray, np.ndarray]
) -> None:
    graph, weights = net(*kernels).save(tmp_path)
    rvm.to_onnx(graph, weights, tmp_path / "out.onnx")
    given = feeds()
    session = ReferenceEvaluator(str(tmp_path / "out.onnx"))
    answer = dict(zip(session.output_names, session.run(None, given), strict=True))
    expected = by_hand(given["src"], *kernels)
    assert np.abs(answer["matte"][0].transpose(1, 2, 0) - expected).max() < 1e-4
    for level in (1, 2, 3, 4):
        assert np.allclose(answer[f"r{level}o"], np.tanh(given[f"r{level}i"]), atol=1e-6)


def test_hard_swish_is_one_operation_and_padding_is_the_convolution_s(
    tmp_path: Path, kernels: tuple[np.ndarray, np.ndarray]
) -> None:
    rvm.to_onnx(*net(*kernels).save(tmp_path), tmp_path / "out.onnx")
    graph = onnx.load(tmp_path / "out.onnx").graph
    kinds = [node.op_type for node in graph.node]
    assert "Transpose" not in kinds
    assert "Pad" not in kinds
    assert kinds.count("HardSwish") == 1
    shapes = {
        value.name: [d.dim_value or d.dim_param for d in value.type.tensor_type.shape.dim]
        for value in graph.input
    }
    assert shapes["src"] == [1, 3, "h", "w"]
    assert shapes["r3i"] == [1, 40, "h3", "w3"]


def test_it_is_prepared_in_another_process_without_tensorflow(
    tmp_path: Path, kernels: tuple[np.ndarray, np.ndarray]
) -> None:
    parts = net(*kernels).save(tmp_path)
    rows = tuple(Part(part.name, part.stat().st_size, "0" * 64) for part in parts)
    tools = prepare(WeightFile("m.onnx", rows, (), prepare="rvm"), parts, tmp_path / "m.onnx")
    assert tools == {"onnx": onnx.__version__, "graph": "small frame to small matte"}
    assert (tmp_path / "m.onnx").is_file()


def broken(change: str) -> Net:
    made = net(np.zeros((3, 3, 3, 4), np.float32), np.zeros((3, 3, 4, 1), np.float32))
    if change == "operation":
        made.nodes[-1] = {"name": "Identity_5", "op": "Softmax", "input": ["r4i"], "attr": {}}
    elif change == "output":
        del made.nodes[-1]
    elif change == "weights":
        made.values["first/kernel"] = np.zeros((3, 4), np.float32)
    elif change == "circle":
        made.nodes[-1]["input"] = ["Identity_5"]
    elif change == "node":
        made.nodes[3] = {"op": "Placeholder"}
    return made


@pytest.mark.parametrize("change", ["operation", "output", "weights", "circle", "node"])
def test_another_graph_is_refused(tmp_path: Path, change: str) -> None:
    with pytest.raises(WeightsCorrupt, match=r"graph|translated"):
        rvm.to_onnx(*broken(change).save(tmp_path), tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.parametrize("rubbish", ["{}", "[]", '{"weightsManifest": 3}', "\x00"])
def test_rubbish_is_refused(tmp_path: Path, rubbish: str) -> None:
    (tmp_path / "g.json").write_text(rubbish)
    (tmp_path / "g.bin").write_bytes(b"")
    with pytest.raises(WeightsCorrupt):
        rvm.to_onnx(tmp_path / "g.json", tmp_path / "g.bin", tmp_path / "out.onnx")
