"""Callbacks hear that their jobs ended: signed, again and again, the same event every time."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.server
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cleancut.errors import AddressRefused, FetchFailed
from cleancut.server import webhooks as module
from cleancut.server.fetch import Fetcher
from cleancut.server.job_store import Done, NewItem, NewJob
from cleancut.server.settings import Settings
from cleancut.server.sqlite_jobs import SqliteJobs
from cleancut.server.webhooks import Webhooks, headers_of, secret_for
from tests.server.stand_ins import FakeWeb, until

SECRET = b"s" * 32


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteJobs]:
    made = SqliteJobs(tmp_path / "jobs", keep_s=60, max_bytes=1 << 30)
    yield made
    made.close()


def end_a_job(
    store: SqliteJobs,
    url: str = "https://example.com/hook",
    *,
    good: bool = True,
    caller: str = "ann",
) -> str:
    item = NewItem(name="a", url="https://example.com/a")
    job, _ = store.add(NewJob(caller=caller, options="{}", items=[item], callback=url))
    (claim,) = store.claim(lease_s=60)
    done = Done(format="png") if good else Done(error={"code": "x", "message": "", "hint": ""})
    assert store.finish(claim, done)
    return job.id


@pytest.fixture
def tell(store: SqliteJobs, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    monkeypatch.setattr(module, "_POLL_S", 0.02)
    made: list[Webhooks] = []

    def start(web: FakeWeb | Fetcher, *, delays_s: tuple[float, ...] = (0.02, 0.02)) -> Webhooks:
        hooks = Webhooks(
            store, web, lambda: SECRET, base="https://cutouts.example", delays_s=delays_s
        )
        hooks.start()
        made.append(hooks)
        return hooks

    yield start
    for hooks in made:
        hooks.stop()
        for thread in hooks._threads:
            thread.join()


def verified(body: bytes, headers: dict[str, str], caller: str) -> dict[str, object]:
    """The body, proved as the specification says."""
    key = base64.b64decode(secret_for(SECRET, caller).removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{digest}"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 10
    found: dict[str, object] = json.loads(body)
    return found


def test_a_callback_hears_signed_what_came_of_its_job(store: SqliteJobs, tell: object) -> None:
    web = FakeWeb()
    tell(web)  # type: ignore[operator]
    job = end_a_job(store)
    (url, body, headers) = until(lambda: web.posts)[0]
    assert url == "https://example.com/hook"
    event = verified(body, headers, "ann")
    assert headers["webhook-id"] == f"msg_{job[4:]}_done"
    assert headers["content-type"] == "application/json"
    assert event["type"] == "job.done"
    data = event["data"]
    assert isinstance(data, dict)
    assert data["id"] == job
    assert data["progress"] == {"total": 1, "done": 1, "failed": 0}
    assert data["archive"].startswith(f"https://cutouts.example/v1/jobs/{job}/archive?expires=")
    until(lambda: store.claim_events(lease_s=1) == [])
    time.sleep(0.1)
    assert len(web.posts) == 1


def test_the_specifications_own_example() -> None:
    """The key, the message and the signature that standardwebhooks.com's libraries test with."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = headers_of("msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', key, 1614265330)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_callers_cannot_sign_for_each_other() -> None:
    assert secret_for(SECRET, "ann") != secret_for(SECRET, "bob")


def test_it_is_told_again_until_it_is_heard(store: SqliteJobs, tell: object) -> None:
    web = FakeWeb()
    web.answers = [500, FetchFailed("down")]
    tell(web)  # type: ignore[operator]
    end_a_job(store, good=False)
    until(lambda: len(web.posts) == 3)
    assert len({body for _, body, _ in web.posts}) == 1
    assert len({headers["webhook-id"] for _, _, headers in web.posts}) == 1
    assert verified(web.posts[2][1], web.posts[2][2], "ann")["type"] == "job.failed"
    time.sleep(0.1)
    assert len(web.posts) == 3


def test_it_is_given_up_after_the_last_try(store: SqliteJobs, tell: object) -> None:
    web = FakeWeb()
    web.answers = [503] * 10
    tell(web)  # type: ignore[operator]
    end_a_job(store)
    until(lambda: len(web.posts) == 3)
    time.sleep(0.2)
    assert len(web.posts) == 3
    assert store.claim_events(lease_s=1) == []


@pytest.mark.parametrize("answer", [410, AddressRefused("not public")])
def test_who_does_not_want_to_hear_is_left_alone(
    answer: int | AddressRefused, store: SqliteJobs, tell: object
) -> None:
    web = FakeWeb()
    web.answers = [answer]
    tell(web)  # type: ignore[operator]
    end_a_job(store)
    until(lambda: web.posts)
    time.sleep(0.15)
    assert len(web.posts) == 1


def test_the_next_process_goes_on_telling(store: SqliteJobs, tell: object) -> None:
    end_a_job(store)
    (event,) = store.claim_events(lease_s=0.05)  # by a process that was killed then
    time.sleep(0.1)
    web = FakeWeb()
    tell(web)  # type: ignore[operator]
    until(lambda: web.posts)
    assert web.posts[0][2]["webhook-id"] == event.id


def test_a_real_callback_hears_it_and_a_private_one_is_not_asked(
    store: SqliteJobs, tell: object, tmp_path: Path
) -> None:
    heard: list[tuple[bytes, dict[str, str]]] = []

    class Callback(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            heard.append((body, {key.lower(): value for key, value in self.headers.items()}))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Callback) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/hook"
        hooks = tell(Fetcher(Settings(data=tmp_path)))  # type: ignore[operator]
        end_a_job(store, url)
        until(
            lambda: store._rows._db.execute("SELECT COUNT(*) AS n FROM events").fetchone()["n"] == 0
        )
        assert heard == []
        hooks.stop()
        tell(Fetcher(Settings(data=tmp_path, fetch_from=("127.0.0.1",))))  # type: ignore[operator]
        end_a_job(store, url)
        until(lambda: heard)
        assert verified(*heard[0], "ann")["type"] == "job.done"
        server.shutdown()


def test_delays_grow_and_are_bounded() -> None:
    delays = module.DELAYS_S
    assert list(delays) == sorted(delays)
    assert sum(delays) < 24 * 3600


def test_a_caller_whose_callbacks_hang_does_not_keep_others_from_hearing(
    store: SqliteJobs, tell: object
) -> None:
    let_go = threading.Event()

    class Tarpit(FakeWeb):
        def post(self, url: str, *rest: Any, **more: Any) -> int:
            if "tarpit" in url:
                let_go.wait(20)
            return super().post(url, *rest, **more)

    for _ in range(12):
        end_a_job(store, "https://tarpit.example/", caller="eve")
    end_a_job(store, "https://shop.example/")
    web = Tarpit()
    tell(web)  # type: ignore[operator]
    try:
        until(lambda: [url for url, _, _ in web.posts] == ["https://shop.example/"], seconds=3)
    finally:
        let_go.set()
    until(lambda: len(web.posts) == 13)
