"""What can be asked for: ``/v1/about``, ``/v1/models``, ``/v1/options``, and the schema."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import Response

from cleancut import __version__
from cleancut.errors import BadRequest, CleancutError, KeyRefused, RateLimited
from cleancut.imaging.readable import readable, writable
from cleancut.options import parse_background
from cleancut.presets import presets
from cleancut.server import openapi, video_form
from cleancut.server.auth import caller_of, guest
from cleancut.server.docs_page import POLICY, page
from cleancut.server.faults import PROBLEM_SCHEMA, statuses
from cleancut.server.form import is_file, offered
from cleancut.server.keys import Caller
from cleancut.server.settings import Settings
from cleancut.server.threads import in_thread

if TYPE_CHECKING:
    from fastapi import FastAPI

    from cleancut.server.services import Services

router = APIRouter()

_REFUSALS = statuses(KeyRefused, RateLimited, CleancutError)
#: These never change while a server runs.
_KEEP = "private, max-age=60"


def _rows(about: str, example: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "description": about,
        "content": {
            "application/json": {
                "schema": {"type": "array", "items": {"type": "object"}},
                "example": example,
            }
        },
    }


@router.get(
    "/v1/about",
    tags=["about"],
    summary="What this server is, reads, writes and allows",
    operation_id="about",
    dependencies=[Depends(guest)],
    response_class=Response,
    responses={
        200: {
            "description": "About this server.",
            "content": {"application/json": {"schema": openapi.ABOUT_SCHEMA}},
        },
        **_REFUSALS,
    },
)
async def about(request: Request) -> Response:
    """Asks for no key."""
    services: Services = request.app.state.services
    told = await in_thread(_about, services)
    return Response(json.dumps(told), media_type="application/json")


@router.get(
    "/v1/models",
    tags=["about"],
    summary="The models that can be asked for, with their licences",
    operation_id="models",
    response_class=Response,
    responses={
        200: _rows(
            "The models.",
            [{"id": "isnet", "title": "IS-Net", "weight_licence": "Apache-2.0", "default": True}],
        ),
        **_REFUSALS,
    },
)
async def models(request: Request, caller: Annotated[Caller, Depends(caller_of)]) -> Response:
    """`auto` is always among them: the best ones that are there, by what the picture shows."""
    del caller
    settings: Settings = request.app.state.services.settings
    rows = await in_thread(_models, settings)
    return _json(rows)


@router.get(
    "/v1/options",
    tags=["about"],
    summary="The options with their defaults and choices",
    operation_id="options",
    response_class=Response,
    responses={
        200: _rows("The options.", openapi.option_rows()[:2]),
        **statuses(BadRequest),
        **_REFUSALS,
    },
)
async def options(
    request: Request,
    caller: Annotated[Caller, Depends(caller_of)],
    kind: Annotated[
        Literal["cutout", "video"], Query(description="of pictures or videos")
    ] = "cutout",
) -> Response:
    """Enough to build a form from. `default` is this server's."""
    del caller
    settings: Settings = request.app.state.services.settings
    if kind == "video":
        shared = {row["name"]: _default(settings, row["name"]) for row in openapi.option_rows()}
        told = video_form.rows()
        return _json([{**row, "default": shared.get(row["name"], row["default"])} for row in told])
    rows = [{**row, "default": _default(settings, row["name"])} for row in openapi.option_rows()]
    return _json(rows)


@router.get(
    "/v1/presets",
    tags=["about"],
    summary="The ready-made outputs: shops, ID photos, papers for print sheets",
    operation_id="presets",
    response_class=Response,
    responses={
        200: _rows("The presets.", [presets()["amazon"].card(), presets()["a4"].card()]),
        **_REFUSALS,
    },
)
async def all_presets(request: Request, caller: Annotated[Caller, Depends(caller_of)]) -> Response:
    """Send an `id` as `preset`, or its `options` themselves. `note` says which rule they follow.

    Rows of the group `paper` go along with one of `id-photo`: `icao+10x15cm` is a sheet.
    """
    del request, caller
    return _json([row.card() for row in presets().values()])


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> Response:
    """The schema as a page, without scripts."""
    text = await in_thread(_page, request.app)
    return Response(text, media_type="text/html", headers={"Content-Security-Policy": POLICY})


@router.get("/openapi.json", include_in_schema=False)
async def schema(request: Request) -> Response:
    """The schema itself."""
    text = await in_thread(_schema_text, request.app)
    return Response(text, media_type="application/json")


@lru_cache(1)  # it takes tenths of a second to make
def _page(app: FastAPI) -> str:
    return page(app.openapi())


@lru_cache(1)  # it takes tenths of a second to make
def _schema_text(app: FastAPI) -> str:
    return json.dumps(app.openapi())


def schema_of(app: FastAPI) -> dict[str, Any]:
    """OpenAPI 3.1 of all routes of ``app``, made once."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
            license_info=app.license_info,
        )
        parts = made.setdefault("components", {})
        schemas = parts.setdefault("schemas", {})
        schemas["Problem"] = PROBLEM_SCHEMA
        schemas["Cutout"] = openapi.CUTOUT_SCHEMA
        parts["securitySchemes"] = {
            "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            "bearer": {"type": "http", "scheme": "bearer"},
        }
        for path, methods in made["paths"].items():
            for operation in methods.values():
                if path.startswith(("/v1", "/api")):
                    operation.setdefault("security", [{"key": []}, {"bearer": []}, {}])
        app.openapi_schema = made
    return app.openapi_schema


def _about(services: Services) -> dict[str, Any]:
    settings = services.settings
    return {
        "name": "cleancut",
        "version": __version__,
        "limits": {
            "bytes": settings.max_body,
            "megapixels": settings.defaults.max_megapixels,
            "queue": settings.queue,
            "job_items": settings.max_job_items,
            "job_bytes": settings.max_job_body,
            "video_bytes": settings.max_video,
            "video_minutes": settings.max_video_minutes,
        },
        "reads": [
            {"name": kind.name, "types": kind.types, "suffixes": kind.suffixes}
            for kind in readable()
        ],
        "writes": writable(),
        "key_needed": services.keys.required,
        "video": video_form.taken(settings),
    }


def _default(settings: Settings, name: str) -> Any:
    """This server's default of an option; a file of the operator's is "custom"."""
    value = getattr(settings.defaults, name)
    if name == "model" and is_file(value):
        return "custom"
    if name == "background" and (found := parse_background(value)) and found.path is not None:
        return "custom"
    return value


def _models(settings: Settings) -> list[dict[str, Any]]:
    from cleancut.catalog import catalog

    chosen = settings.options.model
    rows: list[dict[str, Any]] = []
    for name in offered(settings):
        spec = catalog().get(name)
        if spec is None:
            title = "the best that is there, by what the picture shows" if name == "auto" else name
            rows.append({"id": name, "title": title, "default": name == chosen})
            continue
        rows.append(
            {
                **spec.card(),
                "default": spec.id == chosen,
            }
        )
    return rows


def _json(value: object) -> Response:
    return Response(
        json.dumps(value), media_type="application/json", headers={"Cache-Control": _KEEP}
    )
