from __future__ import annotations

import json
import re

import pytest

from cleancut import Options
from cleancut.errors import BadOption
from cleancut.option_sizes import parse_canvas, parse_head
from cleancut.presets import PAPER, Preset, preset_options, presets

ROWS = list(presets().values())
MADE = [row for row in ROWS if row.group != PAPER]
PAPERS = [row for row in ROWS if row.group == PAPER]
PHOTOS = [row for row in ROWS if row.group == "id-photo"]

#: What the rules say in millimetres: the least and the most of a head.
HEADS = {
    "icao": (32, 36),
    "us": (25, 35),
    "uk": (29, 34),
    "france": (32, 36),
    "canada": (31, 36),
    "canada-visa": (31, 36),
    "australia": (32, 36),
    "china-passport": (28, 33),
    "hong-kong": (32, 36),
    "india": (25, 35),
    "japan": (32, 36),
    "korea": (32, 36),
}


@pytest.mark.parametrize("row", MADE, ids=lambda row: row.id)
def test_every_preset_makes_options_and_names_its_rule(row: Preset) -> None:
    made = Options.of_preset(row.id)
    assert made.canvas
    assert made.background
    assert row.note.endswith(".")
    assert len(row.title) <= 40
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", row.id)
    assert not row.source or row.source.startswith("https://")
    assert json.loads(json.dumps(row.card()))["options"] == dict(row.options)


@pytest.mark.parametrize("row", PAPERS, ids=lambda row: row.id)
def test_every_paper_takes_every_id_photo(row: Preset) -> None:
    for photo in PHOTOS:
        assert Options.of_preset(f"{photo.id}+{row.id}").sheet == row.options["sheet"]


@pytest.mark.parametrize("name", HEADS)
def test_heads_are_within_their_rule(name: str) -> None:
    options = preset_options(name)
    page, head = parse_canvas(options["canvas"]), parse_head(options["head"])
    assert page is not None
    assert page.height_mm is not None
    assert head is not None
    least, most = HEADS[name]
    assert least + 0.5 <= head.share * page.height_mm <= most - 0.5


def test_rooms_above_heads_are_within_their_rules() -> None:
    for name, least, most in (("china-passport", 3, 5), ("japan", 2, 6)):
        options = preset_options(name)
        page, head = parse_canvas(options["canvas"]), parse_head(options["head"])
        assert page is not None
        assert page.height_mm is not None
        assert head is not None
        assert head.top is not None
        assert least < head.top * page.height_mm < most


def test_given_options_win() -> None:
    made = Options.of_preset("amazon", background="#eee", format="jpg")
    assert (made.canvas, made.background, made.format) == ("2000x2000", "#eee", "jpg")


def test_an_unknown_preset_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(BadOption) as caught:
        Options.of_preset("amazom")
    assert "amazon" in caught.value.hint
    with pytest.raises(BadOption, match="--preset"):
        preset_options("icao+nothing")


def test_a_paper_alone_says_what_it_needs() -> None:
    with pytest.raises(BadOption, match="--canvas"):
        Options.of_preset("a4")


def test_rows_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        presets()["amazon"].options["canvas"] = "1x1"  # type: ignore[index]
