"""Our own API for many pictures: ``/v1/jobs``."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

import anyio
from fastapi import APIRouter, Depends, Query
from fastapi import Path as PathParameter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from cleancut.errors import (
    AddressRefused,
    BadOption,
    BadRequest,
    BodyTooLarge,
    BodyTooSlow,
    Busy,
    CleancutError,
    JobConflict,
    JobNotFound,
    KeyRefused,
    LinkExpired,
    MissingDependency,
    QuotaSpent,
    RateLimited,
    StorageFailed,
    UnsupportedFormat,
)
from cleancut.server import job_openapi, job_request, video_form
from cleancut.server.auth import admitted, caller_of
from cleancut.server.body import receive
from cleancut.server.faults import statuses
from cleancut.server.job_results import archive, download, ranged
from cleancut.server.job_store import ItemRecord, JobRecord, is_job_id
from cleancut.server.job_views import (
    Job,
    JobList,
    WebhookSecret,
    archive_path,
    item_of,
    item_path,
    job_path,
    summary_of,
)
from cleancut.server.jobs import Jobs
from cleancut.server.keys import Caller
from cleancut.server.services import Services
from cleancut.server.threads import in_thread
from cleancut.server.webhooks import secret_for

router = APIRouter(tags=["jobs"])

T = TypeVar("T")

#: Seconds after which it is worth asking for a job again.
RETRY_S = 2
#: A job is waited for at most so long, seconds, and looked at so often.
MAX_WAIT_S = 30
_LOOK_S = (0.05, 0.1, 0.2, 0.4, 0.7, 1.0)
#: A body that is larger than this has to find room on the disk beforehand, bytes.
_LARGE = 64 << 20
_FORM = "multipart/form-data"

_REFUSALS = (KeyRefused, RateLimited, StorageFailed, CleancutError)
JobId = Annotated[str, PathParameter(description="as `POST /v1/jobs` gave it", max_length=64)]
Known = Annotated[Caller, Depends(caller_of)]
Expires = Annotated[str | None, Query(description="from the link", max_length=20)]
Signature = Annotated[str | None, Query(description="from the link", max_length=100)]


@router.post(
    "/v1/jobs",
    status_code=202,
    summary="Start a job: many pictures with the same options, or a video",
    operation_id="start_job",
    response_model=Job,
    openapi_extra=job_openapi.START,
    responses={
        202: job_openapi.STARTED,
        **statuses(
            BadRequest,
            BadOption,
            AddressRefused,
            QuotaSpent,
            JobConflict,
            BodyTooLarge,
            BodyTooSlow,
            UnsupportedFormat,
            Busy,
            MissingDependency,
            *_REFUSALS,
        ),
    },
)
async def start(request: Request, caller: Annotated[Caller, Depends(admitted)]) -> Response:
    """Send the pictures as several files called `image`, or name them as JSON; or one `video`.

    When the answer is there, the job will be done, whatever happens to the server. With an
    `Idempotency-Key`, sending the same request again gives the same job.
    """
    services: Services = request.app.state.services
    jobs, settings = services.jobs, services.settings
    key = job_request.idempotency_key(request)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    async with AsyncExitStack() as stack:
        # Bytes that are not taken must not fill the disk first.
        larger = {"video": settings.max_video} if video_form.taken(settings) else {}
        if (size := _announced(request)) > _LARGE:
            await in_thread(jobs.videos.folders.check_room, size)
        if kind == "application/json":
            text = await job_request.read_json(request)
            wanted = await in_thread(job_request.from_json, text, settings)
        elif kind == _FORM:
            body = await stack.enter_async_context(
                receive(
                    request,
                    settings,
                    max_body=settings.max_job_body,
                    max_files=settings.max_job_items,
                    larger=larger,
                )
            )
            wanted = job_request.from_multipart(body, settings)
        else:
            raise UnsupportedFormat(
                f"a body of the type {kind[:60] or 'unknown'!r} is not read",
                hint=f"send {_FORM} with files called image, or application/json",
            )

        def accept() -> tuple[JobRecord, bool]:
            return jobs.accept(
                job_request.new_job(
                    wanted,
                    caller=caller.id,
                    key=key,
                    settings=settings,
                    check=services.fetcher.check,
                )
            )

        # A client that hangs up now finds the job in its list.
        with anyio.CancelScope(shield=True):
            record, _ = await in_thread(accept, limiter=request.app.state.threads.jobs_accepted)
    shown = await _asked(request, lambda: _job(request, jobs, record, limit=100, offset=0))
    headers = {"Location": shown["link"], "Retry-After": str(RETRY_S)}
    return JSONResponse(shown, 202, headers=headers)


@router.get(
    "/v1/jobs",
    summary="The jobs of this key, the latest first",
    operation_id="jobs",
    response_model=JobList,
    responses=statuses(BadRequest, *_REFUSALS),
)
async def listed(
    request: Request,
    caller: Known,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> Response:
    """Without their pictures."""
    jobs: Jobs = request.app.state.services.jobs
    base = _base(request)

    def work() -> dict[str, Any]:
        found = jobs.store.jobs(caller.id, limit=limit + 1, offset=offset)
        links = jobs.links()
        more = _page("/v1/jobs", limit, offset + limit) if len(found) > limit else None
        return {
            "jobs": [summary_of(record, links, base) for record in found[:limit]],
            "next": base + more if more else None,
        }

    return JSONResponse(await _asked(request, work))


@router.get(
    "/v1/jobs/{job}",
    summary="How a job stands",
    operation_id="job",
    response_model=Job,
    responses={200: job_openapi.SHOWN, **statuses(BadRequest, JobNotFound, *_REFUSALS)},
)
async def shown(
    request: Request,
    job: JobId,
    caller: Known,
    wait: Annotated[
        float, Query(ge=0, le=MAX_WAIT_S, description="answer when the job ends, or after seconds")
    ] = 0,
    limit: Annotated[int, Query(ge=1, le=1000, description="items of one page")] = 100,
    offset: Annotated[int, Query(ge=0, le=1_000_000, description="items to pass over")] = 0,
) -> Response:
    """With a page of its pictures; `wait` saves asking again and again."""
    jobs: Jobs = request.app.state.services.jobs
    until = time.monotonic() + wait
    looks = 0
    record = await _asked(request, lambda: _own(jobs, job, caller))
    while not record.final and (left := until - time.monotonic()) > 0:
        await anyio.sleep(min(left, _LOOK_S[min(looks, len(_LOOK_S) - 1)]))
        looks += 1
        if request.app.state.services.ending or await request.is_disconnected():
            break
        record = await _asked(request, lambda: _own(jobs, job, caller))
    document = await _asked(
        request, lambda: _job(request, jobs, record, limit=limit, offset=offset)
    )
    headers = {} if record.final else {"Retry-After": str(RETRY_S)}
    return JSONResponse(document, headers=headers)


@router.delete(
    "/v1/jobs/{job}",
    summary="Call a job off, or remove its results",
    operation_id="cancel_job",
    response_model=Job,
    responses=statuses(BadRequest, JobNotFound, *_REFUSALS),
)
async def cancelled(request: Request, job: JobId, caller: Known) -> Response:
    """Pictures that wait are never begun; the results of those in work are dropped."""
    jobs: Jobs = request.app.state.services.jobs

    def work() -> dict[str, Any]:
        _own(jobs, job, caller)
        record = jobs.cancel(job)
        if record is None:
            raise _missing()
        return _job(request, jobs, record, limit=100, offset=0)

    return JSONResponse(await _asked(request, work))


@router.get(
    "/v1/jobs/{job}/items/{index}",
    summary="One result",
    operation_id="result",
    response_class=Response,
    responses={
        200: job_openapi.RESULT,
        206: job_openapi.PART,
        416: {"description": "Nothing of the result lies in that range."},
        **statuses(BadRequest, JobNotFound, JobConflict, LinkExpired, *_REFUSALS),
    },
)
async def result(
    request: Request,
    job: JobId,
    index: Annotated[int, PathParameter(ge=0, le=1_000_000)],
    expires: Expires = None,
    signature: Signature = None,
) -> Response:
    """By its signed link, or by the key that the job belongs to; also a part of it (`Range`)."""
    jobs: Jobs = request.app.state.services.jobs
    caller = await _holder(request, item_path(job, index), expires, signature)

    def work() -> tuple[ItemRecord, Any]:
        _own(jobs, job, caller)
        items = jobs.store.items(job, limit=1, offset=index)
        if not items:
            raise _missing()
        item = items[0]
        if item.status != "done":
            raise JobConflict(f"this picture is {item.status}: there is no result")
        file = jobs.store.result(item)
        if file is None:
            raise _missing()
        return item, file

    item, file = await _asked(request, work)
    return await ranged(request, item, file)


@router.get(
    "/v1/jobs/{job}/archive",
    summary="All results in a ZIP",
    operation_id="archive",
    response_class=Response,
    responses={
        200: job_openapi.ARCHIVE,
        **statuses(BadRequest, JobNotFound, JobConflict, LinkExpired, *_REFUSALS),
    },
)
async def archived(
    request: Request, job: JobId, expires: Expires = None, signature: Signature = None
) -> Response:
    """Of a job that has ended; pictures that failed are not in it."""
    jobs: Jobs = request.app.state.services.jobs
    caller = await _holder(request, archive_path(job), expires, signature)
    record = await _asked(request, lambda: _own(jobs, job, caller))
    if record.status not in ("done", "failed"):
        raise JobConflict(
            f"the job is {record.status}: there are no results to be packed",
            hint="" if record.final else f"ask again when {job_path(job)} says done",
        )
    return download(archive(jobs.store, record), f"{record.id}.zip", "application/zip", None)


@router.get(
    "/v1/webhook-secret",
    summary="What webhooks to this key's callbacks are signed with",
    operation_id="webhook_secret",
    response_model=WebhookSecret,
    responses=statuses(*_REFUSALS),
)
async def webhook_secret(request: Request, caller: Known) -> Response:
    """Check the headers webhook-id, webhook-timestamp and webhook-signature with it.

    With the package `standardwebhooks`: `Webhook(secret).verify(body, headers)`.
    """
    jobs: Jobs = request.app.state.services.jobs
    secret = await _asked(request, jobs.secret)
    return JSONResponse({"secret": secret_for(secret, caller.id)})


def _announced(request: Request) -> int:
    """How many bytes the client says that it sends, 0 if it does not say."""
    length = request.headers.get("content-length", "")
    return int(length) if length.isdigit() else 0


async def _asked(request: Request, work: Callable[[], T]) -> T:
    """What ``work`` gives, in one of the few threads that wait for the store."""
    return await in_thread(work, limiter=request.app.state.threads.job_looks)


async def _holder(
    request: Request, path: str, expires: str | None, signature: str | None
) -> Caller | None:
    """Whose key the request bears; None if its link opens ``path`` without one."""
    if signature is None and expires is None:
        return await caller_of(request)
    jobs: Jobs = request.app.state.services.jobs
    links = await _asked(request, jobs.links)
    links.check(path, expires or "", signature or "")
    return None


def _own(jobs: Jobs, job: str, caller: Caller | None) -> JobRecord:
    """The job, if it is the caller's; None is whoever holds a signed link."""
    record = jobs.store.job(job) if is_job_id(job) else None
    if record is None or (caller is not None and record.caller != caller.id):
        raise _missing()
    return record


def _missing() -> JobNotFound:
    return JobNotFound(
        "there is no such job or result", hint="see GET /v1/jobs for those there are"
    )


def _job(
    request: Request, jobs: Jobs, record: JobRecord, *, limit: int, offset: int
) -> dict[str, Any]:
    """The fields of ``Job``."""
    links, base = jobs.links(), _base(request)
    items = jobs.store.items(record.id, limit=limit, offset=offset)
    more = offset + limit < record.total and bool(items)
    return {
        **summary_of(record, links, base),
        "items": [item_of(item, record, links, base) for item in items],
        "next": base + _page(job_path(record.id), limit, offset + limit) if more else None,
    }


def _base(request: Request) -> str:
    """What addresses begin with: the operator's word, or how the client called us."""
    public: str | None = request.app.state.services.settings.public_url
    return (public or str(request.base_url)).rstrip("/")


def _page(path: str, limit: int, offset: int) -> str:
    return f"{path}?{urlencode({'limit': limit, 'offset': offset})}"
