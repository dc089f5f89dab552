"""Every control of the panel, and what it does to the pixels of the download."""

from __future__ import annotations

import io
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Request, expect

from tests.page.desk import Desk, pixels
from tests.page.test_download import INSIDE, OUTSIDE
from tests.page.test_intake import picture
from tests.server.process import Running

pytestmark = [pytest.mark.weights, pytest.mark.page]


@pytest.fixture
def astronaut(desk: Desk, photos: dict[str, Path]) -> Desk:
    """The page with the astronaut cut out."""
    return desk.open().pick(photos["astronaut"]).done()


@pytest.fixture
def ball(desk: Desk, tmp_path: Path) -> Desk:
    """The page with a ball cut out, which touches no border and has a crisp edge."""
    return desk.open().pick(picture(tmp_path, "ball.png", (640, 480))).done()


def soft(alpha: NDArray[np.uint8]) -> int:
    """How many pixels are neither in nor out."""
    return int(((alpha > 5) & (alpha < 250)).sum())


def cut_again(desk: Desk) -> Desk:
    """Wait for the cutout that the last change asks for."""
    return desk.done()


@pytest.mark.parametrize(
    ("name", "colour"),
    [("white", (255, 255, 255)), ("black", (0, 0, 0)), ("blue", (67, 142, 219))],
)
def test_a_colour_stands_behind_the_subject(
    astronaut: Desk, photos: dict[str, Path], name: str, colour: tuple[int, int, int]
) -> None:
    found = pixels(astronaut.background(name).download("png")[1])
    photo = pixels(photos["astronaut"])
    for point in OUTSIDE:
        assert np.abs(found[point][:3].astype(int) - colour).max() <= 1
    for point in INSIDE:
        assert np.abs(found[point][:3].astype(int) - photo[point][:3]).max() <= 2


def test_any_colour_may_be_chosen(astronaut: Desk) -> None:
    astronaut.page.locator("#panel input[type=color]").fill("#12ab9f")
    found = pixels(astronaut.download("png")[1])
    assert tuple(found[OUTSIDE[0]][:3]) == (0x12, 0xAB, 0x9F)


def test_an_own_photo_stands_behind_the_subject(astronaut: Desk, tmp_path: Path) -> None:
    Image.new("RGB", (600, 600), (250, 200, 20)).save(tmp_path / "wall.png")
    astronaut.page.locator("#panel .row input[type=file]").set_input_files(tmp_path / "wall.png")
    found = pixels(astronaut.download("png")[1])
    assert np.abs(found[OUTSIDE[0]][:3].astype(int) - (250, 200, 20)).max() <= 2


def test_the_original_is_blurred_behind_the_subject(
    astronaut: Desk, photos: dict[str, Path]
) -> None:
    astronaut.page.locator("#panel button.wide", has_text="lur").click()
    found = pixels(astronaut.download("png")[1])[..., :3].astype(float)
    photo = pixels(photos["astronaut"])[..., :3].astype(float)
    corner = np.s_[20:100, 420:500]  # the flag's or the shuttle's edges
    assert found[corner].std() < 0.9 * photo[corner].std()
    assert abs(found[corner].mean() - photo[corner].mean()) < 12


def test_crop_with_a_margin_leaves_just_the_subject(ball: Desk) -> None:
    ball.choose("crop")
    margin = ball.page.locator("#panel .body[data-name=crop] input[type=range]")
    margin.fill("0")
    tight = pixels(ball.download("png")[1])
    margin.fill("10")
    wide = pixels(ball.download("png")[1])
    assert np.abs(np.array(tight.shape[:2]) - 320).max() <= 8  # the ball's diameter
    for edge in (tight[0], tight[-1], tight[:, 0], tight[:, -1]):
        assert (edge[..., 3] > 0).any()
    assert np.abs(np.array(wide.shape[:2]) - 384).max() <= 10
    for edge in (wide[0], wide[-1], wide[:, 0], wide[:, -1]):
        assert (edge[..., 3] < 5).all()


def test_edges_are_sharp_natural_or_soft(ball: Desk) -> None:
    natural = pixels(ball.download("png")[1])[..., 3]
    softer = pixels(cut_again(ball.choose("soft")).download()[1])[..., 3]
    sharp = pixels(cut_again(ball.choose("sharp")).download()[1])[..., 3]
    assert soft(softer) > 1.5 * soft(natural)
    assert soft(sharp) < soft(softer)
    assert sharp.astype(int).sum() < natural.astype(int).sum()


def test_a_shadow_is_kept_or_dropped_in(astronaut: Desk) -> None:
    none = pixels(astronaut.download("png")[1])[..., 3].astype(int)
    drop = pixels(cut_again(astronaut.choose("drop")).download()[1])
    grown = (drop[..., 3].astype(int) - none) > 20
    assert grown.sum() > 500
    assert drop[..., :3][grown].max(axis=1).mean() < 60  # it is dark


def test_another_model_is_asked_for_and_its_licence_told(astronaut: Desk) -> None:
    asked: list[Request] = []
    astronaut.page.on("request", lambda request: asked.append(request))
    model = astronaut.page.locator("#panel select").first
    assert "isnet" in model.evaluate("(s) => [...s.options].map((o) => o.value)")
    model.select_option("isnet")
    cut_again(astronaut)
    expect(astronaut.page.locator("#panel .licence")).to_contain_text("Apache")
    answers = [request.response() for request in asked if request.method == "POST"]
    assert [answer.headers["x-model"] for answer in answers if answer] == ["isnet"]


def test_every_shop_has_its_size_and_ground(astronaut: Desk, server: Running) -> None:
    told = httpx.get(f"{server.url}/v1/presets").json()
    rows = told["presets"] if isinstance(told, dict) else told
    shops = {row["id"]: row["options"] for row in rows if row["group"] == "shop"}
    assert {"amazon", "ebay", "shopify", "etsy"} <= set(shops)
    astronaut.choose("shop")
    presets = astronaut.page.locator("#panel .body[data-name=shop] select")
    for name in ("amazon", "ebay"):
        presets.select_option(name)
        image = Image.open(io.BytesIO(astronaut.download("jpg")[1]))
        canvas = shops[name].get("canvas")
        if canvas:
            assert f"{image.width}x{image.height}" == canvas, name
        if shops[name].get("background") == "white":
            assert min(image.getpixel((1, 1))) > 250


def test_the_background_that_a_shop_brought_leaves_with_it(astronaut: Desk) -> None:
    astronaut.choose("shop").choose("whole")
    assert pixels(astronaut.download("png")[1])[0, 0, 3] == 0, "transparent, as before the shop"
    astronaut.choose("shop").background("blue").choose("whole")
    corner = pixels(astronaut.download("png")[1])[0, 0]
    assert tuple(corner[:3]) == (67, 142, 219), "what the user chose stays"


def test_an_own_size_in_millimetres_has_its_dots_per_inch(astronaut: Desk) -> None:
    astronaut.choose("own")
    body = astronaut.page.locator("#panel .body[data-name=own]")
    body.locator("select").select_option("mm")
    body.locator("input").nth(0).fill("50")
    body.locator("input").nth(1).fill("40")
    body.locator("input").nth(1).blur()
    image = Image.open(io.BytesIO(astronaut.download("png")[1]))
    assert image.size == (591, 472)
    assert [round(float(dpi)) for dpi in image.info["dpi"]] == [300, 300]


def test_settings_and_language_are_remembered(ball: Desk) -> None:
    desk = ball
    desk.choose("sharp").choose("crop").background("blue")
    desk.page.locator("#format").select_option("webp")
    desk.page.locator("#language").select_option("zh")
    again = desk.page.context.new_page()
    again.goto(desk.url)
    again.locator("html[data-ready]").wait_for()
    assert again.locator("html").get_attribute("lang") in ("zh", "zh-CN", "zh-Hans")
    for value in ("sharp", "crop"):
        expect(again.locator(f'#panel input[value="{value}"]')).to_be_checked()
    expect(again.locator("#format")).to_have_value("webp")
    expect(again.locator("#panel .tile:has(.swatch.blue)")).to_have_attribute(
        "aria-pressed", "true"
    )


def test_kept_settings_that_are_broken_are_forgotten(desk: Desk) -> None:
    desk.page.add_init_script(
        """localStorage.setItem("cleancut.settings", '{"version": 1, "values": {"edge": 7,'
        + '"margin": "x", "background": {"kind": "photo"}, "__proto__": {"a": 1}, "format": 3}}')"""
    )
    desk.open()
    expect(desk.page.locator('#panel input[value="natural"]')).to_be_checked()
    desk.page.evaluate("localStorage.setItem('cleancut.settings', '{')")
    desk.open()


def test_day_and_night_are_switched_and_follow_the_system(desk: Desk) -> None:
    desk.open()

    def ground() -> int:
        text = desk.page.evaluate("getComputedStyle(document.body).backgroundColor")
        return int(text.split("(")[1].split(",")[0])

    assert ground() > 200
    desk.page.emulate_media(color_scheme="dark")
    assert ground() < 60
    desk.page.locator("#theme").click()  # light
    assert ground() > 200
    desk.page.emulate_media(color_scheme="light")
    desk.page.locator("#theme").click()  # dark
    assert ground() < 60
    desk.page.reload()
    desk.page.locator("html[data-ready]").wait_for()
    assert ground() < 60
