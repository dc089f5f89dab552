"""ID photos: the head where the rule wants it, dots per inch, sheets, and who cannot have one."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, expect

from tests.page.desk import Desk, pixels, watched
from tests.server.process import Running

pytestmark = [pytest.mark.weights, pytest.mark.page]

BLUE = (67, 142, 219)


def id_photo(desk: Desk, preset: str = "icao") -> Desk:
    """Ask for an ID photo of this kind."""
    desk.choose("id")
    desk.page.locator("#panel .body[data-name=id] select").first.select_option(preset)
    return desk


def person(rgb: NDArray[np.uint8], ground: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Where the picture is not its ground."""
    return np.asarray(np.abs(rgb.astype(int) - ground).max(axis=2) > 40)


@pytest.mark.parametrize(
    ("preset", "size", "head", "above"),
    [
        ("icao", (413, 531), 0.755, 0.09),
        ("us", (600, 600), 0.59, 0.10),
        ("china-passport", (390, 567), 0.635, 0.083),
    ],
)
def test_the_head_is_where_the_rule_wants_it(
    desk: Desk,
    photos: dict[str, Path],
    preset: str,
    size: tuple[int, int],
    head: float,
    above: float,
) -> None:
    desk.open().pick(photos["astronaut"]).done()
    id_photo(desk, preset)
    desk.choose("#438edb", "#panel .body[data-name=id]")
    name, data = desk.download("jpg")
    image = Image.open(io.BytesIO(data))
    assert (name, image.size) == ("astronaut.jpg", size)
    assert [round(float(dpi)) for dpi in image.info["dpi"]] == [300, 300]
    there = person(np.asarray(image), BLUE)
    assert np.abs(np.asarray(image)[4, 4].astype(int) - BLUE).max() < 12
    crown = int(np.argmax(there.sum(axis=1) > 4))
    assert abs(crown / size[1] - above) < 0.04
    # Hair is nearly symmetric; the ears' height is a third of the head below the crown.
    columns = np.flatnonzero(there[crown + int(0.35 * head * size[1])])
    middle = (columns[0] + columns[-1]) / 2
    assert abs(middle / size[0] - 0.5) < 0.06
    assert head - 0.1 < (columns[-1] - columns[0]) / (0.75 * size[1]) < head + 0.25


def test_a_sheet_repeats_it_on_paper(desk: Desk, photos: dict[str, Path]) -> None:
    desk.open().pick(photos["astronaut"]).done()
    id_photo(desk)
    desk.choose("#438edb", "#panel .body[data-name=id]")
    desk.page.locator("#panel .body[data-name=id] select").nth(1).select_option("10x15cm")
    image = Image.open(io.BytesIO(desk.download("jpg")[1]))
    assert sorted(image.size) == [1181, 1772]
    assert [round(float(dpi)) for dpi in image.info["dpi"]] == [300, 300]
    near_blue = np.abs(np.asarray(image).astype(int) - BLUE).max(axis=2) < 30
    assert 0.15 < near_blue.mean() < 0.8
    assert min(image.getpixel((5, 5))) > 240  # the paper


def test_a_picture_without_a_person_is_explained(desk: Desk, photos: dict[str, Path]) -> None:
    desk.expected.append("422")
    desk.open().pick(photos["chelsea"]).done()
    id_photo(desk)
    expect(desk.page.locator("#stage .stage-say.trouble")).to_contain_text("person")
    desk.shoot("id-nobody-desktop")
    desk.page.locator("#download").click()
    expect(desk.page.locator("#alarm")).to_contain_text("person")


def test_two_people_are_one_too_many(desk: Desk, photos: dict[str, Path], tmp_path: Path) -> None:
    alone = pixels(photos["astronaut"])[..., :3]
    Image.fromarray(np.hstack([alone, alone[:, ::-1]])).save(tmp_path / "two.png")
    desk.expected.append("422")
    desk.open().pick(tmp_path / "two.png").done()
    id_photo(desk)
    told = desk.page.locator("#stage .stage-say.trouble")
    expect(told).to_contain_text("one person")


def test_leaving_the_mode_leaves_its_size(desk: Desk, photos: dict[str, Path]) -> None:
    desk.open().pick(photos["astronaut"]).done()
    id_photo(desk)
    desk.choose("whole")
    assert Image.open(io.BytesIO(desk.download("png")[1])).size == (512, 512)


def test_in_chinese_the_sizes_of_china_come_first(
    browser: Browser, server: Running, photos: dict[str, Path], tmp_path: Path
) -> None:
    with watched(browser, server.url, folder=tmp_path, locale="zh-CN") as desk:
        desk.open().pick(photos["astronaut"]).done()
        desk.choose("id")
        sizes = desk.page.locator("#panel .body[data-name=id] select").first
        assert sizes.evaluate("s => s.value").startswith("cn")
        models = desk.page.locator("#panel .part[data-name=cut] select").first
        told = models.evaluate("s => [...s.options].map((o) => o.text)")
        assert not [one for one in told if re.search(r"[a-z]{3,} [a-z]{3,}", one)], told
