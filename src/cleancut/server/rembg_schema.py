"""What OpenAPI says about the routes of rembg's API."""

from __future__ import annotations

from typing import Any

_DETAIL = {
    "type": "object",
    "required": ["detail"],
    "properties": {"detail": {"type": "string"}},
    "example": {"detail": "Only http and https URLs are allowed."},
}
_VALIDATION = {
    "type": "object",
    "required": ["detail"],
    "properties": {
        "detail": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type", "loc", "msg"],
                "properties": {
                    "type": {"type": "string"},
                    "loc": {"type": "array", "items": {"type": "string"}},
                    "msg": {"type": "string"},
                },
            },
        }
    },
    "example": {
        "detail": [
            {"type": "missing", "loc": ["body", "file"], "msg": "Field required", "input": None}
        ]
    },
}
_STATUSES = {
    400: "The URL or the picture cannot be used.",
    401: "The API key is missing or wrong.",
    402: "The key's megapixels are spent.",
    408: "The request took too long to arrive.",
    413: "The picture is too large.",
    429: "Too many requests, or the server is busy; Retry-After says when to try again.",
    500: "Something went wrong on the server.",
    503: "The server cannot do it at the moment.",
    504: "The picture took too long.",
}


def _flag(text: str) -> dict[str, Any]:
    return {"type": "boolean", "default": False, "description": text}


def _number(text: str, default: int, most: int) -> dict[str, Any]:
    return {
        "type": "integer",
        "minimum": 0,
        "maximum": most,
        "default": default,
        "description": text,
    }


PARAMETERS: dict[str, dict[str, Any]] = {
    "model": {
        "type": "string",
        "description": "A model that the server has, by rembg's name or cleancut's; without one "
        "the server's own.",
        "examples": ["isnet-general-use"],
    },
    "a": _flag("Alpha matting: solve soft edges from the colours around them."),
    "af": _number("Alpha matting: above this level is subject.", 240, 255),
    "ab": _number("Alpha matting: below this level is background.", 10, 255),
    "ae": _number("Alpha matting: so many pixels of both are solved too.", 10, 1000),
    "om": _flag("Only the mask."),
    "ppm": _flag("A yes-or-no mask with a smooth contour."),
    "dc": _flag("Take the old background's colour out of soft edges."),
    "vm": _flag("ViTMatte; not offered, 400."),
    "bgc": {
        "type": "string",
        "description": "Colour behind the subject: R,G,B,A.",
        "examples": ["255,255,255,255"],
    },
    "extras": {
        "type": "string",
        "description": "More as JSON: putalpha, recut. Invalid JSON has no effect.",
        "examples": ['{"putalpha": true}'],
    },
}


def _query(**more: dict[str, Any]) -> list[dict[str, Any]]:
    required = [
        {"name": name, "in": "query", "required": True, "schema": schema}
        for name, schema in more.items()
    ]
    return required + [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in PARAMETERS.items()
    ]


def _route(summary: str, **extra: Any) -> dict[str, Any]:
    kinds = {"application/json": {"schema": _DETAIL}}
    return {
        "summary": summary,
        "response_model": None,
        "openapi_extra": extra,
        "responses": {
            200: {
                "description": "The cutout as PNG.",
                "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}},
            },
            422: {
                "description": "Parameters that are missing or cannot be.",
                "content": {"application/json": {"schema": _VALIDATION}},
            },
            **{
                status: {"description": text, "content": kinds}
                for status, text in _STATUSES.items()
            },
        },
    }


_URL = {
    "type": "string",
    "description": "Where the picture is.",
    "examples": ["https://example.com/cat.jpg"],
}
GET = _route("Remove the background of a picture at a URL (rembg)", parameters=_query(url=_URL))
POST = _route(
    "Remove the background of a picture (rembg)",
    parameters=_query(),
    requestBody={
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}, **PARAMETERS},
                }
            }
        },
    },
)
