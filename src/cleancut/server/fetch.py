"""Pictures behind URLs that clients name, and webhooks that they want called.

Who may name a URL could reach whatever the server reaches. So a name is resolved once, all of its
addresses have to be public, and the connection goes to exactly one of those that were checked; the
certificate has to be the name's all the same. The same holds for every redirect. There are no
proxies, no cookies, no credentials, and limits for size, time and headers.
"""

from __future__ import annotations

import http.client
import os
import secrets
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv6Address
from pathlib import Path
from typing import TYPE_CHECKING

from cleancut.errors import AddressRefused, BodyTooLarge, FetchFailed, StorageFailed
from cleancut.server.addresses import Address, Allowed, is_public, read_address
from cleancut.server.dial import CONNECT_S, Lookups, Resolve, connected, look_up
from cleancut.server.urls import Url, follow, read_url
from cleancut.server.wire import MAX_HEAD, Deadline, TooMuch, Wire, exchange
from cleancut.version import __version__

if TYPE_CHECKING:
    from cleancut.server.settings import Settings

#: Seconds that a picture may take in all, redirects included.
TOTAL_S = 30.0
REDIRECTS = 5
#: When it is worth another try after a failure that may pass, in seconds.
RETRY_S = 5.0
_CHUNK = 1 << 16
_MOVED = (301, 302, 303, 307, 308)
_MAY_PASS = (408, 425, 429, 500, 502, 503, 504)
#: Names that are nobody's in the internet (RFC 6761, 6762, 7686, 8375; ICANN's .internal).
_LOCAL_NAMES = (
    *("localhost", "local", "localdomain", "internal", "intranet", "lan", "home.arpa"),
    *("onion", "invalid", "test"),
)


@dataclass(frozen=True, slots=True)
class Fetched:
    """A picture that was fetched: a file of ``size`` bytes, and what its server said about it.

    ``content_type`` is without parameters and in lower case, empty if there was none.
    ``final_url`` is where redirects ended, whole: not for logs.
    """

    path: Path
    content_type: str
    final_url: str
    size: int


class Fetcher:
    """Gets pictures from and posts to public addresses; every method may be called by many threads.

    ``resolve`` stands in for the DNS, ``context`` for the usual TLS, in tests. Raises ``BadOption``
    for a wrong entry in ``settings.fetch_from``.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        resolve: Resolve | None = None,
        context: ssl.SSLContext | None = None,
        total_s: float | None = None,
    ) -> None:
        self._allowed = Allowed(settings.fetch_from)
        self._on = settings.fetch
        self._total_s = total_s or min(TOTAL_S, settings.body_timeout_s)
        self._lookups = Lookups(resolve or look_up)
        self._context = context
        self._context_lock = threading.Lock()

    def get(
        self, url: str, *, max_bytes: int, folder: Path, total_s: float | None = None
    ) -> Fetched:
        """Fetch ``url`` into a new file in ``folder``, which the caller removes.

        ``total_s`` is the time for all of it, without it that of a picture.

        Raises ``AddressRefused``, ``FetchFailed``, ``BodyTooLarge``; ``StorageFailed`` if the file
        cannot be written. Nothing is left behind then.
        """
        deadline = Deadline(total_s or self._total_s)
        place = self._read(url)
        asked = place.host
        for hop in range(REDIRECTS + 1):
            with self._opened(place, deadline, asked, hop > 0) as sock:
                with _told(asked):
                    answer, wire = exchange(
                        sock, _head("GET", place, {}), b"", deadline, method="GET"
                    )
                with answer:
                    if answer.status not in _MOVED:
                        return self._kept(answer, wire, place, asked, max_bytes, folder)
                    location = answer.getheader("Location") or ""
            place = follow(place, _ascii(location))
        raise FetchFailed(
            f"{asked}: more than {REDIRECTS} redirects", hint="give the final address"
        )

    def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> int:
        """Send ``body`` to ``url``; the status of the answer, whatever it is.

        Redirects are not followed, the answer's body is not read. Raises ``AddressRefused`` and
        ``FetchFailed``.
        """
        deadline = Deadline(timeout_s)
        place = self._read(url)
        head = _head("POST", place, {**headers, "Content-Length": str(len(body))})
        with self._opened(place, deadline, place.host, False) as sock, _told(place.host):
            answer, _ = exchange(sock, head, body, deadline, method="POST")
            with answer:
                return answer.status

    def check(self, url: str) -> None:
        """Raise ``AddressRefused`` for a URL that is refused without asking the DNS about it."""
        place = self._read(url)
        self._judge(place, _literal(place), place.host, False)

    def _read(self, url: str) -> Url:
        if not self._on:
            raise AddressRefused("this server fetches no URLs", hint="send the picture itself")
        return read_url(url)

    @contextmanager
    def _opened(
        self, place: Url, deadline: Deadline, asked: str, redirected: bool
    ) -> Iterator[socket.socket]:
        """A connection to ``place`` at an address that was checked, with TLS for https."""
        self._judge(place, _literal(place), asked, redirected)
        with _told(asked):
            addresses = _literal(place) or self._addresses(place, deadline)
        self._judge(place, addresses, asked, redirected)
        with _told(asked):
            sock = connected(addresses, place.port, deadline)
            try:
                if place.scheme == "https":
                    sock.settimeout(deadline.left(2 * CONNECT_S))
                    sock = self._tls().wrap_socket(sock, server_hostname=place.host)
            except BaseException:
                sock.close()
                raise
        try:
            yield sock
        finally:
            sock.close()

    def _judge(
        self, place: Url, addresses: list[Address] | None, asked: str, redirected: bool
    ) -> None:
        """Raise ``AddressRefused`` unless all of ``addresses`` may be asked.

        None: they are not known yet, and what the name alone tells is judged.
        """
        if self._allowed.host(place.host):
            return
        if addresses is None:
            parts = place.host.split(".")
            if len(parts) == 1 or any(".".join(parts[-n:]) in _LOCAL_NAMES for n in (1, 2)):
                raise _not_public(asked, redirected)
            return
        others = [address for address in addresses if not self._allowed.address(address)]
        if not addresses or not all(is_public(address) for address in others):
            raise _not_public(asked, redirected)
        if others and place.port < 1024 and place.port not in (80, 443):
            raise AddressRefused(
                f"port {place.port} is not one that pictures are fetched from",
                hint="80, 443, or 1024 and above",
            )

    def _addresses(self, place: Url, deadline: Deadline) -> list[Address]:
        """All addresses of the host, looked up once; raises ``OSError``."""
        # The last dot keeps the search list of /etc/resolv.conf out; allowed names may need it.
        name = place.host if self._allowed.host(place.host) else f"{place.host}."
        answers = self._lookups.of(name, place.port, deadline)
        # An answer that is no address (one with a zone) is refused with all the others.
        return [read_address(text) or IPv6Address("::") for text in answers]

    def _tls(self) -> ssl.SSLContext:
        with self._context_lock:
            if self._context is None:
                self._context = ssl.create_default_context()
            return self._context

    def _kept(
        self,
        answer: http.client.HTTPResponse,
        wire: Wire,
        place: Url,
        asked: str,
        max_bytes: int,
        folder: Path,
    ) -> Fetched:
        declared = _check_answer(answer, asked, max_bytes)
        # Chunked bodies are longer on the wire than they are.
        wire.allow(max_bytes + max_bytes // 8 + MAX_HEAD)
        path = folder / f"fetched-{secrets.token_hex(12)}"
        try:
            size = _copied(answer, path, asked, max_bytes)
            if declared is not None and size < declared:
                raise FetchFailed(
                    f"{asked}: the connection ended after {size} of {declared} bytes",
                    retry_after_s=RETRY_S,
                )
            if not size:
                raise FetchFailed(f"{asked}: the answer is empty", hint="check the address")
        except BaseException:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            raise
        kind = (answer.getheader("Content-Type") or "").partition(";")[0].strip().lower()
        kind = kind if kind.isascii() and kind.isprintable() and len(kind) <= 100 else ""
        return Fetched(path, kind, str(place), size)


def _literal(place: Url) -> list[Address] | None:
    """The address that stands in the URL itself."""
    return None if place.address is None else [place.address]


def _head(method: str, place: Url, headers: Mapping[str, str]) -> bytes:
    """The request's head; ``headers`` of the caller's go before ours and replace them."""
    given = {
        "Host": place.netloc,
        "User-Agent": f"cleancut/{__version__}",
        "Accept": "image/*,*/*;q=0.5",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    fixed = {name.lower() for name in given} - {"user-agent", "accept"}
    mine = {name.lower() for name in headers}
    lines = [f"{method} {place.target} HTTP/1.1"]
    lines += [f"{name}: {text}" for name, text in given.items() if name.lower() not in mine - fixed]
    lines += [f"{name}: {text}" for name, text in headers.items() if name.lower() not in fixed]
    if any("\r" in line or "\n" in line for line in lines):
        raise FetchFailed("a header with a line break cannot be sent")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def _ascii(location: str) -> str:
    """Blanks and bytes beyond ASCII, which ``http.client`` reads as Latin-1, percent-encoded."""
    return "".join(
        c if c < "\x80" and c != " " else f"%{ord(c):02X}" for c in location.strip(" \t")
    )


def _check_answer(answer: http.client.HTTPResponse, asked: str, max_bytes: int) -> int | None:
    """The length that was declared, if any, of an answer that holds a picture as it is."""
    if answer.status != 200:
        raise FetchFailed(
            f"{asked} answered {answer.status}",
            hint="check the address; it has to be open without a login",
            retry_after_s=RETRY_S if answer.status in _MAY_PASS else None,
        )
    coding = (answer.getheader("Content-Encoding") or "identity").strip().lower()
    transfer = (answer.getheader("Transfer-Encoding") or "chunked").strip().lower()
    if coding not in ("identity", "") or transfer != "chunked":
        raise FetchFailed(f"{asked} sends pictures compressed, though it was asked not to")
    declared = answer.getheader("Content-Length") or ""
    if answer.chunked or not (declared.isascii() and declared.isdigit()):
        return None
    if len(declared) > 18 or int(declared) > max_bytes:
        raise _too_large(max_bytes)
    return int(declared)


def _copied(answer: http.client.HTTPResponse, path: Path, asked: str, max_bytes: int) -> int:
    """Write the body to ``path``, a new file; its size."""
    size = 0
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise _not_stored(error) from error
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        while True:
            with _told(asked, max_bytes):
                block = answer.read(_CHUNK)
            if not block:
                return size
            size += len(block)
            if size > max_bytes:
                raise _too_large(max_bytes)
            try:
                written = file.write(block)
                if written != len(block):
                    raise OSError("the disk is full")
            except OSError as error:
                raise _not_stored(error) from error


@contextmanager
def _told(asked: str, max_bytes: int | None = None) -> Iterator[None]:
    """What goes wrong on the way, in words that name no address but the one that was asked for."""
    try:
        yield
    except TooMuch as error:
        if max_bytes is not None:
            raise _too_large(max_bytes) from error
        raise FetchFailed(f"{asked}: the answer's headers are too long") from error
    except socket.gaierror as error:
        raise FetchFailed(f"{asked} cannot be found", hint="check the address") from error
    except TimeoutError as error:
        raise FetchFailed(
            f"{asked} did not answer in time", hint="try again later", retry_after_s=RETRY_S
        ) from error
    except ssl.SSLCertVerificationError as error:
        raise FetchFailed(
            f"{asked}: its certificate is not trusted", hint="check the address"
        ) from error
    except ssl.SSLError as error:
        raise FetchFailed(f"{asked} does not speak TLS as it should") from error
    except ConnectionRefusedError as error:
        raise FetchFailed(
            f"{asked} refuses the connection", hint="check the address", retry_after_s=RETRY_S
        ) from error
    except (http.client.IncompleteRead, http.client.RemoteDisconnected) as error:
        raise FetchFailed(f"{asked}: the connection ended early", retry_after_s=RETRY_S) from error
    except (http.client.HTTPException, ValueError) as error:
        raise FetchFailed(f"{asked} does not speak HTTP as it should") from error
    except OSError as error:
        raise FetchFailed(
            f"{asked}: the connection broke", hint="try again later", retry_after_s=RETRY_S
        ) from error


def _not_public(host: str, redirected: bool) -> AddressRefused:
    wrong = "redirects to an address that is not public" if redirected else "is not public"
    return AddressRefused(
        f"{host} {wrong}",
        hint="give an address that is open to everybody, or send the picture itself",
    )


def _too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"the picture behind the URL has more than {max_bytes / (1 << 20):.4g} MiB",
        hint="give a smaller one",
    )


def _not_stored(error: OSError) -> StorageFailed:
    return StorageFailed(
        f"what was fetched cannot be kept: {error.strerror or 'the disk is full'}",
        hint="try again later",
    )
