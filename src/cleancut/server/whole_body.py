"""Bodies that are read whole: JSON objects, urlencoded forms, and pictures as base64 in them."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, NoReturn
from urllib.parse import unquote_to_bytes

from cleancut.errors import BadRequest

_JSON_HINT = 'like {"image_url": "https://example.com/cat.jpg", "crop": true}'
_MOST_PAIRS = 1000
#: Where every picture format has control characters, and no form has.
_MAGIC = 16
#: Values of a JSON document, told by its commas and brackets, also those in texts.
_MOST_VALUES = 50_000
#: Escapes are read in pieces of so many bytes: each is an object until its piece is done.
_PIECE = 16 * 1024


def from_json(data: bytes) -> list[tuple[str, str]]:
    """The members of a JSON object of texts, numbers, true, false and null (left out).

    Raises ``BadRequest``.
    """
    check_json(data)
    try:
        found = json.loads(
            data.decode("utf-8"), object_pairs_hook=list, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:
        raise BadRequest("the body is not JSON", hint=_JSON_HINT) from error
    if not data.lstrip().startswith(b"{"):
        raise BadRequest("the body is not a JSON object", hint=_JSON_HINT)
    return [(name, _text(name, value)) for name, value in found if value is not None]


def check_json(data: bytes) -> None:
    """Raise ``BadRequest`` for more values than any request has: built, they fill the memory."""
    if sum(data.count(sign) for sign in b",[{") > _MOST_VALUES:
        raise BadRequest(f"more than {_MOST_VALUES} values in the JSON", hint="send less at once")


def from_urlencoded(data: bytes) -> list[tuple[str, str]]:
    """The fields of an urlencoded form, in order. Raises ``BadRequest``."""
    if any(byte < 0x20 and byte not in b"\t\r\n" for byte in data[:_MAGIC]):
        raise BadRequest(
            "the body is a file, but is said to be a form",
            hint="send the picture as a file of a form (curl -F), or to /v1/cutouts "
            "with its Content-Type, like image/jpeg",
        )
    if data.count(b"&") > _MOST_PAIRS:
        raise BadRequest(f"more than {_MOST_PAIRS} fields", hint="send fewer")
    pairs = []
    for part in data.split(b"&"):
        if part:
            name, _, value = part.partition(b"=")
            pairs.append((_unquoted(name), _unquoted(value)))
    return pairs


def from_base64(name: str, text: bytes) -> bytes:
    """What ``text`` is the base64 of: standard or URL-safe alphabet, ``data:`` URLs, line breaks.

    Raises ``BadRequest``.
    """
    if text[:5].lower() == b"data:":
        head, _, text = text.partition(b",")
        if not head.lower().endswith(b";base64"):
            raise BadRequest(f"{name}: a data: URL without base64", hint=_base64_hint(name))
    # A plus sign that nobody escaped in a form arrives as a space.
    plain = text.translate(_ALPHABET, b"\r\n\t")
    try:
        return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest(f"{name}: not base64", hint=_base64_hint(name)) from error


_ALPHABET = bytes.maketrans(b"-_ ", b"+/+")


def _base64_hint(name: str) -> str:
    return f"like: base64 -w0 photo.jpg, or send the file itself instead of {name}"


def _unquoted(text: bytes) -> str:
    plain, at = bytearray(), 0
    while at < len(text):
        end = at + _PIECE
        escape = text.rfind(b"%", end - 2, end)  # one that the end would cut in two
        end = end if escape < 0 else escape + 3
        plain += unquote_to_bytes(text[at:end].replace(b"+", b" "))
        at = end
    try:
        return plain.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest("the form is not in UTF-8", hint="encode it as UTF-8") from error


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _text(name: str, value: Any) -> str:
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:  # a lone surrogate
            raise BadRequest(f"{name[:60]!r}: not valid text", hint=_JSON_HINT) from error
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise BadRequest(f"{name[:60]!r}: a list or an object where a value is", hint=_JSON_HINT)
