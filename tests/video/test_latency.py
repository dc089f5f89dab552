from __future__ import annotations

from cleancut.video.latency import Latency


def test_median_and_percentile_are_in_milliseconds() -> None:
    late = Latency()
    for value in range(1, 102):
        late.add(value / 1000)
    assert late.frames == 101
    assert late.facts() == {"latency_ms_median": 51.0, "latency_ms_p95": 96.0}


def test_without_a_frame_nothing_is_claimed() -> None:
    assert Latency().facts() == {"latency_ms_median": None, "latency_ms_p95": None}
