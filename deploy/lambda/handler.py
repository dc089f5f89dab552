"""cleancut on AWS Lambda, behind a function URL or API Gateway (payload 1.0 and 2.0).

The body is a picture, or JSON ``{"image": BASE64, "options": {...}}``. Options are those of the
HTTP API, also in the query: ``?crop=true&background=white&format=webp``. The answer is the cutout,
or ``{"error", "message", "hint"}``.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from cleancut import Engine, Options
from cleancut.errors import BadRequest, BodyTooLarge, CleancutError
from cleancut.result import Encoded
from cleancut.server.form import options_from
from cleancut.server.settings import Settings

Event = Mapping[str, Any]

#: What a Lambda may answer, 6 MB, after base64 has made four bytes of three.
MOST_BYTES = 6_000_000 * 3 // 4 - 10_000
STATUS = {"input": 400, "setup": 503, "resource": 503, "bug": 500}
TYPES = {"jpg": "image/jpeg", "zip": "application/zip", "psd": "image/vnd.adobe.photoshop"}
#: Not "auto": that measures two runtimes on a machine it has not seen, and every start is one.
SETTINGS = Settings(options=Options(backend="ort"))
ENGINE = Engine()


def handler(event: Event, context: object) -> dict[str, Any]:  # noqa: ARG001
    """Cut out the picture of one request."""
    try:
        image, fields = _wanted(event)
        cut = ENGINE.encoded(image, options=options_from(fields, SETTINGS))
        if len(cut.data) > MOST_BYTES:
            raise BodyTooLarge(
                f"the cutout has {len(cut.data)} bytes, and a Lambda may answer {MOST_BYTES}",
                hint="ask for format=webp, or a smaller one: max_side_px=2000",
            )
        return _picture(cut)
    except CleancutError as error:
        told = {"error": error.code, "message": error.message, "hint": error.hint}
        status = 413 if isinstance(error, BodyTooLarge) else STATUS[error.kind]
        return _answer(status, "application/json", json.dumps(told).encode())


def _wanted(event: Event) -> tuple[bytes, dict[str, str]]:
    """The picture's bytes and the options as text; raises ``BadRequest``."""
    fields = {str(k): str(v) for k, v in (event.get("queryStringParameters") or {}).items()}
    headers = {str(k).lower(): str(v) for k, v in (event.get("headers") or {}).items()}
    body = event.get("body") or ""
    data = _bytes(body) if event.get("isBase64Encoded") else body.encode("utf-8")
    if headers.get("content-type", "").split(";")[0].strip() == "application/json":
        try:
            asked = json.loads(data)
            data = _bytes(asked["image"])
            fields |= {name: _text(value) for name, value in asked.get("options", {}).items()}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise BadRequest(
                "the JSON is not understood", hint='send {"image": BASE64, "options": {}}'
            ) from error
    elif data and not event.get("isBase64Encoded"):
        raise BadRequest(
            "the picture arrived as text, which breaks it",
            hint="let API Gateway pass */* as binary media types, or send JSON",
        )
    if not data:
        raise BadRequest("there is no picture", hint="send its bytes as the body")
    return data, fields


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest("the picture is not base64", hint="encode its bytes") from error


def _text(value: object) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)


def _picture(cut: Encoded) -> dict[str, Any]:
    answer = _answer(200, TYPES.get(cut.format, f"image/{cut.format}"), cut.data)
    answer["headers"]["X-Confidence"] = f"{cut.facts['confidence']:.3f}"
    return answer


def _answer(status: int, type_: str, data: bytes) -> dict[str, Any]:
    return {
        "statusCode": status,
        "headers": {"Content-Type": type_},
        "isBase64Encoded": True,
        "body": base64.b64encode(data).decode("ascii"),
    }
