"""remove.bg's API over a real socket."""

from __future__ import annotations

import base64
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from cleancut import Options, cutout
from cleancut.errors import (
    BackendUnavailable,
    Busy,
    CleancutError,
    InferenceFailed,
    PictureCrashed,
    TimedOut,
)
from cleancut.server.settings import MIB
from tests.server.live import Live, opened, photo, serving


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with serving(tmp_path_factory.mktemp("server"), max_megapixels=1.0, improve=True) as found:
        yield found


@pytest.fixture
def png(disc: NDArray[np.uint8]) -> bytes:
    return photo(disc)


def post(live: Live, png: bytes | None = None, **fields: str) -> httpx.Response:
    files = {} if png is None else {"image_file": ("photo.png", png)}
    return live.client.post("/v1.0/removebg", data=fields, files=files or {"x": ("x", b"")})


def error(response: httpx.Response) -> dict[str, str]:
    """The only error of a refused request."""
    document = response.json()
    assert list(document) == ["errors"]
    assert len(document["errors"]) == 1
    found: dict[str, str] = document["errors"][0]
    assert found["title"]
    assert "/tmp" not in response.text
    return found


def test_the_image_and_every_header(live: Live, png: bytes) -> None:
    answer = post(live, png)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    image = opened(answer.content)
    assert (image.mode, image.size) == ("RGBA", (128, 96))
    told = {name: answer.headers[name] for name in answer.headers if name.startswith("x-")}
    assert (
        told.items()
        >= {
            "x-type": "other",
            "x-width": "128",
            "x-height": "96",
            "x-max-width": "128",
            "x-max-height": "96",
            "x-credits-charged": "0",
            "x-foreground-top": "18",
            "x-foreground-left": "34",
            "x-foreground-width": "61",
            "x-foreground-height": "61",
        }.items()
    )
    assert "x-ratelimit-limit" not in told  # nothing is limited


def test_the_json_variant(live: Live, png: bytes) -> None:
    answer = live.client.post(
        "/v1.0/removebg",
        files={"image_file": ("photo.png", png)},
        headers={"Accept": "application/json"},
    )
    assert answer.headers["content-type"] == "application/json"
    data = answer.json()["data"]
    assert {name: data[name] for name in data if name != "result_b64"} == {
        "foreground_top": 18,
        "foreground_left": 34,
        "foreground_width": 61,
        "foreground_height": 61,
    }
    assert base64.b64decode(data["result_b64"]) == post(live, png).content


@pytest.mark.parametrize("accept", ["*/*", "image/*", "application/json, text/plain, */*", ""])
def test_clients_that_accept_anything_get_the_image(live: Live, png: bytes, accept: str) -> None:
    answer = live.client.post(
        "/v1.0/removebg", files={"image_file": ("a.png", png)}, headers={"Accept": accept}
    )
    assert answer.headers["content-type"] == "image/png"


def test_the_same_by_every_kind_of_body(live: Live, png: bytes) -> None:
    expected = post(live, png, size="auto", crop="true").content
    text = base64.b64encode(png).decode()
    fields = {"image_file_b64": text, "size": "auto", "crop": "true"}
    urlencoded = live.client.post("/v1.0/removebg", data=fields)
    as_json = live.client.post("/v1.0/removebg", json={**fields, "crop": True, "roi": None})
    multipart = live.client.post("/v1.0/removebg", files={n: (None, v) for n, v in fields.items()})
    data_url = live.client.post(
        "/v1.0/removebg", data={**fields, "image_file_b64": f"data:image/png;base64,{text}"}
    )
    for answer in (urlencoded, as_json, multipart, data_url):
        assert answer.status_code == 200, answer.text
        assert answer.content == expected


def test_the_path_of_old_clients(live: Live, png: bytes) -> None:
    answer = live.client.post("/api/removebg", files={"image_file": ("a.png", png)})
    assert answer.content == post(live, png).content
    assert "errors" in live.client.post("/api/removebg").json()


class _Pictures(BaseHTTPRequestHandler):
    """A web server with one picture."""

    def do_GET(self) -> None:
        data: bytes = self.server.picture  # type: ignore[attr-defined]
        self.send_response(200 if self.path == "/photo.png" else 404)
        self.send_header("Content-Type", "image/png")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        """Silent."""


@pytest.fixture
def web(png: bytes) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Pictures)
    server.picture = png  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_pictures_and_backgrounds_by_url(live: Live, png: bytes, web: str) -> None:
    assert post(live, image_url=f"{web}/photo.png").content == post(live, png).content
    behind = post(live, png, bg_image_url=f"{web}/photo.png")
    assert behind.headers["content-type"] == "image/jpeg"
    assert not list(live.settings.spool.iterdir())


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"image_url": "{web}/gone.png"}, "failed_image_download"),
        ({"image_url": "ftp://example.com/a.png"}, "invalid_image_url"),
        ({"image_url": "http://10.0.0.1/a.png"}, "invalid_image_url"),
        ({"image_url": "http://localhost/a.png"}, "invalid_image_url"),
    ],
)
def test_urls_that_are_refused(live: Live, web: str, fields: dict[str, str], code: str) -> None:
    answer = post(live, **{name: value.format(web=web) for name, value in fields.items()})
    assert (answer.status_code, error(answer)["code"]) == (400, code)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("{web}/gone.png", "failed_bg_download"),
        ("http://169.254.169.254/latest", "invalid_bg_image_url"),
    ],
)
def test_background_urls_that_are_refused(
    live: Live, png: bytes, web: str, url: str, code: str
) -> None:
    answer = post(live, png, bg_image_url=url.format(web=web))
    assert (answer.status_code, error(answer)["code"]) == (400, code)


def test_formats(live: Live, png: bytes) -> None:
    for form, kind in (("jpg", "image/jpeg"), ("webp", "image/webp"), ("png", "image/png")):
        answer = post(live, png, format=form)
        assert answer.headers["content-type"] == kind
        assert opened(answer.content).format == {"jpg": "JPEG"}.get(form, form.upper())
    answer = post(live, png, format="zip")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["color.jpg", "alpha.png"]
        assert opened(archive.read("alpha.png")).mode == "L"


def test_the_alpha_channel_alone(live: Live, disc: NDArray[np.uint8]) -> None:
    image = opened(post(live, photo(disc, tint=False), channels="alpha").content)
    assert image.mode == "L"
    assert image.getpixel((64, 48)) == 255


def test_a_colour_that_lets_through(live: Live, disc: NDArray[np.uint8]) -> None:
    image = opened(post(live, photo(disc, tint=False), bg_color="00ff0080").content)
    assert image.getpixel((0, 0)) == (0, 255, 0, 128)
    assert image.getpixel((64, 48))[3] == 255  # type: ignore[index]


def test_a_region_of_interest_is_all_that_is_kept(live: Live, disc: NDArray[np.uint8]) -> None:
    alpha = np.asarray(opened(post(live, photo(disc, tint=False), roi="0% 0% 50% 100%").content))[
        ..., 3
    ]
    assert alpha[:, 64:].max() == 0
    assert alpha[48, 40] == 255


def test_crop_scale_and_position(live: Live, png: bytes) -> None:
    cropped = post(live, png, crop="true", crop_margin="10px 20px")
    assert (cropped.headers["x-width"], cropped.headers["x-height"]) == ("101", "81")
    assert cropped.headers["x-foreground-left"] == "20"
    scaled = post(live, png, scale="50%", position="0% 100%")
    assert scaled.headers["x-width"] == "128"
    assert abs(int(scaled.headers["x-foreground-height"]) - 48) <= 1
    assert int(scaled.headers["x-foreground-left"]) <= 1


def test_large_pictures_become_previews(live: Live, disc: NDArray[np.uint8]) -> None:
    large = photo(np.kron(disc, np.ones((8, 8, 1), np.uint8)))
    answer = post(live, large)
    width, height = (int(answer.headers[f"x-{side}"]) for side in ("width", "height"))
    assert 0.24e6 < width * height <= 0.25e6
    assert (answer.headers["x-max-width"], answer.headers["x-max-height"]) == ("1024", "768")
    assert post(live, large, size="auto").headers["x-width"] == "1024"


def test_an_upright_region_of_a_turned_photograph(live: Live, disc: NDArray[np.uint8]) -> None:
    exif = opened(photo(disc)).getexif()
    exif[0x0112] = 6  # 128 x 96 is stored, 96 x 128 is shown
    turned = photo(disc, "JPEG", exif=exif.tobytes())
    assert post(live, turned, roi="0px 0px 96px 128px").status_code == 200
    assert error(post(live, turned, roi="0px 0px 97px 10px"))["code"] == "roi_exceeds_bounds"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "failed_to_read_image"),
        (b"hello", "failed_to_read_image"),
        (b"%PDF-1.7", "failed_to_read_image"),
        (b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom", "failed_to_read_image"),
        (b"8BPS" + bytes(50), "invalid_file_type"),
        (b"\xff\xd8\xff\xe0" + bytes(50), "failed_to_read_image"),
    ],
)
def test_files_that_are_no_pictures(live: Live, data: bytes, code: str) -> None:
    answer = post(live, data)
    assert (answer.status_code, error(answer)["code"]) == (400, code)


def test_too_many_pixels_and_too_many_bytes(live: Live, disc: NDArray[np.uint8]) -> None:
    before = len(live.pool.orders)
    huge = photo(np.kron(disc, np.ones((10, 10, 1), np.uint8)))
    found = error(post(live, huge))
    assert found["code"] == "resolution_too_high"
    assert "1280x960" in found["detail"]
    assert len(live.pool.orders) == before  # nothing was queued
    found = error(post(live, b"x" * (22 * MIB + 1)))
    assert (found["code"], found["detail"]) == ("file_too_large", "File exceeds limit of 22MB")


def test_a_picture_without_a_subject(live: Live) -> None:
    answer = post(live, photo(np.zeros((60, 80, 3), np.uint8)))
    assert answer.status_code == 400
    assert error(answer)["code"] == "unknown_foreground"
    assert error(answer)["title"].startswith("Could not identify foreground in image.")


def test_sources_have_to_be_one(live: Live, png: bytes) -> None:
    text = base64.b64encode(png).decode()
    found = error(post(live))
    assert found == {
        "title": "No image given",
        "code": "missing_source",
        "detail": "Please provide the source image in the image_url, image_file or "
        "image_file_b64 parameter.",
    }
    assert error(live.client.post("/v1.0/removebg"))["code"] == "missing_source"
    several = post(live, png, image_file_b64=text)
    assert error(several)["code"] == "multiple_sources"
    assert error(post(live, png, image_url="http://x"))["code"] == "multiple_sources"
    behind = live.client.post(
        "/v1.0/removebg",
        files={"image_file": ("a", png), "bg_image_file": ("b", png)},
        data={"bg_color": "red"},
    )
    assert error(behind)["code"] == "multiple_bg_sources"


def test_a_broken_background_is_named_but_its_place_is_not(live: Live, png: bytes) -> None:
    answer = live.client.post(
        "/v1.0/removebg", files={"image_file": ("a", png), "bg_image_file": ("b", b"hello")}
    )
    assert error(answer)["detail"] == "The background image cannot be read."


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b'{"size": ["auto"]}', "application/json"),
        (b"size=auto&size=full", "application/x-www-form-urlencoded"),
        (b"x", "multipart/form-data"),
        (b"x", "multipart/form-data; boundary=y"),
        (b"image_file_b64=%21%21", "application/x-www-form-urlencoded"),
        (b"hello", "text/plain"),
    ],
)
def test_bodies_that_cannot_be_read(live: Live, content: bytes, kind: str) -> None:
    answer = live.client.post("/v1.0/removebg", content=content, headers={"Content-Type": kind})
    assert answer.status_code == 400
    assert error(answer)["title"]


@pytest.mark.parametrize(
    ("trouble", "status", "code"),
    [
        (TimedOut("took too long"), 504, "request_timeout"),
        (PictureCrashed("it died"), 400, "failed_to_read_image"),
        (InferenceFailed("secret /srv/models/x.onnx"), 500, "server_error"),
        (BackendUnavailable("secret /srv/models/x.onnx"), 503, "server_unavailable"),
        (CleancutError("secret"), 500, "server_error"),
    ],
)
def test_what_goes_wrong_inside_is_not_told(
    live: Live, png: bytes, trouble: CleancutError, status: int, code: str
) -> None:
    live.pool.fails = trouble
    try:
        answer = post(live, png)
    finally:
        live.pool.fails = None
    assert (answer.status_code, error(answer)["code"]) == (status, code)
    assert "secret" not in answer.text


def test_a_busy_server_says_when_to_come_back(live: Live, png: bytes) -> None:
    live.pool.busy = Busy("32 pictures wait", retry_after_s=2.2)
    try:
        answer = post(live, png)
    finally:
        live.pool.busy = None
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "3"
    assert error(answer)["code"] == "rate_limit_exceeded"


def test_unknown_paths_and_methods_have_the_same_form(live: Live) -> None:
    assert error(live.client.get("/v1.0/nothing"))["code"] == "not_found"
    answer = live.client.get("/v1.0/removebg")
    assert answer.status_code == 405
    assert "POST" in answer.headers["allow"]
    error(answer)


def test_keys_quotas_and_rates(tmp_path: Path, png: bytes) -> None:
    limits = {"requests_per_minute": 4, "megapixels_per_day": 0.03}
    with serving(tmp_path, key=True, limits=limits) as live:
        nobody = httpx.post(f"{live.url}/v1.0/removebg", files={"image_file": ("a.png", png)})
        assert nobody.status_code == 403
        assert error(nobody)["title"] == "Missing API Key"
        wrong = httpx.get(f"{live.url}/v1.0/account", headers={"X-Api-Key": "cc_wrong"})
        assert wrong.status_code == 403
        assert error(wrong) == {
            "title": "API Key invalid",
            "code": "auth_failed",
            "detail": error(wrong)["detail"],
        }
        answer = post(live, png)
        assert answer.status_code == 200
        assert answer.headers["x-credits-charged"] == "0.01229"
        assert answer.headers["x-ratelimit-limit"] == "4"
        assert answer.headers["x-ratelimit-remaining"] == "3"
        assert int(answer.headers["x-ratelimit-reset"]) > 1_700_000_000
        assert [post(live, png).status_code for _ in range(3)] == [200, 200, 402]
        limited = post(live, png)
        assert limited.status_code == 429
        assert int(limited.headers["retry-after"]) >= 1
        account = live.client.get("/v1.0/account").json()
        assert account["data"]["attributes"]["credits"]["total"] == 0
        bearer = live.client.headers.pop("x-api-key")
        again = live.client.get("/v1.0/account", headers={"Authorization": f"Bearer {bearer}"})
        assert again.status_code == 200


def test_the_account_without_a_quota(live: Live) -> None:
    assert live.client.get("/v1.0/account").json() == {
        "data": {
            "attributes": {
                "credits": {
                    "total": 1_000_000,
                    "subscription": 1_000_000,
                    "payg": 0,
                    "enterprise": 0,
                },
                "api": {"free_calls": 0, "sizes": "all"},
            }
        }
    }


def test_pictures_for_review_are_kept(live: Live, png: bytes, monkeypatch: Any) -> None:
    answer = live.client.post(
        "/v1.0/improve",
        files={"image_file": ("../../evil.png", png)},
        data={"tag": "hair\n" + "x" * 5000},
    )
    assert answer.status_code == 200
    (facts,) = (live.settings.data / "improve").rglob(f"{answer.json()['id']}.json")
    assert facts.with_suffix(".png").read_bytes() == png
    told = json.loads(facts.read_text())
    assert told["filename"] == "evil.png"
    assert told["tag"] == "hair" + "x" * 195
    assert error(live.client.post("/v1.0/improve"))["code"] == "missing_source"
    broken = live.client.post("/v1.0/improve", files={"image_file": ("a", b"hello")})
    assert error(broken)["code"] == "failed_to_read_image"
    monkeypatch.setattr("cleancut.server.improve.PER_DAY", 1)
    full = live.client.post("/v1.0/improve", files={"image_file": ("a", png)})
    assert (full.status_code, error(full)["code"]) == (429, "improve_limit_exceeded")
    assert not [path for path in facts.parent.iterdir() if path.name.startswith(".")]


def test_nothing_is_kept_unless_the_operator_said_so(tmp_path: Path, png: bytes) -> None:
    with serving(tmp_path) as live:
        answer = live.client.post("/v1.0/improve", files={"image_file": ("a.png", png)})
        assert (answer.status_code, error(answer)["code"]) == (400, "improve_disabled")
        assert not (tmp_path / "improve").exists()


def test_pixels_are_those_of_the_library(live: Live, png: bytes) -> None:
    options = Options(model="echo", max_output_megapixels=25, crop=True, margin="5%")
    expected = cutout(png, options=options).encode("png")
    assert post(live, png, size="auto", crop="true", crop_margin="5%").content == expected
