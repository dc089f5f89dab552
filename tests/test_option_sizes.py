from __future__ import annotations

import pytest

from cleancut.errors import BadOption
from cleancut.option_sizes import (
    Canvas,
    Head,
    grid_of,
    parse_canvas,
    parse_head,
    parse_sheet,
)


def canvas(text: str) -> Canvas:
    found = parse_canvas(text)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "pixels", "dpi"),
    [
        ("2000x1500", (2000, 1500), None),
        ("2000 x 1500 px", (2000, 1500), None),
        ("600x600@300", (600, 600), 300),
        ("35x45mm", (413, 531), 300),
        ("35x45mm@600", (827, 1063), 600),
        ("35mm x 45mm", (413, 531), 300),
        ("3.5x4.5CM @ 300 dpi", (413, 531), 300),
        ("2x2in", (600, 600), 300),
        ('2"x2"', (600, 600), 300),
        ("2×2in", (600, 600), 300),
        ("25x35mm", (295, 413), 300),
        ("26x32mm@350", (358, 441), 350),  # as China's GA 461-2004 has it
    ],
)
def test_sizes_are_pixels_or_paper_at_a_dpi(
    text: str, pixels: tuple[int, int], dpi: float | None
) -> None:
    found = canvas(text)
    assert (found.width, found.height) == pixels
    assert found.dpi == dpi
    assert (found.width_mm is None) == (dpi is None)


@pytest.mark.parametrize(
    "text",
    [
        *("", "35x45", "x", "0x5", "35x45mm@", "35x45mm@0", "35x45mm@nan", "35mmx45in", "a4"),
        *(
            "-3x4",
            "1e3x5",
            "35x45mm@300@300",
            "1.5x2",
            "1000001x5",
            "35x45furlong",
            "٣x٤",
            "5x5mm@1",
        ),
        *("0.001x4mm", "999999x999999in", "35x45x55mm", "NaNx5"),
    ],
)
def test_what_is_no_size_is_refused_with_an_example(text: str) -> None:
    if text == "35x45":  # a small one, and one all the same
        assert canvas(text).width == 35
        return
    with pytest.raises(BadOption) as caught:
        parse_canvas(text)
    assert "--canvas" in caught.value.message
    assert caught.value.hint


def test_a_sheet_takes_the_dpi_of_what_is_on_it() -> None:
    assert parse_sheet(None, None) is None
    page = parse_sheet("10x15cm", canvas("35x45mm@600"))
    assert page is not None
    assert (page.width, page.height, page.dpi) == (2362, 3543, 600)
    named = parse_sheet("A4", canvas("600x600@300"))
    assert named is not None
    assert (named.width, named.height, named.text) == (2480, 3508, "A4")


@pytest.mark.parametrize(
    ("sheet", "on_it", "why"),
    [
        ("a4", None, "needs --canvas"),
        ("a4", "600x600", "size on paper"),
        ("1500x1000", "35x45mm", "not a size"),
        ("a4@600", "35x45mm", "600 dpi"),
        ("3x4cm", "35x45mm", "does not fit"),
        ("a9", "35x45mm", "not a size"),
    ],
)
def test_sheets_that_cannot_be_are_refused(sheet: str, on_it: str | None, why: str) -> None:
    with pytest.raises(BadOption, match=why):
        parse_sheet(sheet, on_it and canvas(on_it))


@pytest.mark.parametrize(
    ("photo", "paper", "copies"),
    [
        ("35x45mm", "10x15cm", 8),  # what every photo shop prints
        ("35x45mm", "4x6in", 8),
        ("25x35mm", "89x127mm", 9),
        ("2x2in", "4x6in", 2),  # six fill it to the last dot, without room to cut
        ("50x70mm", "10x15cm", 2),
        ("10x15cm", "10x15cm", 1),
        ("15x10cm", "10x15cm", 1),  # turned
    ],
)
def test_as_many_copies_as_fit(photo: str, paper: str, copies: int) -> None:
    page = parse_sheet(paper, canvas(photo))
    assert page is not None
    grid = grid_of(page, canvas(photo))
    assert grid is not None
    assert grid.copies == copies


@pytest.mark.parametrize("paper", ["a4", "letter", "a5", "10x15cm", "13x18cm"])
@pytest.mark.parametrize("photo", ["35x45mm", "33x48mm@240", "2x2in", "22x32mm"])
def test_copies_lie_apart_in_the_middle_and_off_an_office_printers_edge(
    paper: str, photo: str
) -> None:
    tile = canvas(photo)
    page = parse_sheet(paper, tile)
    assert page is not None
    assert page.dpi is not None
    grid = grid_of(page, tile)
    assert grid is not None
    width, height = (tile.height, tile.width) if grid.turned else (tile.width, tile.height)
    right = page.width - grid.left - grid.columns * (width + grid.gap) + grid.gap
    below = page.height - grid.top - grid.rows * (height + grid.gap) + grid.gap
    assert abs(right - grid.left) <= 1
    assert abs(below - grid.top) <= 1
    assert grid.gap / page.dpi * 25.4 >= 2
    least = 5 if paper in ("a4", "letter", "a5") else 0
    assert min(grid.left, grid.top) / page.dpi * 25.4 >= least


def test_heads_have_a_height_and_may_have_room_above() -> None:
    assert parse_head(None) is None
    assert parse_head("70%") == Head(0.7)
    assert parse_head("75.5%, 9%") == Head(0.755, 0.09)


@pytest.mark.parametrize("text", ["70", "5%", "101%", "70%,31%", "70%,", "70%,5%,5%", "", "70px"])
def test_heads_that_cannot_be_are_refused(text: str) -> None:
    with pytest.raises(BadOption, match="--head"):
        parse_head(text)
