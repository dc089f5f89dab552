"""What OpenAPI says about cutouts: schemas made from ``Options``, so that they cannot differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields
from typing import Any

from cleancut.options import CHOICES, Options
from cleancut.server.form import CHOSEN, GUIDE_FILES, GUIDES, NUMBERS, PRESET
from cleancut.server.wording import public

_RANGES: dict[str, tuple[float, float]] = {
    "quality": (1, 100),
    "max_side_px": (1, 100_000),
    "threshold": (0.01, 0.99),
    "max_output_megapixels": (0.01, 10_000),
    "look_ahead": (0, 8),
    "ratio": (0.05, 1),
}
GUIDE_HELP = {
    "keep_points": "keep what lies there: 'x,y;x,y', pixels of the upright picture or percent",
    "remove_points": "remove what lies there, likewise",
    "keep_box": "the subject lies in this box: 'left,top,right,bottom', likewise",
    "roi": "look only in this box; everything outside is removed",
    "trimap": "white: keep, black: remove, grey: to be solved",
    "mask": "a first matte in place of a network's",
    "matte": "a finished matte, taken as it is; scribbles then change only what they cover",
    "scribbles": "green marks on what to keep, red ones on what to remove; with a matte blue ones "
    "on what to solve again",
}
#: Help of options that clients say in other words than the command line.
_HELP = {
    "model": "one of /v1/models; auto takes the best that is there, by what the picture shows",
    "precision": "arithmetic of the network; int8 where the operator made such a copy",
    "binarise": "yes-or-no mask without specks, its contour smoothed (ppm of rembg's API)",
    "alpha_matting": "solve again what lies between two levels of the matte and within so many "
    "pixels of them, from the colours around it ('240,10,10', a with af, ab and ae of rembg's API)",
    "background": "put the subject on a colour ('#fff', 'white', '#ffffff80') or blur[:radius] "
    "('blur:20' in pixels, 'blur:2%' of the longer side); a picture is sent as background_image",
    "format": "output format, png if none is given; zip holds color.jpg and alpha.png, psd the "
    "layers of a document with the matte as a mask",
}
_PRESET_HELP = (
    "a ready-made output, one of /v1/presets, or several with a plus ('icao+10x15cm'); stands for "
    "options, and those that are given win"
)
_YES_NO = ["true", "false", "1", "0", "yes", "no", "on", "off", ""]


def option_rows() -> list[dict[str, Any]]:
    """The options that a client may choose: name, kind, default, choices, section, help."""
    return [
        row_of(field, CHOICES, section=field.metadata["section"])
        for field in fields(Options)
        if field.name in CHOSEN
    ]


def row_of(
    field: Field[Any], choices: Mapping[str, Sequence[str]], *, section: str
) -> dict[str, Any]:
    """One option as ``option_rows`` tells it; ``choices`` are words by the options' names."""
    row: dict[str, Any] = {
        "name": field.name,
        "kind": _kind(field.name in choices, field.default, str(field.type)),
        "default": None if field.default is MISSING else field.default,
        "section": section,
        "help": _HELP.get(field.name) or public(field.metadata["help"]).replace("%%", "%"),
    }
    if field.name in choices:
        row["choices"] = list(choices[field.name])
    if field.name in _RANGES:
        row["minimum"], row["maximum"] = _RANGES[field.name]
    return row


def _kind(chosen: bool, default: object, annotation: str) -> str:
    if isinstance(default, bool):
        return "boolean"
    if chosen:
        return "choice"
    plain = annotation.split(" ")[0]
    return {"int": "integer", "float": "number"}.get(plain, "text")


def option_schema(row: dict[str, Any], *, typed: bool) -> dict[str, Any]:
    """The schema of one option: as JSON writes it if ``typed``, else as text."""
    kinds: list[dict[str, Any]] = []
    if row["kind"] == "boolean":
        kinds = [{"type": "string", "enum": _YES_NO}]
        if typed:
            kinds.insert(0, {"type": "boolean"})
    elif row["kind"] == "choice":
        kinds = [{"type": "string", "enum": [*row["choices"], ""]}]
    elif row["kind"] in ("integer", "number"):
        pattern = NUMBERS["int" if row["kind"] == "integer" else "float"]
        kinds = [{"type": "string", "pattern": f"^({pattern})?$"}]
        if typed:
            number: dict[str, Any] = {"type": row["kind"]}
            if "minimum" in row:
                number |= {"minimum": row["minimum"], "maximum": row["maximum"]}
            kinds.insert(0, number)
    else:
        kinds = [{"type": ["string", "number"] if typed else "string"}]
    if typed:
        kinds.append({"type": "null"})
    schema = {"description": row["help"]}
    if row["default"] is not None:
        schema["default"] = row["default"] if typed else _text(row["default"])
    return {**(kinds[0] if len(kinds) == 1 else {"anyOf": kinds}), **schema}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def option_fields(*, typed: bool) -> dict[str, Any]:
    """The schemas of all options by name, and of what stands for several of them."""
    kind: Any = ["string", "null"] if typed else "string"
    preset = {"type": kind, "description": _PRESET_HELP}
    found = {row["name"]: option_schema(row, typed=typed) for row in option_rows()}
    return {PRESET: preset, **found}


def _options(*, typed: bool) -> dict[str, Any]:
    kind: Any = ["string", "null"] if typed else "string"
    found = option_fields(typed=typed)
    return found | {name: {"type": kind, "description": GUIDE_HELP[name]} for name in GUIDES}


def _file(about: str) -> dict[str, Any]:
    return {"type": "string", "format": "binary", "description": about}


def _sources() -> dict[str, Any]:
    return {
        "image_url": {
            "type": "string",
            "description": "http(s) address of the picture; public hosts only",
            "example": "https://example.com/cat.jpg",
        },
        "image_b64": {
            "type": "string",
            "description": "the picture as base64, also as a data: URL",
        },
    }


def _object(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False, **more}


def _request_body() -> dict[str, Any]:
    files = {
        "image": _file("the picture"),
        "background_image": _file("a picture to stand behind the subject"),
        **{name: _file(GUIDE_HELP[name]) for name in GUIDE_FILES},
    }
    multipart = _object({**files, **_sources(), **_options(typed=False)})
    typed = _object({**_sources(), **_options(typed=True)})
    text = _object({**_sources(), **_options(typed=False)})
    by_url = {"image_url": "https://example.com/cat.jpg", "crop": True, "format": "webp"}
    return {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": multipart},
            "application/json": {"schema": typed, "examples": {"by URL": {"value": by_url}}},
            "application/x-www-form-urlencoded": {"schema": text},
            **{kind: {"schema": _file("the picture")} for kind in ("image/jpeg", "image/png")},
        },
    }


def _parameters() -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in _options(typed=False).items()
    ]


def _header(about: str, kind: str = "string") -> dict[str, Any]:
    return {"description": about, "schema": {"type": kind}}


CUTOUT: dict[str, Any] = {
    "requestBody": _request_body(),
    "parameters": _parameters(),
    "x-codeSamples": [
        {
            "lang": "Shell",
            "source": "curl -F image=@photo.jpg http://127.0.0.1:7000/v1/cutouts -o cutout.png",
        },
        {
            "lang": "Shell",
            "source": "curl -T photo.jpg -X POST -H 'Content-Type: image/jpeg' "
            "'http://127.0.0.1:7000/v1/cutouts?crop=true&format=webp' -o cutout.webp",
        },
    ],
}

CUTOUT_ANSWER: dict[str, Any] = {
    "description": "The cutout.",
    "content": {
        **{
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in (
                "image/png",
                "image/webp",
                "image/jpeg",
                "image/avif",
                "image/tiff",
                "application/zip",
                "image/vnd.adobe.photoshop",
            )
        },
        "application/json": {"schema": {"$ref": "#/components/schemas/Cutout"}},
    },
    "headers": {
        "X-Cache": _header("hit if the result was kept, else miss"),
        "X-Model": _header("the network whose matte was taken"),
        "X-Confidence": _header("estimated chance that the matte is right, 0 to 1", "number"),
        "X-Foreground-Left": _header("where the subject begins, pixels", "integer"),
        "X-Foreground-Top": _header("likewise from above", "integer"),
        "X-Foreground-Width": _header("the subject's width, pixels", "integer"),
        "X-Foreground-Height": _header("the subject's height, pixels", "integer"),
        "X-Width": _header("the answer's width, pixels", "integer"),
        "X-Height": _header("the answer's height, pixels", "integer"),
        "X-Notes": _header("a JSON list of 'code: explanation'"),
        "X-Request-Id": _header("names the request in the server's log"),
        "Server-Timing": _header("milliseconds by stage"),
        "ETag": _header("the same for the same bytes"),
    },
}

_PAIR = {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}
CUTOUT_SCHEMA: dict[str, Any] = {
    "title": "Cutout",
    "type": "object",
    "description": "A cutout and the facts about it.",
    "required": ["image_b64", "format", "content_type", "model", "size", "cached"],
    "properties": {
        "image_b64": {"type": "string", "format": "byte"},
        "format": {"type": "string", "enum": list(CHOICES["format"])},
        "content_type": {"type": "string"},
        "model": {"type": "string", "description": "the network whose matte was taken"},
        "models": {"type": "array", "items": {"type": "string"}},
        "backend": {"type": ["string", "null"]},
        "size": {**_PAIR, "description": "width and height of the picture that was sent"},
        "output_size": {**_PAIR, "description": "width and height of the answer"},
        "box": {
            "type": ["array", "null"],
            "items": {"type": "integer"},
            "description": "left, top, right, bottom of the subject in the answer",
        },
        "coverage": {"type": "number", "description": "mean of the matte, 0 to 1"},
        "confidence": {
            "type": ["number", "null"],
            "description": "estimated chance that the matte is right, 0 to 1",
        },
        "reasons": {"type": "array", "items": {"type": "string"}},
        "notes": {"type": "array", "items": {"type": "string"}},
        "timings_ms": {"type": "object", "additionalProperties": {"type": "number"}},
        "cached": {"type": "boolean"},
    },
}

_TEXTS = {"type": "array", "items": {"type": "string"}}
ABOUT_SCHEMA: dict[str, Any] = {
    "title": "About",
    "type": "object",
    "required": ["name", "version", "limits", "reads", "writes", "key_needed", "video"],
    "properties": {
        "name": {"const": "cleancut"},
        "version": {"type": "string"},
        "limits": {
            "type": "object",
            "required": [
                *("bytes", "megapixels", "queue", "job_items", "job_bytes"),
                *("video_bytes", "video_minutes"),
            ],
            "properties": {
                "bytes": {"type": "integer", "description": "one picture as it is sent"},
                "megapixels": {"type": "number", "description": "its pixels, in millions"},
                "queue": {"type": "integer", "description": "pictures that may wait"},
                "job_items": {"type": "integer", "description": "pictures of one job"},
                "job_bytes": {"type": "integer", "description": "all of them as they are sent"},
                "video_bytes": {"type": "integer", "description": "one video as it is sent"},
                "video_minutes": {"type": "number", "description": "what is cut out of one video"},
            },
        },
        "reads": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "types", "suffixes"],
                "properties": {"name": {"type": "string"}, "types": _TEXTS, "suffixes": _TEXTS},
            },
        },
        "writes": {**_TEXTS, "description": "what `format` may be"},
        "key_needed": {"type": "boolean", "description": "whether pictures need an API key"},
        "video": {"type": "boolean", "description": "whether videos are taken"},
    },
}
