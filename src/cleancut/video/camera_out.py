"""Virtual cameras through pyvirtualcam: what other programs see as a webcam."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from cleancut.errors import BackendUnavailable
from cleancut.extras import extra

if TYPE_CHECKING:
    from cleancut.arrays import Rgb

PREFIX = "virtual-camera"
_HINTS = {
    "linux": "run: sudo apt install v4l2loopback-dkms && sudo modprobe v4l2loopback devices=1 "
    "card_label=cleancut exclusive_caps=1",
    "darwin": "install OBS (brew install --cask obs), start its virtual camera once, then quit it",
    "win32": "install OBS (winget install OBSProject.OBSStudio): it brings a virtual camera",
}


def is_virtual_camera(target: str) -> bool:
    """Whether ``target`` is ``virtual-camera`` or ``virtual-camera:DEVICE``."""
    return target == PREFIX or target.startswith(f"{PREFIX}:")


class VirtualCamera:
    """A virtual camera that is open; frames are sent one by one."""

    def __init__(self, target: str, *, size: tuple[int, int], rate: float) -> None:
        """``size`` is width and height. Raises ``MissingDependency``, ``BackendUnavailable``."""
        with extra("camera"):
            import pyvirtualcam

        device = target.removeprefix(PREFIX).removeprefix(":") or None
        try:
            self._camera: Any = pyvirtualcam.Camera(
                width=size[0], height=size[1], fps=rate, device=device
            )
        except (RuntimeError, OSError, ValueError) as error:
            said = " ".join(str(error).split())
            name = f" {device}" if device else ""
            raise BackendUnavailable(
                f"there is no virtual camera{name} to send to: {said:.300}",
                hint=_HINTS.get(sys.platform, _HINTS["linux"]),
            ) from error
        self.device = str(self._camera.device)

    def send(self, rgb: Rgb) -> None:
        """Show ``rgb``, (H, W, 3) uint8 of the camera's size, from now on."""
        try:
            self._camera.send(rgb)
        except RuntimeError as error:
            raise BackendUnavailable(
                f"the virtual camera went away: {' '.join(str(error).split()):.200}",
                hint=_HINTS.get(sys.platform, _HINTS["linux"]),
            ) from error

    def close(self) -> None:
        """Release the device."""
        self._camera.close()
