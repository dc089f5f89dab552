"""remove.bg's API v1.0: background removal, the account, and pictures sent for improvement."""

from __future__ import annotations

import base64
import math
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from cleancut.errors import BodyTooLarge, CleancutError
from cleancut.server.auth import admitted, caller_of
from cleancut.server.body import Body, receive
from cleancut.server.cutting import cut, fetched, refuse_early
from cleancut.server.glance import size_of
from cleancut.server.improve import keep_for_review
from cleancut.server.order import Order, megapixels_of
from cleancut.server.removebg_faults import Refused, refusal
from cleancut.server.removebg_form import SIZES, Form, read_form
from cleancut.server.removebg_schema import ACCOUNT, IMPROVE, REMOVEBG
from cleancut.server.settings import MIB
from cleancut.server.threads import in_thread

if TYPE_CHECKING:
    from cleancut.server.keys import Caller
    from cleancut.server.order import Cut
    from cleancut.server.quota import Account
    from cleancut.server.services import Services

router = APIRouter(tags=["remove.bg"])

#: Every path that is answered, remove.bg's own first; CarveKit's clients use the others.
PATHS = {
    "removebg": ("/v1.0/removebg", "/api/removebg"),
    "account": ("/v1.0/account", "/api/account"),
    "improve": ("/v1.0/improve",),
}

#: What an account without a quota has: the API knows no word for "no limit".
UNLIMITED_CREDITS = 1_000_000
_MEDIA = {"jpg": "image/jpeg", "zip": "application/zip"}


def answer(error: CleancutError, request: Request) -> Response:
    """``error`` as remove.bg would tell it; the form of this door for ``faults.refused``."""
    services: Services = request.app.state.services
    refused = refusal(error, megabytes=services.settings.max_body / MIB)
    return JSONResponse(refused.body(), refused.status, headers=refused.headers())


#: Forms of errors by the beginning of paths, for the application.
REFUSALS = dict.fromkeys(("/v1.0/", *(p for paths in PATHS.values() for p in paths[1:])), answer)


async def removebg(request: Request) -> Response:
    """Remove the background of one image."""
    services: Services = request.app.state.services
    caller = await admitted(request)
    refuse_early(services)
    async with receive(request, services.settings) as body:
        form = read_form(body.fields)
        async with (
            _picture(request, services, body, "image") as source,
            _picture(request, services, body, "bg_image") as background,
        ):
            if background is not None and form.bg_color is not None:
                raise _several_backgrounds()
            if source is None:
                raise Refused(
                    "missing_source",
                    "Please provide the source image in the image_url, image_file or "
                    "image_file_b64 parameter.",
                )
            size = await in_thread(size_of, source)
            if size is not None:
                _check_size(size, services.settings.max_megapixels)
                form.check_roi(size)
            order = Order(
                source=source,
                options=form.options(services.settings.defaults, background),
                guidance=form.guidance(),
            )
            done = await cut(request, services, caller, order)
    return await _answer(request, form, order, done, caller)


async def account(request: Request) -> Response:
    """What the key may still use."""
    services: Services = request.app.state.services
    caller = await caller_of(request)
    found: Account = await in_thread(services.quota.account, caller)
    left = found.megapixels_left
    credits_ = UNLIMITED_CREDITS if left is None else math.floor(left)
    attributes = {
        "credits": {"total": credits_, "subscription": credits_, "payg": 0, "enterprise": 0},
        "api": {"free_calls": 0, "sizes": "all"},
    }
    return JSONResponse({"data": {"attributes": attributes}})


async def improve(request: Request) -> Response:
    """Take an image that went wrong, to be looked at by the server's operator."""
    services: Services = request.app.state.services
    caller = await admitted(request)
    if not services.settings.improve:
        raise Refused("improve_disabled", "This server keeps no images for review.")
    async with (
        receive(request, services.settings) as body,
        _picture(request, services, body, "image") as source,
    ):
        if source is None:
            raise Refused(
                "missing_source",
                "Please provide the source image in the image_url, image_file or image_file_b64 "
                "parameter.",
            )
        size = await in_thread(size_of, source)
        if size is not None:
            _check_size(size, services.settings.max_megapixels)
        upload = next(iter(body.files.get("image_file", [])), None)
        name = body.fields.get("image_filename") or (upload.filename if upload else "")
        tag = body.fields.get("tag", "")
        folder = services.settings.data / "improve"
        kept = await in_thread(keep_for_review, folder, source, caller.id, name, tag)
    return JSONResponse({"id": kept})


@asynccontextmanager
async def _picture(
    request: Request, services: Services, body: Body, name: str
) -> AsyncIterator[Path | None]:
    """Where the picture lies that ``name``_file, _file_b64 or _url brought; None if none did."""
    background = name == "bg_image"
    uploads = [*body.files.get(f"{name}_file", []), *body.files.get(f"{name}_file_b64", [])]
    url = body.fields.get(f"{name}_url", "").strip()
    if body.fields.get(f"{name}_file"):
        raise Refused("failed_to_read_image", f"{name}_file is text: send it as a file.")
    if len(uploads) + bool(url) > 1:
        if background:
            raise _several_backgrounds()
        raise Refused(
            "multiple_sources",
            "Please provide only one of the image_url, image_file and image_file_b64 parameters.",
        )
    if not url:
        yield uploads[0].path if uploads else None
        return
    async with AsyncExitStack() as stack:
        try:
            path = await stack.enter_async_context(fetched(request, services, url))
        except BodyTooLarge as error:
            limit = services.settings.max_body / MIB
            code = "failed_bg_download" if background else "file_too_large"
            raise Refused(code, f"File exceeds limit of {limit:.4g}MB") from error
        except CleancutError as error:
            raise refusal(error, background=background) from error
        yield path


def _several_backgrounds() -> Refused:
    return Refused(
        "multiple_bg_sources",
        "Please provide only one of the bg_color, bg_image_url and bg_image_file parameters.",
    )


def _check_size(size: tuple[int, int], most: float) -> None:
    """Refuse more than ``most`` megapixels before the picture gets into the queue."""
    if size[0] * size[1] > most * 1e6:
        raise Refused(
            "resolution_too_high",
            f"Input image has {size[0]}x{size[1]} pixels, the maximum is {most:g} megapixels.",
        )


async def _answer(
    request: Request, form: Form, order: Order, done: Cut, caller: Caller
) -> Response:
    """The image, or JSON with the image in it, with the headers of remove.bg."""
    facts = done.facts
    left, top, right, bottom = facts.get("box") or (0, 0, 0, 0)
    place = {"top": top, "left": left, "width": right - left, "height": bottom - top}
    headers = _headers(form, facts, caller, request)
    headers |= {f"X-Foreground-{name.title()}": str(value) for name, value in place.items()}
    headers["X-Cache"] = "hit" if done.cached else "miss"
    if _wants_json(request.headers.get("accept", "")):
        numbers = {f"foreground_{name}": value for name, value in place.items()}

        def text() -> JSONResponse:  # megabytes of it, so not on the event loop
            data = {"result_b64": base64.b64encode(done.data).decode("ascii"), **numbers}
            return JSONResponse({"data": data}, headers=headers)

        return await in_thread(text)
    kind = order.options.format or "png"
    return Response(done.data, headers=headers, media_type=_MEDIA.get(kind, f"image/{kind}"))


def _headers(
    form: Form, facts: Mapping[str, Any], caller: Caller, request: Request
) -> dict[str, str]:
    width, height = facts["size"]
    out_width, out_height = facts["output_size"]
    fit = min(1.0, math.sqrt(SIZES["full"] * 1e6 / max(1, width * height)))
    limits = caller.limits
    counted = limits.megapixels_per_day is not None or limits.megapixels_per_month is not None
    headers = {
        "X-Width": str(out_width),
        "X-Height": str(out_height),
        "X-Max-Width": str(max(1, int(width * fit))),
        "X-Max-Height": str(max(1, int(height * fit))),
        "X-Credits-Charged": f"{megapixels_of(facts) if counted else 0:.4g}",
    }
    if (kind := form.kind(is_person=_is_person(facts))) is not None:
        headers["X-Type"] = kind
    rate = getattr(request.state, "rate", None)
    if rate is not None and rate.limit is not None:
        headers["X-RateLimit-Limit"] = str(rate.limit)
        headers["X-RateLimit-Remaining"] = str(rate.remaining)
        headers["X-RateLimit-Reset"] = str(math.ceil(time.time() + rate.reset_s))
    return headers


def _is_person(facts: Mapping[str, Any]) -> bool:
    """Whether the matte that was taken is that of a network for people."""
    from cleancut.catalog import catalog

    spec = catalog().get(str(facts.get("model", "")))
    return spec is not None and "portrait" in spec.tags


def _wants_json(accept: str) -> bool:
    """Whether JSON was asked for; a list with ``*/*`` in it is what HTTP clients send unasked."""
    kinds = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    return "application/json" in kinds and not any(
        kind == "*/*" or kind.startswith("image/") for kind in kinds
    )


for _path in PATHS["removebg"]:
    router.post(_path, name=f"removebg {_path}", **REMOVEBG)(removebg)
for _path in PATHS["account"]:
    router.get(_path, name=f"account {_path}", **ACCOUNT)(account)
for _path in PATHS["improve"]:
    router.post(_path, name=f"improve {_path}", **IMPROVE)(improve)
