"""Names, answers and kept settings that mean harm: they are shown as text, or forgotten."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import expect

from tests.page.desk import Desk
from tests.page.test_intake import picture

if TYPE_CHECKING:
    from playwright.sync_api import Route

pytestmark = [pytest.mark.weights, pytest.mark.page]

#: Would be seen as an element, and complained of by the policy; nothing on the page is called so.
HTML = "<img class=planted src=//evil.example/x onerror=alert(1)>"
#: What files are called, and what they are in a ZIP.
NAMES = {
    f"{HTML}.jpg": "_img class=planted src=__evil.example_x onerror=alert(1)_.png",
    "../../etc/passwd.jpg": "__.._etc_passwd.png",
    "..\\..\\evil.jpg": "__.._evil.png",
    "C:\\evil.jpg": "C__evil.png",
    "photo\u202egpj.exe.jpg": "photo_gpj.exe.png",
    "a\nb\r\x1b[31m\x00.jpg": "a_b__[31m_.png",
    ".jpg": "_jpg.png",
    "..jpg": "_.png",
    "__proto__.jpg": "__proto__.png",
    "\"quoted'.jpg": "_quoted'.png",
    f"{'x' * 3000}.jpg": f"{'x' * 200}.png",
    "猫 😀.jpg": "猫 😀.png",
}


def hand_over(desk: Desk, names: list[str], data: bytes) -> Desk:
    """Pick files of names that no disk holds."""
    desk.page.evaluate(
        """([names, data]) => {
          const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
          const held = new DataTransfer();
          for (const name of names) held.items.add(new File([bytes], name, { type: "image/jpeg" }));
          const picker = document.querySelector("#pick");
          picker.files = held.files;
          picker.dispatchEvent(new Event("change"));
        }""",
        [names, base64.b64encode(data).decode()],
    )
    return desk


def kept(desk: Desk, **values: str) -> Desk:
    """What the browser keeps of an earlier visit, or of whoever had this address before."""
    desk.page.add_init_script(
        f"for (const [k, v] of Object.entries({json.dumps(values)})) localStorage.setItem(k, v);"
    )
    return desk


def small(tmp_path: Path) -> bytes:
    return picture(tmp_path, "small.jpg").read_bytes()


def test_names_of_files_lead_nowhere_in_a_zip_and_are_no_html(desk: Desk, tmp_path: Path) -> None:
    desk.page.on("dialog", lambda dialog: desk.complaints.append(f"a dialog: {dialog.message}"))
    hand_over(desk.open(), [*NAMES], small(tmp_path)).done(len(NAMES))
    with zipfile.ZipFile(io.BytesIO(desk.download_all()[1])) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [*NAMES.values()]
    assert desk.page.locator(".planted").count() == 0


def hostile(route: Route) -> None:
    """Every text of an answer of the server's with HTML in it."""
    path = route.request.url.rsplit("/", 1)[1]
    answer: Any = route.fetch().json()
    for row in answer if path in ("models", "presets") else ():
        row.update(title=HTML + row.get("title", ""), note=HTML, weight_licence=HTML)
        if "background" in row.get("options", {}):
            row["options"]["background"] = "url(http://evil.example/x)"
    for kind in answer["reads"] if path == "about" else ():
        kind["name"] = HTML
    route.fulfill(json=answer)


def test_texts_of_the_server_are_never_html(desk: Desk, tmp_path: Path) -> None:
    desk.expected += ["400", "422"]  # noise has no face for an ID photo
    desk.page.on("dialog", lambda dialog: desk.complaints.append(f"a dialog: {dialog.message}"))
    for path in ("about", "models", "presets"):
        desk.page.route(f"**/v1/{path}", hostile)

    def answered(route: Route) -> None:
        problem = {"status": 400, "code": "bad-option", "detail": HTML, "hint": HTML}
        route.fulfill(status=400, json=problem)

    hand_over(desk.open(), ["a.jpg"], small(tmp_path)).done()
    for mode in ("shop", "id"):
        desk.choose(mode)
    told = {"X-Notes": json.dumps([f"low_contrast: {HTML}", HTML, 7]), "X-Confidence": "0.1"}

    def told_of(route: Route) -> None:
        with suppress(PlaywrightError):  # the test may end while an ID photo is under way
            route.fulfill(response=route.fetch(), headers=told)

    desk.page.route("**/v1/cutouts", told_of)
    hand_over(desk, ["b.jpg"], small(tmp_path)).done(2)
    desk.page.unroute("**/v1/cutouts")
    desk.page.route("**/v1/cutouts", answered)
    hand_over(desk, ["c.jpg"], small(tmp_path))
    expect(desk.cards("failed")).to_have_count(1)
    assert desk.page.locator(".planted").count() == 0


@pytest.mark.parametrize("body", ["null", "7", '{"code":{},"detail":[]}', "<html>", ""])
def test_an_error_that_is_none_of_ours_ends_the_wait(desk: Desk, tmp_path: Path, body: str) -> None:
    desk.expected.append("502")
    desk.page.route("**/v1/cutouts", lambda route: route.fulfill(status=502, body=body))
    hand_over(desk.open(), ["a.jpg"], small(tmp_path))
    expect(desk.cards("failed")).to_have_count(1, timeout=5000)


@pytest.mark.parametrize(
    "settings",
    [
        "{",
        "null",
        "[]",
        '{"version":1,"values":null}',
        '{"version":1,"values":{"__proto__":{"model":"x"},"toString":1,"margin":"5"}}',
        '{"version":1,"values":{"edge":["sharp"],"theme":["dark"],"background":{"kind":"photo"}}}',
        f'{{"version":1,"values":{{"background":{{"kind":"colour","value":"{HTML}"}}}}}}',
        '{"version":1,"values":{"model":"gone","preset":"gone","format":"exe"}}',
        "x" * 3_000_000,
    ],
    ids=lambda text: text[:30],
)
def test_kept_settings_that_make_no_sense_are_forgotten(
    desk: Desk, tmp_path: Path, settings: str
) -> None:
    kept(desk, **{"cleancut.settings": settings, "cleancut.language": "../about"})
    hand_over(desk.open(), ["a.jpg"], small(tmp_path)).done()
    assert desk.download()[0] == "a.png"
    assert desk.page.locator(".planted").count() == 0


@pytest.mark.parametrize("key", ["ключ", "a\nb", "0" * 300, "two words"])
def test_a_kept_key_that_cannot_be_sent_is_forgotten(desk: Desk, tmp_path: Path, key: str) -> None:
    kept(desk, **{"cleancut.key": key})
    hand_over(desk.open(), ["a.jpg"], small(tmp_path)).done()


def test_a_key_that_cannot_be_sent_is_asked_for_again(desk: Desk) -> None:
    desk.expected.append("401")
    sent: list[str | None] = []

    def guarded(route: Route) -> None:
        key = route.request.headers.get("x-api-key")
        sent.append(key)
        if key == "good":
            route.continue_()
        else:
            problem = {"status": 401, "code": "key-refused", "detail": "no", "hint": ""}
            route.fulfill(status=401, json=problem)

    desk.page.route("**/v1/models", guarded)
    desk.page.goto(desk.url)
    dialog = desk.page.locator("dialog[open]")
    for key in ("ключ", "\u200bgood", "good"):
        dialog.locator("#key").fill(key)
        dialog.locator("button.primary").click()
        if key != "good":
            expect(dialog.locator(".trouble")).to_be_visible()
    desk.page.locator("html[data-ready]").wait_for()
    assert set(sent) == {None, "good"}
    lasting = desk.page.evaluate("Object.values({ ...localStorage }).join(' ')")
    assert "good" not in lasting  # unless it is asked for


def test_the_browser_makes_no_text_into_html_or_a_script(desk: Desk) -> None:
    tried = desk.open().page.evaluate(
        """async () => {
          const told = [];
          addEventListener("securitypolicyviolation", (event) =>
            told.push(event.effectiveDirective));
          const link = document.createElement("a");
          const script = document.createElement("script");
          const acts = [
            () => (document.body.innerHTML = "<b class=planted>"),
            () => (script.text = "window.planted = 1"),
            () => link.setAttribute("onclick", "window.planted = 1"),
          ];
          for (const act of acts) {
            try { act(); } catch { /* as it should be */ }
          }
          link.click();
          await new Promise((good) => setTimeout(good, 100));
          return [told.length >= acts.length, "planted" in window];
        }"""
    )
    assert tried == [True, False]
    assert desk.page.locator(".planted").count() == 0
    desk.complaints.clear()  # about what was tried here


def test_a_wait_without_end_is_no_storm_of_requests(desk: Desk, tmp_path: Path) -> None:
    desk.expected.append("429")
    asked: list[str] = []

    def busy(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=429, json={"code": "busy"}, headers={"Retry-After": "3000000"})

    desk.page.route("**/v1/cutouts", busy)
    hand_over(desk.open(), ["a.jpg"], small(tmp_path))
    expect(desk.cards("waiting")).to_have_count(1)
    desk.page.wait_for_timeout(500)
    assert len(asked) == 1
