from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cleancut.errors import WeightsCorrupt
from cleancut.weights.tfjs import read_graph, read_weights


def manifest(*rows: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"paths": ["x.bin"], "weights": list(rows)}]


def row(
    name: str, shape: list[int], dtype: str = "float32", stored: str = "", **rule: float
) -> dict[str, Any]:
    made: dict[str, Any] = {"name": name, "shape": shape, "dtype": dtype}
    return made | ({"quantization": {"dtype": stored, **rule}} if stored else {})


def test_half_precision_is_widened() -> None:
    data = np.array([[1.5, -2.0]], np.float16).tobytes()
    found = read_weights(manifest(row("w", [1, 2], stored="float16")), data)
    assert found["w"].dtype == np.float32
    assert found["w"].tolist() == [[1.5, -2.0]]


@pytest.mark.parametrize("stored", ["uint8", "uint16"])
def test_quantised_weights_are_scaled_and_shifted(stored: str) -> None:
    data = np.array([0, 2, 255], np.dtype(stored)).tobytes()
    found = read_weights(manifest(row("w", [3], stored=stored, scale=0.5, min=-1.0)), data)
    assert found["w"].dtype == np.float32
    assert found["w"].tolist() == [-1.0, 0.0, 126.5]


def test_weights_follow_one_another() -> None:
    data = np.array([7], np.int32).tobytes() + np.array([1, 2], np.float32).tobytes()
    found = read_weights(manifest(row("n", [], "int32"), row("w", [2])), data)
    assert found["n"] == 7
    assert found["w"].tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("rows", "size", "said"),
    [
        ([row("w", [3])], 8, "shorter"),
        ([row("w", [1])], 8, "longer"),
        ([row("w", [-1])], 8, "shorter"),
        ([row("w", [1 << 62, 4])], 8, "shorter"),
        ([row("w", [1], "object")], 8, "not understood"),
        ([row("w", [1], stored="complex64")], 8, "not understood"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(rows: Any, size: int, said: str) -> None:
    with pytest.raises(WeightsCorrupt, match=said):
        read_weights(manifest(*rows), bytes(size))


@pytest.mark.parametrize("text", ["", "[1]", "{", "[" * 100_000])
def test_a_graph_that_is_no_json_object_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "g.json").write_text(text)
    with pytest.raises(WeightsCorrupt):
        read_graph(tmp_path / "g.json")


@pytest.mark.convert
def test_a_small_graph_converts_and_computes(tmp_path: Path) -> None:
    import onnx
    from onnx.reference import ReferenceEvaluator

    from cleancut.catalog import Part, WeightFile
    from cleancut.weights.convert import prepare

    shape = {"shape": {"dim": [{"size": "1"}, {"size": "2"}, {"size": "2"}, {"size": "3"}]}}
    kind = {"type": "DT_FLOAT"}
    graph = {
        "format": "graph-model",
        "signature": {"inputs": {"x:0": {}}, "outputs": {"y:0": {}}},
        "modelTopology": {
            "node": [
                {"name": "x", "op": "Placeholder", "attr": {"dtype": kind, "shape": shape}},
                {"name": "w", "op": "Const", "attr": {"dtype": kind}},
                {"name": "m", "op": "Mul", "input": ["x", "w"], "attr": {"T": kind}},
                {"name": "y", "op": "Sigmoid", "input": ["m"], "attr": {"T": kind}},
            ]
        },
        "weightsManifest": manifest(row("w", [3], stored="float16")),
    }
    (tmp_path / "g.json").write_text(json.dumps(graph))
    (tmp_path / "g.bin").write_bytes(np.array([1, 2, 3], np.float16).tobytes())
    parts = (Part("g.json", 1, "0" * 64), Part("g.bin", 1, "1" * 64))
    tools = prepare(
        WeightFile("g.onnx", parts, (), prepare="tfjs"),
        [tmp_path / "g.json", tmp_path / "g.bin"],
        tmp_path / "g.onnx",
    )
    assert "tf2onnx" in tools
    made = onnx.load(tmp_path / "g.onnx")
    assert [i.name for i in made.graph.input] == ["x:0"]
    x = np.random.default_rng(1).random((1, 2, 2, 3), np.float32)
    y = ReferenceEvaluator(made).run(None, {"x:0": x})[0]
    assert np.allclose(y, 1 / (1 + np.exp(-x * [1, 2, 3])), atol=1e-6)
