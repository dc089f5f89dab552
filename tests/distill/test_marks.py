"""Shapes of logos."""

from __future__ import annotations

import numpy as np
import pytest

from cleancut.distill.lettering import lettered
from cleancut.distill.marks import HOLE, SIGN, arc, blob, filled, fitted, lined, mark, polygon


def test_the_area_of_a_shape_is_that_of_its_mask() -> None:
    circle = filled(100, polygon(90, 0.8)).mean() / 255
    assert circle == pytest.approx(np.pi * 0.8**2 / 4, rel=0.04)
    square = filled(100, polygon(4, 0.5, turn=np.pi / 4)).mean() / 255
    assert square == pytest.approx(0.5 / 4, rel=0.08)


def test_a_shape_within_another_is_its_hole() -> None:
    ring = filled(100, polygon(64, 0.9), polygon(64, 0.4))
    assert ring[50, 50] == 0
    assert ring[50, 82] == 255


def test_edges_are_soft_and_lines_have_their_width() -> None:
    mask = filled(60, polygon(64, 0.7))
    assert ((mask > 0) & (mask < 255)).any()
    line = lined(100, np.array([[-0.9, 0.0], [0.9, 0.0]]), 0.1)
    assert (line[:, 50] > 127).sum() == pytest.approx(10, abs=2)
    assert lined(40, arc(0.8, 0, 1), 0.0).any()


def test_outlines_stay_inside_the_square() -> None:
    for seed in range(20):
        assert np.abs(blob(np.random.default_rng(seed), 0.85)).max() <= 0.86


def test_marks_are_layers_of_one_size_and_begin_with_ink() -> None:
    kinds: set[int] = set()
    for seed in range(60):
        layers = mark(np.random.default_rng(seed), 48)
        assert layers[0].ink >= 0
        kinds.update(layer.ink for layer in layers if layer.ink < 0)
        for layer in layers:
            assert layer.mask.shape == (48, 48)
            assert layer.mask.dtype == np.uint8
        assert any(layer.mask.any() for layer in layers)
    assert kinds == {HOLE, SIGN}


def test_a_mask_is_fitted_in_its_own_proportions() -> None:
    box = fitted(np.full((10, 40), 255, np.uint8), 80, 60)
    assert box.shape == (60, 80)
    assert box[:20].max() == 0
    assert (box[20:40] == 255).all()
    assert fitted(lettered(np.random.default_rng(0), " ", 20), 8, 8).shape == (8, 8)
