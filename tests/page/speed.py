"""How fast the page is, in Chromium on this machine: ``make bench-page``.

    python -m tests.page.speed                                a server of its own, with u2netp
    python -m tests.page.speed --url http://127.0.0.1:7000    one that runs already
    python -m tests.page.speed --peer http://127.0.0.1:7001   another product's page also

Prints medians. A page counts as interactive when it has put up what takes a file, which both do at
the end of their scripts.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from cleancut.bench.pictures import fetch_demo_pictures, make_photo
from tests.page.conftest import ARGUMENTS, chromium
from tests.page.desk import DESKTOP
from tests.server.process import Running, ended

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

REPEATS = 7
MEGAPIXELS = 2.0

#: Watches for the file input, whoever makes it and when, and for what keeps the page from reacting.
_FIRST = """
window.seen = null;
const look = () => {
  const found = document.querySelector('input[type=file]');
  if (found) window.seen ??= performance.now(); else requestAnimationFrame(look);
};
look();
"""


#: Notes the time from each pointer that is let go to the answer's pixels in the picture.
_STROKES = """
window.strokes = [];
const port = document.querySelector(".stage-port");
let released = null;
port.addEventListener("pointerup", () => { released = performance.now(); });
new MutationObserver(() => {
  if (released === null || port.getAttribute("aria-busy") === "true") return;
  const began = released;
  released = null;
  requestAnimationFrame(() => window.strokes.push(performance.now() - began));
}).observe(port, { attributeFilter: ["aria-busy"], attributeOldValue: true });
"""


class Load:
    """One load of a page: bytes and requests over the network, and times in seconds."""

    def __init__(self, window: BrowserContext, url: str) -> None:
        page = window.new_page()
        wire = window.new_cdp_session(page)
        wire.send("Network.enable")
        self.bytes, self.requests = 0.0, 0

        def ended_(event: dict[str, Any]) -> None:
            self.bytes += event["encodedDataLength"]
            self.requests += 1

        wire.on("Network.loadingFinished", ended_)
        page.add_init_script(_FIRST)
        page.goto(url, wait_until="load", timeout=120_000)
        page.locator("input[type=file]").first.wait_for(state="attached", timeout=120_000)
        page.evaluate("new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))")
        self.interactive = page.evaluate("window.seen") / 1000
        with suppress(Exception):
            page.wait_for_load_state("networkidle", timeout=20_000)
        self.settled = (
            page.evaluate(
                "Math.max(...performance.getEntriesByType('resource').map((e) => e.responseEnd))"
            )
            / 1000
        )
        self.page: Page = page


def first_load(browser: Browser, url: str) -> None:
    """Cold and warm loads of ``url``."""
    rows: dict[str, list[Load]] = {"cold": [], "warm": []}
    for _ in range(REPEATS):
        window = browser.new_context(viewport=DESKTOP)
        for kind in rows:
            load = Load(window, url)
            load.page.close()
            rows[kind].append(load)
        window.close()
    for kind, loads in rows.items():
        print(
            f"  {kind}: {median(x.bytes for x in loads) / 1000:.1f} kB in "
            f"{median(x.requests for x in loads):.0f} requests; file input after "
            f"{median(x.interactive for x in loads):.2f} s, last file after "
            f"{median(x.settled for x in loads):.2f} s"
        )


def drop_to_result(browser: Browser, url: str, folder: Path) -> None:
    """From choosing a photograph to its cutout on the screen."""
    took = []
    for number, source in enumerate(fetch_demo_pictures(folder) * 3):
        photo = make_photo(source, MEGAPIXELS + number / 50, folder / f"{number}.jpg")
        window = browser.new_context(viewport=DESKTOP)
        page = window.new_page()
        page.goto(url)
        page.locator("html[data-ready]").wait_for()
        began = time.perf_counter()
        page.locator("#pick").set_input_files(photo)
        page.locator(".stage-port[data-state=done]").wait_for(timeout=60_000)
        took.append(time.perf_counter() - began)
        window.close()
    print(f"  {MEGAPIXELS:g} MP photograph to its cutout: {median(took):.2f} s")


def strokes(browser: Browser, url: str, folder: Path) -> None:
    """From letting go of the button to the new pixels, for a stroke of each brush."""
    photo = make_photo(fetch_demo_pictures(folder)[0], MEGAPIXELS, folder / "stroke.jpg")
    window = browser.new_context(viewport=DESKTOP)
    page = window.new_page()
    page.goto(url)
    page.locator("html[data-ready]").wait_for()
    page.locator("#pick").set_input_files(photo)
    page.locator(".stage-port[data-state=done]").wait_for(timeout=60_000)
    page.locator(".retouch-start").click()
    page.locator(".retouch-bar").wait_for()
    box = page.locator(".stage-canvas").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.evaluate(_STROKES)
    for tool in ("keep", "erase", "edge"):
        page.locator(f".tool-{tool}").click()
        for number in range(REPEATS):
            page.mouse.move(x - 200 + 50 * number, y - 150)
            page.mouse.down()
            page.mouse.move(x - 190 + 50 * number, y + 100, steps=10)
            page.mouse.up()
            page.locator(".stage-port[aria-busy=true]").wait_for()
            page.locator(".stage-port[aria-busy=false]").wait_for(timeout=30_000)
        took = page.evaluate("window.strokes.splice(0).map((ms) => ms / 1000)")
        print(f"  a stroke of the {tool} brush: {median(took):.2f} s, {max(took):.2f} at most")
    window.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.page.speed")
    parser.add_argument("--url", help="a cleancut server that runs; else one is started")
    parser.add_argument("--peer", help="another page, of which only the loading is measured")
    args = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = args.url
        if url is None:
            live = Running(folder / "data", ("--model", "u2netp"), env=dict(os.environ))
            stack.enter_context(ended(live))
            live.start()
            url = live.url
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=chromium(), args=[*ARGUMENTS])
        print(f"{browser.version=}, {os.cpu_count()} cores; medians of {REPEATS}")
        if args.peer:
            print(f"peer, {args.peer}")
            first_load(browser, args.peer)
        print("cleancut")
        first_load(browser, url)
        drop_to_result(browser, url, folder)
        strokes(browser, url, folder)
        browser.close()


if __name__ == "__main__":
    main()
