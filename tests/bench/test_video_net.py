from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from cleancut.backends import ort
from cleancut.bench import video_net
from cleancut.catalog import ModelSpec, find
from cleancut.models.load import Placing, load
from cleancut.models.recurrent import first_memory
from cleancut.weights import rvm
from tests.weights.tiny_rvm import net


@pytest.fixture
def row(tmp_path: Path) -> ModelSpec:
    """The row of rvm with a network of four convolutions."""
    random = np.random.default_rng(3)
    kernel = random.standard_normal((3, 3, 3, 4)).astype(np.float32) * 0.3
    made = net(kernel, random.standard_normal((3, 3, 4, 1)).astype(np.float32) * 0.3)
    rvm.to_onnx(*made.save(tmp_path), tmp_path / "rvm.onnx")
    return replace(find("rvm"), path=tmp_path / "rvm.onnx")


def test_the_graph_in_one_piece_says_what_the_model_says(row: ModelSpec, tmp_path: Path) -> None:
    assert row.path is not None
    path = video_net.whole_graph(row.path, tmp_path / "whole.onnx", 64, 96, ratio=0.5)
    whole = ort.open_session(path, device="cpu")
    model = load(row, Placing(backend="ort")).at_ratio(0.5)  # type: ignore[attr-defined]
    noise = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    frame = np.repeat(np.repeat(noise, 2, axis=0), 2, axis=1)  # however it is shrunk, it is this
    source = np.ascontiguousarray(frame.transpose(2, 0, 1), np.float32)[None] / np.float32(255)
    answer = whole.run({"src": source, **first_memory(32, 48)})
    prediction = model.predict(frame)
    assert np.ptp(prediction.alpha) > 0.2
    assert np.abs(prediction.alpha - answer["pha"][0, 0]).max() < 2e-3
    soft = cv2.inRange(prediction.alpha, 0.01, 0.99) > 0
    assert soft.mean() > 0.1
    theirs = answer["fgr"][0].transpose(1, 2, 0) * 255
    assert np.abs(prediction.foreground[soft] - theirs[soft]).max() < 1.5


def test_every_side_is_timed_in_turns(row: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_net, "find", lambda _: row)
    figures = video_net.time_net(runs=2, height=48, width=80)
    assert figures[0].side == "cleancut auto"
    assert {figure.side for figure in figures} == {"cleancut auto", "cleancut", "one graph"}
    assert all(figure.ms >= figure.fastest_ms > 0 and figure.runs == 2 for figure in figures)
