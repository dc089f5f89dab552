"""The plugin in napari's own model and Qt, without a window: layers in, layers out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.utils.notifications import notification_manager
from napari_cleancut import widget as module
from napari_cleancut.layers import guidance_of, picture_of, points_in
from napari_cleancut.widget import RemoveBackground, add_strokes
from npe2 import PluginManager, PluginManifest
from qtpy.QtWidgets import QApplication

APP = QApplication.instance() or QApplication([])


def wait_for(done: Callable[[], bool], seconds: float = 60) -> int:
    """Let Qt work until ``done``; how many times it came round."""
    rounds, end = 0, time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "nothing happened"
        APP.processEvents()
        time.sleep(0.005)
        rounds += 1
    return rounds


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No models but the one in the package, no settings of the machine's."""
    monkeypatch.setenv("CLEANCUT_HOME", str(tmp_path))
    monkeypatch.setenv("CLEANCUT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def viewer() -> ViewerModel:
    notification_manager.records.clear()
    return ViewerModel()


@pytest.fixture
def disc() -> Any:
    y, x = np.mgrid[:96, :128]
    edge = np.clip(30 - np.hypot(y - 48, x - 64) + 0.5, 0, 1)
    return np.repeat((edge * 255).astype(np.uint8)[..., None], 3, axis=2)


@pytest.fixture
def panel(viewer: ViewerModel, disc: Any) -> RemoveBackground:
    viewer.add_image(disc, rgb=True, name="disc", scale=(2, 2), translate=(10, 20))
    panel = RemoveBackground(napari_viewer=viewer)  # as napari calls it
    panel.model.choices = ["echo"]
    return panel


def test_the_manifest_is_valid_and_leads_somewhere() -> None:
    manifest = PluginManifest.from_distribution("napari-cleancut")
    manifest.validate_imports()
    commands = {command.id for command in manifest.contributions.commands}
    assert {widget.command for widget in manifest.contributions.widgets} <= commands
    manager = PluginManager()
    manager.register(manifest)
    assert manager.get_manifest("napari-cleancut.remove_background") is manifest


def test_a_cutout_becomes_layers_in_the_images_place(
    panel: RemoveBackground, viewer: ViewerModel
) -> None:
    panel.result.value = "Both"
    panel.start()
    assert not panel.button.enabled
    wait_for(lambda: panel.button.enabled)
    cutout, subject = viewer.layers["disc cutout"], viewer.layers["disc subject"]
    assert cutout.rgb
    assert cutout.data.shape == (96, 128, 4)
    for layer in (cutout, subject):
        assert layer.scale.tolist() == [2, 2]
        assert layer.translate.tolist() == [10, 20]
    assert (subject.data[48, 64], subject.data[5, 5]) == (1, 0)
    assert "echo" in panel.status.value


def test_the_viewer_lives_while_it_works(
    panel: RemoveBackground, viewer: ViewerModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, real = threading.Event(), module.engine()

    class Slow:
        def cutout(self, *args: Any, **options: Any) -> Any:
            assert threading.current_thread() is not threading.main_thread()
            assert held.wait(60)
            return real.cutout(*args, **options)

    monkeypatch.setattr(module, "engine", Slow)
    panel.start()
    end = time.monotonic() + 0.5
    rounds = wait_for(lambda: time.monotonic() > end)
    assert rounds > 10, "the event loop stood still"
    assert not panel.button.enabled
    held.set()
    wait_for(lambda: panel.button.enabled)
    assert "disc cutout" in viewer.layers


def test_strokes_and_points_have_their_say(
    panel: RemoveBackground, viewer: ViewerModel, disc: Any
) -> None:
    image = viewer.layers["disc"]
    image.data = np.maximum(np.roll(disc, -32, axis=1), np.roll(disc, 32, axis=1))
    panel.result.value = "Labels"
    panel.start()
    wait_for(lambda: panel.button.enabled)
    strokes = add_strokes(viewer, image)
    assert strokes is not None
    strokes.data[40:56, 20:40] = 2
    panel.strokes.value = strokes
    panel.start()
    wait_for(lambda: panel.button.enabled)
    before, after = (viewer.layers[name].data for name in ("disc subject", "disc subject [1]"))
    assert (before[48, 32], before[48, 96]) == (1, 1)
    assert (after[48, 32], after[48, 96]) == (0, 1)


def test_points_are_read_in_the_images_pixels(viewer: ViewerModel, disc: Any) -> None:
    image = viewer.add_image(disc, rgb=True, scale=(2, 2), translate=(10, 20))
    points = viewer.add_points(np.array([[106.0, 148.0]]))
    assert points_in(points, image).tolist() == [[48, 64]]
    guidance = guidance_of((96, 128), keep=points_in(points, image))
    assert guidance is not None
    assert guidance.keep_points == [(64.5, 48.5)]
    assert guidance_of((96, 128), np.zeros((96, 128), int), np.zeros((0, 2))) is None


def test_what_the_screen_shows_is_cut(viewer: ViewerModel) -> None:
    stack = np.arange(3 * 40 * 50, dtype=np.int32).reshape(3, 40, 50)
    image = viewer.add_image(stack, contrast_limits=(2000, 4000))
    viewer.dims.set_current_step(0, 1)
    plane = picture_of(image, viewer.dims.current_step)
    assert plane.shape == (40, 50)
    assert plane[0, 0] == 0
    assert plane[10, 0] == pytest.approx(0.25)
    colour = viewer.add_image(np.zeros((3, 40, 50, 3), np.uint16), rgb=True)
    assert picture_of(colour, viewer.dims.current_step).shape == (40, 50, 3)


@pytest.mark.filterwarnings("ignore:cleancut")
def test_errors_are_one_line_and_the_button_comes_back(panel: RemoveBackground) -> None:
    panel.model.choices = ["birefnet-massive"]
    panel.start()
    wait_for(lambda: panel.button.enabled)
    assert "cleancut models" in panel.status.value
    assert notification_manager.records[-1].message.startswith("cleancut: ")


@pytest.mark.filterwarnings("ignore:cleancut")
def test_strokes_of_another_size_are_refused(panel: RemoveBackground, viewer: ViewerModel) -> None:
    panel.strokes.value = viewer.add_labels(np.ones((10, 10), int))
    panel.start()
    assert "10 x 10" in panel.status.value
    assert panel.button.enabled
