from __future__ import annotations

from dataclasses import replace

import pytest

from cleancut.compare import claims
from cleancut.compare.claims import Claim, check_claims, verdict
from cleancut.compare.comparison import Comparison, Repeats
from cleancut.compare.evidence import Evidence, alike
from cleancut.compare.measures import BY_KEY
from tests.compare.comparisons import made_up, without_truth


def claim(comparison: Comparison, key: str) -> Claim:
    return next(one for one in check_claims(comparison) if one.key == key)


def check(comparison: Comparison, key: str) -> Evidence:
    return next(row for row in claims._ROWS if row.key == key).look(comparison)


def with_figure(comparison: Comparison, system: str, key: str, value: float) -> Comparison:
    """The comparison with one figure of one system on every set, and of its network alone."""
    return replace(
        comparison,
        scores=tuple(
            replace(row, missed=value)
            if row.system.startswith(system) and key == "missed"
            else replace(row, figures={**row.figures, key: value})
            if row.system.startswith(system) and key in row.figures
            else row
            for row in comparison.scores
        ),
    )


def with_warm(comparison: Comparison, seconds: dict[str, float]) -> Comparison:
    return replace(
        comparison,
        speed=tuple(
            replace(row, warm=(seconds[row.system],)) if row.system in seconds else row
            for row in comparison.speed
        ),
    )


def renamed(comparison: Comparison, old: str, new: str) -> Comparison:
    """The comparison as if ``new`` had been run in place of ``old``."""

    def name(id_: str) -> str:
        return id_.replace(old, new) if id_.split(":")[0] == old else id_

    systems = (row for row in comparison.systems if row.id != new)
    return replace(
        comparison,
        systems=tuple(replace(row, id=name(row.id)) for row in systems),
        scores=tuple(replace(row, system=name(row.system)) for row in comparison.scores),
        speed=tuple(replace(row, system=name(row.system)) for row in comparison.speed),
        resources=tuple(replace(row, system=name(row.system)) for row in comparison.resources),
    )


@pytest.mark.parametrize(
    ("tests", "stand_in", "wanted"),
    [
        ((True, True), False, "confirmed"),
        ((True, None), False, "partly"),
        ((True, False), False, "partly"),
        ((False, None), False, "not confirmed"),
        ((None, None), False, "not measured"),
        ((), False, "not measured"),
        ((True, True), True, "partly"),
        ((False,), True, "not confirmed"),
    ],
)
def test_a_verdict_needs_every_test(
    tests: tuple[bool | None, ...], stand_in: bool, wanted: str
) -> None:
    assert verdict(Evidence(tests=tests, found="", stand_in=stand_in)) == wanted


@pytest.mark.parametrize("comparison", [without_truth(), replace(made_up(), systems=(), scores=())])
def test_nothing_is_confirmed_by_missing_figures(comparison: Comparison) -> None:
    bare = replace(comparison, speed=(), resources=(), deployment=(), video=(), repeats=None)
    assert {one.verdict for one in check_claims(bare)} <= {
        "not measured",
        "not confirmed",
        "partly",
    }
    empty = replace(bare, systems=(), scores=(), sets=())
    assert {one.verdict for one in check_claims(empty)} == {"not measured"}


def test_every_claim_says_where_it_was_read() -> None:
    claims = check_claims(made_up())
    assert len({one.key for one in claims}) == len(claims) >= 10
    others = {"warm", "cold", "warm_large", "peak_mb", "weights_mb", "warm_cpu_s", "dtssd"}
    others |= {"missed", "repeats", "first_run_offline", "offline"}
    for one in claims:
        assert one.sentence.endswith(".")
        assert one.found.endswith(".")
        assert one.keys
        assert set(one.keys) <= others | set(BY_KEY)
        if one.verdict != "not measured":
            assert any(digit.isdigit() for digit in one.found) or one.key == "rembg-offline"


def test_modnet_on_people_is_judged_by_time_and_error() -> None:
    whole = renamed(made_up(), "u2netp", "u2net")
    assert claim(whole, "people-fast").verdict == "partly"  # slower than this U2-Net
    fast = with_warm(whole, {"modnet": 0.05})
    assert claim(fast, "people-fast").verdict == "confirmed"
    assert claim(with_figure(fast, "modnet", "mad", 90.0), "people-fast").verdict == "partly"
    slow = with_warm(whole, {"modnet": 9.0})
    assert claim(with_figure(slow, "modnet", "mad", 90.0), "people-fast").verdict == "not confirmed"


def test_the_small_u2net_never_confirms_what_is_said_of_the_large_one() -> None:
    fast = with_warm(made_up(), {"modnet": 0.05})
    found = claim(fast, "people-fast")
    assert found.verdict == "partly"
    assert "small version" in found.found


def test_what_the_small_u2net_fails_is_not_confirmed_and_its_size_is_told() -> None:
    found = claim(made_up(), "u2net-fur")
    assert found.verdict == "not confirmed"
    assert "small version" in found.found


def test_rvm_is_heavy_only_if_time_weights_and_memory_say_so() -> None:
    slow = with_warm(made_up(), {"rvm": 2.4})
    assert "2.4 s" in claim(slow, "rvm-heavy").found
    assert claim(slow, "rvm-heavy").verdict == "partly"
    heavy = replace(
        slow,
        systems=tuple(
            replace(row, weights_mb=400.0) if row.id == "rvm" else row for row in slow.systems
        ),
        resources=tuple(
            replace(row, peak_mb=5000.0) if row.system == "rvm" else row for row in slow.resources
        ),
    )
    assert claim(heavy, "rvm-heavy").verdict == "confirmed"
    started = with_warm(heavy, {"rvm": 0.1})  # a process that is slow to start is no slow network
    assert claim(started, "rvm-heavy").verdict == "partly"


def test_deeplab_is_jagged_where_steps_can_be_seen() -> None:
    whole = made_up()
    assert claim(whole, "deeplab-jagged").verdict == "not confirmed"
    jagged = claim(with_figure(whole, "deeplab", "jagged", 6.0), "deeplab-jagged")
    assert jagged.verdict == "confirmed"
    assert "steps 6.00 %" in jagged.found
    alone = replace(whole, systems=tuple(row for row in whole.systems if not row.raw))
    assert claim(alone, "deeplab-jagged").verdict == "not measured"


def test_u2net_is_best_at_fur_only_if_no_other_is() -> None:
    whole = renamed(made_up(), "u2netp", "u2net")
    assert claim(whole, "u2net-fur").verdict == "not confirmed"
    assert claim(with_figure(whole, "u2net", "hair", 1.0), "u2net-fur").verdict == "confirmed"


def test_networks_are_read_alone_only_if_all_were_run_alone() -> None:
    whole = made_up()
    assert alike(whole, ("modnet", "rvm")) == {"modnet": "modnet:raw", "rvm": "rvm:raw"}
    assert alike(whole, ("modnet", "isnet")) == {"modnet": "modnet", "isnet": "isnet"}
    assert alike(whole, ("modnet", "u2net")) == {"modnet": "modnet:raw"}


@pytest.mark.parametrize(
    ("shares", "kept_s", "wanted"),
    [
        ({"0.30": 0.29, "0.60": 0.57}, 0.004, "confirmed"),
        ({"0.30": 0.29, "0.60": 0.30}, 0.004, "partly"),
        ({}, 0.004, "partly"),
        ({"0.30": 0.01, "0.60": 0.02}, 1.5, "not confirmed"),
    ],
)
def test_a_cache_is_judged_by_whole_folders(
    shares: dict[str, float], kept_s: float, wanted: str
) -> None:
    repeats = Repeats(cut_s=1.6, kept_s=kept_s, shares=shares, model="auto")
    assert claim(replace(made_up(), repeats=repeats), "cache-saves").verdict == wanted


def test_a_gpu_is_needed_only_if_those_who_cut_well_are_slow() -> None:
    whole = made_up()
    seconds = {row.system: row.warm[0] for row in whole.speed}
    assert seconds["auto"] > 1.0 > seconds["cleancut-nano"]
    # However fast the others are: nobody else is nearly as good.
    assert claim(whole, "needs-gpu").verdict == "confirmed"
    assert claim(with_warm(whole, {"auto": 0.9}), "needs-gpu").verdict == "not confirmed"
    good = with_figure(with_figure(whole, "auto", "mad", 9.0), "cleancut-nano", "mad", 10.0)
    assert claim(good, "needs-gpu").verdict == "partly"
    assert "1 of the 2 " in claim(good, "needs-gpu").found
    peers = with_warm(whole, {"rembg:u2netp": 0.01})
    assert claim(with_figure(peers, "rembg:u2netp", "mad", 1.0), "needs-gpu").found == (
        claim(whole, "needs-gpu").found
    )


def test_seconds_and_errors_are_of_the_same_runs() -> None:
    whole = renamed(made_up(), "u2netp", "u2net")
    bare = replace(whole, systems=tuple(row for row in whole.systems if row.id != "isnet"))
    alone = with_warm(bare, {"modnet": 9.0, "modnet:raw": 0.05, "u2net:raw": 0.5})
    found = claim(alone, "people-fast")
    assert "networks alone" in found.found
    assert "modnet 50 ms" in found.found
    assert "u2net 0.50 s" in found.found


def test_the_light_network_is_looked_at_alone() -> None:
    whole = made_up()
    costs = {"deeplabv3plus-portrait": 9.0, "deeplabv3plus-portrait:raw": 0.01}
    small = tuple(row for row in whole.systems if row.model not in ("cleancut-nano", "isnet"))
    found = claim(
        replace(
            whole,
            systems=small,
            resources=tuple(
                replace(row, warm_cpu_s=costs.get(row.system, 1.0)) for row in whole.resources
            ),
        ),
        "deeplab-light",
    )
    assert found.verdict == "confirmed"
    assert "0.01 s of processor time a picture (networks alone)" in found.found


def test_rembg_is_offline_only_once_its_weights_are_there() -> None:
    whole = made_up()
    later = tuple(
        replace(row, features={**row.features, "offline": True}) for row in whole.deployment
    )
    assert claim(replace(whole, deployment=later), "rembg-offline").verdict == "partly"
    assert claim(replace(whole, deployment=()), "rembg-offline").verdict == "not measured"
    unknown = tuple(
        replace(row, first_run_offline=None, features={}, version="") for row in whole.deployment
    )
    found = claim(replace(whole, deployment=unknown), "rembg-offline")
    assert found.verdict == "not measured"
    assert found.found == "Not measured: rembg without a network."


def test_no_one_wins_unless_somebody_does() -> None:
    whole = made_up()
    assert claim(whole, "no-one-wins").verdict == "not confirmed"
    worse = with_figure(whole, "auto", "mad", 90.0)
    nearly = with_figure(worse, "cleancut-nano", "mad", 90.0)
    assert claim(nearly, "no-one-wins").verdict == "partly"  # isnet, on all but people
    spread = replace(
        nearly,
        scores=tuple(
            replace(row, figures={**row.figures, "mad": 200.0})
            if "isnet" in row.system and row.set == "logos_graphics"
            else row
            for row in nearly.scores
        ),
    )
    assert claim(spread, "no-one-wins").verdict == "confirmed"


def test_rvm_is_steadier_than_every_network_or_only_partly() -> None:
    whole = made_up()
    assert claim(whole, "rvm-steady").verdict == "confirmed"
    unsteady = replace(
        whole,
        video=tuple(
            replace(row, figures={**row.figures, "dtssd": 99.0}) if row.system == "rvm" else row
            for row in whole.video
        ),
    )
    assert claim(unsteady, "rvm-steady").verdict == "not confirmed"


def test_steps_that_nobody_measured_are_no_question_mark() -> None:
    found = claim(without_truth(), "deeplab-jagged")
    assert found.verdict == "not measured"
    assert "?" not in found.found


def without(comparison: Comparison, system: str, field: str) -> Comparison:
    """The comparison without what was measured of one system."""
    rows = tuple(row for row in getattr(comparison, field) if row.system != system)
    return replace(comparison, **{field: rows})  # type: ignore[arg-type]


def test_seconds_that_were_not_measured_settle_nothing() -> None:
    whole = renamed(made_up(), "u2netp", "u2net")
    fast = with_warm(whole, {"modnet": 0.05})
    assert claim(fast, "people-fast").verdict == "confirmed"
    lacking = without(fast, "isnet", "speed")
    assert claim(lacking, "people-fast").verdict == "partly"
    assert "isnet ? and " in claim(lacking, "people-fast").found


def test_portrait_networks_fail_elsewhere_only_if_u2net_does_not() -> None:
    whole = renamed(made_up(), "u2netp", "u2net")
    good = with_figure(whole, "u2net", "missed", 0.05)
    bad = good
    for id_ in ("modnet", "rvm", "deeplabv3plus-portrait"):
        bad = with_figure(bad, id_, "missed", 0.5)
    found = claim(bad, "general")
    assert found.verdict == "confirmed"
    assert "u2net 5 %; modnet 50 %, deeplabv3plus-portrait 50 %, rvm 50 %." in found.found
    assert claim(with_figure(bad, "rvm", "missed", 0.09), "general").verdict == "partly"
    # Twice as often as a network that misses every third subject.
    assert claim(with_figure(bad, "u2net", "missed", 0.3), "general").verdict == "not confirmed"
    every_fifth = with_figure(bad, "u2net", "missed", 0.21)
    assert claim(every_fifth, "general").verdict == "partly"
    alone = replace(bad, systems=tuple(row for row in bad.systems if row.model == "u2netp"))
    assert claim(alone, "general").verdict == "not measured"


def test_bria_is_best_only_if_no_open_network_errs_less() -> None:
    whole = renamed(made_up(), "isnet", "bria-rmbg-2.0")
    assert claim(made_up(), "bria-best").verdict == "not measured"
    worse = with_figure(whole, "bria-rmbg-2.0", "mad", 99.0)
    assert claim(worse, "bria-best").verdict == "not confirmed"
    best = claim(with_figure(whole, "bria-rmbg-2.0", "mad", 0.5), "bria-best")
    assert best.verdict == "confirmed"
    assert "bria-rmbg-2.0 0.5; the best of the others cleancut-nano" in best.found


def test_bigger_is_better_only_if_most_pairs_say_so() -> None:
    whole = made_up()
    names = ("deeplabv3plus-portrait", "u2netp", "cleancut-nano", "modnet", "isnet")

    def errs(values: tuple[float, ...]) -> Comparison:
        found = without(whole, "rvm", "scores")
        for name, value in zip(names, values, strict=True):
            found = with_figure(found, name, "mad", value)
        return found

    assert claim(errs((9.0, 8.0, 7.0, 6.0, 5.0)), "bigger-better").verdict == "confirmed"
    assert claim(errs((5.0, 6.0, 7.0, 8.0, 9.0)), "bigger-better").verdict == "not confirmed"
    found = claim(errs((9.0, 6.0, 7.0, 8.0, 5.0)), "bigger-better")
    assert found.verdict == "partly"
    assert "isnet (88 MB) 5.0, isnet (88 MB) 5.0" in found.found


def test_what_deeplab_does_at_hair_is_told_beside_the_others() -> None:
    found = claim(made_up(), "deeplab-jagged").found
    assert "refined by us)" in found
    assert "middle of the others alone" in found
    few = tuple(row for row in made_up().systems if not row.raw or "deeplab" in row.id)
    assert "middle of" not in claim(replace(made_up(), systems=few), "deeplab-jagged").found


def test_a_clip_that_rvm_loses_is_named_and_steadied_clips_are_told_apart() -> None:
    whole = made_up()
    found = claim(whole, "rvm-steady").found
    assert "made steady by us modnet" in found
    assert "rvm flickers less than 1 of 1." in found
    assert "loses" not in found
    clips = {"portrait_curly": 1.0, "cat_whiskers": 40.0, "third": 1.0}
    rows = tuple(
        replace(row, clip=clip, figures={"dtssd": value if row.system == "rvm" else 50.0})
        for row in whole.video
        for clip, value in clips.items()
        if row.clip == "portrait_curly"
    )
    lost = replace(whole, video=rows)
    assert "rvm loses the clip cat_whiskers (40.0)" in claim(lost, "rvm-steady").found
    frames = replace(whole, video=tuple(row for row in rows if row.how != "steadied"))
    assert "made steady" not in claim(frames, "rvm-steady").found
    assert claim(replace(whole, video=()), "rvm-steady").verdict == "not measured"


def test_a_cache_tells_what_a_kept_picture_takes() -> None:
    found = claim(made_up(), "cache-saves").found
    assert "takes 4 ms instead of 1.6 s: 99.8 % of its work is saved." in found
    assert "29 % of the time where 30 % of the pictures repeat" in found
    assert "where 0 %" not in found
    broken = Repeats(cut_s=0.0, kept_s=0.0)
    assert claim(replace(made_up(), repeats=broken), "cache-saves").verdict == "not measured"


def test_the_first_run_of_cleancut_stands_beside_that_of_rembg() -> None:
    whole = made_up()
    assert "cleancut's first run made a cutout." in claim(whole, "rembg-offline").found
    rembg = replace(whole, deployment=tuple(r for r in whole.deployment if r.tool == "rembg"))
    assert "cleancut" not in claim(rembg, "rembg-offline").found
