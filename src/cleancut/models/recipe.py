"""From pixels to a network's input, and from its output to a matte, as the catalog row says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cleancut.arrays import full_scale
from cleancut.errors import InferenceFailed
from cleancut.imaging.resize import fit

if TYPE_CHECKING:
    from cleancut.arrays import Alpha, Rgb, Tensor
    from cleancut.catalog import Recipe

#: A picture's longer side gets at most this many times the network's size; panoramas are squeezed.
LONGEST_ASPECT = 4


@dataclass(frozen=True, slots=True)
class Window:
    """Where the picture lies in a network's input: ``height`` x ``width`` at the top left."""

    height: int
    width: int
    input_height: int
    input_width: int


def plan(height: int, width: int, recipe: Recipe) -> Window:
    """The input size for a picture of ``height`` x ``width`` pixels, and the part it fills."""
    size_h, size_w = recipe.size
    if recipe.resize == "stretch":
        return Window(size_h, size_w, size_h, size_w)
    if recipe.resize == "letterbox":
        scale = min(size_h / height, size_w / width)
        inner_h = min(size_h, max(1, round(height * scale)))
        inner_w = min(size_w, max(1, round(width * scale)))
        return Window(inner_h, inner_w, size_h, size_w)
    # "short-side", after MODNet's published inference: pictures that straddle the size keep theirs.
    scale = 1.0
    if max(height, width) < size_h or min(height, width) > size_h:
        scale = size_h / min(height, width)
    scale = min(scale, LONGEST_ASPECT * size_h / max(height, width))
    step = recipe.multiple_of
    inner_h = max(step, int(height * scale) // step * step)
    inner_w = max(step, int(width * scale) // step * step)
    return Window(inner_h, inner_w, inner_h, inner_w)


def prepare(rgb: Rgb, recipe: Recipe) -> tuple[Tensor, Window]:
    """``rgb`` (H, W, 3), integer at full range or float32 in 0..1, as a float32 network input.

    The answer is (1, 3, h, w) or, for ``layout = "nhwc"``, (1, h, w, 3), with the window that the
    picture fills in it; what letterboxing leaves over is zero after normalisation.
    """
    window = plan(rgb.shape[0], rgb.shape[1], recipe)
    small = fit(rgb, window.height, window.width)
    top = float(full_scale(small))
    if recipe.divide_by == "max":
        top = max(float(small.max()), 1e-6)
    elif recipe.divide_by == "1":
        top /= 255.0
    planes = np.zeros((3, window.input_height, window.input_width), np.float32)
    for channel, plane in enumerate(cv2.split(small)):
        inside = planes[channel, : window.height, : window.width]
        np.multiply(plane, np.float32(1 / (top * recipe.std[channel])), out=inside)
        inside -= np.float32(recipe.mean[channel] / recipe.std[channel])
    if recipe.layout == "nhwc":
        return np.ascontiguousarray(planes.transpose(1, 2, 0))[None], window
    return planes[None], window


def planes_of(output: Tensor, recipe: Recipe) -> Tensor:
    """A network's raw output as (channels, h, w) float32, whatever axes of size one it has.

    Raises ``InferenceFailed`` where the output is not one picture or not finite.
    """
    planes = np.asarray(output, np.float32)
    if planes.ndim == 4 and planes.shape[0] == 1:
        planes = planes[0].transpose(2, 0, 1) if recipe.layout == "nhwc" else planes[0]
    if planes.ndim == 2:
        planes = planes[None]
    if planes.ndim != 3:
        raise InferenceFailed(
            f"the network's output has the shape {output.shape}, which is not a matte",
            hint="check the recipe's output name and layout",
        )
    if not (np.isfinite(planes.min()) and np.isfinite(planes.max())):
        raise InferenceFailed(
            "the network answered with NaN or infinite values",
            hint="run again with --precision f32",
        )
    return planes


def matte_of(output: Tensor, recipe: Recipe, window: Window) -> Alpha:
    """The matte in a raw output: activation applied, padding cut off, (h, w) float32 in 0..1.

    Where ``recipe.classes`` is set the channels are class scores and the matte is the summed
    probability of those classes; otherwise channel 0 is the matte.
    """
    planes = planes_of(output, recipe)
    if recipe.classes:
        if max(recipe.classes) >= planes.shape[0]:
            raise InferenceFailed(
                f"the network has {planes.shape[0]} classes, the recipe wants class "
                f"{max(recipe.classes)}"
            )
        scores = softmax(planes) if recipe.activation == "softmax" else planes
        alpha = scores[list(recipe.classes)].sum(axis=0)
    else:
        alpha = _activate(planes[0], recipe)
    clipped: Alpha = np.clip(_unpad(alpha, window), 0.0, 1.0, dtype=np.float32)
    return clipped


def softmax(scores: Tensor) -> Tensor:
    """Probabilities over the first axis of (channels, h, w) class scores."""
    grown: Tensor = np.exp(scores - scores.max(axis=0, keepdims=True))
    probabilities: Tensor = grown / grown.sum(axis=0, keepdims=True)
    return probabilities


def stretch(alpha: Alpha) -> Alpha:
    """``alpha`` stretched so that it spans 0..1: the official recipe of U2-Net and IS-Net.

    A flat matte comes back as it is instead of being divided by zero.
    """
    low, high = float(alpha.min()), float(alpha.max())
    if high - low < 1e-6:
        return alpha
    return (alpha - np.float32(low)) * np.float32(1.0 / (high - low))


def _activate(plane: Tensor, recipe: Recipe) -> Tensor:
    if recipe.activation == "sigmoid":
        squashed: Tensor = 1.0 / (1.0 + np.exp(-np.clip(plane, -40.0, 40.0)))
        return squashed
    if recipe.activation == "logits>0":
        return (plane > 0).astype(np.float32)
    return plane


def _unpad(alpha: Tensor, window: Window) -> Tensor:
    """Cut the padding off, at the output's own scale (some networks answer at a smaller size)."""
    height = max(1, round(alpha.shape[0] * window.height / window.input_height))
    width = max(1, round(alpha.shape[1] * window.width / window.input_width))
    return alpha[:height, :width]
