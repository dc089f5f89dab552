"""A picture as some hundred small cells, each of one colour and one alpha, and paths between them.

The cells are the basins of a watershed flood from a grid of markers (F. Meyer, "Color image
segmentation", 1992, which is what OpenCV's ``watershed`` does), over lightness, colour and matte,
so that no cell crosses an edge of the picture or of the matte.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np

from cleancut.arrays import full_scale

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.arrays import Alpha, Rgb

    Floats: TypeAlias = NDArray[np.float32]
    Mask: TypeAlias = NDArray[np.bool_]

#: Longer side of the picture that is divided, and the spacing of its cells, in pixels.
SIDE_PX = 320
STEP_PX = 9
#: A cell has about six neighbours; of more than this many the rest are reached through others.
MAX_NEIGHBOURS = 12
#: Farther than any path.
FAR = np.float32(1e9)


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """``ids`` (h, w) int32 names each small pixel's cell; the rest is by cell (N) or neighbour.

    ``size`` is in pixels, ``lab`` (N, 3) the mean CIELAB colour, ``alpha`` the mean matte,
    ``place`` (N, 2) the row and column of the middle. ``neighbours`` (K, N) holds cells, N where
    there are fewer than K; ``colour_step`` and ``alpha_step`` (K, N) how much colour (in units of
    10 CIELAB) and alpha change on the way there. ``matte`` (h, w) is the small matte, ``depth``
    (h, w) each pixel's distance to the matte's edge (alpha .5), ``cell_depth`` the cell's largest.
    """

    ids: NDArray[np.int32]
    size: Floats
    lab: Floats
    alpha: Floats
    place: Floats
    neighbours: NDArray[np.intp]
    colour_step: Floats
    alpha_step: Floats
    matte: Alpha
    depth: Floats
    cell_depth: Floats

    @property
    def count(self) -> int:
        """N, the number of cells."""
        return int(self.size.shape[0])


def cells_of(rgb: Rgb, alpha: Alpha) -> Cells:
    """The cells of ``rgb`` (H, W, 3) with the matte ``alpha`` (H, W)."""
    height, width = alpha.shape
    scale = min(1.0, SIDE_PX / max(height, width))
    rows, columns = (max(1, round(n * scale / STEP_PX)) for n in (height, width))
    size = (columns * STEP_PX, rows * STEP_PX)
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    small = np.clip(np.nan_to_num(small / np.float32(full_scale(rgb))), 0, 1)
    shrunk = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    matte: Alpha = np.asarray(np.clip(shrunk, 0, 1), np.float32)
    lab: Floats = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2LAB), np.float32)
    ids = _flood(lab, matte, rows, columns)
    return _described(ids, lab, matte, rows * columns)


def _flood(lab: Floats, matte: Alpha, rows: int, columns: int) -> NDArray[np.int32]:
    smooth = cv2.GaussianBlur(lab, (0, 0), 0.8)
    tint = 0.6 * (smooth[..., 1] + smooth[..., 2]) + 128
    relief = np.clip(np.dstack([2.5 * smooth[..., 0], 160 * matte, tint]), 0, 255)
    slope = sum(
        cv2.Sobel(relief[..., c], cv2.CV_32F, 1, 0) ** 2
        + cv2.Sobel(relief[..., c], cv2.CV_32F, 0, 1) ** 2
        for c in range(3)
    )
    # One marker a block, where the picture is flattest, and not at the block's own rim.
    rim = STEP_PX // 4
    blocks = np.asarray(slope).reshape(rows, STEP_PX, columns, STEP_PX).transpose(0, 2, 1, 3)
    inner = blocks[:, :, rim:-rim, rim:-rim]
    side = inner.shape[2]
    flattest = inner.reshape(rows, columns, -1).argmin(axis=2)
    y = np.arange(rows)[:, None] * STEP_PX + rim + flattest // side
    x = np.arange(columns)[None, :] * STEP_PX + rim + flattest % side
    markers = np.zeros(matte.shape, np.int32)
    markers[y, x] = np.arange(1, rows * columns + 1, dtype=np.int32).reshape(rows, columns)
    flooded = cv2.watershed(relief.astype(np.uint8), markers.copy())
    # OpenCV leaves the lines between basins, and the frame, without a basin.
    label = np.maximum(flooded, 0).astype(np.float32)
    while not label.all():
        spread = cv2.dilate(label, np.ones((3, 3), np.uint8))
        label = np.where(label == 0, spread, label)
    return label.astype(np.int32) - 1


def _described(ids: NDArray[np.int32], lab: Floats, matte: Alpha, count: int) -> Cells:
    flat = ids.ravel()
    size = np.bincount(flat, minlength=count).astype(np.float32)

    def mean(values: NDArray[np.float32]) -> Floats:
        total = np.bincount(flat, values.ravel(), minlength=count)
        return (total / np.maximum(size, 1)).astype(np.float32)

    y, x = (np.asarray(axis, np.float32) for axis in np.indices(ids.shape))
    colour = np.stack([mean(lab[..., c]) for c in range(3)], axis=1)
    alpha = mean(matte)
    inside = matte >= 0.5
    depth = np.full(matte.shape, min(matte.shape) / 2, np.float32)
    if inside.any() and not inside.all():
        within = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 5)
        without = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, 5)
        depth = np.where(inside, within, without)
    deepest = np.zeros(count, np.float32)
    np.maximum.at(deepest, flat, depth.ravel())
    neighbours = _neighbours(ids, count)
    colour_of = np.vstack([colour, np.zeros((1, 3), np.float32)])
    alpha_of = np.append(alpha, np.float32(0))
    absent = neighbours == count
    colour_step = np.linalg.norm(colour_of[neighbours] - colour, axis=2) / 10
    alpha_step = np.abs(alpha_of[neighbours] - alpha)
    return Cells(
        ids=ids,
        size=size,
        lab=colour,
        alpha=alpha,
        place=np.stack([mean(y), mean(x)], axis=1),
        neighbours=neighbours,
        colour_step=np.where(absent, FAR, colour_step).astype(np.float32),
        alpha_step=np.where(absent, FAR, alpha_step).astype(np.float32),
        matte=matte,
        depth=depth,
        cell_depth=deepest,
    )


def _neighbours(ids: NDArray[np.int32], count: int) -> NDArray[np.intp]:
    touching = [
        np.stack([one.ravel(), other.ravel()])
        for one, other in ((ids[:, :-1], ids[:, 1:]), (ids[:-1], ids[1:]))
    ]
    first, second = np.concatenate(touching, axis=1).astype(np.int64)
    apart = first != second
    first, second = first[apart], second[apart]
    keys, shared = np.unique(
        np.concatenate([first * count + second, second * count + first]), return_counts=True
    )
    here, there = keys // count, keys % count
    order = np.lexsort((-shared, here))  # the longest common borders first
    here, there = here[order], there[order]
    rank = np.arange(here.size) - np.searchsorted(here, np.arange(count))[here]
    table = np.full((MAX_NEIGHBOURS, count), count, np.intp)
    kept = rank < MAX_NEIGHBOURS
    table[rank[kept], here[kept]] = there[kept]
    return table


def shortest(cells: Cells, steps: Floats, start: Mask) -> Floats:
    """(F, N) lengths of the shortest paths from the cells in ``start`` by steps (F, K, N)."""
    return _relaxed(cells, steps, start, np.add)


def lowest_pass(cells: Cells, steps: Floats, start: Mask) -> Floats:
    """(F, N) the largest step (F, K, N) from ``start``, by the way that keeps it least."""
    return _relaxed(cells, steps, start, np.maximum)


def _relaxed(cells: Cells, steps: Floats, start: Mask, join: np.ufunc) -> Floats:
    """Bellman and Ford's relaxation, of all cells at a time, neighbour after neighbour."""
    length = np.full((steps.shape[0], cells.count + 1), FAR, np.float32)
    reached = length[:, :-1]
    reached[:, start] = 0
    layers = [np.ascontiguousarray(steps[:, k]) for k in range(MAX_NEIGHBOURS)]
    for _ in range(cells.count):
        before = reached.copy()
        for neighbour, step in zip(cells.neighbours, layers, strict=True):
            np.minimum(reached, join(length.take(neighbour, axis=1), step), out=reached)
        if np.array_equal(before, reached):
            break
    return reached
