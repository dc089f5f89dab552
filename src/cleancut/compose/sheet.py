"""A sheet of copies of one picture, to be printed and cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cleancut.arrays import full_scale
from cleancut.option_sizes import MM_PER_INCH, Canvas, Grid

if TYPE_CHECKING:
    from cleancut.arrays import Rgb

#: Width and length of the cut marks, and how grey they are as a share of white.
_MARK_MM = 0.1
_MARK_LENGTH_MM = 4.0
_MARK_GREY = 0.6


def lay_sheet(photo: Rgb, page: Canvas, grid: Grid) -> Rgb:
    """Copies of ``photo`` (H, W, 3) on a white page, placed as ``grid`` says.

    Thin grey marks stand where a cutter is laid: from the copies' edges into the margin, and across
    the gaps. None lies on a copy.
    """
    tile = np.rot90(photo) if grid.turned else photo
    height, width = tile.shape[:2]
    white = full_scale(photo)
    sheet = np.full((page.height, page.width, 3), white, photo.dtype)
    lefts = [grid.left + column * (width + grid.gap) for column in range(grid.columns)]
    tops = [grid.top + row * (height + grid.gap) for row in range(grid.rows)]
    dot = (page.dpi or MM_PER_INCH) / MM_PER_INCH
    thick, far = max(1, round(_MARK_MM * dot)), round(_MARK_LENGTH_MM * dot)
    grey = round(white * _MARK_GREY)
    rows = slice(max(0, tops[0] - far), tops[-1] + height + far)
    columns = slice(max(0, lefts[0] - far), lefts[-1] + width + far)
    for left in lefts:
        for at in (left, left + width - thick):
            sheet[rows, at : at + thick] = grey
    for top in tops:
        for at in (top, top + height - thick):
            sheet[at : at + thick, columns] = grey
    first = slice(tops[0], tops[0] + height)
    for left in lefts:
        sheet[first, left : left + width] = tile
    for top in tops[1:]:  # whole rows of copies: there may be millions of tiny ones
        sheet[top : top + height] = sheet[first]
    return sheet
