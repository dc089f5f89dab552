"""Make the README's two pictures of the web page with the page itself: ``make docs-picture``."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from cleancut.bench.pictures import fetch_demo_pictures, make_photo

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from tests.page.conftest import ARGUMENTS, chromium  # noqa: E402
from tests.page.desk import Desk, watched  # noqa: E402
from tests.server.process import Running, ended  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser

WINDOW = {"width": 1280, "height": 800}
QUALITY = 86


def keep(desk: Desk, name: str) -> None:
    """The window as a JPEG; full colours keep its words sharp."""
    desk.page.mouse.move(2, 2)
    desk.settle()
    shot = Image.open(BytesIO(desk.page.screenshot())).convert("RGB")
    shot.save(HERE / "images" / f"{name}.jpg", quality=QUALITY, subsampling=0, optimize=True)


def compared(browser: Browser, url: str, folder: Path, photos: list[Path]) -> None:
    """Before and after."""
    with watched(browser, url, folder=folder, viewport=WINDOW) as desk:
        desk.open().pick(*photos).done(len(photos))
        desk.view("compare")
        keep(desk, "page-compare")


def retouched(browser: Browser, url: str, folder: Path, photos: list[Path]) -> None:
    """The retouching tools, at night."""
    look = {"viewport": WINDOW, "color_scheme": "dark"}
    with watched(browser, url, folder=folder, **look) as desk:
        desk.open().pick(*photos).done(len(photos))
        desk.page.locator(".retouch-start").click()
        desk.page.locator(".retouch-bar").wait_for()
        desk.page.locator(".tool-edge").click()
        keep(desk, "page-retouch")


def main() -> None:
    """Start a server with the best model that is pulled, and look at it."""
    from playwright.sync_api import sync_playwright

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        photos = [
            make_photo(source, 1.0, folder / f"{source.stem}.jpg")
            for source in fetch_demo_pictures(folder)
        ]
        live = Running(folder / "data", ("--model", "auto"), env=dict(os.environ))
        stack.enter_context(ended(live))
        live.start()
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=chromium(), args=[*ARGUMENTS])
        compared(browser, live.url, folder, photos)
        retouched(browser, live.url, folder, photos)
        browser.close()


if __name__ == "__main__":
    main()
