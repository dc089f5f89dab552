from __future__ import annotations

import cv2
import numpy as np
import pytest

from cleancut.imaging.resize import upsample_alpha
from cleancut.matting.place import Work


@pytest.mark.parametrize("size", [(300, 400), (1203, 803), (5000, 37)])
@pytest.mark.parametrize("pixels", [900, 20_000, 10_000_000])
def test_whole_cells_cover_the_box_and_little_more(size: tuple[int, int], pixels: int) -> None:
    box = np.s_[size[0] // 5 : size[0] // 2, size[1] // 4 : size[1] - 3]
    work = Work.at(pixels, box, size)
    for axis in (0, 1):
        cell = size[axis] / work.grid[axis]
        assert work.box[axis].start <= box[axis].start + 1
        assert work.box[axis].stop >= box[axis].stop - 1
        assert work.box[axis].start > box[axis].start - cell - 1
        assert work.box[axis].stop < box[axis].stop + cell + 1
        # The place says where the cells lie: its corner is the box's.
        corner = work.place.corner[axis] * size[axis] / work.place.grid[axis]
        assert corner == pytest.approx(work.box[axis].start)
    assert work.shape[0] * work.shape[1] <= 1.5 * pixels + 4 * sum(work.shape)


def test_a_picture_smaller_than_the_work_is_taken_pixel_by_pixel() -> None:
    work = Work.at(1_000_000, np.s_[10:60, 20:90], (100, 200))
    assert work.shape == (50, 70)
    assert work.box == np.s_[10:60, 20:90]
    assert work.place.grid == (100, 200)
    assert work.place.corner == (10, 20)


@pytest.mark.parametrize("side", [40, 64, 600])
def test_a_look_at_a_part_is_the_part_of_a_look_at_all(side: int) -> None:
    rng = np.random.default_rng(0)
    small = cv2.GaussianBlur(rng.random((side, side), np.float32), (0, 0), 2)
    work = Work.at(30_000, np.s_[200:700, 300:1100], (900, 1300))
    wanted = upsample_alpha(small, *work.grid)[work.cells]
    assert np.abs(work.look(small) - wanted).max() < 0.02
