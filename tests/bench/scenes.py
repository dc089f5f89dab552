"""Folders of pictures with true mattes, made in code."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray


def disc(
    height: int = 48, width: int = 64, radius: float = 14, soft: float = 3
) -> NDArray[np.uint8]:
    """A matte (height, width) of a disc, soft by so many pixels; the echo model finds it."""
    y, x = np.mgrid[:height, :width]
    distance = np.hypot(y - height / 2, x - width / 2)
    return np.rint(np.clip((radius - distance) / soft + 0.5, 0, 1) * 255).astype(np.uint8)


def write(path: Path, pixels: NDArray[np.uint8]) -> Path:
    """Write a grey, BGR or BGRA picture and the folders it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)
    return path


def write_pair(
    folder: Path, stem: str, truth: NDArray[np.uint8], seen: NDArray[np.uint8] | None = None
) -> None:
    """A picture whose brightness is ``seen`` (default: the truth), and its matte."""
    grey = truth if seen is None else seen
    write(folder / "image" / f"{stem}.png", np.repeat(grey[..., None], 3, axis=2))
    write(folder / "alpha" / f"{stem}.png", truth)


def two_sets(folder: Path) -> Path:
    """``soft`` with three discs, one of them half hidden, and ``hard`` with two yes-or-no discs."""
    whole = disc()
    half = whole.copy()
    half[:, :32] = 0
    write_pair(folder / "soft", "a", whole)
    write_pair(folder / "soft", "b", whole, seen=half)
    write_pair(folder / "soft", "c", disc(40, 40, 9))
    for stem, radius in (("p", 10), ("q", 15)):
        write_pair(folder / "hard", stem, np.where(disc(radius=radius) >= 128, 255, 0).astype("u1"))
    return folder
