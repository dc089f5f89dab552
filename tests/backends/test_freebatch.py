from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from onnx import helper, numpy_helper

from cleancut.backends import ort
from cleancut.backends.batching import Batching
from cleancut.backends.freebatch import freed
from tests.backends import graphs


def reshaping(path: Path, shape: list[int]) -> Path:
    """A graph that reshapes its picture to ``shape`` and back."""
    nodes = [
        helper.make_node("Reshape", ["picture", "flat"], ["row"]),
        helper.make_node("Reshape", ["row", "square"], ["alpha"]),
    ]
    constants = [
        numpy_helper.from_array(np.array(shape, np.int64), "flat"),
        numpy_helper.from_array(np.array([shape[0], 3, 8, 8], np.int64), "square"),
    ]
    ports = [graphs.value(name, [1, 3, 8, 8]) for name in ("picture", "alpha")]
    graph = helper.make_graph(nodes, "reshaping", ports[:1], ports[1:], constants)
    return graphs.save(graph, path)


def mixing(path: Path) -> Path:
    """A graph whose answer depends on who else is in the batch."""
    nodes = [
        helper.make_node("ReduceMean", ["picture"], ["mean"], axes=[0], keepdims=1),
        helper.make_node("Sub", ["picture", "mean"], ["alpha"]),
    ]
    ports = [graphs.value(name, [1, 3, 8, 8]) for name in ("picture", "alpha")]
    return graphs.save(helper.make_graph(nodes, "mixing", ports[:1], ports[1:]), path)


def test_an_export_for_one_picture_takes_several(tmp_path: Path) -> None:
    session = ort.open_session(graphs.conv(tmp_path / "m.onnx"), device="cpu", batches=True)
    assert session.inputs["picture"] == (None, 3, 16, 16)
    pictures = np.random.default_rng(0).random((3, 3, 16, 16), np.float32)
    together = session.run({"picture": pictures})["alpha"]
    for index in range(3):
        alone = session.run({"picture": pictures[index : index + 1]})["alpha"]
        np.testing.assert_allclose(together[index : index + 1], alone, atol=1e-6)


@pytest.mark.parametrize("shape", [[1, -1], [0, -1]])
def test_a_batch_that_is_wired_inside_is_left_alone(tmp_path: Path, shape: list[int]) -> None:
    path = reshaping(tmp_path / "m.onnx", shape)
    session = ort.open_session(path, device="cpu", batches=True)
    wired = shape[0] == 1
    assert session.inputs["picture"][0] == (1 if wired else None)
    assert session.run({"picture": np.ones((1, 3, 8, 8), np.float32)})["alpha"].shape[0] == 1


def test_a_graph_that_mixes_pictures_is_left_alone(tmp_path: Path) -> None:
    session = ort.open_session(mixing(tmp_path / "m.onnx"), device="cpu", batches=True)
    assert session.inputs["picture"][0] == 1


def test_the_processor_keeps_the_graph_as_it_is(tmp_path: Path) -> None:
    session = ort.open_session(graphs.conv(tmp_path / "m.onnx"), device="cpu")
    assert session.inputs["picture"][0] == 1
    assert session.group({"picture": np.zeros((1, 3, 16, 16), np.float32)}) is None


def test_a_graph_with_a_memory_is_not_tried(tmp_path: Path) -> None:
    nodes = [helper.make_node("Add", ["src", "state"], ["alpha"])]
    ports = [graphs.value(name, [1, 3, 8, 8]) for name in ("src", "state", "alpha")]
    path = graphs.save(
        helper.make_graph(nodes, "memory", ports[:2], ports[2:]), tmp_path / "m.onnx"
    )
    assert freed(path) is None


def test_threads_share_runs_and_each_gets_its_own_answer(tmp_path: Path) -> None:
    session = ort.open_session(graphs.conv(tmp_path / "m.onnx"), device="cpu", batches=True)
    batching = Batching(session, in_flight=1)
    pictures = np.random.default_rng(1).random((24, 1, 3, 16, 16), np.float32)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda one: batching.run({"picture": one})["alpha"], pictures))
    for picture, answer in zip(pictures, answers, strict=True):
        np.testing.assert_allclose(answer, session.run({"picture": picture})["alpha"], atol=1e-6)


def test_a_graph_that_does_not_open_once_freed_is_opened_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = graphs.conv(tmp_path / "m.onnx")
    monkeypatch.setattr(ort, "freed", lambda _: b"no graph")
    session = ort.open_session(path, device="cpu", batches=True)
    assert session.inputs == ort.open_session(path, device="cpu").inputs
