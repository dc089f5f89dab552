"""What OpenAPI says about jobs beyond the models of their answers."""

from __future__ import annotations

from typing import Any

from cleancut.server import video_form
from cleancut.server.job_views import EXAMPLE
from cleancut.server.openapi import option_fields, option_schema

_CALLBACK = {
    "type": "string",
    "pattern": "^(https?://|$)",
    "maxLength": 2048,
    "description": "told when the job has ended: POST, signed (standardwebhooks.com), repeated",
}
_KIND: dict[str, Any] = {
    "type": "string",
    "enum": ["cutout", "video"],
    "description": "left out, it is what was sent: pictures or a video",
}
_URL = {"type": "string", "format": "uri", "pattern": "^https?://", "maxLength": 2048}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """In JSON, null is as good as left out."""
    return {"anyOf": [schema, {"type": "null"}]}


def _fields(*, typed: bool) -> dict[str, Any]:
    """The options of both kinds of jobs; which belong to which is said in words."""
    found = option_fields(typed=typed)
    for row in video_form.rows():
        if row["name"] not in found:
            about = {**row, "help": f"of a video: {row['help']}"}
            found[row["name"]] = option_schema(about, typed=typed)
    return found


START: dict[str, Any] = {
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "makes it safe to send the request again",
            "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
        }
    ],
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "anyOf": [{"required": ["image"]}, {"required": ["video"]}],
                    "additionalProperties": False,
                    "properties": {
                        "image": {
                            "type": "array",
                            "minItems": 1,
                            "items": {"type": "string", "format": "binary"},
                            "description": "the pictures",
                        },
                        "video": {
                            "type": "string",
                            "format": "binary",
                            "description": "one video, in place of pictures",
                        },
                        "background_image": {
                            "type": "string",
                            "format": "binary",
                            "description": "a picture to stand behind the subject of a video",
                        },
                        "kind": _KIND,
                        "callback_url": _CALLBACK,
                        **_fields(typed=False),
                    },
                }
            },
            "application/json": {
                "schema": {
                    "type": "object",
                    "anyOf": [{"required": ["images"]}, {"required": ["video"]}],
                    "additionalProperties": False,
                    "properties": {
                        "images": {
                            "type": "array",
                            "minItems": 1,
                            "items": {
                                "anyOf": [
                                    _URL,
                                    {
                                        "type": "object",
                                        "required": ["url"],
                                        "additionalProperties": False,
                                        "properties": {
                                            "url": _URL,
                                            "name": {"type": ["string", "null"]},
                                        },
                                    },
                                ]
                            },
                        },
                        "options": {
                            "type": ["object", "null"],
                            "additionalProperties": False,
                            "properties": _fields(typed=True),
                        },
                        "kind": _or_null(_KIND),
                        "callback_url": _or_null(_CALLBACK),
                    },
                },
                "examples": {
                    "by URL": {
                        "value": {
                            "images": [
                                "https://example.com/cat.jpg",
                                {"url": "https://example.com/d?id=7", "name": "dog.jpg"},
                            ],
                            "options": {"format": "webp", "crop": True},
                            "callback_url": "https://shop.example/hooks/cutouts",
                        }
                    }
                },
            },
        },
    },
    "x-codeSamples": [
        {
            "lang": "Shell",
            "source": "curl -F image=@a.jpg -F image=@b.jpg -F format=webp "
            "http://127.0.0.1:7000/v1/jobs",
        }
    ],
}

_RETRY = {
    "Retry-After": {
        "description": "Seconds after which to ask again.",
        "schema": {"type": "integer", "minimum": 1},
    }
}
_QUEUED = {
    **EXAMPLE,
    "status": "queued",
    "started": None,
    "finished": None,
    "archive": None,
    "progress": {"total": 1, "done": 0, "failed": 0},
    "items": [{"index": 0, "name": "cat.jpg", "status": "queued"}],
}

STARTED: dict[str, Any] = {
    "description": "The job is kept and will be done.",
    "headers": {
        "Location": {"description": "Address of the job.", "schema": {"type": "string"}},
        **_RETRY,
    },
    "content": {"application/json": {"example": _QUEUED}},
}
SHOWN: dict[str, Any] = {
    "description": "The job.",
    "headers": _RETRY,
    "content": {"application/json": {"example": EXAMPLE}},
}
RESULT: dict[str, Any] = {
    "description": "The cutout.",
    "content": {
        kind: {"schema": {"type": "string", "format": "binary"}}
        for kind in (
            *("image/png", "image/webp", "image/jpeg", "image/avif", "image/tiff"),
            *("application/zip", "image/vnd.adobe.photoshop"),
            *(kind for kind in video_form.OUTPUTS.values() if kind != "image/webp"),
        )
    },
}
PART: dict[str, Any] = {**RESULT, "description": "The part that `Range` asks for."}
ARCHIVE: dict[str, Any] = {
    "description": "The cutouts, stored, named after their pictures.",
    "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
}
