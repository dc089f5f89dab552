from __future__ import annotations

import numpy as np
import pytest

from cleancut.video.flow import Flow, carried, chained, dense_flow, look
from tests.video.scenes import texture


def shifted(by: int) -> tuple[np.ndarray, np.ndarray]:
    wide = np.clip(texture(1, 20, 230, 96, 160), 0, 255).astype(np.uint8)
    return wide[:, 20:148], wide[:, 20 + by : 148 + by]


def test_a_shift_is_found_and_believed() -> None:
    one, other = shifted(4)
    there, back = dense_flow(look(one), look(other))
    middle = (slice(16, -16), slice(16, -16))
    assert np.median(there.offset[middle], axis=(0, 1)) == pytest.approx([-4, 0], abs=0.1)
    assert np.median(back.offset[middle], axis=(0, 1)) == pytest.approx([4, 0], abs=0.1)
    assert np.median(there.trust[middle]) > 0.9


def test_what_left_the_frame_is_not_believed() -> None:
    there, _ = dense_flow(*map(look, shifted(8)))
    assert there.trust[:, :6].max() < 0.3


def test_frames_that_have_nothing_in_common_are_not_believed() -> None:
    one, other = (np.clip(texture(n, 0, 255), 0, 255).astype(np.uint8) for n in (1, 2))
    there, _ = dense_flow(look(one), look(other))
    assert float(there.trust.mean()) < 0.35


def test_a_plane_is_carried_to_where_the_flow_says_at_any_size() -> None:
    plane = np.zeros((40, 60), np.float32)
    plane[10:20, 30:40] = 1
    offset = np.zeros((20, 30, 2), np.float32)
    offset[..., 0] = 2.5  # 5 pixels of the plane
    moved = carried(plane, offset)
    assert moved.shape == plane.shape
    assert np.array_equal(moved[:, :50], plane[:, 5:55])
    assert plane[10, 30] == 1  # not changed


def test_chained_flows_add_up_and_trust_no_more_than_each() -> None:
    one, other = (
        Flow(np.full((8, 9, 2), value, np.float32), np.full((8, 9), trust, np.float32))
        for value, trust in ((1.0, 0.5), (0.5, 0.8))
    )
    both = chained(one, other)
    assert both.offset == pytest.approx(np.full((8, 9, 2), 1.5))
    assert both.trust == pytest.approx(np.full((8, 9), 0.4))


def test_tiny_frames_have_a_flow() -> None:
    there, _ = dense_flow(*(look(np.zeros((1, 2, 3), np.uint8)) for _ in "ab"))
    assert np.isfinite(there.offset).all()
