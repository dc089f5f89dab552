"""A model for another runtime answers as the original does, and its card says how to run it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cleancut.catalog import find
from cleancut.errors import BadOption, InferenceFailed, MissingDependency, OutputNotWritable
from cleancut.mobile import export as export_module
from cleancut.mobile.export import export
from cleancut.models.load import load
from cleancut.optimize.scenes import scene
from tests.mobile.small import SIDE, network

PICTURES = [scene(number)[0] for number in (1, 2)]


def card(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


@pytest.mark.parametrize("to", ["onnx-web", "tflite"])
def test_every_operator_answers_as_in_onnx(tmp_path: Path, to: Any) -> None:
    spec = find(str(network(tmp_path / "small.onnx")))
    done = export(spec, tmp_path / "out", to=to, form="f32", pictures=PICTURES)
    assert done.mean is not None
    assert done.largest is not None
    assert done.mean < 1e-6
    assert done.largest < 1e-5


def test_a_core_ml_file_takes_an_image_and_gives_a_matte(tmp_path: Path) -> None:
    spec = find(str(network(tmp_path / "small.onnx")))
    done = export(spec, tmp_path, to="coreml", form="f32", pictures=PICTURES)
    assert (done.mean, done.largest) == (None, None)
    assert "not run" in done.runtime
    found = card(done.card)["read_back"]
    assert found["input"] == {"name": "picture", "height": SIDE, "width": SIDE}
    assert found["output"] == {"name": "alpha", "shape": [1, 1, SIDE, SIDE]}
    assert found["operators"]["resize_bilinear"] == 1
    assert found["operators"]["conv"] == 4
    assert card(done.card)["input"]["normalise"] == "inside"


def test_the_card_of_our_own_model_is_enough_to_run_it(tmp_path: Path) -> None:
    """Straight from the card's words, with nothing of ours but the picture."""
    import cv2
    import onnxruntime

    spec = find("cleancut-nano")
    done = export(spec, tmp_path, to="onnx-web", form="int8-weights", pictures=PICTURES[:1])
    told = card(done.card)
    data = (tmp_path / told["file"]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == told["sha256"] == done.sha256
    assert len(data) == told["bytes"] < 5.3e6
    assert "Apache License" in told["licence_text"]
    _, _, height, width = told["input"]["shape"]
    steps = told["input"]["normalise"]
    small = cv2.resize(PICTURES[0], (width, height), interpolation=cv2.INTER_AREA)
    feed = (small / np.float32(steps["divide_by"]) - steps["mean"]) / steps["std"]
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    feeds = {told["input"]["name"]: feed.astype(np.float32).transpose(2, 0, 1)[None]}
    (alpha,) = session.run([told["output"]["name"]], feeds)
    assert np.abs(alpha[0, 0] - load(spec).predict(PICTURES[0]).alpha).mean() < 5e-3


def test_our_own_model_as_tflite(tmp_path: Path) -> None:
    done = export(find("nano"), tmp_path, to="tflite", form="int8-weights", pictures=PICTURES)
    assert done.bytes < 4.4e6
    assert card(done.card)["input"]["shape"] == [1, 320, 320, 3]
    assert done.mean is not None
    assert done.mean < 2e-2


def test_nothing_is_written_where_the_answers_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = find(str(network(tmp_path / "small.onnx")))
    real = export_module._answers

    def off_by(path: Path, feeds: Any, output: str = "") -> Any:
        return [np.clip(one + 0.1 * (path.name == "model.onnx"), 0, 1) for one in real(path, feeds)]

    monkeypatch.setattr(export_module, "_answers", off_by)
    with pytest.raises(InferenceFailed, match="answers otherwise"):
        export(spec, tmp_path / "out", to="onnx-web", pictures=PICTURES)
    assert not (tmp_path / "out").exists()


def test_an_unknown_operator_is_named(tmp_path: Path) -> None:
    spec = find(str(network(tmp_path / "odd.onnx", odd="Softplus")))
    with pytest.raises(BadOption, match="Softplus") as refused:
        export(spec, tmp_path / "out", to="coreml", pictures=PICTURES)
    assert "onnx-web" in refused.value.hint
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_exported_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="not a network of one picture"):
        export(find("rvm"), tmp_path, to="tflite", pictures=PICTURES)
    with pytest.raises(BadOption, match="--size 100"):
        export(find("nano"), tmp_path, to="tflite", size=100, pictures=PICTURES)
    with pytest.raises(BadOption, match="one size only"):
        export(find("deeplabv3plus-portrait"), tmp_path, to="coreml", size=256, pictures=PICTURES)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputNotWritable):
        export(find("nano"), tmp_path / "file", to="onnx-web", pictures=PICTURES[:1])


def test_an_interrupted_export_leaves_the_earlier_folder_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, target = tmp_path / "made", tmp_path / "out" / "net.mlpackage"
    for folder in (made, target):
        folder.mkdir(parents=True)
        (folder / "weights").write_text(folder.name)

    def half(source: Path, to: Path) -> None:
        to.mkdir()
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(export_module.shutil, "copytree", half)
        with pytest.raises(KeyboardInterrupt):
            export_module._put(made, target)
    assert (target / "weights").read_text() == "net.mlpackage"
    assert list(target.parent.iterdir()) == [target]
    export_module._put(made, target)
    assert (target / "weights").read_text() == "made"


def test_without_the_extra_the_pip_line_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxslim", None)
    with pytest.raises(MissingDependency, match="onnxslim") as refused:
        export(find("nano"), tmp_path, to="tflite", pictures=PICTURES)
    assert refused.value.hint == "run: pip install 'cleancut[mobile]'"


def test_a_network_for_any_size_gets_one() -> None:
    recipe = replace(find("modnet").recipe)
    assert export_module.fixed(recipe, None).resize == "stretch"
    assert export_module.fixed(recipe, 384).size == (384, 384)
