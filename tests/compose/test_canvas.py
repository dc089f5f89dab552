from __future__ import annotations

import numpy as np
import pytest

from cleancut.compose.canvas import cut_sides, fit, fit_subject, head_move
from cleancut.compose.crop import Box
from cleancut.option_sizes import Canvas
from cleancut.options import Head, Placing


def seen(box: Box, move: object) -> tuple[float, float, float, float]:
    """Where ``box`` lies on the canvas: left, top, right, bottom."""
    scale, left, top = (getattr(move, name) for name in ("scale", "left", "top"))
    return (
        box.left * scale + left,
        box.top * scale + top,
        box.right * scale + left,
        box.bottom * scale + top,
    )


def test_all_of_the_frame_is_fitted_into_the_middle() -> None:
    frame = Box(10, 20, 110, 70)  # twice as wide as high
    assert seen(frame, fit(frame, Canvas(400, 400))) == pytest.approx((0, 100, 400, 300))
    assert seen(frame, fit(frame, Canvas(50, 100))) == pytest.approx((0, 37.5, 50, 62.5))


def test_nearly_the_same_shape_fills_the_canvas() -> None:
    frame = Box(0, 0, 3000, 2000)
    left, top, right, bottom = seen(frame, fit(frame, Canvas(1000, 667)))
    assert min(left, top) <= 0
    assert right >= 1000
    assert bottom >= 667


def test_the_subject_gets_its_share_of_the_canvas_and_its_place() -> None:
    box, frame = Box(40, 10, 60, 50), Box(0, 0, 100, 100)
    page = Canvas(1000, 500)
    centred = seen(box, fit_subject(box, frame, page, Placing(0.8, 0.5, 0.5)))
    assert centred == pytest.approx((400, 50, 600, 450))
    corner = seen(box, fit_subject(box, frame, page, Placing(0.8, 0.0, 1.0)))
    assert corner == pytest.approx((0, 100, 200, 500))


def test_without_a_scale_the_subject_only_moves() -> None:
    box, frame = Box(40, 10, 60, 50), Box(0, 0, 100, 100)
    page = Canvas(1000, 500)
    move = fit_subject(box, frame, page, Placing(None, 0.0, 0.0))
    assert move.scale == fit(frame, page).scale
    assert seen(box, move)[:2] == pytest.approx((0, 0))


def test_a_scaled_subject_without_a_place_stays_where_it_was() -> None:
    box, frame = Box(40, 10, 60, 50), Box(0, 0, 100, 100)
    page = Canvas(500, 500)
    left, top, right, bottom = seen(box, fit_subject(box, frame, page, Placing(0.5)))
    assert ((left + right) / 2, (top + bottom) / 2) == pytest.approx((250, 150))
    assert bottom - top == pytest.approx(250)


def test_a_head_has_its_height_its_room_and_the_middle() -> None:
    head = Box(100, 40, 160, 120)
    left, top, right, bottom = seen(head, head_move(head, Canvas(350, 450), Head(0.7, 0.1)))
    assert (top, bottom) == pytest.approx((45, 360))
    assert (left + right) / 2 == pytest.approx(175)
    _, top, _, bottom = seen(head, head_move(head, Canvas(350, 450), Head(0.7)))
    assert 0 < top < 450 - bottom


def test_edges_of_the_picture_that_would_be_seen_are_named() -> None:
    alpha = np.zeros((100, 200), np.float32)
    alpha[40:, 50:150] = 1  # stands on the lower edge
    whole = Box(0, 0, 200, 100)
    assert cut_sides(alpha, fit(whole, Canvas(400, 400)), Canvas(400, 400)) == ("bottom",)
    assert cut_sides(alpha, fit(whole, Canvas(400, 200)), Canvas(400, 200)) == ()
    alpha[50:, :50] = 1
    middle = fit_subject(Box(0, 40, 150, 100), whole, Canvas(400, 400), Placing(0.8, 0.5, 0.5))
    assert cut_sides(alpha, middle, Canvas(400, 400)) == ("left", "bottom")
    assert cut_sides(np.zeros_like(alpha), middle, Canvas(400, 400)) == ()
