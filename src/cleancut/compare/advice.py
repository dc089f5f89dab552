"""Which system to take for what, read from a comparison's figures; the rule is in ``uses``."""

from __future__ import annotations

import math
import shlex
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from cleancut.compare.comparison import AUTO, RAW
from cleancut.compare.licence import Licence, licence_of
from cleancut.compare.ranking import CLOSE, Reason, reasons, score
from cleancut.compare.readings import on_clips, over_sets, rows_of
from cleancut.compare.staleness import stale
from cleancut.compare.tools import tool
from cleancut.compare.uses import Need, Term, Use, find_use

if TYPE_CHECKING:
    from cleancut.compare.comparison import Comparison, System

#: How the reason of a system begins that was not run.
ABSENT = "was not measured: "
#: Scores up to this are told as the same.
_SAME = 1.05
#: Fewer pictures than this, and chance decides.
FEW = 20
#: What a need's figure may lack, or have to spare, and still be told.
NARROW = 1.10
#: A clip that is this many times worse than the median is one that the network cannot do.
LOST = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """One system in the order of the answer.

    ``score`` is 1.0 for the first, 2.0 for one that is twice as bad all over. ``close`` names those
    whose score is nearly the same. ``unmet`` are needs it fails, where nobody meets them all.
    """

    system: str
    title: str
    score: float
    reasons: tuple[Reason, ...]
    against: tuple[str, ...]
    licence: Licence
    commands: tuple[str, ...]
    close: tuple[str, ...] = ()
    unmet: tuple[str, ...] = ()

    @property
    def behind(self) -> str:
        """How far it is behind the first, in words."""
        if self.score < _SAME:
            return "as good all in all"
        return f"{self.score:.1f} times worse, all in all"


@dataclass(frozen=True, slots=True)
class RuledOut:
    """One system that does not come into question, and why."""

    system: str
    title: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """The answer for one use: ``picks``, best first; empty if nothing is left.

    ``met`` says that the picks meet every need; if nobody does, they are those who come nearest.
    ``licensed`` is the best whose commercial use is a clear yes, where the first is not such.
    """

    use: str
    title: str
    about: str
    met: bool
    picks: tuple[Pick, ...]
    licensed: Pick | None
    ruled_out: tuple[RuledOut, ...]
    rule: tuple[str, ...]
    remarks: tuple[str, ...]
    measured: str
    commercial_only: bool = False

    @property
    def nothing(self) -> str:
        """Why nobody was picked: what kept out most of those that ran; "" if somebody was."""
        if self.picks:
            return ""
        whys = [out.why for out in self.ruled_out if not out.why.startswith(ABSENT)]
        return max(whys, key=whys.count) if whys else "nobody took part"

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


def advise(
    comparison: Comparison,
    use: str | Use,
    *,
    commercial_only: bool = False,
    here: Collection[str] | None = None,
) -> Advice:
    """The systems of ``comparison`` in the order in which they serve ``use``, with reasons.

    ``commercial_only`` leaves out all whose commercial use is not a clear yes; ``here`` all whose
    ids are not in it. Networks alone (``:raw``) do not take part. Raises ``BadOption`` for a use
    that is not known.
    """
    use = find_use(use) if isinstance(use, str) else use
    out: list[RuledOut] = []
    able: list[System] = []
    for system in comparison.systems:
        if system.raw:
            continue
        why = _barred(system, use, commercial_only, here)
        if why:
            out.append(RuledOut(system.id, system.title, why))
        else:
            able.append(system)
    terms, dropped = _measured_terms(comparison, use, able)
    known: list[System] = []
    for system in able:
        if why := _unmeasured(comparison, system, use, terms):
            out.append(RuledOut(system.id, system.title, why))
        else:
            known.append(system)
    unmet = {system.id: _unmet(comparison, system, use.needs) for system in known}
    fit = [system for system in known if not unmet[system.id]]
    met = bool(fit)
    for system in known:
        if met and system not in fit:
            out.append(RuledOut(system.id, system.title, "; ".join(_told(unmet[system.id]))))
    picks = _picks(comparison, use, fit or known, terms, unmet, commercial_only)
    return Advice(
        use=use.id,
        title=use.title,
        about=use.about,
        met=met,
        picks=picks,
        licensed=_licensed(picks),
        ruled_out=tuple(out),
        rule=_rule(use, terms),
        remarks=(
            *stale(comparison),
            *_too_few(comparison),
            *(f"not measured by anyone: {term.title}" for term in dropped),
            *use.remarks,
        ),
        measured=_measured(comparison),
        commercial_only=commercial_only,
    )


def _barred(
    system: System, use: Use, commercial_only: bool, here: Collection[str] | None
) -> str | None:
    """Why a system does not come into question, whatever its figures say."""
    licence = licence_of(system)
    if system.reason:
        return f"{ABSENT}{system.reason}"
    if commercial_only and licence.commercial != "yes":
        return f"commercial use is {licence.commercial}: {licence.terms}"
    if licence.commercial == "no" and not use.any_licence:
        return f"forbids commercial use: {licence.terms}"
    if here is not None and system.id not in here:
        return "is not on this machine"
    return None if system.tool in use.commands else use.otherwise or "cannot do this"


def _measured_terms(
    comparison: Comparison, use: Use, systems: Sequence[System]
) -> tuple[list[Term], list[Term]]:
    """The terms that somebody has a figure for, and those that nobody has."""
    has = [any(term.read(comparison, one.id) is not None for one in systems) for term in use.terms]
    return (
        [term for term, there in zip(use.terms, has, strict=True) if there],
        [term for term, there in zip(use.terms, has, strict=True) if not there],
    )


def _unmeasured(
    comparison: Comparison, system: System, use: Use, terms: Sequence[Term]
) -> str | None:
    """Which figure is lacking that others have; a system without it cannot be ranked."""
    asked = terms or use.terms
    missing = [term.title for term in asked if term.read(comparison, system.id) is None]
    for need in use.needs:
        if not need.lenient and need.read(comparison, system.id) is None:
            missing.append(need.title.removeprefix("of "))
    return f"not measured: {', '.join(dict.fromkeys(missing))}" if missing else None


def _unmet(
    comparison: Comparison, system: System, needs: Sequence[Need]
) -> tuple[tuple[Need, float], ...]:
    found = ((need, need.read(comparison, system.id)) for need in needs)
    return tuple(
        (need, value) for need, value in found if value is not None and need.excess(value) > 1.0
    )


def _told(unmet: Sequence[tuple[Need, float]]) -> tuple[str, ...]:
    return tuple(
        need.fails(value) + " (only just)" * (need.excess(value) <= NARROW) for need, value in unmet
    )


def _picks(
    comparison: Comparison,
    use: Use,
    systems: Sequence[System],
    terms: Sequence[Term],
    unmet: dict[str, tuple[tuple[Need, float], ...]],
    commercial_only: bool,
) -> tuple[Pick, ...]:
    """The systems in order: by how far they are beyond the needs, then by score."""
    if not systems or not terms:
        return ()
    values = {one.id: [term.read(comparison, one.id) or 0.0 for term in terms] for one in systems}
    scores = {id_: score(found, terms) for id_, found in values.items()}
    beyond = {
        one.id: math.prod(max(1.0, need.excess(value)) for need, value in unmet[one.id])
        for one in systems
    }
    order = sorted(systems, key=lambda one: (beyond[one.id], scores[one.id], one.id))
    first = scores[order[0].id]
    picks = []
    for system in order:
        close = tuple(
            other.id
            for other in order
            if other is not system
            and beyond[other.id] == beyond[system.id]
            and 1 / CLOSE <= scores[other.id] / scores[system.id] <= CLOSE
        )
        picks.append(
            Pick(
                system=system.id,
                title=system.title,
                score=round(scores[system.id] / first, 3),
                reasons=reasons(system.id, values, terms),
                against=_against(comparison, system, use),
                licence=licence_of(system),
                commands=_commands(system, use, commercial_only),
                close=close,
                unmet=_told(unmet[system.id]),
            )
        )
    return tuple(picks)


def _against(comparison: Comparison, system: System, use: Use) -> tuple[str, ...]:
    """What speaks against a system, from the figures and from its licence."""
    found = []
    for need in use.needs:
        value = need.read(comparison, system.id)
        if value is None:
            found.append(f"not measured: {need.title}")
        elif 1.0 / NARROW <= need.excess(value) <= 1.0 and value not in (0.0, 1.0):
            found.append(f"only just within the limit: {need.says(value)}")
    if "GPL" in licence_of(system).weights:
        found.append("GPL-3.0 weights: an app or a product that passes them on comes under it")
    if use.id == "live-video":
        spread = on_clips(comparison, system.id, "mad")
        if spread and spread.worst > LOST * spread.median:
            found.append(f"loses the clip {spread.where}: error {spread.worst:.0f}/1000")
    if use.id == "mobile":
        alone = over_sets(comparison, system.id + RAW, "mad")
        if alone is not None:
            found.append(f"the network alone, without our edges: error {alone:.1f}/1000")
    if system.kind == "peer":
        found.append("another tool, installed on its own")
    # A panel's note says whom it asks; those on single pictures mean nothing in a video.
    if system.note and system.model != AUTO and use.id != "live-video":
        found.append(system.note)
    return tuple(found)


def _commands(system: System, use: Use, commercial_only: bool) -> tuple[str, ...]:
    """What to type: get the weights, where they are not in the package, then use them.

    Names come from files that others send, and are made harmless for a shell.
    """
    rows, model = rows_of(system), shlex.quote(system.model)
    get: tuple[str, ...] = ()
    if system.kind == "peer":
        get = (f"pip install {shlex.quote(tool(system.tool).requirement)}",)
    elif any(not row.bundled for row in rows):
        get = ("cleancut models pull" if system.model == AUTO else f"cleancut models pull {model}",)
        if not any(weight.sources for row in rows for weight in row.weights):
            get = (f"cleancut models import FILE --name {model}",)
    recurrent = any(row.family == "recurrent" for row in rows)
    filled = {
        "model": model,
        "flags": " --commercial-only" if commercial_only else "",
        "video": "--engine rvm" if recurrent else f"-m {model}",
    }
    return (*filter(None, get), *(line.format(**filled) for line in use.commands[system.tool]))


def _licensed(picks: Sequence[Pick]) -> Pick | None:
    """The best clear yes, if the first pick is not one."""
    if not picks or picks[0].licence.commercial == "yes":
        return None
    return next((pick for pick in picks if pick.licence.commercial == "yes"), None)


def _rule(use: Use, terms: Sequence[Term]) -> tuple[str, ...]:
    """The whole scoring, in words."""
    lines = [f"needed: {', '.join(need.asks for need in use.needs)}"] if use.needs else []
    parts = ", ".join(f"{term.weight:g} x {term.title}" for term in terms)
    lines.append(f"score: weighted geometric mean of {parts}; as a ratio to the best")
    return tuple(lines)


def _too_few(comparison: Comparison) -> tuple[str, ...]:
    pictures = sum(one.pictures for one in comparison.sets if one.binary is not None)
    if not 0 < pictures < FEW:
        return ()
    many = f"{pictures} pictures are" if pictures > 1 else "one picture is"
    return (f"{many} too few to tell: with others the order may be another",)


def _measured(comparison: Comparison) -> str:
    machine, pictures = comparison.machine, sum(one.pictures for one in comparison.sets)
    where = f"{machine.cpu}, {machine.cores} cores"
    if machine.gpus:
        where += f", {', '.join(machine.gpus)}"
    sets = f"{pictures} pictures in {len(comparison.sets)} sets" if pictures else "no pictures"
    partly = "" if comparison.complete else "; the run was interrupted"
    return f"{comparison.date}, {where}, {sets}, cleancut {comparison.version}{partly}"
