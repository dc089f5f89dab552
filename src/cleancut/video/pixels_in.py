"""Decoded planes as RGB: the stream's own matrix and range, full depth, its own alpha, upright.

libswscale assumes BT.601, limited, where it is not told otherwise, is up to three levels off on its
fast path and 1/256 too dark at 16 bits. So planes are taken as they are: chroma is brought to the
size of luma, and one matrix (ITU-T H.273, 8.3) makes RGB of all, rounded once.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cleancut.extras import extra
from cleancut.imaging.metadata import orient
from cleancut.video.frame import LUMA_WEIGHTS, ColourTags

if TYPE_CHECKING:
    from av import VideoFrame
    from av.video.format import VideoFormat
    from av.video.reformatter import VideoReformatter

    from cleancut.arrays import Alpha

_YCGCO = 8
#: Matrices that players, and so we, read as another one: BT.2020 constant luminance.
_NEARLY = {10: 9}
#: Flags of swscale's; PyAV has no names for them before 18.
_ACCURATE_RND, _FULL_CHR_H_INT = 0x40000, 0x2000
#: Codecs whose chroma lies in the middle of its luma; H.264 and its kin have it at the left.
_CENTRED = {"mjpeg", "mpeg1video", "vp8", "theora", "amv", "libvpx"}


@dataclass(frozen=True, slots=True)
class Layout:
    """How the frames of a stream are stored, and how they are shown.

    ``matrix`` and ``full_range`` are what is reckoned with, so a guess where the stream is silent.
    ``bits`` is the depth of a sample, ``orientation`` as in EXIF (1 to 8), ``size`` (width, height)
    of the stored frames: what comes in another size is brought to it.
    """

    matrix: int
    full_range: bool
    bits: int
    alpha: bool
    orientation: int
    size: tuple[int, int]
    centred: bool


def layout_of(frame: VideoFrame, tags: ColourTags, codec: str) -> tuple[Layout, tuple[str, ...]]:
    """The layout that a stream's first frame shows, and notes on what had to be guessed."""
    depth = max((part.bits for part in frame.format.components), default=8)
    has_alpha = any(part.is_alpha for part in frame.format.components)
    palette = frame.format.name == "pal8"
    orientation, notes = _orientation(frame)
    matrix = _NEARLY.get(tags.matrix, tags.matrix)
    if matrix not in LUMA_WEIGHTS and matrix not in (0, _YCGCO):
        if matrix not in (2, 3):
            notes = (*notes, f"colour_matrix: matrix {matrix} of H.273 is not known; guessed")
        high = frame.height > 576 and not tags.hdr
        matrix = 9 if tags.hdr or tags.primaries == 9 else 1 if high else 5
    return Layout(
        matrix,
        tags.full_range,
        8 if palette else max(8, depth),
        has_alpha or palette,
        orientation,
        (frame.width, frame.height),
        codec in _CENTRED,
    ), notes


def tags_of(frame: VideoFrame) -> ColourTags:
    """What a decoded frame says about its colours; RGB and ``yuvj`` formats are full range."""
    full = frame.color_range == 2 or frame.format.is_rgb or frame.format.name.startswith("yuvj")
    found = [int(frame.color_primaries), int(frame.color_trc), int(frame.colorspace)]
    primaries, transfer, matrix = (value if 0 <= value <= 255 else 2 for value in found)
    return ColourTags(primaries, transfer, 0 if frame.format.is_rgb else matrix, full)


class PixelReader:
    """Frames of one stream as arrays; keeps libswscale's tables, so one for each thread."""

    def __init__(self, layout: Layout) -> None:
        with extra("video"):
            from av.video.reformatter import VideoReformatter

        self.layout = layout
        self._scaler: VideoReformatter = VideoReformatter()
        self._stacked: NDArray[Any] | None = None

    def read(self, frame: VideoFrame) -> tuple[NDArray[Any], Alpha | None]:
        """(H, W, 3) uint8, or uint16 in full range where the stream has more bits, and its alpha.

        Upright. The arrays own their memory.
        """
        layout = self.layout
        if _stored(frame) is None or (frame.width, frame.height) != layout.size:
            frame = self._plain(frame)
        kind = _stored(frame)
        assert kind is not None  # _plain gives such
        if kind == "packed":
            rgb, alpha = self._packed(frame)
        else:
            rgb, alpha = self._planar(frame)
        if layout.orientation != 1:
            rgb = orient(rgb, layout.orientation)
            alpha = None if alpha is None else orient(alpha, layout.orientation)
        return rgb, alpha

    def _plain(self, frame: VideoFrame) -> VideoFrame:
        """The frame at the stream's size, in a format that is read plane by plane."""
        from av.video.reformatter import Interpolation

        deep = self.layout.bits > 8
        if frame.format.is_rgb or frame.format.has_palette or "xyz" in frame.format.name:
            name = ("rgba64le" if deep else "rgba") if self.layout.alpha else ""
            name = name or ("rgb48le" if deep else "rgb24")
        else:
            name = ("yuva444p" if self.layout.alpha else "yuv444p") + ("16le" if deep else "")
        span = 2 if self.layout.full_range else 1
        width, height = self.layout.size
        flags: int = Interpolation.BICUBIC | _ACCURATE_RND | _FULL_CHR_H_INT
        # One range on both sides: only the format may change here.
        return self._scaler.reformat(
            frame, width, height, name, src_color_range=span, dst_color_range=span,
            interpolation=flags,
        )  # fmt: skip

    def _packed(self, frame: VideoFrame) -> tuple[NDArray[Any], Alpha | None]:
        pixels = frame.to_ndarray()
        if self.layout.bits > 8 and pixels.dtype == np.uint8:
            pixels = pixels.astype(np.uint16) * np.uint16(257)
        if pixels.shape[2] == 3:
            return pixels.copy(), None
        alpha = _share(pixels[..., 3], 255 if pixels.dtype == np.uint8 else 65535)
        return cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGBA2RGB), alpha

    def _planar(self, frame: VideoFrame) -> tuple[NDArray[Any], Alpha | None]:
        layout = self.layout
        bits = max(part.bits for part in frame.format.components)
        planes = _planes(frame)
        size = (frame.width, frame.height)
        alpha = _share(planes[-1], 2**bits - 1) if len(planes) in (2, 4) else None
        if len(planes) < 3:
            return self._grey(planes[0], bits), alpha
        chroma = [enlarged(plane, size, centred=layout.centred) for plane in planes[1:3]]
        # The same memory for every frame: fresh pages cost more than the arithmetic does.
        stacked = self._stacked = cv2.merge([planes[0], *chroma], self._stacked)
        matrix = to_rgb_matrix(layout.matrix, layout.full_range, bits, 16 if layout.bits > 8 else 8)
        if layout.bits > 8 and bits == 8:  # a stream that changes its depth
            stacked = stacked.astype(np.uint16)
        elif layout.bits == 8 and bits > 8:
            return cv2.convertScaleAbs(cv2.transform(stacked, matrix), alpha=1.0), alpha
        return cv2.transform(stacked, matrix), alpha

    def _grey(self, plane: NDArray[Any], bits: int) -> NDArray[Any]:
        gain, offset = _luma(self.layout.full_range, bits, 16 if self.layout.bits > 8 else 8)
        if self.layout.bits == 8 and bits == 8 and gain == 1:
            return cv2.cvtColor(plane, cv2.COLOR_GRAY2RGB)
        deep = self.layout.bits > 8
        values = plane.astype(np.float32) * np.float32(gain) + np.float32(offset)
        scaled = np.rint(np.clip(values, 0, 65535 if deep else 255))
        grey: NDArray[Any] = scaled.astype(np.uint16 if deep else np.uint8)
        return cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)


@lru_cache(maxsize=32)
def to_rgb_matrix(matrix: int, full_range: bool, bits: int, out_bits: int) -> NDArray[np.float32]:
    """(3, 4) from stored Y, Cb, Cr of ``bits`` to R, G, B of ``out_bits``, full range.

    Inverse of ITU-T H.273, equations 23 to 40; ``matrix`` is its code point.
    """
    gain, offset = _luma(full_range, bits, out_bits)
    middle = 2.0 ** (bits - 1)
    top = 2.0**out_bits - 1
    swing = (2.0**bits - 1) if full_range else 224.0 * 2 ** (bits - 8)
    if matrix == 0:  # GBR, stored as Y, Cb, Cr
        rows = np.array([[0, 0, gain, offset], [gain, 0, 0, offset], [0, gain, 0, offset]])
        return rows.astype(np.float32)
    if matrix == _YCGCO:
        mix = np.array([[-1.0, 1.0], [1.0, 0.0], [-1.0, -1.0]])
    else:
        red, blue = LUMA_WEIGHTS[matrix]
        green = 1 - red - blue
        u, v = 2 * (1 - blue), 2 * (1 - red)
        mix = np.array([[0, v], [-u * blue / green, -v * red / green], [u, 0]])
    mix *= top / swing
    rows = np.column_stack([np.full(3, gain), mix, offset - mix.sum(axis=1) * middle])
    return rows.astype(np.float32)


def _luma(full_range: bool, bits: int, out_bits: int) -> tuple[float, float]:
    """Gain and offset from a stored luma to full range."""
    top = 2.0**out_bits - 1
    if full_range:
        return top / (2.0**bits - 1), 0.0
    gain = top / (219.0 * 2 ** (bits - 8))
    return gain, -16.0 * 2 ** (bits - 8) * gain


def enlarged(plane: NDArray[Any], size: tuple[int, int], *, centred: bool) -> NDArray[Any]:
    """A chroma plane at the size (width, height) of luma, linearly between its samples.

    Chroma lies at the left luma sample horizontally, and between two rows vertically (H.264,
    6.2), or between the samples both ways (``centred``: JPEG).
    """
    width, height = size
    rows, columns = plane.shape
    across = -(-width // columns)
    down = -(-height // rows)
    if (across, down) == (1, 1):
        return plane
    if across == 2 and not centred:
        if down > 1:
            plane = cv2.resize(plane, (columns, rows * down), interpolation=cv2.INTER_LINEAR)
        following = np.concatenate([plane[:, 1:], plane[:, -1:]], axis=1)
        between = cv2.addWeighted(plane, 0.5, following, 0.5, 0)
        wide = cv2.merge([plane, between]).reshape(plane.shape[0], columns * 2)
    else:
        goal = (columns * across, rows * down)
        wide = cv2.resize(plane, goal, interpolation=cv2.INTER_LINEAR)
    return wide[:height, :width]


def _stored(frame: VideoFrame) -> str | None:
    """How planes can be read: "packed" (RGB), "planar", or None: not as they are."""
    format_ = frame.format
    if format_.name in ("rgb24", "rgba", "rgb48le", "rgba64le"):
        return "packed"
    if not _is_plain(format_) or any(plane.line_size < 0 for plane in frame.planes):
        return None
    return "planar"


def _is_plain(format_: VideoFormat) -> bool:
    """Planar grey, YUV or GBR of 8 bits, or of 9 to 16 in the low bits of little-endian words."""
    name = format_.name
    if not name.startswith(("yuv", "gray", "gbr")) or name.endswith(("be", "f16le", "msble")):
        return False
    parts = format_.components
    planes = sorted(part.plane for part in parts)
    depths = {part.bits for part in parts}
    return planes == list(range(len(parts))) and len(depths) == 1 and depths <= set(range(8, 17))


def _planes(frame: VideoFrame) -> list[NDArray[Any]]:
    """Views of the planes, (rows, columns) each."""
    wide = max(part.bits for part in frame.format.components) > 8
    kind = np.dtype("<u2" if wide else "u1")
    found = []
    for plane in frame.planes:
        pitch = plane.line_size // kind.itemsize
        values: NDArray[Any] = np.frombuffer(memoryview(plane), kind, plane.height * pitch)
        found.append(values.reshape(plane.height, pitch)[:, : plane.width])
    return found


def _share(plane: NDArray[Any], top: int) -> Alpha:
    alpha = plane.astype(np.float32)
    alpha *= np.float32(1 / top)
    return np.minimum(alpha, np.float32(1), out=alpha)


def _orientation(frame: VideoFrame) -> tuple[int, tuple[str, ...]]:
    """Orientation as in EXIF of a frame's display matrix (ISO 14496-12, 8.2.2), 16.16 fixed."""
    for data in frame.side_data:
        if getattr(getattr(data, "type", None), "name", "") == "DISPLAYMATRIX":
            raw = bytes(memoryview(data))  # type: ignore[arg-type]
            break
    else:
        return 1, ()
    if len(raw) < 36:
        return 1, ()
    a, b, _, c, d, *_ = struct.unpack("=9i", raw[:36])
    straight, turned = min(abs(a), abs(d)), min(abs(b), abs(c))
    if straight > 8 * max(abs(b), abs(c)):
        return {(True, True): 1, (False, True): 2, (False, False): 3, (True, False): 4}[
            (a > 0, d > 0)
        ], ()
    if turned > 8 * max(abs(a), abs(d)):
        return {(True, True): 5, (True, False): 6, (False, False): 7, (False, True): 8}[
            (b > 0, c > 0)
        ], ()
    return 1, ("rotation: the video asks for a skewed picture, which is not done",)
