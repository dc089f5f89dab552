"""The claims about tools: caches, GPUs, networks of the other kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleancut.compare.evidence import NEARLY, Evidence, figures, missing, percent, span
from cleancut.compare.readings import accuracy, warm

if TYPE_CHECKING:
    from cleancut.compare.comparison import Comparison

#: "30 to 60 %": what articles say a cache saves.
SAID_SAVED = (0.30, 0.60)
#: A folder's saving may be this far from its share of repeats: starting costs time, too.
OFF = 0.10
#: Longer than this a person waits for a picture.
PATIENCE_S = 1.0


def cache_saves(comparison: Comparison) -> Evidence:
    """A kept picture beside one cut anew, and folders with repeats of the said shares."""
    repeats = comparison.repeats
    if repeats is None or repeats.cut_s <= 0:
        return missing("what a cache saves", "repeats")
    each = 1.0 - repeats.kept_s / repeats.cut_s
    shares = {float(share): saved for share, saved in repeats.shares.items()}
    low, high = SAID_SAVED
    said = {share: saved for share, saved in shares.items() if low <= share <= high}
    tests: list[bool | None] = [each >= low]
    tests += [abs(saved - share) <= OFF for share, saved in said.items()] or [None]
    folders = ", ".join(
        f"{percent(saved)} of the time where {percent(share)} of the pictures repeat"
        for share, saved in sorted(shares.items())
        if share > 0
    )
    found = (
        f"A picture that was cut before takes {span(repeats.kept_s)} instead of "
        f"{span(repeats.cut_s)}: {percent(each, 1)} of its work is saved. "
    )
    found += f"A folder: {folders}." if folders else "Whole folders were not measured."
    return Evidence(tests=tuple(tests), found=found, systems=(repeats.model,), keys=("repeats",))


def needs_gpu(comparison: Comparison) -> Evidence:
    """Whether whoever cuts well, nearly as well as the best, takes over a second on processors.

    ``auto`` is among them, and networks with our refinement: what people would take.
    """
    ids = [one.id for one in comparison.ran if one.kind == "ours" and not one.raw]
    errors = figures(comparison, ids, accuracy("mad"))
    good = [id_ for id_ in errors if errors[id_] <= min(errors.values()) * NEARLY]
    seconds = figures(comparison, good, warm)
    if not seconds:
        return missing("error and time on processors", "mad", "warm")
    slow = [id_ for id_, value in seconds.items() if value > PATIENCE_S]
    fastest, slowest = min(seconds, key=seconds.__getitem__), max(seconds, key=seconds.__getitem__)
    found = (
        f"On {comparison.machine.cores} cores without a GPU {len(seconds) - len(slow)} of the "
        f"{len(seconds)} with the least error, or at most a quarter more, take a second or less a "
        f"picture: the fastest of them, {fastest}, {span(seconds[fastest])}, the slowest, "
        f"{slowest}, {span(seconds[slowest])}."
    )
    # "partly", where half of them or more would need one.
    tests = (len(slow) == len(seconds), 2 * len(slow) >= len(seconds))
    return Evidence(tests=tests, found=found, systems=tuple(seconds), keys=("mad", "warm"))


def rembg_offline(comparison: Comparison) -> Evidence:
    """A first run without weights and network, and later ones."""
    rembg = comparison.deployment_of("rembg")
    first = rembg.first_run_offline if rembg else None
    later = rembg.features.get("offline") if rembg else None
    if rembg is None or (first is None and later is None):
        return missing("rembg without a network", "first_run_offline", "offline")
    told = {True: "made a cutout", False: "made none", None: "was not measured"}
    found = (
        f"rembg {rembg.version}, without a network: a first run {told[first]}"
        f"; one with its weights in place {told[later]}."
    )
    ours = comparison.deployment_of("cleancut")
    if ours and ours.first_run_offline is not None:
        found += f" cleancut's first run {told[ours.first_run_offline]}."
    return Evidence(
        tests=(first, later), found=found, systems=("rembg",), keys=("first_run_offline", "offline")
    )
