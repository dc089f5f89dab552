from __future__ import annotations

import pytest

from cleancut.errors import BadOption
from cleancut.option_values import (
    Area,
    Length,
    Shadow,
    parse_area,
    parse_length,
    parse_shadow,
)


def test_lengths_are_pixels_or_a_share_of_the_subject() -> None:
    assert parse_length("1.5", "feather") == parse_length("1.5px", "feather") == Length(px=1.5)
    assert parse_length("0.5%", "grow").pixels(400) == 2
    assert parse_length("0", "grow") == Length()
    assert not parse_length("0%", "grow").positive
    assert parse_length(".5", "grow").positive


@pytest.mark.parametrize(
    "text", ["", "-1", "1e3", "wide", "26%", "1001", "nan", "1 2", "٣", "1px%", "9" * 400]
)
def test_what_is_no_length_is_refused_by_its_flag(text: str) -> None:
    with pytest.raises(BadOption, match="--feather") as caught:
        parse_length(text, "feather")
    assert "0.5%" in caught.value.hint


def test_areas_are_pixels_or_a_share_of_the_picture() -> None:
    assert parse_area("400", "min_area") == Area(px=400)
    assert parse_area("0.1%", "min_area").pixels(1000, 2000) == 2000
    for text in ("101%", "big", "-3"):
        with pytest.raises(BadOption, match="--min-area"):
            parse_area(text, "min_area")


def test_shadows() -> None:
    assert parse_shadow(None) is None
    assert parse_shadow("keep") == Shadow(kind="keep")
    assert parse_shadow("drop") == parse_shadow("drop:40,135,2%") == Shadow(kind="drop")
    assert parse_shadow("drop:60") == Shadow(kind="drop", opacity=0.6)
    assert parse_shadow(" drop:60%, -90 ") == Shadow(kind="drop", opacity=0.6, angle_deg=-90)
    made = parse_shadow("drop:25,90,12,3%")
    assert made == Shadow("drop", 0.25, 90, Length(px=12), Length(share=0.03))
    blurred = parse_shadow("drop:25,90,12")
    assert blurred is not None
    assert blurred.distance == Length(px=12)


@pytest.mark.parametrize(
    "text",
    [
        *("", "on", "keep:3", "drop:", "drop:101", "drop:40px", "drop:40,north", "drop:40,361"),
        *("drop:40,90,wide", "drop:40,90,2%,", "drop:1,2,3,4,5", "Keep", "drop:4;5"),
    ],
)
def test_what_is_no_shadow_is_refused(text: str) -> None:
    with pytest.raises(BadOption, match="--shadow"):
        parse_shadow(text)
