"""GIF, APNG and animated WebP as videos, frame by frame through Pillow."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import cv2
import numpy as np

from cleancut.errors import CleancutError, ImageTooLarge, OutOfMemory, UnreadableVideo
from cleancut.imaging.metadata import check_size, quiet_warnings
from cleancut.video.animation_scan import Animation, scan
from cleancut.video.frame import ColourTags, Frame, VideoInfo
from cleancut.video.reading import VideoReader, still_picture

if TYPE_CHECKING:
    from PIL.Image import Image

#: Frames times pixels may be this many times ``max_megapixels``: ten thousand of the largest.
_MOST_FRAMES = 10_000


def open_animation(path: Path, *, max_megapixels: float) -> AnimationReader:
    """Open a GIF, APNG or animated WebP; nothing is decoded but the first frame.

    Raises ``UnreadableVideo`` (a still picture, damaged), ``ImageTooLarge``.
    """
    try:
        found = scan(path)
    except OSError as error:
        raise UnreadableVideo(f"reading failed: {error.strerror or error}") from error
    if found is None:
        raise still_picture(path)
    if not found.durations:
        raise UnreadableVideo(
            f"the {found.format.upper()} is cut off before its first frame",
            hint="copy or download it again",
        )
    check_size(found.width, found.height, max_megapixels)
    total = found.width * found.height * len(found.durations) / 1e6
    if total > max_megapixels * _MOST_FRAMES:
        raise ImageTooLarge(
            f"{len(found.durations)} frames of {found.width} x {found.height} pixels are more than "
            f"an animation may have",
            hint="convert it to a video, or shrink it",
        )
    reader = AnimationReader(path, found, _info(found, found.transparent))
    if found.format == "gif":  # transparent where its first frame leaves pixels unset
        first = next(reader.frames(), None)
        if first is not None and first.alpha is not None and first.alpha.min() < 1:
            reader = AnimationReader(path, found, _info(found, transparent=True))
        elif not found.clears:
            reader = AnimationReader(path, found, _info(found, transparent=False))
    else:
        next(reader.frames(), None)
    return reader


def _info(found: Animation, transparent: bool) -> VideoInfo:
    total = sum(found.durations)
    seconds = total * found.time_base
    return VideoInfo(
        kind="animation",
        width=found.width,
        height=found.height,
        time_base=found.time_base,
        duration_s=float(seconds),
        frames=len(found.durations),
        rate=(len(found.durations) / seconds).limit_denominator(1001),
        has_alpha=transparent,
        colour=ColourTags(1, 13, 0, full_range=True),
        container=found.format,
        codec=found.format,
        repeats=found.repeats,
        seekable=False,
        notes=found.notes,
    )


class AnimationReader(VideoReader):
    """A ``VideoReader`` of an animation; every span is decoded from the first frame on."""

    def __init__(self, path: Path, found: Animation, info: VideoInfo) -> None:
        self._path = path
        self._found = found
        self._info = info
        self._notes: tuple[str, ...] = ()
        self._closed = False

    @property
    def info(self) -> VideoInfo:
        """See ``VideoReader``."""
        return self._info

    @property
    def notes(self) -> tuple[str, ...]:
        """See ``VideoReader``."""
        return (*self._info.notes, *self._notes)

    def frames(self, start: int | None = None, stop: int | None = None) -> Iterator[Frame]:
        """See ``VideoReader``."""
        durations = self._found.durations
        times = list(accumulate(durations, initial=0))
        at = 0
        with self._path.open("rb") as file:
            try:
                image = _image(file, self._found)
                for at, duration in enumerate(durations):
                    pts = times[at]
                    if self._closed or (stop is not None and pts >= stop):
                        return
                    if self._found.skips_first or at:
                        with quiet_warnings():
                            image.seek(at + self._found.skips_first)
                    if start is None or pts >= start:
                        yield self._frame(image, pts, duration)
            except (CleancutError, GeneratorExit):
                raise
            except MemoryError as error:
                raise OutOfMemory("not enough memory to decode the animation") from error
            except Exception as error:  # the seam to Pillow: a hostile file breaks it anywhere
                if at == 0:
                    raise UnreadableVideo(
                        f"the {self._found.format.upper()} is damaged: {error!s:.100}",
                        hint="open it in an image editor and save it again",
                    ) from error
                seconds = self._info.seconds(times[at])
                self._notes = (
                    f"truncated: the animation breaks off at {seconds:.1f} s; what is there was "
                    f"read",
                )

    def _frame(self, image: Image, pts: int, duration: int) -> Frame:
        with quiet_warnings():
            rgba: Any = np.asarray(image.convert("RGBA"))
        rgb = cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB)
        alpha = rgba[..., 3].astype(np.float32) / np.float32(255) if self._info.has_alpha else None
        return Frame(pts, rgb, rgb, alpha, duration)

    def close(self) -> None:
        """See ``VideoReader``."""
        self._closed = True


def _image(file: BinaryIO, found: Animation) -> Image:
    """The opened animation; ``UnreadableVideo`` where Pillow finds another size than was checked.

    The plugins are called by name, so that no other one is asked to make something of the file.
    """
    from PIL import GifImagePlugin, PngImagePlugin, WebPImagePlugin

    with quiet_warnings():
        if found.format == "gif":
            image: Image = GifImagePlugin.GifImageFile(file)
        elif found.format == "apng":
            image = PngImagePlugin.PngImageFile(file)
        else:
            image = WebPImagePlugin.WebPImageFile(file)
    if image.size != (found.width, found.height):
        raise UnreadableVideo(f"the {found.format.upper()} is damaged: it gives two sizes")
    return image
