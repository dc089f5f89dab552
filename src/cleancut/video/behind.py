"""What stands behind the subject of a video: a colour, a picture, another video, or a blur."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np

from cleancut.compose.background import blurred, cover
from cleancut.errors import InputError, InputNotFound
from cleancut.imaging.color import to_srgb
from cleancut.imaging.encode import quantise
from cleancut.options import parse_background
from cleancut.sources import Backdrops
from cleancut.video.into_hdr import into_hdr

if TYPE_CHECKING:
    from cleancut.arrays import Alpha, Rgb
    from cleancut.options import Background, Options
    from cleancut.video.frame import ColourTags, Frame
    from cleancut.video.reading import VideoReader

#: Files of these names are played as backgrounds, others are pictures.
VIDEO_NAME = re.compile(
    r".*\.(mp4|m4v|mov|mkv|webm|avi|mpe?g|m?ts|m2ts|wmv|flv|ogv|3gp|mxf|nut|gif|apng)",
    re.IGNORECASE,
)
#: A blur needs so many pixels of standard deviation where it is made, and so large a picture.
_BLUR_SIGMA, _BLUR_LEAST_PX = 3.0, 160
#: How far before a time the background's frame for it is looked for first, in seconds.
_BEFORE_S = 2.0


class Behind(Protocol):
    """The background of every frame; one of its own for each thread."""

    def at(self, pixels: Rgb, alpha: Alpha, seconds: float, hdr: ColourTags | None) -> Rgb:
        """The background for ``pixels`` ((H, W, 3), uint8 or uint16), of their size and type.

        ``alpha`` is the subject's matte and ``seconds`` the time since the result's first frame.
        ``hdr`` are the colours of ``pixels`` where those are HDR, else they are sRGB-like. The
        answer is not to be written to.
        """
        ...

    def close(self) -> None:
        """Let go of what is open."""
        ...


def open_behind(options: Options) -> Behind | None:
    """What ``options.background`` names; None for transparency, and for colours that let through.

    Raises ``InputNotFound`` and the errors of the picture or video.
    """
    wanted = parse_background(options.background)
    if wanted is None or (wanted.colour is not None and wanted.opacity < 1):
        return None
    if wanted.colour is not None:
        return Still(np.array([[wanted.colour]], np.uint8))
    if wanted.path is None:
        return Blur(wanted)
    path = Path(wanted.path)
    if not path.exists():
        raise InputNotFound(f"--background: no such file: {wanted.path}", hint="check the path")
    if path.is_dir() or VIDEO_NAME.fullmatch(path.name):
        try:
            return Moving(path, options.max_megapixels)
        except InputError as error:
            if path.suffix.lower() not in (".gif", ".apng"):
                raise type(error)(f"--background {error.message}", hint=error.hint) from error
    picture = Backdrops(keep=False).read(wanted, options.max_megapixels)
    assert picture is not None
    return Still(quantise(to_srgb(picture.rgb, picture.icc), 8))


class Still:
    """A picture, (h, w, 3) uint8 sRGB, that covers the frame; one pixel of it is a plain colour."""

    def __init__(self, rgb: Rgb) -> None:
        self._rgb = rgb
        self._fitted: dict[object, Rgb] = {}

    def at(self, pixels: Rgb, alpha: Alpha, seconds: float, hdr: ColourTags | None) -> Rgb:  # noqa: ARG002
        """The same for every frame of a size and type."""
        key = (pixels.shape, pixels.dtype.name, hdr)
        if key not in self._fitted:
            if len(self._fitted) >= 4:  # frames of ever new sizes
                self._fitted.clear()
            self._fitted[key] = fitted(self._rgb, pixels, hdr)
        return self._fitted[key]

    def close(self) -> None:
        """Nothing is open."""


class Moving:
    """Another video, in its own time, from its beginning again where it is shorter.

    Its frame at a time depends on that time alone, so parts of a video may be made apart.
    """

    def __init__(self, path: Path, max_megapixels: float) -> None:
        from cleancut.video.reading import open_video

        self._reader: VideoReader = open_video(path, max_megapixels=max_megapixels)
        self._length = self._reader.info.duration_s or self._measured()
        self._frames: Iterator[Frame] = iter(())
        self._now: Frame | None = None
        self._next: Frame | None = None
        self._fitted: tuple[object, Rgb] | None = None

    def at(self, pixels: Rgb, alpha: Alpha, seconds: float, hdr: ColourTags | None) -> Rgb:  # noqa: ARG002
        """The frame that is shown at ``seconds``, as pictures are."""
        frame = self._shown(max(0.0, seconds) % self._length if self._length > 0 else 0.0)
        key = (frame.pts, pixels.shape, pixels.dtype.name, hdr)
        if self._fitted is None or self._fitted[0] != key:
            self._fitted = key, fitted(frame.view, pixels, hdr)
        return self._fitted[1]

    def close(self) -> None:
        """Close the file."""
        self._frames = iter(())
        self._reader.close()

    def _shown(self, seconds: float) -> Frame:
        """The last frame that begins no later than ``seconds``; the first where there is none."""
        info = self._reader.info
        pts = info.pts_at(seconds)
        ahead = _BEFORE_S / float(info.time_base)
        if self._now is None or not self._now.pts <= pts < self._now.pts + ahead:
            self._begin(info.pts_at(max(0.0, seconds - _BEFORE_S)))
            if self._now is None or self._now.pts > pts:
                self._begin(None)
        while self._next is not None and self._next.pts <= pts:
            self._now, self._next = self._next, next(self._frames, None)
        assert self._now is not None
        return self._now

    def _begin(self, start: int | None) -> None:
        self._frames = self._reader.frames(start)
        self._now = next(self._frames, None)
        self._next = next(self._frames, None)

    def _measured(self) -> float:
        """Length in seconds of a file that does not say it."""
        info, last, gap = self._reader.info, None, 1
        for frame in self._reader.frames():
            gap = frame.duration or (gap if last is None else frame.pts - last)
            last = frame.pts
        return 0.0 if last is None else info.seconds(last + gap)


class Blur:
    """The frame's own background out of focus."""

    def __init__(self, wanted: Background) -> None:
        self._wanted = wanted

    def at(self, pixels: Rgb, alpha: Alpha, seconds: float, hdr: ColourTags | None) -> Rgb:  # noqa: ARG002
        """As for pictures, from as few pixels as the blur allows."""
        height, width = alpha.shape
        longer = max(height, width)
        radius = self._wanted.blur_px or (self._wanted.blur_share or 0.0) * longer
        scale = max(_BLUR_SIGMA / max(radius, 0.3), _BLUR_LEAST_PX / longer)
        if scale >= 0.7:
            return blurred(pixels, alpha, radius)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        few: Any = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        coarse: Any = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
        soft = blurred(few, coarse, radius * scale)
        large: Any = cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR)
        blurry: Rgb = large
        return blurry

    def close(self) -> None:
        """Nothing is open."""


def fitted(rgb: Rgb, like: Rgb, hdr: ColourTags | None) -> Rgb:
    """``rgb`` (uint8 sRGB) covering the size of ``like``, in its type and colours; contiguous."""
    height, width = like.shape[:2]
    if rgb.shape[:2] == (1, 1):
        page: Any = np.broadcast_to(rgb, (height, width, 3))
    else:
        page = cover(rgb, height, width, rgb)
    if like.dtype == np.uint16:
        page = page.astype(np.uint16) * np.uint16(257) if hdr is None else into_hdr(page, hdr)
    pixels: Rgb = np.ascontiguousarray(page)
    return pixels
