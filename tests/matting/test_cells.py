from __future__ import annotations

import numpy as np
import pytest

from cleancut.matting.cells import FAR, Cells, cells_of, lowest_pass, shortest


def _halves() -> Cells:
    rgb = np.zeros((180, 270, 3), np.uint8)
    rgb[:, 135:] = 255
    alpha = np.zeros((180, 270), np.float32)
    alpha[:90] = 1
    return cells_of(rgb, alpha)


def test_cells_cover_every_pixel_and_cross_no_edge() -> None:
    cells = _halves()
    assert cells.ids.min() == 0
    assert cells.ids.max() < cells.count
    assert cells.size.sum() == cells.ids.size
    assert np.isin(cells.alpha.round(1), (0.0, 1.0)).mean() > 0.9
    assert np.isin((cells.lab[:, 0] / 100).round(1), (0.0, 1.0)).mean() > 0.9


def test_neighbours_are_mutual_and_never_the_cell_itself() -> None:
    cells = _halves()
    for number in (0, cells.count // 2, cells.count - 1):
        near = {int(n) for n in cells.neighbours[:, number] if n < cells.count}
        assert near
        assert number not in near
        assert all(number in cells.neighbours[:, n] for n in near)


def test_a_path_across_the_edge_costs_its_step_once() -> None:
    cells = _halves()
    start = np.arange(cells.count) == int(cells.ids[10, 10])
    steps = np.stack([cells.colour_step, cells.alpha_step])
    near, far = int(cells.ids[80, 10]), int(cells.ids[10, -10])
    colour, alpha = lowest_pass(cells, steps, start)
    assert colour[near] == pytest.approx(0, abs=0.5)
    assert 2 < colour[far] <= 10.01
    assert alpha[far] == pytest.approx(0, abs=0.05)
    total = shortest(cells, steps, start)
    assert total[0, far] == pytest.approx(10, abs=0.5)
    assert (total < FAR).all()
