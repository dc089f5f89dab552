"""rembg's HTTP API over a real socket, and the pixels of the drop-in."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from cleancut import rembg
from cleancut.errors import Busy
from cleancut.server.settings import MIB
from tests.server.live import Live, opened, photo, serving


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with serving(tmp_path_factory.mktemp("server"), max_body=MIB) as found:
        yield found


@pytest.fixture
def soft(disc: NDArray[np.uint8]) -> bytes:
    """A picture whose matte is soft in the middle too."""
    return photo(disc)


def post(live: Live, data: bytes, query: str = "", **fields: str) -> httpx.Response:
    return live.client.post(f"/api/remove{query}", files={"file": ("a.png", data)}, data=fields)


@pytest.mark.parametrize(
    ("fields", "arguments"),
    [
        ({}, {}),
        ({"om": "true"}, {"only_mask": True}),
        ({"ppm": "1"}, {"post_process_mask": True}),
        ({"om": "on", "ppm": "yes"}, {"only_mask": True, "post_process_mask": True}),
        ({"dc": "true"}, {"decontaminate": True}),
        ({"a": "true"}, {"alpha_matting": True}),
        (
            {"a": "true", "af": "200", "ab": "30", "ae": "4"},
            {
                "alpha_matting": True,
                "alpha_matting_foreground_threshold": 200,
                "alpha_matting_background_threshold": 30,
                "alpha_matting_erode_size": 4,
            },
        ),
        ({"a": "true", "om": "true"}, {"alpha_matting": True, "only_mask": True}),
        ({"a": "true", "ppm": "true"}, {"alpha_matting": True, "post_process_mask": True}),
        ({"bgc": "255,0,0,255"}, {"bgcolor": (255, 0, 0, 255)}),
        ({"bgc": "0, 0,255,90"}, {"bgcolor": (0, 0, 255, 90)}),
        ({"bgc": "0,0,255,0"}, {"bgcolor": (0, 0, 255, 0)}),
        ({"om": "true", "bgc": "255,0,0,255"}, {"only_mask": True}),
        ({"extras": '{"putalpha": true}'}, {"putalpha": True}),
        ({"extras": '{"putalpha": true}', "dc": "1"}, {"putalpha": True, "decontaminate": True}),
        ({"extras": '{"putalpha": true}', "a": "1"}, {"putalpha": True, "alpha_matting": True}),
        ({"extras": "not json"}, {}),
        ({"extras": "[1]"}, {}),
        ({"extras": '{"unknown": 1}'}, {}),
    ],
)
def test_pixels_are_those_of_the_drop_in(
    live: Live, soft: bytes, fields: dict[str, str], arguments: dict[str, Any]
) -> None:
    session = rembg.new_session("echo")
    arguments = {"decontaminate": False, **arguments}  # rembg's default
    expected = opened(rembg.remove(soft, session=session, **arguments))  # type: ignore[arg-type]
    answer = post(live, soft, **fields)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    found = opened(answer.content)
    assert found.mode == (expected.mode if found.mode != "RGB" else "RGB")
    assert np.array_equal(
        np.asarray(found),
        np.asarray(expected)[..., : len(found.getbands())]
        if found.mode == "RGB"
        else np.asarray(expected),
    )


def test_a_picture_that_is_cut_out_already_is_cut_again_on_request(
    live: Live, disc: NDArray[np.uint8]
) -> None:
    half = np.dstack([disc, np.full(disc.shape[:2], 255, np.uint8)])
    half[:, :40, 3] = 0
    data = _png(half)
    plain, again = post(live, data), post(live, data, extras='{"recut": true}')
    assert opened(plain.content).getpixel((127, 0))[3] == 255  # type: ignore[index]
    assert opened(again.content).getpixel((127, 0))[3] == 0  # type: ignore[index]


def _png(pixels: NDArray[np.uint8]) -> bytes:
    import io

    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def test_parameters_come_by_query_or_form(live: Live, soft: bytes) -> None:
    mask = post(live, soft, om="true").content
    assert post(live, soft, "?om=true").content == mask
    assert post(live, soft, "?om=false", om="true").content == mask  # the form wins
    red = post(live, soft, "?bgc=255,0,0,255").content
    assert post(live, soft, bgc="255,0,0,255").content == red


class _Pictures(BaseHTTPRequestHandler):
    """A web server with one picture, a redirect to itself and one that leads nowhere."""

    def do_GET(self) -> None:
        data: bytes = self.server.picture  # type: ignore[attr-defined]
        status = {"/photo.png": 200, "/loop": 302, "/lost": 302}.get(self.path, 404)
        self.send_response(status)
        if self.path == "/loop":
            self.send_header("Location", "/loop")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        """Silent."""


@pytest.fixture
def web(soft: bytes) -> Iterator[Any]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Pictures)
    server.picture = soft  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_pictures_by_url(live: Live, soft: bytes, web: Any) -> None:
    url = f"http://127.0.0.1:{web.server_port}/photo.png"
    answer = live.client.get("/api/remove", params={"url": url, "om": "true"})
    assert answer.content == post(live, soft, om="true").content
    web.picture = bytes(MIB + 1)
    answer = live.client.get("/api/remove", params={"url": url})
    assert (answer.status_code, answer.json()) == (400, {"detail": "Image exceeds maximum size."})
    assert not list(live.settings.spool.iterdir())


@pytest.mark.parametrize(
    ("url", "detail"),
    [
        ("ftp://example.com/a.png", "Only http and https URLs are allowed."),
        ("file:///etc/passwd", "Only http and https URLs are allowed."),
        ("nonsense", "Only http and https URLs are allowed."),
        ("http://", "Invalid URL: missing hostname."),
        ("http:///a.png", "Invalid URL: missing hostname."),
        ("http://localhost/a", "Requests to private/internal addresses are not allowed."),
        ("http://10.1.2.3/a", "Requests to private/internal addresses are not allowed."),
        ("http://[::1]/a", "Requests to private/internal addresses are not allowed."),
        ("http://169.254.169.254/", "Requests to private/internal addresses are not allowed."),
        ("http://127.0.0.1:{port}/loop", "Too many redirects."),
        ("http://127.0.0.1:{port}/lost", "Redirect without Location header."),
    ],
)
def test_urls_are_refused_in_the_words_of_rembg(
    live: Live, web: Any, url: str, detail: str
) -> None:
    answer = live.client.get("/api/remove", params={"url": url.format(port=web.server_port)})
    assert (answer.status_code, answer.json()) == (400, {"detail": detail})


def test_a_name_that_nobody_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*args: object, **how: object) -> list[object]:
        raise socket.gaierror(-2, "no such name")

    with serving(tmp_path) as live:
        monkeypatch.setattr(live.services.fetcher._lookups, "_resolve", nobody)
        answer = live.client.get("/api/remove", params={"url": "http://nobody.example/a.png"})
    assert answer.json() == {"detail": "Could not resolve hostname."}


@pytest.mark.parametrize(
    ("method", "query", "fields", "errors"),
    [
        ("GET", "", {}, [("missing", ["query", "url"])]),
        ("POST", "", {}, [("missing", ["body", "file"])]),
        ("POST", "", {"file": "text"}, [("missing", ["body", "file"])]),
        ("POST", "", {"a": "maybe"}, [("bool_parsing", ["body", "a"])]),
        ("POST", "", {"af": "256"}, [("less_than_equal", ["body", "af"])]),
        ("POST", "", {"ab": "-1"}, [("greater_than_equal", ["body", "ab"])]),
        ("POST", "", {"ae": "x"}, [("int_parsing", ["body", "ae"])]),
        ("POST", "", {"ae": "1001"}, [("less_than_equal", ["body", "ae"])]),
        ("POST", "", {"model": "nope"}, [("string_pattern_mismatch", ["body", "model"])]),
        ("GET", "?url=http://a.example&om=2", {}, [("bool_parsing", ["query", "om"])]),
        (
            "GET",
            "?url=http://a.example&model=nope",
            {},
            [("string_pattern_mismatch", ["query", "model"])],
        ),
        (
            "GET",
            "?af=x&ab=y",
            {},
            [("int_parsing", ["query", "af"]), ("int_parsing", ["query", "ab"])],
        ),
    ],
)
def test_parameters_are_refused_in_the_form_of_fastapi(
    live: Live, soft: bytes, method: str, query: str, fields: dict[str, str], errors: Any
) -> None:
    files = {"file": ("a.png", soft)} if fields and "file" not in fields else None
    answer = live.client.request(method, f"/api/remove{query}", data=fields or None, files=files)
    assert answer.status_code == 422
    assert [(one["type"], one["loc"]) for one in answer.json()["detail"]] == errors
    assert all({"type", "loc", "msg", "input"} <= set(one) for one in answer.json()["detail"])


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"bgc": "red"}, "bgc"),
        ({"bgc": "1,2"}, "bgc"),
        ({"bgc": "1,2,3,256"}, "bgc"),
        ({"vm": "true"}, "ViTMatte"),
        ({"model": "sam"}, "not offered"),
        ({"model": "u2net_custom"}, "file of yours"),
        ({"model": "u2net"}, "not offered here"),
        ({"extras": '{"model_path": "/etc/passwd"}'}, "model_path"),
        ({"extras": '{"providers": ["CUDAExecutionProvider"]}'}, "providers"),
        ({"extras": '{"pull": true}'}, "pull"),
        ({"extras": '{"api_key": "x"}'}, "api_key"),
        ({"extras": '{"sam_prompt": []}'}, "sam_prompt"),
        ({"extras": '{"cc": "upper"}'}, "cc"),
    ],
)
def test_what_is_not_offered_is_a_400(
    live: Live, soft: bytes, fields: dict[str, str], word: str
) -> None:
    answer = post(live, soft, **fields)
    assert answer.status_code == 400
    assert word in answer.json()["detail"]


@pytest.mark.parametrize("name", ["/etc/passwd", "../x.onnx", "net.onnx", "http://x/y.onnx"])
def test_a_path_is_no_model(live: Live, soft: bytes, name: str) -> None:
    before = len(live.pool.orders)
    assert post(live, soft, model=name).status_code == 422
    assert len(live.pool.orders) == before


def test_the_operators_look_is_not_rembgs(tmp_path: Path, soft: bytes) -> None:
    from cleancut import Options

    options = Options(model="echo", crop=True, background="red", format="webp", max_side_px=20)
    with serving(tmp_path, options=options) as live:
        assert opened(post(live, soft).content).size == (128, 96)


def test_files_that_are_no_pictures_and_too_large_ones(live: Live) -> None:
    answer = post(live, b"hello")
    assert answer.status_code == 400
    assert "not a picture" in answer.json()["detail"]
    answer = post(live, bytes(MIB + 1))
    assert answer.status_code == 413
    assert list(answer.json()) == ["detail"]


def test_a_busy_server_and_unknown_methods(live: Live, soft: bytes) -> None:
    live.pool.busy = Busy("32 pictures wait", retry_after_s=2)
    try:
        answer = post(live, soft)
    finally:
        live.pool.busy = None
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "2")
    assert list(answer.json()) == ["detail"]
    assert live.client.put("/api/remove").status_code == 405


def test_a_key_is_asked_for_where_there_are_keys(tmp_path: Path, soft: bytes) -> None:
    with serving(tmp_path, key=True) as live:
        assert post(live, soft).status_code == 200
        answer = httpx.post(f"{live.url}/api/remove", files={"file": ("a.png", soft)})
    assert answer.status_code == 401
    assert "API key is needed" in json.loads(answer.text)["detail"]
