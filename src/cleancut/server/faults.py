"""How errors are answered: which status, and what of an error a client may read.

Our own API answers with problem details (RFC 9457). A door that imitates another API has a form of
its own: a function ``(error, request) -> Response`` that app.py puts into ``app.state.refusals``
under the beginning of its paths. Whatever is raised below a path, by a route or by the guard around
it, is answered in that form.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from cleancut.errors import (
    BadRequest,
    Busy,
    CleancutError,
    Kind,
    MethodNotAllowed,
    NoSubject,
    NotFound,
)
from cleancut.server.wording import public

Refusal = Callable[[CleancutError, Request], Response]

PROBLEM = "application/problem+json"

#: Statuses of our own API by kind of error, and of the codes that have their own.
KIND_STATUS: Mapping[Kind, int] = {"input": 400, "setup": 503, "resource": 503, "bug": 500}
CODE_STATUS: Mapping[str, int] = {
    "unsupported-format": 415,
    "image-too-large": 413,
    "body-too-large": 413,
    "body-too-slow": 408,
    "no-subject": 422,
    "no-person": 422,
    "many-people": 422,
    "key-refused": 401,
    "quota-spent": 402,
    "rate-limited": 429,
    "job-not-found": 404,
    "job-conflict": 409,
    "link-expired": 410,
    "busy": 429,
    "timed-out": 504,
    "not-found": 404,
    "method-not-allowed": 405,
    "unknown-model": 400,
    "licence-refused": 400,
    # Backend and device are the operator's and tried at the start; the precision may be a client's.
    "backend-unavailable": 400,
    # A picture that kills the process that works on it would do so again: no 5xx, which is retried.
    "crashed": 422,
}
#: Sent when nobody is left to read the answer; for logs and metrics.
HUNG_UP = 499


def status_of(error: CleancutError) -> int:
    """The HTTP status of ``error`` in our own API."""
    return CODE_STATUS.get(error.code, KIND_STATUS[error.kind])


def retry_after(error: CleancutError) -> int | None:
    """Whole seconds after which it is worth another try, None where it never is."""
    wait = getattr(error, "retry_after_s", None)
    if wait is None and status_of(error) == 503:
        wait = 10.0
    return None if wait is None else max(1, math.ceil(wait))


def told(error: CleancutError) -> tuple[str, str]:
    """Message and hint as a client may read them.

    Paths of the server's are taken out, flags are spelled as fields, and a bug tells nothing.
    """
    if error.kind == "bug" and error.code != "crashed":
        return (
            "something went wrong inside the server",
            "try again; if it happens again, tell the operator the request id",
        )
    return public(error.message), public(error.hint)


def problem(error: CleancutError, request: Request) -> Response:
    """``error`` as problem details, the form of our own API."""
    status = status_of(error)
    detail, hint = told(error)
    document: dict[str, Any] = {
        "type": f"urn:cleancut:error:{error.code}",
        "title": title_of(type(error)),
        "status": status,
        "detail": detail,
        "code": error.code,
        "request_id": getattr(request.state, "request_id", ""),
    }
    if hint:
        document["hint"] = hint
    return Response(
        json.dumps(document, ensure_ascii=False),
        status,
        headers=headers_of(error),
        media_type=PROBLEM,
    )


def headers_of(error: CleancutError) -> dict[str, str]:
    """The headers that go with ``error``: when to try again, and how to present a key."""
    headers = {}
    wait = retry_after(error)
    if wait is not None:
        headers["Retry-After"] = str(wait)
    if error.code == "key-refused":
        headers["WWW-Authenticate"] = 'Bearer realm="cleancut"'
    return headers


def refused(error: CleancutError, request: Request) -> Response:
    """``error`` in the form of the door that ``request`` came to."""
    request.state.error = error.code
    if status_of(error) >= 500:
        request.state.reason = error.message  # for the log: the client may not be told
    forms: Mapping[str, Refusal] = getattr(request.app.state, "refusals", {})
    path = request.scope["path"]
    for start, form in forms.items():
        if path.startswith(start):
            return form(error, request)
    return problem(error, request)


def unexpected(error: BaseException) -> CleancutError:
    """What a client is told of an error that nobody expected: a bug of ours."""
    if isinstance(error, CleancutError):
        return error
    if isinstance(error, MemoryError):
        return Busy("the server is out of memory", hint="try again later", retry_after_s=10)
    return CleancutError(f"unexpected {type(error).__name__}")


def title_of(kind: type[CleancutError]) -> str:
    """What an error of this class is, in a line that never changes."""
    text = " ".join((kind.__doc__ or "").split()) or kind.code
    return text.split(". ")[0].rstrip(".")


def statuses(*codes: type[CleancutError]) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route that may answer with these errors, for OpenAPI."""
    titles: dict[int, list[str]] = {}
    for code in codes:
        place = CODE_STATUS.get(code.code, KIND_STATUS[code.kind])
        titles.setdefault(place, []).append(f"`{code.code}`: {title_of(code)}.")
    found: dict[int | str, dict[str, Any]] = {}
    for status in sorted(titles):
        found[status] = {
            "description": " ".join(titles[status]),
            "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        if status in (429, 503):
            found[status]["headers"] = {
                "Retry-After": {
                    "description": "Seconds after which it is worth another try.",
                    "schema": {"type": "integer", "minimum": 1},
                }
            }
    return found


PROBLEM_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "An error as problem details (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": {"type": "string", "description": "urn:cleancut:error: and the code"},
        "title": {"type": "string", "description": "what this kind of error is"},
        "status": {"type": "integer", "description": "the HTTP status again"},
        "detail": {"type": "string", "description": "what is wrong with this request"},
        "code": {"type": "string", "description": "stable name of the error, see docs/errors.md"},
        "hint": {"type": "string", "description": "the next thing to do"},
        "request_id": {"type": "string", "description": "names the request in the server's log"},
    },
    "examples": [
        {
            "type": "urn:cleancut:error:no-subject",
            "title": title_of(NoSubject),
            "status": 422,
            "detail": "no subject was found in the picture",
            "code": "no-subject",
            "request_id": "a3f1c2d4e5b60718",
        }
    ],
}


def from_framework(status: int, detail: object, headers: Mapping[str, str]) -> CleancutError:
    """What Starlette or FastAPI refused, as one of our errors."""
    if status == 404:
        return NotFound("there is nothing at this path", hint="see /docs for what there is")
    if status == 405:
        allowed = headers.get("allow", "")
        return MethodNotAllowed("this path does not take this method", hint=f"one of: {allowed}")
    return BadRequest(str(detail)[:200])
