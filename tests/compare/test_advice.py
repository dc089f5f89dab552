from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace

import pytest

from cleancut.catalog import catalog
from cleancut.cli.main import build_parser
from cleancut.compare.advice import advise
from cleancut.compare.comparison import (
    Comparison,
    Machine,
    Resources,
    Scores,
    SetFacts,
    Speed,
    System,
    VideoScore,
)
from cleancut.compare.licence import licence_of
from cleancut.compare.readings import over_sets
from cleancut.compare.uses import USES, find_use
from cleancut.errors import BadOption
from tests.compare.comparisons import hostile, made_up, without_truth

SETS = (
    SetFacts(name="people", group="people", pictures=5, binary=False),
    SetFacts(name="products", group="products", pictures=5, binary=False),
)


def system(id_: str, **changes: object) -> System:
    tool = id_.split(":")[0] if ":" in id_ else "cleancut"
    row = System(
        id=id_,
        title=id_,
        kind="peer" if ":" in id_ else "ours",
        tool=tool,
        model=id_.split(":")[-1],
        weights="0" * 64,
        weights_mb=5.0,
        licence="MIT",
        commercial="yes",
    )
    return replace(row, **changes)  # type: ignore[arg-type]


def comparison(errors: Mapping[str, float], **changes: object) -> Comparison:
    """Systems that differ in their error only; ``changes`` are fields of ``Comparison``."""
    figures = {"hair": 50.0, "grad": 0.1}
    whole = Comparison(
        version="1",
        pipeline=1,
        date="2026-01-02",
        machine=Machine(cpu="CPU", cores=2),
        data="made up",
        systems=tuple(system(id_) for id_ in errors),
        sets=SETS,
        scores=tuple(
            Scores(
                system=id_, set=one.name, pictures=5, figures={"mad": mad, **figures}, missed=0.01
            )
            for id_, mad in errors.items()
            for one in SETS
        ),
        speed=tuple(Speed(system=id_, warm=(0.1,)) for id_ in errors),
        resources=tuple(Resources(system=id_, peak_mb=200, warm_cpu_s=0.1) for id_ in errors),
        video=tuple(
            VideoScore(
                system=id_,
                clip=clip,
                how="steadied",
                binary=False,
                figures={"mad": mad, "dtssd": 2.0},
                seconds=0.03,
            )
            for id_, mad in errors.items()
            for clip in ("one", "two", "three")
        ),
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def order(found: Comparison, use: str, **kwargs: bool) -> list[str]:
    return [pick.system for pick in advise(found, use, **kwargs).picks]


@pytest.mark.parametrize("use", USES)
def test_the_smaller_error_comes_first_and_a_change_of_figures_turns_it_round(use: str) -> None:
    assert order(comparison({"modnet": 2.0, "u2netp": 9.0}), use) == ["modnet", "u2netp"]
    assert order(comparison({"modnet": 9.0, "u2netp": 2.0}), use) == ["u2netp", "modnet"]


@pytest.mark.parametrize("use", USES)
def test_the_order_of_two_does_not_depend_on_a_third(use: str) -> None:
    both = order(comparison({"modnet": 4.0, "u2netp": 5.0}), use)
    three = order(comparison({"modnet": 4.0, "selfie": 0.6, "u2netp": 5.0}), use)
    assert [id_ for id_ in three if id_ != "selfie"] == both


def test_a_peer_that_is_better_is_recommended() -> None:
    advice = advise(comparison({"modnet": 9.0, "rembg:u2netp": 2.0}), "ecommerce")
    assert advice.picks[0].system == "rembg:u2netp"
    assert advice.picks[0].commands[1] == "rembg p -m u2netp photos/ shop/"


def test_scores_that_are_nearly_the_same_are_called_close() -> None:
    near = advise(comparison({"modnet": 5.0, "u2netp": 5.2}), "id-photo")
    assert near.picks[0].close == ("u2netp",)
    far = advise(comparison({"modnet": 5.0, "u2netp": 15.0}), "id-photo")
    assert far.picks[0].close == ()
    assert far.picks[1].score > 1.5


def test_networks_alone_and_systems_that_were_not_run_do_not_take_part() -> None:
    whole = comparison({"modnet": 5.0, "u2netp": 1.0, "isnet": 1.0})
    rows = (
        system("modnet"),
        system("u2netp", raw=True),
        system("isnet", reason="its weights are not here"),
    )
    advice = advise(replace(whole, systems=rows), "research")
    assert [pick.system for pick in advice.picks] == ["modnet"]
    assert [out.system for out in advice.ruled_out] == ["isnet"]
    assert "not here" in advice.ruled_out[0].why


def test_live_video_needs_twenty_frames_a_second() -> None:
    whole = comparison({"modnet": 2.0, "u2netp": 9.0})
    slow = replace(
        whole,
        video=tuple(
            replace(row, seconds=0.2) if row.system == "modnet" else row for row in whole.video
        ),
    )
    advice = advise(slow, "live-video")
    assert (advice.met, [pick.system for pick in advice.picks]) == (True, ["u2netp"])
    assert advice.ruled_out[0].why == "5.0 frames a second, at least 20"


def test_where_nobody_meets_a_need_the_nearest_is_named_with_what_it_lacks() -> None:
    whole = comparison({"modnet": 2.0, "u2netp": 9.0})
    seconds = {"modnet": 0.5, "u2netp": 0.1}
    slow = replace(
        whole, video=tuple(replace(row, seconds=seconds[row.system]) for row in whole.video)
    )
    advice = advise(slow, "live-video")
    assert not advice.met
    assert [pick.system for pick in advice.picks] == ["u2netp", "modnet"]
    assert advice.picks[0].unmet == ("10.0 frames a second, at least 20",)


@pytest.mark.parametrize(("seconds", "told"), [(0.0499, True), (0.0501, False)])
def test_a_figure_at_the_limit_is_told_on_either_side(seconds: float, told: bool) -> None:
    whole = comparison({"modnet": 2.0, "u2netp": 9.0})
    near = replace(
        whole,
        video=tuple(
            replace(row, seconds=seconds) if row.system == "modnet" else row for row in whole.video
        ),
    )
    advice = advise(near, "live-video")
    if told:
        assert advice.picks[0].system == "modnet"
        assert any("only just" in text for text in advice.picks[0].against)
    else:
        assert "only just" in advice.ruled_out[0].why


def test_weights_over_ten_megabytes_are_not_for_phones() -> None:
    whole = comparison({"modnet": 2.0, "u2netp": 9.0})
    rows = (system("modnet", weights_mb=25.9), system("u2netp", weights_mb=4.6))
    advice = advise(replace(whole, systems=rows), "phone")
    assert [pick.system for pick in advice.picks] == ["u2netp"]
    assert advice.ruled_out[0].why == "25.9 MB of weights, at most 10 MB"


def test_a_subject_missed_too_often_rules_out() -> None:
    whole = comparison({"modnet": 2.0, "u2netp": 9.0})
    careless = tuple(
        replace(row, missed=0.5) if row.system == "modnet" else row for row in whole.scores
    )
    assert order(replace(whole, scores=careless), "passport") == ["u2netp"]


def test_commercial_only_takes_a_clear_yes_of_the_catalog_whatever_the_file_says() -> None:
    whole = comparison({"isnet": 1.0, "modnet": 5.0})  # the file says yes of both
    assert order(whole, "ecommerce", commercial_only=True) == ["modnet"]
    advice = advise(whole, "ecommerce")
    assert advice.picks[0].system == "isnet"
    assert advice.licensed is not None
    assert advice.licensed.system == "modnet"
    assert "DIS5K" in advice.picks[0].licence.data


def test_a_licence_that_forbids_business_is_for_research_only() -> None:
    whole = comparison({"bria-rmbg-2.0": 1.0, "modnet": 5.0})
    assert order(whole, "ecommerce") == ["modnet"]
    assert order(whole, "research") == ["bria-rmbg-2.0", "modnet"]


def test_the_licence_of_auto_is_that_of_its_worst_model() -> None:
    found = licence_of(system("auto"))
    assert found.commercial == catalog()["isnet"].commercial == "unclear"
    assert licence_of(system("modnet")).commercial == "yes"


def test_only_what_is_here_takes_part_if_asked() -> None:
    advice = advise(comparison({"modnet": 2.0, "u2netp": 9.0}), "research", here={"u2netp"})
    assert [pick.system for pick in advice.picks] == ["u2netp"]
    assert advice.ruled_out[0].why == "is not on this machine"


def test_who_lacks_a_figure_that_others_have_is_not_ranked() -> None:
    whole = comparison({"modnet": 2.0, "u2netp": 9.0})
    lacking = tuple(row for row in whole.scores if (row.system, row.set) != ("modnet", "products"))
    advice = advise(replace(whole, scores=lacking), "ecommerce")
    assert [pick.system for pick in advice.picks] == ["u2netp"]
    assert advice.ruled_out[0].why.startswith("not measured: ")


def test_a_mean_is_over_the_same_sets_for_all_or_not_given() -> None:
    whole = comparison({"modnet": 2.0, "u2netp": 9.0})
    less = replace(whole, scores=whole.scores[1:])
    assert over_sets(less, "modnet", "mad") is None
    assert over_sets(less, "modnet", "mad", ("products",)) == 2.0
    assert over_sets(less, "u2netp", "mad") == 9.0


def test_hair_is_not_read_from_yes_or_no_truths() -> None:
    whole = comparison({"modnet": 2.0})
    binary = replace(whole, sets=(SETS[0], replace(SETS[1], binary=True)))
    assert over_sets(binary, "modnet", "hair", ("products",)) is None
    assert over_sets(binary, "modnet", "hair") == 50.0
    assert over_sets(binary, "modnet", "mad", ("products",)) == 2.0


@pytest.mark.parametrize("use", USES)
def test_without_truths_nothing_is_recommended(use: str) -> None:
    advice = advise(without_truth(), use)
    assert advice.picks == ()
    assert advice.ruled_out


@pytest.mark.parametrize("use", USES)
def test_names_from_a_file_are_harmless_in_commands(use: str) -> None:
    bad = "x'; rm -rf ~ #"
    whole = hostile()
    rows = tuple(replace(row, model=bad) if not row.raw else row for row in whole.systems)
    for pick in advise(replace(whole, systems=rows), use).picks:
        for command in pick.commands:
            assert bad not in command


@pytest.mark.parametrize("use", USES)
def test_every_use_answers_from_a_whole_comparison(use: str) -> None:
    advice = advise(made_up(), use)
    assert advice.picks
    assert advice.picks[0].score == 1.0
    assert advice.measured.startswith("2026-01-02, Made-up CPU 3000, 2 cores")
    for pick in advice.picks:
        assert pick.commands
        assert all(reason.told for reason in pick.reasons)


@pytest.mark.parametrize(
    ("word", "use"),
    [
        ("ecommerce", "ecommerce"),
        ("E-Commerce", "ecommerce"),
        ("shop", "ecommerce"),
        ("id_photo", "id-photo"),
        ("passports", "id-photo"),
        ("live video", "live-video"),
        ("phone", "mobile"),
        ("quality", "research"),
    ],
)
def test_people_may_call_uses_what_they_like(word: str, use: str) -> None:
    assert find_use(word).id == use


def test_a_slip_gets_the_nearest_use() -> None:
    with pytest.raises(BadOption) as caught:
        find_use("web-camm")
    assert "did you mean webcam?" in caught.value.hint
    assert "live-video" in caught.value.hint


def test_no_two_uses_share_a_name() -> None:
    names = [name for use in USES.values() for name in (use.id, *use.aliases)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("commercial_only", [False, True])
def test_what_is_to_be_typed_can_be_typed(use: str, commercial_only: bool) -> None:
    for pick in advise(made_up(), use, commercial_only=commercial_only).picks:
        for command in pick.commands:
            program, *words = shlex.split(command)
            if program == "cleancut":
                args, extra = build_parser(words[0]).parse_known_args(words)
                assert (args.command, extra) == (words[0], [])


@pytest.mark.parametrize("use", USES)
def test_a_small_change_turns_nothing_round_that_was_not_called_close(use: str) -> None:
    for other in (4.0, 4.6, 5.0, 5.2, 6.0, 9.0):
        before = advise(comparison({"modnet": 5.0, "u2netp": other}), use).picks
        for change in (0.95, 1.05):
            after = order(comparison({"modnet": 5.0 * change, "u2netp": other}), use)
            if after[0] != before[0].system:
                assert before[0].close == (after[0],)


def test_nobody_has_a_reason_that_is_not_who_was_absent() -> None:
    advice = advise(without_truth(), "ecommerce")
    assert not advice.picks
    assert advice.nothing == "not measured: products and people missed"
    assert advise(without_truth(), "research").nothing == (
        "not measured: error over all sets, error in hair and fur, gradient error, subjects missed"
    )
    assert advise(made_up(), "ecommerce").nothing == ""
    empty = replace(made_up(), systems=tuple(s for s in made_up().systems if s.reason))
    assert advise(empty, "research").nothing == "nobody took part"


def test_a_handful_of_pictures_is_remarked_on() -> None:
    def few(number: int) -> str:
        sets = (SetFacts(name="composite_people", group="people", pictures=number, binary=False),)
        return " ".join(advise(replace(made_up(), sets=sets), "research").remarks)

    assert "4 pictures are too few to tell" in few(4)
    assert "one picture is too few to tell" in few(1)
    assert "too few" not in few(20)


def test_who_is_as_good_is_not_called_worse() -> None:
    picks = advise(made_up(), "research").picks
    assert replace(picks[0], score=1.004).behind == "as good all in all"
    assert replace(picks[0], score=1.26).behind == "1.3 times worse, all in all"


def test_auto_has_the_licence_and_commands_of_the_networks_that_it_asked() -> None:
    whole = made_up()
    own = tuple(weight.sha256 for weight in catalog()["cleancut-nano"].weights)

    def answer(pinned: tuple[str, ...]) -> tuple[str, ...]:
        rows = tuple(
            replace(row, pinned=pinned) if row.id == "auto" else row for row in whole.systems
        )
        pick = advise(replace(whole, systems=rows), "research").picks[0]
        assert pick.system == "auto"
        return (*pick.commands, str(pick.licence))

    assert "cleancut models pull" in answer(())
    assert "cleancut models pull" in answer(("0" * 64,)), "weights that nobody knows any more"
    assert "cleancut models pull" not in answer(own)
    assert "isnet" not in answer(own)[-1]
