"""Chromium, and one real server with real weights, for all tests of the page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cleancut.bench.pictures import fetch_demo_pictures, make_photo
from tests.page.desk import Desk, watched
from tests.server.process import Running, ended

if TYPE_CHECKING:
    from playwright.sync_api import Browser

#: Read here, before the tests' own home hides the machine's settings.
REQUIRED = os.environ.get("CLEANCUT_TEST_REQUIRE", "").split(",")
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)


def chromium() -> str | None:
    """Where the browser is; Debian's comes before those that call home."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One browser, closed after the last test here: Playwright keeps an event loop running."""
    yield from started_browser()


def started_browser() -> Iterator[Browser]:
    """A browser until the generator is closed."""
    program = chromium()
    if program is None:
        missing = "Chromium is not installed: apt-get install chromium"
        pytest.fail(missing) if "chromium" in REQUIRED else pytest.skip(missing)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=program, args=[*ARGUMENTS])
        yield found
        found.close()


@pytest.fixture(scope="package")
def photos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Photographs of a person and of a cat, and 2 MP of each as JPEG; all free."""
    folder = tmp_path_factory.mktemp("photos")
    found = {path.stem: path for path in fetch_demo_pictures(folder)}
    for name, path in list(found.items()):
        found[f"{name}-2mp"] = make_photo(path, 2.0, folder / f"{name}-2mp.jpg")
    return found


@pytest.fixture(scope="package")
def weights(pulled: Path) -> dict[str, str]:
    """The environment in which a server finds the pulled models."""
    return {"CLEANCUT_HOME": str(pulled), "CLEANCUT_CACHE": str(pulled / "cache")}


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory, weights: dict[str, str]) -> Iterator[Running]:
    """``cleancut serve`` with u2netp, unless the page asks for another network."""
    data = tmp_path_factory.mktemp("page") / "data"
    live = Running(data, ("--model", "u2netp"), env=weights)
    with ended(live):
        live.start()
        yield live


@pytest.fixture
def desk(browser: Browser, server: Running, tmp_path: Path) -> Iterator[Desk]:
    """The page in a window of its own, English, light; whatever it complains of fails the test."""
    with watched(browser, server.url, folder=tmp_path) as opened:
        yield opened
