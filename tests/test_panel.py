from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cleancut.backends.base import Placement
from cleancut.catalog import find
from cleancut.matting.fusion import agreement
from cleancut.models.base import Prediction
from cleancut.panel import Panel, judge, single

if TYPE_CHECKING:
    from cleancut.arrays import Alpha, Rgb, State

VIEW = np.zeros((120, 160, 3), np.uint8)


class Says:
    """A model with a ready answer; counts how often it was asked."""

    def __init__(self, name: str, alpha: Alpha) -> None:
        self.spec = find(name)
        self.placement = Placement("fake", "cpu", "f32", "numpy", name)
        self.alpha, self.asked = alpha, 0

    def predict(self, rgb: Rgb, state: State | None = None) -> Prediction:
        self.asked += 1
        return Prediction(self.alpha)

    def __call__(self) -> Says:
        return self


def disc(left: float, *, radius: float = 0.3, side: int = 200, grey: float = 1.0) -> Alpha:
    y, x = np.mgrid[:side, :side]
    inside = np.hypot(y - side / 2, x - left * side) < radius * side
    return (inside * grey).astype(np.float32)


HERE, THERE = disc(0.4), disc(0.7)
LOST = np.full((100, 100), 0.45, np.float32)


def panel(lead: Alpha, portrait: Alpha, glance: Alpha, second: Alpha | None) -> Panel:
    return Panel(
        lead=Says("isnet", lead),
        portrait=Says("modnet", portrait),
        glance=Says("modnet", glance),
        second=None if second is None else Says("u2netp", second),
    )


def asked(who: object) -> int:
    assert isinstance(who, Says)
    return who.asked


def test_a_network_on_its_own_is_taken_at_its_word() -> None:
    verdict = judge(VIEW, single(Says("isnet", HERE)))
    assert verdict.alpha is HERE
    assert verdict.models == ("isnet",)
    assert verdict.agreement is None
    assert verdict.placement.backend == "fake"


def test_a_steady_portrait_that_the_small_network_confirms_spares_the_large_one() -> None:
    four = panel(THERE, HERE, disc(0.4, side=320), disc(0.4, radius=0.295))
    verdict = judge(VIEW, four)
    assert asked(four.lead) == 0
    assert verdict.models == ("modnet", "u2netp")
    assert agreement(verdict.alpha, HERE) > 0.97
    assert verdict.agreement is not None
    assert verdict.agreement > 0.9
    judge(VIEW, four, thorough=True)
    assert asked(four.lead) == 1


def test_a_portrait_network_that_changes_its_mind_is_not_believed() -> None:
    four = panel(HERE, THERE, disc(0.2), HERE)
    verdict = judge(VIEW, four)
    assert verdict.alpha is HERE
    assert verdict.models[0] == "isnet"


def test_where_the_chances_are_even_both_networks_have_a_share() -> None:
    """From the large network to the portrait one by small steps, as the two draw nearer."""
    taken, shares = [], []
    for apart in np.linspace(0.07, 0.001, 50):
        lead, portrait = disc(0.5 - apart / 2), disc(0.5 + apart / 2)
        verdict = judge(VIEW, panel(lead, portrait, portrait, portrait * 0))
        taken.append(verdict.models[0])
        only = portrait > lead
        shares.append(float(verdict.alpha[only].mean()) if only.any() else 1.0)
    assert taken == sorted(taken)
    assert (taken[0], taken[-1]) == ("isnet", "modnet")
    assert (shares[0], shares[-1]) == (0, 1)
    assert sum(0.05 < share < 0.95 for share in shares) > 5


def test_a_small_network_that_leads_is_less_sure_than_it_says() -> None:
    """The same answers: a large lead outvotes the portrait network, a small one does not."""
    lead, portrait = disc(0.483), disc(0.517)
    large = panel(lead, portrait, portrait, None)
    small = Panel(Says("u2netp", lead), large.portrait, large.glance)
    assert judge(VIEW, large).models[0] == "isnet"
    assert judge(VIEW, small).models[0] == "modnet"


def test_a_glance_that_sees_nobody_saves_the_full_portrait_look() -> None:
    four = panel(HERE, THERE, LOST, HERE)
    assert judge(VIEW, four).alpha is HERE
    assert asked(four.portrait) == 0
    assert asked(four.second) == 0


def test_a_steady_portrait_beats_a_general_network_that_is_lost() -> None:
    four = panel(LOST, HERE, disc(0.4, side=320), THERE)
    verdict = judge(VIEW, four)
    assert verdict.models[0] == "modnet"
    assert agreement(verdict.alpha, HERE) > 0.95
    without_second = judge(VIEW, panel(LOST, HERE, disc(0.4, side=320), None))
    assert without_second.models == ("modnet", "isnet")


def test_a_lost_general_network_hears_the_second_one() -> None:
    four = panel(LOST, THERE, LOST, HERE)
    verdict = judge(VIEW, four)
    assert verdict.models == ("isnet", "modnet", "u2netp")
    assert verdict.alpha[50, 40] > 0.6 > 0.4 > verdict.alpha[50, 95]
    alone = Panel(lead=Says("isnet", LOST))
    assert judge(VIEW, alone).alpha is LOST


def test_minmax_stretches_where_the_recipe_says_so() -> None:
    grey = disc(0.5, grey=0.5)
    model = Says("isnet", grey)
    assert judge(VIEW, single(model)).alpha.max() == 0.5
    assert judge(VIEW, single(model), minmax=True).alpha.max() == 1
    model.spec = replace(model.spec, recipe=replace(model.spec.recipe, minmax=False))
    assert judge(VIEW, single(model), minmax=True).alpha.max() == 0.5
