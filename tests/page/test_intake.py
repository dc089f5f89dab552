"""How pictures come in, wait, are called off and tried again."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Route, expect

from tests.page.desk import Desk, watched
from tests.server.process import Running, ended

pytestmark = [pytest.mark.weights, pytest.mark.page]


BALL, GROUND = (200, 60, 40), (90, 140, 160)


def picture(folder: Path, name: str, size: tuple[int, int] = (320, 240), **how: object) -> Path:
    """A disc on a plain ground, in the format that the name says."""
    y, x = np.mgrid[: size[1], : size[0]]
    inside = np.hypot(y - size[1] / 2, x - size[0] / 2) < size[1] / 3
    rgb = np.where(inside[..., None], BALL, GROUND).astype(np.uint8)
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(target, **how)
    return target


def test_pictures_come_by_button_drop_and_paste(
    desk: Desk, photos: dict[str, Path], tmp_path: Path
) -> None:
    desk.open()
    desk.pick(photos["astronaut"]).done(1)
    desk.drop(photos["chelsea"], picture(tmp_path, "disc.webp")).done(3)
    desk.paste(picture(tmp_path, "image.png")).done(4)
    names = desk.page.locator("#gallery .card .name").all_inner_texts()
    assert names[:3] == ["astronaut.png", "chelsea.png", "disc.webp"]
    assert re.fullmatch(r"pasted \d\d-\d\d-\d\d\.png", names[3])


def test_the_button_opens_the_browsers_dialog(desk: Desk, photos: dict[str, Path]) -> None:
    desk.open()
    with desk.page.expect_file_chooser() as chosen:
        desk.page.locator("#choose").click()
    assert chosen.value.is_multiple()
    chosen.value.set_files([photos["chelsea"]])
    desk.done(1)


def test_the_camera_takes_a_picture(desk: Desk) -> None:
    desk.page.context.grant_permissions(["camera"])
    desk.open()
    desk.page.locator("#drop .row button").last.click()
    dialog = desk.page.locator("dialog.camera")
    shutter = dialog.locator("button.primary")
    expect(shutter).to_be_enabled()
    shutter.click()
    expect(dialog).to_have_count(0)
    expect(desk.cards("done").or_(desk.cards("failed"))).to_have_count(1)
    desk.done(1)
    assert desk.page.evaluate("navigator.mediaDevices.enumerateDevices().then((d) => d.length)") > 0


def test_heic_and_avif_are_taken_and_shown(desk: Desk, tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    plain = picture(tmp_path, "plain.png")
    heif.from_pillow(Image.open(plain)).save(tmp_path / "phone.heic", quality=90)
    desk.open().pick(tmp_path / "phone.heic", picture(tmp_path, "web.avif"))
    desk.done(2)
    desk.card("phone.heic").locator(".choose").click()
    shown = desk.page.locator("#gallery .card", has_text="phone.heic").locator("canvas")
    drawn = shown.evaluate(
        "(c) => [...c.getContext('2d').getImageData(c.width / 2, c.height / 2, 1, 1).data]"
    )
    assert drawn[0] > 150
    assert drawn[3] == 255


def test_tiff_and_bmp_that_no_browser_agrees_on_are_taken(desk: Desk, tmp_path: Path) -> None:
    desk.open().pick(picture(tmp_path, "scan.tif"), picture(tmp_path, "old.bmp")).done(2)


def test_what_the_server_would_refuse_is_told_and_not_sent(
    browser: Browser, tmp_path: Path, weights: dict[str, str]
) -> None:
    live = Running(
        tmp_path / "data",
        ("--model", "u2netp", "--max-body", "100kB", "--max-megapixels", "1"),
        env=weights,
    )
    noise = np.random.default_rng(0).integers(0, 255, (400, 400, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "heavy.png")
    (tmp_path / "letter.pdf").write_bytes(b"%PDF-1.7")
    (tmp_path / "nothing.png").write_bytes(b"")
    wide = picture(tmp_path, "wide.png", (1400, 1000))
    with ended(live):
        live.start()
        with watched(browser, live.url, folder=tmp_path) as desk:
            sent = []
            desk.page.on("request", lambda request: sent.append(request.method))
            desk.open()
            told = desk.page.locator("#drop").inner_text()
            assert "JPEG" in told
            assert "HEIC" in told
            assert "100 kB" in told
            assert "1 megapixel" in told
            desk.pick(tmp_path / "heavy.png", tmp_path / "letter.pdf", tmp_path / "nothing.png")
            toast = desk.page.locator("#toasts")
            for name in ("heavy.png", "letter.pdf", "nothing.png"):
                expect(toast).to_contain_text(name)
            assert desk.cards().count() == 0
            desk.pick(wide)
            expect(desk.cards("failed")).to_have_count(1)
            assert "POST" not in sent


def test_many_at_once_wait_in_line_and_their_number_is_told(desk: Desk, tmp_path: Path) -> None:
    desk.open().pick(*(picture(tmp_path, f"{number:02}.jpg") for number in range(24)))
    expect(desk.page.locator("#overall")).to_contain_text("24")
    desk.done(24)
    names = desk.page.locator("#gallery .card .name").all_inner_texts()
    assert names == [f"{number:02}.jpg" for number in range(24)]


def test_work_is_called_off_and_begun_again(desk: Desk, tmp_path: Path) -> None:
    held: list[Route] = []

    def hold_the_first_three(route: Route) -> None:
        if len(held) == 3:
            route.continue_()
        else:
            held.append(route)

    desk.page.route("**/v1/cutouts", hold_the_first_three)
    desk.open().pick(*(picture(tmp_path, f"{number}.jpg") for number in range(3)))
    expect(desk.cards("waiting")).to_have_count(1)
    desk.card("0.jpg").locator(".action").click()
    expect(desk.card("0.jpg")).to_have_attribute("data-state", "cancelled")
    expect(desk.cards("waiting")).to_have_count(0)  # the third has its place
    desk.card("0.jpg").locator(".action").click()
    expect(desk.card("0.jpg")).to_have_attribute("data-state", "waiting")
    desk.card("1.jpg").locator(".action").click()
    expect(desk.card("1.jpg")).to_have_attribute("data-state", "cancelled")
    expect(desk.card("0.jpg")).to_have_attribute("data-state", "done")
    desk.card("2.jpg").locator(".remove").click()
    expect(desk.cards()).to_have_count(2)


def test_a_busy_server_is_waited_for(desk: Desk, tmp_path: Path) -> None:
    """429 with Retry-After: the page comes back by itself, as it was told."""
    refused: list[int] = []

    def refuse(route: Route) -> None:
        if len(refused) < 2:
            refused.append(1)
            body = '{"code": "busy", "detail": "many pictures wait", "status": 429}'
            route.fulfill(status=429, headers={"Retry-After": "1"}, body=body)
        else:
            route.continue_()

    desk.expected.append("429")
    desk.page.route("**/v1/cutouts", refuse)
    desk.open().pick(picture(tmp_path, "a.png")).done(1)
    assert len(refused) == 2


def test_a_server_that_went_away_is_told_and_tried_again(
    browser: Browser, tmp_path: Path, weights: dict[str, str]
) -> None:
    live = Running(tmp_path / "data", ("--model", "u2netp"), env=weights)
    with ended(live):
        live.start()
        with watched(browser, live.url, folder=tmp_path) as desk:
            desk.expected.append("ERR_CONNECTION_REFUSED")
            desk.open()
            live.kill()
            desk.pick(picture(tmp_path, "a.png"))
            expect(desk.cards("failed")).to_have_count(1)
            said = desk.card("a.png").locator(".choose").get_attribute("aria-label") or ""
            assert "server" in said.lower(), said
            desk.shoot("error-desktop")
            live.start()
            desk.card("a.png").locator(".action").click()
            desk.done(1)


def test_a_file_that_is_no_picture_is_explained(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture at all")
    desk.expected.append("400")
    desk.expected.append("415")
    desk.open().pick(tmp_path / "broken.jpg")
    expect(desk.cards("failed")).to_have_count(1)
    expect(desk.page.locator("#stage")).to_contain_text(re.compile("picture|file", re.I))
