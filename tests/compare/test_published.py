from __future__ import annotations

import pytest

from cleancut.catalog import catalog
from cleancut.compare.published import KINDS, parse, published
from cleancut.errors import BadOption

ROW = """
[[figure]]
system = "modnet"
measure = "mad"
data = "PPM-100"
value = 8.6
source = "a paper"
"""


def test_every_figure_that_ships_is_sound_and_sourced() -> None:
    rows = published()
    assert len(rows) > 30
    assert all(row.source and row.data and row.title for row in rows)


def test_the_systems_of_the_articles_are_there() -> None:
    named = {row.system for row in published()}
    assert {"u2net", "u2netp", "modnet", "rvm", "deeplabv3plus", "bria-rmbg-2.0"} <= named


def test_what_looks_like_a_row_of_the_catalog_is_one() -> None:
    for row in published():
        if " " not in row.system:
            assert row.system in catalog(), row.system


def test_a_paper_does_not_contradict_itself() -> None:
    by_key = {(row.system, row.measure, row.data): row.value for row in published()}
    assert by_key["u2net", "mae", "DUTS-TE"] < by_key["u2netp", "mae", "DUTS-TE"]
    assert by_key["rvm", "dtssd", "VideoMatte, 512x288"] < 2


def test_a_good_row_is_read() -> None:
    (row,) = parse(ROW)
    assert (row.value, row.title, row.higher_is_better) == (8.6, KINDS["mad"][0], False)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('source = "a paper"', "", "source"),
        ('source = "a paper"', 'source = " "', "source"),
        ('"mad"', '"nicety"', "no such measure"),
        ("8.6", "nan", "out of range"),
        ("8.6", "-1", "out of range"),
        ("8.6", "1001", "out of range"),
        ("8.6", "true", "no number"),
        ("8.6", '"8.6"', "no number"),
        ('"PPM-100"', "100", "text"),
        ("value", "worth", "worth"),
        ("[[figure]]", "[[figure]", "published.toml"),
    ],
)
def test_a_bad_row_is_refused_with_the_reason(old: str, new: str, says: str) -> None:
    with pytest.raises(BadOption, match=says):
        parse(ROW.replace(old, new))


def test_a_figure_stands_there_once() -> None:
    with pytest.raises(BadOption, match="twice"):
        parse(ROW + ROW)
