"""Array types and the guards that check them.

Shapes: ``Rgb`` is (H, W, 3), ``Alpha`` is (H, W). Mattes are float32 in [0, 1], straight (not
premultiplied). Colour stays uint8 or uint16 until arithmetic needs float32 in [0, 1].
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from cleancut.errors import BadArray

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    #: (H, W, 3), uint8 or uint16 at decoded depth, or float32 in [0, 1]
    Rgb: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]
    #: (H, W), float32 in [0, 1], straight
    Alpha: TypeAlias = NDArray[np.float32]
    #: any array a network takes or gives
    Tensor: TypeAlias = NDArray[Any]
    #: recurrent state of a video model, by input name
    State: TypeAlias = dict[str, NDArray[Any]]


def full_scale(pixels: Rgb) -> int:
    """The value of full intensity: 255, 65535, or 1 for floats."""
    return {"uint8": 255, "uint16": 65535}.get(pixels.dtype.name, 1)


def strips(plane: Tensor, pixels: int) -> Iterator[slice]:
    """Slices of rows that together cover ``plane`` (H, W, ...), about ``pixels`` of it each."""
    step = max(1, pixels // plane.shape[1])
    for top in range(0, plane.shape[0], step):
        yield slice(top, top + step)


def check_rgb(rgb: Rgb, name: str = "picture") -> Rgb:
    """Return ``rgb`` if it is (H, W, 3) uint8, uint16 or float32; raise ``BadArray`` if not."""
    import numpy as np

    if rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
        raise BadArray(
            f"{name}: an array of shape {rgb.shape} is not a colour picture",
            hint="hand in height x width x 3 (RGB)",
        )
    if rgb.dtype not in (np.uint8, np.uint16, np.float32):
        raise BadArray(
            f"{name}: pixels of type {rgb.dtype} are not understood",
            hint="convert to uint8, uint16 or float32 in 0..1",
        )
    return rgb


def check_alpha(alpha: Alpha, name: str = "alpha") -> Alpha:
    """Return ``alpha`` if it is (H, W) float32, finite and in [0, 1]; raise ``BadArray`` if not."""
    import numpy as np

    if alpha.ndim != 2 or 0 in alpha.shape or alpha.dtype != np.float32:
        raise BadArray(f"{name}: expected height x width float32, got {alpha.shape} {alpha.dtype}")
    low, high = float(alpha.min()), float(alpha.max())
    if not (low >= 0.0 and high <= 1.0):  # False for NaN too
        raise BadArray(f"{name}: values must lie in 0..1, found {low:.3g}..{high:.3g}")
    return alpha
