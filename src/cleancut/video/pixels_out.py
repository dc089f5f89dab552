"""RGB to the planes of a codec: matrix, range, depth and chroma of ITU-T H.273, straight alpha.

swscale would do it too, but has another default for matrix and range, and takes three times as
long as OpenCV's transform.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from cleancut.imaging.encode import quantise
from cleancut.video.frame import LUMA_WEIGHTS

if TYPE_CHECKING:
    from cleancut.arrays import Alpha, Rgb
    from cleancut.video.frame import ColourTags, VideoInfo

#: From this height on, an untagged video is taken for BT.709, below for BT.601, as players do.
_HD_HEIGHT = 577
#: Opacity that is written as 0.
_CLEAR = np.float32(0.5 / 255)
#: Opacity from which on a pixel's colour is worth carrying on, and the share of coarser steps.
_SEEN, _COARSE = np.float32(0.2), np.float32(0.02)


@dataclass(frozen=True, slots=True)
class Planes:
    """A layout of planes: FFmpeg's name, depth, and by how much chroma is coarser."""

    name: str
    bits: int
    across: int = 1
    down: int = 1
    alpha: bool = False
    rgb: bool = False


#: Planes by codec, transparency and depth.
LAYOUTS: dict[tuple[str, bool, int], Planes] = {
    ("h264", False, 8): Planes("yuv420p", 8, 2, 2),
    ("h265", False, 8): Planes("yuv420p", 8, 2, 2),
    ("h265", False, 10): Planes("yuv420p10le", 10, 2, 2),
    ("vp9", False, 8): Planes("yuv420p", 8, 2, 2),
    ("vp9", True, 8): Planes("yuva420p", 8, 2, 2, alpha=True),
    ("prores", False, 10): Planes("yuv422p10le", 10, 2, 1),
    ("prores", True, 10): Planes("yuva444p10le", 10, alpha=True),
    ("ffv1", False, 8): Planes("bgr0", 8, rgb=True),
    ("ffv1", True, 8): Planes("bgra", 8, alpha=True, rgb=True),
    ("ffv1", False, 16): Planes("gbrp16le", 16, rgb=True),
    ("ffv1", True, 16): Planes("gbrap16le", 16, alpha=True, rgb=True),
}


@dataclass(frozen=True, slots=True)
class Coding:
    """Code points under which YUV is written (H.273), and whether it uses the full range."""

    primaries: int
    transfer: int
    matrix: int
    full_range: bool


def coding(info: VideoInfo, layout: Planes, *, plain: bool, deep_range: bool) -> Coding:
    """How colours of a source are written: as tagged, untagged as players take it for.

    ``plain`` pixels are BT.709: tone mapped ones, and a matte's greys. ``deep_range`` is whether
    the codec may keep full range.
    """
    tags: ColourTags = info.colour
    if plain:
        return Coding(1, 1, 1, layout.rgb)
    high = info.height >= _HD_HEIGHT or info.kind != "stream"
    matrix = tags.matrix if tags.matrix in LUMA_WEIGHTS else (1 if high else 6)
    usual = matrix if matrix in (1, 6) else 2
    primaries = tags.primaries if tags.primaries not in (0, 2, 3) else usual
    transfer = tags.transfer if tags.transfer not in (0, 2, 3) else usual
    if layout.rgb:
        return Coding(primaries, transfer, 0, True)
    full = tags.full_range and deep_range and info.kind == "stream"
    return Coding(primaries, transfer, matrix, full)


def to_yuv(rgb: Rgb, layout: Planes, code: Coding) -> list[NDArray[Any]]:
    """Y, U and V of ``rgb`` (H, W, 3), uint8 or uint16, at the layout's depth.

    Chroma planes have ceil(W / across) x ceil(H / down) samples, each the mean of those it covers.
    """
    wide = layout.bits > 8
    pixels = quantise(rgb, 16 if wide else 8)
    if layout.across > 1 and (rgb.shape[1] % layout.across or rgb.shape[0] % layout.down):
        pixels = _padded(pixels, rgb.shape[0] % layout.down, rgb.shape[1] % layout.across)
    spare = 16 - layout.bits if wide else 0  # bits of precision kept until chroma is averaged
    luma, *chroma = cv2.split(cv2.transform(pixels, _matrix(code, layout.bits, wide, spare)))
    height, width = pixels.shape[:2]
    if layout.across > 1:
        coarse = (width // layout.across, height // layout.down)
        chroma = [cv2.resize(plane, coarse, interpolation=cv2.INTER_AREA) for plane in chroma]
    planes: list[NDArray[Any]] = [luma[: rgb.shape[0], : rgb.shape[1]], *chroma]
    if spare:
        planes = [(plane + np.uint16(1 << spare - 1)) >> spare for plane in planes]
    return planes


def _padded(pixels: NDArray[Any], down: int, across: int) -> NDArray[Any]:
    return cv2.copyMakeBorder(pixels, 0, down, 0, across, cv2.BORDER_REPLICATE)


def _matrix(code: Coding, bits: int, wide: bool, spare: int) -> NDArray[np.float64]:
    """(3, 4): RGB of 0..255 or 0..65535 to YUV of ``bits`` plus ``spare`` bits."""
    red, blue = LUMA_WEIGHTS[code.matrix]
    luma = np.array([red, 1 - red - blue, blue])
    to_blue = (np.array([0, 0, 1]) - luma) / (2 * (1 - blue))
    to_red = (np.array([1, 0, 0]) - luma) / (2 * (1 - red))
    unit = float(1 << spare)
    step = float(1 << bits - 8)
    top = (1 << bits) - 1
    light, colour, black = (
        (top, top, 0.0) if code.full_range else (219 * step, 224 * step, 16 * step)
    )
    whole = 65535.0 if wide else 255.0
    rows = [luma * light, to_blue * colour, to_red * colour]
    matrix = np.array([row * unit / whole for row in rows])
    middle = 128 * step * unit
    return np.hstack([matrix, [[black * unit], [middle], [middle]]])


def spread(rgb: Rgb, alpha: Alpha) -> Rgb:
    """``rgb`` with the colours of visible pixels carried on, smoothly, into the clear ones.

    Lossy codecs mix the colours of neighbouring pixels (4:2:0 chroma, transforms); black under
    alpha 0 would give soft edges a dark fringe, and the picture's own background would show.
    Push-pull filling (Gortler et al. 1996, The Lumigraph, 3.4.2) over steps of four.
    """
    clear = (alpha < _CLEAR).astype(np.uint8)
    if not cv2.hasNonZero(clear):
        return rgb
    height, width = alpha.shape
    seen = (alpha >= _SEEN).astype(np.uint8)
    small = (max(1, width // 2), max(1, height // 2))
    colour: Any = cv2.resize(cv2.copyTo(rgb, seen), small, interpolation=cv2.INTER_AREA)
    weight: Any = cv2.resize(seen * np.uint8(255), small, interpolation=cv2.INTER_AREA)
    levels: list[tuple[NDArray[Any], NDArray[Any]]] = []
    colour, weight = colour.astype(np.float32), weight.astype(np.float32) / np.float32(255)
    for step in (2, 4, 4, 4, 4, 4):
        small = (max(1, small[0] // step), max(1, small[1] // step))
        colour = cv2.resize(colour, small, interpolation=cv2.INTER_AREA)
        weight = cv2.resize(weight, small, interpolation=cv2.INTER_AREA)
        levels.append((colour, weight))
    mean = cv2.sumElems(colour)[:3] / np.maximum(cv2.sumElems(weight)[0], 1e-6)
    filled: Any = np.full_like(colour, mean)
    for colour, weight in reversed(levels):
        coarse = cv2.resize(filled, (weight.shape[1], weight.shape[0]))
        filled = (colour + _COARSE * coarse) / (weight[..., None] + _COARSE)
    around: Any = np.rint(filled).astype(rgb.dtype)
    out: Rgb = rgb.copy()
    cv2.copyTo(cv2.resize(around, (width, height)), clear, out)
    return out


def cleared(rgb: Rgb, alpha: Alpha) -> Rgb:
    """``rgb`` with black where ``alpha`` is 0: it packs best and shows nothing."""
    return cast("Rgb", cv2.copyTo(rgb, (alpha >= _CLEAR).astype(np.uint8)))


def fill_planes(frame: Any, rgb: Rgb, alpha: Alpha | None, layout: Planes, code: Coding) -> None:
    """Write ``rgb`` and ``alpha`` into the planes of an FFmpeg frame of this layout."""
    for plane, values in zip(frame.planes, _planes(rgb, alpha, layout, code), strict=True):
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        width = values.shape[1] * values.itemsize * (values.shape[2] if values.ndim == 3 else 1)
        goal = rows[: values.shape[0], :width].view(values.dtype)
        goal[:] = values.reshape(values.shape[0], -1)


def _planes(rgb: Rgb, alpha: Alpha | None, layout: Planes, code: Coding) -> list[NDArray[Any]]:
    if not layout.rgb:
        planes = to_yuv(rgb, layout, code)
        return [*planes, _opacity(rgb, alpha, layout.bits)] if layout.alpha else planes
    pixels = quantise(rgb, layout.bits)
    if layout.bits == 8:
        order = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGRA)
        return [cv2.insertChannel(_opacity(rgb, alpha, 8), order, 3) if layout.alpha else order]
    red, green, blue = cv2.split(pixels)
    return [green, blue, red, *([_opacity(rgb, alpha, 16)] if layout.alpha else [])]


def _opacity(rgb: Rgb, alpha: Alpha | None, bits: int) -> NDArray[Any]:
    if alpha is None:
        alpha = np.ones(rgb.shape[:2], np.float32)
    if bits in (8, 16):
        return quantise(alpha, bits)
    return (alpha * np.float32((1 << bits) - 1) + np.float32(0.5)).astype(np.uint16)
