"""A model without weights: the picture's luminance is the matte. Drives docs and tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleancut.arrays import full_scale
from cleancut.backends.base import Placement
from cleancut.catalog import ModelSpec
from cleancut.models.base import Prediction

if TYPE_CHECKING:
    from cleancut.arrays import Rgb, State

SIZE_PX = 256
SPEC = ModelSpec(
    id="echo",
    title="luminance as alpha; no weights, for tests and documentation",
    family="echo",
    commercial="yes",
    code_licence="Apache-2.0",
    weight_licence="Apache-2.0",
)
_WEIGHTS = (0.2126, 0.7152, 0.0722)  # ITU-R BT.709 luma


class EchoModel:
    """Answers with the luminance of the picture, at most 256 pixels on a side."""

    spec = SPEC
    placement = Placement("fake", "cpu", "f32", "numpy", "needs no runtime")

    def predict(self, rgb: Rgb, state: State | None = None) -> Prediction:
        """BT.709 luma of ``rgb`` as alpha."""
        import numpy as np

        from cleancut.imaging.resize import fit

        height, width = rgb.shape[:2]
        scale = min(1.0, SIZE_PX / max(height, width))
        small = fit(rgb, max(1, round(height * scale)), max(1, round(width * scale)))
        alpha = (
            small.astype(np.float32)
            @ np.array(_WEIGHTS, np.float32)
            / np.float32(full_scale(small))
        )
        return Prediction(np.clip(alpha, 0.0, 1.0, dtype=np.float32), state=state)
