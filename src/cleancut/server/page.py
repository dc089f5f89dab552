"""The web page: the files of the folder ``web``, at ``/`` and ``/page/``.

All of them are read, and compressed, when the server starts: what a request asks for is looked up
in that table and never touches the disk.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from cleancut.errors import NotFound
from cleancut.server.auth import visitor

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable  # novm

INDEX = "index.html"
#: Files with other suffixes are not served, like the licence of what others wrote.
TYPES: Mapping[str, str] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}
_COMPRESSED = frozenset({".html", ".css", ".js", ".json", ".svg", ".webmanifest"})

#: Its own scripts and styles; pictures that it made itself; requests to this server alone. No text
#: is made into HTML or a script (Trusted Types: where the browser knows them, it throws).
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; media-src 'self' blob:; manifest-src 'self'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS = {
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
    "Vary": "Accept-Encoding",
}
#: Of the document alone: what it loads is bound by them.
_DOCUMENT = {
    "Content-Security-Policy": POLICY,
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class File:
    """One file of the page; ``packed`` is its gzip, None where that saves nothing."""

    data: bytes
    packed: bytes | None
    media_type: str
    tag: str


def router_of(files: Mapping[str, File]) -> APIRouter:
    """The routes of the page made of ``files``, by their paths below the folder."""
    router = APIRouter(include_in_schema=False, dependencies=[Depends(visitor)])

    @router.get("/")
    async def index(request: Request) -> Response:
        """The page itself."""
        return _answer(request, files.get(INDEX))

    @router.get("/page/{path:path}")
    async def part(request: Request, path: str) -> Response:
        """What the page loads."""
        return _answer(request, files.get(path))

    return router


def files_of(folder: Traversable | None = None) -> dict[str, File]:
    """Every file of ``folder`` that is served, by its path below it; the package's by default."""
    found = {}
    for path, file in _walk(folder or resources.files("cleancut.server") / "web", ""):
        suffix = path[path.rfind(".") :]
        if suffix not in TYPES:
            continue
        data = file.read_bytes()
        packed = gzip.compress(data, 9, mtime=0) if suffix in _COMPRESSED else data
        small = packed if len(packed) < len(data) else None
        tag = hashlib.sha256(data).hexdigest()[:24]
        found[path] = File(data, small, TYPES[suffix], tag)
    return found


def _walk(folder: Traversable, above: str) -> Iterator[tuple[str, Traversable]]:
    if not folder.is_dir():
        return
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{above}{entry.name}/")
        else:
            yield above + entry.name, entry


def _answer(request: Request, file: File | None) -> Response:
    """``file`` as the browser takes it. Raises ``NotFound``."""
    if file is None:
        raise NotFound("there is nothing at this path", hint="the page is at /, the API at /docs")
    packed = file.packed if _takes_gzip(request) else None
    # A strong tag names bytes, so the two encodings have two (RFC 9110, 8.8.3.3).
    tag = f'"{file.tag}{"-gz" if packed is not None else ""}"'
    headers = {**_HEADERS, "ETag": tag}
    if file.media_type == TYPES[".html"]:
        headers |= _DOCUMENT
    if _holds(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    if packed is not None:
        headers["Content-Encoding"] = "gzip"
    return Response(packed or file.data, media_type=file.media_type, headers=headers)


def _takes_gzip(request: Request) -> bool:
    """Whether gzip is named, and not with a weight of nothing."""
    for part in request.headers.get("accept-encoding", "").lower().split(","):
        name, _, weight = part.partition(";")
        if name.strip() in ("gzip", "*"):
            return weight.replace(" ", "").strip("0.") != "q="
    return False


def _holds(tags: str, tag: str) -> bool:
    """Whether the If-None-Match ``tags`` name ``tag``; compared weakly (RFC 9110, 13.1.2)."""
    return any(found.strip().removeprefix("W/") in (tag, "*") for found in tags.split(","))
