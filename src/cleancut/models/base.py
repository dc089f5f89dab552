"""The one protocol of every model, still or video."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from cleancut.arrays import Alpha, Rgb, State
    from cleancut.backends.base import Placement
    from cleancut.catalog import ModelSpec


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What a model says about one picture, at the model's own resolution.

    ``alpha`` is (h, w) float32 in [0, 1] and covers exactly the picture (padding removed).
    ``foreground``, where a model estimates it, is (h, w, 3) straight colours of the picture's own
    type and range. ``state`` is handed back to ``predict`` for the next frame by models that have a
    memory.
    """

    alpha: Alpha
    foreground: Rgb | None = None
    state: State | None = None


class Model(Protocol):
    """Turns pixels into a matte. Still models ignore ``state``; video models thread it through."""

    spec: ModelSpec
    placement: Placement

    def predict(self, rgb: Rgb, state: State | None = None) -> Prediction:
        """Matte of ``rgb`` ((H, W, 3), sRGB, uint8 or uint16, any size) at the model's own size."""
        ...
