"""``/v1/jobs`` over the whole application, with a stand-in for the pool."""

from __future__ import annotations

import asyncio
import io
import json
import threading
import time
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import httpx
import pytest

from cleancut.engine import Engine
from cleancut.errors import UnreadableImage
from cleancut.server.app import create_app
from cleancut.server.jobs import Jobs
from cleancut.server.key_file import Limits
from cleancut.server.keys import Keys
from cleancut.server.order import Order
from cleancut.server.quota import Quota
from cleancut.server.services import Services
from cleancut.server.settings import Settings
from cleancut.server.telemetry import Metrics
from tests.server.stand_ins import FakePool, FakeWeb

Client: TypeAlias = httpx.AsyncClient
Talk: TypeAlias = Callable[[Client], Awaitable[None]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(data=tmp_path / "data", workers=2, max_body=100_000, max_job_items=20)
    made.spool.mkdir(parents=True)
    return made


def _work(order: Order) -> None:
    if order.source.read_bytes() == b"bad":
        raise UnreadableImage("this is no picture", hint="look at it")


def talk(settings: Settings, conversation: Talk, pool: FakePool | None = None) -> None:
    """Hold ``conversation`` with an application over ``settings``."""

    async def run() -> None:
        async with client_of(settings, pool) as client:
            await conversation(client)

    asyncio.run(run())


@asynccontextmanager
async def client_of(settings: Settings, pool: FakePool | None = None) -> AsyncIterator[Client]:
    pool = pool or FakePool(before=_work)
    web: Any = FakeWeb({"https://example.com/a/cat.jpg?x=1": b"url"})
    keys, quota = Keys.of(settings), Quota(settings)
    services = Services(
        settings,
        pool=pool,
        engine=Engine(settings.defaults),
        cache=None,
        keys=keys,
        quota=quota,
        metrics=Metrics(),
        fetcher=web,
        jobs=Jobs(settings, pool, web, quota=quota, keys=keys),
    )
    app = create_app(services)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=True)
        async with Client(transport=transport, base_url="http://127.0.0.1:7000") as client:
            yield client


def images(*data: bytes, names: tuple[str, ...] = ()) -> list[Any]:
    given = names or tuple(f"{n}.jpg" for n in range(len(data)))
    return [("image", (name, one, "image/jpeg")) for name, one in zip(given, data, strict=True)]


async def finished(client: Client, job: str, **headers: str) -> dict[str, Any]:
    for _ in range(100):
        answer = await client.get(f"/v1/jobs/{job}?wait=5", headers=headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        if found["status"] not in ("queued", "running"):
            return found
    raise AssertionError(found)


def test_many_pictures_are_sent_watched_and_fetched(settings: Settings) -> None:
    async def conversation(client: Client) -> None:
        answer = await client.post(
            "/v1/jobs", files=images(b"one", b"bad", b"two"), data={"format": "webp"}
        )
        assert answer.status_code == 202, answer.text
        job = answer.json()
        assert job["status"] in ("queued", "running")
        assert answer.headers["location"] == f"http://127.0.0.1:7000/v1/jobs/{job['id']}"
        assert int(answer.headers["retry-after"]) >= 1
        found = await finished(client, job["id"])
        assert found["status"] == "done"
        assert found["progress"] == {"total": 3, "done": 2, "failed": 1}
        assert [item["status"] for item in found["items"]] == ["done", "failed", "done"]
        good, bad, _ = found["items"]
        assert good["facts"]["confidence"] == 0.75
        assert good["format"] == "webp"
        assert bad["error"] == {
            "code": "unreadable-image",
            "message": "this is no picture",
            "hint": "look at it",
        }
        assert bad["result"] is None
        result = await client.get(good["result"])
        assert result.content == b"cut:one"
        assert result.headers["content-type"] == "image/webp"
        assert result.headers["content-length"] == "7"
        assert 'filename="0.webp"' in result.headers["content-disposition"]
        archive = await client.get(found["archive"])
        assert archive.headers["content-type"] == "application/zip"
        with zipfile.ZipFile(io.BytesIO(archive.content)) as parts:
            assert parts.testzip() is None
            assert {name: parts.read(name) for name in parts.namelist()} == {
                "0.webp": b"cut:one",
                "2.webp": b"cut:two",
            }

    talk(settings, conversation)


def test_pictures_are_named_by_address(settings: Settings) -> None:
    async def conversation(client: Client) -> None:
        url = "https://example.com/a/cat.jpg?x=1"
        images: list[Any] = [url, {"url": url, "name": "../../dog.png"}, {"url": "https://none/"}]
        wanted = {"images": images, "options": {"crop": True, "quality": 80, "format": None}}
        answer = await client.post("/v1/jobs", json=wanted)
        assert answer.status_code == 202, answer.text
        found = await finished(client, answer.json()["id"])
        assert [item["name"] for item in found["items"]] == ["cat.jpg", "dog.png", "picture-2"]
        assert [item["status"] for item in found["items"]] == ["done", "done", "failed"]
        result = await client.get(found["items"][1]["result"])
        assert result.content == b"cut:url"
        assert "example.com/a" not in json.dumps(found)

    talk(settings, conversation)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ([], "no JSON object"),
        ({}, "images"),
        ({"images": []}, "no picture"),
        ({"images": "https://example.com"}, "a list"),
        ({"images": [1]}, "images[0]"),
        ({"images": [{"url": 1}]}, "images[0]"),
        ({"images": [{"name": "x"}]}, "images[0]"),
        ({"images": [{"url": "https://a/", "name": 5}]}, "images[0].name"),
        ({"images": [{"url": "https://a/", "path": "x"}]}, "unknown member 'path'"),
        ({"images": ["https://a/" + "a" * 5000]}, "longer"),
        ({"images": ["https://a/"] * 21}, "too many"),
        ({"images": ["https://a/"], "surprise": 1}, "surprise"),
        ({"images": ["https://a/"], "options": []}, "options"),
        ({"images": ["https://a/"], "options": {"crop": [1]}}, "options.crop"),
        ({"images": ["https://a/"], "options": {"backend": "ort"}}, "operator"),
        ({"images": ["https://a/"], "options": {"background": "/etc/passwd"}}, "background"),
        ({"images": ["https://a/"], "options": {"model": "/tmp/x.onnx"}}, "model"),
        ({"images": ["https://a/"], "kind": "video"}, "two jobs"),
        ({"images": ["https://a/"], "kind": "x"}, "kind"),
        ({"images": ["https://a/"], "callback_url": 5}, "callback_url"),
    ],
)
def test_what_cannot_be_is_refused(settings: Settings, wanted: Any, said: str) -> None:
    async def conversation(client: Client) -> None:
        answer = await client.post("/v1/jobs", json=wanted)
        assert answer.status_code == 400, answer.text
        assert said in answer.json()["detail"]
        assert (await client.get("/v1/jobs")).json() == {"jobs": [], "next": None}

    talk(settings, conversation)


def test_bodies_of_other_kinds_are_refused(settings: Settings) -> None:
    async def conversation(client: Client) -> None:
        post = client.post
        kind = {"content-type": "application/json"}
        for body in (b"{", b"\xff", b'{"images": NaN}', b"[" * 100_000):
            assert (await post("/v1/jobs", content=body, headers=kind)).status_code == 400
        answer = await post("/v1/jobs", content=b"x", headers={"content-type": "image/png"})
        assert answer.status_code == 415
        assert (await post("/v1/jobs", files={"picture": b"x"})).status_code == 400
        answer = await post("/v1/jobs", files=images(b"x"), data={"surprise": "1"})
        assert answer.status_code == 400
        too_large = await post("/v1/jobs", files=images(b"x" * 100_001))
        assert too_large.status_code == 413
        too_many = await post("/v1/jobs", files=images(*[b"x"] * 21))
        assert too_many.status_code in (400, 413)
        giant = {"images": ["https://example.com/" + "a" * 3_000_000] * 3}
        assert (await post("/v1/jobs", json=giant)).status_code == 413
        assert not list(settings.spool.iterdir())

    talk(settings, conversation)


def test_the_same_request_twice_is_one_job(settings: Settings) -> None:
    async def conversation(client: Client) -> None:
        key = {"Idempotency-Key": "order-17"}
        first = await client.post("/v1/jobs", files=images(b"a", b"b"), headers=key)
        again = await client.post("/v1/jobs", files=images(b"a", b"b"), headers=key)
        assert (first.status_code, again.status_code) == (202, 202)
        assert first.json()["id"] == again.json()["id"]
        for other in (images(b"a", b"c"), images(b"a"), images(b"a", b"b", names=("x", "y"))):
            answer = await client.post("/v1/jobs", files=other, headers=key)
            assert answer.status_code == 409
            assert answer.json()["code"] == "job-conflict"
        changed = await client.post(
            "/v1/jobs", files=images(b"a", b"b"), data={"crop": "true"}, headers=key
        )
        assert changed.status_code == 409
        assert len((await client.get("/v1/jobs")).json()["jobs"]) == 1
        for bad in ("", "é".encode(), b"x" * 256):
            answer = await client.post(
                "/v1/jobs", files=images(b"a"), headers={"Idempotency-Key": bad}
            )
            assert answer.status_code == 400

    talk(settings, conversation)


def test_jobs_belong_to_their_key(settings: Settings) -> None:
    keys = Keys.of(settings)
    ann, bob = (
        {"X-API-Key": keys.add(name, Limits(megapixels_per_day=100))} for name in ("ann", "bob")
    )

    async def conversation(client: Client) -> None:
        assert (await client.post("/v1/jobs", files=images(b"a"))).status_code == 401
        answer = await client.post("/v1/jobs", files=images(b"a"), headers=ann)
        job = answer.json()
        found = await finished(client, job["id"], **ann)
        own = f"/v1/jobs/{job['id']}"
        for path in (own, f"{own}/items/0", f"{own}/archive"):
            assert (await client.get(path)).status_code == 401
            assert (await client.get(path, headers=bob)).status_code == 404
            assert (await client.get(path, headers=ann)).status_code == 200
        assert (await client.delete(own, headers=bob)).status_code == 404
        assert (await client.get("/v1/jobs", headers=bob)).json()["jobs"] == []
        assert (await client.get(found["items"][0]["result"])).content == b"cut:a"
        secrets = [
            (await client.get("/v1/webhook-secret", headers=who)).json()["secret"]
            for who in (ann, bob)
        ]
        assert secrets[0] != secrets[1]
        assert all(secret.startswith("whsec_") for secret in secrets)

    talk(settings, conversation)


def test_links_cannot_be_bent(settings: Settings) -> None:
    async def conversation(client: Client) -> None:
        job = (await client.post("/v1/jobs", files=images(b"a", b"b"))).json()
        found = await finished(client, job["id"])
        link = urlsplit(found["items"][0]["result"])
        good = f"{link.path}?{link.query}"
        assert (await client.get(good)).status_code == 200
        expires = link.query.split("&")[0].removeprefix("expires=")
        for bad in (
            good[:-1],
            good + "A",
            good.replace("items/0", "items/1"),
            good.replace("/items/0", "/archive"),
            good.replace(expires, str(int(expires) + 1)),
            f"{link.path}?expires={expires}",
            f"{link.path}?signature=x",
        ):
            answer = await client.get(bad)
            assert answer.status_code == 410, bad
            assert answer.json()["code"] == "link-expired"
        assert (await client.get(good.replace(job["id"], "job_" + "0" * 32))).status_code == 410

    talk(settings, conversation)


def test_links_end_with_the_results(settings: Settings) -> None:
    async def conversation(client: Client) -> None:
        job = (await client.post("/v1/jobs", files=images(b"a"))).json()
        found = await finished(client, job["id"])
        await asyncio.sleep(2.1)
        assert (await client.get(found["items"][0]["result"])).status_code == 410

    talk(replace(settings, keep_s=1.0), conversation)


@pytest.mark.parametrize(
    "job",
    [
        *("x", "job_", "job_" + "0" * 32, "job_" + "g" * 32, "..", "%2e%2e", "job_%00", "é"),
        *("a" * 300, "job_" + "0" * 31 + "%0a", "*", "job_'%20OR%201=1--"),
    ],
)
def test_ids_that_are_none_are_not_found(settings: Settings, job: str) -> None:
    async def conversation(client: Client) -> None:
        for method, path in (
            ("GET", f"/v1/jobs/{job}"),
            ("DELETE", f"/v1/jobs/{job}"),
            ("GET", f"/v1/jobs/{job}/archive"),
            ("GET", f"/v1/jobs/{job}/items/0"),
        ):
            answer = await client.request(method, path)
            assert answer.status_code in (404, 400, 405), answer.text
            assert answer.headers["content-type"] == "application/problem+json"

    talk(settings, conversation)


def test_items_that_are_none_are_not_found(settings: Settings) -> None:
    async def conversation(client: Client) -> None:
        job = (await client.post("/v1/jobs", files=images(b"a", b"bad"))).json()
        await finished(client, job["id"])
        get = client.get
        assert (await get(f"/v1/jobs/{job['id']}/items/2")).status_code == 404
        assert (await get(f"/v1/jobs/{job['id']}/items/1")).status_code == 409
        for index in ("-1", "x", "1.5", "99999999999999999999", "%00", "1e3"):
            assert (await get(f"/v1/jobs/{job['id']}/items/{index}")).status_code in (400, 404)
        for query in ("limit=0", "limit=x", "offset=-1", "wait=1e9", "wait=-1", "wait=nan"):
            assert (await get(f"/v1/jobs/{job['id']}?{query}")).status_code == 400, query

    talk(settings, conversation)


def test_a_job_may_have_many_files(settings: Settings) -> None:
    async def conversation(client: Client) -> None:
        answer = await client.post("/v1/jobs", files=images(*[b"x"] * 300))
        assert answer.status_code == 202, answer.text
        assert answer.json()["progress"]["total"] == 300
        assert answer.json()["next"].endswith("limit=100&offset=100")
        too_many = await client.post("/v1/jobs", files=images(*[b"x"] * 301))
        assert too_many.status_code == 400

    talk(replace(settings, max_job_items=300), conversation)


def test_pages(settings: Settings) -> None:
    async def conversation(client: Client) -> None:
        job = (await client.post("/v1/jobs", files=images(*[b"x"] * 7))).json()
        await finished(client, job["id"])
        page = (await client.get(f"/v1/jobs/{job['id']}?limit=3")).json()
        seen = [item["index"] for item in page["items"]]
        while page["next"]:
            page = (await client.get(page["next"])).json()
            seen += [item["index"] for item in page["items"]]
        assert seen == list(range(7))
        for _ in range(3):
            await client.post("/v1/jobs", files=images(b"x"))
        page = (await client.get("/v1/jobs?limit=3")).json()
        assert len(page["jobs"]) == 3
        page = (await client.get(page["next"])).json()
        assert [found["id"] for found in page["jobs"]] == [job["id"]]
        assert page["next"] is None

    talk(settings, conversation)


def test_cancelling(settings: Settings) -> None:
    pool = FakePool()
    pool.open.clear()

    async def conversation(client: Client) -> None:
        job = (await client.post("/v1/jobs", files=images(*[b"x%d" % n for n in range(9)]))).json()
        while not pool.seen:
            await asyncio.sleep(0.01)
        running = await client.get(f"/v1/jobs/{job['id']}/archive")
        assert running.status_code == 409
        answer = await client.delete(f"/v1/jobs/{job['id']}")
        assert answer.status_code == 200
        assert answer.json()["status"] == "cancelled"
        assert {item["status"] for item in answer.json()["items"]} == {"cancelled"}
        pool.open.set()
        other = (await client.post("/v1/jobs", files=images(b"after"))).json()
        found = await finished(client, other["id"])
        assert pool.seen[1:] == [b"after"]
        gone = await client.delete(f"/v1/jobs/{other['id']}")
        assert gone.json()["status"] == "expired"
        assert (await client.get(found["items"][0]["result"])).status_code == 404
        assert (await client.get(found["archive"])).status_code == 409

    talk(settings, conversation, pool)


def test_waiting_is_answered_when_the_job_ends(settings: Settings) -> None:
    pool = FakePool()
    pool.open.clear()

    async def conversation(client: Client) -> None:
        job = (await client.post("/v1/jobs", files=images(b"x"))).json()
        began = time.monotonic()
        short = await client.get(f"/v1/jobs/{job['id']}?wait=0.3")
        assert 0.3 <= time.monotonic() - began < 2
        assert short.json()["status"] in ("queued", "running")
        assert "retry-after" in short.headers
        waiting = asyncio.create_task(client.get(f"/v1/jobs/{job['id']}?wait=20"))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        pool.open.set()
        answer = await waiting
        assert answer.json()["status"] == "done"
        assert time.monotonic() - began < 5

    talk(settings, conversation, pool)


def test_jobs_that_are_slowly_accepted_keep_nobody_from_looking(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    let = threading.Event()
    accept = Jobs.accept
    monkeypatch.setattr(Jobs, "accept", lambda self, job: let.wait(10) and accept(self, job))

    async def conversation(client: Client) -> None:
        begun = [
            asyncio.create_task(client.post("/v1/jobs", files=images(b"%d" % n))) for n in range(9)
        ]
        await asyncio.sleep(0.3)
        try:
            answer = await asyncio.wait_for(client.get("/v1/jobs"), 3)
            assert answer.status_code == 200
        finally:
            let.set()
        assert {(await one).status_code for one in begun} == {202}

    talk(settings, conversation)


def test_results_of_one_name_have_two_in_the_archive(settings: Settings) -> None:
    async def conversation(client: Client) -> None:
        names = ("cat.jpg", "CAT.png", "../cat.jpg", "cät.jpg", "noext")
        sent = images(b"0", b"1", b"2", b"3", b"4", names=names)
        job = (await client.post("/v1/jobs", files=sent)).json()
        found = await finished(client, job["id"])
        archive = await client.get(found["archive"])
        with zipfile.ZipFile(io.BytesIO(archive.content)) as parts:
            assert parts.namelist() == [
                "cat.png",
                "CAT-1.png",
                "cat-2.png",
                "cät.png",
                "noext.png",
            ]
        shown = await client.get(found["items"][3]["result"])
        assert "filename*=UTF-8''c%C3%A4t.png" in shown.headers["content-disposition"]

    talk(settings, conversation)


def test_the_operators_address_begins_the_links(settings: Settings) -> None:
    async def conversation(client: Client) -> None:
        job = (await client.post("/v1/jobs", files=images(b"a"))).json()
        found = await finished(client, job["id"])
        assert found["link"] == f"https://cut.example/at/v1/jobs/{job['id']}"
        assert found["items"][0]["result"].startswith("https://cut.example/at/v1/jobs/")

    talk(replace(settings, public_url="https://cut.example/at/"), conversation)


def test_a_store_that_is_away_is_told_with_503(settings: Settings) -> None:
    async def conversation(client: Client) -> None:
        answer = await client.get("/v1/jobs")
        assert answer.status_code == 503
        assert answer.json()["code"] == "storage-failed"
        assert int(answer.headers["retry-after"]) >= 1
        assert (await client.post("/v1/jobs", files=images(b"a"))).status_code == 503
        assert "hidden" not in answer.text

    talk(replace(settings, redis="redis://:hidden@127.0.0.1:1/0"), conversation)


def test_the_schema_has_the_jobs(settings: Settings) -> None:
    async def conversation(client: Client) -> None:
        schema = (await client.get("/openapi.json")).json()
        start = schema["paths"]["/v1/jobs"]["post"]
        assert set(start["requestBody"]["content"]) == {"multipart/form-data", "application/json"}
        assert "202" in start["responses"]
        assert "Location" in start["responses"]["202"]["headers"]
        shown = schema["paths"]["/v1/jobs/{job}"]["get"]["responses"]["200"]["content"]
        assert shown["application/json"]["schema"]["$ref"].endswith("/Job")
        assert shown["application/json"]["example"]["items"]

    talk(settings, conversation)
