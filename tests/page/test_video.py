"""Videos on the page: brought, set, watched, called off, looked at, fetched."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Browser, Route, expect

from tests.page.desk import Desk, watched
from tests.page.test_access import LOOKS, troubles
from tests.server.process import Running
from tests.server.test_video_work import make_clip

pytest.importorskip("av", reason="the extra video is not installed")
pytestmark = [pytest.mark.weights, pytest.mark.page]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clips") / "wander.mp4", frames=12, size=(96, 64))


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clips") / "long.mp4", frames=3000, size=(96, 64))


@pytest.fixture(scope="module")
def finished(server: Running, clip: Path) -> str:
    """A job that is done."""
    with clip.open("rb") as file:
        answer = httpx.post(f"{server.url}/v1/jobs", files={"video": file}, data={"output": "webm"})
    job: str = answer.json()["id"]
    until = time.monotonic() + 120
    while time.monotonic() < until:
        found = httpx.get(f"{server.url}/v1/jobs/{job}", params={"wait": 5}, timeout=30).json()
        if found["status"] == "done":
            return job
    raise AssertionError(found)


@pytest.fixture
def film(desk: Desk) -> Iterator[Desk]:
    """The page with its part for videos open."""
    desk.open().page.get_by_role("button", name="Video", exact=True).click()
    expect(desk.page.locator("#choose-video")).to_be_visible()
    yield desk
    cancel = desk.page.locator("#video-cancel")
    if cancel.is_visible():
        cancel.click()
        expect(desk.page.locator("#video[data-state=working]")).to_have_count(0)


def pick(desk: Desk, path: Path) -> None:
    desk.page.locator("#pick-video").set_input_files(path)


def state(desk: Desk, name: str) -> None:
    # Videos are done behind everything else: on a busy machine "done" takes a while.
    expect(desk.page.locator(f"#video[data-state={name}]")).to_be_visible(timeout=120_000)


def go(desk: Desk) -> None:
    desk.page.locator("#video-start-job").click()


def remember(desk: Desk, job: str) -> None:
    """As if ``job`` had been begun in an earlier visit."""
    desk.page.evaluate(
        "(kept) => localStorage.setItem('cleancut.video', JSON.stringify(kept))",
        {"job": job, "name": "wander.mp4"},
    )


def fetched(desk: Desk) -> tuple[str, bytes]:
    with desk.page.expect_download() as had:
        desk.page.locator("#video-download").click()
    target = desk.folder / "had"
    had.value.save_as(target)
    return had.value.suggested_filename, target.read_bytes()


def test_a_dropped_video_loses_its_background(desk: Desk, clip: Path) -> None:
    desk.open().drop(clip)
    state(desk, "chosen")
    expect(desk.page.locator(".video-name")).to_have_text("wander.mp4")
    go(desk)
    state(desk, "done")
    player = desk.page.locator(".video-frame video")
    player.evaluate("(v) => v.readyState >= 2 || new Promise((r) => { v.oncanplay = r; })")
    assert player.evaluate("(v) => [v.videoWidth, v.videoHeight]") == [96, 64]
    corner = player.evaluate(
        """(v) => {
          const c = Object.assign(document.createElement("canvas"), { width: 96, height: 64 });
          const on = c.getContext("2d");
          on.drawImage(v, 0, 0);
          return on.getImageData(2, 2, 1, 1).data[3];
        }"""
    )
    assert corner == 0, "the result is transparent in the corner"
    name, data = fetched(desk)
    assert name == "wander.webm"
    assert data.startswith(b"\x1aE\xdf\xa3")
    shift, what = desk.shifted()
    assert shift < 0.02, what


def test_a_finished_video_is_still_there_after_a_reload(film: Desk, clip: Path) -> None:
    pick(film, clip)
    go(film)
    state(film, "done")
    film.open()
    state(film, "done")
    expect(film.page.locator("#video-download")).to_be_visible()
    assert fetched(film)[0] == "wander.webm"


def test_work_is_watched_found_again_and_called_off(film: Desk, long_clip: Path) -> None:
    pick(film, long_clip)
    go(film)
    state(film, "working")
    expect(film.page.locator(".video-facts")).to_contain_text("frames")
    expect(film.page.locator(".stage-card .video-name")).to_have_text("long.mp4")
    film.open()
    state(film, "working")
    expect(film.page.locator(".video-facts")).to_contain_text("a second")
    film.page.locator("#video-cancel").click()
    state(film, "empty")
    film.open()
    expect(film.page.locator("#desk")).to_be_visible()


def test_settings_become_fields_of_the_request(film: Desk, clip: Path) -> None:
    sent: list[str] = []

    def see(route: Route) -> None:
        sent.append((route.request.post_data_buffer or b"").decode("latin-1"))
        route.fulfill(
            status=503, json={"code": "storage-failed", "detail": "full", "hint": ""}, headers={}
        )

    film.expected.append("503")
    film.page.route("**/v1/jobs", see)
    pick(film, clip)
    film.choose("colour", "#video")
    expect(film.page.locator("#video-output")).to_have_value("mp4")
    film.page.locator("#video-output").select_option("webm")
    expect(film.page.locator("#video-output-about")).not_to_contain_text("ransparent")
    film.page.locator("#video-stop").fill("0:00.8")
    film.page.locator("#video-stop").press("Enter")
    film.page.locator("#video-panel, .video-panel").locator("summary").click()
    film.page.get_by_label("Keep the sound").uncheck()
    go(film)
    state(film, "failed")
    expect(film.page.locator(".stage-card.trouble")).to_contain_text("no room")
    for name, value in (
        *(("kind", "video"), ("background", "#00b140"), ("output", "webm")),
        *(("stop", "0:00.8"), ("audio", "false")),
    ):
        assert f'name="{name}"\r\n\r\n{value}\r\n' in sent[0], name
    assert 'name="start"' not in sent[0]
    film.button("Try again").click()
    state(film, "chosen")
    expect(film.page.locator("#video-stop")).to_have_value("0:00.8")


def test_times_are_set_by_keyboard_and_checked(film: Desk, clip: Path) -> None:
    pick(film, clip)
    start = film.page.get_by_role("slider", name="From")
    start.focus()
    for _ in range(3):
        film.page.keyboard.press("ArrowRight")
    expect(film.page.locator("#video-start")).to_have_value("0:00.3")
    film.page.locator("#video-stop").fill("nonsense")
    film.page.locator("#video-stop").press("Enter")
    expect(film.page.locator(".span .trouble")).to_be_visible()
    film.page.locator("#video-stop").fill("1")
    film.page.locator("#video-stop").press("Enter")
    expect(film.page.locator(".span .trouble")).to_be_hidden()


def test_the_first_handle_can_be_taken_back_from_the_end(film: Desk, long_clip: Path) -> None:
    pick(film, long_clip)
    start = film.page.get_by_role("slider", name="From")
    expect(start).to_have_attribute("max", "300")
    start.focus()
    film.page.keyboard.press("End")
    expect(film.page.locator("#video-start")).to_have_value("4:59.9")
    box = start.bounding_box()
    assert box is not None
    place = {"x": box["x"] + box["width"] - 10, "y": box["y"] + box["height"] / 2}
    top = "({ x, y }) => document.elementFromPoint(x, y).dataset.name"
    assert film.page.evaluate(top, place) == "start"


def test_what_is_chosen_early_is_not_replaced_by_an_earlier_video(
    film: Desk, clip: Path, finished: str
) -> None:
    held: list[Route] = []
    film.page.route(f"**/v1/jobs/{finished}*", lambda route: held.append(route))
    remember(film, finished)
    film.open().page.get_by_role("button", name="Video", exact=True).click()
    pick(film, clip)
    state(film, "chosen")
    held[0].continue_()
    film.page.wait_for_timeout(300)
    state(film, "chosen")


def test_what_is_no_video_is_said_in_plain_words(film: Desk, tmp_path: Path) -> None:
    (broken := tmp_path / "broken.mp4").write_bytes(b"this is text " * 50)
    pick(film, broken)
    expect(film.page.locator(".video-unseen")).to_be_visible()
    go(film)
    state(film, "failed")
    expect(film.page.locator(".stage-card.trouble")).to_contain_text("not a video")


def test_an_animation_is_a_video_or_a_picture(desk: Desk, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (64, 48), (n * 20, 90, 200)) for n in range(4)]
    path = tmp_path / "moves.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100, loop=0)
    desk.open().drop(path)
    state(desk, "chosen")
    desk.button("Use as a picture").click()
    expect(desk.page.locator("#desk")).to_be_visible()
    expect(desk.card("moves.gif")).to_be_visible()


def test_a_server_without_videos_has_no_tab_for_them(desk: Desk, clip: Path) -> None:
    def without(route: Route) -> None:
        told: dict[str, Any] = route.fetch().json()
        route.fulfill(body=json.dumps({**told, "video": False}), content_type="application/json")

    desk.page.route("**/v1/about", without)
    asked: list[str] = []
    desk.page.on("request", lambda request: asked.append(request.url))
    desk.open().drop(clip)
    expect(desk.page.locator(".toast")).to_contain_text("wander.mp4")
    assert desk.page.get_by_role("button", name="Video", exact=True).count() == 0
    assert not [url for url in asked if "/video/" in url]


def test_nothing_for_videos_is_loaded_with_pictures_but_the_memory_of_one(desk: Desk) -> None:
    asked: list[str] = []
    desk.page.on("request", lambda request: asked.append(request.url))
    desk.open().page.wait_for_timeout(200)
    assert [url.rpartition("/")[2] for url in asked if "/video/" in url] in ([], ["task.js"])


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing_serious_with_videos(
    browser: Browser,
    server: Running,
    tmp_path: Path,
    clip: Path,
    finished: str,
    look: dict[str, str],
) -> None:
    found: dict[str, list[str]] = {}
    named = tmp_path / f"{'a long name ' * 12}.mp4"
    named.write_bytes(clip.read_bytes())
    with watched(browser, server.url, folder=tmp_path, **look) as desk:
        desk.open().page.locator(".mode").nth(1).click()
        expect(desk.page.locator("#choose-video")).to_be_visible()
        found["empty"] = troubles(desk.page)
        pick(desk, named)
        expect(desk.page.locator(".rail")).to_be_visible()
        found["chosen"] = troubles(desk.page)
        end = "document.querySelector('.rail').getBoundingClientRect().right"
        assert desk.page.evaluate(f"{end} < innerWidth")
        shift, what = desk.shifted()
        remember(desk, finished)
        desk.open()
        state(desk, "done")
        found["done"] = troubles(desk.page)
        if "viewport" in look:
            wide = desk.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= desk.page.evaluate("innerWidth")
    assert found == {"empty": [], "chosen": [], "done": []}
    assert shift < 0.02, what
