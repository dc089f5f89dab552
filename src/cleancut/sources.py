"""From what a caller hands in to pixels: the picture, its guidance, a background."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cleancut.errors import BadOption, InputError

if TYPE_CHECKING:
    from typing import TypeGuard

    from cleancut.guidance import Guidance, Source
    from cleancut.imaging.files import Source as FileSource
    from cleancut.imaging.picture import Picture
    from cleancut.matting.guidance import Marks
    from cleancut.options import Background


class Backdrops:
    """Background pictures; the last one stays decoded, for a thousand pictures on it.

    Without ``keep`` nothing stays: under a limit of memory, what clients send is not held on to.
    """

    def __init__(self, *, keep: bool = True) -> None:
        self._keep = keep
        self._last: tuple[object, Picture] | None = None

    def read(self, wanted: Background | None, max_megapixels: float) -> Picture | None:
        """The picture that ``wanted`` names; None where it names none. Errors as in ``read``."""
        if wanted is None or wanted.path is None:
            return None
        try:
            facts = os.stat(wanted.path)  # noqa: PTH116
        except (OSError, ValueError):
            facts = None  # reading it says what is wrong
        state = facts and (wanted.path, facts.st_mtime_ns, facts.st_size, max_megapixels)
        last = self._last
        if state is None or last is None or last[0] != state:
            with _named("background", wanted.path):
                last = (state, read(wanted.path, max_megapixels=max_megapixels))
            self._last = last if self._keep else None
        return last[1]


def read(source: Source, *, bgr: bool = False, max_megapixels: float) -> Picture:
    """Decode ``source``; limits are checked before any pixel is.

    ``bgr`` says that an array's channels are in OpenCV's order. Raises the errors of input.
    """
    import numpy as np
    from PIL.Image import Image as PILImage

    from cleancut.imaging import adopt, decode, files
    from cleancut.imaging.metadata import check_size
    from cleancut.imaging.picture import Picture

    if isinstance(source, Picture):
        return source
    if isinstance(source, PILImage):
        check_size(source.width, source.height, max_megapixels)  # before it is loaded
        return adopt.from_pil(source)
    if isinstance(source, np.ndarray):
        picture = adopt.from_array(source, bgr=bgr)
        check_size(picture.width, picture.height, max_megapixels)
        return picture
    return decode.decode(files.read_bytes(source), max_megapixels=max_megapixels)


def read_guidance(
    guidance: Guidance | None, picture: Picture, *, max_megapixels: float
) -> Marks | None:
    """``guidance`` as arrays of the size of ``picture``; None where it says nothing.

    Raises ``BadOption`` for what is no ``Guidance``, and what ``marks_of`` and reading raise.
    """
    if guidance is None:
        return None
    from cleancut.guidance import PICTURES, Guidance

    if not isinstance(guidance, Guidance):
        raise BadOption(
            f"guidance: a {type(guidance).__name__} is not a Guidance",
            hint="like Guidance(trimap='trimap.png') or Guidance(keep_points=[(120, 80)])",
        )
    if guidance.is_empty():
        return None
    from cleancut.matting.guidance import marks_of

    found = {}
    for name in PICTURES:
        if (source := getattr(guidance, name)) is not None:
            with _named(name, source):
                found[name] = read(source, max_megapixels=max_megapixels)
    return marks_of(guidance, picture.height, picture.width, seen=picture.alpha, **found)


def is_file(source: Source) -> TypeGuard[FileSource]:
    """Whether ``source`` is a file or the bytes of one, and no image or array."""
    from cleancut.imaging.files import Readable

    return isinstance(source, str | os.PathLike | bytes | bytearray | memoryview | Readable)


@contextmanager
def _named(name: str, source: Source) -> Iterator[None]:
    """Errors about a picture beside the one that is cut say which one they mean."""
    try:
        yield
    except InputError as error:
        place = f" {os.fspath(source)}" if isinstance(source, str | os.PathLike) else ""
        raise type(error)(f"--{name}{place}: {error.message}", hint=error.hint) from error
