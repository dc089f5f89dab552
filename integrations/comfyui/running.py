"""One warm engine for all nodes; progress and errors as ComfyUI shows them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from cleancut.errors import CleancutError
from cleancut.options import parse_background

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cleancut import Engine, Result
    from cleancut.video import CutFrame


T = TypeVar("T")


@cache
def engine() -> Engine:
    """The engine that keeps networks loaded from one run of a graph to the next."""
    from cleancut import Engine

    return Engine()


def refusal_of(background: str) -> str | None:
    """Why a background is not taken, or None; a graph of somebody else's must not read files."""
    try:
        wanted = parse_background(background.strip() or None)
    except CleancutError as error:
        return _line(error)
    if wanted is not None and wanted.path is not None:
        return (
            f"background: {background!r} is no colour; "
            "for a picture leave it empty and use Image Composite Masked"
        )
    return None


def cut_each(
    pictures: Iterable[NDArray[np.float32]],
    guides: list[NDArray[np.float32]] | None = None,
    *,
    kind: str = "mask",
    **options: Any,
) -> list[Result]:
    """Each picture cut out on its own, with the mask or trimap (``kind``) that belongs to it."""
    from cleancut import Guidance

    pictures = list(pictures)
    guided: list[Guidance | None] = [None] * len(pictures)
    with told():
        if refusal := refusal_of(options.get("background") or ""):
            raise ValueError(refusal)
        if guides is not None:
            guided = [Guidance(**{kind: guide}) for guide in guides]
        return [
            engine().cutout(picture, guidance=guidance, **options)
            for picture, guidance in counted(zip(pictures, guided, strict=True), len(pictures))
        ]


def cut_frames(pictures: Iterable[NDArray[np.float32]], **options: Any) -> list[CutFrame]:
    """The frames of one video, one out for one in."""
    from cleancut.video import cut

    pictures = list(pictures)
    with told():
        frames = cut(pictures, using=engine(), **options)
        return list(counted(frames, len(pictures)))


def counted(items: Iterable[T], total: int) -> Iterator[T]:
    """The items; ComfyUI's bar moves when the next one is asked for, and there a user can stop."""
    try:
        from comfy.utils import ProgressBar
    except ImportError:  # outside ComfyUI nobody watches
        yield from items
        return
    bar = ProgressBar(total)
    for item in items:
        yield item
        bar.update(1)


@contextmanager
def told() -> Iterator[None]:
    """Turn cleancut's errors into one line that says what to do; ComfyUI shows it on the node."""
    try:
        yield
    except CleancutError as error:
        raise RuntimeError(_line(error)) from error


def _line(error: CleancutError) -> str:
    return f"{error.message}; {error.hint}" if error.hint else error.message
