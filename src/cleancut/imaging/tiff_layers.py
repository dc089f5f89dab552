"""TIFF with layers: Photoshop's own block of them, and pages for everybody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cleancut.imaging.encode import quantise
from cleancut.imaging.psd import layered, source_data
from cleancut.imaging.tiff_writer import write_tiff

if TYPE_CHECKING:
    from cleancut.arrays import Alpha, Rgb


def encode_layered_tiff(
    rgb: Rgb,
    alpha: Alpha,
    *,
    original: Rgb | None = None,
    background: Rgb | None = None,
    small: bool = False,
    icc: bytes | None = None,
    exif: bytes | None = None,
    dpi: tuple[float, float] | None = None,
) -> bytes:
    """A cutout as TIFF whose first page is flat: what every reader shows.

    Photoshop opens the layers that ``psd.encode_psd`` writes; they are in a private tag. Readers of
    pages find "Cutout", "Background", "Original" and "Mask", the matte. Arguments as there;
    16 bit where ``rgb`` (H, W, 3) is uint16. ``small`` takes more time for a smaller file.

    Raises ``MissingDependency`` without the extra ``psd``, ``BadArray``.
    """
    document = layered(rgb, alpha, original=original, background=background)
    bits = 16 if rgb.dtype == np.uint16 else 8
    flat: Any = quantise(document.merged if background is not None else rgb, bits)
    if background is None:
        flat = np.dstack([flat, quantise(alpha, bits)])
    pages = {"Background": background, "Original": original, "Mask": alpha}
    return write_tiff(
        flat,
        level=6 if small else 1,
        icc=icc,
        exif=exif,
        dpi=dpi,
        layers=source_data(document, sixteen_bit=bits == 16),
        pages={name: quantise(page, bits) for name, page in pages.items() if page is not None},
    )
