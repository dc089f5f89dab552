"""Sessions with known answers, and pictures to cut."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from cleancut.backends.base import Placement
from cleancut.backends.fake import FakeSession
from cleancut.catalog import ModelSpec, Recipe, find
from cleancut.models.base import Prediction
from cleancut.models.saliency import SaliencyModel
from cleancut.options import Options
from cleancut.rembg import Session

ORANGE = (200, 100, 50)
HALF = np.float32(128 / 255)


class KnownModel:
    """Answers every picture with the same matte."""

    def __init__(self, alpha: np.ndarray, *, minmax: bool = False) -> None:
        self.spec = ModelSpec(id="known", title="", family="fake", recipe=Recipe(minmax=minmax))
        self.placement = Placement("fake", "cpu", "f32", "python", "made for a test")
        self.alpha = np.asarray(alpha, np.float32)
        self.seen: list[np.ndarray] = []

    def predict(self, rgb: np.ndarray, state: Any = None) -> Prediction:
        self.seen.append(rgb)
        return Prediction(self.alpha, state=state)


def known(alpha: np.ndarray, *, minmax: bool = False) -> Session:
    return Session("known", KnownModel(alpha, minmax=minmax), Options(minmax=True))


def clothes(classes: np.ndarray) -> Session:
    """A session of u2net_cloth_seg whose network finds ``classes`` (768, 768) of 0..3."""
    logits = np.stack([(classes == k) * 20.0 for k in range(4)]).astype(np.float32)[None]
    session = FakeSession(
        lambda feeds: {"d0": logits}, inputs={"x": (1, 3, 768, 768)}, outputs=["d0"]
    )
    model = SaliencyModel(find("u2net_cloth_seg"), session)
    return Session("u2net_cloth_seg", model, Options(minmax=True))


def flat(colour: tuple[int, ...] = ORANGE, height: int = 24, width: int = 32) -> np.ndarray:
    return np.broadcast_to(np.array(colour, np.uint8), (height, width, len(colour))).copy()


def halves(left: float = 1.0, right: float = 0.0, height: int = 24, width: int = 32) -> np.ndarray:
    alpha = np.full((height, width), right, np.float32)
    alpha[:, : width // 2] = left
    return alpha


def png(pixels: np.ndarray, **about: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", **about)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image
