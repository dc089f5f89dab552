"""Photographs made in code: discs on black, which the echo model cuts out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cleancut.imaging.encode import encode


def disc(*, at: float = 0.5, height: int = 48, width: int = 64) -> np.ndarray:
    """A white disc whose middle is at ``at`` of the width."""
    y, x = np.mgrid[:height, :width]
    edge = np.clip(height / 3 - np.hypot(y - height / 2, x - at * width) + 0.5, 0, 1)
    return np.repeat((edge * 255).astype(np.uint8)[..., None], 3, axis=2)


def save(folder: Path, *names: str) -> Path:
    """A different disc under each of ``names`` below ``folder``."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rgb = disc(at=0.35 + 0.3 * number / len(names))
        path.write_bytes(encode(rgb, format="jpg" if path.suffix == ".jpg" else "png"))
    return folder
