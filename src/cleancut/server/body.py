"""A request's body as fields and files: read while it streams, spooled to disk, removed after.

Multipart (RFC 7578), urlencoded and JSON end up as the same ``Body``. Pictures never pile up in
memory: the parts of a multipart body go to files as they arrive, and of bodies that must be read
whole, large ones are read a few at a time.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from cleancut.errors import BadRequest, BodyTooLarge, Cancelled, UnsupportedFormat
from cleancut.server import whole_body
from cleancut.server.settings import MIB
from cleancut.server.spool import Draft, remove
from cleancut.server.threads import in_thread

if TYPE_CHECKING:
    from starlette.requests import Request

    from cleancut.server.settings import Settings

#: Fields and files of one request; the longest text field, bytes; the longest file name.
MAX_FIELDS = 200
MAX_FILES = 8
MAX_FIELD = 64 * 1024
_MAX_NAME = 200
#: Bodies that must be read whole and are larger than this are read ``WHOLE_AT_ONCE`` at a time.
_LARGE_WHOLE = 2 * MIB
WHOLE_AT_ONCE = 2
#: What framing and text fields may add to the pictures of a request, bytes.
SLACK = MIB


@dataclass(slots=True, eq=False)
class Upload:
    """A file that a client sent, in the spool until the request ends or ``keep`` moves it.

    ``filename`` and ``content_type`` are what the client wrote, cut to a sane length: never part
    of a path.
    """

    path: Path
    filename: str
    content_type: str
    size: int
    kept: bool = False

    def keep(self, path: Path) -> Path:
        """Move it to ``path``, where it stays; blocks for the disk."""
        try:
            self.path.replace(path)
        except OSError:  # another file system
            shutil.move(self.path, path)
        self.path, self.kept = path, True
        return path


@dataclass(slots=True, eq=False)
class Body:
    """What a request's body holds, whatever it was written as.

    ``fields`` are texts; JSON's true, false and numbers are written as JSON writes them, null is
    left out. A field whose name ends in ``_b64`` is decoded into ``files`` under that name.
    A body that is a picture itself is the file "image".
    """

    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, list[Upload]] = field(default_factory=dict)

    def one(self, name: str) -> Upload | None:
        """The file called ``name``, None if there is none; several are a ``BadRequest``."""
        found = self.files.get(name, [])
        if len(found) > 1:
            raise BadRequest(f"{name}: sent {len(found)} times", hint="send it once")
        return found[0] if found else None


@asynccontextmanager
async def receive(
    request: Request,
    settings: Settings,
    *,
    max_file: int | None = None,
    max_body: int | None = None,
    max_files: int = MAX_FILES,
    larger: Mapping[str, int] | None = None,
) -> AsyncIterator[Body]:
    """The body of ``request``; its files live below ``settings.spool`` until the block ends.

    ``max_file`` (default ``settings.max_body``) limits each file, ``max_body`` (default that and
    1 MiB) all of a body that streams; of a body that is read whole (urlencoded, JSON) half as much
    again, for base64. Files of the names in ``larger`` have limits of their own, one file each, and
    do not count for ``max_body``. Raises ``BadRequest``, ``BodyTooLarge``, ``UnsupportedFormat``,
    and what the guard raises while reading: ``BodyTooSlow``, ``Busy``.
    """
    file_limit = max_file or settings.max_body
    limits = Limits(
        settings.spool,
        file_limit,
        max_body or max(settings.max_body, file_limit) + SLACK,
        max_files,
        larger or {},
    )
    made: list[Draft] = []
    uploads: list[Upload] = []
    try:
        body = await _read(request, limits, made, uploads)
        yield body
    finally:
        if made:
            kept = {upload.path for upload in uploads if upload.kept}
            with anyio.CancelScope(shield=True):
                await in_thread(_discard, made, kept)


def _discard(made: list[Draft], kept: set[Path]) -> None:
    for draft in made:
        draft.abandon()
    remove(draft.path for draft in made if draft.path not in kept)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one body may hold; sizes in bytes. ``larger`` are limits of files by their names."""

    spool: Path
    max_file: int
    max_body: int
    max_files: int
    larger: Mapping[str, int]


async def _read(request: Request, limits: Limits, made: list[Draft], uploads: list[Upload]) -> Body:
    from python_multipart.multipart import parse_options_header

    if request.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
        raise UnsupportedFormat(
            "a compressed body is not taken", hint="send it without Content-Encoding"
        )
    kind_bytes, parameters = parse_options_header(request.headers.get("content-type"))
    kind = kind_bytes.decode("latin-1")
    if kind == "multipart/form-data":
        from cleancut.server.multipart import Parts

        parts = Parts(parameters.get(b"boundary", b""), limits, made)
        async for chunk in _chunks(request, limits.max_body + sum(limits.larger.values())):
            await parts.feed(chunk)
        return await _multipart(await parts.finish(), limits, made, uploads)
    if kind in ("application/json", "application/x-www-form-urlencoded"):
        read = whole_body.from_json if kind.endswith("json") else whole_body.from_urlencoded
        return await _whole(request, limits, made, uploads, read)
    if kind.startswith("image/") or kind == "application/octet-stream":
        return await _raw(request, kind, limits, made, uploads)
    async for chunk in _chunks(request, limits.max_body):
        if chunk:
            raise UnsupportedFormat(
                f"a body of the type {kind[:60] or 'unknown'!r} is not read",
                hint="send multipart/form-data, application/json, "
                "application/x-www-form-urlencoded or the picture itself as image/...",
            )
    return Body()


async def _multipart(
    parts: list[tuple[str, str | Draft, str, str]],
    limits: Limits,
    made: list[Draft],
    uploads: list[Upload],
) -> Body:
    body = Body()
    for name, value, filename, content_type in parts:
        if isinstance(value, str):
            _add_field(body, name, value)
            continue
        draft = value
        if not filename and name.endswith("_b64"):
            text = await in_thread(draft.path.read_bytes)
            draft = await _decoded(name, text, limits, made)
            content_type = ""
        _add_file(body, uploads, name, draft, filename, content_type)
    return body


async def _whole(
    request: Request,
    limits: Limits,
    made: list[Draft],
    uploads: list[Upload],
    read: Callable[[bytes], list[tuple[str, str]]],
) -> Body:
    most = limits.max_body * 3 // 2
    length = request.headers.get("content-length", "")
    large = not length.isdigit() or int(length) > _LARGE_WHOLE
    gate: asyncio.Semaphore | None = getattr(request.app.state, "whole_bodies", None)
    body = Body()
    async with gate if large and gate is not None else nullcontext():
        data = bytearray()
        async for chunk in _chunks(request, most):
            data += chunk
        pairs = await in_thread(read, bytes(data))
        del data
        if len(pairs) > MAX_FIELDS:
            raise BadRequest(f"more than {MAX_FIELDS} fields", hint="send fewer")
        while pairs:
            name, value = pairs.pop()
            if name.endswith("_b64"):
                draft = await _decoded(name, value.encode(), limits, made)
                _add_file(body, uploads, name, draft, "", "")
            else:
                _add_field(body, name, value)
    return body


async def _raw(
    request: Request, kind: str, limits: Limits, made: list[Draft], uploads: list[Upload]
) -> Body:
    draft = Draft(limits.spool, limits.max_file)
    made.append(draft)
    async for chunk in _chunks(request, limits.max_body):
        if draft.add(chunk):
            await in_thread(draft.flush)
    body = Body()
    if draft.size:
        await in_thread(draft.close)
        _add_file(body, uploads, "image", draft, "", kind)
    return body


async def _decoded(name: str, text: bytes, limits: Limits, made: list[Draft]) -> Draft:
    """A file of what ``text`` is the base64 of."""
    draft = Draft(limits.spool, limits.max_file)
    made.append(draft)

    def work() -> None:
        draft.add(whole_body.from_base64(name, text))
        draft.close()

    await in_thread(work)
    return draft


def _add_field(body: Body, name: str, value: str) -> None:
    if len(value) > MAX_FIELD:
        raise BodyTooLarge(
            f"{name[:60]}: {len(value)} characters in a text field",
            hint=f"at most {MAX_FIELD}; pictures are sent as files",
        )
    if name in body.fields:
        raise BadRequest(f"{name[:60]}: given twice", hint="give it once")
    body.fields[name] = value


def _add_file(
    body: Body, uploads: list[Upload], name: str, draft: Draft, filename: str, content_type: str
) -> None:
    plain = "".join(c for c in filename.replace("\\", "/").rsplit("/", 1)[-1] if c.isprintable())
    upload = Upload(draft.path, plain[-_MAX_NAME:], content_type[:100], draft.size)
    uploads.append(upload)
    body.files.setdefault(name, []).append(upload)


async def _chunks(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The body piece by piece; ``BodyTooLarge`` as soon as it is known to be."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise too_large(limit)
    from starlette.requests import ClientDisconnect

    taken = 0
    try:
        async for chunk in request.stream():
            taken += len(chunk)
            if taken > limit:
                raise too_large(limit)
            yield chunk
    except ClientDisconnect:
        request.state.hung_up = True
        raise Cancelled("the client hung up while it was sending") from None


def too_large(limit: int) -> BodyTooLarge:
    """The error about a body or a file of more than ``limit`` bytes."""
    return BodyTooLarge(
        f"more than {limit / MIB:.4g} MiB were sent",
        hint="send a smaller picture, or save it as JPEG",
    )
