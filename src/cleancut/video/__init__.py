"""Videos: steady mattes frame by frame, from anything FFmpeg reads into files with real alpha.

>>> from cleancut.video import cut
>>> for frame in cut(frames):  # doctest: +SKIP
...     show(frame.rgba)

Names are resolved on first use, so importing this loads no third-party package.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cleancut.video.cutting import CutFrame as CutFrame
    from cleancut.video.cutting import CutState as CutState
    from cleancut.video.cutting import cut as cut
    from cleancut.video.options import VideoOptions as VideoOptions
    from cleancut.video.order import VideoOrder as VideoOrder
    from cleancut.video.reading import open_video as open_video
    from cleancut.video.run import render_video as render_video

_HOMES = {
    "CutFrame": "cleancut.video.cutting",
    "CutState": "cleancut.video.cutting",
    "VideoOptions": "cleancut.video.options",
    "VideoOrder": "cleancut.video.order",
    "cut": "cleancut.video.cutting",
    "open_video": "cleancut.video.reading",
    "render_video": "cleancut.video.run",
}

__all__ = [
    "CutFrame",
    "CutState",
    "VideoOptions",
    "VideoOrder",
    "cut",
    "open_video",
    "render_video",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cleancut.video' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
