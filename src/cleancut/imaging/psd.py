"""Photoshop documents: layers with masks, and the merged picture that simple readers show.

After Adobe's "Photoshop File Formats Specification" (2019). psd-tools packs the records; they are
put together here, since its own way over PIL images holds 8 bits and composes the layers again.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cleancut.arrays import check_alpha, check_rgb, full_scale
from cleancut.errors import BadArray, BadOption
from cleancut.extras import extra
from cleancut.imaging.threads import each

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.arrays import Alpha, Rgb

#: Longest side of a document; beyond it is another format (PSB).
MAX_SIDE = 30_000
_RGB = 3
_TRANSPARENCY, _MASK = -1, -2
_INCH, _FIXED = 1, 65536
_STRIP_ROWS = 256
#: What tag 37724 begins with, and how Photoshop shows masks: red, half opaque.
_SOURCE_DATA = b"Adobe Photoshop Document Data Block\0"
_OVERLAY = struct.pack(">6HBx", 0, 65535, 0, 0, 0, 50, 128)


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A layer of the document's size: ``rgb`` (H, W, 3), and ``mask`` (H, W) as its layer mask."""

    name: str
    rgb: Rgb
    mask: Alpha | None = None
    visible: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """``layers``, the lowest first, and what they show together: ``merged``, on white where there
    is ``alpha``, its transparency.
    """

    layers: tuple[Layer, ...]
    merged: Rgb
    alpha: Alpha | None


@dataclass(frozen=True, slots=True)
class _Depth:
    bits: int
    rows: int
    columns: int


def check_installed() -> None:
    """Raise ``MissingDependency`` before any work for a document that could not be written."""
    with extra("psd"):
        import psd_tools  # noqa: F401


def encode_psd(
    rgb: Rgb,
    alpha: Alpha | None = None,
    *,
    original: Rgb | None = None,
    background: Rgb | None = None,
    sixteen_bit: bool | None = None,
    icc: bytes | None = None,
    exif: bytes | None = None,
    dpi: tuple[float, float] | None = None,
) -> bytes:
    """A cutout as a document that looks like it, and whose matte can still be painted on.

    ``rgb`` (H, W, 3) is the layer "Subject" and ``alpha`` (H, W) its mask. ``original``, the
    picture as it was, is a hidden layer below; where ``alpha`` is 0 it is also what the subject's
    layer holds, so that white paint on the mask brings it back. ``background`` is the lowest layer.
    All pictures have the same size. ``sixteen_bit`` None means: where ``rgb`` is uint16.

    Raises as ``write_psd``, and ``BadArray``.
    """
    document = layered(rgb, alpha, original=original, background=background)
    return write_psd(
        document.layers,
        document.merged,
        document.alpha,
        sixteen_bit=rgb.dtype == np.uint16 if sixteen_bit is None else sixteen_bit,
        icc=icc,
        exif=exif,
        dpi=dpi,
    )


def layered(
    rgb: Rgb,
    alpha: Alpha | None = None,
    *,
    original: Rgb | None = None,
    background: Rgb | None = None,
) -> Document:
    """A cutout as layers, as ``encode_psd`` describes them; raises ``BadArray``."""
    for picture in (rgb, original, background):
        if picture is not None and check_rgb(picture).shape != rgb.shape:
            raise BadArray(f"layers of {picture.shape} and {rgb.shape} differ in size")
    if alpha is not None and check_alpha(alpha).shape != rgb.shape[:2]:
        raise BadArray(f"alpha {alpha.shape} and picture {rgb.shape[:2]} differ in size")
    layers = []
    if background is not None:
        layers.append(Layer("Background", background))
    colours = rgb
    if original is not None:
        layers.append(Layer("Original", original, visible=False))
        if alpha is not None:
            colours = np.where((alpha == 0)[..., None], original, rgb)
    layers.append(Layer("Subject", colours, alpha))
    merged = rgb if alpha is None else _on(rgb, alpha, background)
    return Document(tuple(layers), merged, alpha if background is None else None)


def source_data(document: Document, *, sixteen_bit: bool) -> bytes:
    """The layers of ``document`` as Photoshop keeps them inside a big-endian TIFF, in tag 37724.

    After Adobe's "Photoshop TIFF Technical Notes" (2002). Raises ``MissingDependency``.
    """
    with extra("psd"):
        from psd_tools.psd.layer_and_mask import LayerInfoBlock
    rows, columns = document.merged.shape[:2]
    depth = _Depth(16 if sixteen_bit else 8, rows, columns)
    count, records, channels = _packed(document.layers, depth, document.alpha is not None)
    packed = io.BytesIO()
    LayerInfoBlock(count, records, channels).write(packed)
    blocks = ((b"Lr16" if sixteen_bit else b"Layr", packed.getvalue()), (b"LMsk", _OVERLAY))
    data = _SOURCE_DATA
    for key, block in blocks:
        data += b"8BIM" + key + struct.pack(">I", len(block)) + block + bytes(-len(block) % 4)
    return data


def _on(rgb: Rgb, alpha: Alpha, background: Rgb | None) -> Rgb:
    """What shows of ``rgb`` on ``background``, on white without one."""
    shown = np.empty_like(rgb)
    white = full_scale(rgb)
    for top in range(0, rgb.shape[0], _STRIP_ROWS):
        rows = slice(top, top + _STRIP_ROWS)
        share = alpha[rows, :, None]
        behind: Any = white if background is None else background[rows]
        mixed = rgb[rows] * share + behind * (1 - share)
        shown[rows] = mixed if white == 1 else np.rint(mixed)
    return shown


def write_psd(
    layers: Sequence[Layer],
    merged: Rgb,
    alpha: Alpha | None = None,
    *,
    sixteen_bit: bool = False,
    icc: bytes | None = None,
    exif: bytes | None = None,
    dpi: tuple[float, float] | None = None,
) -> bytes:
    """A document of ``layers``, the lowest first, and what they look like together.

    ``merged`` is (H, W, 3) and ``alpha`` (H, W) its transparency; where there is one, ``merged``
    stands on white, as the format wants it. Raises ``MissingDependency`` without the extra ``psd``,
    ``BadOption`` for more than 30,000 pixels on a side.
    """
    with extra("psd"):
        from psd_tools.psd.document import PSD
        from psd_tools.psd.header import FileHeader
        from psd_tools.psd.layer_and_mask import GlobalLayerMaskInfo, LayerAndMaskInformation
    rows, columns = merged.shape[:2]
    if max(rows, columns) > MAX_SIDE:
        raise BadOption(
            f"{columns} x {rows} pixels do not fit into psd: a side ends at {MAX_SIDE}",
            hint="use --format png or tiff, or --max-side",
        )
    depth = _Depth(16 if sixteen_bit else 8, rows, columns)
    info, blocks = _layers(layers, depth, transparent=alpha is not None)
    document = PSD(
        header=FileHeader(
            channels=3 if alpha is None else 4,
            height=rows,
            width=columns,
            depth=depth.bits,
            color_mode=_RGB,
        ),
        image_resources=_resources(icc, exif, dpi),
        layer_and_mask_information=LayerAndMaskInformation(info, GlobalLayerMaskInfo(), blocks),
        image_data=_merged(merged, alpha, depth),
    )
    out = io.BytesIO()
    document.write(out)
    return out.getvalue()


def read_merged(data: bytes) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """The merged picture of a document that ``write_psd`` made: (H, W, 3) and (H, W) or None.

    Both are integers of the document's depth, the colours on white where there is transparency.
    """
    with extra("psd"):
        from psd_tools.psd.document import PSD
    document = PSD.read(io.BytesIO(data))
    header = document.header
    planes = [
        np.frombuffer(plane, f">u{header.depth // 8}").reshape(header.height, header.width)
        for plane in document.image_data.get_data(header)
    ]
    kind = np.uint16 if header.depth == 16 else np.uint8
    return np.dstack(planes[:3]).astype(kind), planes[3].astype(kind) if len(planes) > 3 else None


def _layers(layers: Sequence[Layer], depth: _Depth, *, transparent: bool) -> tuple[Any, Any]:
    """The section of layers, and the tagged block that holds it instead at 16 bits."""
    from psd_tools.constants import Tag
    from psd_tools.psd.layer_and_mask import LayerInfo, LayerInfoBlock
    from psd_tools.psd.tagged_blocks import TaggedBlock, TaggedBlocks

    count, records, channels = _packed(layers, depth, transparent)
    if depth.bits == 8:
        return LayerInfo(count, records, channels), TaggedBlocks()
    block = TaggedBlock(key=Tag.LAYER_16, data=LayerInfoBlock(count, records, channels))
    return LayerInfo(), TaggedBlocks([(Tag.LAYER_16, block)])


def _packed(layers: Sequence[Layer], depth: _Depth, transparent: bool) -> tuple[int, Any, Any]:
    """The count, the records and the channels of ``layers``."""
    from psd_tools.psd.layer_and_mask import ChannelImageData, LayerRecords

    packed = [_layer(layer, depth) for layer in layers]
    # A negative count says that the merged picture's fourth channel is its transparency.
    return (
        -len(packed) if transparent else len(packed),
        LayerRecords([record for record, _ in packed]),
        ChannelImageData([data for _, data in packed]),
    )


def _layer(layer: Layer, depth: _Depth) -> tuple[Any, Any]:
    """The record of a layer and its packed channels."""
    from psd_tools.constants import ChannelID, Compression
    from psd_tools.psd.layer_and_mask import (
        ChannelData,
        ChannelDataList,
        ChannelInfo,
        LayerFlags,
        LayerRecord,
        MaskData,
    )

    planes = [(_TRANSPARENCY, None), (0, layer.rgb), (1, layer.rgb), (2, layer.rgb)]
    if layer.mask is not None:
        planes.append((_MASK, None))

    # What Photoshop writes; run lengths of 16-bit samples are misread by some.
    packing = Compression.RLE if depth.bits == 8 else Compression.ZIP_WITH_PREDICTION

    def packed(plane: tuple[int, Any]) -> Any:
        at, _ = plane
        channel = ChannelData(packing)
        samples = _samples(_plane(layer, at, depth), depth)
        if depth.bits == 8:
            channel.set_data(b"".join(samples), depth.columns, depth.rows, depth.bits)
        else:  # ten times as fast as psd-tools
            channel.data = _predicted(samples, depth)
        return channel

    channels = ChannelDataList(each(packed, planes))
    place = {"top": 0, "left": 0, "bottom": depth.rows, "right": depth.columns}
    record = LayerRecord(
        **place,
        channel_info=[
            ChannelInfo(ChannelID(at), channel._length)
            for (at, _), channel in zip(planes, channels, strict=True)
        ],
        flags=LayerFlags(visible=layer.visible),
        mask_data=None if layer.mask is None else MaskData(**place, background_color=0),
        name=layer.name,
    )
    return record, channels


def _plane(layer: Layer, at: int, depth: _Depth) -> Any:
    """The (H, W) samples of one channel of ``layer``, not quantised yet."""
    if at == _TRANSPARENCY:  # a layer without holes says so
        return np.broadcast_to(np.float32(1), (depth.rows, depth.columns))
    return layer.mask if at == _MASK else layer.rgb[..., at]


def _samples(plane: Any, depth: _Depth) -> Iterator[bytes]:
    """``plane`` as big-endian integers, some rows at a time: floats of a whole one are large."""
    from cleancut.imaging.encode import quantise

    for top in range(0, depth.rows, _STRIP_ROWS):
        rows = quantise(np.ascontiguousarray(plane[top : top + _STRIP_ROWS]), depth.bits)
        yield rows.astype(f">u{depth.bits // 8}", copy=False).tobytes()


def _predicted(samples: Iterator[bytes], depth: _Depth) -> bytes:
    """Deflated differences of each 16-bit sample from the one on its left."""
    from isal import isal_zlib

    packer = isal_zlib.compressobj(level=1)
    chunks = []
    for chunk in samples:
        rows = np.frombuffer(chunk, ">u2").reshape(-1, depth.columns).astype(np.uint16)
        rows[:, 1:] = rows[:, 1:] - rows[:, :-1]
        chunks.append(packer.compress(rows.astype(">u2").tobytes()))
    return b"".join([*chunks, packer.flush()])


def _merged(merged: Rgb, alpha: Alpha | None, depth: _Depth) -> Any:
    """The section that readers without layers show; all channels are packed as one."""
    from psd_tools.compression import compress
    from psd_tools.constants import Compression
    from psd_tools.psd.image_data import ImageData

    planes = [merged[..., at] for at in range(3)] + ([] if alpha is None else [alpha])
    raw = b"".join(chunk for plane in planes for chunk in _samples(plane, depth))
    packing = Compression.RLE if depth.bits == 8 else Compression.RAW
    rows = depth.rows * len(planes)
    return ImageData(packing, compress(raw, packing, depth.columns, rows, depth.bits, 1))


def _resources(icc: bytes | None, exif: bytes | None, dpi: tuple[float, float] | None) -> Any:
    from psd_tools.constants import Resource
    from psd_tools.psd.image_resources import ImageResource, ImageResources, ResoulutionInfo

    kept = ImageResources.new()
    across, down = dpi or (72.0, 72.0)
    found: list[tuple[Any, Any]] = [
        (
            Resource.RESOLUTION_INFO,
            ResoulutionInfo(
                round(across * _FIXED), _INCH, _INCH, round(down * _FIXED), _INCH, _INCH
            ),
        )
    ]
    found += [(Resource.ICC_PROFILE, icc)] if icc else []
    found += [(Resource.EXIF_DATA_1, exif)] if exif else []
    for key, data in found:
        kept[key] = ImageResource(key=key, data=data)
    return kept
