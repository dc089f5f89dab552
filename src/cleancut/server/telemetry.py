"""What the server says about itself: metrics, request ids, one line of log a request.

Nothing of what pictures, keys, queries or forms hold is ever told.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import queue
import re
import secrets
import sys
import time
import traceback
from collections.abc import Callable, Iterable, MutableMapping
from contextlib import suppress
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cleancut.server.faults import HUNG_UP

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from cleancut.server.cutting import Told
    from cleancut.server.services import Services

_LATENCY = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
#: Lines of log that may wait to be written.
_LINES = 10_000
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

logger = logging.getLogger("cleancut.server")


class Metrics:
    """Counters of this server in a registry of their own, in Prometheus' format."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.requests = self._counter(
            "cleancut_requests", "Requests answered", ["door", "method", "status"]
        )
        self.seconds = Histogram(
            "cleancut_request_seconds",
            "Time from a request's head to the end of its answer",
            ["door"],
            buckets=_LATENCY,
            registry=self.registry,
        )
        self.stages = self._counter(
            "cleancut_stage_seconds", "Time spent on pictures, by stage", ["stage"]
        )
        self.pictures = self._counter("cleancut_pictures", "Pictures answered", ["model", "cache"])
        self.megapixels = self._counter("cleancut_megapixels", "Megapixels answered", [])
        self.cache_hits = self._counter("cleancut_cache_hits", "Results found in the cache", [])
        self.cache_misses = self._counter("cleancut_cache_misses", "Results not found there", [])
        self.refused = self._counter("cleancut_refused", "Pictures refused, by error", ["code"])
        self.bytes_in = self._counter("cleancut_received_bytes", "Bytes of bodies received", [])
        self.bytes_out = self._counter("cleancut_sent_bytes", "Bytes of answers sent", [])

    def watch(self, services: Services) -> None:
        """Tell the state of the pool of ``services`` too, from now on."""
        self.registry.register(_PoolCollector(services))

    def cut(self, told: Told) -> None:
        """Count one picture."""
        self.pictures.labels(told.model, "hit" if told.cached else "miss").inc()
        self.megapixels.inc(told.megapixels)
        for stage, ms in told.timings_ms.items():
            self.stages.labels(stage).inc(max(0.0, ms) / 1000)
        if "queue" not in told.timings_ms:
            self.stages.labels("queue").inc(told.queue_ms / 1000)

    def text(self) -> bytes:
        """All of it as Prometheus reads it."""
        return generate_latest(self.registry)

    def _counter(self, name: str, about: str, labels: list[str]) -> Counter:
        return Counter(name, about, labels, registry=self.registry)


class _PoolCollector(Collector):
    """The state of the pool at the moment somebody asks."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterable[Metric]:
        """Yield one metric after the other."""
        state = self._services.pool.state()
        for name, about, value in (
            ("cleancut_queue_depth", "Pictures that wait, with a client waiting", state.waiting),
            ("cleancut_queue_patient", "Pictures of jobs that wait", state.patient),
            ("cleancut_in_work", "Pictures in work", state.working),
            ("cleancut_worker_rss_bytes", "Memory of the working process", state.child_rss_bytes),
            ("cleancut_ready", "1 if pictures are being cut", self._services.pool.ready()),
        ):
            yield GaugeMetricFamily(name, about, value=float(value or 0))
        yield CounterMetricFamily(
            "cleancut_worker_restarts", "Working processes replaced", value=state.restarts
        )
        videos = self._services.videos()
        if videos is not None:
            yield GaugeMetricFamily(
                "cleancut_videos_in_work", "Videos in work", value=float(videos.working)
            )
            for name, about, value in (
                ("cleancut_video_frames", "Frames of videos done", videos.frames),
                ("cleancut_video_seconds", "Seconds of video done", videos.seconds),
            ):
                yield CounterMetricFamily(name, about, value=value)
        memory = GaugeMetricFamily(
            "cleancut_model_bytes",
            "Memory of a loaded network",
            labels=["model", "precision", "backend"],
        )
        totals: dict[tuple[str, str, str], float] = {}
        for model in state.models:
            place = (str(model.name), str(model.precision), str(model.backend))
            totals[place] = totals.get(place, 0.0) + float(model.bytes or 0)
        for place, total in totals.items():
            memory.add_metric(place, total)
        yield memory


def request_id(offered: str) -> str:
    """``offered`` if it is a sane id, else a new one."""
    return offered if _SANE_ID.fullmatch(offered) else secrets.token_hex(8)


class Telemetry:
    """ASGI middleware, outermost: gives every request its id, counts it and logs it.

    An exception that nothing else caught ends here: the client gets a plain 500 in the form of its
    door, the log the traceback.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        told = _Exchange(scope)

        async def counted() -> Message:
            message = await receive()
            told.bytes_in += len(message.get("body", b""))
            return message

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                told.status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", told.id.encode()),
                ]
            told.bytes_out += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, counted, marked)
        except Exception as error:
            await self._mend(scope, told, error, counted, marked)
        finally:
            self._count(scope, told)

    async def _mend(
        self, scope: Scope, told: _Exchange, error: Exception, receive: Receive, send: Send
    ) -> None:
        logger.error(
            "unexpected error",
            extra={"fields": {"id": told.id, "trace": "".join(traceback.format_exception(error))}},
        )
        if told.status:
            raise ConnectionError("the answer broke off") from None  # the client must notice
        from starlette.requests import Request

        from cleancut.server.faults import refused, unexpected

        response = refused(unexpected(error), Request(scope, receive))
        await response(scope, receive, send)

    def _count(self, scope: Scope, told: _Exchange) -> None:
        took = time.perf_counter() - told.began
        state = scope.get("state", {})
        door = door_of(scope)
        method = scope["method"] if scope["method"] in _METHODS else "other"
        status = HUNG_UP if state.get("hung_up") else told.status or HUNG_UP
        self._metrics.requests.labels(door, method, str(status)).inc()
        self._metrics.seconds.labels(door).observe(took)
        self._metrics.bytes_in.inc(told.bytes_in)
        self._metrics.bytes_out.inc(told.bytes_out)
        fields: dict[str, Any] = {
            "id": told.id,
            "door": door,
            "method": method,
            "status": status,
            "ms": round(1000 * took, 1),
            "bytes_in": told.bytes_in,
            "bytes_out": told.bytes_out,
        }
        caller = state.get("caller")
        if caller is not None:
            fields["caller"] = caller.id
            if caller.name != caller.id:
                fields["key"] = caller.name
        if error := state.get("error"):
            fields["error"] = error
        if reason := state.get("reason"):
            fields["reason"] = reason
        picture: Told | None = state.get("told")
        if picture is not None and picture.model:
            fields["model"] = picture.model
            fields["megapixels"] = round(picture.megapixels, 3)
            fields["cached"] = picture.cached
            fields["queue_ms"] = round(picture.queue_ms, 1)
        quiet = door in ("health", "metrics") and status < 400
        logger.log(logging.DEBUG if quiet else logging.INFO, "request", extra={"fields": fields})


class _Exchange:
    """One request and what is known of its answer."""

    def __init__(self, scope: Scope) -> None:
        offered = next((v for k, v in scope["headers"] if k == b"x-request-id"), b"")
        self.id = request_id(offered.decode("latin-1"))
        self.began = time.perf_counter()
        self.status = 0
        self.bytes_in = 0
        self.bytes_out = 0
        state: MutableMapping[str, Any] = scope.setdefault("state", {})
        state["request_id"] = self.id


def door_of(scope: Scope) -> str:
    """Which of the server's doors a request came to, a name of few; never the path itself."""
    path = scope["path"]
    for start, door in DOORS:
        if path == start or path.startswith(start + "/"):
            return door
    return "other"


#: The beginnings of paths, and what they are called in metrics and logs.
DOORS = (
    ("/v1/cutouts", "cutouts"),
    ("/v1/jobs", "jobs"),
    ("/v1/webhook-secret", "jobs"),
    ("/v1/models", "about"),
    ("/v1/options", "about"),
    ("/v1/presets", "about"),
    ("/v1/about", "about"),
    ("/v1.0", "removebg"),
    ("/api/removebg", "removebg"),
    ("/api/account", "removebg"),
    ("/api", "rembg"),
    ("/healthz", "health"),
    ("/readyz", "health"),
    ("/metrics", "metrics"),
    ("/docs", "about"),
    ("/openapi.json", "about"),
    ("/page", "page"),
    ("/", "page"),
)


class _JsonLines(logging.Formatter):
    """One line of JSON a record; the fields of a request stand beside time and event."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, timezone.utc)
        line: dict[str, Any] = {"time": when.isoformat(timespec="milliseconds")}
        line["level"] = record.levelname.lower()
        line["event"] = record.getMessage()
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True, default=str)


class _TextLines(logging.Formatter):
    """The same for people: time, event, then name=value."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, timezone.utc).strftime("%H:%M:%S")
        found = dict(getattr(record, "fields", {}))
        trace = found.pop("trace", "")
        parts = [when, record.getMessage(), *(f"{k}={v}" for k, v in found.items())]
        text = " ".join(parts).encode("ascii", "backslashreplace").decode()
        if record.exc_info:
            trace = self.formatException(record.exc_info)
        return text + (f"\n{trace}" if trace else "")


class _Unhurried(logging.handlers.QueueHandler):
    """Hands records to a thread: a reader of the log that stalls must not stall the server."""

    def enqueue(self, record: logging.LogRecord) -> None:
        """Put one record in line; beyond ``_LINES`` it is lost."""
        with suppress(queue.Full):
            self.queue.put_nowait(record)

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Nothing: the record stays in this process."""
        return record


def set_up_logs(kind: str) -> Callable[[], None]:
    """Send the server's log, and what uvicorn warns of, to stderr as "json" or "text".

    Call the answer at the end: it writes what is still in line.
    """
    stream = logging.StreamHandler(sys.stderr)
    stream.setFormatter(_JsonLines() if kind == "json" else _TextLines())
    line: queue.Queue[logging.LogRecord] = queue.Queue(_LINES)
    listener = logging.handlers.QueueListener(line, stream)
    listener.start()
    for name, level in (("cleancut", logging.INFO), ("uvicorn", logging.ERROR)):
        log = logging.getLogger(name)
        log.handlers = [_Unhurried(line)]
        log.setLevel(level)
        log.propagate = False
    return listener.stop
