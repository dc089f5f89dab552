"""What the pictures of guidance say: trimap, mask, matte and scribbles, as arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from cleancut.arrays import check_alpha, full_scale
from cleancut.errors import BadArray

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.arrays import Alpha, Rgb, Tensor
    from cleancut.imaging.picture import Picture

    Mask = NDArray[np.bool_]

#: From this level on a trimap says keep; up to its complement it says remove.
DEFINITE = 0.95
#: A trimap whose channels differ by more than this on average is a colour picture.
GREY_SPREAD = 0.05
#: Green and red count as marks from this intensity on, with the other channels at most this.
STRONG, WEAK = 0.75, 0.4
#: White and black marks on a transparent sheet.
LIGHT, DARK = 0.9, 0.1


def check_size(picture: Picture, name: str, height: int, width: int) -> None:
    """Raise ``BadArray``, with the way out, unless ``picture`` is as large as the one it guides."""
    if (picture.height, picture.width) == (height, width):
        return
    if (picture.height, picture.width) == (width, height):
        hint = (
            "the photo is stored turned (EXIF orientation) and is used upright: turn the "
            f"{name} by 90 degrees, or make it from the upright picture"
        )
    else:
        hint = (
            f'make it {width} x {height}: python -c "from PIL import Image; '
            f"Image.open('{name}.png').resize(({width}, {height})).save('{name}.png')\""
        )
    raise BadArray(
        f"the {name} is {picture.width} x {picture.height} pixels, "
        f"the picture is {width} x {height}",
        hint=hint,
    )


def trimap_in(picture: Picture) -> Alpha:
    """(H, W): 0, 0.5 (unknown) and 1; ``BadArray`` if it is coloured or nothing can be solved."""
    red, green, blue = cv2.split(np.ascontiguousarray(picture.rgb))
    spread = cv2.subtract(cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue))
    if float(spread.mean(dtype=np.float64)) / full_scale(picture.rgb) > GREY_SPREAD:
        raise BadArray(
            "the trimap is a colour picture",
            hint="make it white (keep), black (remove) and grey (unknown); coloured marks are "
            "scribbles: --scribbles FILE",
        )
    grey = _grey(picture.rgb)
    trimap = np.full(grey.shape, 0.5, np.float32)
    trimap[grey >= DEFINITE] = 1
    trimap[grey <= 1 - DEFINITE] = 0
    if picture.alpha is not None:
        trimap[picture.alpha < 0.5] = 0.5
    lacking = [word for word, level in (("white", 1), ("black", 0)) if not (trimap == level).any()]
    if lacking and (trimap == 0.5).any():
        raise BadArray(
            f"the trimap has no {' and no '.join(lacking)} pixel: nothing to solve from",
            hint="paint what is surely subject white (243 to 255) and what is surely background "
            "black (0 to 12); grey is unknown",
        )
    return trimap


def matte_in(picture: Picture, name: str) -> Alpha:
    """(H, W): the transparency of a picture that has some, else its brightness.

    A grey picture that says of every pixel that it is opaque has none.
    """
    plane = picture.alpha
    if plane is None or (_is_grey(picture.rgb) and bool((plane == 1).all())):
        plane = _grey(picture.rgb)
    return check_alpha(plane, name).copy()


def marks_in(picture: Picture) -> tuple[Mask, Mask]:
    """The pixels a scribble picture marks to keep and to remove; ``BadArray`` if there are none."""
    remove, keep, blue = _painted(picture)
    if picture.alpha is not None:
        painted = picture.alpha >= 0.5
        colour = _unit(picture.rgb)
        low, high = colour.min(axis=2), colour.max(axis=2)
        keep, remove = (keep | (low >= LIGHT)) & painted, (remove | (high <= DARK)) & painted
    if not (keep.any() or remove.any()):
        raise BadArray(
            "the scribbles hold no mark",
            hint="paint pure green (0,255,0) on what to keep and pure red (255,0,0) on what to "
            "remove; white and black count only on a transparent sheet"
            + (", blue only on a finished matte: --matte FILE" if blue.any() else ""),
        )
    return keep, remove


def strokes_in(picture: Picture) -> tuple[Mask, Mask, Mask]:
    """The pixels that scribbles on a matte mark to keep, to remove and to solve again.

    Raises ``BadArray`` if there are none.
    """
    remove, keep, again = _painted(picture)
    if picture.alpha is not None:
        painted = picture.alpha >= 0.5
        keep, remove, again = keep & painted, remove & painted, again & painted
    if not (keep.any() or remove.any() or again.any()):
        raise BadArray(
            "the scribbles hold no mark",
            hint="on a matte paint pure green (0,255,0) on what to keep, pure red (255,0,0) on "
            "what to remove and pure blue (0,0,255) on what to solve again",
        )
    return keep, remove, again


def _painted(picture: Picture) -> tuple[Mask, Mask, Mask]:
    """Where a scribble picture is red, green and blue."""
    red, green, blue = cv2.split(np.ascontiguousarray(picture.rgb))
    strong, weak = (full_scale(picture.rgb) * level for level in (STRONG, WEAK))

    def only(one: Tensor, two: Tensor, three: Tensor) -> Mask:
        pure: Mask = (one >= strong) & (cv2.max(two, three) <= weak)
        return pure

    return only(red, green, blue), only(green, red, blue), only(blue, red, green)


def _unit(rgb: Rgb) -> NDArray[np.float32]:
    return rgb.astype(np.float32) / np.float32(full_scale(rgb))


def _grey(rgb: Rgb) -> Alpha:
    """(H, W) luminance; exact for grey pictures."""
    if _is_grey(rgb):
        return _unit(rgb[..., 1])
    return np.clip(cv2.cvtColor(_unit(rgb), cv2.COLOR_RGB2GRAY), 0, 1).astype(np.float32)


def _is_grey(rgb: Rgb) -> bool:
    red, green, blue = (rgb[..., channel] for channel in range(3))
    return np.array_equal(red, green) and np.array_equal(green, blue)
