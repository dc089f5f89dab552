"""Frames as numbered pictures, encoded in threads by the encoders of the stills."""

from __future__ import annotations

import os
import shutil
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count, takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from cleancut.errors import OutputNotWritable
from cleancut.imaging.encode import encode, encode_mask
from cleancut.imaging.files import not_writable
from cleancut.video.form import numbered

if TYPE_CHECKING:
    from cleancut.video.form import Form
    from cleancut.video.frame import Frame

#: Pictures that are encoded at once, and those that may wait: enough for two cores, little memory.
_AT_ONCE, _WAITING = 2, 4


class SequenceWriter:
    """Writes the pictures of one part into a folder, numbered from ``first``; see ``VideoWriter``.

    ``join`` numbers and names them anew and moves them to where they were asked for.
    """

    def __init__(self, target: Path, form: Form, *, first: int = 0) -> None:
        self._target, self._form = target, form
        self._number = first
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="cleancut-picture")
        self._waiting: deque[Future[None]] = deque()
        self._done = False
        try:
            target.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise not_writable(target, error) from error

    def write(self, frame: Frame) -> None:
        """See ``VideoWriter.write``. Errors of earlier frames are raised here too."""
        while len(self._waiting) >= _WAITING:
            self._waiting.popleft().result()
        name = self._target / f"{self._number:08d}{self._form.suffix}"
        self._number += 1
        self._waiting.append(self._pool.submit(self._written, name, frame))

    def _written(self, name: Path, frame: Frame) -> None:
        data = picture_bytes(frame, self._form)
        try:
            name.write_bytes(data)
        except OSError as error:
            raise not_writable(self._target, error) from error

    def close(self) -> None:
        """See ``VideoWriter.close``."""
        if self._done:
            return
        try:
            while self._waiting:
                self._waiting.popleft().result()
        except BaseException:
            self.abort()
            raise
        self._done = True
        self._pool.shutdown()

    def abort(self) -> None:
        """See ``VideoWriter.abort``."""
        if self._done:
            return
        self._done = True
        self._pool.shutdown(wait=True, cancel_futures=True)
        shutil.rmtree(self._target, ignore_errors=True)


def picture_bytes(frame: Frame, form: Form) -> bytes:
    """One frame as a picture file of the form; colours under alpha 0 are black."""
    import numpy as np

    from cleancut.video.pixels_out import cleared

    rgb = frame.view if form.tone_mapped and frame.rgb.dtype != np.uint8 else frame.rgb
    if form.grey:
        top = np.float32(65535 if rgb.dtype == np.uint16 else 255)
        grey = rgb[:, :, 1].astype(np.float32) / top
        return encode_mask(grey, format=form.name, quality=form.quality, compress=form.compress)
    alpha = frame.alpha if form.alpha else None
    if alpha is not None:
        rgb = cleared(rgb, alpha)
    if form.bits == 8 and rgb.dtype == np.uint16:
        from cleancut.imaging.encode import quantise

        rgb = quantise(rgb, 8)
    return encode(rgb, alpha, format=form.name, quality=form.quality, compress=form.compress)


def settle_sequence(parts: Sequence[Path], target: Path, *, form: Form) -> tuple[str, ...]:
    """Move the pictures of all parts to ``target``, a pattern, numbered from 1.

    Older pictures that go on where they end stay, with a note. Raises ``OutputNotWritable``.
    """
    goal = Path(numbered(str(target), 1)).parent
    number = 1
    try:
        goal.mkdir(parents=True, exist_ok=True)
        for part in parts:
            for name in sorted(os.listdir(part)):  # noqa: PTH208
                if not name.startswith("."):
                    (part / name).replace(numbered(str(target), number))
                    number += 1
    except OSError as error:
        raise not_writable(target, error) from error
    if number == 1:
        raise OutputNotWritable(f"{target}: there was no frame to write", hint="check the span")
    names = (numbered(str(target), more) for more in count(number))
    if older := sum(1 for _ in takewhile(os.path.lexists, names)):
        return (
            *form.notes,
            f"older_pictures: the {older} behind {Path(numbered(str(target), number - 1)).name} "
            "are not of this run, and who reads the folder takes them for its end; remove them",
        )
    return form.notes
