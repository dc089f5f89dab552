"""The ASGI application: routes, the guard around them, and how errors leave it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import anyio.to_thread
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from cleancut import __version__
from cleancut.errors import BadRequest, CleancutError
from cleancut.server import about, cutouts, faults, health, jobs_api, page, rembg, removebg
from cleancut.server.body import WHOLE_AT_ONCE
from cleancut.server.guard import Guard
from cleancut.server.telemetry import Telemetry
from cleancut.server.threads import BRIEF, Threads

if TYPE_CHECKING:
    from cleancut.server.services import Services

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

ABOUT = """\
Removes the background of pictures. `POST /v1/cutouts` for one picture, `/v1/jobs` for many;
remove.bg's API is at `/v1.0/removebg`, rembg's at `/api/remove`.

Errors are problem details (RFC 9457) with a stable `code`.
"""


def create_app(services: Services) -> FastAPI:
    """The application over ``services``, which it starts and stops with itself."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = BRIEF
        app.state.whole_bodies = asyncio.Semaphore(WHOLE_AT_ONCE)
        await anyio.to_thread.run_sync(services.start)
        try:
            yield
        finally:
            services.ending = True
            await anyio.to_thread.run_sync(services.stop)

    app = FastAPI(
        title="cleancut",
        version=__version__,
        description=ABOUT,
        license_info={"name": "Apache-2.0"},
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        openapi_tags=[
            {"name": "cutouts", "description": "One picture, now."},
            {"name": "jobs", "description": "Many pictures, later."},
            {"name": "about", "description": "What can be asked for."},
            {"name": "health", "description": "For whoever runs the server."},
        ],
    )
    app.state.services = services
    app.state.threads = Threads()
    app.state.refusals = {}
    app.include_router(cutouts.router)
    app.include_router(about.router)
    app.include_router(health.router)
    if services.settings.page:
        app.include_router(page.router_of(page.files_of()))
    _add_doors(app)
    app.add_exception_handler(CleancutError, _refuse)
    app.add_exception_handler(HTTPException, _refuse_framework)
    app.add_exception_handler(RequestValidationError, _refuse_invalid)
    app.add_middleware(Guard, settings=services.settings)
    app.add_middleware(Telemetry, metrics=services.metrics)
    cast(Any, app).openapi = lambda: about.schema_of(app)
    return app


def _add_doors(app: FastAPI) -> None:
    """The APIs of others, each with its own form of errors, and the jobs."""
    for module in (jobs_api, removebg, rembg):
        app.include_router(module.router)
        app.state.refusals.update(getattr(module, "REFUSALS", {}))


async def _refuse(request: Request, error: Exception) -> Response:
    return faults.refused(cast(CleancutError, error), request)


async def _refuse_framework(request: Request, error: Exception) -> Response:
    found = cast(HTTPException, error)
    headers = dict(found.headers or {})
    if found.status_code == 405:
        headers = {"allow": _allowed(request)}
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=headers)
    meant = faults.from_framework(found.status_code, found.detail, headers)
    response = faults.refused(meant, request)
    response.headers.update(headers)
    return response


async def _refuse_invalid(request: Request, error: Exception) -> Response:
    found = cast(RequestValidationError, error).errors()
    first: dict[str, Any] = dict(found[0]) if found else {}
    place = ".".join(str(part) for part in first.get("loc", ())[1:])
    said = str(first.get("msg", "malformed"))
    return faults.refused(BadRequest(f"{place}: {said}"[:300], hint="see /docs"), request)


def _allowed(request: Request) -> str:
    """All methods of the path that was asked for."""
    methods = {
        method
        for method in METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.router.routes
        )
    }
    if "GET" in methods:
        methods.add("HEAD")
    return ", ".join(sorted({*methods, "OPTIONS"}))
