from __future__ import annotations

import numpy as np
import pytest

from cleancut.errors import BadArray
from cleancut.video.metrics import dtssd, iou_wobble


def planes(*values: float) -> list[np.ndarray]:
    return [np.full((4, 4), value, np.float32) for value in values]


def test_dtssd_sees_flicker_and_not_a_steady_error() -> None:
    truths = planes(0, 0, 0)
    assert dtssd(planes(0.5, 0.5, 0.5), truths) == 0
    assert dtssd(planes(0.0, 0.1, 0.0), truths) == pytest.approx(10, rel=1e-5)


def test_dtssd_of_a_frozen_matte_is_what_the_truth_moves() -> None:
    assert dtssd(planes(0.5, 0.5), planes(0.0, 0.2)) == pytest.approx(20, rel=1e-5)


def test_wobble_is_the_change_of_the_overlap() -> None:
    truth = np.zeros((4, 4), np.float32)
    truth[:2] = 1
    half = truth.copy()
    half[1] = 0
    assert iou_wobble([truth, half, truth], [truth] * 3) == pytest.approx(50)
    assert iou_wobble([half, half], [truth] * 2) == 0


def test_one_frame_has_no_change_and_uneven_clips_are_refused() -> None:
    assert dtssd(planes(1), planes(0)) == 0
    assert iou_wobble(planes(1), planes(1)) == 0
    for measure in (dtssd, iou_wobble):
        with pytest.raises(BadArray, match="2 mattes and 1"):
            measure(planes(1, 1), planes(1))
