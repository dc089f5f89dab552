from __future__ import annotations

import pytest

from cleancut.server.rates import Rates


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("limit", [1, 2, 7, 60, 500, 12345])
def test_a_full_bucket_gives_as_many_as_its_limit_and_then_one_a_step(limit: int) -> None:
    clock = Clock()
    rates = Rates(clock=clock)
    left = [rates.take("a", limit).remaining for _ in range(limit)]
    assert left == list(range(limit - 1, -1, -1))
    refused = rates.take("a", limit)
    assert refused.wait_s == pytest.approx(60 / limit, abs=1e-6)
    assert refused.remaining == 0
    assert refused.reset_s == pytest.approx(60)
    clock.now += refused.wait_s
    assert rates.take("a", limit).wait_s == 0
    assert rates.take("a", limit).wait_s > 0
    clock.now += 60
    assert rates.look("a", limit).remaining == limit
    assert [rates.take("a", limit).wait_s for _ in range(limit)] == [0] * limit


def test_what_is_refused_costs_nothing() -> None:
    clock = Clock()
    rates = Rates(clock=clock)
    rates.take("a", 1)
    waits = [rates.take("a", 1).wait_s for _ in range(10)]
    assert waits == [waits[0]] * 10


def test_names_have_buckets_of_their_own_and_there_are_not_too_many() -> None:
    rates = Rates(capacity=3, clock=Clock())
    assert [rates.take(name, 1).wait_s for name in "abc"] == [0, 0, 0]
    assert rates.take("a", 1).wait_s > 0
    rates.take("d", 1)
    assert rates.take("a", 1).wait_s == 0, "the one that was used longest ago is forgotten"
    assert rates.take("c", 1).wait_s > 0
