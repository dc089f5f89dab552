from __future__ import annotations

from cleancut.cache.breaker import Breaker


def test_it_is_open_for_the_pause_and_no_longer() -> None:
    now = [100.0]
    breaker = Breaker(30, clock=lambda: now[0])
    assert not breaker.open
    breaker.trip()
    assert breaker.open
    now[0] += 29
    assert breaker.open
    now[0] += 1
    assert not breaker.open
    breaker.trip()
    breaker.reset()
    assert not breaker.open
