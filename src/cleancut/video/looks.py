"""What the image networks say about one frame, and who of them is believed in a shot.

Frame by frame ``panel.judge`` may change its mind between two networks, which is most of its
flicker. Here the portrait network is believed or not for as long as the shot lasts, by votes on key
frames; where it is, the small networks outvote its slips and the large one is asked on key frames
only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cleancut.matting.confidence import judge_matte
from cleancut.matting.fusion import UNSURE, agreement, middle, portrait_trust, softness
from cleancut.matting.light import brightened
from cleancut.matting.refine import refine
from cleancut.models.recipe import stretch
from cleancut.panel import Panel, judge

if TYPE_CHECKING:
    from cleancut.arrays import Alpha, Rgb
    from cleancut.models.base import Model
    from cleancut.options import Options, RefineChoice
    from cleancut.panel import Member

#: The first frames of a shot vote each; then frames from one vote to the next, and what a new vote
#: weighs at least against those before.
_FIRST_VOTES, _VOTE_EVERY, _NEW = 4, 12, 0.4
#: The portrait network is believed from this trust on in a new shot; within one it must move
#: further to change anything. Its slips are outvoted, so it need not be the better one alone.
_BELIEVED, _HELD = 0.4, 0.15
#: A glance softer than this has seen no person (as in ``panel``).
_NO_PORTRAIT = 0.35


@dataclass(frozen=True, slots=True)
class Casting:
    """Who is believed in a shot.

    ``trust`` is the mean of the ``votes`` for the portrait network, 0..1; ``since`` counts the
    frames since the last one.
    """

    trust: float
    portrait: bool
    votes: int = 1
    since: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One frame's matte at full size, (H, W) float32, the source's own alpha not in it."""

    alpha: Alpha
    confidence: float | None
    notes: tuple[str, ...] = ()


class Lookers:
    """The networks of a panel, asked about the frames of shots."""

    def __init__(self, panel: Panel, options: Options) -> None:
        self._panel = panel
        self._options = options

    @property
    def names(self) -> tuple[str, ...]:
        """Ids of the networks that may be asked."""
        members = (self._panel.lead, self._panel.portrait, self._panel.second)
        return tuple(dict.fromkeys(member().spec.id for member in members if member is not None))

    def look(self, view: Rgb, casting: Casting | None) -> tuple[Look, Casting | None]:
        """The matte of ``view`` ((H, W, 3) uint8), and who is believed from now on.

        ``casting`` is None at the start of a shot.
        """
        panel = self._panel
        if panel.portrait is None or panel.glance is None or panel.second is None:
            return self.look_once(view), None
        shown = _shown(view)
        if casting is None or casting.votes < _FIRST_VOTES or casting.since + 1 >= _VOTE_EVERY:
            casting = self._voted(shown, casting)
        else:
            casting = replace(casting, since=casting.since + 1)
        if casting.portrait:
            return self._portrait(view, shown, panel.portrait, panel.glance, panel.second), casting
        return self._judged(view, shown, Panel(panel.lead, second=panel.second)), casting

    def look_once(self, view: Rgb) -> Look:
        """The matte of ``view`` as if it were a picture and nothing came before or after it."""
        return self._judged(view, _shown(view), self._panel)

    def _judged(self, view: Rgb, shown: Rgb, panel: Panel) -> Look:
        options = self._options
        thorough = options.refine == "best"
        verdict = judge(shown, panel, thorough=thorough, minmax=options.minmax)
        return self._refined(view, verdict.alpha, verdict.agreement, verdict.matting)

    def _portrait(
        self, view: Rgb, shown: Rgb, portrait: Member, glance: Member, second: Member
    ) -> Look:
        """What two of the three say, at the portrait network's size."""
        mattes = [self._asked(member, shown) for member in (portrait, glance, second)]
        agreed = agreement(mattes[0], mattes[2])
        return self._refined(view, middle(*mattes), agreed, matting=True)

    def _voted(self, shown: Rgb, casting: Casting | None) -> Casting:
        vote = self._vote(shown)
        if casting is None:
            return Casting(vote, vote >= _BELIEVED)
        new = max(_NEW, 1 / (casting.votes + 1))
        trust = (1 - new) * casting.trust + new * vote
        held = 0.0 if casting.votes < _FIRST_VOTES else _HELD
        bar = _BELIEVED - held if casting.portrait else _BELIEVED + held
        return Casting(trust, trust >= bar, casting.votes + 1)

    def _vote(self, shown: Rgb) -> float:
        """How far the portrait network is to be trusted on this frame, 0..1."""
        panel = self._panel
        assert panel.portrait is not None
        assert panel.glance is not None
        glance = self._asked(panel.glance, shown)
        if softness(glance) > _NO_PORTRAIT:
            return 0.0
        portrait, lead = self._asked(panel.portrait, shown), self._asked(panel.lead, shown)
        return portrait_trust(
            agreement(portrait, glance), softness(lead), agreement(portrait, lead)
        )

    def _asked(self, member: Member, shown: Rgb) -> Alpha:
        model: Model = member()
        alpha = model.predict(shown).alpha
        return stretch(alpha) if self._options.minmax and model.spec.recipe.minmax else alpha

    def _refined(self, view: Rgb, alpha: Alpha, agreed: float | None, matting: bool) -> Look:
        doubt = softness(alpha)
        level: RefineChoice = self._options.refine if doubt <= UNSURE else "off"
        refined = refine(view, alpha, level=level, sharp=matting)
        return Look(refined.alpha, judge_matte(doubt, agreed).value, refined.notes)


def _shown(view: Rgb) -> Rgb:
    """What networks are shown: ``view``, brightened where it is very dark."""
    lifted = brightened(view)
    return view if lifted is None else lifted
