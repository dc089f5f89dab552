from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from cleancut.matting.fusion import (
    LOST,
    UNSURE,
    agreement,
    middle,
    mixed,
    portrait_share,
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


def test_a_decided_answer_takes_no_advice_and_two_that_are_lost_share_alike() -> None:
    sure, other = _disc(0.3), _disc(0.2, side=320)
    assert with_second_opinion(sure, other) is sure
    lost, lost_too = np.full((240, 240), 0.5, np.float32), np.full((80, 80), 0.5, np.float32)
    lost[:, :120] = lost_too[:, 40:] = 0
    before = lost.copy()
    heard = with_second_opinion(lost, lost_too)
    assert heard.mean() == pytest.approx(0.25, abs=1e-3)
    assert heard[:, 130:].mean() == pytest.approx(0.25, abs=1e-2)
    assert (lost == before).all()


def test_a_second_opinion_weighs_by_its_own_certainty() -> None:
    lost = np.full((240, 240), 0.5, np.float32)
    decided = _disc(0.2, side=320)
    assert np.abs(with_second_opinion(lost, decided) - resized(decided, lost)).mean() < 0.01
    vague, vaguer = _disc(0.3, rim=35), np.full((80, 80), 0.3, np.float32)
    assert 0.5 < softness(vague) < 0.8 < 2 < softness(vaguer)
    heard = with_second_opinion(vague, vaguer)
    assert 0 < np.abs(heard - vague).max() < 0.05


def test_no_second_opinion_and_no_trust_tips_a_matte_at_an_edge_of_a_rule() -> None:
    """A step of one in a hundred in what is known moves no matte by more than a few hundredths."""
    decided = _disc(0.2)
    assert softness(_disc(0.3, rim=20)) < UNSURE < LOST < softness(_disc(0.3, rim=159))
    heard = [with_second_opinion(_disc(0.3, rim=rim), decided) for rim in range(20, 160)]
    assert max(np.abs(b - a).mean() for a, b in pairwise(heard)) < 0.01
    trusts = np.linspace(0, 1, 101)
    shares = [portrait_share(float(trust)) for trust in trusts]
    assert shares[0] == 0
    assert shares[50] == pytest.approx(0.5)
    assert shares[-1] == 1
    assert max(np.diff(shares)) < 0.06
    assert min(np.diff(shares)) >= 0


def test_a_mixture_has_the_size_of_the_first() -> None:
    one, other = _disc(0.3), _disc(0.3, side=96)
    before = one.copy()
    assert mixed(one, other, 0.25).shape == one.shape
    assert np.allclose(mixed(one, np.zeros_like(one), 0.25), one * 0.75)
    assert (one == before).all()


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
