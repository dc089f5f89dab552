"""The report of ``bench compare`` in a browser: for everybody, with and without its script."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from cleancut.compare.gallery import Exhibit, Gallery, Tile
from cleancut.compare.page import to_html
from tests.compare.comparisons import hostile, made_up
from tests.page.desk import PHONE

pytestmark = [pytest.mark.page]

LOOKS = [
    pytest.param({}, id="light"),
    pytest.param({"color_scheme": "dark"}, id="dark"),
    pytest.param({"viewport": PHONE, "is_mobile": True}, id="phone"),
    pytest.param({"java_script_enabled": False}, id="no-script"),
]


@cache
def report() -> str:
    rng = np.random.default_rng(5)
    pixels = rng.integers(0, 255, (60, 90, 4), np.uint8)
    webp = cv2.imencode(".webp", pixels)[1].tobytes()
    tiles = tuple(
        Tile(system.id, webp, webp, webp, {"mad": 3.0, "hair": 40.0}) for system in made_up().ran
    )
    exhibit = Exhibit("set/one", "people", "", (90, 60), webp, webp, webp, webp, tiles)
    return to_html(made_up(), Gallery((exhibit,)))


@contextmanager
def opened(browser: Browser, text: str, folder: Path, **look: object) -> Iterator[Page]:
    """The page from a file; anything it asks of the network or complains of fails the test."""
    path = folder / "report.html"
    path.write_text(text, "utf-8")
    context = browser.new_context(**look)  # type: ignore[arg-type]
    page = context.new_page()
    troubles: list[str] = []
    page.on("console", lambda said: troubles.append(said.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda asked: troubles.append(asked.url) if "http" in asked.url else None)
    page.goto(path.as_uri())
    yield page
    context.close()
    assert not troubles


@pytest.mark.parametrize("look", LOOKS)
def test_the_report_fits_every_screen_and_axe_finds_nothing_serious(
    browser: Browser, tmp_path: Path, look: dict[str, object]
) -> None:
    with opened(browser, report(), tmp_path, **look) as page:
        wide, seen = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide <= seen, "the page itself must not scroll sideways"
        if look.get("java_script_enabled") is False:
            assert not page.locator("#tools").is_visible()
            assert page.locator(".exhibit .tile").count() == len(made_up().ran) + 2
            return
        page.evaluate(resources.files("axe_core_python").joinpath("axe.min.js").read_text("utf-8"))
        found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        serious = [
            f"{rule['id']}: {json.dumps(node['target'])} {node.get('failureSummary', '')}"
            for rule in found["violations"]
            if rule["impact"] in ("moderate", "serious", "critical")
            for node in rule["nodes"][:4]
        ]
        assert not serious


def test_tables_sort_systems_hide_and_tiles_grow(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, report(), tmp_path) as page:
        table = page.locator("table.sorts", has_text="Accuracy at a glance")
        error = table.locator("thead button").nth(1)
        error.click()
        numbers = [
            float(text) for text in table.locator("tbody tr td:nth-child(2)").all_inner_texts()
        ]
        assert numbers == sorted(numbers)
        error.click()
        assert table.locator("th[aria-sort=descending]").count() == 1
        page.locator("#tools summary").click()
        page.locator("#tools input[value=isnet]").uncheck()
        assert not page.locator('.tile[data-system="isnet"]').is_visible()
        assert not table.locator('tr[data-system="isnet"]').is_visible()
        page.locator('.tile[data-system="modnet"] .enlarge').click()
        assert page.locator("dialog").is_visible()
        assert page.locator("dialog img").count() == 3
        page.keyboard.press("Escape")
        assert not page.locator("dialog").is_visible()


def test_cutouts_are_judged_without_names_and_who_won_is_told(
    browser: Browser, tmp_path: Path
) -> None:
    with opened(browser, report(), tmp_path) as page:
        before = page.locator(".exhibit .tile b").all_inner_texts()
        page.get_by_role("button", name="Judge blind").click()
        refined = [system.id for system in made_up().ran if not system.raw]
        shown = page.locator(".exhibit .tile:visible")
        assert shown.count() == len(refined) + 1, "the original, and whoever is judged"
        assert not any(name in page.locator(".tiles").inner_text() for name in refined)
        assert page.locator(".tile.judged img[alt*=net]").count() == 0
        assert page.locator(".tile.judged [aria-label*=net]").count() == 0
        page.locator('.tile[data-system="modnet"] .vote').click()
        page.locator('.tile[data-system="isnet"] .vote').click()
        assert "1 of 1 pictures judged" in page.locator("#judge [role=status]").inner_text()
        page.locator('.tile[data-system="isnet"] .enlarge').click()
        assert "isnet" not in page.locator("dialog h3").inner_text()
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Who was it?").click()
        rows = page.locator("#verdict tbody tr").all_inner_texts()
        assert {row.split()[0] for row in rows[:2]} == {"modnet", "isnet"}
        assert [row.split()[1] for row in rows] == ["0.5", "0.5", *["0.0"] * (len(refined) - 2)]
        assert page.locator(".exhibit .tile b").all_inner_texts() == before
        assert page.locator(".vote").count() == 0
        alt = page.locator('.tile[data-system="modnet"] img').first.get_attribute("alt") or ""
        assert "modnet" in alt


def test_hostile_names_run_no_script(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, to_html(hostile()), tmp_path) as page:
        page.on("dialog", lambda dialog: pytest.fail(dialog.message))
        assert page.locator("#left-out").inner_text().count("<script>alert(1)</script>") >= 1


def test_nothing_is_cut_off_on_paper(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, report(), tmp_path, viewport={"width": 703, "height": 1000}) as page:
        page.emulate_media(media="print")
        cut = page.evaluate(
            """[...document.querySelectorAll('table, svg, pre')]
               .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
               .map((one) => one.textContent.slice(0, 60))"""
        )
        assert cut == []
