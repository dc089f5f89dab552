"""What leaves the page: every format opened, the clipboard, the ZIP."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.page.desk import Desk, pixels
from tests.page.test_intake import picture

pytestmark = [pytest.mark.weights, pytest.mark.page]

#: (row, column) in the astronaut's 512 x 512: her face and suit; the sky, flag and shuttle.
INSIDE, OUTSIDE = [(120, 220), (400, 250)], [(30, 60), (60, 480)]


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize(
    ("format_", "kind", "off"),
    [("png", "PNG", 0), ("webp", "WEBP", 12), ("tiff", "TIFF", 0), ("avif", "AVIF", 12)],
)
def test_a_cutout_is_had_in_every_format_that_holds_transparency(
    desk: Desk, photos: dict[str, Path], format_: str, kind: str, off: int
) -> None:
    desk.open().pick(photos["astronaut"]).done()
    name, data = desk.download(format_)
    image = opened(data)
    assert name == f"astronaut.{format_}"
    assert (image.format, image.mode, image.size) == (kind, "RGBA", (512, 512))
    rgba, photo = np.asarray(image).astype(int), pixels(photos["astronaut"]).astype(int)
    for point in INSIDE:
        assert rgba[point][3] > 245
        assert np.abs(rgba[point][:3] - photo[point][:3]).max() <= off
    for point in OUTSIDE:
        assert rgba[point][3] < 10


def test_a_jpeg_stands_on_white_and_has_the_quality_that_was_chosen(
    desk: Desk, photos: dict[str, Path]
) -> None:
    desk.open().pick(photos["astronaut"]).done()
    name, fine = desk.download("jpg")
    image = opened(fine)
    assert (name, image.format, image.mode, image.size) == (
        "astronaut.jpg",
        "JPEG",
        "RGB",
        (512, 512),
    )
    for point in OUTSIDE:
        assert np.asarray(image)[point].min() > 250
    desk.page.locator("#deliver input[type=range]").fill("40")
    assert len(desk.download()[1]) < 0.6 * len(fine)


def test_a_psd_has_the_picture_with_its_matte_as_the_mask_of_its_layer(
    desk: Desk, photos: dict[str, Path]
) -> None:
    psd_tools = pytest.importorskip("psd_tools")
    desk.open().pick(photos["astronaut"]).done()
    name, data = desk.download("psd")
    psd = psd_tools.PSDImage.open(io.BytesIO(data))
    assert name == "astronaut.psd"
    assert (psd.width, psd.height) == (512, 512)
    layers = {layer.name: layer for layer in psd.descendants()}
    photo = pixels(photos["astronaut"])[..., :3]
    assert np.abs(255 * layers["Original"].numpy("color") - photo).max() <= 1
    subject = layers["Subject"]
    assert subject.is_visible()
    mask = np.zeros((512, 512), int)
    left, top, right, bottom = subject.mask.bbox
    mask[top:bottom, left:right] = np.asarray(subject.mask.topil())
    assert all(mask[point] > 245 for point in INSIDE)
    assert all(mask[point] < 10 for point in OUTSIDE)
    colours = 255 * subject.numpy("color")
    assert all(np.abs(colours[point] - photo[point]).max() <= 2 for point in INSIDE)


def test_the_clipboard_gets_the_cutout_as_a_png(desk: Desk, photos: dict[str, Path]) -> None:
    desk.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    desk.open().pick(photos["astronaut"]).done()
    desk.page.locator("#copy").click()
    expect(desk.page.locator("#toasts .toast")).to_be_visible()
    data = desk.page.evaluate(
        """async () => {
          const [item] = await navigator.clipboard.read();
          const blob = await item.getType("image/png");
          return [...new Uint8Array(await blob.arrayBuffer())];
        }"""
    )
    rgba = pixels(bytes(data))
    assert rgba.shape == (512, 512, 4)
    assert all(rgba[point][3] > 245 for point in INSIDE)
    assert all(rgba[point][3] < 10 for point in OUTSIDE)


def test_all_results_come_in_one_zip_with_their_own_names(
    desk: Desk, photos: dict[str, Path], tmp_path: Path
) -> None:
    twin = tmp_path / "other" / "chelsea.jpg"
    twin.parent.mkdir()
    Image.open(photos["chelsea"]).convert("RGB").save(twin)
    desk.open().pick(photos["astronaut"], photos["chelsea"], twin).done(3)
    desk.page.locator("#format").select_option("webp")
    name, data = desk.download_all()
    assert name.endswith(".zip")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["astronaut.webp", "chelsea.webp", "chelsea (2).webp"]
        sizes = [opened(archive.read(part)).size for part in archive.namelist()]
    assert sizes == [(512, 512), (451, 300), (451, 300)]


def test_a_folder_keeps_its_order_in_the_zip(desk: Desk, tmp_path: Path) -> None:
    for name in ("shop/one.png", "shop/red/two.png", "shop/notes.txt"):
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.suffix == ".txt":
            target.write_text("no picture")
        else:
            picture(tmp_path, name)
    desk.open()
    desk.page.locator("#pick-folder").set_input_files(tmp_path / "shop")
    desk.done(2)
    with zipfile.ZipFile(io.BytesIO(desk.download_all()[1])) as archive:
        assert sorted(archive.namelist()) == ["shop/one.png", "shop/red/two.png"]


def test_leaving_with_results_that_were_not_downloaded_is_warned_of(
    desk: Desk, photos: dict[str, Path]
) -> None:
    asked: list[str] = []
    desk.page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    desk.open().pick(photos["chelsea"]).done()
    desk.page.locator("#overall, h1").first.click()  # browsers ask only whom they saw act
    desk.page.close(run_before_unload=True)
    desk.page.wait_for_event("close")
    assert asked == ["beforeunload"]


def test_a_download_that_fails_says_why(desk: Desk, photos: dict[str, Path]) -> None:
    desk.expected.append("status of 503")
    desk.open().pick(photos["chelsea"]).done()
    body = '{"code": "out-of-memory", "detail": "there is not enough memory", "status": 503}'
    desk.page.route("**/v1/cutouts", lambda route: route.fulfill(status=503, body=body))
    desk.page.locator("#format").select_option("webp")
    desk.page.locator("#download").click()
    expect(desk.page.locator("#toasts")).to_contain_text("chelsea.png")
    expect(desk.page.locator("#alarm")).to_contain_text("memory")
