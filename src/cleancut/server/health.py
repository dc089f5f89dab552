"""For whoever runs the server: alive, ready, and how it fares."""

from __future__ import annotations

import json

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from cleancut.server.services import Services
from cleancut.server.threads import in_thread

router = APIRouter(tags=["health"])

_JSON = {"application/json": {"schema": {"type": "object"}}}


@router.get(
    "/healthz",
    summary="Whether the process is up",
    operation_id="health",
    response_class=Response,
    responses={200: {"description": "It is.", "content": _JSON}},
)
async def healthz() -> Response:
    """Asks nothing of anybody: for liveness probes."""
    return Response('{"status":"up"}', media_type="application/json")


@router.get(
    "/readyz",
    summary="Whether pictures can be sent",
    operation_id="ready",
    response_class=Response,
    responses={
        200: {"description": "They can.", "content": _JSON},
        503: {"description": "They cannot, and why.", "content": _JSON},
    },
)
async def readyz(request: Request) -> Response:
    """The networks are loaded and the disk has room.

    A store that cannot be reached is told as `degraded`: single pictures can be cut without it.
    """
    services: Services = request.app.state.services
    reasons = await in_thread(services.obstacles)
    body: dict[str, object] = {"status": "not ready" if reasons else "ready"}
    if reasons:
        body["reasons"] = reasons
    if lacking := await in_thread(services.shortcomings):
        body["degraded"] = lacking
    return Response(json.dumps(body), 503 if reasons else 200, media_type="application/json")


@router.get(
    "/metrics",
    summary="Counters in Prometheus' format",
    operation_id="metrics",
    response_class=Response,
    responses={
        200: {
            "description": "The counters.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        }
    },
)
async def metrics(request: Request) -> Response:
    """Requests, latencies, stages, the queue, the cache, memory."""
    services: Services = request.app.state.services
    text = await in_thread(services.metrics.text)
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")
