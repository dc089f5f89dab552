"""What OpenAPI says about the routes of remove.bg's API."""

from __future__ import annotations

from typing import Any

from cleancut.server.removebg_form import CHANNELS, FORMATS, SHADOWS, SIZES, TYPE_LEVELS, TYPES

_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["errors"],
    "properties": {
        "errors": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["title"],
                "properties": {
                    "title": {"type": "string"},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        }
    },
    "example": {
        "errors": [
            {
                "title": "No image given",
                "code": "missing_source",
                "detail": "Please provide the source image in the image_url, image_file or "
                "image_file_b64 parameter.",
            }
        ]
    },
}

_STATUSES = {
    400: "Invalid parameters, or an image that cannot be worked on. Nothing is charged.",
    402: "Insufficient credits: the key's megapixels are spent.",
    403: "The API key is missing or wrong.",
    408: "The request took too long to arrive.",
    429: "Rate limit exceeded, or the server is busy; Retry-After says when to try again.",
    500: "Something went wrong on the server.",
    503: "The server cannot do it at the moment.",
    504: "The image took too long.",
}


def _refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {
        status: {
            "description": _STATUSES[status],
            "content": {"application/json": {"schema": _ERROR}},
        }
        for status in statuses
    }


def _text(description: str, example: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, "examples": [example], **more}


def _one_of(description: str, choices: tuple[str, ...]) -> dict[str, Any]:
    return {
        "type": "string",
        "description": description,
        "enum": list(choices),
        "default": choices[0],
    }


def _flag(description: str, *, default: bool = False) -> dict[str, Any]:
    return {"type": "boolean", "description": description, "default": default}


_FILE: dict[str, Any] = {"type": "string", "format": "binary"}

#: The ways to send a picture that need no file part.
_SOURCES = {
    "image_file_b64": _text("The image as base64.", "iVBORw0KGgo..."),
    "image_url": _text("The image by URL.", "https://example.com/cat.jpg"),
}

FIELDS: dict[str, Any] = {
    **_SOURCES,
    "size": _one_of(
        "At most so many megapixels: "
        + ", ".join(f"{name} {most:g}" for name, most in SIZES.items())
        + ".",
        tuple(SIZES),
    ),
    "type": _one_of("What the subject is; chooses the shadow, and is told in X-Type.", TYPES),
    "type_level": _one_of("How exactly X-Type names the subject.", TYPE_LEVELS),
    "format": _one_of("auto is png if anything is transparent, else jpg.", FORMATS),
    "roi": _text("Look only there: x1 y1 x2 y2, in px or %.", "10% 10% 90% 90%"),
    "crop": _flag("Cut off empty regions."),
    "crop_margin": _text("Space around a crop: 1, 2 or 4 values in px or %.", "10%"),
    "scale": _text("original, or how much of the image the subject fills.", "80%"),
    "position": _text("original, center, or one or two values in %.", "50% 30%"),
    "channels": _one_of("The cutout, or only its matte.", CHANNELS),
    "add_shadow": _flag("Deprecated: shadow_type=car for cars."),
    "shadow_type": _one_of("Also by type, as shadow_type[car]=drop.", SHADOWS),
    "shadow_opacity": _text("auto, or 0 to 100; also by type.", "50"),
    "semitransparency": _flag("Accepted; windows are always see-through.", default=True),
    "bg_color": _text("Colour behind the subject, by hex code or name.", "81d4fa"),
    "bg_image_url": _text("Image behind the subject.", "https://example.com/beach.jpg"),
}

_FORM = {"type": "object", "properties": FIELDS}
_MULTIPART = {
    "type": "object",
    "properties": {"image_file": _FILE, "bg_image_file": _FILE, **FIELDS},
}


def _header(description: str, kind: str = "integer") -> dict[str, Any]:
    return {"description": description, "schema": {"type": kind}}


_HEADERS = {
    "X-Type": _header("What the subject is.", "string"),
    "X-Width": _header("Width of the result in pixels."),
    "X-Height": _header("Height of the result in pixels."),
    "X-Max-Width": _header("Width that size=full would have."),
    "X-Max-Height": _header("Height that size=full would have."),
    "X-Credits-Charged": _header("Megapixels charged; 0 for a key without a quota.", "number"),
    "X-Foreground-Top": _header("First row of the subject in the result."),
    "X-Foreground-Left": _header("First column of the subject in the result."),
    "X-Foreground-Width": _header("Columns of the subject."),
    "X-Foreground-Height": _header("Rows of the subject."),
    "X-RateLimit-Limit": _header("Requests a minute that the key may make, if limited."),
    "X-RateLimit-Remaining": _header("Requests that are left, if limited."),
    "X-RateLimit-Reset": _header("When all are there again, in seconds of Unix time."),
}
_RESULT = {
    "type": "object",
    "required": ["data"],
    "properties": {
        "data": {
            "type": "object",
            "required": ["result_b64"],
            "properties": {
                "result_b64": {"type": "string"},
                **{
                    f"foreground_{name}": {"type": "integer"}
                    for name in ("top", "left", "width", "height")
                },
            },
        }
    },
}
_PICTURES = ("image/png", "image/jpeg", "image/webp", "application/zip")


def _route(summary: str, description: str, **more: Any) -> dict[str, Any]:
    return {
        "summary": summary,
        "description": description,
        "response_model": None,
        "responses": more.pop("responses"),
        "openapi_extra": more or None,
    }


REMOVEBG = _route(
    "Remove the background of an image (remove.bg's API v1.0)",
    "Takes what remove.bg's `POST /v1.0/removebg` takes and answers as it does: the image, or with "
    "`Accept: application/json` JSON with the image as base64. Give exactly one of image_file, "
    "image_file_b64 and image_url.",
    responses={
        200: {
            "description": "The cutout.",
            "headers": _HEADERS,
            "content": {
                "application/json": {"schema": _RESULT},
                **{kind: {"schema": _FILE} for kind in _PICTURES},
            },
        },
        **_refusals(400, 402, 403, 408, 429, 500, 503, 504),
    },
    requestBody={
        "required": True,
        "content": {
            "multipart/form-data": {"schema": _MULTIPART},
            "application/x-www-form-urlencoded": {"schema": _FORM},
            "application/json": {
                "schema": _FORM,
                "example": {"image_url": "https://example.com/cat.jpg", "size": "auto"},
            },
        },
    },
)

_CREDITS = ("total", "subscription", "payg", "enterprise")
ACCOUNT = _route(
    "What is left for the API key (remove.bg's API v1.0)",
    "Credits are megapixels here; a key without a quota has a million of them.",
    responses={
        200: {
            "description": "The account.",
            "content": {
                "application/json": {
                    "example": {
                        "data": {
                            "attributes": {
                                "credits": {**dict.fromkeys(_CREDITS, 0), "total": 200},
                                "api": {"free_calls": 0, "sizes": "all"},
                            }
                        }
                    }
                }
            },
        },
        **_refusals(403, 429, 500, 503),
    },
)

_IMPROVE_TEXTS = {
    "image_filename": _text("What the image is called.", "cat.jpg"),
    "tag": _text("A word to find it again by.", "hair"),
}
IMPROVE = _route(
    "Send an image that went wrong (remove.bg's API v1.0)",
    "The operator looks at it, if the server was started with `--improve`; else 400.",
    responses={
        200: {
            "description": "It was kept.",
            "content": {
                "application/json": {"example": {"id": "e3d3e2d8-4a4c-4e5e-9e6e-8f1d6b8a2f10"}}
            },
        },
        **_refusals(400, 402, 403, 408, 429, 500, 503),
    },
    requestBody={
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"image_file": _FILE, **_SOURCES, **_IMPROVE_TEXTS},
                }
            },
            "application/x-www-form-urlencoded": {
                "schema": {"type": "object", "properties": {**_SOURCES, **_IMPROVE_TEXTS}}
            },
        },
    },
)
