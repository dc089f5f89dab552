from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cleancut.errors import BackendUnavailable, MissingDependency
from cleancut.video.camera_out import VirtualCamera, is_virtual_camera


def _package(monkeypatch: pytest.MonkeyPatch, make: Any) -> None:
    monkeypatch.setitem(sys.modules, "pyvirtualcam", SimpleNamespace(Camera=make))


def test_targets_may_name_a_device() -> None:
    assert is_virtual_camera("virtual-camera")
    assert is_virtual_camera("virtual-camera:/dev/video9")
    assert not is_virtual_camera("virtual-camera.mp4")


def test_frames_are_sent_and_the_device_is_released(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []

    def make(**asked: Any) -> Any:
        told.append(asked)
        return SimpleNamespace(
            device="/dev/video9", send=told.append, close=lambda: told.append("closed")
        )

    _package(monkeypatch, make)
    screen = VirtualCamera("virtual-camera:/dev/video9", size=(64, 48), rate=30.0)
    assert screen.device == "/dev/video9"
    frame = np.zeros((48, 64, 3), np.uint8)
    screen.send(frame)
    screen.close()
    assert told[0] == {"width": 64, "height": 48, "fps": 30.0, "device": "/dev/video9"}
    assert told[1] is frame
    assert told[2] == "closed"


@pytest.mark.parametrize(
    ("platform", "hint"), [("linux", "modprobe v4l2loopback"), ("darwin", "OBS"), ("win32", "OBS")]
)
def test_without_a_device_the_next_command_is_named(
    monkeypatch: pytest.MonkeyPatch, platform: str, hint: str
) -> None:
    def make(**asked: Any) -> Any:
        raise RuntimeError("'v4l2loopback' backend: No v4l2 loopback device\nfound")

    _package(monkeypatch, make)
    monkeypatch.setattr(sys, "platform", platform)
    with pytest.raises(BackendUnavailable, match="No v4l2 loopback device found") as caught:
        VirtualCamera("virtual-camera", size=(64, 48), rate=30.0)
    assert hint in caught.value.hint


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(MissingDependency) as caught:
        VirtualCamera("virtual-camera", size=(64, 48), rate=30.0)
    assert "cleancut[camera]" in caught.value.hint
