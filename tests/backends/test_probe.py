from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from cleancut.backends import probe
from cleancut.backends.base import Placement, Session
from cleancut.backends.fake import FakeSession

ONE = Placement("ort", "cpu", "f32", "CPUExecutionProvider", "")
TWO = Placement("openvino", "cpu", "f32", "CPU", "")


def sleeper(first_s: float, later_s: float) -> FakeSession:
    def run(feeds: Mapping[str, Any]) -> Mapping[str, Any]:
        time.sleep(first_s if session.calls == 1 else later_s)
        return {"y": feeds["x"]}

    session = FakeSession(run, inputs={"x": (1,)}, outputs=["y"])
    return session


def test_the_warm_up_does_not_count() -> None:
    session = sleeper(0.1, 0.01)
    taken = probe.measure(session, {"x": np.ones(1)}, float("inf"))
    assert 0.009 < taken < 0.09
    assert session.calls == 4


def test_a_hopeless_candidate_is_given_up_after_the_warm_up() -> None:
    session = sleeper(0.05, 0.05)
    assert probe.measure(session, {"x": np.ones(1)}, 0.01) >= 0.05
    assert session.calls == 1


def test_a_slow_candidate_is_not_run_more_than_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_LIMIT_S", 0.03)
    session = sleeper(0.02, 0.02)
    probe.measure(session, {"x": np.ones(1)}, float("inf"))
    assert session.calls == 2


def test_one_session_is_in_memory_at_a_time() -> None:
    alive: list[weakref.ref[FakeSession]] = []

    def open_one(placement: Placement) -> Session:
        gc.collect()
        assert [ref() for ref in alive if ref() is not None] == []
        session = FakeSession(
            lambda feeds: {"y": feeds["x"]}, inputs={"x": (1,)}, outputs=["y"], placement=placement
        )
        alive.append(weakref.ref(session))
        return session

    verdict = probe.compete([ONE, TWO], open_one=open_one, sample=lambda: {"x": np.ones(1)})
    assert len(alive) == 2
    assert verdict.placement.reason.startswith("measured: ")
