from __future__ import annotations

import cv2
import numpy as np

from cleancut.matting.ramp import find_ramps


def bar(sigma: float, level: int = 200) -> np.ndarray:
    shape = np.zeros((160, 240), np.float32)
    shape[40:120, 60:180] = level
    return np.rint(cv2.GaussianBlur(shape, (0, 0), sigma) if sigma else shape).astype(np.uint8)


def test_wider_blurs_have_wider_ramps() -> None:
    widths = []
    for sigma in (0, 1, 2, 4):
        distance = bar(sigma)
        widths.append(float(find_ramps(distance, distance > 0, 2, 0).width[80, 70]))
    assert widths[0] == 2
    assert widths == sorted(widths)
    assert 16 <= widths[-1] <= 24


def test_core_begins_where_the_colour_is_full() -> None:
    distance = bar(4)
    core = find_ramps(distance, distance > 0, 2, 0).core
    assert core[80, 120]
    assert distance[core].min() > 0.97 * 200


def test_fill_that_changes_slowly_behind_a_sharp_edge_is_core() -> None:
    distance = bar(0)
    distance[40:120, 60:180] = np.linspace(100, 220, 120).astype(np.uint8)
    core = find_ramps(distance, distance > 0, 2, 0).core
    assert core[44:116, 64:176].all()


def test_rim_that_leads_to_nothing_is_faint_and_one_without_end_is_endless() -> None:
    faint = bar(0, 9)
    assert find_ramps(faint, faint > 0, 2, 0).faint == 1
    x = np.abs(np.arange(400) - 200)
    cone = np.broadcast_to((200 - x).astype(np.uint8), (300, 400)).copy()
    cone[:2] = cone[-2:] = 0
    seen = find_ramps(cone[:, 5:-5] - np.uint8(5), cone[:, 5:-5] > 5, 2, 0)
    assert seen.endless + seen.faint > 0.3


def test_nothing_and_single_pixels_do_not_fail() -> None:
    empty = np.zeros((20, 30), np.uint8)
    assert not find_ramps(empty, empty > 0, 2, 0).core.any()
    empty[4, 7] = 255
    assert not find_ramps(empty, empty > 0, 2, 0).core.any()
    full = np.full((20, 30), 255, np.uint8)
    assert find_ramps(full, full > 0, 2, 0).core.shape == (20, 30)
