from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cleancut.errors import (
    Busy,
    CleancutError,
    ImageTooLarge,
    ManyPeople,
    MissingDependency,
    NoPerson,
    NoSubject,
    PictureCrashed,
    TimedOut,
    UnreadableImage,
    WeightsMissing,
)
from cleancut.options import Options
from cleancut.server.order import Cut, Order
from tests.server.live import client, png
from tests.server.stand_ins import FACTS, FakePool

FILE = {"image": ("cat.png", png(), "image/png")}


def test_a_picture_comes_back_with_its_facts(tmp_path: Path) -> None:
    with client(tmp_path) as ask:
        answer = ask.post("/v1/cutouts", files=FILE)
    assert answer.status_code == 200
    assert answer.content == png()
    told = answer.headers
    assert told["content-type"] == "image/png"
    assert (told["x-cache"], told["x-model"], told["x-confidence"]) == ("miss", "echo", "0.750")
    box = [told[f"x-foreground-{side}"] for side in ("left", "top", "width", "height")]
    assert box == ["1", "0", "2", "2"]
    assert told["server-timing"] == "decode;dur=1.0, model;dur=2.0"
    assert told["x-content-type-options"] == "nosniff"
    assert told["content-security-policy"].startswith("default-src 'none'")
    assert "server" not in told
    assert len(told["etag"]) == 34


@pytest.mark.parametrize("name", ["keep_points", "roi", "image_url", "photo"])
def test_a_file_where_words_belong_is_not_passed_over(tmp_path: Path, name: str) -> None:
    with client(tmp_path) as ask:
        answer = ask.post("/v1/cutouts", files={**FILE, name: b"1,1"})
    assert answer.status_code == 400
    assert f"{name!r} is not expected" in answer.json()["detail"]


@pytest.mark.parametrize("way", ["file", "raw", "b64", "form", "query"])
def test_a_picture_may_be_sent_in_many_ways(tmp_path: Path, way: str) -> None:
    pool = FakePool()
    text = base64.b64encode(png()).decode()
    with client(tmp_path, pool) as ask:
        if way == "file":
            answer = ask.post("/v1/cutouts", files=FILE, data={"crop": "true"})
        elif way == "raw":
            headers = {"content-type": "image/png"}
            answer = ask.post("/v1/cutouts?crop=true", content=png(), headers=headers)
        elif way == "b64":
            answer = ask.post("/v1/cutouts", json={"image_b64": text, "crop": True})
        elif way == "form":
            answer = ask.post("/v1/cutouts", data={"image_b64": text, "crop": "1"})
        else:
            answer = ask.post("/v1/cutouts?crop=false", files=FILE, data={"crop": "yes"})
    assert answer.content == png()
    assert pool.orders[0].options.crop


def test_json_is_answered_to_who_accepts_it(tmp_path: Path) -> None:
    with client(tmp_path) as ask:
        answer = ask.post("/v1/cutouts", files=FILE, headers={"Accept": "application/json"})
    found = answer.json()
    assert base64.b64decode(found["image_b64"]) == png()
    assert found["model"] == "echo"
    assert found["box"] == [1, 0, 3, 2]


def test_options_and_guidance_reach_the_pool(tmp_path: Path) -> None:
    pool = FakePool()
    seen: list[bytes] = []

    def answer(order: Order) -> Cut:
        seen.append(Path(order.guidance["trimap"]).read_bytes())
        assert order.options.background is not None
        seen.append(Path(order.options.background).read_bytes())
        return Cut(data=b"x", facts=FACTS)

    pool.answer = answer
    files = {**FILE, "trimap": ("t.png", png(value=9)), "background_image": ("b.png", png(value=7))}
    fields = {"margin": "5%", "quality": "70", "format": "webp", "keep_points": "1,1;50%,20%"}
    with client(tmp_path, pool) as ask:
        answer_ = ask.post("/v1/cutouts", files=files, data=fields)
    assert answer_.headers["content-type"] == "image/webp"
    assert seen == [png(value=9), png(value=7)]
    options = pool.orders[0].options
    assert (options.margin, options.quality, options.format) == ("5%", 70, "webp")
    assert pool.orders[0].guidance["keep_points"] == "1,1;50%,20%"
    assert options.max_megapixels == 50


@pytest.mark.parametrize(
    ("fields", "code", "word"),
    [
        ({"recipe": "size=3"}, "bad-option", "operator"),
        ({"backend": "ort"}, "bad-option", "operator"),
        ({"device": "gpu"}, "bad-option", "operator"),
        ({"max_megapixels": "9999"}, "bad-option", "operator"),
        ({"background": "/etc/passwd"}, "bad-option", "neither a colour"),
        ({"background": "x.jpg"}, "bad-option", "neither a colour"),
        ({"model": "/tmp/evil.onnx"}, "bad-option", "not offered"),
        ({"model": "isnet"}, "bad-option", "not offered"),
        ({"model": "custom"}, "bad-option", "not offered"),
        ({"model": "auto", "commercial_only": "true"}, "bad-option", "not offered"),
        ({"surprise": "1"}, "bad-option", "unknown option"),
        ({"crop": "maybe"}, "bad-option", "crop"),
        ({"quality": "1_0"}, "bad-option", "quality"),
        ({"quality": "101"}, "bad-option", "quality"),
        ({"format": "gif"}, "bad-option", "format"),
        ({"background": "whit"}, "bad-option", "neither a colour"),
        ({"trimap": "/etc/passwd"}, "bad-request", "trimap"),
        ({"keep_points": "here"}, "bad-option", "keep_points"),
        ({"image_url": "http://127.0.0.1/"}, "bad-request", "contradict"),
    ],
)
def test_what_a_client_may_not_say_is_refused_by_name(
    tmp_path: Path, fields: dict[str, str], code: str, word: str
) -> None:
    pool = FakePool()
    with client(tmp_path, pool) as ask:
        answer = ask.post("/v1/cutouts", files=FILE, data=fields)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == code
    assert word in problem["detail"]
    assert "beach.jpg" not in problem["hint"]
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert pool.orders == []


def test_a_picture_is_needed_and_only_one(tmp_path: Path) -> None:
    with client(tmp_path) as ask:
        assert "no picture" in ask.post("/v1/cutouts").json()["detail"]
        twice = [("image", ("a.png", png())), ("image", ("b.png", png()))]
        assert "2 times" in ask.post("/v1/cutouts", files=twice).json()["detail"]
        other = ask.post("/v1/cutouts", files={"imagee": ("a.png", png())})
        assert "not expected" in other.json()["detail"]
        doubled = ask.post("/v1/cutouts?crop=1&crop=0", files=FILE)
        assert "given twice" in doubled.json()["detail"]
        text = ask.post("/v1/cutouts", data={"image": "photo.jpg"}).json()
        assert text["detail"] == "image: text where a file is"
        assert "@photo.jpg" in text["hint"]


@pytest.mark.parametrize("door", ["/v1/cutouts", "/v1.0/removebg", "/api/remove"])
@pytest.mark.parametrize("size", [20, 900])
def test_a_picture_that_is_not_said_to_be_one_is_told_how(
    tmp_path: Path, door: str, size: int
) -> None:
    held = io.BytesIO()
    Image.effect_noise((size, size), 99).save(held, "JPEG")  # the large one holds 1000 "&"
    headers = {"content-type": "application/x-www-form-urlencoded"}  # what curl says unasked
    with client(tmp_path) as ask:
        answer = ask.post(door, content=held.getvalue(), headers=headers)
    assert answer.status_code == 400
    assert "image/jpeg" in answer.text


def test_the_schema_names_what_an_id_photo_may_fail_of(tmp_path: Path) -> None:
    with client(tmp_path) as ask:
        schema = ask.get("/openapi.json").json()
    answers = schema["paths"]["/v1/cutouts"]["post"]["responses"]
    told = "".join(answer["description"] for answer in answers.values())
    for error in (NoPerson, ManyPeople, MissingDependency):
        assert f"`{error.code}`" in told


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UnreadableImage("this is not a picture"), 400),
        (ImageTooLarge("80 megapixels, at most 50"), 413),
        (NoSubject("no subject was found"), 422),
        (NoPerson("no face was found"), 422),
        (ManyPeople("2 people were found"), 422),
        (PictureCrashed("the process crashed"), 422),
        (TimedOut("not done after 120 s"), 504),
        (Busy("32 wait", retry_after_s=3.2), 429),
        (WeightsMissing("isnet is not in /root/.local/share/x"), 503),
        (CleancutError("unexpected ValueError: secret /srv/x"), 500),
    ],
)
def test_errors_of_cutting_have_their_status_and_tell_no_path(
    tmp_path: Path, error: CleancutError, status: int
) -> None:
    def fail(order: Order) -> Cut:
        raise error

    with client(tmp_path, FakePool(fail)) as ask:
        answer = ask.post("/v1/cutouts", files=FILE)
    assert answer.status_code == status
    assert answer.json()["code"] == error.code
    for word in ("/root", "/srv", "secret", "Traceback"):
        assert word not in answer.text
    if error.code == "busy":
        assert answer.headers["retry-after"] == "4"


def test_a_bug_is_a_plain_500_and_the_log_has_the_traceback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(order: Order) -> Cut:
        raise ZeroDivisionError("secret words")

    class Broken(FakePool):
        def submit(self, order: Order) -> Any:
            fail(order)

    with client(tmp_path, Broken()) as ask:
        answer = ask.post("/v1/cutouts", files=FILE)
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.json()["code"] == "cleancut-error"
    traces = [record.fields["trace"] for record in caplog.records if "trace" in record.fields]  # type: ignore[attr-defined]
    assert any("secret words" in trace for trace in traces)


def test_a_full_queue_refuses_before_the_body_is_read(tmp_path: Path) -> None:
    pool = FakePool()
    pool.busy = Busy("32 pictures wait already", retry_after_s=2)
    with client(tmp_path, pool) as ask:
        answer = ask.post("/v1/cutouts", content=b"broken", headers={"content-type": "text/x"})
    assert (answer.status_code, answer.json()["code"]) == (429, "busy")
    assert answer.headers["retry-after"] == "2"


def test_a_kept_result_is_answered_without_the_queue(tmp_path: Path) -> None:
    from cleancut.cache import open_cache
    from cleancut.engine import Engine

    place = str(tmp_path / "cache")
    cache = open_cache(place)
    engine = Engine(Options(model="echo", max_megapixels=50), cache=cache)
    picture = png(40, 30)
    kept = engine.encoded(picture)
    assert cache is not None
    cache.close()
    pool = FakePool()
    with client(tmp_path, pool, cache=place) as ask:
        answer = ask.post("/v1/cutouts", files={"image": ("a.png", picture)})
        other = ask.post("/v1/cutouts", files={"image": ("a.png", picture)}, data={"crop": "1"})
        metrics = ask.get("/metrics").text
    assert answer.headers["x-cache"] == "hit"
    assert answer.content == kept.data
    assert other.headers["x-cache"] == "miss"
    assert len(pool.orders) == 1
    assert "cleancut_cache_hits_total 1.0" in metrics
    assert 'cleancut_pictures_total{cache="hit",model="echo"} 1.0' in metrics


def test_the_accept_header_may_name_the_format(tmp_path: Path) -> None:
    pool = FakePool()
    with client(tmp_path, pool) as ask:
        for accept in ("image/webp", "image/avif,image/webp,*/*"):
            ask.post("/v1/cutouts", files=FILE, headers={"Accept": accept})
    assert [order.options.format for order in pool.orders] == ["webp", None]


def test_methods(tmp_path: Path) -> None:
    with client(tmp_path) as ask:
        wrong = ask.get("/v1/cutouts")
        assert (wrong.status_code, wrong.headers["allow"]) == (405, "OPTIONS, POST")
        options = ask.request("OPTIONS", "/v1/cutouts")
        assert (options.status_code, options.headers["allow"]) == (204, "OPTIONS, POST")
        head = ask.request("HEAD", "/healthz")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == "15"
        assert ask.get("/nothing").json()["code"] == "not-found"


def test_what_can_be_asked_for(tmp_path: Path) -> None:
    with client(tmp_path, options=Options(model="echo", crop=True)) as ask:
        rows = {row["name"]: row for row in ask.get("/v1/options").json()}
        models = ask.get("/v1/models").json()
    assert rows["crop"] == rows["crop"] | {"kind": "boolean", "default": True}
    assert rows["refine"]["choices"] == ["off", "fast", "best"]
    assert "recipe" not in rows
    assert models[0] == {"id": "echo", "title": "echo", "default": True}
    assert [row["id"] for row in models[1:3]] == ["auto", "cleancut-nano"]


def test_presets_can_be_asked_for_and_taken(tmp_path: Path) -> None:
    pool = FakePool()
    with client(tmp_path, pool) as ask:
        rows = {row["id"]: row for row in ask.get("/v1/presets").json()}
        for data in ({"preset": "amazon"}, rows["amazon"]["options"]):
            assert ask.post("/v1/cutouts", files=FILE, data=data).status_code == 200
        assert ask.post("/v1/cutouts?preset=amazon", files=FILE).status_code == 200
        refused = ask.post("/v1/cutouts", files=FILE, data={"preset": "nobody"})
        fields = ask.get("/openapi.json").json()["paths"]["/v1/cutouts"]["post"]
    assert {row["group"] for row in rows.values()} == {"shop", "id-photo", "paper"}
    assert rows["a4"]["options"] == {"sheet": "a4"}
    assert rows["us"]["source"].startswith("https://travel.state.gov/")
    first, *rest = [order.options for order in pool.orders]
    assert first.canvas == "2000x2000"
    assert rest == [first, first]
    assert (refused.status_code, refused.json()["code"]) == (400, "bad-option")
    assert refused.json()["hint"] == "see /v1/presets"
    assert "preset" in {row["name"] for row in fields["parameters"]}


def test_the_schema_is_whole_and_the_page_needs_no_script(tmp_path: Path) -> None:
    with client(tmp_path) as ask:
        schema = ask.get("/openapi.json").json()
        page = ask.get("/docs")
    post = schema["paths"]["/v1/cutouts"]["post"]
    assert {"200", "400", "401", "402", "408", "413", "415", "422", "429", "500", "503"} <= set(
        post["responses"]
    )
    form = post["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    assert {"image", "trimap", "background_image", "crop", "margin", "keep_points"} <= set(form)
    assert "recipe" not in form
    assert "script" not in page.text
    assert "http://" not in page.text.replace("http://127.0.0.1:7000", "")
    assert "style-src 'sha256-" in page.headers["content-security-policy"]


def test_the_picture_that_is_sent_may_be_large(tmp_path: Path) -> None:
    noise = io.BytesIO()
    Image.effect_noise((900, 900), 90).save(noise, "PNG")
    with client(tmp_path) as ask:
        answer = ask.post("/v1/cutouts", files={"image": ("a.png", noise.getvalue())})
    assert answer.content == noise.getvalue()
