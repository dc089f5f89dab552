"""Numbered pictures as a video: a folder, a pattern such as ``frames/%05d.png``, or a glob."""

from __future__ import annotations

import glob
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from cleancut.errors import CleancutError, InputNotFound, UnreadableVideo
from cleancut.imaging.color import to_srgb
from cleancut.imaging.decode import decode
from cleancut.imaging.files import read_bytes
from cleancut.video.frame import USUAL_RATE, ColourTags, Frame, VideoInfo
from cleancut.video.reading import VideoReader

if TYPE_CHECKING:
    from cleancut.arrays import Alpha
    from cleancut.imaging.picture import Picture

_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".avif", ".heic"}
_PLACE = re.compile(r"%(0?)(\d*)d")
_DIGITS = re.compile(r"\d+")
_MOST_DIGITS = 15


@dataclass(frozen=True, slots=True)
class Numbered:
    """Files in the order of their numbers."""

    numbers: tuple[int, ...]
    files: tuple[Path, ...]
    notes: tuple[str, ...]


def open_sequence(name: str, *, max_megapixels: float, rate: Fraction | None) -> SequenceReader:
    """Open the pictures that ``name`` means; the first is decoded at once.

    Raises ``InputNotFound`` (none there), ``UnreadableVideo`` (two with one number), and what
    ``imaging.decode`` raises, naming the file.
    """
    found = find(name)
    rate = rate or USUAL_RATE
    first = _picture(found.files[0], max_megapixels)
    span = found.numbers[-1] - found.numbers[0] + 1
    info = VideoInfo(
        kind="sequence",
        width=first.width,
        height=first.height,
        time_base=1 / rate,
        duration_s=float(span / rate),
        frames=len(found.files),
        rate=rate,
        bits=16 if first.is_16_bit else 8,
        has_alpha=first.alpha is not None or _may_be_transparent(found.files[0]),
        colour=ColourTags(1, 13, 0, full_range=True),
        container="pictures",
        codec=first.format,
        notes=found.notes,
    )
    return SequenceReader(found, info, max_megapixels)


class SequenceReader(VideoReader):
    """A ``VideoReader`` of numbered pictures; a picture's number is its time."""

    def __init__(self, found: Numbered, info: VideoInfo, max_megapixels: float) -> None:
        self._found = found
        self._info = info
        self._max_megapixels = max_megapixels
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
        """See ``VideoReader``; also raises what ``imaging.decode`` does, naming the file."""
        numbers, files = self._found.numbers, self._found.files
        for at, (number, file) in enumerate(zip(numbers, files, strict=True)):
            pts = number - numbers[0]
            if (start is not None and pts < start) or self._closed:
                continue
            if stop is not None and pts >= stop:
                return
            following = numbers[at + 1] if at + 1 < len(numbers) else number + 1
            yield self._frame(file, pts, following - number)

    def _frame(self, file: Path, pts: int, duration: int) -> Frame:
        info = self._info
        picture = _picture(file, self._max_megapixels)
        if (picture.width, picture.height) != (info.width, info.height):
            raise UnreadableVideo(
                f"{file.name:.100} is {picture.width} x {picture.height} pixels, the first picture "
                f"{info.width} x {info.height}",
                hint="make all pictures the same size",
            )
        rgb: Any = picture.rgb
        view: Any = to_srgb(rgb, picture.icc)
        if view.dtype == np.uint16:
            view = cv2.convertScaleAbs(view, alpha=1 / 257)
        if info.bits == 16 and rgb.dtype == np.uint8:
            rgb = rgb.astype(np.uint16) * np.uint16(257)
        elif info.bits == 8 and rgb.dtype == np.uint16:
            self._notes = (
                "depth_change: some pictures have 16 bits, the first has 8; 8 were kept",
            )
            rgb = cv2.convertScaleAbs(rgb, alpha=1 / 257)
        alpha: Alpha | None = picture.alpha
        if alpha is None and info.has_alpha:
            alpha = np.ones(rgb.shape[:2], np.float32)
        return Frame(pts, rgb, view, alpha, duration)

    def close(self) -> None:
        """See ``VideoReader``."""
        self._closed = True


def find(name: str) -> Numbered:
    """The pictures that a folder, a pattern or a glob means, by their numbers.

    The number is what stands for ``%d``, or the last digits of a name. Pictures of a folder without
    a number are left out with a note. Raises ``InputNotFound``, ``UnreadableVideo``.
    """
    path = Path(name)
    notes: list[str] = []
    if path.is_dir():
        pictures = [p for p in path.iterdir() if p.suffix.lower() in _SUFFIXES]
        numbered = _by_last_digits(pictures)
        if numbered and len(numbered) < len(pictures):
            left = len(pictures) - len(numbered)
            notes.append(f"unnumbered: {left} pictures without a number were left out")
    elif place := _PLACE.search(path.name):
        numbered = _by_pattern(path, place)
    else:
        numbered = _by_last_digits(Path(p) for p in glob.glob(name))  # noqa: PTH207
    if not numbered:
        raise InputNotFound(
            f"{name:.200}: no numbered pictures there",
            hint="name a folder with frame0001.png and so on, or a pattern: frames/%05d.png",
        )
    numbered.sort(key=lambda item: (item[0], item[1].name))
    for (one, file), (other, rival) in itertools.pairwise(numbered):
        if one == other:
            raise UnreadableVideo(
                f"{file.name:.80} and {rival.name:.80} have the same number",
                hint="say which are meant: frames/shot_%04d.png",
            )
    first, last = numbered[0][0], numbered[-1][0]
    if missing := last - first + 1 - len(numbered):
        notes.append(f"gaps: {missing} numbers are missing; the picture before stays that long")
    return Numbered(
        tuple(number for number, _ in numbered), tuple(file for _, file in numbered), tuple(notes)
    )


def _by_last_digits(paths: Iterable[Path]) -> list[tuple[int, Path]]:
    found = []
    for path in paths:
        digits = _DIGITS.findall(path.stem)
        if digits and len(digits[-1]) <= _MOST_DIGITS:
            found.append((int(digits[-1]), path))
    return found


def _by_pattern(path: Path, place: re.Match[str]) -> list[tuple[int, Path]]:
    before, after = path.name[: place.start()], path.name[place.end() :]
    width = int(place[2] or 1)
    if width > _MOST_DIGITS:
        return []
    name = re.compile(re.escape(before) + rf"(\d{{{width},{_MOST_DIGITS}}})" + re.escape(after))
    if not path.parent.is_dir():
        return []
    matches = ((name.fullmatch(file.name), file) for file in path.parent.iterdir())
    return [(int(match[1]), file) for match, file in matches if match]


def _picture(file: Path, max_megapixels: float) -> Picture:
    try:
        return decode(read_bytes(file), max_megapixels=max_megapixels)
    except CleancutError as error:
        raise type(error)(f"{file.name:.100}: {error.message}", hint=error.hint) from error


def _may_be_transparent(file: Path) -> bool:
    """Whether a PNG or WebP has room for alpha: a first picture that is opaque says nothing."""
    with file.open("rb") as opened:
        head = opened.read(64)
    if head.startswith(b"\x89PNG"):
        return len(head) > 25 and head[25] in (4, 6)
    return head[8:16] == b"WEBPVP8X" and bool(head[20] & 0x10)
