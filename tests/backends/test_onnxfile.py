from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from cleancut.backends.onnxfile import read_signature
from cleancut.errors import WeightsCorrupt, WeightsMissing
from tests.backends import graphs


def test_names_are_those_that_onnx_reads(tmp_path: Path) -> None:
    signature = read_signature(graphs.conv(tmp_path / "m.onnx"))
    assert signature.inputs == ("picture",)
    assert signature.outputs == ("alpha", "logits")


def test_weights_listed_as_inputs_are_not_inputs(tmp_path: Path) -> None:
    node = helper.make_node("Mul", ["x", "w"], ["y"])
    weight = numpy_helper.from_array(np.ones((2,), np.float32), "w")
    graph = helper.make_graph(
        [node],
        "old",
        [graphs.value("x", [2]), graphs.value("w", [2])],
        [graphs.value("y", [2])],
        [weight],
    )
    assert read_signature(graphs.save(graph, tmp_path / "m.onnx")).inputs == ("x",)


def test_every_truncation_is_refused_or_still_whole(tmp_path: Path) -> None:
    whole = graphs.conv(tmp_path / "m.onnx").read_bytes()
    path = tmp_path / "cut.onnx"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        try:
            read_signature(path)
        except WeightsCorrupt:
            continue
        # Cut between two top-level fields, the graph is complete.
        assert onnx.load(path).graph.output


def test_random_bytes_never_raise_anything_else(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "m.onnx"
    whole = bytearray(graphs.conv(tmp_path / "good.onnx").read_bytes())
    for _ in range(300):
        broken = bytearray(whole)
        for at in rng.integers(0, len(whole), 3):
            broken[at] = rng.integers(0, 256)
        path.write_bytes(bytes(broken))
        with suppress(WeightsCorrupt):
            read_signature(path)


def test_a_folder_is_not_a_model(tmp_path: Path) -> None:
    with pytest.raises(WeightsCorrupt):
        read_signature(tmp_path)


def test_files_that_hold_the_weights_are_named(tmp_path: Path) -> None:
    path = graphs.external(tmp_path / "m.onnx", "parts/w.bin")
    with pytest.raises(WeightsMissing, match=r"parts/w\.bin"):
        read_signature(path)
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "w.bin").write_bytes(bytes(16))
    assert read_signature(path).external == ("parts/w.bin",)
    assert read_signature(graphs.conv(tmp_path / "one.onnx")).external == ()


@pytest.mark.parametrize(
    "location",
    ["../w.bin", "parts/../../w.bin", "/etc/passwd", "C:\\w.bin", "..\\w.bin", "\\w", ""],
)
def test_weights_outside_of_the_models_folder_are_refused(tmp_path: Path, location: str) -> None:
    path = graphs.external(tmp_path / "m.onnx", location)
    with pytest.raises(WeightsCorrupt, match="outside"):
        read_signature(path)
