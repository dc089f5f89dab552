"""Cameras through FFmpeg's devices: v4l2 on Linux, AVFoundation on macOS, DirectShow on Windows."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from cleancut.errors import BackendUnavailable, BadOption, CleancutError, InputNotFound
from cleancut.extras import extra
from cleancut.video.frame import Frame, VideoInfo

if TYPE_CHECKING:
    from av import VideoStream
    from av.container import InputContainer

PREFIX = "camera:"
#: Seconds that a camera may take to open, and to give its next frame.
PATIENCE_S = 10.0
_DEVICES = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}
_SIZE = (1280, 720)
_RATE = Fraction(30)


def is_camera(source: str) -> bool:
    """Whether ``source`` names a camera: ``camera:0``, ``camera:/dev/video2``, ``camera:NAME``."""
    return source == "camera" or source.startswith(PREFIX)


def open_camera(
    source: str, *, size: tuple[int, int] | None = None, rate: Fraction | None = None
) -> Camera:
    """The camera that ``source`` names, by number from 0, by path or by its name.

    ``size`` is width and height (1280 x 720 without it) and ``rate`` frames a second (30); a camera
    that has neither gives what comes next, and says so in its notes. Raises ``BadOption``,
    ``InputNotFound``, ``BackendUnavailable``, ``MissingDependency``.
    """
    with extra("camera"):
        import av

    kind = _DEVICES.get(sys.platform, "v4l2")
    name = device_name(source, kind)
    wanted = {
        "video_size": "{}x{}".format(*(size or _SIZE)),
        "framerate": str(float(rate or _RATE)),
    }
    # Raw frames of that size are often more than the cable takes at full rate.
    tries = [{**wanted, "input_format": "mjpeg"}] if kind == "v4l2" else []
    tries += [wanted, {"framerate": wanted["framerate"]}, {}]
    problem: Exception | None = None
    for options in tries:
        try:
            container = av.open(
                name, format=kind, options=options, timeout=(PATIENCE_S, PATIENCE_S)
            )
        except (FileNotFoundError, PermissionError) as error:
            raise _no_camera(name, error) from error
        except (OSError, ValueError) as error:
            problem = problem or error
            continue
        return Camera(container, asked=size)
    assert problem is not None
    raise _no_camera(name, problem) from problem


def device_name(source: str, kind: str) -> str:
    """What FFmpeg's device ``kind`` calls the camera ``source``. Raises ``BadOption``."""
    name = source.removeprefix("camera").removeprefix(":").strip() or "0"
    if "\0" in name or len(name) > 500:
        raise BadOption("the camera's name is no name", hint="like camera:0")
    if kind == "v4l2":
        if name.isdecimal():
            return f"/dev/video{int(name)}"
        if not name.startswith("/dev/"):
            raise BadOption(
                f"camera {name!r} is neither a number nor a device",
                hint="like camera:0 or camera:/dev/video2; list them: ls /dev/video*",
            )
        return name
    if kind != "dshow":
        return name
    if not name.isdecimal():
        return f"video={name}"
    names = _names(kind)
    if int(name) >= len(names):
        known = ", ".join(f"camera:{found}" for found in names) or "none is connected"
        raise InputNotFound(f"there is no camera {name}", hint=f"cameras: {known}")
    return f"video={names[int(name)]}"


def _names(kind: str) -> list[str]:
    with extra("camera"):
        import av
        from av.device import enumerate_input_devices
    try:
        found = enumerate_input_devices(kind)
    except (av.error.FFmpegError, ValueError):
        return []
    return [device.name for device in found if "video" in device.media_types]


class Camera:
    """A camera, or any container that is open, as frames in the order they come."""

    def __init__(self, container: InputContainer, *, asked: tuple[int, int] | None = None) -> None:
        self._container = container
        if not container.streams.video:
            container.close()
            raise BackendUnavailable("the camera gives no pictures", hint="try another camera")
        stream: VideoStream = container.streams.video[0]
        self._stream = stream
        width, height = stream.codec_context.width, stream.codec_context.height
        notes: tuple[str, ...] = ()
        if asked is not None and asked != (width, height):
            notes = (f"camera_size: the camera gives {width}x{height}, not {asked[0]}x{asked[1]}",)
        self.info = VideoInfo(
            kind="camera",
            width=width,
            height=height,
            time_base=stream.time_base or Fraction(1, 1_000_000),
            rate=stream.average_rate or stream.guessed_rate or _RATE,
            container=container.format.name,
            codec=stream.codec_context.name,
            notes=notes,
        )

    def frames(self) -> Iterator[Frame]:
        """Frames as they come, (H, W, 3) uint8 each. Raises ``InputNotFound`` when it goes away."""
        import av

        from cleancut.video.pixels_in import PixelReader, layout_of, tags_of

        reader: PixelReader | None = None
        count = 0
        try:
            for decoded in self._container.decode(self._stream):
                if reader is None:
                    layout, _ = layout_of(decoded, tags_of(decoded), self.info.codec)
                    reader = PixelReader(layout)
                rgb, _ = reader.read(decoded)
                yield Frame(count if decoded.pts is None else decoded.pts, rgb, rgb)
                count += 1
        except (av.error.FFmpegError, OSError) as error:
            raise InputNotFound(
                f"the camera stopped: {_said(error)}", hint="check its cable, then start again"
            ) from error

    def close(self) -> None:
        """Release the device."""
        self._container.close()


def _no_camera(name: str, error: Exception) -> CleancutError:
    if isinstance(error, PermissionError):
        return InputNotFound(
            f"the camera {name} may not be used", hint='run: sudo usermod -aG video "$USER"'
        )
    if isinstance(error, FileNotFoundError):
        how = "list them: ls /dev/video*" if name.startswith("/dev/") else "connect it"
        return InputNotFound(f"there is no camera {name}", hint=f"is it connected? {how}")
    if isinstance(error, ValueError) and not isinstance(error, OSError):
        return BackendUnavailable(
            f"this build of PyAV cannot use cameras: {_said(error)}",
            hint="run: pip install --force-reinstall av",
        )
    return InputNotFound(
        f"the camera {name} cannot be opened: {_said(error)}",
        hint="close other programs that use it",
    )


def _said(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)[:200]
