"""The report as Markdown, and the page of the documentation."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from cleancut.compare.markdown import IMAGES, docs_page, to_markdown, write_images
from tests.compare.comparisons import hostile, made_up, without_truth


def test_markdown_needs_no_pictures_and_holds_every_part() -> None:
    text = to_markdown(made_up())
    for title in ("The answer", "Accuracy", "Speed", "Generality", "Deployment", "Resources"):
        assert f"\n## {title}\n" in text
    assert "![" not in text
    assert "**Not measured here.**" in text
    assert "no package registry carries its weights" in text


def test_rows_of_every_table_are_as_wide_as_its_head() -> None:
    for comparison in (made_up(), hostile(), without_truth()):
        width = 0
        for line in to_markdown(comparison).splitlines():
            if not line.startswith("|"):
                width = 0
                continue
            cells = len(re.findall(r"(?<!\\)\|", line))
            width = width or cells
            assert cells == width, line


def test_hostile_names_make_no_markup() -> None:
    text = to_markdown(hostile())
    fenced = re.sub(r"(?ms)^(`{3,})$.*?^\1$", "", text)
    assert not re.search(r"(?<!\\)<script", fenced)


def test_commands_leave_neither_their_fence_nor_the_line() -> None:
    command = "x ````` \x1b[2J\x9b1m\n# title"
    text = to_markdown(replace(made_up(), commands=(command,)))
    assert text.replace("\n", "").isprintable()
    assert "\n``````\nx ````` \N{REPLACEMENT CHARACTER}[2J" in text
    assert "\n# title" not in text


def test_page_of_the_documentation_shows_only_charts_that_are_written(tmp_path: Path) -> None:
    page = docs_page(made_up())
    assert page.startswith("<!-- made by docs/generate.py")
    wanted = set(re.findall(rf"\({IMAGES}/([^)]+)\)", page))
    written = write_images(made_up(), tmp_path / "comparison")
    assert wanted == {path.name for path in written}
    assert "radar.svg" in wanted
    assert all(path.suffix == ".svg" for path in written), "no picture of anybody's set"


def test_without_truth_it_says_where_an_answer_is() -> None:
    text = to_markdown(without_truth())
    assert "their figures say who is fast, and not who is right" in text
    assert "nothing measured fits" not in text, "said once is enough"
    still = to_markdown(replace(made_up(), video=()))
    assert "nothing measured fits: not measured: flicker (dtSSD), " in still
    assert "who stands alone is wrong more often" in text
    assert "3 pictures of my pictures, 1 set; " in text
