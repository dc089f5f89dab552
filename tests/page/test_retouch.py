"""Every retouching tool, and what it does to the pixels of the download."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import expect

from tests.page.desk import Desk, pixels
from tests.page.test_intake import BALL, GROUND, picture

pytestmark = [pytest.mark.weights, pytest.mark.page]

#: In the ball, on the ground, and on the ball's rim; x and y.
MIDDLE, BESIDE, RIM = (320, 240), (80, 80), (480, 240)


class Retouch:
    """The ball's page with the tools out; ``before`` is its matte."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.before = self._alpha()
        self.begin()

    def begin(self) -> None:
        self.desk.page.locator(".retouch-start").click()
        expect(self.desk.page.locator(".retouch-bar")).to_be_visible()
        self.desk.page.locator("#brush-size").fill("0.65")

    def tool(self, name: str, *, softness: int | None = 0) -> Retouch:
        self.desk.page.locator(f".tool-{name}").click()
        soft = self.desk.page.locator("#brush-soft")
        if softness is not None and soft.is_enabled():
            soft.fill(str(softness))
        return self

    def stroke(self, *points: tuple[float, float]) -> Retouch:
        mouse = self.desk.page.mouse
        mouse.move(*self.desk.place(points[0]))
        mouse.down()
        for point in points[1:]:
            mouse.move(*self.desk.place(point), steps=4)
        mouse.up()
        return self.settled()

    def settled(self) -> Retouch:
        """Wait until the server has answered every stroke."""
        self.desk.settle()
        expect(self.desk.page.locator('.stage-port[aria-busy="false"]')).to_be_visible()
        return self

    def done(self) -> NDArray[np.int64]:
        """Close the tools; the matte of the download."""
        self.desk.page.locator(".retouch-done").click()
        expect(self.desk.page.locator(".retouch-bar")).to_be_hidden()
        self.desk.settle()
        self.desk.done(self.desk.cards().count())
        return self._alpha()

    def _alpha(self) -> NDArray[np.int64]:
        return pixels(self.desk.download("png")[1])[..., 3].astype(np.int64)


@pytest.fixture
def tools(desk: Desk, tmp_path: Path) -> Retouch:
    desk.open().pick(picture(tmp_path, "ball.png", (640, 480))).done()
    desk.is_seen(MIDDLE, BALL)
    return Retouch(desk)


def near(point: tuple[int, int], reach: int) -> NDArray[np.bool_]:
    """Where a picture of 640 x 480 is within ``reach`` of a point."""
    y, x = np.mgrid[:480, :640]
    return np.hypot(x - point[0], y - point[1]) <= reach


def at(alpha: NDArray[np.int64], point: tuple[int, int]) -> int:
    return int(alpha[point[1], point[0]])


def test_what_is_erased_is_gone_and_nothing_else(tools: Retouch) -> None:
    alpha = tools.tool("erase").stroke((300, 240), (340, 240)).done()
    assert at(tools.before, MIDDLE) > 250
    assert at(alpha, MIDDLE) == 0
    away = ~near(MIDDLE, 130)
    assert np.abs(alpha - tools.before)[away].max() <= 1


def test_what_is_kept_is_there_and_has_its_own_colours(tools: Retouch) -> None:
    alpha = tools.tool("keep").stroke((60, 80), (100, 80)).done()
    assert at(tools.before, BESIDE) < 5
    assert at(alpha, BESIDE) == 255
    assert np.abs(alpha - tools.before)[~near(BESIDE, 130)].max() <= 1
    rgba = pixels(tools.desk.download("png")[1])
    assert np.abs(rgba[80, 80, :3].astype(int) - GROUND).max() <= 3


def test_the_edge_brush_solves_its_place_again(tools: Retouch) -> None:
    """A hole that was erased into the rim is found again where the brush says "edge here"."""
    tools.tool("erase").stroke((470, 240), (472, 240))
    alpha = tools.tool("edge").stroke((440, 240), (500, 240)).done()
    assert at(alpha, (449, 240)) > 200, "inside the ball"
    assert at(alpha, (495, 240)) < 60, "outside"
    assert np.abs(alpha - tools.before)[~near(RIM, 150)].max() <= 1


def test_a_soft_brush_has_a_soft_rim(tools: Retouch) -> None:
    tools.tool("erase", softness=100).stroke(MIDDLE, (321, 240))
    alpha = tools.done()
    changed = alpha < tools.before - 5
    assert at(alpha, MIDDLE) < 20
    assert (changed & (alpha > 20) & (alpha < 235)).sum() > 30


def test_straight_lines_are_drawn_with_shift(tools: Retouch) -> None:
    tools.tool("keep").stroke((60, 40))
    tools.desk.page.keyboard.down("Shift")
    tools.stroke((60, 430))
    tools.desk.page.keyboard.up("Shift")
    alpha = tools.done()
    assert (alpha[45:425, 60] == 255).all()


def test_strokes_are_taken_back_and_done_again(tools: Retouch) -> None:
    keys = tools.desk.page.keyboard
    tools.tool("erase").stroke(MIDDLE, (330, 240)).tool("keep").stroke(BESIDE, (90, 80))
    tools.desk.view("matte")
    tools.desk.is_seen(MIDDLE, (0, 0, 0))
    tools.desk.is_seen(BESIDE, (255, 255, 255))
    keys.press("Control+z")
    tools.desk.is_seen(BESIDE, (0, 0, 0))
    tools.desk.page.locator(".retouch-undo").click()
    tools.desk.is_seen(MIDDLE, (255, 255, 255))
    expect(tools.desk.page.locator(".retouch-undo")).to_be_disabled()
    keys.press("Control+Shift+z")
    tools.desk.page.locator(".retouch-redo").click()
    tools.desk.is_seen(BESIDE, (255, 255, 255))
    keys.press("Control+z")
    alpha = tools.done()
    assert at(alpha, MIDDLE) == 0
    assert at(alpha, BESIDE) == at(tools.before, BESIDE)


def test_undoing_everything_gives_the_very_matte_of_before(tools: Retouch) -> None:
    tools.tool("erase").stroke(MIDDLE, (330, 240)).tool("edge").stroke(RIM, (480, 260))
    for _ in range(2):
        tools.desk.page.keyboard.press("Control+z")
    assert (tools.done() == tools.before).all()


@pytest.fixture
def two(desk: Desk, tmp_path: Path) -> Retouch:
    """Two balls."""
    y, x = np.mgrid[:480, :640]
    inside = (np.hypot(x - 170, y - 240) < 110) | (np.hypot(x - 470, y - 240) < 110)
    rgb = np.where(inside[..., None], BALL, GROUND).astype(np.uint8)
    Image.fromarray(rgb).save(tmp_path / "two.png")
    desk.open().pick(tmp_path / "two.png").done()
    desk.is_seen((170, 240), BALL)
    return Retouch(desk)


LEFT, RIGHT = (170, 240), (470, 240)


def test_a_click_removes_an_object_and_another_brings_it_back(two: Retouch) -> None:
    assert min(at(two.before, LEFT), at(two.before, RIGHT)) > 250
    two.tool("drop").stroke(RIGHT)
    two.desk.view("matte")
    two.desk.is_seen(RIGHT, (0, 0, 0))
    two.desk.is_seen(LEFT, (255, 255, 255))
    two.tool("add").stroke(RIGHT)
    two.desk.is_seen(RIGHT, (255, 255, 255))
    two.desk.page.keyboard.press("Control+z")
    alpha = two.done()
    assert at(alpha, RIGHT) < 5
    assert at(alpha, LEFT) > 250


def test_a_box_leaves_only_what_is_in_it(two: Retouch) -> None:
    alpha = two.tool("box").stroke((40, 100), (300, 390)).done()
    assert at(alpha, LEFT) > 250
    assert at(alpha, RIGHT) < 5


def test_tools_and_sizes_have_keys(tools: Retouch) -> None:
    page = tools.desk.page
    page.locator(".stage-port").focus()
    for key, name in {"e": "erase", "b": "edge", "k": "keep"}.items():
        page.keyboard.press(key)
        expect(page.locator(f".tool-{name} input")).to_be_checked()
    size = page.locator("output[for=brush-size]")
    before = size.inner_text()
    page.keyboard.press("]")
    assert size.inner_text() != before
    page.keyboard.press("[")
    soft = page.locator("output[for=brush-soft]")
    softness = soft.inner_text()
    page.keyboard.press("Shift+]")
    assert soft.inner_text() != softness


def test_a_crosshair_draws_by_keyboard_alone(tools: Retouch) -> None:
    page = tools.desk.page
    page.locator(".stage-port").focus()
    page.keyboard.press("e")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    tools.settled()
    assert at(tools.done(), MIDDLE) == 0


def test_the_original_is_seen_while_its_button_is_held(tools: Retouch) -> None:
    desk = tools.desk
    desk.background("white")
    peek = desk.page.locator(".retouch-peek").bounding_box()
    assert peek
    desk.page.mouse.move(peek["x"] + 9, peek["y"] + 9)
    desk.page.mouse.down()
    expect(desk.page.locator('.stage-port[data-view="original"]')).to_be_visible()
    desk.page.mouse.up()
    expect(desk.page.locator('.stage-port[data-view="cutout"]')).to_be_visible()


def test_a_retouch_is_kept_when_another_picture_is_looked_at(
    tools: Retouch, photos: dict[str, Path]
) -> None:
    desk = tools.desk
    tools.tool("erase").stroke(MIDDLE, (330, 240))
    desk.pick(photos["chelsea"])
    expect(desk.page.locator(".retouch-bar")).to_be_hidden()
    desk.done(2)
    desk.card("ball").locator(".choose").click()
    desk.settle()
    desk.done(2)
    assert pixels(desk.download("png")[1])[240, 320, 3] == 0


def test_a_retouched_matte_goes_through_settings_and_formats(tools: Retouch) -> None:
    tools.tool("erase").stroke(MIDDLE, (330, 240)).done()
    desk = tools.desk
    desk.background("blue")
    rgb = pixels(desk.download("jpg")[1]).astype(int)
    assert np.abs(rgb[240, 320] - (67, 142, 219)).max() <= 12
    assert np.abs(rgb[240, 220] - BALL).max() <= 12
    desk.background("checker").choose("crop")
    assert pixels(desk.download("png")[1]).shape[0] < 400


def test_a_stroke_that_the_server_refuses_is_taken_back_and_told(tools: Retouch) -> None:
    desk = tools.desk
    desk.expected.append("503")
    body = '{"code": "out-of-memory", "detail": "there is not enough memory", "status": 503}'
    desk.page.route("**/v1/cutouts", lambda route: route.fulfill(status=503, body=body))
    tools.tool("erase").stroke(MIDDLE, (330, 240))
    expect(desk.page.locator("#toasts, #stage")).to_contain_text(["memory"])
    desk.page.unroute("**/v1/cutouts")
    desk.view("matte")
    desk.is_seen(MIDDLE, (255, 255, 255))
    tools.stroke(BESIDE, (90, 80))
    tools.tool("erase").stroke(MIDDLE, (330, 240))
    assert at(tools.done(), MIDDLE) == 0
