"""Opening a video of any kind: a file that FFmpeg reads, an animation, or numbered frames."""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cleancut.errors import InputNotFound, UnreadableVideo
from cleancut.imaging.files import missing

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from cleancut.video.frame import Frame, VideoInfo

DEFAULT_MAX_MEGAPIXELS = 120.0

_PATTERN = re.compile(r"%0?\d*d")
_ADDRESS = re.compile(r"^[a-z][a-z0-9+.-]+:", re.IGNORECASE)
_HEAD = 4096


class VideoReader(Protocol):
    """A video that is open for reading."""

    @property
    def info(self) -> VideoInfo:
        """What is known about it; its notes are those from before the first frame."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """Everything worth telling so far, "code: text" each; complete once all frames are read."""
        ...

    def frames(self, start: int | None = None, stop: int | None = None) -> Iterator[Frame]:
        """Frames with ``start`` <= pts < ``stop``, in order of pts; may be called again.

        The same frame is the same pixels in every span. Iterators do not disturb one another.
        Raises ``UnreadableVideo``, ``OutOfMemory``.
        """
        ...

    def close(self) -> None:
        """Let go of the file; iterators that still run end."""
        ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_video(
    source: str | Path,
    *,
    max_megapixels: float = DEFAULT_MAX_MEGAPIXELS,
    rate: Fraction | None = None,
) -> VideoReader:
    """Open a local file, a folder of numbered pictures, a pattern (%05d) of them, or a glob.

    ``rate`` is frames a second of numbered pictures (25 without it); nothing else heeds it. No
    frame may have more than ``max_megapixels``. Only what is named is opened: no addresses, no
    playlists, no files that the file itself names.

    Raises ``InputNotFound``, ``UnreadableVideo``, ``NoVideoStream``, ``ImageTooLarge``,
    ``MissingDependency``, and for numbered pictures what ``imaging.decode`` raises.
    """
    name = os.fspath(source)
    if not name.strip() or "\0" in name:
        raise InputNotFound("the path is empty", hint="give the name of a video")
    path = Path(name)
    mode = _mode_of(path)
    if mode is None and ("*" in name or "?" in name or _PATTERN.search(path.name)):
        return _open_sequence(name, max_megapixels, rate)
    if mode is None:
        if isinstance(source, str) and len(name.split(":", 1)[0]) > 1 and _ADDRESS.match(name):
            kind = name.split(":", 1)[0][:20]
            raise InputNotFound(
                f"{kind}: is an address, not a file", hint="download the video first"
            )
        raise missing(path)
    if stat.S_ISDIR(mode):
        return _open_sequence(name, max_megapixels, rate)
    if not stat.S_ISREG(mode):
        raise InputNotFound(f"{name:.200} is not a file", hint="hand in a file that stays")
    return _open_file(path, max_megapixels)


def _mode_of(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except OSError as error:
        if isinstance(error, PermissionError):
            raise InputNotFound(
                f"{path!s:.200} may not be read",
                hint="check the permissions of the file and its folders",
            ) from error
        return None


def _open_file(path: Path, max_megapixels: float) -> VideoReader:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise InputNotFound(
            f"{path!s:.200} cannot be read: {error.strerror or error}",
            hint="check the permissions of the file and its folders",
        ) from error
    if not head:
        raise UnreadableVideo("the file is empty (0 bytes)", hint="copy or download it again")
    if head.startswith((b"GIF87a", b"GIF89a", b"\x89PNG\r\n\x1a\n")) or (
        head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    ):
        from cleancut.video.animation_in import open_animation

        return open_animation(path, max_megapixels=max_megapixels)
    _refuse_pictures(path, head)
    from cleancut.video.stream_in import open_stream

    return open_stream(path, head, max_megapixels=max_megapixels)


def _open_sequence(name: str, max_megapixels: float, rate: Fraction | None) -> VideoReader:
    from cleancut.video.sequence_in import open_sequence

    return open_sequence(name, max_megapixels=max_megapixels, rate=rate)


def _refuse_pictures(path: Path, head: bytes) -> None:
    still = head.startswith((b"II*\0", b"MM\0*"))
    if head.startswith(b"\xff\xd8\xff"):  # a stream of JPEGs begins as one of them does
        still = path.suffix.lower() not in (".mjpeg", ".mjpg")
    still = still or (head.startswith(b"BM") and head[6:10] == b"\0\0\0\0")
    still = still or (head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"heic", b"mif1", b"heix"))
    if still:
        raise still_picture(path)


def still_picture(path: Path) -> UnreadableVideo:
    """The error for a picture where a video is wanted."""
    return UnreadableVideo(
        f"{path.name:.100} is a picture, not a video",
        hint=f"run: {shlex.join(['cleancut', 'cut', str(path)])}",
    )
