"""Colours mean what Pillow and browsers take them for, without Pillow."""

from __future__ import annotations

import pytest
from PIL import ImageColor

from cleancut.colours import NAMES, parse_colour

SPELLINGS = [
    *NAMES,
    "RED",
    "#a1B",
    "#a1b2",
    "#a1b2c3",
    "#A1b2c3d4",
    "rgb(255,0,0)",
    "rgb( 1, 2 ,3 )",
    "rgb(100%,50%,0%)",
    "rgba(1,2,3,4)",
    "hsl(120,100%,50%)",
    "hsl(0,0%,50%)",
    "hsv(60,50%,50%)",
    "hsb(300,33%,77%)",
]


@pytest.mark.parametrize("text", SPELLINGS)
def test_colours_are_those_of_pillow(text: str) -> None:
    assert parse_colour(text) == (*ImageColor.getrgb(text), 255)[:4]


@pytest.mark.parametrize(
    "text",
    [
        *("", "#", "#a", "#a1", "#a1b2c", "#a1b2c3d", "#g00", "#fff\n0", "reddish", "x" * 10_000),
        *("rgb(1,2)", "rgb(300,0,0)", "rgba(1,2,3)", "rgb(50%,1,2)", "hsl(1,2,3)", "rgb(1,2,3"),
    ],
)
def test_anything_else_is_no_colour(text: str) -> None:
    assert parse_colour(text) is None
