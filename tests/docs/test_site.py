"""The site is built without a warning, and its pages ask no other host for anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docs.fences import ROOT
from tests.page.conftest import started_browser

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

#: What the theme's scripts would fetch, each only for what no page of ours has: diagrams, browsers
#: without ResizeObserver (before 2020), the stars of a repository that the header names.
UNUSED = (
    "unpkg.com/mermaid",
    "unpkg.com/resize-observer-polyfill",
    "api.github.com",
    "HOST/api/v4/projects",
)
_LOADED = {"script": "src", "img": "src", "source": "src", "iframe": "src", "video": "src"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Closed after this file: its event loop must not outlive it."""
    yield from started_browser()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; ``strict`` of mkdocs.yml makes a warning an end."""
    folder = tmp_path_factory.mktemp("built") / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "WARNING" not in done.stderr
    return folder


class _Fetched(HTMLParser):
    """Addresses that a browser loads by itself; links that a reader clicks are not among them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in _LOADED:
            self.found.append(values.get(_LOADED[tag]) or "")
        elif tag == "link" and values.get("rel") not in ("canonical", "prev", "next", "alternate"):
            self.found.append(values.get("href") or "")


def fetched(page: Path) -> list[str]:
    parser = _Fetched()
    parser.feed(page.read_text("utf-8"))
    return [address for address in parser.found if address]


@pytest.mark.slow
def test_the_site_is_built_and_holds_no_script_of_ours(site: Path) -> None:
    pages = {str(path.relative_to(site)) for path in site.rglob("*.html")}
    assert {"index.html", "quickstart.html", "recipes/hair.html", "zh/quickstart.html"} <= pages
    assert not list(site.rglob("*.py"))
    assert not list(site.rglob("*.toml"))


@pytest.mark.slow
def test_no_page_loads_from_another_host(site: Path) -> None:
    for page in site.rglob("*.html"):
        foreign = [url for url in fetched(page) if re.match(r"(https?:)?//", url)]
        assert not foreign, f"{page.relative_to(site)} loads {foreign}"
    for sheet in site.rglob("*.css"):
        found = re.findall(r"url\(\s*[\"']?((?:https?:)?//[^)]+)", sheet.read_text("utf-8"))
        assert not found, f"{sheet.name} loads {found}"


@pytest.mark.slow
def test_what_scripts_could_load_is_known(site: Path) -> None:
    for script in site.rglob("*.js"):
        if script.name == "search_index.js":  # the pages' own words
            continue
        text = script.read_text("utf-8")
        for url in re.findall(r"[\"'`]https?://([^\"'`\s]+)[\"'`]", text):
            plain = re.sub(r"^\$\{\w+\}", "HOST", url)
            assert any(plain.startswith(name) for name in UNUSED), f"{script.name} names {url}"
    for page in site.rglob("*.html"):
        text = page.read_text("utf-8")
        assert 'class="mermaid"' not in text
        assert 'data-md-component="source"' not in text


@pytest.mark.slow
def test_every_language_has_the_site_map_that_the_theme_asks_for(site: Path) -> None:
    asked = re.findall(r'<a href="([^"]+)" hreflang=', (site / "index.html").read_text("utf-8"))
    assert len(asked) == 2
    for link in asked:
        assert ((site / link).parent / "sitemap.xml").is_file()


@pytest.mark.slow
def test_every_built_page_says_its_language(site: Path) -> None:
    assert '<html lang="en"' in (site / "quickstart.html").read_text("utf-8")
    assert '<html lang="zh"' in (site / "zh" / "quickstart.html").read_text("utf-8")


@pytest.mark.slow
@pytest.mark.page
@pytest.mark.parametrize(
    ("page", "words", "answer"),
    [("index.html", "contact sheet", "contact sheet"), ("zh/index.html", "证件照", "证件照")],
)
def test_it_is_searched_from_disk_and_asks_nobody(
    site: Path, browser: Browser, page: str, words: str, answer: str
) -> None:
    window = browser.new_page()
    asked: list[str] = []
    window.on("request", lambda request: asked.append(request.url))
    window.goto((site / page).as_uri())
    field = window.locator("input.md-search__input")
    field.click()
    field.fill(words)
    field.press("End")  # the theme listens to keys
    found = window.locator(".md-search-result__item").first
    found.wait_for(timeout=30_000)
    assert answer.casefold() in found.inner_text().casefold()
    window.close()
    assert asked
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
