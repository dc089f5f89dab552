from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from cleancut.matting.fusion import (
    LOST,
    agreement,
    middle,
    portrait_trust,
    resized,
    softness,
    with_second_opinion,
)

if TYPE_CHECKING:
    from cleancut.arrays import Alpha


def _disc(radius: float, *, side: int = 240, at: float = 0.5, rim: float = 3) -> Alpha:
    y, x = np.mgrid[:side, :side]
    away = np.hypot(y - side / 2, x - side * at)
    return np.clip((radius * side - away) / rim + 0.5, 0, 1).astype(np.float32)


def test_agreement_is_the_overlap_at_any_two_sizes() -> None:
    assert agreement(_disc(0.3), _disc(0.3, side=512)) > 0.98
    half = agreement(_disc(0.3), _disc(0.3 / 2**0.5))
    assert half == pytest.approx(0.5, abs=0.02)
    assert agreement(_disc(0.2, at=0.25), _disc(0.2, at=0.75)) < 0.02


def test_an_empty_matte_agrees_with_an_empty_one_and_with_nothing_else() -> None:
    nothing = np.zeros((64, 64), np.float32)
    assert agreement(nothing, nothing) == 1
    assert agreement(nothing, _disc(0.3)) < 0.01


def test_softness_tells_sharp_from_hairy_from_lost() -> None:
    sharp, hairy = softness(_disc(0.3)), softness(_disc(0.3, rim=20))
    lost = softness(np.full((80, 80), 0.4, np.float32))
    assert sharp < 0.08 < hairy < 0.5 < LOST < lost


def test_a_decided_answer_takes_no_advice_and_a_lost_one_an_equal_share() -> None:
    sure, other = _disc(0.3), _disc(0.2, side=320)
    assert with_second_opinion(sure, other) is sure
    lost = np.full((240, 240), 0.5, np.float32)
    before = lost.copy()
    mixed = with_second_opinion(lost, other)
    assert np.allclose(mixed, (lost + resized(other, lost)) / 2, atol=1e-6)
    assert (lost == before).all()


def test_the_middle_outvotes_a_slip_in_its_place_only() -> None:
    right = _disc(0.3)
    slip = right.copy()
    slip[:40, :40] = 1
    small = _disc(0.3, side=160)
    voted = middle(slip, small, _disc(0.3, side=320))
    assert voted[:40, :40].max() < 0.05
    assert np.abs(voted - right).mean() < 0.01


def test_a_portrait_network_is_trusted_while_it_is_steady_and_not_outvoted_by_certainty() -> None:
    assert portrait_trust(0.99, 0.1, 0.97) > 0.85
    assert portrait_trust(0.99, 0.6, 0.6) > 0.9  # the general network wavers
    assert portrait_trust(0.3, 0.1, 0.5) < 0.1  # falls apart at another size
    assert portrait_trust(0.99, 0.03, 0.7) < 0.5  # steady, but the other is very sure
    assert 0 <= portrait_trust(0.0, 0.01, 0.0) <= portrait_trust(1.0, 5.0, 1.0) <= 1
