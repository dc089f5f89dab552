"""Every runtime gives the same answers and the same errors for the same graph."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cleancut.backends import openvino as openvino_backend
from cleancut.backends import ort as ort_backend
from cleancut.backends.fake import FakeSession
from cleancut.errors import (
    BackendUnavailable,
    InferenceFailed,
    OutOfMemory,
    WeightsCorrupt,
    WeightsMissing,
)
from tests.backends import graphs

Open = Callable[..., Any]
RUNTIMES = {"ort": ort_backend, "openvino": openvino_backend}


@pytest.fixture(params=sorted(RUNTIMES))
def open_session(request: pytest.FixtureRequest) -> Open:
    return RUNTIMES[request.param].open_session


def convolve(picture: np.ndarray) -> np.ndarray:
    padded = np.pad(picture, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, graphs.weights(), optimize=True)


def test_both_outputs_equal_the_arithmetic(tmp_path: Path, open_session: Open) -> None:
    session = open_session(graphs.conv(tmp_path / "m.onnx"), device="cpu")
    answer = session.run({"picture": graphs.picture()})
    logits = convolve(graphs.picture())
    assert list(answer) == ["alpha", "logits"] == list(session.outputs)
    assert np.abs(answer["logits"] - logits).max() < 1e-4
    assert np.abs(answer["alpha"] - 1 / (1 + np.exp(-logits))).max() < 1e-4


def test_shapes_are_told_with_none_for_any_size(tmp_path: Path, open_session: Open) -> None:
    fixed = open_session(graphs.conv(tmp_path / "a.onnx"), device="cpu")
    free = open_session(graphs.conv(tmp_path / "b.onnx", size=None), device="cpu")
    assert fixed.inputs == {"picture": (1, 3, 16, 16)}
    assert free.inputs == {"picture": (1, 3, None, None)}


def test_any_size_runs_at_several_sizes(tmp_path: Path, open_session: Open) -> None:
    session = open_session(graphs.conv(tmp_path / "m.onnx", size=None), device="cpu")
    for height, width in ((16, 16), (9, 31), (40, 8), (16, 16)):
        picture = graphs.picture(height, width)
        answer = session.run({"picture": picture})["logits"]
        assert np.abs(answer - convolve(picture)).max() < 1e-4


@pytest.mark.parametrize("suffix", [".onnx", ".model"])
def test_only_the_wanted_output_comes_back(tmp_path: Path, open_session: Open, suffix: str) -> None:
    path = graphs.conv(tmp_path / f"m{suffix}")
    session = open_session(path, device="cpu", outputs=["logits"])
    answer = session.run({"picture": graphs.picture()})
    assert list(answer) == ["logits"]
    assert np.abs(answer["logits"] - convolve(graphs.picture())).max() < 1e-4


def test_outputs_come_in_the_order_asked_for(tmp_path: Path, open_session: Open) -> None:
    path = graphs.conv(tmp_path / "m.onnx")
    session = open_session(path, device="cpu", outputs=["logits", "alpha"])
    answer = session.run({"picture": graphs.picture()})
    assert list(answer) == ["logits", "alpha"]
    assert np.abs(answer["logits"] - convolve(graphs.picture())).max() < 1e-4


def test_an_unknown_output_is_refused_and_the_real_ones_named(
    tmp_path: Path, open_session: Open
) -> None:
    with pytest.raises(InferenceFailed, match="no output 'matte'") as caught:
        open_session(graphs.conv(tmp_path / "m.onnx"), device="cpu", outputs=["matte"])
    assert "alpha, logits" in caught.value.hint


def test_channels_last_is_left_as_it_is(tmp_path: Path, open_session: Open) -> None:
    session = open_session(graphs.nhwc(tmp_path / "m.onnx"), device="cpu")
    x = np.random.default_rng(3).random((1, 8, 8, 3), dtype=np.float32)
    assert np.abs(session.run({"x": x})["y"] - x.mean(3, keepdims=True)).max() < 1e-6


def test_a_cast_at_the_input_does_not_rename_it(tmp_path: Path, open_session: Open) -> None:
    session = open_session(graphs.half_inside(tmp_path / "m.onnx"), device="cpu")
    assert session.inputs == {"input": (1, 3, 8, 8)}
    answer = session.run({"input": graphs.picture(8, 8)})["output"]
    assert np.abs(answer - convolve(graphs.picture(8, 8))).max() < 0.05


def test_the_caller_owns_the_answer(tmp_path: Path, open_session: Open) -> None:
    session = open_session(graphs.conv(tmp_path / "m.onnx"), device="cpu")
    first = session.run({"picture": graphs.picture()})["logits"]
    kept = first.copy()
    session.run({"picture": graphs.picture() * 5})
    assert np.array_equal(first, kept)
    first[:] = 0  # writable


def test_feeds_are_not_changed_and_may_be_strided(tmp_path: Path, open_session: Open) -> None:
    session = open_session(graphs.conv(tmp_path / "m.onnx"), device="cpu")
    picture = np.asfortranarray(graphs.picture())
    before = picture.copy()
    answer = session.run({"picture": picture})["logits"]
    assert np.array_equal(picture, before)
    assert np.abs(answer - convolve(before)).max() < 1e-4


def test_many_threads_get_their_own_answers(tmp_path: Path, open_session: Open) -> None:
    session = open_session(graphs.conv(tmp_path / "m.onnx", size=None), device="cpu", threads=2)
    jobs = [graphs.picture(8 + i % 5, 9 + i % 3) * (1 + i) for i in range(120)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda job: session.run({"picture": job})["logits"], jobs))
    for job, answer in zip(jobs, answers, strict=True):
        assert np.allclose(answer, convolve(job), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    "feeds",
    [
        {},
        {"image": graphs.picture()},
        {"picture": graphs.picture(), "more": graphs.picture()},
        {"picture": graphs.picture()[0]},
        {"picture": graphs.picture(16, 17)},
        {"picture": graphs.picture().astype(np.float64)},
        {"picture": np.zeros((1, 3, 0, 16), np.float32)},
    ],
)
def test_wrong_feeds_are_refused_and_the_session_goes_on(
    tmp_path: Path, open_session: Open, feeds: dict[str, np.ndarray]
) -> None:
    session = open_session(graphs.conv(tmp_path / "m.onnx"), device="cpu")
    with pytest.raises(InferenceFailed):
        session.run(feeds)
    assert session.run({"picture": graphs.picture()})["alpha"].shape == (1, 4, 16, 16)


def test_a_wrong_size_is_told_in_plain_words(tmp_path: Path, open_session: Open) -> None:
    session = open_session(graphs.conv(tmp_path / "m.onnx"), device="cpu")
    with pytest.raises(InferenceFailed) as caught:
        session.run({"picture": graphs.picture(16, 17)})
    assert caught.value.message == (
        "input 'picture' takes 1x3x16x16 float32, got 1x3x16x17 float32"
    )


@pytest.mark.parametrize("damage", ["empty", "text", "half", "noise"])
def test_a_damaged_file_is_called_that(
    tmp_path: Path, open_session: Open, damage: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = graphs.conv(tmp_path / "m.onnx")
    whole = path.read_bytes()
    noise = np.random.default_rng(0).bytes(500)
    path.write_bytes(
        {"empty": b"", "text": b"import os\n" * 50, "half": whole[:-40], "noise": noise}[damage]
    )
    with pytest.raises(WeightsCorrupt, match=r"m\.onnx"):
        open_session(path, device="cpu")
    assert capfd.readouterr() == ("", "")


def test_a_missing_file_is_called_that(tmp_path: Path, open_session: Open) -> None:
    with pytest.raises(WeightsMissing):
        open_session(tmp_path / "none.onnx", device="cpu")


@pytest.mark.parametrize("precision", ["f16"])
def test_f16_on_a_processor_is_refused(tmp_path: Path, open_session: Open, precision: str) -> None:
    with pytest.raises(BackendUnavailable) as caught:
        open_session(graphs.conv(tmp_path / "m.onnx"), device="cpu", precision=precision)
    assert "--precision f32" in caught.value.hint


def test_the_placement_says_where_it_runs(tmp_path: Path, open_session: Open) -> None:
    session = open_session(graphs.conv(tmp_path / "m.onnx"), device="cpu", reason="because")
    assert (session.placement.device, session.placement.precision) == ("cpu", "f32")
    assert session.placement.provider.startswith("CPU")
    assert session.placement.reason == "because"


def test_running_out_of_memory_has_its_own_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = ort_backend.open_session(graphs.conv(tmp_path / "m.onnx"), device="cpu")

    class Exhausted:
        def run(self, *_: object) -> object:
            raise RuntimeError("BFCArena: Failed to allocate memory for requested buffer")

    monkeypatch.setattr(session, "native", Exhausted())
    with pytest.raises(OutOfMemory):
        session.run({"picture": graphs.picture()})


def test_the_fake_refuses_what_the_runtimes_refuse() -> None:
    session = FakeSession(
        lambda feeds: {"y": feeds["x"] * 2}, inputs={"x": (1, None)}, outputs=["y"]
    )
    assert np.array_equal(session.run({"x": np.ones((1, 4))})["y"], np.full((1, 4), 2.0))
    assert session.calls == 1
    for feeds in ({}, {"z": np.ones((1, 4))}, {"x": np.ones(4)}, {"x": np.ones((2, 4))}):
        with pytest.raises(InferenceFailed):
            session.run(feeds)


def test_a_fake_that_breaks_fails_as_a_runtime_does() -> None:
    session = FakeSession(lambda feeds: {"y": feeds["x"] / "a"}, inputs={"x": (1,)}, outputs=["y"])
    with pytest.raises(InferenceFailed, match="the function failed"):
        session.run({"x": np.ones(1)})
