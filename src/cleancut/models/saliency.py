"""Networks that answer one picture with one matte or with class scores.

U2-Net, IS-Net, BiRefNet, InSPyReNet, BEN2, RMBG, MODNet, MediaPipe selfie, DeepLabV3+: they differ
in their rows of the catalog, not in code.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cleancut.errors import InferenceFailed
from cleancut.models.base import Prediction
from cleancut.models.recipe import Window, matte_of, planes_of, prepare, softmax

if TYPE_CHECKING:
    from cleancut.arrays import Rgb, State, Tensor
    from cleancut.backends.base import Session
    from cleancut.catalog import ModelSpec


class SaliencyModel:
    """One picture in, one matte out; keeps no state and is as thread-safe as its session."""

    def __init__(self, spec: ModelSpec, session: Session) -> None:
        self.spec = spec
        self.placement = session.placement
        self._session = session
        self._input = _only_input(spec, session)
        self._output = output_name(spec, session)

    def predict(self, rgb: Rgb, state: State | None = None) -> Prediction:
        """Matte of ``rgb`` at the network's own size; ``state`` is ignored and handed back."""
        raw, window = self._run(rgb)
        return Prediction(matte_of(raw, self.spec.recipe, window), state=state)

    def sized(self, side_px: int) -> SaliencyModel:
        """The same network fed at another size, sharing this one's session.

        Only for networks that take any size: those with ``resize = "short-side"``.
        """
        recipe = replace(self.spec.recipe, size=(side_px, side_px))
        return SaliencyModel(replace(self.spec, recipe=recipe), self._session)

    def class_scores(self, rgb: Rgb) -> Tensor:
        """Probabilities of every class, (classes, h, w) float32, for networks that tell classes."""
        raw, _ = self._run(rgb)
        return softmax(planes_of(raw, self.spec.recipe))

    def _run(self, rgb: Rgb) -> tuple[Tensor, Window]:
        feed, window = prepare(rgb, self.spec.recipe)
        return self._session.run({self._input: feed})[self._output], window


def _only_input(spec: ModelSpec, session: Session) -> str:
    names = list(session.inputs)
    if len(names) != 1:
        raise InferenceFailed(
            f"{spec.id}: the network has the inputs {', '.join(names)}, expected one picture"
        )
    return names[0]


def output_name(spec: ModelSpec, session: Session) -> str:
    """The output that the recipe names, else the first."""
    wanted = spec.recipe.output or session.outputs[0]
    if wanted not in session.outputs:
        raise InferenceFailed(
            f"{spec.id}: the network has no output {wanted!r}",
            hint=f"outputs: {', '.join(session.outputs)}",
        )
    return wanted
