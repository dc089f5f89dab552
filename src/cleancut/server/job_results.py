"""Results on their way out: one file, or a ZIP of all, a piece at a time."""

from __future__ import annotations

import re
import zipfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from io import RawIOBase
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote

import anyio
from starlette.responses import Response, StreamingResponse

from cleancut.batch.names import fold
from cleancut.server.cutouts import MIME
from cleancut.server.threads import in_thread
from cleancut.server.video_form import OUTPUTS

if TYPE_CHECKING:
    from starlette.requests import Request

    from cleancut.server.job_store import ItemRecord, JobRecord, JobStore

_PIECE = 256 * 1024
_PAGE = 100


async def pieces(file: BinaryIO) -> AsyncIterator[bytes]:
    """The bytes of ``file``, which is closed after."""
    try:
        while data := await in_thread(file.read, _PIECE):
            yield data
    finally:
        with anyio.CancelScope(shield=True):
            await in_thread(file.close)


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a file: its first byte, and how many."""

    first: int
    count: int


def span_of(asked: str | None, size: int) -> Span | None:
    """The one range that a Range header asks for (RFC 9110, 14.2); None for the whole file.

    Several ranges, other units and what is malformed mean the whole file, as the RFC allows.
    Raises ``ValueError`` if nothing of the file lies in it.
    """
    found = re.fullmatch(r"bytes=\s*([0-9]{0,18})-([0-9]{0,18})\s*", asked or "")
    if found is None or not any(found.groups()):
        return None
    first, last = (int(part) if part else None for part in found.groups())
    if first is None:
        first, last = size - min(size, last or 0), size - 1
    elif last is not None and last < first:
        return None
    if first >= size:
        raise ValueError(asked)
    end = size - 1 if last is None else min(last, size - 1)
    return Span(first, end - first + 1)


async def part_of(file: BinaryIO, span: Span) -> AsyncIterator[bytes]:
    """The bytes of ``file`` in ``span``; it is closed after."""
    try:
        await in_thread(file.seek, span.first)
        left = span.count
        while left and (data := await in_thread(file.read, min(_PIECE, left))):
            left -= len(data)
            yield data
    finally:
        with anyio.CancelScope(shield=True):
            await in_thread(file.close)


async def archive(store: JobStore, job: JobRecord) -> AsyncIterator[bytes]:
    """A ZIP (stored) of all results of ``job``, named after their pictures."""
    parts = _archive(store, job)
    try:
        while (data := await in_thread(_next, parts)) is not None:
            yield data
    finally:
        with anyio.CancelScope(shield=True):
            await in_thread(parts.close)


def result_name(item: ItemRecord) -> str:
    """What the result is called: its picture's name with the suffix of its format."""
    stem, dot, _ = item.name.rpartition(".")
    return f"{stem if dot and stem else item.name}.{item.format}"


def _archive(store: JobStore, job: JobRecord) -> Any:
    drain = _Drain()
    date = datetime.fromtimestamp(job.finished or job.created, timezone.utc).timetuple()[:6]
    taken: set[str] = set()
    with zipfile.ZipFile(drain, "w", zipfile.ZIP_STORED, allowZip64=True) as out:
        for item in _done(store, job.id):
            file = store.result(item)
            if file is None:
                raise EOFError("the results were removed meanwhile")
            with file:
                info = zipfile.ZipInfo(_free(result_name(item), item.index, taken), date)
                info.external_attr = 0o644 << 16
                info.file_size = item.size
                with out.open(info, "w") as entry:
                    while data := file.read(_PIECE):
                        entry.write(data)
                        yield drain.taken()
            yield drain.taken()
    yield drain.taken()


def _done(store: JobStore, job: str) -> Iterator[ItemRecord]:
    offset = 0
    while items := store.items(job, limit=_PAGE, offset=offset):
        yield from (item for item in items if item.status == "done")
        offset += len(items)


def _free(name: str, index: int, taken: set[str]) -> str:
    """``name``, or one with the index in it if another result is called so."""
    if fold(name) in taken:
        stem, _, suffix = name.rpartition(".")
        name = f"{stem}-{index}.{suffix}"
    taken.add(fold(name))
    return name


def _next(parts: Iterator[bytes]) -> bytes | None:
    """The next piece that is not empty, None at the end."""
    return next((part for part in parts if part), None)


class _Drain(RawIOBase):
    """A file that cannot seek, and gives what was written to whoever takes it."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        """What was written since."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


async def ranged(request: Request, item: ItemRecord, file: BinaryIO) -> Response:
    """The result as it is sent, or the part of it that a player asks for."""
    kind = {**OUTPUTS, **MIME}[item.format]
    tag = f'"{item.job}-{item.index}-{item.token}"'
    asked = request.headers.get("range")
    if request.headers.get("if-range", tag) != tag:
        asked = None
    shared = {"Accept-Ranges": "bytes", "ETag": tag}
    try:
        span = span_of(asked, item.size)
    except ValueError:
        await in_thread(file.close)
        return Response(
            status_code=416, headers={**shared, "Content-Range": f"bytes */{item.size}"}
        )
    if span is None:
        answer = download(pieces(file), result_name(item), kind, item.size)
    else:
        answer = download(part_of(file, span), result_name(item), kind, span.count)
        answer.status_code = 206
        last = span.first + span.count - 1
        answer.headers["Content-Range"] = f"bytes {span.first}-{last}/{item.size}"
    answer.headers.update(shared)
    return answer


def download(data: Any, name: str, kind: str, size: int | None) -> Response:
    """``data`` as a file called ``name``; ``size`` is None where it is not known."""
    plain = name.encode("ascii", "replace").decode().replace("?", "_").replace('"', "_")
    shown = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    headers = {"Content-Disposition": shown, "Cache-Control": "private, no-store"}
    if size is not None:
        headers["Content-Length"] = str(size)
    return StreamingResponse(data, headers=headers, media_type=kind)
