"""Our own API for one picture: ``POST /v1/cutouts``."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from cleancut.errors import (
    AddressRefused,
    BackendUnavailable,
    BadOption,
    BadRequest,
    BodyTooLarge,
    BodyTooSlow,
    Busy,
    Cancelled,
    CleancutError,
    FetchFailed,
    ImageTooLarge,
    KeyRefused,
    LicenceRefused,
    ManyPeople,
    MissingDependency,
    NoPerson,
    NoSubject,
    OutOfMemory,
    PictureCrashed,
    QuotaSpent,
    RateLimited,
    TimedOut,
    UnreadableImage,
    UnsupportedFormat,
)
from cleancut.options import Options
from cleancut.server import openapi
from cleancut.server.auth import admitted
from cleancut.server.body import Body, receive
from cleancut.server.cutting import cut, fetched, refuse_early
from cleancut.server.faults import statuses
from cleancut.server.form import (
    GUIDE_FILES,
    GUIDES,
    background_from,
    guidance_from,
    options_from,
    split,
)
from cleancut.server.keys import Caller
from cleancut.server.order import Cut, Order
from cleancut.server.services import Services
from cleancut.server.threads import in_thread
from cleancut.server.wording import public

router = APIRouter()

#: Fields that are no options: where the picture is, and what is known about it.
SOURCES = ("image", "image_b64", "image_url")
#: What comes as a file; a URL and what is known in words come as text.
FILES = ("image", "image_b64", "background_image", *GUIDE_FILES)
OWN = frozenset({*SOURCES, *FILES, *GUIDES})
MIME = {
    "png": "image/png",
    "webp": "image/webp",
    "jpg": "image/jpeg",
    "avif": "image/avif",
    "tiff": "image/tiff",
    "zip": "application/zip",
    "psd": "image/vnd.adobe.photoshop",
}
_FORMATS = {mime: name for name, mime in MIME.items()}
#: Above this, digests and base64 are made in a thread, bytes.
_LARGE = 256 * 1024


@router.post(
    "/v1/cutouts",
    tags=["cutouts"],
    summary="Remove the background of one picture",
    operation_id="cut",
    response_class=Response,
    openapi_extra=openapi.CUTOUT,
    responses={
        200: openapi.CUTOUT_ANSWER,
        **statuses(
            BadRequest,
            BadOption,
            UnreadableImage,
            AddressRefused,
            FetchFailed,
            LicenceRefused,
            BackendUnavailable,
            KeyRefused,
            QuotaSpent,
            BodyTooSlow,
            BodyTooLarge,
            ImageTooLarge,
            UnsupportedFormat,
            NoSubject,
            NoPerson,
            ManyPeople,
            PictureCrashed,
            RateLimited,
            Busy,
            CleancutError,
            MissingDependency,
            OutOfMemory,
            Cancelled,
            TimedOut,
        ),
    },
)
async def cutouts(request: Request, caller: Annotated[Caller, Depends(admitted)]) -> Response:
    """Send the picture as the file `image`, as the body itself, as `image_b64` or by `image_url`.

    Every option of the library goes by its own name, as a form field, a member of a JSON object or
    a query parameter (the body wins). The answer is the picture, or with
    `Accept: application/json` a JSON document.
    """
    services: Services = request.app.state.services
    refuse_early(services)
    async with receive(request, services.settings) as body:
        fields = _fields(request, body)
        chosen, own = split(fields, OWN)
        if not chosen.get("format") and (wished := _wished(request)):
            chosen["format"] = wished
        options = await in_thread(options_from, chosen, services.settings)
        background = background_from(body)
        if background is not None:
            options = options.with_(background=str(background))
        body.fields = own
        guidance = guidance_from(body)
        async with _source(request, services, body) as source:
            order = Order(source=source, options=options, guidance=guidance)
            done = await cut(request, services, caller, order)
    return await _answer(request, done, options)


def _fields(request: Request, body: Body) -> dict[str, str]:
    """Query parameters and fields of the body as one."""
    fields: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in fields:
            raise BadRequest(f"{name[:60]}: given twice", hint="give it once")
        fields[name] = value
    fields |= body.fields
    for name in body.files:
        if name not in FILES:
            raise BadRequest(
                f"a file called {name[:60]!r} is not expected", hint=f"files: {', '.join(FILES)}"
            )
    return fields


@asynccontextmanager
async def _source(request: Request, services: Services, body: Body) -> AsyncIterator[Path]:
    """The picture to cut."""
    image, encoded = body.one("image"), body.one("image_b64")
    url = body.fields.get("image_url", "")
    if body.fields.get("image"):
        raise BadRequest("image: text where a file is", hint="curl -F image=@photo.jpg, with an @")
    given = [name for name, there in zip(SOURCES, (image, encoded, url), strict=True) if there]
    if len(given) != 1:
        what = " and ".join(given) + " contradict each other" if given else "no picture was sent"
        raise BadRequest(what, hint="send one of: image (a file), image_b64, image_url")
    if (upload := image or encoded) is not None:
        yield upload.path
        return
    async with fetched(request, services, url) as path:
        yield path


def _wished(request: Request) -> str:
    """The format that the Accept header names, if it names exactly one picture format."""
    return _FORMATS.get(request.headers.get("accept", "").strip().lower(), "")


async def _answer(request: Request, done: Cut, options: Options) -> Response:
    name = options.format or "png"
    headers = facts_headers(done)
    if "application/json" in request.headers.get("accept", "").lower():
        content = await _at_length(done.data, lambda: _document(done, name))
        return Response(content, headers=headers, media_type="application/json")
    tag = await _at_length(done.data, lambda: hashlib.sha256(done.data).hexdigest())
    headers["ETag"] = f'"{tag[:32]}"'
    return Response(done.data, headers=headers, media_type=MIME[name])


def facts_headers(done: Cut) -> dict[str, str]:
    """What there is to say about a cutout, as headers of its answer."""
    facts = done.facts
    headers = {
        "X-Cache": "hit" if done.cached else "miss",
        "X-Model": str(facts.get("model", "")),
        "Server-Timing": _timing(facts.get("timings_ms") or {}),
        "Vary": "Accept",
    }
    if facts.get("confidence") is not None:
        headers["X-Confidence"] = f"{facts['confidence']:.3f}"
    if size := facts.get("output_size"):
        headers["X-Width"], headers["X-Height"] = str(size[0]), str(size[1])
    if box := facts.get("box"):
        left, top, right, bottom = box
        headers["X-Foreground-Left"], headers["X-Foreground-Top"] = str(left), str(top)
        headers["X-Foreground-Width"] = str(right - left)
        headers["X-Foreground-Height"] = str(bottom - top)
    if notes := facts.get("notes"):
        headers["X-Notes"] = json.dumps([public(str(note)) for note in notes])[:4000]
    return headers


def _document(done: Cut, name: str) -> bytes:
    facts = {key: value for key, value in done.facts.items() if key != "review"}
    facts["notes"] = [public(str(note)) for note in facts.get("notes", ())]
    document: dict[str, Any] = {
        "image_b64": base64.b64encode(done.data).decode("ascii"),
        "format": name,
        "content_type": MIME[name],
        **facts,
        "cached": done.cached,
    }
    return json.dumps(document).encode()


def _timing(stages: Mapping[str, float]) -> str:
    """The Server-Timing header (W3C) of milliseconds by stage."""
    return ", ".join(f"{name};dur={ms:.1f}" for name, ms in stages.items() if name.isidentifier())


async def _at_length(data: bytes, work: Any) -> Any:
    return work() if len(data) < _LARGE else await in_thread(work)
