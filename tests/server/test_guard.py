from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import anyio
import pytest

from cleancut.errors import BodyTooLarge, BodyTooSlow, Busy, CleancutError
from cleancut.server import guard
from cleancut.server.guard import Guard
from cleancut.server.settings import MIB, Settings

Message = dict[str, Any]


def serve(
    tmp_path: Path,
    messages: list[Message],
    headers: dict[str, str],
    *,
    path: str = "/v1/cutouts",
    method: str = "POST",
    pause_s: float = 0.0,
    reads: bool = True,
    **settings: Any,
) -> tuple[list[Message], CleancutError | None, int]:
    """What was sent, the error that reading raised, and how many messages were taken."""
    made = Settings(data=tmp_path, **settings)
    sent: list[Message] = []
    caught: list[CleancutError] = []
    left = list(messages)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            while reads and (await receive()).get("more_body"):
                pass
        except CleancutError as error:
            caught.append(error)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"abc"})

    async def receive() -> Message:
        if not left:
            await anyio.sleep_forever()
        await anyio.sleep(pause_s)
        return left.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
    }
    anyio.run(Guard(app, settings=made), scope, receive, send)
    return sent, caught[0] if caught else None, len(messages) - len(left)


def body(*sizes: int) -> list[Message]:
    return [
        {"type": "http.request", "body": bytes(size), "more_body": n + 1 < len(sizes)}
        for n, size in enumerate(sizes)
    ]


CHUNKED = {"transfer-encoding": "chunked"}


def test_a_body_within_its_limit_passes(tmp_path: Path) -> None:
    sent, error, _ = serve(tmp_path, body(1000, 1000), CHUNKED)
    assert error is None
    assert sent[1] == {"type": "http.response.body", "body": b"abc"}
    assert (b"connection", b"close") not in sent[0]["headers"]


def test_an_announced_length_over_the_limit_is_refused_unread(tmp_path: Path) -> None:
    headers = {"content-length": str(10**12)}
    sent, error, taken = serve(tmp_path, body(10), headers, max_body=MIB)
    assert isinstance(error, BodyTooLarge)
    assert taken == 0
    assert (b"connection", b"close") in sent[0]["headers"]


def test_a_stream_over_the_limit_is_refused_and_the_rest_drained(tmp_path: Path) -> None:
    messages = body(*[MIB] * 8)
    sent, error, taken = serve(tmp_path, messages, CHUNKED, max_body=MIB)
    assert isinstance(error, BodyTooLarge)
    assert taken == 8
    assert [m["more_body"] for m in sent[1:]] == [True, False]


def test_a_job_may_be_larger(tmp_path: Path) -> None:
    _, error, _ = serve(tmp_path, body(*[MIB] * 8), CHUNKED, max_body=MIB, path="/v1/jobs")
    assert error is None


def test_draining_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "DRAIN_BYTES", 3 * MIB)
    messages = [{"type": "http.request", "body": bytes(MIB), "more_body": True}] * 100
    sent, _, taken = serve(tmp_path, messages, CHUNKED, reads=False)
    assert taken < 6
    assert sent[-1]["more_body"] is False
    monkeypatch.setattr(guard, "DRAIN_S", 0.2)
    sent, _, taken = serve(tmp_path, messages, CHUNKED, reads=False, pause_s=5)
    assert taken == 0
    assert sent[-1]["more_body"] is False


def test_who_sends_nothing_more_is_not_listened_to_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "DRAIN_SILENCE_S", 0.1)
    began = time.monotonic()
    sent, _, _ = serve(tmp_path, [], {"content-length": "1000"}, reads=False)
    assert sent[-1]["more_body"] is False
    assert time.monotonic() - began < 2


def test_who_waits_for_a_sign_is_not_drained(tmp_path: Path) -> None:
    headers = {"content-length": "1000", "expect": "100-continue"}
    _, _, taken = serve(tmp_path, body(1000), headers, reads=False)
    assert taken == 0


def test_a_deadline_for_the_whole_body(tmp_path: Path) -> None:
    messages = [{"type": "http.request", "body": bytes(MIB // 4), "more_body": True}] * 100
    _, error, taken = serve(tmp_path, messages, CHUNKED, pause_s=0.05, body_timeout_s=0.4)
    assert isinstance(error, BodyTooSlow)
    assert 2 < taken < 15


def test_a_trickle_is_cut_off_before_its_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "WINDOW_S", 0.3)
    messages = [{"type": "http.request", "body": b"a", "more_body": True}] * 100
    _, error, taken = serve(tmp_path, messages, CHUNKED, pause_s=0.05, body_timeout_s=60)
    assert isinstance(error, BodyTooSlow)
    assert taken < 15


def test_too_many_bodies_at_once_are_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "BODIES_AT_ONCE", 0)
    _, error, _ = serve(tmp_path, body(10), CHUNKED, header_timeout_s=0.1)
    assert isinstance(error, Busy)


def test_head_has_no_body(tmp_path: Path) -> None:
    sent, _, _ = serve(tmp_path, [{"type": "http.request"}], {}, method="HEAD")
    assert sent[1]["body"] == b""


@pytest.mark.parametrize(
    ("cors", "origin", "allowed"),
    [
        ((), "https://a.example", None),
        (("https://a.example",), "https://a.example", b"https://a.example"),
        (("https://a.example",), "https://b.example", None),
        (("https://a.example",), "null", None),
        (("*",), "https://b.example", b"*"),
    ],
)
def test_cors_is_closed_but_for_named_origins(
    tmp_path: Path, cors: tuple[str, ...], origin: str, allowed: bytes | None
) -> None:
    sent, _, _ = serve(tmp_path, [{"type": "http.request"}], {"origin": origin}, cors=cors)
    assert dict(sent[0]["headers"]).get(b"access-control-allow-origin") == allowed
    headers = {"origin": origin, "access-control-request-method": "POST"}
    sent, _, _ = serve(tmp_path, [{"type": "http.request"}], headers, method="OPTIONS", cors=cors)
    found = dict(sent[0]["headers"])
    assert found.get(b"access-control-allow-origin") == allowed
    assert (b"access-control-allow-headers" in found) == (allowed is not None)
    assert b"access-control-allow-credentials" not in found
