"""What runs on a GPU, run on the processor: the same graphs, binding and batches."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from PIL import Image

from cleancut.backends import gpus, ort
from cleancut.backends.base import Placement
from cleancut.bench.pictures import fetch_demo_pictures
from cleancut.catalog import ModelSpec, Recipe, catalog, find
from cleancut.errors import InferenceFailed
from cleancut.models import load
from cleancut.models.on_device import DeviceModel
from cleancut.models.recipe import plan, prepare
from cleancut.models.saliency import SaliencyModel
from cleancut.weights.resolve import resolve
from tests.backends import graphs

CPU = Placement("ort", "cpu", "f32", "CPUExecutionProvider", "made for a test")
RECIPES = {name: catalog()[name].recipe for name in ("u2netp", "modnet", "selfie", "deeplabv3plus")}
#: Smaller and larger than each network, along one axis or both; twice its size, and many times.
SIZES = [(90, 70), (300, 700), (640, 640), (1100, 900), (1, 1), (1, 900), (3000, 7)]


def noisy(height: int, width: int, dtype: str = "uint8") -> NDArray[Any]:
    rng = np.random.default_rng(height + width)
    coarse = rng.random((height // 8 + 2, width // 8 + 2, 3), np.float32)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    floats = np.clip(smooth + rng.normal(0, 0.05, smooth.shape), 0, 1).astype(np.float32)
    if dtype == "float32":
        return floats
    return np.rint(floats * np.iinfo(dtype).max).astype(dtype)


def subject(height: int, width: int) -> NDArray[Any]:
    """A bright figure with a soft rim before a darker ground."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    distance = np.hypot((y - height / 2) / height, (x - width / 2) / width)
    alpha = np.clip((0.3 - distance) * 20, 0, 1)[:, :, None]
    ground = np.stack([60 + 60 * x / width, 90 + 30 * y / height, 80 + 0 * x], axis=2)
    figure = np.stack([230 - 60 * y / height, 180 + 0 * x, 60 + 100 * x / width], axis=2)
    return np.rint(alpha * figure + (1 - alpha) * ground).astype(np.uint8)


def session_of(spec: ModelSpec, *, batches: bool = True) -> ort.OrtSession:
    outputs = [spec.recipe.output] if spec.recipe.output else None
    return ort.open_session(resolve(spec).path, device="cpu", outputs=outputs, batches=batches)


@pytest.fixture(scope="module")
def nano() -> tuple[SaliencyModel, DeviceModel]:
    spec = find("nano")
    session = session_of(spec)
    return SaliencyModel(spec, session), DeviceModel(spec, session)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [*((name, "uint8") for name in RECIPES), ("u2netp", "uint16"), ("u2netp", "float32")],
)
def test_the_networks_input_is_the_processors_within_one_level(name: str, dtype: str) -> None:
    """A mean that lies half way between two levels may be rounded either way, and rarely is."""
    spec = catalog()[name]
    model = object.__new__(DeviceModel)
    model.spec = spec
    for height, width in SIZES:
        rgb = noisy(height, width, dtype)
        expected, window = prepare(rgb, spec.recipe)
        look = model._look(rgb, window)
        (found,) = ort.open_graph(look.graph, CPU).run(None, dict(look.feeds))
        assert found.shape == expected.shape == (1, *look.shape)
        levels = np.abs(found - expected) * min(spec.recipe.std) * 255
        assert levels.max() <= (1.001 if dtype == "uint8" else 0.05), (height, width)
        assert levels.mean() < 0.02, (height, width)


def test_what_goes_over_is_small() -> None:
    """Bytes, not floats; and of a large picture what averaging needs, not all of it."""
    model = object.__new__(DeviceModel)
    model.spec = catalog()["u2netp"]
    rgb = np.zeros((2560, 3840, 3), np.uint8)
    (picture,) = (
        feed
        for name, feed in model._look(rgb, plan(2560, 3840, model.spec.recipe)).feeds.items()
        if name == "picture"
    )
    assert picture.dtype == np.uint8
    assert picture.shape == (640, 960, 3)


def compare(processor: SaliencyModel, device: DeviceModel, rgb: NDArray[Any]) -> None:
    """Edges within a hundredth, but for single pixels where a level was rounded the other way."""
    expected, found = processor.predict(rgb).alpha, device.predict(rgb).alpha
    off = np.abs(found - expected)
    soft = (expected > 0.02) & (expected < 0.98)
    assert expected.max() > 0.9  # it has seen something
    assert off.max() < 0.05
    assert off.mean() < 1e-3
    assert np.percentile(off[soft], 99) < 1e-2


def test_mattes_are_the_processors(nano: tuple[SaliencyModel, DeviceModel]) -> None:
    for height, width in ((300, 200), (900, 700)):
        compare(*nano, subject(height, width))


def test_a_model_at_another_size_shares_runs(nano: tuple[SaliencyModel, DeviceModel]) -> None:
    _, device = nano
    recipe = replace(device.spec.recipe, resize="short-side", multiple_of=32)
    spec = replace(device.spec, recipe=recipe)
    model = DeviceModel(spec, device._device_session)
    smaller = load.sized(model, 160)
    assert isinstance(smaller, DeviceModel)
    assert smaller._batching is model._batching
    assert smaller.predict(subject(300, 300)).alpha.shape == (160, 160)


def test_pictures_of_many_sizes_and_threads_each_get_their_own_matte(tmp_path: Path) -> None:
    spec = replace(catalog()["u2netp"], recipe=Recipe(size=(16, 16), output="alpha"))
    session = ort.open_session(graphs.conv(tmp_path / "m.onnx"), device="cpu", batches=True)
    processor, device = SaliencyModel(spec, session), DeviceModel(spec, session)
    pictures = [noisy(20 + n, 50 - n) for n in range(40)]
    with ThreadPoolExecutor(8) as pool:
        found = [one.alpha for one in pool.map(device.predict, pictures)]
    for picture, alpha in zip(pictures, found, strict=True):
        assert np.abs(alpha - processor.predict(picture).alpha).max() < 0.05
    looks = [device._look(one, plan(*one.shape[:2], spec.recipe)) for one in pictures[:5]]
    together = device._batching._worker.run_many(looks)
    for look, raw in zip(looks, together, strict=True):
        np.testing.assert_allclose(device._batching._worker.run_many([look])[0], raw, atol=1e-6)


def classes_net(path: Path, layout: str) -> Path:
    """Class scores by a fixed mixture of the colours, at the picture's size."""
    mixture = np.random.default_rng(3).standard_normal((3, 5)).astype(np.float32)
    weights, shape = mixture, [1, 32, 32, 3]
    nodes = [helper.make_node("MatMul", ["picture", "w"], ["scores"])]
    out = [1, 32, 32, 5]
    if layout == "nchw":
        weights, shape, out = mixture.T.reshape(5, 3, 1, 1), [1, 3, 32, 32], [1, 5, 32, 32]
        nodes = [helper.make_node("Conv", ["picture", "w"], ["scores"])]
    ports = [graphs.value("picture", shape), graphs.value("scores", out)]  # type: ignore[arg-type]
    constants = [numpy_helper.from_array(np.ascontiguousarray(weights), "w")]
    return graphs.save(helper.make_graph(nodes, "c", ports[:1], ports[1:], constants), path)


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("activation", ["softmax", "none"])
def test_classes_are_summed_where_the_network_runs(
    tmp_path: Path, layout: str, activation: str
) -> None:
    recipe = Recipe(
        size=(32, 32),
        resize="letterbox",
        layout=layout,
        activation=activation,
        classes=(1, 4),  # type: ignore[arg-type]
    )
    spec = replace(catalog()["deeplabv3plus"], recipe=recipe)
    session = ort.open_session(classes_net(tmp_path / "m.onnx", layout), device="cpu", batches=True)
    processor, device = SaliencyModel(spec, session), DeviceModel(spec, session)
    rgb = noisy(40, 90)
    expected, found = processor.predict(rgb).alpha, device.predict(rgb).alpha
    assert found.shape == expected.shape == (14, 32)
    np.testing.assert_allclose(found, expected, atol=1e-2)
    assert device.class_scores(rgb).shape == (5, 32, 32)


def test_a_class_that_the_network_does_not_have_is_an_error(tmp_path: Path) -> None:
    recipe = Recipe(size=(32, 32), activation="softmax", classes=(7,))
    spec = replace(catalog()["deeplabv3plus"], recipe=recipe)
    session = ort.open_session(classes_net(tmp_path / "m.onnx", "nchw"), device="cpu")
    with pytest.raises(InferenceFailed):
        DeviceModel(spec, session).predict(noisy(40, 40))


def test_only_a_session_on_a_gpu_is_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = find("nano")
    session = session_of(spec, batches=False)
    monkeypatch.setattr(load, "open_session", lambda *_: session)
    assert type(load.load(spec)) is SaliencyModel
    session.placement = Placement("ort", "gpu", "tf32", "CUDAExecutionProvider", "pretended")
    session.memory = "cuda"
    assert type(load.load(spec)) is DeviceModel


def test_a_network_of_half_floats_is_fed_by_the_runtime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The graph before it makes float32, and places in a batch are counted in that."""
    spec = replace(catalog()["u2netp"], recipe=Recipe(size=(16, 16), output="alpha"))
    session = ort.open_session(graphs.conv(tmp_path / "m.onnx", half=True), device="cpu")
    monkeypatch.setattr(load, "open_session", lambda *_: session)
    session.placement = Placement("ort", "gpu", "f32", "CUDAExecutionProvider", "pretended")
    session.memory = "cuda"
    model = load.load(spec)
    assert type(model) is SaliencyModel
    wanted = ort.open_session(graphs.conv(tmp_path / "whole.onnx"), device="cpu")
    rgb = noisy(40, 30)
    off = model.predict(rgb).alpha - SaliencyModel(spec, wanted).predict(rgb).alpha
    assert np.abs(off).max() < 5e-3


@pytest.mark.weights
@pytest.mark.slow
@pytest.mark.usefixtures("real_models")
@pytest.mark.parametrize("name", ["u2netp", "modnet"])
def test_real_networks_answer_as_on_the_processor(name: str, tmp_path: Path) -> None:
    spec = find(name)
    session = session_of(spec, batches=False)
    processor, device = SaliencyModel(spec, session), DeviceModel(spec, session)
    for path in fetch_demo_pictures(tmp_path):
        with Image.open(path) as image:
            compare(processor, device, np.asarray(image.convert("RGB")))


@pytest.mark.weights
@pytest.mark.slow
@pytest.mark.usefixtures("real_models")
@pytest.mark.parametrize("name", ["u2netp", "cleancut-nano"])
def test_three_at_once_are_answered_as_one_by_one(name: str) -> None:
    spec = catalog()[name]
    session = session_of(spec)
    feeds = np.concatenate(
        [prepare(subject(h, w), spec.recipe)[0] for h, w in ((200, 300), (400, 250), (320, 320))]
    )
    (port,) = session.inputs
    assert session.inputs[port][0] is None
    output = session.outputs[0]
    together = session.run({port: feeds})[output]
    for index in range(3):
        alone = session.run({port: feeds[index : index + 1]})[output]
        assert np.abs(together[index : index + 1] - alone).max() < 1e-3


@pytest.mark.gpu
@pytest.mark.skipif(not gpus.driver().gpus, reason="no NVIDIA GPU here: the kernels are not tested")
def test_a_real_gpu_answers_as_the_processor(nano: tuple[SaliencyModel, DeviceModel]) -> None:
    model = load.load(find("nano"), load.Placing(backend="ort", device="gpu", precision="f32"))
    assert isinstance(model, DeviceModel)
    assert model.placement.provider == "CUDAExecutionProvider"
    pictures = [subject(300 + 50 * n, 400) for n in range(12)]
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(model.predict, pictures))
    for picture in pictures:
        compare(nano[0], model, picture)
