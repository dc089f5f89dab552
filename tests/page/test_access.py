"""For everybody: axe finds nothing serious, nothing jumps, and no mouse is needed."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from importlib import resources
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.page.desk import PHONE, Desk, watched
from tests.server.process import Running, ended

pytestmark = [pytest.mark.weights, pytest.mark.page]

LOOKS = [
    pytest.param({"locale": "en-US"}, id="light-en"),
    pytest.param({"locale": "zh-CN", "color_scheme": "dark"}, id="dark-zh"),
    pytest.param(
        {"locale": "zh-CN", "viewport": PHONE, "has_touch": True, "is_mobile": True}, id="phone-zh"
    ),
    pytest.param(
        {
            "locale": "en-US",
            "viewport": PHONE,
            "has_touch": True,
            "is_mobile": True,
            "color_scheme": "dark",
        },
        id="phone-dark-en",
    ),
]


_BAR = ("overall", "tools")


@cache
def axe() -> str:
    return resources.files("axe_core_python").joinpath("axe.min.js").read_text("utf-8")


def troubles(page: Page) -> list[str]:
    """What axe calls serious or critical, in words."""
    page.evaluate(axe())
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{rule['id']} ({rule['impact']}): {node['target']} {node.get('failureSummary', '')}"
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"][:4]
    ]


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing_serious_in_any_state(
    browser: Browser, server: Running, photos: dict[str, Path], tmp_path: Path, look: dict[str, str]
) -> None:
    found: dict[str, list[str]] = {}
    name = "-".join(str(value) for key, value in look.items() if isinstance(value, str))
    name += "-phone" if "viewport" in look else ""
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture at all")
    with watched(browser, server.url, folder=tmp_path, **look) as desk:
        desk.expected += ["400", "415"]

        def look_at(state: str) -> None:
            desk.page.evaluate(
                "Promise.all(document.getAnimations().map((a) => a.finished.catch(() => {})))"
                if state not in ("working",)
                else "0"
            )
            found[state] = troubles(desk.page)
            desk.shoot(f"{name}-{state}")

        desk.open()
        look_at("empty")
        desk.page.keyboard.press("?")
        look_at("shortcuts")
        desk.page.keyboard.press("Escape")
        desk.page.route("**/v1/cutouts", lambda route: None)
        desk.pick(photos["astronaut"])
        expect(desk.cards("working").or_(desk.cards("sending"))).to_have_count(1)
        look_at("working")
        desk.page.locator(".stage-card button").click()  # cancel
        desk.page.unroute("**/v1/cutouts")  # a request that is held would go on now
        desk.page.locator(".stage-card button").click()  # and try again
        desk.pick(photos["chelsea"]).done(2)
        look_at("result")
        for part in ("cut", "background", "size"):
            tab = desk.page.locator(f"#panel .tab[data-name={part}]")
            if tab.is_visible():
                tab.click()
                look_at(f"panel-{part}")
                tab.click()
        desk.pick(tmp_path / "broken.jpg")
        expect(desk.cards("failed")).to_have_count(1)
        look_at("failed")
        desk.card("chelsea").locator(".choose").click()
        desk.page.locator(".retouch-start").click()
        expect(desk.page.locator(".retouch-bar")).to_be_visible()
        look_at("retouch")
    assert {state: bad for state, bad in found.items() if bad} == {}


def test_nothing_jumps_while_the_page_loads_and_works(desk: Desk, photos: dict[str, Path]) -> None:
    desk.open()
    loaded, what = desk.shifted()
    assert loaded < 0.02, what
    desk.drop(photos["astronaut"], photos["chelsea-2mp"]).done(2)
    # What a drop brings about counts as nobody's doing, so the change from empty to full is in it.
    desk.card("chelsea").locator(".choose").click()
    worked, what = desk.shifted()
    assert worked < 0.02, what


def test_nothing_jumps_on_a_phone(
    browser: Browser, server: Running, photos: dict[str, Path], tmp_path: Path
) -> None:
    phone = {"viewport": PHONE, "has_touch": True, "is_mobile": True}
    with watched(browser, server.url, folder=tmp_path, **phone) as desk:
        desk.open().pick(photos["astronaut"], photos["chelsea"]).done(2)
        moved, what = desk.shifted()
        assert moved < 0.02, what
        width = desk.page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE["width"], "nothing is wider than the screen"


def test_touch_targets_are_large_enough_on_a_phone(
    browser: Browser, server: Running, photos: dict[str, Path], tmp_path: Path
) -> None:
    phone = {"viewport": PHONE, "has_touch": True, "is_mobile": True}
    with watched(browser, server.url, folder=tmp_path, **phone) as desk:
        desk.open().pick(photos["astronaut"], photos["chelsea"]).done(2)
        small = desk.page.evaluate(
            """() => [...document.querySelectorAll("button, select, label:has(input), summary")]
              .filter((e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true }))
              .map((e) => [e.className || e.id, e.getBoundingClientRect()])
              .filter(([, r]) => r.width && (r.width < 44 || r.height < 44))
              .map(([name, r]) => `${name} ${Math.round(r.width)}x${Math.round(r.height)}`)"""
        )
        assert small == []


def test_on_a_phone_no_message_lies_over_a_result_and_the_bar_has_room_for_its_own(
    browser: Browser, server: Running, photos: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture at all")
    phone = {"viewport": PHONE, "has_touch": True, "is_mobile": True}
    with watched(browser, server.url, folder=tmp_path, **phone) as desk:
        desk.expected += ["400", "415"]
        desk.open().pick(tmp_path / "broken.jpg", photos["astronaut"], photos["chelsea"])
        expect(desk.cards("done")).to_have_count(2)
        trouble = desk.page.locator(".stage-card.trouble").bounding_box()
        assert trouble
        assert abs(trouble["y"] + trouble["height"] / 2 - desk.middle()[1]) < 3
        overall, tools = (desk.page.locator(f"#{name}").bounding_box() for name in _BAR)
        assert overall
        assert tools
        inside = desk.page.locator("#overall").evaluate(
            "e => Math.max(...[...e.children].map((c) => c.getBoundingClientRect().right))"
        )
        assert inside <= tools["x"], "the buttons do not cover each other"
        assert tools["x"] + tools["width"] <= PHONE["width"]
        desk.page.locator("#overall .look").tap()  # the next one that is worth a look
        expect(desk.card("chelsea").locator(".choose")).to_have_attribute("aria-pressed", "true")
        said, port = (
            desk.page.locator(one).bounding_box() for one in (".stage-say", ".stage-port")
        )
        assert said
        assert port
        assert port["y"] + port["height"] <= said["y"], "the picture is free"
        assert said["height"] <= 56, "one line"
        advice = desk.page.locator(".stage-say .advice").first
        expect(advice).to_be_hidden()
        desk.page.locator(".stage-say .more").tap()
        expect(advice).to_be_visible()
        desk.page.locator(".stage-say").get_by_role("button", name="Close").tap()
        expect(desk.page.locator(".stage-say, #overall .look:visible")).to_have_count(0)
        expect(desk.card("chelsea")).to_have_attribute("data-doubt", "false")


def _focused(page: Page) -> str:
    """What has the focus, by its name."""
    return str(
        page.evaluate(
            """() => { const e = document.activeElement;
              if (e === document.body) return "";  // its text is the whole page's
              return e.getAttribute("aria-label") || e.labels?.[0]?.textContent || e.textContent
                || e.tagName; }"""
        )
    )


def _tab_to(page: Page, fits: Callable[[str], object], steps: int = 90) -> None:
    seen = []
    for _ in range(steps):
        page.keyboard.press("Tab")
        seen.append(_focused(page))
        if fits(seen[-1]):
            return
    raise AssertionError(f"not reached: {seen}")


def test_a_picture_is_cut_and_downloaded_by_keyboard_alone(
    desk: Desk, photos: dict[str, Path]
) -> None:
    desk.open()
    with desk.page.expect_file_chooser() as chosen:  # early: a late one can miss the dialog
        _tab_to(desk.page, lambda name: "choose" in name.lower() or "pick" in name.lower())
        desk.page.keyboard.press("Enter")
    chosen.value.set_files([photos["astronaut"], photos["chelsea"]])
    desk.done(2)
    assert desk.page.evaluate("document.activeElement.id") == "stage", "not lost with the button"
    _tab_to(desk.page, lambda name: "astronaut.png" in name)
    desk.page.keyboard.press("ArrowDown")
    assert "chelsea.png" in _focused(desk.page)
    expect(desk.card("chelsea").locator(".choose")).to_have_attribute("aria-pressed", "true")
    with desk.page.expect_download() as had:
        desk.page.keyboard.press("Control+s")
    assert had.value.suggested_filename == "chelsea.png"
    _tab_to(desk.page, lambda name: "natural" in name.lower())
    desk.page.keyboard.press("ArrowRight")
    expect(desk.page.locator('#panel input[value="sharp"]')).to_be_checked()


def test_every_stop_of_the_keyboard_is_seen(desk: Desk, photos: dict[str, Path]) -> None:
    """Each element that has the focus differs from itself without it."""
    desk.open().pick(photos["astronaut"]).done()
    unseen = []
    for _ in range(45):
        desk.page.keyboard.press("Tab")
        told = desk.page.evaluate(
            """() => {
              const e = document.activeElement;
              if (e === document.body) return "";
              const looks = (n) => { const s = getComputedStyle(n);
                return [s.outlineStyle, s.outlineWidth, s.boxShadow, s.borderColor,
                  s.backgroundColor].join(); };
              // Some show the ring on what stands for them: the label, or what follows.
              const near = [e, e.closest("label"), e.parentElement, e.nextElementSibling,
                e.parentElement?.parentElement].filter(Boolean);
              const on = near.map(looks);
              e.blur();
              const off = near.map(looks);
              e.focus({ focusVisible: true });
              return on.some((look, i) => look !== off[i]) ? ""
                : (e.id || e.className || e.tagName) + " " + e.type;
            }"""
        )
        if told:
            unseen.append(told)
    assert unseen == []


def test_results_and_errors_are_told_to_screen_readers(
    desk: Desk, photos: dict[str, Path], tmp_path: Path
) -> None:
    desk.expected += ["400", "415"]
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture at all")
    desk.open().pick(photos["astronaut"]).done()
    expect(desk.page.locator("#live")).to_contain_text("astronaut.png")
    desk.pick(tmp_path / "broken.jpg")
    spoken = desk.page.locator("#live, #alarm")
    expect(spoken.filter(has_text="broken.jpg")).to_have_count(1)
    for role in ("banner", "main", "navigation"):
        expect(desk.page.get_by_role(role)).to_have_count(1)  # type: ignore[arg-type]


def test_chinese_is_spoken_where_it_is_read(
    browser: Browser, server: Running, photos: dict[str, Path], tmp_path: Path
) -> None:
    with watched(browser, server.url, folder=tmp_path, locale="zh-CN") as desk:
        desk.open().pick(photos["astronaut"]).done()
        text = desk.page.evaluate(
            """() => {  // Titles of models come from the server, which speaks English.
              document.querySelectorAll("#panel .field option").forEach((e) => e.remove());
              return document.body.innerText; }"""
        )
        assert re.search("[一-鿿]{2}", text)
        latin = set(re.findall(r"[A-Za-z]{4,}", text))
        allowed = {"cleancut", "astronaut", "JPEG", "WebP", "TIFF", "HEIC", "AVIF", "Amazon"}
        allowed |= {"English", "Apache", "Shopify", "eBay", "Etsy", "IS", "Net"}
        assert latin - allowed == set()
        desk.page.locator("#language").select_option("en")
        expect(desk.page.locator("#download")).to_contain_text("Download")


def test_less_motion_is_kept_to(browser: Browser, server: Running, tmp_path: Path) -> None:
    with watched(browser, server.url, folder=tmp_path, reduced_motion="reduce") as desk:
        desk.open()
        moving = desk.page.evaluate(
            "document.getAnimations().filter((a) => a.effect.getTiming().duration > 50).length"
        )
        assert moving == 0


def test_a_server_with_keys_asks_for_one_and_goes_on(
    browser: Browser, photos: dict[str, Path], tmp_path: Path, weights: dict[str, str]
) -> None:
    from cleancut.server.keys import Keys
    from cleancut.server.settings import Settings

    data = tmp_path / "data"
    key = Keys.of(Settings(data=data)).add("page")
    live = Running(data, ("--model", "u2netp"), env=weights)
    with ended(live):
        live.start()
        with watched(browser, live.url, folder=tmp_path) as desk:
            desk.expected.append("401")
            desk.page.goto(live.url)
            dialog = desk.page.locator("dialog[open]")
            dialog.locator("#key").fill("0" * 52)
            dialog.locator("button.primary").click()
            expect(dialog.locator(".trouble")).to_be_visible()
            assert troubles(desk.page) == []
            desk.shoot("key-desktop")
            dialog.locator("#key").fill(key)
            dialog.locator("button.primary").click()
            desk.page.locator("html[data-ready]").wait_for()
            desk.pick(photos["astronaut"]).done()
            assert key not in desk.page.content()


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_no_control_sticks_out_of_the_panel(
    browser: Browser, server: Running, photos: dict[str, Path], tmp_path: Path, locale: str
) -> None:
    with watched(browser, server.url, folder=tmp_path, locale=locale) as desk:
        desk.open().pick(photos["astronaut"]).done()
        for mode in ("whole", "crop", "shop", "id", "own"):
            desk.choose(mode)
            out = desk.page.evaluate(
                """() => {
                  const edge = document.querySelector("#panel").getBoundingClientRect().right;
                  return [...document.querySelectorAll("#panel *")]
                    .filter((e) => e.checkVisibility() && e.getBoundingClientRect().right > edge)
                    .map((e) => `${e.className || e.tagName}: ${e.textContent}`);
                }"""
            )
            assert out == [], mode
