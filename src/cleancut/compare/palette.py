"""How each system looks in every chart: one colour, one marker and one hatch, always the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cleancut.compare.comparison import System

#: After Okabe and Ito ("Color Universal Design", 2008) and Tol's "bright", darkened or lightened
#: until each has 3:1 against white and against a dark page.
COLOURS = (
    "#3b7dd8",
    "#d55e00",
    "#0f9d75",
    "#b65fa5",
    "#a97c08",
    "#1f96b8",
    "#8a6fdf",
    "#c2506a",
    "#6f8f1f",
)
#: Other tools: told apart by marker and hatch, and from ours by having no colour.
GREY = "#84888e"
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "h", "*")
_PEER_MARKERS = ("<", ">", "8", "d", "H")
_PEER_HATCHES = ("xxx", "---", "+++", "|||", "\\\\\\")
#: The network alone, in bars.
_RAW_HATCH = "////"
#: Longest name in a chart, in characters.
_LONGEST = 30


@dataclass(frozen=True, slots=True)
class Look:
    """One system's: ``hollow`` is a marker without filling, the network alone."""

    colour: str
    marker: str
    hatch: str = ""
    hollow: bool = False


def looks(systems: Sequence[System]) -> Mapping[str, Look]:
    """By id; those that ran come first, so that no two of them are alike."""
    found: dict[str, Look] = {}
    running = [system.model for system in systems if system.kind == "ours" and not system.reason]
    absent = [system.model for system in systems if system.kind == "ours"]
    models = {model: number for number, model in enumerate(dict.fromkeys(running + absent))}
    peers = 0
    for system in systems:
        if system.kind == "peer":
            at = peers % len(_PEER_MARKERS)
            peers += 1
            found[system.id] = Look(GREY, _PEER_MARKERS[at], _PEER_HATCHES[at])
            continue
        number = models[system.model]
        colour, marker = COLOURS[number % len(COLOURS)], _MARKERS[number % len(_MARKERS)]
        if system.raw:
            found[system.id] = Look(colour, marker, _RAW_HATCH, hollow=True)
        else:
            found[system.id] = Look(colour, marker)
    return found


def short(name: str) -> str:
    """A name as charts write it: printable, at most 30 characters."""
    clean = "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name
    )
    return clean if len(clean) <= _LONGEST else clean[: _LONGEST - 1] + "…"
