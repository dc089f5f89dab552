"""The networks that look at one picture, and whose answer is taken.

``auto`` asks a general network what the subject is and a portrait matting network where people and
fur are. Cheap looks come first: where they settle the matter the large network is not run at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from cleancut.matting.fusion import (
    UNSURE,
    agreement,
    middle,
    mixed,
    portrait_share,
    portrait_trust,
    softness,
    with_second_opinion,
)
from cleancut.models.recipe import stretch

if TYPE_CHECKING:
    from cleancut.arrays import Alpha, Rgb
    from cleancut.backends.base import Placement
    from cleancut.models.base import Model

#: Loads a model on first use.
Member: TypeAlias = "Callable[[], Model]"

#: Shorter side of what the portrait network is shown at a glance, in pixels.
GLANCE_PX = 320
#: A glance softer than this has seen no person: the full portrait look is saved.
_NO_PORTRAIT = 0.35
#: Networks of small inputs are as sure as large ones while they see less.
_SMALL_PX, _SMALL_DOUBT = 320, 1.5
#: With this much steadiness and this much agreement of a second network nobody else is asked.
_STEADY, _CONFIRMED = 0.95, 0.90


@dataclass(frozen=True, slots=True)
class Panel:
    """Who may be asked: ``lead`` always, the others where ``auto`` found them pulled.

    ``portrait`` is a portrait matting network and ``glance`` the same at a small input size, for a
    cheap first look; ``second`` is a small general network for a second opinion. The network that
    a user names is a panel of its own.
    """

    lead: Member
    portrait: Member | None = None
    glance: Member | None = None
    second: Member | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """The matte that the panel settled on, at the network's own size.

    ``alpha`` is (h, w) float32 in 0..1. ``models`` are the ids of the networks that were asked, the
    one whose matte was taken first; ``placement`` is where that one ran. ``agreement`` (with the
    nearest other answer) and ``steadiness`` (of a portrait network with itself at another size) are
    0..1, None where there was nothing to compare. ``matting`` says that the matte comes from a
    matting network, whose half-transparent pixels are meant and no doubt.
    """

    alpha: Alpha
    models: tuple[str, ...]
    placement: Placement
    agreement: float | None = None
    steadiness: float | None = None
    matting: bool = False


def single(model: Model) -> Panel:
    """A panel of one."""
    return Panel(lambda: model)


def nobody() -> Panel:
    """A panel that must not be asked: the user has brought the matte."""

    def refuse() -> Model:
        raise AssertionError("the user has said where the subject is")

    return Panel(refuse)


@dataclass(slots=True, eq=False)
class _Looks:
    """One picture's looks: each network is loaded and run at most once."""

    view: Rgb
    panel: Panel
    thorough: bool
    minmax: bool
    seen: dict[str, tuple[Model, Alpha]] = field(default_factory=dict)

    def at(self, name: str) -> Alpha:
        """Matte of the member called ``name``, a field of ``Panel``."""
        if name not in self.seen:
            model: Model = getattr(self.panel, name)()
            alpha = model.predict(self.view).alpha
            if self.minmax and model.spec.recipe.minmax:
                alpha = stretch(alpha)
            self.seen[name] = (model, alpha)
        return self.seen[name][1]

    def overconfidence(self, name: str) -> float:
        """What a member's softness is multiplied by, to be compared with the large networks'."""
        return _SMALL_DOUBT if max(self.seen[name][0].spec.recipe.size) <= _SMALL_PX else 1.0

    def verdict(
        self, alpha: Alpha, taken: str, agreement: float | None, steadiness: float | None = None
    ) -> Verdict:
        order = [taken, *(name for name in self.seen if name != taken)]
        models = tuple(dict.fromkeys(self.seen[name][0].spec.id for name in order))
        model = self.seen[taken][0]
        matting = "matting" in model.spec.tags
        return Verdict(alpha, models, model.placement, agreement, steadiness, matting)


def judge(view: Rgb, panel: Panel, *, thorough: bool = False, minmax: bool = False) -> Verdict:
    """The panel's matte of ``view`` ((H, W, 3), sRGB).

    ``thorough`` asks the general network even where the cheap looks have settled the matter.
    ``minmax`` stretches mattes to 0..1 where the official recipe of their network does.
    """
    looks = _Looks(view, panel, thorough, minmax)
    if panel.portrait is not None and panel.glance is not None:
        portrait = _portrait(looks)
        if portrait is not None:
            return portrait
    alpha = _general(looks)
    # A portrait network that is not believed says nothing about the subject either.
    agreed = agreement(alpha, looks.at("second")) if "second" in looks.seen else None
    return looks.verdict(alpha, "lead", agreed)


def _portrait(looks: _Looks) -> Verdict | None:
    """The portrait network's matte, its slips outvoted; None where it is not to be trusted."""
    glance = looks.at("glance")
    if softness(glance) > _NO_PORTRAIT:
        return None
    portrait = looks.at("portrait")
    steadiness = agreement(portrait, glance)
    if not looks.thorough and looks.panel.second is not None and steadiness > _STEADY:
        second = looks.at("second")
        confirmed = agreement(portrait, second)
        if confirmed > _CONFIRMED:
            alpha = middle(portrait, glance, second)
            return looks.verdict(alpha, "portrait", confirmed, steadiness)
    lead = looks.at("lead")
    doubt = softness(lead) * looks.overconfidence("lead")
    share = portrait_share(portrait_trust(steadiness, doubt, agreement(portrait, lead)))
    if share == 0:
        return None
    general = _general(looks)
    alpha = middle(portrait, glance, general)
    agreed = agreement(alpha, general)
    if share < 0.5:
        return looks.verdict(mixed(general, alpha, share), "lead", agreed, steadiness)
    if share < 1:
        alpha = mixed(alpha, general, 1 - share)
    return looks.verdict(alpha, "portrait", agreed, steadiness)


def _general(looks: _Looks) -> Alpha:
    """What the general network says; where it wavers, the second one has a say in it."""
    lead = looks.at("lead")
    if looks.panel.second is None or softness(lead) < UNSURE:
        return lead
    return with_second_opinion(lead, looks.at("second"))
