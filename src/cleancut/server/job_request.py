"""What a client sends to start a job, read into ``NewJob``; every word of it is checked here."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from cleancut.batch.names import safe
from cleancut.errors import AddressRefused, BadRequest, BodyTooLarge, Cancelled
from cleancut.server import video_form
from cleancut.server.form import options_from
from cleancut.server.job_store import NewItem, NewJob
from cleancut.server.whole_body import check_json
from cleancut.weights.digest import sha256_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from cleancut.server.body import Body
    from cleancut.server.settings import Settings

#: A JSON body: a thousand addresses of four thousand characters.
MAX_JSON = 8 << 20
MAX_URL = 4096
_KINDS = ("cutout", "video")
_FIELDS = ("kind", "callback_url")
_MEMBERS = ("images", "video", "options", *_FIELDS)
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request as it was read: options as text, and the pictures."""

    items: tuple[NewItem, ...]
    options: Mapping[str, str]
    kind: str
    callback: str | None


def from_multipart(body: Body, settings: Settings) -> Wanted:
    """The request in a form: files, options by name, ``callback_url``.

    Pictures are files called ``image``; a video is one called ``video``, with ``background_image``
    beside it where a picture is to stand behind the subject.
    """
    fields = dict(body.fields)
    own = {name: fields.pop(name) for name in _FIELDS if name in fields}
    video = "video" in body.files or own.get("kind") == "video"
    expected = ("video", "background_image") if video else ("image",)
    for name in body.files:
        if name not in expected:
            raise BadRequest(
                f"a file called {name[:60]!r} is not expected",
                hint="send the video as a file called video"
                if video
                else "send the pictures as files called image",
            )
    if video:
        upload, back = body.one("video"), body.one("background_image")
        if upload is None:
            raise BadRequest("no video was sent", hint="send a file called video")
        item = NewItem(
            name=_named(upload.filename, 0, "video"),
            source=upload.path,
            background=None if back is None else back.path,
        )
        return _checked((item,), fields, {**own, "kind": own.get("kind") or "video"}, settings)
    items = tuple(
        NewItem(name=_named(upload.filename, at), source=upload.path)
        for at, upload in enumerate(body.files.get("image", []))
    )
    return _checked(items, fields, own, settings)


def from_json(data: bytes, settings: Settings) -> Wanted:
    """The request as JSON: ``images`` or ``video``, ``options``, ``callback_url``."""
    check_json(data)
    try:
        document = json.loads(data, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise BadRequest("the body is not JSON", hint='like {"images": ["https://..."]}') from None
    if not isinstance(document, dict):
        raise BadRequest("the body is no JSON object", hint='like {"images": ["https://..."]}')
    if unknown := sorted(set(document) - set(_MEMBERS)):
        raise BadRequest(
            f"unknown member {unknown[0][:60]!r}", hint=f"known: {', '.join(_MEMBERS)}"
        )
    items = _url_items(document, settings)
    options = document.get("options")
    if options is not None and not isinstance(options, dict):
        raise BadRequest("options: an object is needed", hint='like {"format": "webp"}')
    own: dict[str, str] = {}
    for name in _FIELDS:
        value = document.get(name)
        if value is not None and not isinstance(value, str):
            raise BadRequest(f"{name}: text is needed")
        if value is not None:
            own[name] = value
    if document.get("video") is not None:
        own["kind"] = own.get("kind") or "video"
    texts = {name: _text(name, value) for name, value in (options or {}).items()}
    return _checked(
        items, {name: text for name, text in texts.items() if text is not None}, own, settings
    )


def new_job(
    wanted: Wanted,
    *,
    caller: str,
    key: str | None,
    settings: Settings,
    check: Callable[[str], None],
) -> NewJob:
    """The job that ``wanted`` asks for; looks at the disk.

    ``key`` is the Idempotency-Key; ``check`` raises ``AddressRefused``. Raises that,
    ``BadOption``, and ``MissingDependency`` where this server takes no videos.
    """
    _check_addresses(wanted, check)
    if wanted.kind == "video":
        video_form.check_here(settings)
        behind = any(item.background is not None for item in wanted.items)
        options = video_form.wish_from(wanted.options, settings, background=behind).to_json()
    else:
        options = options_from(wanted.options, settings).to_json()
    return NewJob(
        caller=caller,
        options=options,
        items=wanted.items,
        kind=wanted.kind,
        callback=wanted.callback,
        idempotency=None if key is None else (_digest(key), _fingerprint(wanted, options)),
    )


def idempotency_key(request: Request) -> str | None:
    """The Idempotency-Key header, if there is one. Raises ``BadRequest``."""
    given = request.headers.getlist("idempotency-key")
    if not given:
        return None
    if len(given) > 1 or _KEY.fullmatch(given[0]) is None:
        raise BadRequest("the Idempotency-Key is malformed", hint="1 to 255 ASCII characters")
    return given[0]


async def read_json(request: Request) -> bytes:
    """A body of at most ``MAX_JSON`` bytes. Raises ``BodyTooLarge``, ``Cancelled``."""
    from starlette.requests import ClientDisconnect

    data = bytearray()
    try:
        async for chunk in request.stream():
            data += chunk
            if len(data) > MAX_JSON:
                raise BodyTooLarge(
                    f"more than {MAX_JSON >> 20} MiB of JSON", hint="send several jobs"
                )
    except ClientDisconnect:
        raise Cancelled("the client hung up while it was sending") from None
    return bytes(data)


def _checked(
    items: tuple[NewItem, ...],
    options: Mapping[str, str],
    own: Mapping[str, str],
    settings: Settings,
) -> Wanted:
    kind = own.get("kind") or _KINDS[0]
    if kind not in _KINDS:
        raise BadRequest(f"kind: {kind[:60]!r} is not known", hint=f"one of: {', '.join(_KINDS)}")
    _check_count(len(items), settings)
    callback = own.get("callback_url") or None
    if callback is not None:
        _check_length("callback_url", callback)
    return Wanted(items, options, kind, callback)


def _check_count(count: int, settings: Settings) -> None:
    if count == 0:
        raise BadRequest("no picture was sent", hint="send files called image, or images as JSON")
    if count > settings.max_job_items:
        raise BadRequest(
            f"{count} pictures are too many for one job",
            hint=f"at most {settings.max_job_items}; send several jobs",
        )


def _url_items(document: Mapping[str, Any], settings: Settings) -> tuple[NewItem, ...]:
    """The pictures that a document names, or its one video."""
    images, video = document.get("images"), document.get("video")
    if video is not None or document.get("kind") == "video":
        if images is not None:
            raise BadRequest("images and video are two jobs", hint="leave one of them out")
        return (_url_item(video, 0, "video", "video"),)
    if not isinstance(images, list):
        raise BadRequest("images: a list of addresses is needed", hint='like ["https://..."]')
    _check_count(len(images), settings)
    return tuple(_url_item(image, at, f"images[{at}]") for at, image in enumerate(images))


def _url_item(image: Any, at: int, place: str, what: str = "picture") -> NewItem:
    name = None
    if isinstance(image, dict):
        if unknown := sorted(set(image) - {"url", "name"}):
            raise BadRequest(f"{place}: unknown member {unknown[0][:60]!r}", hint="url, name")
        image, name = image.get("url"), image.get("name")
        if name is not None and not isinstance(name, str):
            raise BadRequest(f"{place}.name: text is needed")
    if not isinstance(image, str):
        raise BadRequest(f"{place}: an address is needed", hint="like https://example.com/cat.jpg")
    _check_length(place, image)
    return NewItem(name=_named(name or _last_part(image), at, what), url=image)


def _check_length(place: str, url: str) -> None:
    if len(url) > MAX_URL:
        raise BadRequest(f"{place}: longer than {MAX_URL} characters")


def _check_addresses(wanted: Wanted, check: Callable[[str], None]) -> None:
    """Refuse what will never be fetched; where a name leads is looked at when it is."""
    names = (
        ["video"] if wanted.kind == "video" else [f"images[{n}]" for n in range(len(wanted.items))]
    )
    places = [(name, item.url) for name, item in zip(names, wanted.items, strict=True)]
    for place, url in (("callback_url", wanted.callback), *places):
        if url is not None:
            try:
                check(url)
            except AddressRefused as error:
                raise AddressRefused(f"{place}: {error.message}", hint=error.hint) from error


def _last_part(url: str) -> str:
    """What the picture behind ``url`` is likely called."""
    return unquote(re.split(r"[?#]", url, maxsplit=1)[0].rsplit("/", 1)[-1], errors="replace")


def _named(name: str, at: int, what: str = "picture") -> str:
    """A name that any disk takes; never part of a path here."""
    plain = name.replace("\\", "/").rsplit("/", 1)[-1]
    text = plain.encode("utf-8", "replace").decode("utf-8")
    return safe(text) if text.strip(". ") else f"{what}-{at}"


def _text(name: str, value: Any) -> str | None:
    """An option's value as text; None where it is left out."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise BadRequest(f"options.{name[:60]}: a text, a number or true or false is needed")


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _fingerprint(wanted: Wanted, options: str) -> str:
    """What tells this request from every other."""
    parts = [wanted.kind, options, wanted.callback or "", *_pictures(wanted.items)]
    return _digest(json.dumps(parts))


def _pictures(items: Iterable[NewItem]) -> Iterable[str]:
    for item in items:
        yield item.name
        if item.source is None:
            yield item.url or ""
        for path in (item.source, item.background):
            if path is not None:
                yield sha256_of(path)
