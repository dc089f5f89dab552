"""From a matte to the frame that is written: edge, colours, and what stands behind."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from cleancut.arrays import full_scale
from cleancut.compose.background import over, over_colour
from cleancut.imaging.encode import quantise
from cleancut.matting.foreground import estimate_foreground
from cleancut.options import parse_background
from cleancut.pipeline import edged
from cleancut.video.behind import open_behind
from cleancut.video.frame import ColourTags, Frame

if TYPE_CHECKING:
    from types import TracebackType

    from cleancut.arrays import Alpha, Rgb
    from cleancut.options import Options
    from cleancut.video.frame import VideoInfo
    from cleancut.video.mattes import Matted
    from cleancut.video.options import VideoOptions

#: Greys of the checkerboard that stands for transparency, and how many squares are a frame's side.
_LIGHT, _DARK, _SQUARES = 255, 204, 40
#: A matte's colours: BT.709 in all, limited range.
_GREY = ColourTags(primaries=1, transfer=1, matrix=1)


class Dresser:
    """Makes frames to be written of mattes; for one thread, and frames in any order of time.

    Opens what ``options.background`` names, so it has to be closed, or be used in a ``with``.
    Raises ``BadOption``, ``InputNotFound`` and the errors of that picture or video.
    """

    def __init__(self, options: Options, video: VideoOptions, info: VideoInfo) -> None:
        self._options = options
        self._video = video
        self._source = info
        self._hdr = info.colour if info.colour.hdr else None
        self._start_s = video.start_s or 0.0
        wanted = parse_background(options.background)
        self._tint = wanted if wanted and wanted.colour and wanted.opacity < 1 else None
        self._behind = None if video.matte_only else open_behind(options)
        self._boards: dict[object, Rgb] = {}

    @property
    def alpha(self) -> bool:
        """Whether its frames are transparent."""
        video = self._video
        return self._behind is None and not (video.matte_only or video.side_by_side)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of its frames."""
        width = self._source.width * (2 if self._video.side_by_side else 1)
        return width, self._source.height

    @property
    def info(self) -> VideoInfo:
        """What is known about the video that its frames make: size, colours, transparency."""
        width, height = self.size
        colour = _GREY if self._video.matte_only else self._source.colour
        return replace(
            self._source, width=width, height=height, colour=colour, has_alpha=self.alpha
        )

    def dress(self, matted: Matted) -> Frame:
        """The frame to be written: straight colours and alpha, or opaque with alpha None.

        It has the type of the source's pixels, and a view for forms with 8 bits. Colours under
        alpha 0 are the source's.
        """
        frame = matted.frame
        alpha = edged(frame.rgb, matted.alpha, self._options)
        if self._video.matte_only:
            rgb = _grey_pixels(quantise(alpha, 8 * frame.rgb.dtype.itemsize))
            return replace(frame, rgb=rgb, view=_view(rgb), alpha=None)
        ours = alpha is not matted.alpha or not self._options.decontaminate
        ready = None if ours else matted.foreground
        rgb, shown = self._dressed(frame, frame.rgb, ready, alpha, self._hdr)
        if self._hdr is None:
            return replace(frame, rgb=rgb, view=_view(rgb), alpha=shown)
        # Tone mapped, colours mix otherwise: what 8 bits show is made of the view.
        view, _ = self._dressed(frame, frame.view, None, alpha, None)
        return replace(frame, rgb=rgb, view=view, alpha=shown)

    def close(self) -> None:
        """Let go of the background."""
        if self._behind is not None:
            self._behind.close()

    def __enter__(self) -> Dresser:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _dressed(
        self,
        frame: Frame,
        pixels: Rgb,
        foreground: Rgb | None,
        alpha: Alpha,
        hdr: ColourTags | None,
    ) -> tuple[Rgb, Alpha | None]:
        """Colours and alpha of ``pixels``, which are the frame's or its view's."""
        if foreground is None:
            foreground = pixels
            if self._options.decontaminate:
                foreground = estimate_foreground(pixels, alpha, quick=True)
        if self._behind is not None:
            seconds = self._source.seconds(frame.pts) - self._start_s
            back = self._behind.at(pixels, alpha, seconds, hdr)
            out, shown = over(foreground, alpha, back), None
        else:
            out, shown = foreground, alpha
            if self._tint is not None and self._tint.colour is not None:
                out, shown = over_colour(out, alpha, self._tint.colour, self._tint.opacity)
        if not self._video.side_by_side:
            return out, shown
        left = pixels
        if shown is not None or frame.alpha is not None:
            board = self._board(pixels)
            left = left if frame.alpha is None else over(left, frame.alpha, board)
            out = out if shown is None else over(out, shown, board)
        both: Any = cv2.hconcat([left, out])
        return both, None

    def _board(self, like: Rgb) -> Rgb:
        key = (like.shape, like.dtype.name)
        if key not in self._boards:
            self._boards = {key: checkerboard(like)}
        return self._boards[key]


def checkerboard(like: Rgb) -> Rgb:
    """Squares of two light greys, of the size and type of ``like``."""
    height, width = like.shape[:2]
    square = max(4, max(height, width) // _SQUARES)
    odd = (np.arange(height)[:, None] // square + np.arange(width) // square) % 2
    step = full_scale(like) // 255
    return _grey_pixels(np.where(odd, _DARK * step, _LIGHT * step).astype(like.dtype))


def _grey_pixels(plane: Any) -> Rgb:
    grey: Any = cv2.merge([plane, plane, plane])
    pixels: Rgb = grey
    return pixels


def _view(rgb: Rgb) -> Any:
    return rgb if rgb.dtype == np.uint8 else cv2.convertScaleAbs(rgb, alpha=1 / 257)
