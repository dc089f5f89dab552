"""Frames to files: one writer for each kind of form, behind ``open_writer``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from cleancut.options import Options
    from cleancut.video.form import Form
    from cleancut.video.frame import Frame, VideoInfo


class VideoWriter(Protocol):
    """Takes the frames of one part in order; what it wrote is there after ``close`` only."""

    def write(self, frame: Frame) -> None:
        """Append a frame: ``pts`` and ``duration`` in the source's time base, ``pts`` rising."""
        ...

    def close(self) -> None:
        """Finish the part. Raises ``OutputNotWritable``; a second call does nothing."""
        ...

    def abort(self) -> None:
        """Leave nothing behind; never raises."""
        ...


def open_writer(
    target: Path,
    form: Form,
    info: VideoInfo,
    options: Options,
    *,
    size: tuple[int, int],
    first: int = 0,
) -> VideoWriter:
    """A writer of one part of a video; ``join`` makes the parts what was asked for.

    ``target`` is the part's own file, of any name; for a sequence it is the folder or pattern that
    the pictures go to at once, numbered from ``first``. ``size`` is width and height of the
    frames, after dressing. Raises ``OutputNotWritable``, ``MissingDependency``.
    """
    if form.kind == "sequence":
        from cleancut.video.sequence_out import SequenceWriter

        return SequenceWriter(target, form, first=first)
    from cleancut.video.stream_out import StreamWriter

    return StreamWriter(target, form, info, options, size=size)
