"""A file server on this machine, rows that point at it, and a home of the test's own."""

from __future__ import annotations

import hashlib
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cleancut.catalog import ModelSpec, Part, Source, WeightFile

Behaviour = Callable[[BaseHTTPRequestHandler, bytes], None]


def send(handler: BaseHTTPRequestHandler, data: bytes) -> None:
    """A well-behaved answer: ranges, If-Range, a strong ETag."""
    etag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
    start, asked = 0, handler.headers.get("Range")
    if asked and handler.headers.get("If-Range", etag) == etag:
        start = int(asked.removeprefix("bytes=").rstrip("-"))
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
    else:
        handler.send_response(200)
    handler.send_header("ETag", etag)
    handler.send_header("Content-Length", str(len(data) - start))
    handler.end_headers()
    handler.wfile.write(data[start:])


class FileServer:
    """``files`` by path; ``behaviours`` of a path are used up one a request, then ``send``."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.behaviours: dict[str, list[Behaviour]] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append((self.path, dict(self.headers)))
                queue = outer.behaviours.get(self.path, [])
                act = queue.pop(0) if queue else send
                if self.path not in outer.files:
                    self.send_error(404)
                    return
                try:
                    act(self, outer.files[self.path])
                except OSError:
                    self.close_connection = True

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def open(self, url: str, headers: Mapping[str, str]) -> Any:
        """An ``open_url`` that takes ``https://any.host/path`` here."""
        path = "/" + url.split("/", 3)[3]
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        return opener.open(
            urllib.request.Request(self.base + path, headers=dict(headers)), timeout=10
        )

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[FileServer]:
    running = FileServer()
    yield running
    running.close()


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment in which everything lies under ``tmp_path``."""
    return {
        "HOME": str(tmp_path / "user"),
        "USERPROFILE": str(tmp_path / "user"),
        "CLEANCUT_HOME": str(tmp_path / "home"),
        "CLEANCUT_CACHE": str(tmp_path / "cache"),
    }


@pytest.fixture
def data() -> bytes:
    return bytes(range(256)) * 800


def part_of(data: bytes, name: str = "tiny.onnx") -> Part:
    return Part(name, len(data), hashlib.sha256(data).hexdigest())


def row(
    data: bytes, *sources: Source, id_: str = "tiny", prepare: str = "", **more: Any
) -> ModelSpec:
    """A catalog row with one weight file of one part."""
    weight = WeightFile(
        file=f"{id_}.onnx", parts=(part_of(data),), sources=sources, prepare=prepare
    )
    return ModelSpec(id=id_, title=id_, family="saliency", weights=(weight,), **more)


def https(*paths: str) -> Source:
    return Source(urls=tuple(f"https://weights.example{path}" for path in paths))


@pytest.fixture
def make() -> Any:
    """``make.part``, ``make.row``, ``make.https``, ``make.send``."""

    class Make:
        part = staticmethod(part_of)
        row = staticmethod(row)
        https = staticmethod(https)
        send = staticmethod(send)

    return Make


@pytest.fixture
def use_rows(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the catalog hold just these rows."""

    def use(*specs: ModelSpec) -> None:
        rows = {spec.id: spec for spec in specs}
        for module in ("catalog", "weights.store", "weights.importing"):
            monkeypatch.setattr(f"cleancut.{module}.catalog", lambda: rows)

    return use
