from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI, Request
from fastapi.responses import Response

from cleancut.errors import CleancutError
from cleancut.server import auth
from cleancut.server import keys as keys_module
from cleancut.server.auth import WRONG_PER_MINUTE, admitted, caller_of, is_loopback
from cleancut.server.faults import problem
from cleancut.server.keys import Caller, Keys, Limits, made
from cleancut.server.quota import Quota
from cleancut.server.settings import Settings

LOCAL = {"host": "127.0.0.1:7000"}


class Server:
    """Two routes over real keys and quotas, asked without a socket."""

    def __init__(self, settings: Settings) -> None:
        self.keys, self.quota = Keys.of(settings), Quota(settings)
        self.app = app = FastAPI()
        app.state.services = self.services = SimpleNamespace(
            settings=settings, keys=self.keys, quota=self.quota
        )

        @app.exception_handler(CleancutError)
        async def refuse(request: Request, error: CleancutError) -> Response:
            return problem(error, request)

        @app.api_route("/who", methods=["GET", "POST"])
        async def who(caller: Annotated[Caller, Depends(caller_of)]) -> dict[str, str]:
            return {"id": caller.id, "thread": threading.current_thread().name}

        @app.post("/work")
        async def work(
            request: Request, caller: Annotated[Caller, Depends(admitted)]
        ) -> dict[str, object]:
            return {"id": caller.id, "left": request.state.rate.remaining}

    def ask(
        self,
        path: str = "/who",
        *,
        method: str = "GET",
        address: str = "203.0.113.7",
        headers: dict[str, str] | list[tuple[bytes, bytes]] | None = None,
    ) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app, client=(address, 5))
            async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
                return await client.request(method, path, headers=headers or LOCAL)

        return asyncio.run(send())


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(keys_module, "LOOK_S", 0.0)
    return Settings(data=tmp_path)


@pytest.fixture
def server(settings: Settings) -> Iterator[Server]:
    server = Server(settings)
    yield server
    server.quota.stop()


def test_without_keys_everybody_on_this_machine_is_anonymous(server: Server) -> None:
    for host in ("127.0.0.1", "127.0.0.1:7000", "localhost:7000", "[::1]:7000", "127.1.2.3"):
        assert server.ask(headers={"host": host}).json()["id"] == "anonymous"
    # The clients of remove.bg always send some key.
    assert server.ask(headers={**LOCAL, "x-api-key": "anything"}).status_code == 200
    assert server.ask(headers={**LOCAL, "authorization": "Basic eDp5"}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:7000", "[::1", ":80"]
)
def test_a_name_that_leads_here_is_not_enough(server: Server, host: str) -> None:
    answer = server.ask(headers={"host": host})
    assert answer.status_code == 401
    assert "own address" in answer.json()["detail"]


def test_the_operator_names_further_hosts(settings: Settings) -> None:
    server = Server(replace(settings, public_url="https://cut.example/base"))
    assert server.ask(headers={"host": "cut.example"}).status_code == 200
    assert server.ask(headers={"host": "other.example"}).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:8080"},
        {"origin": "http://["},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://127.0.0.1:7000", "sec-fetch-site": "cross-site"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_web_page_cannot_drive_a_server_that_asks_for_no_key(
    server: Server, method: str, headers: dict[str, str]
) -> None:
    answer = server.ask(method=method, headers={**LOCAL, **headers})
    assert answer.status_code == 401
    assert "web pages" in answer.json()["detail"]


def test_its_own_pages_and_those_that_are_allowed_can(settings: Settings) -> None:
    own = {**LOCAL, "origin": "http://127.0.0.1:7000", "sec-fetch-site": "same-origin"}
    foreign = {**LOCAL, "origin": "https://shop.example", "sec-fetch-site": "cross-site"}
    assert Server(settings).ask(headers=own).status_code == 200
    assert Server(settings).ask(headers=foreign).status_code == 401
    for cors in (("https://shop.example",), ("*",)):
        assert Server(replace(settings, cors=cors)).ask(headers=foreign).status_code == 200


def test_an_open_address_needs_a_key_or_the_word(settings: Settings) -> None:
    lan = {"host": "192.0.2.1:7000"}
    assert Server(replace(settings, host="0.0.0.0")).ask(headers=lan).status_code == 401
    insecure = Server(replace(settings, host="0.0.0.0", insecure=True))
    assert insecure.ask(headers=lan).json()["id"] == "anonymous"
    assert insecure.ask(headers={**lan, "origin": "https://evil.example"}).status_code == 401


def test_a_key_is_asked_for_as_soon_as_there_is_one_and_for_good(server: Server) -> None:
    assert server.ask().status_code == 200
    key = server.keys.add("shop")
    answer = server.ask()
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["code"] == "key-refused"
    id_ = server.keys.listed()[0].caller.id
    for headers in (
        {"X-API-Key": key},
        {"x-api-key": f" {key} "},
        {"Authorization": f"Bearer {key}"},
        {"authorization": f"bearer   {key}"},
        {"authorization": f"Bearer {key}", "x-api-key": key},
        # With a key neither the host nor the page matters.
        {"x-api-key": key, "host": "cut.example", "origin": "https://shop.example"},
    ):
        assert server.ask(headers={**LOCAL, **headers}).json()["id"] == id_
    server.keys.remove("shop")
    assert server.ask().status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("x-api-key", "")],
        [("x-api-key", "wrong")],
        [("x-api-key", "x" * 257)],
        [("x-api-key", "two words")],
        [("x-api-key", "\xff\xfe")],
        [("authorization", "Bearer")],
        [("authorization", "Basic eDp5")],
        [("authorization", "KEY")],
        [("x-api-key", "KEY"), ("x-api-key", "other")],
        [("x-api-key", "KEY"), ("authorization", "Bearer other")],
        [("x-api-key", "KEY"), ("authorization", "Basic eDp5")],
        [("x-api-key", "KEY "), ("x-api-key", "")],
        [("x-api-key", "KEY\x00")],
    ],
)
def test_anything_but_one_good_key_is_refused(
    server: Server, headers: list[tuple[str, str]]
) -> None:
    key = server.keys.add("shop")
    sent = [(name, value.replace("KEY", key).encode("latin-1")) for name, value in headers]
    answer = server.ask(headers=[(b"host", b"127.0.0.1"), *((n.encode(), v) for n, v in sent)])
    assert answer.status_code == 401
    assert key not in answer.text
    assert "wrong" not in answer.text


def test_a_typing_mistake_is_told_from_a_revoked_key(server: Server) -> None:
    key = server.keys.add("shop")
    assert "mistyped" in server.ask(headers={**LOCAL, "x-api-key": key[:-1]}).json()["detail"]
    assert "unknown" in server.ask(headers={**LOCAL, "x-api-key": made()}).json()["detail"]


def test_an_address_that_tries_keys_is_slowed_and_nobody_is_locked_out(server: Server) -> None:
    key = server.keys.add("shop")

    def tried(address: str, key: str = "wrong") -> int:
        return server.ask(address=address, headers={**LOCAL, "x-api-key": key}).status_code

    assert [tried("203.0.113.7") for _ in range(WRONG_PER_MINUTE)] == [401] * WRONG_PER_MINUTE
    answer = server.ask(headers={**LOCAL, "x-api-key": "wrong"})
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) <= 4
    assert tried("203.0.113.7", key) == 200
    assert tried("203.0.113.8") == 401
    # A household of IPv6 has more addresses than there are to count.
    codes = [tried(f"2001:db8::{number:x}") for number in range(WRONG_PER_MINUTE + 1)]
    assert codes == [401] * WRONG_PER_MINUTE + [429]
    assert tried("2001:db8:0:1::1") == 401
    assert tried("::ffff:203.0.113.7") == 429


def test_admission_counts_the_request_and_looks_at_the_quota(server: Server) -> None:
    limits = Limits(requests_per_minute=3, megapixels_per_day=1)
    headers = {**LOCAL, "x-api-key": server.keys.add("shop", limits)}
    caller = server.keys.listed()[0].caller
    assert server.ask("/work", method="POST", headers=headers).json()["left"] == 2
    assert server.ask("/who", headers=headers).status_code == 200
    assert server.ask("/work", method="POST", headers=headers).json()["left"] == 1
    server.quota.charge(caller, 1)
    assert server.ask("/work", method="POST", headers=headers).status_code == 402
    answer = server.ask("/work", method="POST", headers=headers)
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 20
    assert server.ask("/who", headers=headers).status_code == 200


def test_a_damaged_file_of_keys_lets_nobody_in(server: Server) -> None:
    key = server.keys.add("shop")
    server.keys.path.write_text("{", "utf-8")
    for headers in (LOCAL, {**LOCAL, "x-api-key": key}):
        answer = server.ask(headers=headers)
        assert answer.status_code == 503
        assert str(server.keys.path.parent) not in answer.text


def test_the_loop_is_not_blocked(server: Server) -> None:
    # The route itself runs on the loop; the file of keys is looked at elsewhere.
    seen: list[str] = []

    class Watched:
        @property
        def required(self) -> bool:
            seen.append(threading.current_thread().name)
            return False

    server.services.keys = Watched()
    loop = server.ask().json()["thread"]
    assert seen
    assert seen[0] != loop


def test_loopback_is_what_only_this_machine_reaches() -> None:
    for host in ("127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "LOCALHOST", "localhost."):
        assert is_loopback(host)
    for host in ("0.0.0.0", "::", "", "192.168.1.1", "localhost.evil.example", "::ffff:8.8.8.8"):
        assert not is_loopback(host)


def test_addresses_without_a_form_are_bounded() -> None:
    def address(host: str | None) -> str:
        client = None if host is None else SimpleNamespace(host=host)
        return auth._address(SimpleNamespace(client=client))  # type: ignore[arg-type]

    assert address(None) == ""
    assert len(address("x" * 1000)) == 64
    assert address("fe80::1%eth0") == "fe80::/64"
