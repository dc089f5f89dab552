"""A URL that somebody else wrote, read so that only one reading is possible.

Every URL that two programs could take for different hosts is refused, not repaired.
"""

from __future__ import annotations

import re
import urllib.parse
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Literal

from cleancut.errors import AddressRefused
from cleancut.server.addresses import Address, is_name, read_address

#: In characters; signed addresses of object stores have some two thousand.
MAX_URL = 8192
_PORTS = {"http": 80, "https": 443}
_URL = re.compile(r"(https?)://([^/?#]*)([^?#]*)(\?[^#]*)?(?:#.*)?", re.ASCII | re.IGNORECASE)
_SAFE_PATH = "/%:@!$&'()*+,;=~-._"
_SAFE_QUERY = _SAFE_PATH + "?[]"
#: Blanks, control characters and backslashes, which programs skip or turn into something else.
_ODD = re.compile(r"[\x00-\x20\x7f-\xa0\\\u2028\u2029\ufeff]")
_HINT = "give a whole address, like https://example.com/photo.jpg"


@dataclass(frozen=True, slots=True)
class Url:
    """A web address in parts.

    ``host`` is a name in lower case, encoded for the DNS and without a last dot, or an address in
    its shortest spelling, without brackets; ``address`` is that address, None for a name. ``port``
    is always a number, ``target`` is path and query as they stand in the request line.
    """

    scheme: Literal["http", "https"]
    host: str
    port: int
    target: str
    address: Address | None = None

    @property
    def netloc(self) -> str:
        """The ``Host`` header: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if isinstance(self.address, IPv6Address) else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}{self.target}"


def read_url(text: str) -> Url:
    """``text`` as a web address; ``AddressRefused`` for everything that is not plainly one."""
    if not isinstance(text, str) or not text or len(text) > MAX_URL:
        raise AddressRefused("the URL is empty or too long", hint=_HINT)
    if _ODD.search(text):
        raise AddressRefused(
            "the URL has blanks, backslashes or control characters", hint="percent-encode them"
        )
    match = _URL.fullmatch(text)
    if match is None:
        raise AddressRefused("only http:// and https:// URLs are fetched", hint=_HINT)
    scheme: Literal["http", "https"] = "https" if match[1].lower() == "https" else "http"
    if "@" in match[2]:
        raise AddressRefused("the URL holds a user or a password", hint="leave them out")
    host, port = _split(match[2], scheme)
    path = urllib.parse.quote(match[3] or "/", safe=_SAFE_PATH, errors="replace")
    query = urllib.parse.quote(match[4] or "", safe=_SAFE_QUERY, errors="replace")
    name, address = _host(host)
    return Url(scheme, name, port, path + query, address)


def follow(url: Url, location: str) -> Url:
    """Where a redirect from ``url`` leads; raises ``AddressRefused``, also for https to http."""
    if not location or len(location) > MAX_URL or _ODD.search(location):
        raise AddressRefused("a redirect leads to an address that cannot be read")
    try:
        joined = urllib.parse.urljoin(str(url), location)
    except ValueError as error:
        raise AddressRefused("a redirect leads to an address that cannot be read") from error
    led = read_url(joined)
    if url.scheme == "https" and led.scheme == "http":
        raise AddressRefused("a redirect leads from https to http", hint="give the final address")
    return led


def _split(netloc: str, scheme: str) -> tuple[str, int]:
    """The host as it was written, and the port."""
    match = re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]*)(?::([0-9]{0,5}))?", netloc)
    if match is None or not match[1]:
        raise AddressRefused("the URL has no host that can be read", hint=_HINT)
    port = int(match[2]) if match[2] else _PORTS[scheme]
    if not 0 < port < 65536:
        raise AddressRefused("the URL has a port that does not exist", hint=_HINT)
    return match[1], port


def _host(written: str) -> tuple[str, Address | None]:
    if written.startswith("["):
        address = read_address(written[1:-1])
        if not isinstance(address, IPv6Address):
            raise AddressRefused("the URL's host is in brackets and no IPv6 address", hint=_HINT)
        return str(address), address
    if len(written) > 253 + 1:
        raise AddressRefused("the URL's host is too long", hint=_HINT)
    name = written
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")  # also turns full-width digits into digits
        except UnicodeError as error:
            raise AddressRefused("the URL's host is not a name", hint=_HINT) from error
    name = name.lower().removesuffix(".")
    if not is_name(name):
        raise AddressRefused("the URL's host is not a name", hint=_HINT)
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", name.rpartition(".")[2]):
        # 127.1, 0x7f000001 and 0177.0.0.1 are addresses to some programs, and names to none.
        address = read_address(name)
        if address is None:
            raise AddressRefused("the URL's host is an address in an odd spelling", hint=_HINT)
        return str(address), address
    return name, None
