from __future__ import annotations

import base64
import io
import json
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request

from cleancut.errors import (
    BadRequest,
    BodyTooLarge,
    CleancutError,
    StorageFailed,
    UnsupportedFormat,
)
from cleancut.server import spool, whole_body
from cleancut.server.body import Body, receive
from cleancut.server.settings import MIB, Settings

Found = tuple[dict[str, str], dict[str, list[tuple[str, str, bytes]]]]


def read(
    tmp_path: Path, body: bytes, content_type: str, *, piece: int = 1000, **more: Any
) -> Found:
    """Fields and files of ``body`` sent in pieces; also checks that nothing is left behind."""
    settings = Settings(data=tmp_path, max_body=more.pop("max_body", MIB))
    spool.empty(settings.spool)
    pieces = [body[i : i + piece] for i in range(0, len(body), piece)] or [b""]

    async def source() -> dict[str, Any]:
        data = pieces.pop(0)
        return {"type": "http.request", "body": data, "more_body": bool(pieces)}

    headers = [(b"content-type", content_type.encode())]
    headers += [(k.encode(), v.encode()) for k, v in more.pop("headers", {}).items()]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "query_string": b"",
        "headers": headers,
        "app": Starlette(),
    }

    async def go() -> Found:
        async with receive(Request(scope, source), settings, **more) as found:
            return _plain(found)

    try:
        return anyio.run(go)
    finally:
        assert list(settings.spool.iterdir()) == []


def _plain(body: Body) -> Found:
    files = {
        name: [(u.filename, u.content_type, u.path.read_bytes()) for u in uploads]
        for name, uploads in body.files.items()
    }
    return body.fields, files


def multipart(*parts: tuple[str, str | bytes, str | None]) -> tuple[bytes, str]:
    """A body and its content type; parts are name, value, file name."""
    out = b""
    for name, value, filename in parts:
        head = f'Content-Disposition: form-data; name="{name}"'
        if filename is not None:
            head += f'; filename="{filename}"\r\nContent-Type: image/png'
        data = value.encode() if isinstance(value, str) else value
        out += b"--edge\r\n" + head.encode() + b"\r\n\r\n" + data + b"\r\n"
    return out + b"--edge--\r\n", "multipart/form-data; boundary=edge"


@pytest.mark.parametrize("piece", [1, 7, 100_000])
def test_multipart_gives_fields_and_files(tmp_path: Path, piece: int) -> None:
    picture = bytes(range(256)) * 10
    body, kind = multipart(("crop", "true", None), ("image", picture, "a.png"))
    fields, files = read(tmp_path, body, kind, piece=piece)
    assert fields == {"crop": "true"}
    assert files == {"image": [("a.png", "image/png", picture)]}


def test_a_large_file_arrives_whole(tmp_path: Path) -> None:
    picture = bytes(range(256)) * 3000
    body, kind = multipart(("image", picture, "a.png"))
    assert read(tmp_path, body, kind, piece=65536)[1]["image"][0][2] == picture


def test_urlencoded_and_json_give_the_same_fields(tmp_path: Path) -> None:
    wanted = {"crop": "true", "margin": "5% 10%", "quality": "80"}
    form = read(tmp_path, urlencode(wanted).encode(), "application/x-www-form-urlencoded")
    document = {"crop": True, "margin": "5% 10%", "quality": 80, "shadow": None}
    found = read(tmp_path, json.dumps(document).encode(), "application/json; charset=utf-8")
    assert form == found == (wanted, {})


@pytest.mark.parametrize("kind", ["json", "form", "multipart", "data-url", "url-safe", "spaces"])
def test_base64_becomes_a_file(tmp_path: Path, kind: str) -> None:
    picture = bytes(range(251, 256)) * 100
    text = base64.b64encode(picture).decode()
    if kind == "multipart":
        found = read(tmp_path, *multipart(("image_b64", text, None)))
    elif kind == "form":
        body = urlencode({"image_b64": text}).encode()
        found = read(tmp_path, body, "application/x-www-form-urlencoded")
    elif kind == "spaces":  # a plus sign that nobody escaped
        body = b"image_b64=" + text.encode()
        found = read(tmp_path, body, "application/x-www-form-urlencoded")
    else:
        text = {
            "json": text,
            "data-url": f"data:image/png;base64,{text}",
            "url-safe": base64.urlsafe_b64encode(picture).decode().rstrip("="),
        }[kind]
        body = json.dumps({"image_b64": text}).encode()
        found = read(tmp_path, body, "application/json")
    assert found[1]["image_b64"][0][2] == picture


def test_a_picture_alone_is_the_file_image(tmp_path: Path) -> None:
    found = read(tmp_path, b"abc", "image/jpeg")
    assert found == ({}, {"image": [("", "image/jpeg", b"abc")]})


def test_an_empty_body_is_an_empty_form(tmp_path: Path) -> None:
    assert read(tmp_path, b"", "") == ({}, {})
    assert read(tmp_path, b"", "image/png") == ({}, {})


def test_a_file_input_left_empty_is_no_file(tmp_path: Path) -> None:
    assert read(tmp_path, *multipart(("image", b"", ""))) == ({}, {})


def test_the_file_name_is_never_a_path(tmp_path: Path) -> None:
    body, kind = multipart(("image", b"x", "../../etc/passwd\x07"))
    assert read(tmp_path, body, kind)[1]["image"][0][0] == "passwd"


def test_kept_files_stay(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    spool.empty(settings.spool)
    body, kind = multipart(("image", b"abc", "a.png"))
    sent = [{"type": "http.request", "body": body}]

    async def source() -> dict[str, Any]:
        return sent.pop()

    scope = {"type": "http", "headers": [(b"content-type", kind.encode())], "app": Starlette()}

    async def go() -> None:
        async with receive(Request(scope, source), settings) as found:
            found.files["image"][0].keep(tmp_path / "mine")

    anyio.run(go)
    assert (tmp_path / "mine").read_bytes() == b"abc"
    assert list(settings.spool.iterdir()) == []


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"--edge\r\nbroken", "multipart/form-data; boundary=edge"),
        (b"--other\r\n\r\n", "multipart/form-data; boundary=edge"),
        (multipart(("a", "1", None))[0][:-10], "multipart/form-data; boundary=edge"),
        (b"", "multipart/form-data; boundary=edge"),
        (b"x", "multipart/form-data"),
        (b"x", f"multipart/form-data; boundary={'b' * 300}"),
        (multipart(("a", "1", None), ("a", "2", None))[0], "multipart/form-data; boundary=edge"),
        (multipart(("a", b"\xff\xfe", None))[0], "multipart/form-data; boundary=edge"),
        (b"a=1&a=2", "application/x-www-form-urlencoded"),
        (b"a=%ff", "application/x-www-form-urlencoded"),
        (b"&".join(b"f%d=1" % n for n in range(300)), "application/x-www-form-urlencoded"),
        (b"image_b64=%%%", "application/x-www-form-urlencoded"),
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b"3", "application/json"),
        (b'{"a": [1]}', "application/json"),
        (b'{"a": {"b": 1}}', "application/json"),
        (b'{"a": 1, "a": 2}', "application/json"),
        (b'{"a": NaN}', "application/json"),
        (b'{"a": "\\ud800"}', "application/json"),
        (b"\xff\xfe{}", "application/json"),
        (b'{"a":' * 100_000, "application/json"),
        (b'{"image_b64": "a*b"}', "application/json"),
        (b'{"image_b64": "data:image/png,abc"}', "application/json"),
    ],
)
def test_bodies_that_cannot_be_read_are_bad_requests(
    tmp_path: Path, body: bytes, kind: str
) -> None:
    with pytest.raises(BadRequest):
        read(tmp_path, body, kind)


@pytest.mark.parametrize(
    ("kind", "headers"),
    [("text/plain", {}), ("", {}), ("application/json", {"content-encoding": "gzip"})],
)
def test_other_bodies_are_not_read(tmp_path: Path, kind: str, headers: dict[str, str]) -> None:
    with pytest.raises(UnsupportedFormat):
        read(tmp_path, b"{}", kind, headers=headers)


@pytest.mark.parametrize("announced", [False, True])
@pytest.mark.parametrize("kind", ["image/png", "application/json", "multipart/form-data"])
def test_too_many_bytes_are_refused(tmp_path: Path, kind: str, announced: bool) -> None:
    body = bytes(4 * MIB)
    if kind.startswith("multipart"):
        body, kind = multipart(("image", body, "a.png"))
    headers = {"content-length": str(len(body))} if announced else {}
    with pytest.raises(BodyTooLarge):
        read(tmp_path, body, kind, piece=65536, headers=headers)


def test_limits_on_parts(tmp_path: Path) -> None:
    cases: list[tuple[tuple[bytes, str], type[CleancutError]]] = [
        (multipart(*[(f"f{n}", b"x", "a.png") for n in range(9)]), BadRequest),
        (multipart(*[(f"f{n}", "x", None) for n in range(209)]), BadRequest),
        (multipart(("a", "x" * 70_000, None)), BodyTooLarge),
        (multipart(("a" * 5000, "x", None)), BadRequest),
    ]
    for (body, kind), error in cases:
        with pytest.raises(error):
            read(tmp_path, body, kind)
    with pytest.raises(BodyTooLarge):
        read(tmp_path, *multipart(("image", bytes(2000), "a.png")), max_file=1000)
    text = base64.b64encode(bytes(1200)).decode()
    with pytest.raises(BodyTooLarge):
        read(tmp_path, *multipart(("image_b64", text, None)), max_file=1000)


def test_a_disk_that_is_full_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, *args: Any, **kwargs: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(CleancutError, match="no room for uploads") as caught:
        read(tmp_path, *multipart(("image", b"abc", "a.png")))
    assert caught.value.code == "storage-failed"


def test_a_disk_that_takes_a_part_of_a_piece_truncates_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last room of a disk: ``write`` says how much it took, and raises nothing."""

    class Short(io.FileIO):
        def write(self, data: Any) -> int:
            return super().write(bytes(data)[:1000])

    monkeypatch.setattr(Path, "open", lambda self, mode, **_: Short(self, mode))
    draft = spool.Draft(tmp_path, MIB)
    draft.add(b"x" * 1500)
    with pytest.raises(StorageFailed):
        draft.close()


@pytest.mark.parametrize(
    "body",
    [b'{"a":[' + b"[]," * 400_000 + b"[]]}", b'{"a":[' + b"[[" * 400_000, b'{"a":{"b":' * 90_000],
    ids=["values", "nested", "objects"],
)
def test_a_document_of_very_many_values_is_not_built(body: bytes) -> None:
    """One of 30 MB would take a gigabyte and hold the process for seconds."""
    with pytest.raises(BadRequest), few_bytes(2 * len(body)):
        whole_body.from_json(body)


def test_a_document_of_very_many_members_is_not_built() -> None:
    body = b'{"a":1' + b',"a":1' * 200_000 + b"}"
    with pytest.raises(BadRequest, match="values"), few_bytes(2 * len(body)):
        whole_body.from_json(body)


def test_a_long_text_may_hold_commas_and_brackets() -> None:
    text = "1,2 [3,4] {5}" * 3000
    assert whole_body.from_json(json.dumps({"keep_points": text}).encode()) == [
        ("keep_points", text)
    ]


@pytest.mark.parametrize("shift", range(3))
def test_a_form_all_of_escapes_is_read_in_pieces(shift: int) -> None:
    """At once, every escape would become an object: 2.5 GB for one form of 30 MB."""
    count = 500_000
    body = b"image_b64=" + b"x" * shift + b"%41" * count + b"+%c3%a9%4"
    with few_bytes(3 * len(body)):
        found = whole_body.from_urlencoded(body)
    assert found == [("image_b64", "x" * shift + "A" * count + " \xe9%4")]


@contextmanager
def few_bytes(most: int) -> Iterator[None]:
    """Fail if more than ``most`` bytes are held at one time."""
    tracemalloc.start()
    try:
        yield
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= most, f"{peak} bytes held, {most} were granted"
