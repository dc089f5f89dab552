from __future__ import annotations

from dataclasses import replace

from cleancut.compare.comparison import SetFacts
from cleancut.compare.summary import summary
from tests.compare.comparisons import hostile, made_up, without_truth


def test_a_summary_fits_on_a_screen() -> None:
    lines = summary(made_up()).splitlines()
    assert len(lines) <= 45
    assert max(map(len, lines)) <= 100
    assert max(map(len, summary(hostile()).splitlines())) <= 110


def test_it_says_what_to_take_who_is_best_and_what_is_true() -> None:
    text = summary(made_up())
    lines = text.splitlines()
    assert any(line.startswith("  E-commerce  auto: error on products") for line in lines)
    head = next(line for line in lines if line.startswith("  system"))
    row = next(line for line in lines if line.startswith("  auto  "))
    assert head.index("error") < head.index("warm s") < head.index("peak MB")
    assert "*" in row, "the best of a column is marked"
    assert any(line.startswith("  confirmed ") for line in lines)
    assert "modnet:raw" not in text, "so many rows are in the report"
    assert "networks alone (:raw) are in the report" in text
    assert "not here: u2net, bria-rmbg-2.0, deeplabv3plus, transparent-background" in text


def test_networks_alone_are_shown_where_there_is_room() -> None:
    whole = made_up()
    ids = ("modnet", "modnet:raw")
    few = replace(whole, systems=tuple(one for one in whole.systems if one.id in ids))
    assert "  modnet:raw  " in summary(few)


def test_without_true_mattes_nobody_is_recommended() -> None:
    text = summary(without_truth())
    assert "no true mattes" in text
    assert "cleancut recommend --for USE" in text
    assert "E-commerce" not in text
    assert "agreement" in text
    assert "error" not in text


def test_what_was_not_measured_is_no_empty_column() -> None:
    text = summary(replace(made_up(), speed=(), resources=()))
    assert "warm s" not in text
    assert "peak MB" not in text
    nothing = replace(made_up(), speed=(), resources=(), scores=(), sets=(), pictures=())
    text = summary(nothing)
    assert text.startswith("no pictures scored; ")
    assert "Which should I use?" not in text
    assert "weights MB" not in text, "a table of sizes alone"


def test_an_interruption_is_said_first() -> None:
    assert "interrupted" in "\n".join(summary(replace(made_up(), complete=False)).splitlines()[:4])


def test_a_long_list_of_what_was_left_out_is_cut() -> None:
    lines = tuple(f"speed of model{number}: it failed" for number in range(9))
    text = summary(replace(made_up(), skipped=lines))
    assert "model3" in text
    assert "model4" not in text
    assert "and 5 more in the report" in text


def test_one_is_not_told_in_the_plural() -> None:
    one = replace(made_up(), sets=(SetFacts(name="mine", group="other", pictures=1),))
    assert summary(one).startswith("1 picture of eval, 1 set; ")
