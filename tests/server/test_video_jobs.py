"""Videos as jobs, over the whole application, with a stand-in for whoever renders them."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from cleancut.errors import Cancelled, OutputNotWritable, PictureCrashed, UnreadableVideo
from cleancut.options import Options
from cleancut.server import job_videos, jobs_api, video_form
from cleancut.server import jobs as jobs_module
from cleancut.server.job_store import NewItem, NewJob
from cleancut.server.job_videos import JobVideos
from cleancut.server.jobs import Jobs
from cleancut.server.settings import OPERATOR_ONLY, Settings
from cleancut.server.sqlite_jobs import SqliteJobs
from cleancut.server.video_form import CHOSEN, OUTPUTS, OWN, SHARED, VideoWish, wish_from
from cleancut.server.video_work import Hear
from cleancut.video.options import PICTURE_OPTIONS, VideoOptions
from tests.server.stand_ins import FakePool, FakeWeb, until
from tests.server.test_jobs_api import Client, finished, talk

FACTS: dict[str, Any] = {
    "source": "/srv/secret/in",
    "target": "/srv/secret/out",
    "networks": ["echo"],
    "size": [1000, 500],
    "frames": 50,
    "video_s": 2.0,
    "confidence": 0.9,
    "unsure": [[0.5, 1.0, 0.3]],
    "notes": ["gif_hard_edges: said"],
}


class FakeRendering:
    """Writes ``made:`` and the source; with ``open`` cleared it does not end by itself."""

    orders: list[dict[str, Any]]

    def __init__(self, orders: list[dict[str, Any]], gate: threading.Event) -> None:
        self.orders = orders
        self._gate = gate
        self._stopped = False

    def run(self, source: Path, target: Path, order: str, hear: Hear) -> Mapping[str, Any]:
        self.orders.append(json.loads(order))
        hear({"share": 0.25, "seconds_left": 9.5, "frames": 12, "fps": 20.0})
        (target.parent / "part").write_text("half done")
        while not self._gate.wait(0.01):
            if self._stopped:
                raise Cancelled("stopped")
        data = source.read_bytes()
        if data == b"bad":
            raise UnreadableVideo("this is no video")
        if data == b"crash":
            raise PictureCrashed("it ended")
        if data == b"full" or (data == b"briefly full" and len(self.orders) < 3):
            raise OutputNotWritable("no room")
        if data == b"bug":
            raise RuntimeError("/srv/secret")
        target.write_bytes(b"made:" + data)
        return FACTS

    def stop(self) -> None:
        self._stopped = True


class Studio:
    """Every rendering of one test."""

    def __init__(self) -> None:
        self.orders: list[dict[str, Any]] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self) -> FakeRendering:
        return FakeRendering(self.orders, self.gate)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(data=tmp_path / "data", workers=2, max_video=1 << 20)
    made.spool.mkdir(parents=True)
    return made


@pytest.fixture
def studio(monkeypatch: pytest.MonkeyPatch) -> Studio:
    made = Studio()
    monkeypatch.setattr(job_videos, "VideoChild", lambda settings: made())
    monkeypatch.setattr(job_videos, "_TELL_S", 0.0)
    return made


def a_video(data: bytes = b"clip", name: str = "clip.mp4") -> dict[str, Any]:
    return {"video": (name, data, "video/mp4")}


async def had(client: Client, link: str, **headers: str) -> httpx.Response:
    return await client.get(link.removeprefix("http://127.0.0.1:7000"), headers=headers)


def test_a_video_is_sent_watched_and_fetched(settings: Settings, studio: Studio) -> None:
    studio.gate.clear()

    async def conversation(client: Client) -> None:
        asked = {"background": "white", "output": "mp4", "start": "0:01", "audio": "false"}
        answer = await client.post("/v1/jobs", files=a_video(), data=asked)
        assert answer.status_code == 202, answer.text
        job = answer.json()
        assert (job["kind"], job["items"][0]["name"]) == ("video", "clip.mp4")
        for _ in range(200):
            item = (await client.get(f"/v1/jobs/{job['id']}?wait=0.1")).json()["items"][0]
            if item["progress"]:
                break
        assert item["progress"] == {"share": 0.25, "seconds_left": 9.5, "frames": 12, "fps": 20.0}
        assert item["facts"] is None
        studio.gate.set()
        item = (await finished(client, job["id"]))["items"][0]
        assert (item["status"], item["format"], item["progress"]) == ("done", "mp4", None)
        assert item["facts"]["unsure"] == [[0.5, 1.0, 0.3]]
        assert item["facts"]["start_s"] == 1.0
        assert "secret" not in json.dumps(item)
        made = await had(client, item["result"])
        assert made.content == b"made:clip"
        assert made.headers["content-type"] == "video/mp4"
        assert 'filename="clip.mp4"' in made.headers["content-disposition"]
        text = (await client.get("/metrics")).text
        assert "cleancut_video_frames_total 50.0" in text
        assert "cleancut_video_seconds_total 2.0" in text

    talk(settings, conversation)
    order = studio.orders[0]
    assert order["options"] == {"background": "white", "max_megapixels": 50.0}
    assert order["video"] == {"start": "0:01", "audio": False}
    assert not [*(settings.data / "videos").iterdir()]


def test_players_get_the_part_of_a_result_that_they_ask_for(
    settings: Settings, studio: Studio
) -> None:
    async def conversation(client: Client) -> None:
        job = (await client.post("/v1/jobs", files=a_video(b"0123456789"))).json()["id"]
        link = (await finished(client, job))["items"][0]["result"]
        whole = await had(client, link)
        assert whole.headers["accept-ranges"] == "bytes"
        for asked, first, last in (
            ("bytes=5-9", 5, 9),
            ("bytes=5-", 5, 14),
            ("bytes=-4", 11, 14),
            ("bytes=0-999", 0, 14),
        ):
            part = await had(client, link, Range=asked)
            assert part.status_code == 206, asked
            assert part.content == whole.content[first : last + 1], asked
            assert part.headers["content-range"] == f"bytes {first}-{last}/15"
            assert part.headers["content-length"] == str(last - first + 1)
        beyond = await had(client, link, Range="bytes=15-")
        assert (beyond.status_code, beyond.headers["content-range"]) == (416, "bytes */15")
        for odd in ("bytes=4-2", "bytes=-", "bytes=1-2,4-5", "rows=1-2", "bytes=x"):
            assert (await had(client, link, Range=odd)).status_code == 200, odd
        tag = whole.headers["etag"]
        same = await had(client, link, **{"Range": "bytes=0-3", "If-Range": tag})
        other = await had(client, link, **{"Range": "bytes=0-3", "If-Range": '"other"'})
        assert (same.status_code, other.status_code) == (206, 200)

    talk(settings, conversation)
    assert studio.orders


def test_a_video_that_is_called_off_ends_and_leaves_nothing(
    settings: Settings, studio: Studio
) -> None:
    studio.gate.clear()

    async def conversation(client: Client) -> None:
        job = (await client.post("/v1/jobs", files=a_video())).json()["id"]
        until(lambda: studio.orders)
        answer = await client.delete(f"/v1/jobs/{job}")
        assert answer.json()["status"] == "cancelled"
        until(lambda: not [*(settings.data / "videos").iterdir()])

    talk(settings, conversation)


def test_what_is_half_done_is_there_for_the_next_start(settings: Settings, studio: Studio) -> None:
    studio.gate.clear()
    first = Jobs(settings, FakePool(), FakeWeb(), videos=JobVideos(settings, FakeWeb()))  # type: ignore[arg-type]
    first.start()
    (source := settings.spool / "upload").write_bytes(b"clip")
    wish = VideoWish(output="webm").to_json()
    item = NewItem(name="a.mp4", source=source)
    job, _ = first.accept(NewJob(caller="anonymous", options=wish, items=[item], kind="video"))
    until(lambda: studio.orders)
    first.stop()
    folder = settings.data / "videos" / f"{job.id}-0"
    assert (folder / "part").is_file()
    studio.gate.set()
    second = Jobs(settings, FakePool(), FakeWeb(), videos=JobVideos(settings, FakeWeb()))  # type: ignore[arg-type]
    second.start()
    found = until(lambda: (r := second.store.job(job.id)) and r.final and r)
    second.stop()
    assert found.status == "done"
    assert studio.orders[0] == studio.orders[1], "another source or target begins anew"
    assert not folder.exists()


def test_pictures_are_done_while_videos_wait(settings: Settings, studio: Studio) -> None:
    studio.gate.clear()

    async def conversation(client: Client) -> None:
        for _ in range(5):
            await client.post("/v1/jobs", files=a_video())
        picture = {"image": ("a.jpg", b"one", "image/jpeg")}
        job = (await client.post("/v1/jobs", files=picture)).json()["id"]
        assert (await finished(client, job))["status"] == "done"
        assert len(studio.orders) == 1, "one video at a time"
        studio.gate.set()

    talk(settings, conversation)


def test_a_video_that_cannot_be_done_says_why(settings: Settings, studio: Studio) -> None:
    async def conversation(client: Client) -> None:
        for data, code in ((b"bad", "unreadable-video"), (b"crash", "crashed")):
            job = (await client.post("/v1/jobs", files=a_video(data))).json()["id"]
            found = await finished(client, job)
            assert (found["status"], found["items"][0]["error"]["code"]) == ("failed", code)

    talk(settings, conversation)
    assert studio.orders
    assert not [*(settings.data / "videos").iterdir()]


def test_a_video_that_cannot_be_written_is_not_tried_for_ever(
    settings: Settings, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "_PAUSE_S", 0.01)

    async def conversation(client: Client) -> None:
        job = (await client.post("/v1/jobs", files=a_video(b"briefly full"))).json()["id"]
        assert (await finished(client, job))["status"] == "done"
        studio.orders.clear()
        job = (await client.post("/v1/jobs", files=a_video(b"full"))).json()["id"]
        found = await finished(client, job)
        assert found["items"][0]["error"]["code"] == "output-not-writable"
        assert len(studio.orders) == 3

    talk(settings, conversation)
    assert not [*(settings.data / "videos").iterdir()], "what fills the disk is gone"


def test_a_bug_fails_its_item_at_once_and_tells_nothing(settings: Settings, studio: Studio) -> None:
    async def conversation(client: Client) -> None:
        job = (await client.post("/v1/jobs", files=a_video(b"bug"))).json()["id"]
        error = (await finished(client, job))["items"][0]["error"]
        assert error["code"] == "cleancut-error"
        assert "secret" not in json.dumps(error)
        job = (await client.post("/v1/jobs", files=a_video())).json()["id"]
        assert (await finished(client, job))["status"] == "done"

    talk(settings, conversation)
    assert len(studio.orders) == 2


def test_a_video_by_its_address_is_fetched_once(settings: Settings, studio: Studio) -> None:
    async def conversation(client: Client) -> None:
        wanted = {
            "video": "https://example.com/a/cat.jpg?x=1",
            "options": {"matte_only": True, "output": "mkv", "look_ahead": 2},
        }
        answer = await client.post("/v1/jobs", json=wanted)
        assert answer.status_code == 202, answer.text
        found = await finished(client, answer.json()["id"])
        assert (await had(client, found["items"][0]["result"])).content == b"made:url"

    talk(settings, conversation)
    assert studio.orders[0]["video"] == {"look_ahead": 2, "matte_only": True}


def test_a_picture_stands_behind_a_video(settings: Settings, studio: Studio) -> None:
    files = {**a_video(), "background_image": ("b.jpg", b"behind", "image/jpeg")}

    async def conversation(client: Client) -> None:
        studio.gate.clear()
        answer = await client.post("/v1/jobs", files=files, data={"output": "mp4"})
        assert answer.status_code == 202, answer.text
        until(lambda: studio.orders)
        behind = studio.orders[0]["options"]["background"]
        assert Path(behind).read_bytes() == b"behind"
        studio.gate.set()
        assert (await finished(client, answer.json()["id"]))["status"] == "done"
        assert not Path(behind).exists()

    talk(settings, conversation)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"output": "avi"}, "output"),
        ({"output": "mp4"}, "transparen"),
        ({"background": "/etc/passwd", "output": "mp4"}, "background"),
        ({"background": "in.mp4", "output": "mp4"}, "background"),
        ({"crop": "true"}, "unknown option"),
        ({"format": "png"}, "unknown option"),
        ({"backend": "ort"}, "operator"),
        ({"start": "soon"}, "start"),
        ({"start": "5", "stop": "2"}, "start"),
        ({"look_ahead": "many"}, "look_ahead"),
        ({"audio": "loud"}, "audio"),
        ({"codec": "x264"}, "codec"),
        ({"engine": "rvm", "ratio": "7"}, "ratio"),
        ({"engine": "rvm"}, "'rvm' is not offered"),
        ({"matte_only": "true", "side_by_side": "true", "output": "mkv"}, "matte_only"),
        ({"model": "/tmp/x.onnx"}, "model"),
    ],
)
def test_what_a_video_cannot_be_is_refused(
    settings: Settings, studio: Studio, asked: dict[str, str], said: str
) -> None:
    async def conversation(client: Client) -> None:
        answer = await client.post("/v1/jobs", files=a_video(), data=asked)
        assert answer.status_code == 400, answer.text
        problem = answer.json()
        assert said in problem["detail"] + problem["hint"]
        assert "--" not in problem["detail"] + problem["hint"], "a flag where a field is meant"

    talk(settings, conversation)
    assert not studio.orders


def test_the_network_for_people_goes_before_the_servers_own_model(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cleancut.server.form._check_there", lambda options: None)
    settings = replace(settings, models=("rvm",), options=Options(model="echo"))
    wish = wish_from({"engine": "rvm"}, settings, background=False)
    assert (wish.video.engine, wish.options.model) == ("rvm", "rvm")


@pytest.mark.parametrize(
    "files",
    [
        {"video": ("a.mp4", b"1"), "image": ("a.jpg", b"2")},
        [("video", ("a.mp4", b"1")), ("video", ("b.mp4", b"2"))],
        {"video": ("a.mp4", b"1"), "trimap": ("a.png", b"2")},
    ],
)
def test_a_job_holds_one_video(settings: Settings, studio: Studio, files: Any) -> None:
    async def conversation(client: Client) -> None:
        assert (await client.post("/v1/jobs", files=files)).status_code == 400

    talk(settings, conversation)
    assert not studio.orders


def test_videos_and_pictures_have_limits_of_their_own(settings: Settings, studio: Studio) -> None:
    settings = replace(settings, max_body=1000, max_job_body=1500, max_video=100_000)

    async def conversation(client: Client) -> None:
        good = await client.post("/v1/jobs", files=a_video(b"x" * 90_000))
        assert good.status_code == 202, good.text
        large = await client.post("/v1/jobs", files=a_video(b"x" * 100_001))
        assert large.json()["code"] == "body-too-large"
        many = [("image", ("a.jpg", b"x" * 900)) for _ in range(3)]
        assert (await client.post("/v1/jobs", files=many)).status_code == 413

    talk(settings, conversation)


def test_without_the_extra_videos_are_refused_with_the_pip_line(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_form, "installed", lambda: False)

    async def conversation(client: Client) -> None:
        assert (await client.get("/v1/about")).json()["video"] is False
        answer = await client.post("/v1/jobs", files=a_video())
        assert (answer.status_code, answer.json()["code"]) == (503, "missing-dependency")
        assert "pip install 'cleancut[video]'" in answer.json()["hint"]

    talk(settings, conversation)


def test_an_operator_can_leave_videos_out(settings: Settings) -> None:
    async def conversation(client: Client) -> None:
        assert (await client.get("/v1/about")).json()["video"] is False
        assert (await client.post("/v1/jobs", files=a_video())).status_code == 503

    talk(replace(settings, video=False), conversation)


def test_a_full_disk_refuses_a_video_before_it_is_sent(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_api, "_LARGE", 100)
    monkeypatch.setattr("cleancut.server.video_work._RESERVE", 1 << 60)

    async def conversation(client: Client) -> None:
        answer = await client.post("/v1/jobs", files=a_video())
        assert answer.json()["code"] == "storage-failed"

    talk(settings, conversation)


def test_the_options_of_a_video_are_the_librarys() -> None:
    """One table: what is offered, what the schema lists, what the library knows."""
    library = {*PICTURE_OPTIONS} - OPERATOR_ONLY | {field.name for field in fields(VideoOptions)}
    assert {*SHARED, *OWN} == library
    assert {*SHARED} <= {field.name for field in fields(Options)}
    rows = {row["name"]: row for row in video_form.rows()}
    assert {*rows} == {*CHOSEN}
    assert rows["output"]["choices"] == [*OUTPUTS]
    assert rows["engine"]["choices"] == ["auto", "rvm", "image"]


def test_the_options_of_a_video_are_told(settings: Settings) -> None:
    async def conversation(client: Client) -> None:
        told = (await client.get("/v1/options", params={"kind": "video"})).json()
        assert {row["name"] for row in told} == {*CHOSEN}
        about = (await client.get("/v1/about")).json()
        assert about["video"] is True
        assert about["limits"]["video_bytes"] == 1 << 20
        assert about["limits"]["video_minutes"] == 60.0

    talk(settings, conversation)


def test_a_second_of_video_counts_as_a_picture() -> None:
    assert video_form.megapixels_of({"size": [1000, 1000], "video_s": 12.5}) == 12.5
    assert video_form.megapixels_of({"size": [1000, 1000], "video_s": 0.04}) == 1.0


def test_folders_of_jobs_that_ended_elsewhere_are_removed(settings: Settings) -> None:
    videos = JobVideos(settings, FakeWeb(), make=lambda: Studio()())  # type: ignore[arg-type]
    store = SqliteJobs(settings.data / "jobs", keep_s=60, max_bytes=1 << 30)
    (source := settings.spool / "upload").write_bytes(b"clip")
    item = NewItem(name="a.mp4", source=source)
    wish = VideoWish().to_json()
    job, _ = store.add(NewJob(caller="me", options=wish, items=[item], kind="video"))
    for name in (job.id, "job_" + "0" * 32, "job_" + "1" * 32):
        videos.folders.made(name, 0)
    videos.sweep(store, [("job_" + "1" * 32, 0)])
    left = {path.name for path in (settings.data / "videos").iterdir()}
    store.close()
    assert left == {f"{job.id}-0", "job_" + "1" * 32 + "-0"}
