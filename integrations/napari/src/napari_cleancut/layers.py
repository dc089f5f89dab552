"""napari's layers and cleancut's pictures: what is on the screen, in pixels of one image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut import Guidance

KEEP, REMOVE = 1, 2
_COLOURS = {KEEP: (0, 255, 0), REMOVE: (255, 0, 0)}


def picture_of(layer: Any, step: Sequence[int]) -> NDArray[Any]:
    """What the image layer shows at ``step``, the viewer's position: (H, W) or (H, W, 3 or 4).

    Colours in 8 or 16 bit stay as they are; other values are read as the screen shows them, from
    the lower contrast limit (0) to the upper (1).
    """
    spare = layer.ndim - 2
    plane = np.asarray(layer.data[tuple(step[len(step) - layer.ndim :][:spare])])
    if layer.rgb:
        return plane
    low, high = (float(limit) for limit in layer.contrast_limits)
    return np.clip((plane.astype(np.float32) - low) / max(high - low, 1e-12), 0, 1)


def guidance_of(
    shape: tuple[int, int],
    strokes: NDArray[Any] | None = None,
    keep: NDArray[Any] | None = None,
    remove: NDArray[Any] | None = None,
) -> Guidance | None:
    """What strokes (H, W; 1 keep, 2 remove) and points (N, 2; row, column) say; None for nothing.

    Raises ``ValueError`` where the strokes are of another size than ``shape``, the image's.
    """
    from cleancut import Guidance

    said: dict[str, Any] = {}
    if strokes is not None:
        if strokes.shape != shape:
            raise ValueError(
                f"the strokes are {strokes.shape[1]} x {strokes.shape[0]} and the image "
                f"{shape[1]} x {shape[0]}; paint in a labels layer made for this image"
            )
        if marked := [label for label in _COLOURS if (strokes == label).any()]:
            painted = np.zeros((*shape, 3), np.uint8)
            for label in marked:
                painted[strokes == label] = _COLOURS[label]
            said["scribbles"] = painted
    for name, points in (("keep_points", keep), ("remove_points", remove)):
        if points is not None and len(points):
            # napari's pixels have their middles at whole numbers.
            said[name] = [(float(x) + 0.5, float(y) + 0.5) for y, x in points[:, -2:]]
    return Guidance(**said) if said else None


def points_in(points: Any, image: Any) -> NDArray[Any]:
    """The points of a points layer as rows and columns of the image layer, (N, 2)."""
    world = [points.data_to_world(point)[-2:] for point in points.data]
    scale, shift = image.scale[-2:], image.translate[-2:]
    return (np.reshape(world, (-1, 2)) - shift) / scale


def placed(image: Any) -> dict[str, Any]:
    """Where a plane of the image layer lies, for a layer of two dimensions on top of it."""
    return {"scale": image.scale[-2:], "translate": image.translate[-2:]}
