from __future__ import annotations

import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from cleancut.errors import DownloadFailed, WeightsCorrupt
from cleancut.weights import https
from cleancut.weights.https import HttpsOnly, download, open_https, plain_url

URL = "https://weights.example/tiny.onnx"


@pytest.fixture
def get(server: Any, make: Any, data: bytes, tmp_path: Path) -> Any:
    """``get()`` downloads the served file and returns its bytes; ``get.slept`` are the pauses."""
    server.files["/tiny.onnx"] = data
    slept: list[float] = []

    def run(open_url: Any = server.open, **more: Any) -> bytes:
        target = tmp_path / "tiny.onnx"
        download(URL, target, make.part(data), open_url=open_url, sleep=slept.append, **more)
        return target.read_bytes()

    run.slept = slept  # type: ignore[attr-defined]
    return run


def status(code: int) -> Any:
    return lambda handler, data: handler.send_error(code)


def cut_after(count: int) -> Any:
    """Promise the whole file, send ``count`` bytes of what was asked for, hang up."""

    def act(handler: BaseHTTPRequestHandler, data: bytes) -> None:
        start = int(handler.headers.get("Range", "bytes=0-")[6:-1])
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        handler.send_header("Content-Length", str(len(data) - start))
        handler.send_header("ETag", '"v1"')
        handler.end_headers()
        handler.wfile.write(data[start : start + count])
        handler.close_connection = True

    return act


def test_a_file_arrives_whole_and_leaves_nothing_behind(
    get: Any, data: bytes, tmp_path: Path
) -> None:
    seen: list[tuple[int, int | None, str]] = []
    assert get(progress=lambda *step: seen.append(step)) == data
    assert [p.name for p in tmp_path.iterdir()] == ["tiny.onnx"]
    assert seen[-1] == (len(data), len(data), "weights.example")


def test_a_cut_connection_is_resumed_where_it_broke(get: Any, server: Any, data: bytes) -> None:
    server.behaviours["/tiny.onnx"] = [cut_after(70_000), cut_after(30_000), cut_after(10**9)]
    assert get() == data
    assert [h.get("Range") for _, h in server.requests] == [None, "bytes=70000-", "bytes=100000-"]
    assert server.requests[1][1]["If-Range"] == '"v1"'


def test_what_an_earlier_call_left_is_continued(
    get: Any, server: Any, data: bytes, tmp_path: Path
) -> None:
    (tmp_path / "tiny.onnx.part").write_bytes(data[:1000])
    assert get() == data
    assert server.requests[0][1]["Range"] == "bytes=1000-"


def test_a_bad_leftover_is_dropped_and_fetched_again(
    get: Any, server: Any, data: bytes, tmp_path: Path
) -> None:
    (tmp_path / "tiny.onnx.part").write_bytes(b"x" * 1000)
    assert get() == data
    assert [h.get("Range") for _, h in server.requests] == ["bytes=1000-", None]


def test_a_file_that_changed_on_the_server_starts_over(
    get: Any, server: Any, data: bytes, tmp_path: Path
) -> None:
    (tmp_path / "tiny.onnx.part").write_bytes(b"x" * 1000)
    (tmp_path / "tiny.onnx.part.etag").write_text(f'{URL}\n"old"')
    assert get() == data
    assert len(server.requests) == 1
    assert server.requests[0][1]["If-Range"] == '"old"'


def test_wrong_bytes_of_the_right_size_are_refused(
    get: Any, server: Any, data: bytes, tmp_path: Path
) -> None:
    server.files["/tiny.onnx"] = bytes(len(data))
    with pytest.raises(WeightsCorrupt, match="not the catalogued"):
        get()
    assert not list(tmp_path.iterdir())
    assert len(server.requests) == 1


@pytest.mark.parametrize("size", [10, 300_000])
def test_a_file_of_another_size_is_refused_before_its_body(
    get: Any, server: Any, size: int, tmp_path: Path
) -> None:
    server.files["/tiny.onnx"] = bytes(size)
    with pytest.raises(WeightsCorrupt, match=f"serves {size} bytes"):
        get()
    assert not (tmp_path / "tiny.onnx").exists()


def test_an_endless_body_is_cut_at_the_catalogued_size(
    get: Any, server: Any, data: bytes, tmp_path: Path
) -> None:
    def endless(handler: BaseHTTPRequestHandler, data: bytes) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(2000):
            handler.wfile.write(b"x" * 65536)

    server.behaviours["/tiny.onnx"] = [endless]
    with pytest.raises(WeightsCorrupt, match="more than the catalogued"):
        get()
    assert (tmp_path / "tiny.onnx.part").stat().st_size <= len(data)


def test_passing_failures_are_tried_again_with_growing_pauses(
    get: Any, server: Any, data: bytes
) -> None:
    server.behaviours["/tiny.onnx"] = [status(503), status(500), status(429)]
    assert get() == data
    assert get.slept == sorted(get.slept)
    assert len(get.slept) == 3


def test_it_gives_up_after_a_few_failures_in_a_row(get: Any, server: Any) -> None:
    server.behaviours["/tiny.onnx"] = [status(503)] * 20
    with pytest.raises(DownloadFailed, match="HTTP 503"):
        get()
    assert len(server.requests) == 1 + https.RETRIES


@pytest.mark.parametrize("code", [401, 403, 404, 410])
def test_a_no_is_not_asked_twice(get: Any, server: Any, code: int) -> None:
    server.behaviours["/tiny.onnx"] = [status(code)]
    with pytest.raises(DownloadFailed, match=f"HTTP {code}"):
        get()
    assert len(server.requests) == 1


def test_a_server_that_continues_at_the_wrong_place_is_refused(
    get: Any, server: Any, tmp_path: Path
) -> None:
    def wrong(handler: BaseHTTPRequestHandler, data: bytes) -> None:
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes 0-{len(data) - 1}/{len(data)}")
        handler.end_headers()

    (tmp_path / "tiny.onnx.part").write_bytes(b"x" * 10)
    server.behaviours["/tiny.onnx"] = [wrong]
    with pytest.raises(DownloadFailed, match="wrong place"):
        get()


def test_a_range_that_cannot_be_had_starts_over(
    get: Any, server: Any, data: bytes, tmp_path: Path
) -> None:
    (tmp_path / "tiny.onnx.part").write_bytes(b"x" * 10)
    server.behaviours["/tiny.onnx"] = [status(416)]
    assert get() == data


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (urllib.error.URLError(socket.gaierror(-2, "no")), "does not resolve"),
        (urllib.error.URLError(ConnectionRefusedError(111, "no")), "refused"),
        (urllib.error.URLError(ssl.SSLCertVerificationError(1, "bad")), "not trusted"),
        (OSError("Tunnel connection failed: 403 Forbidden"), "the proxy said no .403 Forbidden"),
        (ValueError("what"), "not understood"),
    ],
)
def test_where_the_network_says_no_it_moves_on_at_once(
    get: Any, error: Exception, said: str
) -> None:
    def refuse(url: str, headers: Mapping[str, str]) -> Any:
        raise error

    with pytest.raises(DownloadFailed, match=said):
        get(refuse)
    assert get.slept == []


def test_a_timeout_is_tried_again(get: Any) -> None:
    def hang(url: str, headers: Mapping[str, str]) -> Any:
        raise urllib.error.URLError(TimeoutError())

    with pytest.raises(DownloadFailed, match="timed out"):
        get(hang)
    assert len(get.slept) == https.RETRIES


def test_a_connection_that_drips_is_given_up(
    get: Any, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(https, "_STALL_S", -1.0)
    server.behaviours["/tiny.onnx"] = [cut_after(10)] * 20
    monkeypatch.setattr(https, "_STALL_BYTES", 1 << 20)
    with pytest.raises(DownloadFailed, match="stalled"):
        get(lambda url, headers: _Dripping())


class _Dripping:
    status = 200
    headers: Mapping[str, str] = {}

    def __init__(self) -> None:
        self.sent = 0

    def read1(self, n: int) -> bytes:
        return b""[: self.sent] or b"x"

    def close(self) -> None:
        pass


def test_a_redirect_to_plain_http_is_refused(server: Any, make: Any, tmp_path: Path) -> None:
    def redirect(handler: BaseHTTPRequestHandler, data: bytes) -> None:
        handler.send_response(302)
        handler.send_header("Location", f"{server.base}/elsewhere?token=secret")
        handler.end_headers()

    server.files |= {"/tiny.onnx": b"x", "/elsewhere": b"x"}
    server.behaviours["/tiny.onnx"] = [redirect]
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), HttpsOnly())

    def open_url(url: str, headers: Mapping[str, str]) -> Any:
        return opener.open(server.base + "/tiny.onnx", timeout=5)

    with pytest.raises(DownloadFailed, match="not https") as caught:
        download(URL, tmp_path / "t", make.part(b"x"), open_url=open_url)
    assert "secret" not in caught.value.message
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "url", ["http://a.example/x", "file:///etc/passwd", "ftp://a/x", "data:,x"]
)
def test_only_https_addresses_are_opened(url: str) -> None:
    with pytest.raises(DownloadFailed, match="not https"):
        open_https(url, {})


def test_addresses_are_shown_without_secrets() -> None:
    assert plain_url("https://me:pw@h.example:8443/a?sig=1#x") == "https://h.example:8443/a"
    assert plain_url("https://[bad") == "an invalid address"


def test_a_full_disk_is_not_mistaken_for_a_network_failure(
    get: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(https, "_copy", full)
    with pytest.raises(OSError, match="No space"):
        get()


def test_dripping_on_is_no_progress(get: Any, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(https, "_STALL_S", -1.0)
    monkeypatch.setattr(https, "_STALL_BYTES", 1 << 20)
    opened: list[Mapping[str, str]] = []

    def resuming(url: str, headers: Mapping[str, str]) -> _Dripping:
        opened.append(headers)
        answer = _Dripping()
        if start := headers.get("Range", "")[6:-1]:
            answer.status = 206
            span = f"bytes {start}-{len(data) - 1}/{len(data)}"
            answer.headers = {"Content-Range": span}
        return answer

    with pytest.raises(DownloadFailed, match="stalled"):
        get(resuming)
    assert len(opened) == 1 + https.RETRIES
