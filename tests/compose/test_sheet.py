from __future__ import annotations

import numpy as np
import pytest

from cleancut.compose.sheet import lay_sheet
from cleancut.option_sizes import grid_of, parse_canvas, parse_sheet


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize(("photo", "paper"), [("35x45mm@100", "10x15cm"), ("2x2in@100", "a5")])
def test_every_copy_is_whole_and_all_else_is_white_or_a_mark(
    kind: type[np.uint8] | type[np.uint16], photo: str, paper: str
) -> None:
    canvas = parse_canvas(photo)
    page = parse_sheet(paper, canvas)
    assert canvas is not None
    assert page is not None
    grid = grid_of(page, canvas)
    assert grid is not None
    full = int(np.iinfo(kind).max)
    shape = (canvas.height, canvas.width, 3)
    picture = np.random.default_rng(3).integers(0, full, shape).astype(kind)
    sheet = lay_sheet(picture, page, grid)
    assert sheet.shape == (page.height, page.width, 3)
    assert sheet.dtype == kind
    tile = np.rot90(picture) if grid.turned else picture
    height, width = tile.shape[:2]
    rest = np.ones(sheet.shape[:2], bool)
    for row in range(grid.rows):
        for column in range(grid.columns):
            top = grid.top + row * (height + grid.gap)
            left = grid.left + column * (width + grid.gap)
            assert (sheet[top : top + height, left : left + width] == tile).all()
            rest[top : top + height, left : left + width] = False
    around = sheet[rest]
    white = (around == full).all(axis=1)
    assert 0.9 < white.mean() < 1
    assert len(np.unique(around[~white])) == 1  # one grey
    # A mark leads from the first copy's corner into the margin, in line with its edge.
    assert (sheet[grid.top - 1, grid.left] < full).all() or grid.top == 0
