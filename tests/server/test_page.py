from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from cleancut.server import page
from tests.server.live import Asker, client, png, serving

WEB = Path(page.__file__).parent / "web"
ABOVE = ("../page.py", "%2e%2e/page.py", "..%2fpage.py", "/etc/passwd", "%2fetc%2fpasswd", "")


def _assets(ask: Asker) -> list[str]:
    """Everything that the page names, from the page on."""
    found, todo = {"/"}, ["/"]
    while todo:
        path = todo.pop()
        text = ask.get(path).text
        folder = path.rpartition("/")[0] + "/"
        named = re.findall(r"(?:src|href)=\"([^\"#:]+)\"", text) if path == "/" else []
        if path.endswith(".js"):
            named = re.findall(r"(?:from|import|new URL)\s*\(?\s*\"(\.[^\"]+)\"", text)
        for name in named:
            whole = name if name.startswith("/") else folder + name
            while "/../" in whole or "/./" in whole:
                whole = re.sub(r"/\./|/[^/]+/\.\./", "/", whole, count=1)
            if whole not in found and not whole.startswith(("/docs", "/v1", "/openapi")):
                found.add(whole)
                todo.append(whole)
    return sorted(found)


def test_the_page_and_all_that_it_names_are_served(tmp_path: Path) -> None:
    with client(tmp_path) as ask:
        assets = _assets(ask)
        answers = {path: ask.get(path) for path in assets}
    assert len(assets) > 10, assets
    assert {path: a.status_code for path, a in answers.items() if a.status_code != 200} == {}
    types = {path.rpartition(".")[2]: a.headers["content-type"] for path, a in answers.items()}
    assert types["/"] == "text/html; charset=utf-8"
    assert types["js"] == "text/javascript; charset=utf-8"
    assert types["css"] == "text/css; charset=utf-8"


def test_every_file_of_the_page_is_needed(tmp_path: Path) -> None:
    with client(tmp_path) as ask:
        named = {path.removeprefix("/page/") for path in _assets(ask)}
    assert set(page.files_of()) - named - {page.INDEX} == set()


def test_a_request_never_reaches_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "index.html").write_text("<!doctype html>")
    (tmp_path / "web" / "LICENCE").write_text("not served")
    monkeypatch.setattr(page.resources, "files", lambda name: tmp_path)
    with client(tmp_path) as ask:
        (tmp_path / "web" / "late.js").write_text("1")
        assert ask.get("/").text == "<!doctype html>"
        for path in (*ABOVE, "late.js", "LICENCE"):
            assert ask.get(f"/page/{path}").status_code == 404, path


def test_a_page_that_did_not_change_is_not_sent_again(tmp_path: Path) -> None:
    with client(tmp_path) as ask:
        first = ask.get("/", headers={"accept-encoding": "gzip"})
        tag = first.headers["etag"]
        again = ask.get("/", headers={"accept-encoding": "gzip", "if-none-match": f'"x", W/{tag}'})
        plain = ask.get("/", headers={"accept-encoding": "identity", "if-none-match": tag})
    assert first.headers["cache-control"] == "no-cache"
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert plain.status_code == 200
    assert plain.headers["etag"] != tag


@pytest.mark.parametrize(
    ("accepts", "packed"),
    [
        ("gzip, deflate, br", True),
        ("br;q=1, GZIP;q=0.5", True),
        ("*", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("br", False),
        ("", False),
    ],
)
def test_it_is_compressed_for_those_who_can_read_it(
    accepts: str, packed: bool, tmp_path: Path
) -> None:
    with client(tmp_path) as ask:
        answer = ask.get("/", headers={"accept-encoding": accepts})
    index = (WEB / "index.html").read_bytes()
    assert answer.content == index
    assert (answer.headers.get("content-encoding") == "gzip") is packed
    expected = len(gzip.compress(index, 9)) if packed else len(index)
    assert int(answer.headers["content-length"]) == expected
    assert answer.headers["vary"] == "Accept-Encoding"


def test_head_is_get_without_its_body(tmp_path: Path) -> None:
    with client(tmp_path) as ask:
        head, get = ask.request("HEAD", "/"), ask.get("/")
        refused = ask.post("/")
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "etag", "content-type"):
        assert head.headers[name] == get.headers[name]
    assert refused.status_code == 405


def test_the_page_may_load_and_ask_nobody_but_this_server(tmp_path: Path) -> None:
    with client(tmp_path) as ask:
        headers = ask.get("/").headers
        api = ask.get("/v1/about").headers
    policy = dict(part.strip().partition(" ")[::2] for part in page.POLICY.split(";"))
    assert headers["content-security-policy"] == page.POLICY
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert (policy["require-trusted-types-for"], policy["trusted-types"]) == ("'script'", "'none'")
    assert "unsafe" not in page.POLICY
    assert "http" not in page.POLICY
    assert headers["permissions-policy"].startswith("camera=(self), ")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "script-src" not in api["content-security-policy"]


def test_the_pages_own_requests_pass_and_those_of_others_do_not(tmp_path: Path) -> None:
    """Under its own name the page may be linked to; under a foreign one there is no page."""
    own = {"origin": "http://127.0.0.1", "sec-fetch-site": "same-origin"}
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    foreign = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    bound = {"host": "evil.example:7000", "sec-fetch-site": "same-origin"}
    with client(tmp_path) as ask:
        assert ask.get("/", headers=link).status_code == 200
        assert ask.get("/v1/about", headers=own).status_code == 200
        sent = ask.post("/v1/cutouts", headers=own, files={"image": ("a.png", png())})
        assert sent.status_code == 200
        for headers in (foreign, bound, {"sec-fetch-site": "same-site"}):
            assert ask.get("/v1/about", headers=headers).status_code == 401, headers
        for path in ("/", "/page/app.js"):
            assert ask.get(path, headers=bound).status_code == 401
            assert "127.0.0.1" in ask.get(path, headers=bound).json()["hint"]


def test_a_server_with_keys_shows_its_page_and_asks_for_one(tmp_path: Path) -> None:
    anybody = {"x-api-key": "", "host": "cut.example"}
    with serving(tmp_path, key=True) as live:
        get = live.client.get
        assert get("/", headers=anybody).status_code == 200
        assert get("/page/app.js", headers=anybody).status_code == 200
        about = get("/v1/about", headers=anybody)
        assert (about.status_code, about.json()["key_needed"]) == (200, True)
        assert get("/v1/models", headers=anybody).status_code == 401
        assert get("/v1/models").status_code == 200


def test_a_server_of_apis_only_points_to_its_docs(tmp_path: Path) -> None:
    with client(tmp_path, page=False) as ask:
        answers = [ask.get(path) for path in ("/", "/page/app.js")]
        assert ask.get("/v1/about").status_code == 200
    assert [a.status_code for a in answers] == [404, 404]
    assert "/docs" in answers[0].json()["hint"]


def test_about_tells_limits_and_formats(tmp_path: Path) -> None:
    limits = {"max_body": 5_000_000, "max_megapixels": 12.0, "queue": 3, "max_job_items": 7}
    with client(tmp_path, **limits, max_job_body=9_000_000, video=False) as ask:
        about = ask.get("/v1/about").json()
        formats = {row["name"]: row for row in ask.get("/v1/options").json()}["format"]["choices"]
    assert about["limits"] == {
        "bytes": 5_000_000,
        "megapixels": 12.0,
        "queue": 3,
        "job_items": 7,
        "job_bytes": 9_000_000,
        "video_bytes": 2000 << 20,
        "video_minutes": 60.0,
    }
    assert (about["name"], about["key_needed"], about["video"]) == ("cleancut", False, False)
    assert {"png", "webp", "jpg", "tiff", "zip"} <= set(about["writes"]) <= set(formats)
    reads = {kind["name"]: kind for kind in about["reads"]}
    assert {"JPEG", "PNG", "WebP", "TIFF", "BMP", "GIF"} <= set(reads)
    assert reads["JPEG"]["types"] == ["image/jpeg"]
    assert ".jpg" in reads["JPEG"]["suffixes"]


def test_the_browser_is_opened_where_the_server_is() -> None:
    from cleancut.cli.main import build_parser

    parser = build_parser("serve")
    assert parser.parse_args(["serve", "--open"]).open is True
    assert parser.parse_args(["serve"]).open is False
