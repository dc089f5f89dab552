"""Who asks: the key of a request, or nobody's where the server has none."""

from __future__ import annotations

import ipaddress
import math
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from anyio import to_thread
from fastapi import Request

from cleancut.errors import KeyRefused, RateLimited
from cleancut.server.keys import ANONYMOUS, Caller, mistyped
from cleancut.server.rates import Rates

if TYPE_CHECKING:
    from cleancut.server.settings import Settings

MAX_KEY = 256
#: Keys that may be wrong, by address and minute.
WRONG_PER_MINUTE = 20

_HINT = "send it in the header X-API-Key, or as Authorization: Bearer KEY"


async def caller_of(request: Request) -> Caller:
    """Whose key the request bears; counts nothing. A dependency of routes.

    Without any key on the server everybody is ``ANONYMOUS``, if it listens on loopback and the
    request is meant for it and not sent by a foreign web page, or if it is ``insecure``. Raises
    ``KeyRefused``, ``RateLimited`` for an address that tries keys, ``SetupError`` for a damaged
    file of keys.
    """
    caller = await to_thread.run_sync(_identified, request)
    request.state.caller = caller
    return caller


async def admitted(request: Request) -> Caller:
    """``caller_of``, and one request of its rate and a look at its quota. A dependency of routes.

    To be used once a request and before its body is read. ``request.state.rate`` is what is left.
    Raises ``RateLimited`` and ``QuotaSpent`` also.
    """

    def ask() -> Caller:
        caller = _identified(request)
        request.state.caller = caller
        quota = request.app.state.services.quota
        request.state.rate = quota.admit(caller)
        quota.check(caller)
        return caller

    return await to_thread.run_sync(ask)


async def guest(request: Request) -> None:
    """Let in who bears no key, also where others need one. A dependency of routes without secrets.

    A server without keys answers no foreign web page here either. Raises ``KeyRefused``.
    """
    services = request.app.state.services
    if not await to_thread.run_sync(lambda: services.keys.required):
        _refuse_foreign(request, services.settings)


async def visitor(request: Request) -> None:
    """Let in who looks at the page, with or without a key. A dependency of its routes.

    Links from elsewhere may lead here, but a server without keys has no other name than its own
    (DNS rebinding). Raises ``KeyRefused``.
    """
    services = request.app.state.services
    if not await to_thread.run_sync(lambda: services.keys.required):
        _refuse_name(request, services.settings)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens on ``host``."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _identified(request: Request) -> Caller:
    services = request.app.state.services
    if not services.keys.required:
        _refuse_foreign(request, services.settings)
        return ANONYMOUS
    key = _presented(request)
    caller: Caller | None = services.keys.check(key)
    if caller is not None:
        return caller
    # Only wrong keys are counted: whoever shares an address with an attacker, or stands behind the
    # same proxy, is not locked out.
    rate = _failures(request.app.state).take(_address(request), WRONG_PER_MINUTE)
    if rate.wait_s > 0:
        raise RateLimited(
            "too many wrong API keys from this address",
            hint=f"try again in {math.ceil(rate.wait_s)} s",
            retry_after_s=rate.wait_s,
        )
    if mistyped(key):
        raise KeyRefused(
            "the API key is mistyped or cut off", hint="copy it again; it has 52 characters"
        )
    raise KeyRefused("the API key is unknown or revoked", hint="ask the server's operator for one")


def _presented(request: Request) -> str:
    """The one key of the request's headers."""
    given = [value.strip() for value in request.headers.getlist("x-api-key")]
    for value in request.headers.getlist("authorization"):
        scheme, _, key = value.strip().partition(" ")
        if scheme.lower() != "bearer":
            raise KeyRefused("this way of authorization is not known", hint=_HINT)
        given.append(key.strip())
    if not any(given):
        raise KeyRefused("an API key is needed", hint=_HINT)
    if len(set(given)) > 1:
        raise KeyRefused("more than one API key was given", hint="send one")
    key = given[0]
    if len(key) > MAX_KEY or not (key.isascii() and key.isprintable()) or " " in key:
        raise KeyRefused("the API key is malformed", hint=f"up to {MAX_KEY} ASCII characters")
    return key


def _refuse_foreign(request: Request, settings: Settings) -> None:
    """Keep web pages off a server that asks for no key.

    A page that a person of this machine looks at can send requests to loopback, under its own
    origin, or under a name of its own that leads here (DNS rebinding).
    """
    _refuse_name(request, settings)
    host = request.headers.get("host", "")
    origin = request.headers.get("origin")
    if "*" in settings.cors or (origin is not None and origin in settings.cors):
        return
    site = request.headers.get("sec-fetch-site", "none").lower()
    foreign = origin is not None and _netloc(origin) != host.lower()
    if foreign or site not in ("none", "same-origin"):
        raise KeyRefused(
            "without API keys this server does not answer other web pages",
            hint="name the page's origin with --cors, or run: cleancut keys add NAME",
        )


def _refuse_name(request: Request, settings: Settings) -> None:
    """Refuse a request that names another host than this server's."""
    if settings.insecure:
        return
    if not is_loopback(settings.host):
        raise KeyRefused("an API key is needed", hint="run: cleancut keys add NAME")
    host = request.headers.get("host", "")
    if host and not _meant(host, settings):
        raise KeyRefused(
            "without API keys this server answers only to its own address",
            hint=f"ask for http://127.0.0.1:{settings.port}, name the host with --public-url, "
            "or run: cleancut keys add NAME",
        )


def _meant(host: str, settings: Settings) -> bool:
    """Whether the Host header ``host`` names this server."""
    name = _name(f"//{host}")
    if name is None:
        return False
    ours = {_name(settings.public_url or ""), settings.host.lower()}
    return is_loopback(name) or name in ours


def _name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _netloc(url: str) -> str | None:
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:
        return None


def _failures(state: Any) -> Rates:
    found: Rates | None = getattr(state, "wrong_keys", None)
    if found is None:
        found = state.wrong_keys = Rates(capacity=10_000)
    return found


def _address(request: Request) -> str:
    """The client's address; of IPv6 the network of a household."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host[:64]
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
