"""Still networks on a GPU: the picture goes over as it is, and the matte comes back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cleancut.backends.batching import Batching
from cleancut.backends.chain import Chain, Look
from cleancut.imaging.resize import coarse, halved
from cleancut.models import graphs
from cleancut.models.base import Prediction
from cleancut.models.recipe import Window, matte_of, plan
from cleancut.models.saliency import SaliencyModel

if TYPE_CHECKING:
    from cleancut.arrays import Rgb, State, Tensor
    from cleancut.backends.ort import OrtSession
    from cleancut.catalog import ModelSpec


class DeviceModel(SaliencyModel):
    """``SaliencyModel`` that resizes, normalises and sums classes where the network runs.

    Pictures of several threads share runs where the network takes several at once. Very large ones
    are halved here first, as ``imaging.resize.fit`` does: that is quick, and halves what goes over.
    The matte comes back at the network's size: at the picture's it would be larger, and refinement
    wants the small one.
    """

    def __init__(
        self,
        spec: ModelSpec,
        session: OrtSession,
        batching: Batching[Look, Tensor] | None = None,
    ) -> None:
        super().__init__(spec, session)
        self._device_session = session
        chain = Chain(session, self._output, after=graphs.after(spec.recipe))
        self._batching: Batching[Look, Tensor] = batching or Batching(chain)
        self._left_over = spec.recipe
        if spec.recipe.classes:
            self._left_over = replace(spec.recipe, classes=(), activation="none")

    def predict(self, rgb: Rgb, state: State | None = None) -> Prediction:
        """As ``SaliencyModel.predict``; joins what other threads ask at the same time."""
        window = plan(rgb.shape[0], rgb.shape[1], self.spec.recipe)
        raw = self._batching.run(self._look(rgb, window))
        return Prediction(matte_of(raw, self._left_over, window), state=state)

    def sized(self, side_px: int) -> DeviceModel:
        """As ``SaliencyModel.sized``; shares runs with this one."""
        recipe = replace(self.spec.recipe, size=(side_px, side_px))
        return DeviceModel(replace(self.spec, recipe=recipe), self._device_session, self._batching)

    def _look(self, rgb: Rgb, window: Window) -> Look:
        height, width = window.height, window.width
        pixels = coarse(rgb, height, width)
        if pixels.shape[:2] == (2 * height, 2 * width):  # OpenCV rounds this one mean otherwise
            pixels = halved(pixels)
        middle = min(height, pixels.shape[0]), min(width, pixels.shape[1])
        recipe = self.spec.recipe
        feeds: dict[str, Tensor] = {"picture": np.ascontiguousarray(pixels)}
        shrinks, grows = middle != pixels.shape[:2], middle != (height, width)
        if shrinks:
            feeds["middle"] = np.array(middle, np.int64)
        if grows:
            feeds["size"] = np.array((1, 3, height, width), np.int64)
        if recipe.resize == "letterbox":
            below, right = window.input_height - height, window.input_width - width
            feeds["padding"] = np.array((0, 0, 0, 0, 0, 0, below, right), np.int64)
        graph = graphs.before(recipe, pixels.dtype.name, shrinks=shrinks, grows=grows)
        size = (window.input_height, window.input_width)
        return Look(graph, feeds, (*size, 3) if recipe.layout == "nhwc" else (3, *size))
