from __future__ import annotations

import sys
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from cleancut.errors import BackendUnavailable, BadOption, CleancutError, InputNotFound
from cleancut.video import camera_in
from cleancut.video.camera_in import Camera, device_name, is_camera, open_camera


def test_cameras_are_named_by_number_path_or_name() -> None:
    assert is_camera("camera:0")
    assert is_camera("camera")
    assert not is_camera("camera.mp4")
    assert device_name("camera:2", "v4l2") == "/dev/video2"
    assert device_name("camera", "v4l2") == "/dev/video0"
    assert device_name("camera:/dev/video3", "v4l2") == "/dev/video3"
    assert device_name("camera:1", "avfoundation") == "1"
    assert device_name("camera:FaceTime HD", "avfoundation") == "FaceTime HD"
    assert device_name("camera:Integrated Camera", "dshow") == "video=Integrated Camera"


@pytest.mark.parametrize("name", ["camera:foo", "camera:http://x", "camera:a\0b", "camera:../x"])
def test_on_linux_only_devices_are_opened(name: str) -> None:
    with pytest.raises(BadOption):
        device_name(name, "v4l2")


def test_windows_cameras_are_counted_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera_in, "_names", lambda kind: ["Front", "Back"])
    assert device_name("camera:1", "dshow") == "video=Back"
    with pytest.raises(InputNotFound) as caught:
        device_name("camera:2", "dshow")
    assert "camera:Front, camera:Back" in caught.value.hint


def test_frames_of_a_real_source_come_as_rgb_in_order() -> None:
    container = av.open(
        "color=c=0x20A0F0:size=64x48:rate=25:duration=0.2,format=yuyv422", format="lavfi"
    )
    camera = Camera(container, asked=(128, 96))
    try:
        assert (camera.info.kind, camera.info.width, camera.info.height) == ("camera", 64, 48)
        assert camera.info.rate == Fraction(25)
        assert camera.info.notes == ("camera_size: the camera gives 64x48, not 128x96",)
        frames = list(camera.frames())
    finally:
        camera.close()
    assert [frame.pts for frame in frames] == [0, 1, 2, 3, 4]
    assert frames[0].rgb.shape == (48, 64, 3)
    assert np.abs(frames[0].rgb.astype(int) - (0x20, 0xA0, 0xF0)).max() <= 6


def _opening(monkeypatch: pytest.MonkeyPatch, error: Exception, platform: str = "linux") -> Any:
    tried: list[dict[str, str]] = []

    def refuse(name: str, format: str, options: dict[str, str], timeout: Any) -> None:  # noqa: A002
        tried.append(options)
        raise error

    monkeypatch.setattr(av, "open", refuse)
    monkeypatch.setattr(sys, "platform", platform)
    return tried


@pytest.mark.parametrize(
    ("error", "kind", "hint"),
    [
        (FileNotFoundError(2, "No such file"), InputNotFound, "ls /dev/video"),
        (PermissionError(13, "denied"), InputNotFound, "usermod -aG video"),
        (OSError(16, "Device or resource busy"), InputNotFound, "close other programs"),
        (ValueError("no container format 'v4l2'"), BackendUnavailable, "pip install"),
    ],
)
def test_a_camera_that_cannot_be_opened_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[CleancutError], hint: str
) -> None:
    _opening(monkeypatch, error)
    with pytest.raises(kind) as caught:
        open_camera("camera:0")
    assert hint in caught.value.hint


def test_a_size_that_a_camera_does_not_have_is_asked_for_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = _opening(monkeypatch, OSError(22, "Invalid argument"))
    with pytest.raises(InputNotFound):
        open_camera("camera:0", size=(640, 360), rate=Fraction(15))
    assert [options.get("video_size") for options in tried] == ["640x360", "640x360", None, None]
    assert tried[0] == {"video_size": "640x360", "framerate": "15.0", "input_format": "mjpeg"}
