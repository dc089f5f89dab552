"""What articles say about these systems, each held against the figures of a comparison.

A claim is a sentence of ours that says what articles say, and one or more tests. It is confirmed
only if all its tests were measured and passed; nothing is confirmed by figures that are missing.
A smaller network that stands in for the one that was meant neither confirms nor, where it fails,
refutes: the larger one may do better.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cleancut.compare import claims_networks as networks
from cleancut.compare import claims_tools as tools
from cleancut.compare.evidence import Evidence

if TYPE_CHECKING:
    from cleancut.compare.comparison import Comparison

Verdict = Literal["confirmed", "partly", "not confirmed", "not measured"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One claim and what was found: ``says`` is what of it can be measured, ``found`` our figures.

    ``systems`` are the ids and ``keys`` the figures it was read from.
    """

    key: str
    sentence: str
    says: str
    verdict: Verdict
    found: str
    systems: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Row:
    key: str
    sentence: str
    says: str
    look: Callable[[Comparison], Evidence]


_ROWS = (
    _Row(
        "people-fast",
        "For people, MODNet is faster than U2-Net and IS-Net and nearly as good.",
        "less time a picture, and an error on people at most a quarter larger",
        networks.people_fast,
    ),
    _Row(
        "rvm-heavy",
        "Robust Video Matting takes about 2.5 seconds a picture and is heavy.",
        "at least half that time in a running process, and more weights and memory than the middle "
        "of the field",
        networks.rvm_heavy,
    ),
    _Row(
        "deeplab-jagged",
        "The edges of DeepLabV3+ are jagged.",
        "the network alone, on people: steps along clean edges that can be seen",
        networks.deeplab_jagged,
    ),
    _Row(
        "u2net-fur",
        "U2-Net is the best at hair and fur.",
        "the least error in soft edges, on people and on animals",
        networks.u2net_fur,
    ),
    _Row(
        "cache-saves",
        "A cache of results saves 30 to 60 % of repeated work.",
        "the time of a folder with that share of repeated pictures falls by that share",
        tools.cache_saves,
    ),
    _Row(
        "needs-gpu",
        "Good background removal needs a GPU.",
        "on processors alone, whoever errs least, or a quarter more, takes over a second a picture",
        tools.needs_gpu,
    ),
    _Row(
        "rembg-offline",
        "rembg works offline.",
        "it cuts without a network, also the first time, when no weights are there yet",
        tools.rembg_offline,
    ),
    _Row(
        "bigger-better",
        "Bigger networks are better.",
        "of two networks, the one with more weights has the smaller error",
        networks.bigger_better,
    ),
    _Row(
        "rvm-steady",
        "In video, Robust Video Matting is steadier than cutting frame by frame.",
        "less flicker (dtSSD) on the same clips than each network frame by frame",
        networks.rvm_steady,
    ),
    _Row(
        "deeplab-light",
        "DeepLabV3+ with MobileNet is the light choice for phones.",
        "at most 10 MB of weights, and no more processor time than any other that small",
        networks.deeplab_light,
    ),
    _Row(
        "general",
        "U2-Net cuts anything; portrait networks fail on everything but people.",
        "portrait networks miss other subjects at least twice as often as U2-Net",
        networks.general,
    ),
    _Row(
        "bria-best",
        "BRIA RMBG beats every open network.",
        "the least error over all sets",
        networks.bria_best,
    ),
    _Row(
        "no-one-wins",
        "No single tool wins everywhere.",
        "nobody is best, or nearly, in every group of pictures",
        networks.no_one_wins,
    ),
)


def check_claims(comparison: Comparison) -> tuple[Claim, ...]:
    """Every claim with its verdict, in the order in which they are shown."""
    claims = []
    for row in _ROWS:
        seen = row.look(comparison)
        claims.append(
            Claim(
                key=row.key,
                sentence=row.sentence,
                says=row.says,
                verdict=verdict(seen),
                found=seen.found,
                systems=tuple(dict.fromkeys(seen.systems)),
                keys=seen.keys,
            )
        )
    return tuple(claims)


def verdict(seen: Evidence) -> Verdict:
    """What the tests come to: None is a test that was not measured."""
    known = [test for test in seen.tests if test is not None]
    if not known:
        return "not measured"
    if all(known):
        whole = len(known) == len(seen.tests) and not seen.stand_in
        return "confirmed" if whole else "partly"
    return "partly" if any(known) else "not confirmed"
