"""rembg's HTTP API, as ``rembg s`` 2.0.86 has it: ``GET`` and ``POST /api/remove``.

Parameters may come by query or form, whatever the method. They become options in the way of the
drop-in ``cleancut.rembg.remove``, so that both make the same pixels.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter
from fastapi.encoders import jsonable_encoder
from pydantic import BaseModel, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from cleancut.errors import (
    AddressRefused,
    BadOption,
    BodyTooLarge,
    CleancutError,
    FetchFailed,
    RequestError,
    UnknownModel,
)
from cleancut.options import Options
from cleancut.rembg.session_factory import (
    CUSTOM,
    CUT_KEYWORDS,
    FOREIGN_KEYWORDS,
    SESSION_KEYWORDS,
    options_of,
)
from cleancut.rembg.sessions import sessions_names
from cleancut.server.auth import admitted
from cleancut.server.body import Body, receive
from cleancut.server.cutting import cut, fetched, refuse_early
from cleancut.server.faults import headers_of, status_of, told
from cleancut.server.form import options_from
from cleancut.server.order import Order
from cleancut.server.rembg_schema import GET, POST
from cleancut.server.threads import in_thread

if TYPE_CHECKING:
    from cleancut.server.services import Services
    from cleancut.server.settings import Settings

router = APIRouter(tags=["rembg"])

PATH = "/api/remove"
#: Options of the operator's that hold at this door too; all others are as rembg has them.
_KEPT = (
    *("backend", "device", "precision", "commercial_only", "recipe", "max_megapixels"),
    *("compress", "strip"),
)
#: What ``extras`` may hold here. rembg ignores what it does not know, and so do we.
_EXTRAS = frozenset({"putalpha", "recut"})
#: What ``extras`` may not hold: they name files, services and hardware, or ask for several masks.
_REFUSED = (SESSION_KEYWORDS | CUT_KEYWORDS | FOREIGN_KEYWORDS.keys()) - _EXTRAS
_MAX_EXTRAS = 10_000
_NAME = re.compile(r"[a-z0-9_-][a-z0-9_.-]{0,79}(?<!\.onnx)", re.ASCII | re.IGNORECASE)


class Parameters(BaseModel):
    """The parameters of both methods, by rembg's names."""

    model: str | None = None
    a: bool = False
    af: Annotated[int, Field(ge=0, le=255)] = 240
    ab: Annotated[int, Field(ge=0, le=255)] = 10
    ae: Annotated[int, Field(ge=0, le=1000)] = 10
    om: bool = False
    ppm: bool = False
    dc: bool = False
    vm: bool = False
    bgc: str | None = None
    extras: str | None = None


class Invalid(RequestError):
    """Parameters that are missing or cannot be; ``errors`` are those of a validation."""

    code = "bad-request"

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__("invalid parameters")
        self.errors = errors

    def __reduce__(self) -> tuple[object, ...]:
        return (Invalid, (self.errors,))


def answer(error: CleancutError, request: Request) -> Response:  # noqa: ARG001
    """``error`` as rembg's server would tell it; the form of this door for ``faults.refused``."""
    if isinstance(error, Invalid):
        return JSONResponse({"detail": jsonable_encoder(error.errors)}, 422)
    detail, hint = told(error)
    if isinstance(error, RembgSays):
        detail, hint = error.message, ""
    text = f"{detail}; {hint}" if hint else detail
    return JSONResponse({"detail": text}, _status(error), headers=headers_of(error))


#: Forms of errors by the beginning of paths, for the application.
REFUSALS = {PATH: answer}


class RembgSays(RequestError):
    """An error in rembg's own words."""

    code = "bad-request"


@router.get(PATH, **GET)
async def from_url(request: Request) -> Response:
    """Fetch the picture at `url` and remove its background."""
    services: Services = request.app.state.services
    await admitted(request)
    refuse_early(services)
    given = {name: ("query", value) for name, value in request.query_params.multi_items()}
    wanted, url = _read(given, "query"), given.get("url", ("query", ""))[1].strip()
    if not url:
        raise _missing("query", "url")
    options = await in_thread(options_for, wanted, services.settings)
    async with AsyncExitStack() as stack:
        try:
            source = await stack.enter_async_context(fetched(request, services, url))
        except CleancutError as error:
            raise _as_rembg(error) from error
        return await _cut(request, services, source, options)


@router.post(PATH, **POST)
async def from_file(request: Request) -> Response:
    """Remove the background of the picture sent as `file`."""
    services: Services = request.app.state.services
    await admitted(request)
    refuse_early(services)
    async with receive(request, services.settings) as body:
        wanted = _read(_given(request, body), "body")
        upload = body.one("file")
        if upload is None:
            raise _missing("body", "file")
        options = await in_thread(options_for, wanted, services.settings)
        return await _cut(request, services, upload.path, options)


def options_for(wanted: Parameters, settings: Settings) -> Options:
    """The options that make what ``cleancut.rembg.remove`` makes of the same parameters.

    Looks at the disk for models. Raises ``BadOption``.
    """
    extras = _extras(wanted.extras)
    if wanted.vm:
        raise BadOption(
            "vm: ViTMatte is not offered: its weights are not in the catalog",
            hint="use a, which needs no weights",
        )
    colour = _colour(wanted.bgc)
    keep_all = bool(extras.get("putalpha", False))
    return Options(
        **{name: getattr(settings.defaults, name) for name in _KEPT} | _model(wanted, settings),
        minmax=True,
        refine="off",
        binarise=wanted.ppm,
        alpha_matting=f"{wanted.af},{wanted.ab},{wanted.ae}"
        if wanted.a and not wanted.om
        else None,
        decontaminate=wanted.a or (wanted.dc and not keep_all),
        only_mask=wanted.om,
        background=None if wanted.om else colour,
        keep_hidden_rgb=keep_all,
        recut=bool(extras.get("recut", False)),
        format="png",
    )


def _model(wanted: Parameters, settings: Settings) -> dict[str, Any]:
    """The model, by rembg's name or ours; the server's own where none was named."""
    if not wanted.model:
        return {"model": settings.defaults.model}
    if wanted.model in CUSTOM:
        raise BadOption(f"model: {wanted.model} needs a file of yours", hint="name another model")
    named = options_of(wanted.model)
    chosen = options_from({"model": named.model}, settings)
    if "clothes" in (_tags(chosen.model) or ()):
        raise BadOption(f"model: {wanted.model} is not offered over HTTP", hint="name another")
    found = {
        "model": chosen.model,
        "recipe": None if chosen.model != settings.options.model else settings.options.recipe,
    }
    return found | ({"precision": named.precision} if named.precision != "auto" else {})


def _tags(name: str) -> tuple[str, ...] | None:
    """What the catalog says a model is for; None for one that it does not know."""
    from cleancut.catalog import find

    try:
        return tuple(find(name).tags)
    except (UnknownModel, BadOption):
        return None


def _given(request: Request, body: Body) -> dict[str, tuple[str, str]]:
    """Parameters of query and form, each with where it came from; the form wins."""
    given = {name: ("query", value) for name, value in request.query_params.multi_items()}
    return given | {name: ("body", value) for name, value in body.fields.items()}


def _read(given: Mapping[str, tuple[str, str]], place: str) -> Parameters:
    """The parameters, checked. An empty one is not given. Raises ``Invalid``."""
    values = {name: value for name, (_, value) in given.items() if value != ""}
    try:
        wanted = Parameters.model_validate(values)
    except ValidationError as error:
        found = []
        for one in error.errors(include_url=False):
            name = str(one["loc"][0])
            found.append({**one, "loc": [given.get(name, (place, ""))[0], name]})
        raise Invalid(found) from error
    if wanted.model and not _is_known(wanted.model):
        raise _no_such_model(given["model"][0], wanted.model)
    return wanted


def _missing(place: str, name: str) -> Invalid:
    return Invalid(
        [{"type": "missing", "loc": [place, name], "msg": "Field required", "input": None}]
    )


def _is_known(name: str) -> bool:
    """Whether rembg or the catalog has a model of this name; a path is none."""
    if name in sessions_names or name in ("auto", "sam", "withoutbg", "atlascloud"):
        return True
    return _NAME.fullmatch(name) is not None and _tags(name) is not None


def _no_such_model(place: str, name: str) -> Invalid:
    pattern = f"({'|'.join(sessions_names)})"
    return Invalid(
        [
            {
                "type": "string_pattern_mismatch",
                "loc": [place, "model"],
                "msg": f"String should match pattern '{pattern}'",
                "input": name[:100],
                "ctx": {"pattern": pattern},
            }
        ]
    )


def _extras(text: str | None) -> dict[str, Any]:
    """``extras``: a JSON object; as with rembg, anything else has no effect."""
    if not text or len(text) > _MAX_EXTRAS:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    for name in found:
        if name in _REFUSED:
            raise BadOption(f"extras: {name} is not taken over HTTP", hint="leave it out")
    return found


def _colour(text: str | None) -> str | None:
    """``R,G,B,A`` (or three numbers for an opaque colour) as an option's text."""
    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    if len(words) not in (3, 4) or not all(
        word.isascii() and word.isdigit() and len(word) <= 3 and int(word) <= 255 for word in words
    ):
        raise BadOption(
            f"bgc: {text[:40]!r} is not a colour", hint="like 255,255,255,255 (R,G,B,A)"
        )
    return "#" + "".join(f"{int(word):02x}" for word in words)


async def _cut(request: Request, services: Services, source: Path, options: Options) -> Response:
    order = Order(source=source, options=options)
    done = await cut(request, services, request.state.caller, order)
    cache = {"X-Cache": "hit" if done.cached else "miss"}
    return Response(done.data, headers=cache, media_type="image/png")


def _as_rembg(error: CleancutError) -> CleancutError:
    """What went wrong with a URL, in the words that rembg has for it."""
    said = error.message
    if isinstance(error, BodyTooLarge):
        return RembgSays("Image exceeds maximum size.")
    if isinstance(error, FetchFailed) and "cannot be found" in said:
        return RembgSays("Could not resolve hostname.")
    if isinstance(error, FetchFailed) and "redirects" in said:
        return RembgSays("Too many redirects.")
    if isinstance(error, AddressRefused):
        for part, words in _URL_WORDS.items():
            if part in said:
                return RembgSays(words)
    return error


#: Parts of what the fetcher says, and rembg's words for it.
_URL_WORDS = {
    "only http://": "Only http and https URLs are allowed.",
    "has no host": "Invalid URL: missing hostname.",
    "not public": "Requests to private/internal addresses are not allowed.",
    "redirect leads to an address": "Redirect without Location header.",
}


def _status(error: CleancutError) -> int:
    """rembg's 400 for what is wrong with a picture or a URL, our own status for all else."""
    status = status_of(error)
    return 400 if status in (415, 422) else status
