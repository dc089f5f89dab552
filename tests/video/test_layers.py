from __future__ import annotations

import numpy as np
import pytest

from cleancut.video.flow import carried, dense_flow, look
from cleancut.video.layers import subject_flow
from tests.video.scenes import moving_disc


def off(matte: np.ndarray, truth: np.ndarray) -> float:
    return float(np.sqrt(np.square(matte - truth).mean()))


def test_the_outline_goes_along_with_what_is_inside_not_with_the_ground() -> None:
    scene = moving_disc(3, speed=3)
    before, now = (look(frame.view) for frame in scene.frames[:2])
    dense, _ = dense_flow(now, before)
    flow = subject_flow(dense, scene.truths[1], now, before)
    plain = off(carried(scene.truths[0], dense.offset), scene.truths[1])
    layered = off(carried(scene.truths[0], flow.offset), scene.truths[1])
    assert layered < 0.5 * plain
    assert np.median(flow.offset[scene.truths[1] > 0.5][:, 0]) == pytest.approx(-3, abs=0.15)
    assert flow.exact is not None
    assert float(flow.exact[scene.truths[1] > 0.5].min()) > 0.5


def test_where_something_else_came_before_the_subject_nothing_is_believed() -> None:
    scene = moving_disc(3)
    hidden = scene.frames[1].view.copy()
    hidden[:, 40:60] = (90, 80, 70)
    now, before = look(hidden), look(scene.frames[0].view)
    dense, _ = dense_flow(now, before)
    flow = subject_flow(dense, scene.truths[1], now, before)
    assert float(flow.trust[40:56, 44:56].mean()) < 0.2


def test_a_speck_has_no_motion_of_its_own() -> None:
    scene = moving_disc(2, radius=3)
    now, before = (look(frame.view) for frame in scene.frames)
    dense, _ = dense_flow(now, before)
    assert subject_flow(dense, scene.truths[0], now, before) is dense


def test_a_deforming_subject_is_not_called_exact() -> None:
    scene = moving_disc(2)
    now, before = (look(frame.view) for frame in scene.frames)
    dense, _ = dense_flow(now, before)
    wild = np.random.default_rng(0).normal(0, 3, dense.offset.shape).astype(np.float32)
    torn = type(dense)(dense.offset + wild, dense.trust)
    flow = subject_flow(torn, scene.truths[0], now, before)
    assert flow.exact is not None
    assert float(flow.exact[scene.truths[0] > 0.5].mean()) < 0.2
