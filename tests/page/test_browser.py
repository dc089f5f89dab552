"""integrations/browser: the static page that cuts out by itself, built as it is published."""

from __future__ import annotations

import base64
import functools
import http.server
import importlib.util
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, expect

from cleancut.catalog import find
from cleancut.imaging.decode import decode
from cleancut.models.load import Placing, load
from tests.page.desk import PHONE, Desk, pixels, watched
from tests.page.test_access import troubles

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.weights, pytest.mark.page]
#: Mattes of the page from those of the engine's network, same picture and weights.
MEAN, LARGEST = 1e-5, 5e-3
#: A HEIC file's first bytes; what follows does not matter to a browser that cannot read any.
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)


def builder() -> Any:
    spec = importlib.util.spec_from_file_location(
        "browser_build", ROOT / "integrations" / "browser" / "build.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("browser") / "dist"
    builder().build(target)
    return target


class Plain(http.server.SimpleHTTPRequestHandler):
    """A host that can do no more than give files away."""

    def log_message(self, *said: object) -> None:
        pass


@contextmanager
def hosted(folder: Path) -> Iterator[tuple[str, http.server.ThreadingHTTPServer]]:
    handler = functools.partial(Plain, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def site(dist: Path) -> Iterator[str]:
    with hosted(dist) as (url, _):
        yield url


@pytest.fixture(scope="module")
def desk(browser: Browser, site: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One window for most tests: every visit loads 19 MB and starts a network."""
    with watched(browser, site, folder=tmp_path_factory.mktemp("desk")) as opened:
        yield opened.open()


def cut(desk: Desk, path: Path) -> Locator:
    """Choose a picture and wait until the page has said what came of it."""
    desk.page.locator("#file").set_input_files(path)
    expect(desk.page.locator("html[data-busy]")).to_have_count(0)
    return desk.page.locator("#said")


def saved(desk: Desk) -> Any:
    with desk.page.expect_download() as coming:
        desk.page.locator("#save").click()
    return pixels(Path(coming.value.path()))


def test_the_matte_is_the_engines(desk: Desk, photos: dict[str, Path]) -> None:
    matte = desk.page.evaluate(
        """async (bytes) => {
          const { cutter } = await import("./app.js");
          const { opened } = await import("./picture.js");
          const data = Uint8Array.from(atob(bytes), (one) => one.charCodeAt(0));
          const { bitmap, width, height } = await opened(new Blob([data]));
          return [...(await cutter.cut(bitmap, width, height)).matte];
        }""",
        base64.b64encode(photos["astronaut"].read_bytes()).decode(),
    )
    rgb = decode(photos["astronaut"].read_bytes()).rgb
    wanted = load(find("cleancut-nano"), Placing(backend="ort", precision="f32")).predict(rgb).alpha
    away = np.abs(np.array(matte, np.float32).reshape(320, 320) - wanted)
    print(f"matte: mean {away.mean():.1e}, largest {away.max():.1e}")
    assert away.mean() < MEAN
    assert away.max() < LARGEST


def test_a_picture_becomes_a_cutout_of_its_size(desk: Desk, photos: dict[str, Path]) -> None:
    expect(cut(desk, photos["astronaut"])).to_contain_text("Done in")
    found = saved(desk)
    given = pixels(photos["astronaut"])
    assert found.shape == (*given.shape[:2], 4)
    alpha = found[..., 3]
    assert 0.2 < (alpha > 250).mean() < 0.8
    assert (alpha[:20, :20] == 0).all()
    inside = alpha == 255
    assert np.abs(found[inside][:, :3].astype(int) - given[inside]).max() <= 2
    desk.page.locator("input[value='#ffffff']").check()
    assert saved(desk)[5, 5].tolist() == [255, 255, 255, 255]
    desk.shoot("browser-cutout")


def test_nothing_leaves_and_nothing_is_needed_after_the_first_visit(
    browser: Browser, dist: Path, photos: dict[str, Path], tmp_path: Path
) -> None:
    with hosted(dist) as (url, server), watched(browser, url, folder=tmp_path) as desk:
        asked: list[str] = []
        desk.open()
        desk.page.context.on("request", lambda request: asked.append(request.url))
        cut(desk, photos["chelsea"])
        saved(desk)
        assert [one for one in asked if not one.startswith("blob:")] == []
        server.shutdown()
        server.server_close()
        desk.open()
        # What a host that can only give files away cannot say, the service worker does.
        assert desk.page.evaluate("crossOriginIsolated")
        assert int(desk.page.locator("html").get_attribute("data-threads") or 0) >= min(
            2, os.cpu_count() or 1
        )
        expect(cut(desk, photos["astronaut"])).to_contain_text("Done in")
        refused = desk.page.evaluate(
            "fetch('http://192.0.2.1/').then(() => 'sent', () => 'refused')"
        )
        assert refused == "refused"
        desk.expected += ["192.0.2.1", "Content Security Policy"]


def test_what_is_no_picture_is_refused_in_words(desk: Desk, photos: dict[str, Path]) -> None:
    for name, data, word in (
        ("empty.jpg", b"", "empty"),
        ("text.png", b"no picture", "cannot open the file as a picture"),
        ("cut-off.jpg", photos["astronaut"].read_bytes()[:300], "cannot open"),
        ("photo.heic", HEIC, "HEIC"),
    ):
        (desk.folder / name).write_bytes(data)
        expect(cut(desk, desk.folder / name)).to_contain_text(word)
    expect(cut(desk, photos["astronaut"])).to_contain_text("Done in")
    expect(desk.page.locator("#said")).not_to_have_class("bad")


def test_pictures_stand_as_the_camera_was_held(desk: Desk, photos: dict[str, Path]) -> None:
    with Image.open(photos["astronaut"]) as image:
        lying = image.convert("RGB").crop((0, 0, 512, 400)).transpose(Image.Transpose.ROTATE_90)
        exif = Image.Exif()
        exif[0x0112] = 6
        lying.save(desk.folder / "lying.jpg", quality=95, exif=exif)
    cut(desk, desk.folder / "lying.jpg")
    assert saved(desk).shape == (400, 512, 4)


def test_a_damaged_network_is_told(browser: Browser, dist: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(dist, broken, copy_function=os.link)
    (network,) = (broken / "model").glob("*.onnx")
    data = bytearray(network.read_bytes())
    data[len(data) // 2] ^= 1
    network.unlink()
    network.write_bytes(data)
    with hosted(broken) as (url, _), watched(browser, url, folder=tmp_path) as desk:
        desk.page.goto(url + "/")
        expect(desk.page.locator("#said")).to_contain_text("damaged")


def usable(desk: Desk, name: str, photo: Path) -> None:
    """Nothing is in anybody's way on a page that has just been opened, nor after a picture."""
    assert troubles(desk.page) == []
    desk.shoot(f"{name}-empty")
    cut(desk, photo)
    assert troubles(desk.page) == []
    desk.shoot(name)
    moved, what = desk.shifted()
    assert moved < 0.01, what
    width = desk.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert width <= 0


def test_everybody_can_use_it_in_the_dark(
    browser: Browser, site: str, tmp_path: Path, photos: dict[str, Path]
) -> None:
    look = {"locale": "zh-CN", "color_scheme": "dark"}
    with watched(browser, site, folder=tmp_path, **look) as desk:
        usable(desk.open(), "browser-dark-zh-CN", photos["astronaut"])


def test_everybody_can_use_it_on_a_phone_which_makes_large_pictures_smaller_and_says_so(
    browser: Browser, site: str, tmp_path: Path, photos: dict[str, Path]
) -> None:
    look = {"viewport": PHONE, "has_touch": True, "is_mobile": True, "locale": "zh-CN"}
    with Image.open(photos["astronaut"]) as image:
        image.convert("RGB").resize((4020, 4020)).save(tmp_path / "large.jpg", quality=60)
    with watched(browser, site, folder=tmp_path, **look) as desk:
        usable(desk.open(), "browser-light-zh-CN-phone", photos["astronaut"])
        expect(cut(desk, tmp_path / "large.jpg")).to_contain_text("已缩小为 16.0 百万像素")
        desk.shoot("browser-phone")


def test_it_can_be_dropped_pasted_and_used_without_a_mouse(
    desk: Desk, photos: dict[str, Path]
) -> None:
    for take, name in ((desk.drop, "astronaut"), (desk.paste, "chelsea")):
        with Image.open(photos[name]) as image:
            image.convert("RGB").resize((240, 200)).save(desk.folder / f"{name}.jpg")
        take(desk.folder / f"{name}.jpg")
        expect(desk.page.locator("html[data-busy]")).to_have_count(0)
        expect(desk.page.locator("#said")).to_contain_text("Done in")
        assert saved(desk).shape == (200, 240, 4)
    with desk.page.expect_file_chooser():  # long before the key: the browser is told on the side
        desk.page.locator("#slider").focus()
        for _ in range(5):
            desk.page.keyboard.press("PageUp")
        assert int(desk.page.locator("#slider").input_value()) >= 5
        desk.page.keyboard.press("Tab")
        expect(desk.page.locator("#another")).to_be_focused()
        desk.page.keyboard.press("Enter")


def test_edges_are_nearer_to_the_truth_than_the_matte_made_larger(desk: Desk) -> None:
    """A blob of one colour on a noisy ground, its matte an eighth of its size."""
    y, x = np.mgrid[:160, :160].astype(np.float32)
    truth = np.clip(
        50 + 12 * np.sin(np.arctan2(y - 80, x - 80) * 6) - np.hypot(y - 80, x - 80), 0, 1
    )
    ground = np.random.default_rng(1).normal(60, 8, (160, 160, 3))
    rgb = (truth[..., None] * (220, 120, 60) + (1 - truth[..., None]) * ground).clip(0, 255)
    small = np.asarray(Image.fromarray(truth).resize((20, 20), Image.Resampling.BOX))
    large = np.asarray(Image.fromarray(small).resize((160, 160), Image.Resampling.BILINEAR))
    found = desk.page.evaluate(
        """async ([rgba, small]) => {
          const { cutOut } = await import("./matte.js");
          const pixels = new Uint8ClampedArray(rgba);
          cutOut(pixels, 160, 160, new Float32Array(small), 20, 20);
          return [...pixels];
        }""",
        [
            np.dstack([rgb.round(), np.full((160, 160), 255)]).astype(int).ravel().tolist(),
            small.ravel().tolist(),
        ],
    )
    cutout = np.array(found, np.float32).reshape(160, 160, 4)
    error = np.abs(cutout[..., 3] / 255 - truth).mean()
    assert error < 0.85 * np.abs(large - truth).mean()
    rim = (cutout[..., 3] > 60) & (cutout[..., 3] < 200)
    assert np.abs(cutout[rim][:, :3] - (220, 120, 60)).mean() < 40


def test_the_build_pins_what_it_fetches() -> None:
    import json

    lock = json.loads((ROOT / "integrations/browser/package-lock.json").read_text("utf-8"))
    packages = {name: row for name, row in lock["packages"].items() if name}
    assert all(row["integrity"].startswith("sha512-") for row in packages.values())
    assert not any("resolved" in row for row in packages.values())
    page = (ROOT / "integrations/browser/index.html").read_text("utf-8")
    assert "default-src 'none'" in page
    assert "connect-src 'self'" in page


def test_files_stay_small() -> None:
    folder = ROOT / "integrations" / "browser"
    for path in folder.iterdir():
        if path.suffix in (".html", ".css", ".js", ".py"):
            text = path.read_text("utf-8")
            assert text.count("\n") <= 400
            assert "https://" not in text or path.suffix == ".py"
