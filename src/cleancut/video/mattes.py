"""What it takes to find the matte of every frame: one protocol for all engines, state explicit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from cleancut.arrays import Alpha, Rgb
    from cleancut.video.frame import Frame

#: What a ``Matter`` knows of the frames so far: its own immutable value, None before the first.
Memory: TypeAlias = Any


@dataclass(frozen=True, slots=True, eq=False)
class Matted:
    """One frame and its matte.

    ``alpha`` is (H, W) float32 in 0..1 at the frame's size, the source's own transparency in it.
    ``foreground`` holds the subject's straight colours, (H, W, 3) in the frame's own type, None
    where they are still to be estimated. ``confidence`` (0..1) is as for pictures
    (``matting.confidence``), None where nobody judged. ``cut`` says that a new shot begins here.
    ``notes`` are "code: explanation" lines on this frame.
    """

    frame: Frame
    alpha: Alpha
    foreground: Rgb | None = None
    confidence: float | None = None
    cut: bool = False
    notes: tuple[str, ...] = ()


class Matter(Protocol):
    """Finds the mattes of frames that come in order; keeps nothing between calls but its networks.

    ``look_ahead`` is how many frames later an answer may come, ``warm_up`` how many frames it wants
    to have seen before the first one that counts: with those a part of a video comes out as it
    would within the whole. ``names`` are the ids of the networks that may be asked.
    """

    look_ahead: int
    warm_up: int

    @property
    def names(self) -> tuple[str, ...]:
        """Ids of the networks that may be asked."""
        ...

    def step(self, frame: Frame, memory: Memory) -> tuple[tuple[Matted, ...], Memory]:
        """What is known after one more frame: finished mattes in order, and the new memory.

        ``memory`` is not changed, so a frame may be tried again. A frame of another size, or of
        another scene, starts anew. Raises what the networks raise.
        """
        ...

    def finish(self, memory: Memory) -> tuple[Matted, ...]:
        """The mattes that were waiting for frames which will not come."""
        ...


def own_transparency(frame: Frame, alpha: Alpha) -> Alpha:
    """``alpha`` (H, W) within the transparency that the frame came with."""
    if frame.alpha is None:
        return alpha
    within: Alpha = alpha * frame.alpha
    return within
