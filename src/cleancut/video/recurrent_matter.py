"""Mattes by a network with a memory (``models.recurrent``), begun anew at every cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cleancut.imaging.resize import upsample_alpha
from cleancut.matting.confidence import judge_matte
from cleancut.matting.fusion import softness
from cleancut.video.cuts import Glance, glance_at, is_cut
from cleancut.video.mattes import Matted, own_transparency

if TYPE_CHECKING:
    from cleancut.arrays import Rgb, State
    from cleancut.models.base import Model, Prediction
    from cleancut.options import Options
    from cleancut.video.frame import Frame
    from cleancut.video.mattes import Memory

#: The network's memory has settled after so many frames: a part that is begun in the middle of the
#: demonstration clip differs at its first frame by 0.25 of 255 from the whole (8 frames: 0.66),
#: less than frames differ from each other (0.42).
_WARM_UP = 24


@dataclass(frozen=True, slots=True, eq=False)
class _Past:
    """The frame before: how it looked, and what the network remembers of it."""

    glance: Glance
    state: State | None


class RecurrentMatter:
    """A network that remembers; ``ratio`` is the share of the frame's size at which it looks."""

    look_ahead = 0
    warm_up = _WARM_UP

    def __init__(self, model: Model, options: Options, *, ratio: float | None = None) -> None:
        self._model = model
        self._options = options
        self._ratio = ratio

    @property
    def names(self) -> tuple[str, ...]:
        """The one network's id."""
        return (self._model.spec.id,)

    def step(self, frame: Frame, memory: Memory) -> tuple[tuple[Matted, ...], Memory]:
        """The frame's matte; see ``Matter``."""
        past: _Past | None = memory
        glance = glance_at(frame.view)
        cut = past is not None and is_cut(past.glance, glance)
        known = past is not None and not cut
        prediction = self._predict(frame.view, past.state if past is not None and known else None)
        height, width = frame.rgb.shape[:2]
        alpha = upsample_alpha(prediction.alpha, height, width)
        matted = Matted(
            frame,
            own_transparency(frame, alpha),
            foreground=_colours(frame.rgb, frame.view, prediction.foreground),
            confidence=judge_matte(softness(prediction.alpha), None).value,
            cut=cut,
        )
        return (matted,), _Past(glance, prediction.state)

    def finish(self, memory: Memory) -> tuple[Matted, ...]:  # noqa: ARG002
        """Nothing ever waits."""
        return ()

    def _predict(self, view: Rgb, state: State | None) -> Prediction:
        if self._ratio is None:
            return self._model.predict(view, state)
        at_ratio = getattr(self._model, "at_ratio", None)
        model: Model = self._model if at_ratio is None else at_ratio(self._ratio)
        return model.predict(view, state)


def _colours(rgb: Rgb, view: Rgb, foreground: Rgb | None) -> Rgb | None:
    """The network's colours in the frame's own type; None where it saw other colours or size."""
    if foreground is None or view is not rgb or foreground.shape != rgb.shape:
        return None
    return foreground  # a model gives them in the type of what it saw, which is ``rgb``
