from __future__ import annotations

from dataclasses import replace

import pytest

from cleancut.compare.comparison import PARTS, Comparison, Machine, Part
from cleancut.compare.earlier import figures, is_whole, marked, part_of
from tests.compare.comparisons import made_up

EARLIER = replace(made_up(), skipped=("people/7: it is no picture", "video: the time was up"))
NOW = Machine(cpu="Another CPU", cores=64)


def now(**changes: object) -> Comparison:
    """A run of today over the figures of ``EARLIER``, before its first part."""
    whole = replace(EARLIER, date="2026-05-05", commands=("now",), skipped=("energy: unreadable",))
    return replace(whole, **changes)  # type: ignore[arg-type]


def test_of_systems_that_take_no_part_any_more_nothing_is_taken_over() -> None:
    found = figures(EARLIER, {"modnet"})
    for name in ("scores", "pictures", "speed", "resources", "video"):
        assert {row.system for row in found[name]} == {"modnet"}, name
    assert found["sets"] == EARLIER.sets
    assert found["repeats"] == EARLIER.repeats
    assert found["data"] == "eval"


def test_every_part_that_was_not_measured_anew_says_when_and_where_it_was() -> None:
    found = marked(now(), EARLIER, {"speed", "resources"})
    said = "measured on 2026-01-02 with cleancut 1.0 on Made-up CPU 3000, 2 cores"
    for part in ("accuracy", "deployment", "video", "cache"):
        assert f"{part}: {said}" in found.skipped
    assert not any(line.startswith(("speed: ", "resources: ")) for line in found.skipped)
    assert found.commands == (*EARLIER.commands, "now")
    assert found.date == "2026-05-05"


def test_on_the_same_day_and_machine_nothing_needs_to_be_said() -> None:
    found = marked(now(date=EARLIER.date), EARLIER, {"speed"})
    assert not any(" measured on " in line for line in found.skipped)


def test_lines_of_parts_that_were_measured_anew_are_gone_and_others_stay() -> None:
    assert marked(now(), EARLIER, {"video"}).skipped[0] == "people/7: it is no picture"
    assert "video: the time was up" not in marked(now(), EARLIER, {"video"}).skipped
    again = marked(now(), EARLIER, {"accuracy"}).skipped
    assert "video: the time was up" in again
    assert "people/7: it is no picture" not in again
    assert again[-1] == "energy: unreadable"


def test_a_part_that_is_taken_over_twice_keeps_its_first_day() -> None:
    once = marked(now(), EARLIER, {"speed", "resources"})
    twice = marked(replace(once, date="2026-06-06", skipped=()), once, {"cache"})
    lines = [line for line in twice.skipped if line.startswith("accuracy: measured on ")]
    assert lines == [
        "accuracy: measured on 2026-01-02 with cleancut 1.0 on Made-up CPU 3000, 2 cores"
    ]
    assert any(line.startswith("speed: measured on 2026-05-05") for line in twice.skipped)


def test_the_older_pipeline_stays_while_anything_of_it_does() -> None:
    newer = now(pipeline=EARLIER.pipeline + 1, version="2.0")
    found = marked(newer, EARLIER, {"speed", "resources"})
    assert (found.pipeline, found.version) == (EARLIER.pipeline, "1.0")
    # What a tool takes on disk is no matter of pipelines.
    whole = marked(newer, EARLIER, set(PARTS) - {"deployment"})
    assert (whole.pipeline, whole.version) == (EARLIER.pipeline + 1, "2.0")


@pytest.mark.parametrize(
    ("measured", "cpu"),
    [
        ({"accuracy"}, "Made-up CPU 3000"),
        ({"speed"}, "Made-up CPU 3000"),
        ({"speed", "resources"}, "Another CPU"),
    ],
)
def test_the_machine_is_that_of_the_seconds(measured: set[Part], cpu: str) -> None:
    assert marked(now(machine=NOW), EARLIER, measured).machine.cpu == cpu


def test_where_everything_was_measured_anew_nothing_is_left_of_the_earlier_run() -> None:
    assert marked(now(machine=NOW), EARLIER, PARTS) == now(machine=NOW)


def test_parts_that_have_no_figures_are_not_said_to_be_taken_over() -> None:
    bare = now(video=(), repeats=None)
    lines = marked(bare, EARLIER, {"speed"}).skipped
    assert not any(line.startswith(("video: measured", "cache: measured")) for line in lines)


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("speed of modnet at 12 megapixels: it failed", "speed"),
        ("energy: readable only for root", "speed"),
        ("video: the time was up", "video"),
        ("cache: measured with u2netp, none takes part", "cache"),
        ("speedboats/1: it is no picture", "accuracy"),
        ("modnet, people/1 and 3 more: it gave no answer", "accuracy"),
    ],
)
def test_a_line_tells_its_part(line: str, part: Part) -> None:
    assert part_of(line) == part


def test_one_part_that_was_cut_short_makes_the_whole_incomplete() -> None:
    assert is_whole(["video: the time was up"])
    assert not is_whole(["energy: unreadable", "accuracy: interrupted"])
    assert not is_whole(["video: interrupted"])
    assert is_whole(["people/1: interrupted"])  # the name of a picture, not of a part
