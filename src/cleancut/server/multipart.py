"""The parts of a multipart/form-data body (RFC 7578): text fields in memory, files on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleancut.errors import BadRequest, BodyTooLarge
from cleancut.server.body import MAX_FIELD, MAX_FIELDS, Limits, too_large
from cleancut.server.spool import Draft
from cleancut.server.threads import in_thread

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_HINT = "like: curl -F image=@photo.jpg -F crop=true"

#: name, text or file, file name, content type
Part = tuple[str, "str | Draft", str, str]


class Parts:
    """Takes a body in pieces; the files among its parts are added to ``made`` as they begin."""

    def __init__(self, boundary: bytes, limits: Limits, made: list[Draft]) -> None:
        from python_multipart.exceptions import FormParserError
        from python_multipart.multipart import MultipartParser

        if not boundary:
            raise BadRequest("a multipart body without a boundary", hint=_HINT)
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._all,
        }
        self._broken: type[Exception] = FormParserError
        self._limits = limits
        self._made = made
        self._parts: list[Part] = []
        self._files = 0
        #: Bytes of files, but for those that have limits of their own.
        self._counted = 0
        self._counts = True
        self._flush: list[Draft] = []
        self._close: list[Draft] = []
        self._complete = False
        try:
            self._parser = MultipartParser(boundary, callbacks)
        except FormParserError as error:
            raise _not_multipart() from error

    async def feed(self, chunk: bytes) -> None:
        """Take the next piece. Raises ``BadRequest``, ``BodyTooLarge``, ``StorageFailed``."""
        try:
            self._parser.write(chunk)
        except self._broken as error:
            raise _not_multipart() from error
        if self._flush or self._close:
            flush, self._flush = self._flush, []
            close, self._close = self._close, []
            await in_thread(_settle, flush, close)

    async def finish(self) -> list[Part]:
        """All parts, once the body has ended. Raises ``BadRequest`` if it ended too early."""
        try:
            self._parser.finalize()
        except self._broken as error:
            raise _not_multipart() from error
        if not self._complete:
            raise BadRequest("the multipart body ends before its last boundary", hint=_HINT)
        return self._parts

    def _begin(self) -> None:
        self._headers: dict[str, bytes] = {}
        self._header = (bytearray(), bytearray())
        self._draft: Draft | None = None
        self._text = bytearray()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header[0].extend(data[start:end])

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1].extend(data[start:end])

    def _header_end(self) -> None:
        name, value = self._header
        self._headers[name.decode("latin-1").lower()] = bytes(value)
        self._header = (bytearray(), bytearray())

    def _headers_finished(self) -> None:
        from python_multipart.multipart import parse_options_header

        if len(self._parts) >= MAX_FIELDS + self._limits.max_files:
            raise BadRequest(f"more than {MAX_FIELDS} fields", hint="send fewer")
        kind, options = parse_options_header(self._headers.get("content-disposition"))
        if kind != b"form-data" or b"name" not in options:
            raise BadRequest("a part of the multipart body has no name", hint=_HINT)
        self._name = _decoded(options[b"name"])
        self._filename = _decoded(options.get(b"filename", b""))
        self._content_type = self._headers.get("content-type", b"").decode("latin-1")
        if b"filename" in options or self._name.endswith("_b64"):
            self._files += 1
            if self._files > self._limits.max_files:
                raise BadRequest(
                    f"more than {self._limits.max_files} files", hint="send fewer in one request"
                )
            limit = self._limits.larger.get(self._name, self._limits.max_file)
            self._counts = self._name not in self._limits.larger
            if not self._counts and self._name in (name for name, *_ in self._parts):
                raise BadRequest(f"{self._name}: sent more than once", hint="send it once")
            if b"filename" not in options:
                limit = limit * 3 // 2  # base64
            self._draft = Draft(self._limits.spool, limit)
            self._made.append(self._draft)

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._draft is not None:
            if self._counts:
                self._counted += end - start
            if self._counted > self._limits.max_body:
                raise too_large(self._limits.max_body)
            if self._draft.add(memoryview(data)[start:end]):
                self._flush.append(self._draft)
        elif len(self._text) + end - start > MAX_FIELD:
            raise BodyTooLarge(
                f"{self._name[:60]}: more than {MAX_FIELD} bytes in a text field",
                hint="pictures are sent as files",
            )
        else:
            self._text += data[start:end]

    def _end(self) -> None:
        value: str | Draft
        if self._draft is None:
            value = _decoded(bytes(self._text))
        else:
            value = self._draft
            if not self._draft.size and not self._filename:
                return  # a form's file input that was left empty
            self._close.append(self._draft)
        self._parts.append((self._name, value, self._filename, self._content_type))

    def _all(self) -> None:
        self._complete = True


def _settle(flush: list[Draft], close: list[Draft]) -> None:
    for draft in flush:
        if draft not in close:
            draft.flush()
    for draft in close:
        draft.close()


def _decoded(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest("the form is not in UTF-8", hint="encode it as UTF-8") from error


def _not_multipart() -> BadRequest:
    return BadRequest("the body is not multipart/form-data", hint=_HINT)
