"""Robust Video Matting: a recurrent network whose memory is an argument and a result.

Lin, Yang, Saleemi, Sengupta, "Robust High-Resolution Video Matting with Temporal Guidance"
(WACV 2022). Inputs ``src`` (1, 3, H, W) in 0..1, ``r1i`` to ``r4i`` (zeros of shape (1, 1, 1, 1)
at the start) and ``downsample_ratio``; outputs ``fgr``, ``pha`` and ``r1o`` to ``r4o``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cleancut.arrays import full_scale
from cleancut.errors import InferenceFailed
from cleancut.models.base import Prediction

if TYPE_CHECKING:
    from cleancut.arrays import Rgb, State, Tensor
    from cleancut.backends.base import Session
    from cleancut.catalog import ModelSpec

MEMORY = ("r1", "r2", "r3", "r4")


class RecurrentModel:
    """Matte and foreground of a frame, given the memory of the frames before it."""

    def __init__(self, spec: ModelSpec, session: Session) -> None:
        wanted = {"src", "downsample_ratio", *(f"{name}i" for name in MEMORY)}
        if missing := wanted - set(session.inputs):
            raise InferenceFailed(f"{spec.id}: the network has no input {sorted(missing)[0]!r}")
        self.spec = spec
        self.placement = session.placement
        self._session = session
        self._channels_last = spec.recipe.layout == "nhwc"

    def predict(self, rgb: Rgb, state: State | None = None) -> Prediction:
        """Matte of a frame at its own size; pass the answer's ``state`` with the next frame.

        A state of frames of another size cannot be used: start again with None after a cut.
        """
        frame = rgb.astype(np.float32) / np.float32(full_scale(rgb))
        source = frame[None] if self._channels_last else frame.transpose(2, 0, 1)[None]
        ratio = downsample_ratio(rgb.shape[0], rgb.shape[1], self.spec.recipe.size[0])
        feeds = first_feeds(np.ascontiguousarray(source), ratio) | (state or {})
        axes = len(self._session.inputs["downsample_ratio"])  # a scalar or (1,), by the export
        feeds["downsample_ratio"] = feeds["downsample_ratio"].reshape((1,) * axes)
        answer = self._session.run(feeds)
        return Prediction(
            alpha=np.clip(self._plane(answer["pha"])[..., 0], 0.0, 1.0, dtype=np.float32),
            foreground=np.clip(self._plane(answer["fgr"]), 0.0, 1.0, dtype=np.float32),
            state={f"{name}i": answer[f"{name}o"] for name in MEMORY},
        )

    def _plane(self, output: Tensor) -> Tensor:
        plane: Tensor = output[0]
        return plane if self._channels_last else plane.transpose(1, 2, 0)


def downsample_ratio(height: int, width: int, target_px: int = 512) -> float:
    """Scale at which the network looks: the longer side becomes ``target_px`` (256 to 512)."""
    return min(1.0, target_px / max(height, width))


def first_feeds(source: Tensor, ratio: float) -> dict[str, Tensor]:
    """Inputs of a first frame: ``source`` as the network takes it, and an empty memory."""
    return {
        "src": source,
        "downsample_ratio": np.array([ratio], np.float32),
        **{f"{name}i": np.zeros((1, 1, 1, 1), np.float32) for name in MEMORY},
    }
