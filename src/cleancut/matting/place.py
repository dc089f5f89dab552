"""Parts of a picture that are looked at smaller than they are, and where they lie in it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cleancut.imaging.resize import upsample_alpha

if TYPE_CHECKING:
    from cleancut.arrays import Alpha, Tensor

    Part = tuple[slice, slice]


@dataclass(frozen=True, slots=True)
class Place:
    """A part of a picture that is divided into cells, from ``corner`` (row, column) on.

    ``grid`` is how many rows and columns of these cells the whole picture would have. Both count
    in cells and need not be whole numbers.
    """

    grid: tuple[float, float]
    corner: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Work:
    """The small picture that one pass solves: ``shape`` (rows, columns), made of ``box``.

    ``cells`` is the same part in whole cells of a grid over the picture, ``grid`` (rows, columns).
    """

    shape: tuple[int, int]
    box: Part
    cells: Part
    grid: tuple[int, int]
    place: Place

    @classmethod
    def at(cls, pixels: int, box: Part, size: tuple[int, ...]) -> Work:
        """About ``pixels`` cells for ``box`` of a picture of ``size``, which they cover."""
        area = (box[0].stop - box[0].start) * (box[1].stop - box[1].start)
        scale = min(1.0, math.sqrt(pixels / area))
        cells, boxes, grid, corner, counts = [], [], [], [], []
        for span, side in zip(box, size[:2], strict=True):
            count = max(1, round(side * scale))
            first, last = int(span.start * count / side), math.ceil(span.stop * count / side)
            start, stop = round(first * side / count), round(last * side / count)
            cells.append(slice(first, last))
            boxes.append(slice(start, stop))
            counts.append(count)
            grid.append(side * (last - first) / (stop - start))
            corner.append(start * (last - first) / (stop - start))
        shape = (cells[0].stop - cells[0].start, cells[1].stop - cells[1].start)
        place = Place((grid[0], grid[1]), (corner[0], corner[1]))
        return cls(shape, (boxes[0], boxes[1]), (cells[0], cells[1]), (counts[0], counts[1]), place)

    def look(self, plane: Alpha) -> Alpha:
        """A matte of the whole picture (h, w) at these cells."""
        if plane.shape[0] >= self.grid[0] or plane.shape[1] >= self.grid[1]:
            return np.ascontiguousarray(upsample_alpha(plane, *self.grid)[self.cells])
        matrix = np.zeros((2, 3))
        for axis in (0, 1):
            step = plane.shape[axis] / self.grid[axis]
            matrix[1 - axis, 1 - axis] = step
            matrix[1 - axis, 2] = (self.cells[axis].start + 0.5) * step - 0.5
        found: Tensor = cv2.warpAffine(
            plane,
            matrix,
            (self.shape[1], self.shape[0]),
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.clip(found, 0, 1, out=found)
