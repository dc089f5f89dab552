"""Animated PNG (PNG specification, third edition, 4.9 and 11.3.6), by the stills' own encoder."""

from __future__ import annotations

import struct
import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cleancut.imaging.encode import encode, encode_mask

if TYPE_CHECKING:
    from cleancut.video.form import Form

_HEAD = b"\x89PNG\r\n\x1a\n"
#: Delays are fractions of two 16-bit numbers.
_MOST = 65535
_AT_ONCE, _WAITING = 2, 4


@dataclass(frozen=True, slots=True, eq=False)
class Still:
    """One frame of an animation: (H, W, 3 or 4) RGB or RGBA, its time and duration in seconds."""

    pixels: NDArray[Any]
    at: Fraction
    lasts: Fraction


@dataclass(frozen=True, slots=True, eq=False)
class _Region:
    """What a frame changes: its pixels, where they go, for how long."""

    pixels: NDArray[Any]
    left: int
    top: int
    lasts: Fraction


def write_apng(
    target: Path, stills: Iterator[Still], *, count: int, form: Form, repeats: int
) -> None:
    """Write ``count`` frames, each the rectangle that differs from the one before.

    ``repeats`` is how often the animation is played, 0 for ever. Raises OSError.
    """
    waiting: deque[tuple[Future[bytes], _Region]] = deque()
    with (
        target.open("wb") as file,
        ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="cleancut-picture") as pool,
    ):
        writer = _Writer(file, count, repeats)
        for region in _regions(stills):
            waiting.append((pool.submit(_png, region.pixels, form), region))
            if len(waiting) > _WAITING:
                data, oldest = waiting.popleft()
                writer.add(data.result(), oldest)
        for data, region in waiting:
            writer.add(data.result(), region)
        file.write(_chunk(b"IEND", b""))


def _regions(stills: Iterator[Still]) -> Iterator[_Region]:
    before: NDArray[Any] | None = None
    for still in stills:
        left, top, width, height = 0, 0, still.pixels.shape[1], still.pixels.shape[0]
        if before is not None:
            changed = np.any(still.pixels != before, axis=2).astype(np.uint8)
            left, top, width, height = cv2.boundingRect(changed)
            width, height = max(1, width), max(1, height)
        before = still.pixels
        cut = still.pixels[top : top + height, left : left + width]
        yield _Region(np.ascontiguousarray(cut), left, top, still.lasts)


def _png(pixels: NDArray[Any], form: Form) -> bytes:
    whole = np.float32(np.iinfo(pixels.dtype).max)
    rgb = np.ascontiguousarray(pixels[:, :, :3])
    if form.grey:
        grey = rgb[:, :, 1].astype(np.float32) / whole
        return encode_mask(grey, compress=form.compress, sixteen_bit=pixels.dtype == np.uint16)
    alpha = pixels[:, :, 3].astype(np.float32) / whole if pixels.shape[2] == 4 else None
    return encode(rgb, alpha, compress=form.compress)


class _Writer:
    """Takes PNGs apart and puts their chunks together as frames."""

    def __init__(self, file: Any, count: int, repeats: int) -> None:
        self._file, self._count, self._repeats = file, count, repeats
        self._sequence = 0
        self._begun = False

    def add(self, png: bytes, region: _Region) -> None:
        """Append one frame."""
        chunks = list(_chunks(png))
        first = not self._begun
        if first:
            self._begun = True
            self._file.write(_HEAD)
            for name, body in chunks:
                if name == b"IDAT":
                    break
                self._file.write(_chunk(name, body))
                if name == b"IHDR":
                    self._file.write(
                        _chunk(b"acTL", struct.pack(">II", self._count, self._repeats))
                    )
        self._file.write(_chunk(b"fcTL", self._control(region)))
        for name, body in chunks:
            if name != b"IDAT":
                continue
            if first:
                self._file.write(_chunk(name, body))
            else:
                self._file.write(_chunk(b"fdAT", self._next() + body))

    def _control(self, region: _Region) -> bytes:
        height, width = region.pixels.shape[:2]
        delay = region.lasts.limit_denominator(_MOST)
        if delay.numerator > _MOST:
            delay = Fraction(min(_MOST, round(region.lasts)))
        place = struct.pack(">IIII", width, height, region.left, region.top)
        how = struct.pack(">HHBB", delay.numerator, delay.denominator, 0, 0)
        return self._next() + place + how

    def _next(self) -> bytes:
        number = struct.pack(">I", self._sequence)
        self._sequence += 1
        return number


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_HEAD)
    while at < len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += length + 12


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
