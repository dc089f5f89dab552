"""One picture for one request: from the cache or through the queue, while it is wanted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from cleancut.errors import Cancelled, CleancutError
from cleancut.guidance import Guidance
from cleancut.server.order import Cut, Order, megapixels_of
from cleancut.server.spool import remove
from cleancut.server.threads import in_thread

if TYPE_CHECKING:
    from starlette.requests import Request

    from cleancut.server.keys import Caller
    from cleancut.server.services import Services

_T = TypeVar("_T")


async def cut(request: Request, services: Services, caller: Caller, order: Order) -> Cut:
    """The cutout that ``order`` asks for, for ``caller``, who pays for it if it succeeds.

    A result that is kept is answered without the queue. If the client hangs up, waiting work is
    called off. Raises ``Busy``, ``QuotaSpent``, ``Cancelled``, and the errors of cutting.
    """
    told = request.state.told = Told()
    began = time.perf_counter()
    try:
        done = await in_thread(_kept, services, caller, order)
        if done is None:
            services.metrics.cache_misses.inc()
            done = await while_wanted(request, asyncio.wrap_future(services.pool.submit(order)))
            told.cached = done.cached
        else:
            services.metrics.cache_hits.inc()
            told.cached = True
    except CleancutError as error:
        services.metrics.refused.labels(error.code).inc()
        raise
    told.read(done.facts, 1000 * (time.perf_counter() - began))
    services.quota.charge(caller, told.megapixels)
    services.metrics.cut(told)
    services.answers.take(request, len(done.data))
    return done


def refuse_early(services: Services) -> None:
    """Raise what would be raised later anyway: before a body is read, that costs nothing."""
    trouble: CleancutError | None = services.pool.full() or services.pool.trouble()
    if services.ending:
        trouble = Cancelled("the server is ending", hint="ask another one, or try again")
    if trouble is not None:
        services.metrics.refused.labels(trouble.code).inc()
        raise trouble


async def while_wanted(request: Request, work: Awaitable[_T]) -> _T:
    """What ``work`` comes to; if the client hangs up first, it is cancelled.

    The request's body must have been read. Raises ``Cancelled``.
    """
    job = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(_hung_up(request))
    try:
        await asyncio.wait({job, watch}, return_when=asyncio.FIRST_COMPLETED)
        if job.done():
            return job.result()
        request.state.hung_up = True
        raise Cancelled("the client hung up")
    except asyncio.CancelledError:
        if job.cancelled():
            raise Cancelled("it was called off") from None
        raise
    finally:
        for task in (job, watch):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


@asynccontextmanager
async def fetched(request: Request, services: Services, url: str) -> AsyncIterator[Path]:
    """The picture at ``url`` as a file in the spool, until the block ends.

    Few are fetched at the same time. Raises ``AddressRefused``, ``FetchFailed``, ``BodyTooLarge``.
    """
    settings, threads = services.settings, request.app.state.threads

    def work() -> Path:
        found = services.fetcher.get(url, max_bytes=settings.max_body, folder=settings.spool)
        return found.path

    path = await in_thread(work, limiter=threads.fetches)
    try:
        yield path
    finally:
        with anyio.CancelScope(shield=True):
            await in_thread(remove, [path])


class Told:
    """What the log and the metrics say about the picture of a request."""

    def __init__(self) -> None:
        self.model = ""
        self.megapixels = 0.0
        self.cached = False
        self.queue_ms = 0.0
        self.timings_ms: Mapping[str, float] = {}

    def read(self, facts: Mapping[str, Any], spent_ms: float) -> None:
        """Take what is worth telling from a picture's facts; ``spent_ms`` is all it took."""
        self.model = str(facts.get("model", ""))
        self.megapixels = megapixels_of(facts)
        self.timings_ms = dict(facts.get("timings_ms") or {})
        at_work = sum(ms for name, ms in self.timings_ms.items() if name != "queue")
        self.queue_ms = self.timings_ms.get("queue", max(0.0, spent_ms - at_work))


def _kept(services: Services, caller: Caller, order: Order) -> Cut | None:
    """The kept result of ``order``, if there is one; raises ``QuotaSpent``."""
    services.quota.check(caller)
    if services.cache is None:
        return None
    found = services.engine.kept(
        order.source.read_bytes(),
        guidance=Guidance(**order.guidance) if order.guidance else None,
        options=order.options,
    )
    return None if found is None else Cut(data=found.data, facts=found.facts, cached=True)


async def _hung_up(request: Request) -> None:
    """Return when the client goes away."""
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            return
