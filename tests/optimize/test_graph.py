from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from cleancut.optimize.graph import (
    Site,
    as_float,
    sites_of,
    weighted_layers,
    with_extremes,
    with_ranges,
)
from tests.backends import graphs
from tests.optimize.nets import SITES, feed, net, quantised


def run(model: onnx.ModelProto, **feeds: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    names = [port.name for port in session.get_outputs()]
    return dict(zip(names, session.run(None, feeds), strict=True))


def ranges(plain: onnx.ModelProto) -> dict[str, tuple[float, float]]:
    got = run(with_extremes(plain, SITES), x=feed())
    found = {n: (float(got[f"min {i}"]), float(got[f"max {i}"])) for i, n in enumerate(SITES)}
    top = max(found["a"][1], found["grown"][1])
    return {**found, "a": (0.0, top), "grown": (0.0, top)}


def test_weights_stored_in_fewer_bits_become_what_they_stand_for() -> None:
    rng = np.random.default_rng(5)
    codes = rng.integers(-127, 127, (4, 3, 1, 1)).astype(np.int8)
    scale = np.linspace(0.01, 0.04, 4, dtype=np.float32)
    floats, node = onnx.TensorProto.FLOAT, onnx.helper.make_node
    cast = [node("Cast", ["codes"], ["c"], to=floats), node("Mul", ["c", "scales"], ["w"])]
    quantised = [node("DequantizeLinear", ["codes", "scale"], ["w"], axis=0)]
    answers = []
    for how in (cast, quantised):
        value = onnx.helper.make_tensor_value_info
        graph = onnx.helper.make_graph(
            [*how, node("Conv", ["x", "w"], ["y"])],
            "stored",
            [value("x", floats, [1, 3, 4, 4])],
            [value("y", floats, [1, 4, 4, 4])],
            [
                numpy_helper.from_array(codes, "codes"),
                numpy_helper.from_array(scale, "scale"),
                numpy_helper.from_array(scale.reshape(4, 1, 1, 1), "scales"),
            ],
        )
        opset = onnx.helper.make_opsetid("", 17)
        stored = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8)
        x = rng.random((1, 3, 4, 4), np.float32)
        before = run(stored, x=x)["y"]
        plain = as_float(stored)
        assert [n.op_type for n in plain.graph.node] == ["Conv"]
        assert [t.name for t in plain.graph.initializer] == ["w"]
        assert np.allclose(run(plain, x=x)["y"], before, atol=1e-6)
        answers.append(numpy_helper.to_array(plain.graph.initializer[0]))
    assert np.allclose(answers[0], answers[1])


def test_half_precision_becomes_single_and_its_casts_go(tmp_path: Path) -> None:
    half = onnx.load(graphs.half_inside(tmp_path / "half.onnx"))
    wide = as_float(onnx.load(tmp_path / "half.onnx"))
    assert [node.op_type for node in wide.graph.node] == ["Conv"]
    assert [out.name for out in wide.graph.output] == ["output"]
    assert {t.data_type for t in wide.graph.initializer} == {onnx.TensorProto.FLOAT}
    picture = graphs.picture(8, 8)
    assert np.allclose(
        run(wide, input=picture)["output"], run(half, input=picture)["output"], atol=0.02
    )


def test_old_operator_sets_are_raised(tmp_path: Path) -> None:
    model = onnx.load(net(tmp_path / "net.onnx"))
    model.opset_import[0].version = 11
    raised = as_float(model)
    assert raised.opset_import[0].version == 13
    expected = run(onnx.load(tmp_path / "net.onnx"), x=feed())["alpha"]
    assert np.allclose(run(raised, x=feed())["alpha"], expected)


def test_sites_know_their_companions_and_their_distance_to_both_ends(tmp_path: Path) -> None:
    sites = sites_of(onnx.load(quantised(tmp_path / "q.onnx")))
    assert [site.name for site in sites] == list(SITES)
    by_name = {site.name: site for site in sites}
    assert by_name["a"].together == by_name["grown"].together
    assert len({site.together for site in sites}) == 4
    assert {n: (s.first, s.last) for n, s in by_name.items()} == {
        "x": (0, 2), "a": (1, 1), "b": (2, 1), "grown": (2, 1), "logits": (2, 0),
    }  # fmt: skip
    assert isinstance(sites[0], Site)


def test_extremes_are_those_of_the_tensors(tmp_path: Path) -> None:
    model = onnx.load(net(tmp_path / "net.onnx"))
    got = run(with_extremes(model, ["x", "logits"]), x=feed())
    assert float(got["min 0"]) == feed().min()
    logits = np.log(got["alpha"] / (1 - got["alpha"]))
    assert float(got["max 1"]) == pytest.approx(logits.max(), abs=1e-3)
    assert len(model.graph.output) == 1  # the one handed in is left alone


def test_measured_ranges_make_the_quantised_net_answer_like_the_plain_one(tmp_path: Path) -> None:
    plain = onnx.load(net(tmp_path / "net.onnx"))
    rough = onnx.load(quantised(tmp_path / "q.onnx", scale=0.2))
    made, kept = with_ranges(rough, plain, ranges(plain), [])
    assert kept == ()
    truth = run(plain, x=feed())["alpha"]
    before, after = (np.abs(run(m, x=feed())["alpha"] - truth).mean() for m in (rough, made))
    assert 5 * after < before


def test_a_range_becomes_scale_and_zero_point(tmp_path: Path) -> None:
    rough = onnx.load(quantised(tmp_path / "q.onnx"))
    made, _ = with_ranges(
        rough, onnx.load(net(tmp_path / "n.onnx")), {"x": (-1.0, 1.55), "b": (2.0, 5.1)}, []
    )
    stored = {t.name: numpy_helper.to_array(t) for t in made.graph.initializer}
    assert stored["x_s"] == pytest.approx(0.01)
    assert stored["x_z"] == 100
    assert stored["b_s"] == pytest.approx(5.1 / 255)  # zero is always representable
    assert stored["b_z"] == 0
    assert stored["x_z"].dtype == np.uint8


def test_a_tensor_that_is_always_zero_gets_a_harmless_scale(tmp_path: Path) -> None:
    rough = onnx.load(quantised(tmp_path / "q.onnx"))
    made, _ = with_ranges(rough, onnx.load(net(tmp_path / "n.onnx")), {"b": (0.0, 0.0)}, [])
    assert np.isfinite(run(made, x=feed())["alpha"]).all()


def test_kept_layers_get_their_own_weights_back(tmp_path: Path) -> None:
    plain = onnx.load(net(tmp_path / "net.onnx"))
    rough = onnx.load(quantised(tmp_path / "q.onnx", scale=0.2))
    last = [site.name for site in sites_of(rough) if site.last <= 1]
    made, kept = with_ranges(rough, plain, ranges(plain), last)
    # The second layer reads "a" through a MaxPool, and "a" is kept for the sake of the last one.
    assert kept == ("second", "logits")
    stored = {t.name for t in made.graph.initializer}
    assert {"w2", "w3"} <= stored
    assert "w3_q" not in stored
    assert [site.name for site in sites_of(made)] == ["x"]
    everything, kept = with_ranges(rough, plain, {}, SITES)
    assert kept == ("first", "second", "logits")
    assert np.array_equal(run(everything, x=feed())["alpha"], run(plain, x=feed())["alpha"])


def test_values_that_are_only_moved_about_stay_in_8_bits(tmp_path: Path) -> None:
    """A layer that reads 8-bit values through a MaxPool or a Concat is an 8-bit layer."""
    plain = onnx.load(net(tmp_path / "net.onnx"))
    _, kept = with_ranges(onnx.load(quantised(tmp_path / "q.onnx")), plain, {}, ["logits"])
    assert kept == ()


def test_weights_that_8_bits_do_not_hold_stay_in_float(tmp_path: Path) -> None:
    plain = onnx.load(net(tmp_path / "net.onnx"))
    rough = onnx.load(quantised(tmp_path / "q.onnx"))
    weight = next(t for t in plain.graph.initializer if t.name == "w2")
    off = numpy_helper.to_array(weight) * np.float32(1.05)  # as if rounded by 5 percent
    weight.CopyFrom(numpy_helper.from_array(off, "w2"))
    made, kept = with_ranges(rough, plain, {}, ["logits"])
    assert kept == ("second",)
    stored = {t.name: numpy_helper.to_array(t) for t in made.graph.initializer}
    assert np.array_equal(stored["w2"], off)
    assert {"w1_q", "w3_q"} <= stored.keys()
    assert [site.name for site in sites_of(made)] == ["x", "a", "b", "grown"]


def test_layers_with_weights_are_counted(tmp_path: Path) -> None:
    assert weighted_layers(onnx.load(net(tmp_path / "net.onnx"))) == 3
    assert weighted_layers(onnx.load(quantised(tmp_path / "q.onnx"))) == 3
