"""The page in a browser window, driven as a person would; and what it may never do meanwhile."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Download, Locator, Page, Request

expect.set_options(timeout=30_000)

WAIT_MS = 30_000
DESKTOP = {"width": 1400, "height": 900}
PHONE = {"width": 390, "height": 844}
ARTEFACTS = Path(__file__).parents[2] / "page-artefacts"

#: Adds up what moved without anybody having done anything (layout instability, web.dev/cls).
_SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    if (!entry.hadRecentInput) window.shifts.push({
      value: entry.value,
      what: entry.sources.map((s) => s.node && (s.node.id || s.node.className || s.node.nodeName)),
    });
  }
}).observe({ type: "layout-shift", buffered: true });
"""


class Desk:
    """One window. ``page`` is Playwright's; the rest are what people do."""

    def __init__(self, page: Page, url: str, folder: Path) -> None:
        self.page = page
        self.url = url
        self.folder = folder
        #: Console errors, failed scripts and requests to other hosts; the fixture wants none.
        self.complaints: list[str] = []
        #: Parts of complaints that the test provokes.
        self.expected: list[str] = []

    def open(self) -> Desk:
        """Load the page and wait until it can be used."""
        self.page.goto(self.url + "/")
        self.page.locator("html[data-ready]").wait_for()
        return self

    def shifted(self) -> tuple[float, list[Any]]:
        """How much of the page moved by itself so far, and what."""
        shifts: list[dict[str, Any]] = self.page.evaluate("window.shifts")
        return sum(shift["value"] for shift in shifts), shifts

    def shoot(self, name: str) -> Path:
        """Keep a screenshot to be looked at."""
        ARTEFACTS.mkdir(exist_ok=True)
        target = ARTEFACTS / f"{name}.png"
        self.page.screenshot(path=target)
        return target

    # What is brought in

    def pick(self, *paths: Path) -> Desk:
        """Choose files with the button."""
        self.page.locator("#pick").set_input_files([*paths])
        return self

    def drop(self, *paths: Path, on: str = "body") -> Desk:
        """Drop files on an element, as a file manager does."""
        self._hand_over(paths, on, ["dragenter", "dragover", "drop"], "DragEvent", "dataTransfer")
        return self

    def paste(self, *paths: Path) -> Desk:
        """Paste files."""
        self._hand_over(paths, "body", ["paste"], "ClipboardEvent", "clipboardData")
        return self

    def _hand_over(
        self, paths: Sequence[Path], on: str, events: list[str], kind: str, member: str
    ) -> None:
        files = [
            {"name": path.name, "type": media_type(path), "data": [*path.read_bytes()]}
            for path in paths
        ]
        self.page.evaluate(
            """([files, on, events, kind, member]) => {
              const held = new DataTransfer();
              for (const { name, type, data } of files) {
                held.items.add(new File([new Uint8Array(data)], name, { type }));
              }
              for (const event of events) {
                const made = new window[kind](event,
                  { bubbles: true, cancelable: true, [member]: held });
                document.querySelector(on).dispatchEvent(made);
              }
            }""",
            [files, on, events, kind, member],
        )

    # What is there

    def cards(self, state: str = "") -> Locator:
        """The small pictures, of one state or all."""
        only = f'[data-state="{state}"]' if state else ""
        return self.page.locator(f"#gallery .card{only}")

    def card(self, name: str) -> Locator:
        """The small picture of a file."""
        return self.page.locator("#gallery .card", has_text=name)

    def done(self, count: int = 1) -> Desk:
        """Wait until so many pictures are cut out, and none is at work."""
        expect(self.cards("done")).to_have_count(count)
        for state in ("waiting", "sending", "working"):
            expect(self.cards(state)).to_have_count(0)
        return self

    def button(self, name: str | re.Pattern[str]) -> Locator:
        """The button of this name."""
        return self.page.get_by_role("button", name=name)

    # What is seen in the middle

    def view(self, name: str) -> Desk:
        """Look at the picture in this way."""
        self.page.locator(".view-choice", has=self.page.locator(f"input[value={name}]")).click()
        expect(self.page.locator(f'.stage-port[data-view="{name}"]')).to_be_visible()
        return self

    def zoom(self) -> float:
        """How large a pixel of the picture is on the screen."""
        self.settle()
        text = self.page.locator(".zoom-number").inner_text()
        return float(text.replace("%", "").strip()) / 100

    def settle(self) -> None:
        """Wait until what was changed is painted."""
        self.page.evaluate(
            "new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))"
        )

    def middle(self) -> tuple[float, float]:
        """Where the middle of the stage is in the window."""
        box = self.page.locator(".stage-canvas").bounding_box()
        assert box
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def place(self, point: tuple[float, float], size: tuple[int, int] = (640, 480)) -> Any:
        """Where a pixel of the picture is in the window, while all of it is shown."""
        (x, y), scale = self.middle(), self.zoom()
        return x + (point[0] - size[0] / 2) * scale, y + (point[1] - size[1] / 2) * scale

    def seen(self, point: tuple[float, float], size: tuple[int, int] = (640, 480)) -> Any:
        """The colour that stands at a pixel of the picture, while all of it is shown."""
        (x, y), (mx, my) = self.place(point, size), self.middle()
        return self._colour(x - mx, y - my)

    def seen_middle(self) -> Any:
        """The colour in the middle of the stage."""
        self.settle()
        return self._colour(0, 0)

    def _colour(self, dx: float, dy: float) -> tuple[int, ...]:
        return tuple(
            self.page.locator(".stage-canvas").evaluate(
                """(c, [dx, dy]) => {
                  const scale = c.width / c.clientWidth;
                  const [x, y] = [c.width / 2 + dx * scale, c.height / 2 + dy * scale];
                  return [...c.getContext("2d").getImageData(x, y, 1, 1).data].slice(0, 3);
                }""",
                [dx, dy],
            )
        )

    def is_seen(self, point: tuple[float, float], colour: Sequence[int], near: int = 6) -> None:
        """Wait until a pixel of a picture of 640 x 480 has this colour on the stage."""
        found: Any = None
        for _ in range(100):
            found = self.seen(point)
            if max(abs(a - b) for a, b in zip(found, colour, strict=True)) <= near:
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"{point} is {found}, not {tuple(colour)}")

    # What is chosen and had

    def choose(self, value: str, part: str = "#panel") -> Desk:
        """Click the one of a row of choices that stands for ``value``."""
        there = self.page.locator(f'input[type=radio][value="{value}"]')
        self.page.locator(f"{part} label.option:visible", has=there).click()
        return self

    def background(self, name: str) -> Desk:
        """Click the tile of this colour, or "checker"."""
        self.page.locator(f"#panel .tiles .tile:has(.swatch.{name})").click()
        return self

    def download(self, format: str = "") -> tuple[str, bytes]:  # noqa: A002
        """Name and bytes of the selected picture's file."""
        if format:
            self.page.locator("#format").select_option(format)
        with self.page.expect_download() as had:
            self.page.locator("#download").click()
        return self._read(had.value)

    def download_all(self) -> tuple[str, bytes]:
        """Name and bytes of the ZIP of all pictures."""
        with self.page.expect_download() as had:
            self.page.locator("#download-all").click()
        return self._read(had.value)

    def _read(self, download: Download) -> tuple[str, bytes]:
        target = self.folder / f"had-{len([*self.folder.iterdir()])}"
        download.save_as(target)
        return download.suggested_filename, target.read_bytes()


def media_type(path: Path) -> str:
    """What a browser says of a file; of HEIC nothing."""
    known = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png", ".webp": "webp", ".avif": "avif"}
    name = known.get(path.suffix.lower())
    return f"image/{name}" if name else ""


@contextmanager
def watched(browser: Browser, url: str, *, folder: Path, **context: Any) -> Iterator[Desk]:
    """The page in a window of its own; it fails in the end if the page complained.

    ``context`` is for ``Browser.new_context``: viewport, locale, colour scheme ...
    """
    settings = {"viewport": DESKTOP, "locale": "en-US", "accept_downloads": True, **context}
    window = browser.new_context(**settings)
    window.set_default_timeout(WAIT_MS)
    window.add_init_script(_SHIFTS)
    try:
        page = window.new_page()
        desk = Desk(page, url, folder)
        host = urlsplit(url).netloc

        def heard(message: ConsoleMessage) -> None:
            # The tests themselves read pixels off canvases that are not made for it.
            if message.type in ("error", "warning") and "willReadFrequently" not in message.text:
                place = (message.location or {}).get("url", "")
                desk.complaints.append(f"{message.type}: {message.text} {place}")

        def asked(request: Request) -> None:
            parts = urlsplit(request.url)
            if parts.scheme not in ("blob", "data") and parts.netloc != host:
                desk.complaints.append(f"a request to {request.url}")

        page.on("console", heard)
        page.on("pageerror", lambda error: desk.complaints.append(f"uncaught: {error}"))
        page.on("request", asked)
        yield desk
        left = [told for told in desk.complaints if not any(part in told for part in desk.expected)]
        assert not left, left
    finally:
        for opened in window.pages:
            opened.unroute_all(behavior="ignoreErrors")  # what is under way has no page any more
        window.close()


def pixels(data: bytes | Path) -> NDArray[np.uint8]:
    """A picture file as (H, W, C) bytes."""
    with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data) as image:
        return np.asarray(image)
