"""ICC profiles through LittleCMS: what a profile is, and pixels from its space to sRGB."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from cleancut.errors import UnreadableImage

if TYPE_CHECKING:
    from cleancut.arrays import Rgb

Space = Literal["rgb", "grey", "cmyk"]

_SPACES: dict[str, Space] = {"RGB": "rgb", "GRAY": "grey", "CMYK": "cmyk"}
_MODES: dict[Space, tuple[str, str]] = {
    "rgb": ("RGB", "RGB"),
    "grey": ("I;16", "RGB"),
    "cmyk": ("CMYK", "RGB"),
}
_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION
_STRIP_PIXELS = 1 << 22


def profile_space(icc: bytes) -> Space | None:
    """Colour space of a usable profile; None if it is broken or of another kind (Lab, XYZ)."""
    found = _transform(icc)
    return found[0] if found else None


@lru_cache(maxsize=16)
def is_srgb(icc: bytes | None) -> bool:
    """Whether colours in ``icc`` are those of sRGB; True for None (untagged means sRGB).

    Decided by what the profile does to a lattice of colours, since names and bytes vary: nothing
    may move by more than one step in 255.
    """
    if icc is None:
        return True
    if profile_space(icc) != "rgb":
        return False
    steps = np.linspace(0, 255, 9).astype(np.uint8)
    lattice = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(27, 27, 3)
    moved = np.abs(_apply(lattice, icc).astype(np.int16) - lattice)
    return int(moved.max()) <= 1


def to_srgb(rgb: Rgb, icc: bytes | None) -> Rgb:
    """(H, W, 3) in the space of ``icc`` as a model or a screen sees it: sRGB.

    Returned unchanged, at its depth, where that is sRGB already or ``icc`` cannot be used; else
    converted at 8 bits, relative colorimetric with black point compensation. Meant for a view, not
    for pixels that are written out.
    """
    if is_srgb(icc) or icc is None or profile_space(icc) != "rgb":
        return rgb
    return _apply(_narrow(rgb), icc)


def from_srgb(rgb: Rgb, icc: bytes | None) -> Rgb:
    """(H, W, 3) sRGB as pixels in the space of ``icc``, to look the same through that profile.

    Returned unchanged, at its depth, where the space is sRGB, ``icc`` is no RGB profile, or the
    profile only leads out of its space (a scanner's table); else converted at 8 bits, relative
    colorimetric with black point compensation.
    """
    if is_srgb(icc) or icc is None or profile_space(icc) != "rgb":
        return rgb
    if _transform(icc, back=True) is None:
        return rgb
    return _apply(_narrow(rgb), icc, back=True)


def grey_to_srgb(grey: NDArray[np.uint8] | NDArray[np.uint16], icc: bytes) -> Rgb:
    """(H, W) in the space of a grey profile -> (H, W, 3) sRGB of the same depth.

    LittleCMS answers in 8 bits; the places where its answer steps, known to 1/65536, give the
    smooth curve back, so that 16-bit gradients stay smooth.
    """
    ramp = Image.fromarray(np.arange(65536, dtype=np.uint16).reshape(256, 256))
    steps = np.asarray(_convert(ramp, icc))[..., 1].reshape(-1).astype(np.int32)
    edges = np.flatnonzero(np.diff(steps) > 0)
    if edges.size == 0:
        raise UnreadableImage("the grey profile maps everything to one tone")
    at = np.concatenate([[0], edges + 0.5, [65535]])
    tone = np.concatenate([[steps[0]], (steps[edges] + steps[edges + 1]) / 2, [steps[-1]]]) / 255
    top = 255 if grey.dtype == np.uint8 else 65535
    curve = np.interp(np.linspace(0, 65535, top + 1), at, tone)
    table = np.rint(curve * top).astype(grey.dtype)
    return np.repeat(table[grey][..., None], 3, axis=2)


def cmyk_to_srgb(image: Image.Image, icc: bytes | None) -> NDArray[np.uint8]:
    """A PIL image of mode CMYK -> (H, W, 3) sRGB; without a profile by the plain formula."""
    rgb = np.empty((image.height, image.width, 3), np.uint8)
    for top, strip in strips(image):
        converted = strip.convert("RGB") if icc is None else _convert(strip, icc)
        rgb[top : top + strip.height] = np.asarray(converted)
    return rgb


def strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """(first row, strip) for all of ``image``: little enough at a time to be held twice over."""
    rows = max(1, _STRIP_PIXELS // image.width)
    if rows >= image.height:
        yield 0, image
        return
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def lab_to_srgb(image: Image.Image) -> Image.Image:
    """A PIL image of mode LAB (D50) -> mode RGB, sRGB."""
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    transform = ImageCms.buildTransform(lab, srgb, "LAB", "RGB")
    return ImageCms.applyTransform(image, transform)  # type: ignore[return-value]


def _narrow(rgb: Rgb) -> NDArray[np.uint8]:
    if rgb.dtype == np.uint16:
        return ((rgb.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if rgb.dtype == np.float32:
        return np.rint(np.clip(np.asarray(rgb, np.float32), 0, 1) * 255).astype(np.uint8)
    return np.asarray(rgb, np.uint8)


def _apply(rgb: NDArray[np.uint8], icc: bytes, *, back: bool = False) -> NDArray[np.uint8]:
    out = np.empty_like(rgb, order="C")
    rows = max(1, _STRIP_PIXELS // rgb.shape[1])
    for top in range(0, rgb.shape[0], rows):
        strip = Image.fromarray(np.ascontiguousarray(rgb[top : top + rows]))
        out[top : top + rows] = np.asarray(_convert(strip, icc, back=back))
    return out


def _convert(image: Image.Image, icc: bytes, *, back: bool = False) -> Image.Image:
    found = _transform(icc, back=back)
    if found is None:
        raise UnreadableImage("the colour profile is broken", hint="save the picture without it")
    converted = ImageCms.applyTransform(image, found[1])
    assert converted is not None  # None only for in-place work
    return converted


@lru_cache(maxsize=8)
def _transform(
    icc: bytes, *, back: bool = False
) -> tuple[Space, ImageCms.ImageCmsTransform] | None:
    """Space and transform of a profile to sRGB (``back``: from it, RGB profiles only).

    None if the profile cannot be used. Safe to share.
    """
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        space = _SPACES.get(profile.profile.xcolor_space.strip())
        if space is None or (back and space != "rgb"):
            return None
        source, target = (srgb, profile) if back else (profile, srgb)
        transform = ImageCms.buildTransform(
            source,
            target,
            *_MODES[space],
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=_FLAGS | (ImageCms.Flags.NOOPTIMIZE if space == "grey" else 0),
        )
    except (OSError, ValueError, TypeError, ImageCms.PyCMSError):
        return None
    return space, transform
