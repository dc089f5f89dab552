"""The claims about networks: error, edges, speed, weight, steadiness.

Articles run networks alone, so those rows are read where every network that is compared has one.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from cleancut.compare.comparison import RAW
from cleancut.compare.evidence import (
    NEARLY,
    Evidence,
    alike,
    by_stand_in,
    figures,
    listed,
    middle,
    missing,
    percent,
    ran,
    single,
    so_run,
    span,
    u2net,
)
from cleancut.compare.readings import (
    ALONE,
    accuracy,
    cold,
    cpu_s,
    on_clips,
    over_sets,
    peak_mb,
    warm,
    warm_large,
    weights_mb,
)
from cleancut.compare.uses import MOST_WEIGHTS_MB

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cleancut.compare.comparison import Comparison, Group
    from cleancut.compare.readings import Reader

#: Two figures nearer than this are the same, on other pictures or another day.
SAME = 1.10
#: "About 2.5 s" of an unnamed machine: half of it counts.
SAID_RVM_S, RVM_LEAST = 2.5, 0.5
#: Steps along clean edges in % of all change of opacity there that can be seen (``edge_metrics``);
#: an enlarged mask of yes and no has 20.
VISIBLE = 1.0
#: "Bigger is better" holds if it does so for this share of pairs; half would be chance.
MOST_PAIRS, MANY_PAIRS = 0.8, 0.6
#: "Fails" is missing subjects twice as often, and at least one in ten.
TWICE, OFTEN = 2.0, 0.10
#: Fewer networks show no rule.
FEWEST = 4
PEOPLE: tuple[Group, ...] = ("people",)
OTHERS: tuple[Group, ...] = ("animals", "products", "text", "scenes", "other")
PORTRAIT = ("modnet", "deeplabv3plus-portrait", "rvm")
DEEPLAB = ("deeplabv3plus", "deeplabv3plus-portrait")


def people_fast(comparison: Comparison) -> Evidence:
    """MODNet against U2-Net and IS-Net: time a picture and error on people."""
    name, stand_in = u2net(comparison)
    if ran(comparison, "modnet") is None:
        return missing("MODNet", "warm", "mad")
    rows = alike(comparison, filter(None, ("modnet", name, "isnet")))
    errors = {id_: over_sets(comparison, row, "mad", PEOPLE) for id_, row in rows.items()}
    seconds = {id_: warm(comparison, row) for id_, row in rows.items()}
    own_s, own = seconds.pop("modnet"), errors.pop("modnet")
    tests: list[bool | None] = [None] if len(rows) < 3 else []
    told = []
    for id_, error in errors.items():
        other_s = seconds[id_]
        faster = None if own_s is None or other_s is None else own_s * SAME <= other_s
        tests += [
            by_stand_in(faster) if stand_in and id_ == name else faster,
            None if own is None or error is None else own <= error * NEARLY,
        ]
        told.append(f"{id_} {_span(other_s)} and {_number(error)}")
    found = (
        f"Seconds a picture and error on people (/1000; {so_run(rows)}): modnet {_span(own_s)} and "
        f"{_number(own)}; {'; '.join(told) or 'the others were not measured'}."
    )
    return Evidence(
        tests=tuple(tests),
        found=found + _STOOD_IN * stand_in,
        systems=tuple(rows.values()),
        keys=("warm", "mad"),
        stand_in=stand_in,
    )


def rvm_heavy(comparison: Comparison) -> Evidence:
    """Time, weights and memory of RVM on stills, beside the middle of our other networks."""
    if not ran(comparison, "rvm"):
        return missing("Robust Video Matting", "warm", "cold", "warm_large", "peak_mb")
    ids = [system.id for system in single(comparison)]
    times = {
        "a whole process": cold(comparison, "rvm"),
        "warm": warm(comparison, "rvm"),
        "12 megapixels": warm_large(comparison, "rvm"),
    }
    known = {name: value for name, value in times.items() if value is not None}
    # What every picture costs; a whole process also starts Python, which says nothing of a network.
    each = known.get("warm")
    tests: list[bool | None] = [None if each is None else each >= SAID_RVM_S * RVM_LEAST]
    parts = [f"{name} {span(value)}" for name, value in known.items()]
    for title, read, unit in (("weights", weights_mb, "MB"), ("peak memory", peak_mb, "MB")):
        values = figures(comparison, ids, read)
        own, usual = values.get("rvm"), middle(values, ("rvm",))
        tests.append(None if own is None or usual is None else own > usual * SAME)
        if own is not None:
            beside = "" if usual is None else f" (middle of the others {usual:.0f})"
            parts.append(f"{title} {own:.1f} {unit}{beside}")
    spread = on_clips(comparison, "rvm", "seconds")
    if spread:
        parts.append(f"a frame of video {span(spread.median)}")
    found = f"Robust Video Matting: {', '.join(parts)}." if parts else "Not measured."
    keys = ("warm", "cold", "warm_large", "peak_mb", "weights_mb")
    return Evidence(tests=tuple(tests), found=found, systems=("rvm",), keys=keys)


def deeplab_jagged(comparison: Comparison) -> Evidence:
    """Steps along clean edges of each DeepLab alone, on people, and what else is wrong there."""
    labs = [row for id_ in DEEPLAB if (row := ran(comparison, id_ + RAW))]
    if not labs:
        return missing("DeepLabV3+ without refinement", "jagged")
    if all(over_sets(comparison, row, "jagged", PEOPLE) is None for row in labs):
        return missing("clean edges of people with true mattes", "jagged")
    raw = [system.id for system in single(comparison, raw=True)]
    tests: list[bool | None] = []
    parts = []
    for row in labs:
        steps = over_sets(comparison, row, "jagged", PEOPLE)
        tests.append(None if steps is None else steps >= VISIBLE)
        told = f"{row.removesuffix(RAW)} alone, on people: steps {_number(steps, 2)} %"
        refined = over_sets(comparison, row.removesuffix(RAW), "jagged", PEOPLE)
        told += "" if refined is None else f" ({refined:.2f} % refined by us)"
        wide = over_sets(comparison, row, "blurred", PEOPLE)
        told += "" if wide is None else f", edges {wide:.1f} times as wide as they should be"
        hair = figures(comparison, raw, accuracy("hair", *PEOPLE))
        usual = middle(hair, labs)
        if row in hair and usual is not None:
            told += f", error in hair {hair[row]:.0f}/1000 (middle of the others alone {usual:.0f})"
        parts.append(told)
    found = f"{'; '.join(parts)}. 1 % can be seen. Read as shares, not as a mask of yes and no."
    keys = ("jagged", "blurred", "hair")
    return Evidence(tests=tuple(tests), found=found, systems=tuple(labs), keys=keys)


def u2net_fur(comparison: Comparison) -> Evidence:
    """The error in soft edges of every network, on animals and on people."""
    name, stand_in = u2net(comparison)
    rows = alike(comparison, (system.id for system in single(comparison)))
    if name not in rows:
        return missing("U2-Net", "hair")
    tests: list[bool | None] = []
    parts = []
    groups: tuple[Group, ...] = ("animals", "people")
    for group in groups:
        values = _of_rows(comparison, rows, accuracy("hair", group))
        own = values.get(name)
        if own is None or len(values) < FEWEST:
            tests.append(None)
            continue
        best = own <= min(values.values()) * SAME
        tests.append(best)
        parts.append(f"on {group} {name} {own:.1f}, the best are {listed(values, most=3)}")
    told = "; ".join(parts) or "not measured"
    return Evidence(
        tests=tuple(tests),
        found=f"Error in hair and fur (/1000; {so_run(rows)}): {told}." + _STOOD_IN * stand_in,
        systems=tuple(rows.values()),
        keys=("hair",),
        stand_in=stand_in,
    )


def bigger_better(comparison: Comparison) -> Evidence:
    """Pairs of networks: whether the one with more weights has the smaller error over all sets."""
    rows = alike(comparison, (system.id for system in single(comparison)))
    sizes = figures(comparison, rows, weights_mb)
    errors = _of_rows(comparison, rows, accuracy("mad"))
    both = [id_ for id_ in rows if id_ in sizes and id_ in errors]
    if len(both) < FEWEST:
        return missing("enough networks of several sizes", "weights_mb", "mad")
    pairs = [
        sorted(pair, key=sizes.__getitem__)
        for pair in combinations(both, 2)
        if max(map(sizes.__getitem__, pair)) > SAME * min(map(sizes.__getitem__, pair))
    ]
    held = sum(errors[big] < errors[small] for small, big in pairs)
    share = held / len(pairs) if pairs else 0.0
    best, largest = min(both, key=errors.__getitem__), max(both, key=sizes.__getitem__)
    named = (f"{id_} ({sizes[id_]:.0f} MB) {errors[id_]:.1f}" for id_ in (largest, best))
    found = (
        f"In {held} of {len(pairs)} pairs of networks the larger has the smaller error over all "
        f"sets ({percent(share)}, chance is 50 %; {so_run(rows)}). Error of the largest and of the "
        f"best, /1000: {', '.join(named)}."
    )
    tests = (share >= MANY_PAIRS, share >= MOST_PAIRS) if pairs else (None,)
    return Evidence(tests=tests, found=found, systems=tuple(both), keys=("weights_mb", "mad"))


def rvm_steady(comparison: Comparison) -> Evidence:
    """Flicker of RVM beside that of each network frame by frame, on the same clips."""
    own = on_clips(comparison, "rvm", "dtssd")
    rivals = dict.fromkeys(row.system for row in comparison.video if row.how == ALONE)
    found = {id_: on_clips(comparison, id_, "dtssd", (ALONE,)) for id_ in rivals}
    values = {id_: spread.median for id_, spread in found.items() if spread}
    if own is None or not values:
        return missing("clips with soft truths", "dtssd")
    steadied = {
        id_: spread.median
        for id_ in values
        if (spread := on_clips(comparison, id_, "dtssd", ("steadied",)))
    }
    told = (
        f"dtSSD, median of {own.clips} clips: rvm {own.median:.2f}; frame by frame "
        f"{listed(values, 2, 6)}"
    )
    told += f"; made steady by us {listed(steadied, 2, 6)}" if steadied else ""
    if own.worst > 4 * own.median:
        told += f"; rvm loses the clip {own.where} ({own.worst:.1f})"
    tests = tuple(own.median * SAME <= value for value in values.values())
    told += f"; rvm flickers less than {sum(tests)} of {len(tests)}"
    return Evidence(tests=tests, found=told + ".", systems=("rvm", *values), keys=("dtssd",))


def deeplab_light(comparison: Comparison) -> Evidence:
    """Weights and processor time of DeepLabV3+, beside other networks of at most 10 MB."""
    name = next((id_ for id_ in DEEPLAB if ran(comparison, id_)), None)
    own_mb = weights_mb(comparison, name) if name else None
    if name is None or own_mb is None:
        return missing("DeepLabV3+", "weights_mb", "warm_cpu_s")
    sizes = figures(comparison, (one.id for one in single(comparison)), weights_mb)
    # Refinement costs more where edges are poor, and no phone has it.
    rows = alike(comparison, (id_ for id_ in sizes if sizes[id_] <= MOST_WEIGHTS_MB or id_ == name))
    costs = _of_rows(comparison, rows, cpu_s)
    own = costs.get(name)
    others = {id_: cost for id_, cost in costs.items() if id_ not in DEEPLAB}
    light = None if own is None or not others else own <= min(others.values()) * SAME
    found = f"{name}: {own_mb:.1f} MB of weights"
    if own is not None:
        found += f", {own:.2f} s of processor time a picture ({so_run(rows)})"
        found += f"; others of at most 10 MB: {listed(others, 2)} s" if others else ""
    return Evidence(
        tests=(own_mb <= MOST_WEIGHTS_MB, light),
        found=found + ".",
        systems=(name, *others),
        keys=("weights_mb", "warm_cpu_s"),
    )


def general(comparison: Comparison) -> Evidence:
    """How often U2-Net and portrait networks miss what is not a person."""
    name, stand_in = u2net(comparison)
    rows = alike(comparison, filter(None, (name, *PORTRAIT)))
    values = _of_rows(comparison, rows, accuracy("missed", *OTHERS))
    if name not in values or len(values) < 2:
        return missing("U2-Net and portrait networks on other subjects", "missed")
    own = values.pop(name)
    told = ", ".join(f"{id_} {percent(value)}" for id_, value in values.items())
    tests = (own < 2 * OFTEN, *(value >= max(TWICE * own, OFTEN) for value in values.values()))
    return Evidence(
        tests=tests,
        found=f"Subjects missed in sets that are not of people ({so_run(rows)}): {name} "
        f"{percent(own)}; {told}." + _STOOD_IN * stand_in,
        systems=tuple(rows.values()),
        keys=("missed",),
        stand_in=stand_in,
    )


def bria_best(comparison: Comparison) -> Evidence:
    """The error of BRIA RMBG over all sets, beside the best of the open networks."""
    rows = alike(comparison, (system.id for system in single(comparison)))
    values = _of_rows(comparison, rows, accuracy("mad"))
    ours = {id_: value for id_, value in values.items() if id_.startswith("bria-")}
    others = {id_: value for id_, value in values.items() if id_ not in ours}
    if not ours or not others:
        return missing("BRIA RMBG, whose weights need an agreement or a non-commercial use", "mad")
    best = min(ours.values())
    return Evidence(
        tests=(best < min(others.values()),),
        found=f"Error over all sets (/1000; {so_run(rows)}): {listed(ours)}; the best of the "
        f"others {listed(others)}.",
        systems=tuple(rows.values()),
        keys=("mad",),
    )


def no_one_wins(comparison: Comparison) -> Evidence:
    """Who is best in each group, refinement and all; a tenth behind is level."""
    groups = list(dict.fromkeys(facts.group for facts in comparison.sets))
    ids = [system.id for system in comparison.ran if not system.raw]
    winners: dict[str, list[str]] = {}
    told = []
    for group in groups:
        values = figures(comparison, ids, accuracy("mad", group))
        if len(values) < 2:
            continue
        best = min(values, key=values.__getitem__)
        winners[group] = [id_ for id_ in values if values[id_] <= values[best] * SAME]
        told.append(f"{group} {best} {values[best]:.1f}")
    if len(winners) < 3:
        return missing("three groups of pictures with truths", "mad")
    most = max(ids, key=lambda id_: sum(id_ in level for level in winners.values()))
    count = sum(most in level for level in winners.values())
    found = f"Least error by group: {', '.join(told)}. {most} is best or level in {count} of "
    found += f"{len(winners)}."
    tests = (count < len(winners), count < len(winners) - 1)
    return Evidence(tests=tests, found=found, systems=(most,), keys=("mad",))


_STOOD_IN = " U2-Net here is its small version; the large weights were not on this machine."


def _of_rows(comparison: Comparison, rows: Mapping[str, str], read: Reader) -> dict[str, float]:
    """The figure of each system as ``alike`` has it."""
    found = {id_: read(comparison, row) for id_, row in rows.items()}
    return {id_: value for id_, value in found.items() if value is not None}


def _span(seconds: float | None) -> str:
    return "?" if seconds is None else span(seconds)


def _number(value: float | None, digits: int = 1) -> str:
    return "?" if value is None else f"{value:.{digits}f}"
