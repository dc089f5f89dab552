"""Malformed bodies of every kind to every door that reads one: refused in its own form."""

from __future__ import annotations

import json
import os
from dataclasses import fields
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cleancut.guidance import Guidance
from cleancut.options import Options
from tests.server.fuzz.conftest import SECONDS, Target
from tests.server.fuzz.malformed import photo

#: One example takes some 10 ms.
bounded = settings(
    max_examples=round(30 * SECONDS),
    deadline=None,
    database=None,
    derandomize="CLEANCUT_FUZZ_SECONDS" not in os.environ,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)

DOORS = ("/v1/cutouts", "/v1/jobs", "/v1.0/removebg", "/v1.0/improve", "/api/remove")
PICTURE = photo("PNG", (24, 16))

#: Names that mean something somewhere, and values that are at the edge of meaning something.
NAMES = sorted(
    {field.name for field in fields(Options)}
    | {field.name for field in fields(Guidance)}
    | {"image", "image_b64", "image_url", "image_file", "image_file_b64", "background_image"}
    | {"preset", "matte_b64", "scribbles_b64"}
    | {"size", "type", "type_level", "channels", "bg_color", "bg_image_url", "bg_image_file"}
    | {"crop_margin", "shadow_type", "shadow_type[car]", "shadow_opacity", "semitransparency"}
    | {"file", "url", "a", "af", "ab", "ae", "om", "ppm", "bgc", "extras", "images", "callback_url"}
)
VALUES = (
    *("", " ", "0", "-1", "1e999", "nan", "inf", "true", "none", "auto", "null", "99999999999999"),
    *("../../etc/passwd", "/etc/passwd", "file:///etc/passwd", "http://127.0.0.1:1/", "http://["),
    *("%00", "\x00", "a\r\nX-Evil: 1", "10%", "10px 20px", "#fff", "rgb(1,2,3)", "1,2;3,4", "{}"),
    *("2000x2000", "35x45mm@300", "1x1@10", "9999x9@10", "a4", "70%,10%", "us+4x6in", "amazon"),
    *("[" * 500, "9" * 5000, "é😀\u202e", "\ud800".encode("utf-8", "replace").decode(), "$(id)"),
)
name = st.one_of(st.sampled_from(NAMES), st.text(max_size=30))
value = st.one_of(st.sampled_from(VALUES), st.text(max_size=60), st.floats().map(str))


def judged(answer: httpx.Response, data: str, *, busy: bool = True) -> None:
    """No 5xx, no path, no traceback, and the form of the door."""
    told = f"{answer.status_code} {answer.text[:300] if answer.status_code >= 300 else ''}"
    assert answer.status_code < 500, told
    if answer.status_code < 300:
        return
    assert data not in told, told
    assert "Traceback" not in told
    document = json.loads(answer.text)
    path = answer.request.url.path
    if path.startswith("/v1.0/"):
        assert document["errors"][0]["title"], told
    elif path.startswith("/api/"):
        assert document["detail"], told
    else:
        assert document["status"] == answer.status_code
        assert document["code"], told


@pytest.fixture(scope="module")
def client(target: Target) -> Any:
    with target.client() as client:
        yield client
    target.check()


@pytest.mark.parametrize("door", DOORS)
def test_fields_of_any_name_and_value(target: Target, client: httpx.Client, door: str) -> None:
    @bounded
    @given(st.dictionaries(name, value, max_size=4), st.sampled_from(("form", "url", "json")))
    def ask(chosen: dict[str, str], how: str) -> None:
        files = {"image": PICTURE, "image_file": PICTURE, "file": PICTURE, "images": PICTURE}
        field = {"/v1/cutouts": "image", "/api/remove": "file", "/v1/jobs": "image"}.get(door)
        field = field or "image_file"
        if how == "form":
            answer = client.post(door, files={field: ("a.png", files[field])}, data=chosen)
        elif how == "url":
            answer = client.post(door, params=chosen, files={field: ("a.png", files[field])})
        else:
            answer = client.post(door, json=chosen)
        judged(answer, str(target.data.parent))

    ask()


header = st.one_of(
    st.sampled_from(
        (
            b'Content-Disposition: form-data; name="image"; filename="a.png"',
            b'Content-Disposition: form-data; name="image"',
            b'Content-Disposition: form-data; name="image_file"; filename="../../../etc/passwd"',
            b"Content-Disposition: form-data; name=file; filename*=utf-8''%00%ff",
            b'Content-Disposition: form-data; name="' + b"a" * 5000 + b'"',
            b'Content-Disposition: attachment; name="image"',
            b"Content-Disposition: form-data",
            b'Content-Disposition: form-data; name="image"; name="file"',
            b"Content-Type: multipart/mixed; boundary=x",
            b"Content-Type: image/png\x00",
            b"Content-Transfer-Encoding: base64",
            b"Content-Length: -5",
            b": nothing",
            b"no colon",
            b"X: " + b"y" * 20_000,
        )
    ),
    st.binary(max_size=40),
)
content = st.one_of(st.just(PICTURE), st.just(b""), st.binary(max_size=200), st.just(b"\r\n--x"))


@st.composite
def multiparts(draw: st.DrawFn) -> bytes:
    """Parts that are not quite, between boundaries that are not always."""
    between = st.sampled_from(
        (b"\r\n--x\r\n", b"--x\r\n", b"\n--x\n", b"\r\n--y\r\n", b"--x--", b"")
    )
    parts = draw(st.lists(st.tuples(st.lists(header, max_size=3), content, between), max_size=4))
    body = draw(st.sampled_from((b"--x\r\n", b"", b"\r\n--x\r\n", b"preamble", b"--x--\r\n")))
    for headers, data, end in parts:
        body += b"\r\n".join(headers) + draw(st.sampled_from((b"\r\n\r\n", b"\n\n", b"\r\n")))
        body += data + end
    return body + draw(st.sampled_from((b"\r\n--x--\r\n", b"", b"--x--", b"\r\n--x")))


@pytest.mark.parametrize("door", DOORS)
def test_multiparts_that_are_not_quite(target: Target, client: httpx.Client, door: str) -> None:
    kinds = st.sampled_from(
        (
            "multipart/form-data; boundary=x",
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=" + "x" * 500,
            'multipart/form-data; boundary="x"; boundary=y',
            "multipart/mixed; boundary=x",
        )
    )

    @bounded
    @given(multiparts(), kinds)
    def ask(body: bytes, kind: str) -> None:
        answer = client.post(door, content=body, headers={"content-type": kind})
        judged(answer, str(target.data.parent))

    ask()


DOCUMENTS = (
    b"",
    b"{",
    b"[]",
    b"null",
    b'"image"',
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"image_b64": 1}',
    b'{"image_b64": "%%%"}',
    b'{"image_b64": "data:image/png;base64,AAAA"}',
    b'{"image_b64": "' + b"A" * 1_000_000 + b'"}',
    b'{"image_b64": null, "image_url": "file:///etc/passwd"}',
    b'{"image_url": {"a": [1]}}',
    b'{"a": 1, "a": 2}',
    b'{"max_side_px": 1e999}',
    b'{"max_side_px": ' + b"9" * 5000 + b"}",
    b'{"max_side_px": NaN}',
    b'{"\\ud800": "\\ud800"}',
    b'{"image_b64": "\\ud800"}',
    b"\xff\xfe{\0}\0",
    b"\xef\xbb\xbf{}",
    b"{}" + b" " * 1_000_000,
)


@pytest.mark.parametrize("door", DOORS)
def test_documents_and_bodies_that_make_no_sense(
    target: Target, client: httpx.Client, door: str
) -> None:
    kinds = (
        *("application/json", "application/json; charset=utf-7", "application/problem+json"),
        *("application/x-www-form-urlencoded", "image/png", "image/svg+xml", "text/plain", "", "/"),
        *("application/octet-stream", "a" * 1000, "multipart/form-data; boundary=\tx"),
    )
    bodies = (*DOCUMENTS, b"a=%", b"%ff=%fe&&&=", b"a=1&" * 20_000, b"=" * 1000, PICTURE)
    for kind in kinds:
        for body in bodies:
            answer = client.post(door, content=body, headers={"content-type": kind})
            judged(answer, str(target.data.parent))

    @bounded
    @given(st.sampled_from(kinds), st.binary(max_size=300))
    def ask(kind: str, body: bytes) -> None:
        answer = client.post(door, content=body, headers={"content-type": kind})
        judged(answer, str(target.data.parent))

    ask()
