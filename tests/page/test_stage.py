"""What is seen in the middle: backdrops, views, the slider, zoom and pan; read off the canvas."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from tests.page.desk import PHONE, Desk, watched
from tests.page.test_intake import BALL, GROUND, picture
from tests.server.process import Running

pytestmark = [pytest.mark.weights, pytest.mark.page]

MIDDLE, CORNER = (320, 240), (12, 12)


@pytest.fixture
def ball(desk: Desk, tmp_path: Path) -> Desk:
    """The page with a ball cut out of 640 x 480."""
    desk.open().pick(picture(tmp_path, "ball.png", (640, 480))).done()
    desk.is_seen(MIDDLE, BALL)
    return desk


@pytest.mark.parametrize(
    ("name", "colour"),
    [("white", (255, 255, 255)), ("black", (0, 0, 0)), ("blue", (67, 142, 219))],
)
def test_a_colour_is_seen_at_once_and_without_the_server(
    ball: Desk, name: str, colour: tuple[int, int, int]
) -> None:
    asked: list[str] = []
    ball.page.on("request", lambda request: asked.append(request.url))
    ball.background(name)
    ball.is_seen(CORNER, colour)
    ball.is_seen(MIDDLE, BALL)
    assert [url for url in asked if not url.startswith("blob:")] == []


def test_a_chequerboard_stands_for_nothing(ball: Desk) -> None:
    tones = {ball.seen((4 + 8 * step, 6)) for step in range(12)}
    assert len(tones) == 2
    assert all(max(tone) - min(tone) < 12 for tone in tones)


def test_an_own_photo_and_the_blurred_original_are_seen(ball: Desk, tmp_path: Path) -> None:
    Image.new("RGB", (500, 400), (250, 200, 20)).save(tmp_path / "wall.png")
    ball.page.locator("#panel .row input[type=file]").set_input_files(tmp_path / "wall.png")
    ball.is_seen(CORNER, (250, 200, 20))
    ball.page.locator("#panel button.wide", has_text="Blurred").click()
    ball.is_seen(CORNER, GROUND)
    ball.is_seen(MIDDLE, BALL)


def test_the_matte_the_edges_and_the_original_are_views(ball: Desk) -> None:
    ball.view("matte")
    ball.is_seen(MIDDLE, (255, 255, 255))
    ball.is_seen(CORNER, (0, 0, 0))
    ball.view("original")
    ball.is_seen(CORNER, GROUND)
    ball.view("edges")
    rim = [ball.seen((320 + dx, 240)) for dx in range(150, 170)]
    assert max(max(tone) - min(tone) for tone in rim) > 100, "soft pixels have a clear colour"
    assert max(abs(a - b) for a, b in zip(ball.seen(CORNER), GROUND, strict=True)) > 20, "dimmed"
    ball.page.keyboard.press("m")
    ball.is_seen(MIDDLE, (255, 255, 255))


def test_the_slider_parts_before_from_after_by_keyboard_and_mouse(ball: Desk) -> None:
    ball.background("white").view("compare")
    slider = ball.page.locator(".compare-range")
    ball.is_seen(CORNER, GROUND)
    ball.is_seen((628, 12), (255, 255, 255))
    slider.focus()
    slider.press("End")
    ball.is_seen((620, 12), GROUND)
    slider.press("Home")
    ball.is_seen((20, 12), (255, 255, 255))
    line = ball.page.locator(".compare-line").bounding_box()
    port = ball.page.locator(".stage-port").bounding_box()
    assert line
    assert port
    ball.page.mouse.move(line["x"] + 1, port["y"] + port["height"] / 3)
    ball.page.mouse.down()
    ball.page.mouse.move(*ball.place((480, 100)), steps=5)
    ball.page.mouse.up()
    ball.is_seen((440, 12), GROUND)
    ball.is_seen((520, 12), (255, 255, 255))
    assert 70 < float(slider.input_value()) < 80


def test_it_zooms_by_keys_wheel_and_double_click(ball: Desk) -> None:
    fitted = ball.zoom()
    ball.page.locator(".stage-port").focus()
    ball.page.keyboard.press("+")
    assert ball.zoom() > 1.3 * fitted
    ball.page.keyboard.press("-")
    assert abs(ball.zoom() - fitted) < 0.02
    ball.page.keyboard.press("1")
    assert ball.zoom() == 1
    ball.page.keyboard.press("0")
    assert abs(ball.zoom() - fitted) < 0.02
    ball.page.mouse.move(*ball.place(MIDDLE))
    for _ in range(12):
        ball.page.mouse.wheel(0, -240)
    assert ball.zoom() > 8
    assert ball.page.locator(".stage-canvas").evaluate(
        "(c) => { const x = c.width / 2, y = c.height / 2;"
        "const d = c.getContext('2d').getImageData(x, y, 1, 1).data; return d[0]; }"
    ) == pytest.approx(BALL[0], abs=3)
    ball.page.mouse.dblclick(*ball.place(MIDDLE))
    assert abs(ball.zoom() - fitted) < 0.02


def test_single_pixels_are_seen_when_it_is_close(desk: Desk, tmp_path: Path) -> None:
    """From 4x on nothing is smoothed: a step between two pixels stays a step."""
    image = Image.new("RGB", (200, 200), (90, 140, 160))
    image.paste((200, 60, 40), (100, 0, 200, 200))
    image.save(tmp_path / "step.png")
    desk.open().pick(tmp_path / "step.png").done().view("original")
    desk.page.locator(".stage-port").focus()
    for _ in range(8):
        desk.page.keyboard.press("+")
    assert desk.zoom() >= 4
    row = desk.page.locator(".stage-canvas").evaluate(
        "(c) => [...c.getContext('2d').getImageData(0, c.height / 2, c.width, 1).data]"
    )
    tones = {tuple(row[at : at + 3]) for at in range(0, len(row), 4)}
    assert len(tones) <= 2


def test_it_is_panned_by_dragging_and_by_arrows(ball: Desk) -> None:
    ball.background("white")
    ball.page.locator(".stage-port").focus()
    for _ in range(2):
        ball.page.keyboard.press("+")
    assert ball.seen_middle() == BALL
    x, y = ball.middle()
    ball.page.mouse.move(x, y)
    ball.page.mouse.down()
    ball.page.mouse.move(x - 570, y, steps=4)
    ball.page.mouse.up()
    assert ball.seen_middle() == (255, 255, 255), "beside the ball"
    for _ in range(13):
        ball.page.keyboard.press("ArrowLeft")
    assert ball.seen_middle() == BALL


def test_two_fingers_zoom_on_a_phone(browser: Browser, server: Running, tmp_path: Path) -> None:
    phone = {"viewport": PHONE, "has_touch": True, "is_mobile": True}
    with watched(browser, server.url, folder=tmp_path, **phone) as desk:
        desk.open().pick(picture(tmp_path, "ball.png", (640, 480))).done()
        fitted = desk.zoom()
        x, y = desk.middle()
        wire = desk.page.context.new_cdp_session(desk.page)

        def touch(kind: str, *apart: float) -> None:
            points = [{"x": x + d, "y": y} for half in apart for d in (-half, half)]
            wire.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        touch("touchStart", 30)
        for half in (40, 60, 90):
            touch("touchMove", half)
        touch("touchEnd")
        assert desk.zoom() > 2 * fitted


def test_what_will_be_downloaded_is_seen_where_it_differs(ball: Desk) -> None:
    ball.background("white").choose("crop")
    port = ball.page.locator('.stage-port[data-view="result"][aria-busy="false"]')
    expect(port).to_be_visible()
    expect(ball.page.locator(".view-row input[value=result]")).to_be_checked()
    assert ball.zoom() > 1.3, "the crop is smaller, so it is seen larger"
    ball.choose("whole")
    expect(ball.page.locator('.stage-port[data-view="cutout"]')).to_be_visible()


def test_low_confidence_is_marked_with_its_reason_and_what_to_do(
    desk: Desk, photos: dict[str, Path]
) -> None:
    desk.open().pick(photos["chelsea"]).done()
    told = desk.page.locator(".stage-say.doubt")
    expect(told).to_contain_text(re.compile("see-through|sure|check", re.I))
    expect(told.get_by_role("button", name="Retouch")).to_be_visible()
    expect(desk.card("chelsea")).to_have_attribute("data-doubt", "true")
