"""Colours mean what Pillow and browsers take them for, without Pillow."""

from __future__ import annotations

import subprocess
import sys

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


def test_a_coloured_background_needs_no_third_party_code() -> None:
    code = (
        "import sys; from cleancut.options import Options; Options(background='hsl(9, 9%, 9%)');"
        "print([name for name in ('PIL', 'numpy', 'cv2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
