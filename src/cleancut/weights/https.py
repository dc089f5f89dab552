"""Download one file over https: resumed, bounded, verified.

Proxies (``HTTPS_PROXY``, ``NO_PROXY``) and certificate bundles (``SSL_CERT_FILE``,
``SSL_CERT_DIR``) are those of the environment, as Python's standard library reads them.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import IO, Any, Protocol

from cleancut.catalog import Part
from cleancut.errors import DownloadFailed, WeightsCorrupt
from cleancut.weights.digest import sha256_of

#: ``progress(done_bytes, total_bytes or None, label)``
Progress = Callable[[int, int | None, str], None]

TIMEOUT_S = 15.0
RETRIES = 3  # in a row, without a byte of progress in between
BACKOFF_S = 0.5
REDIRECTS = 5
_CHUNK = 1 << 18
#: A connection that brings less than this in a window is given up and resumed.
_STALL_S, _STALL_BYTES = 60.0, 1 << 16


class Response(Protocol):
    """What is used of an HTTP answer."""

    status: int
    headers: Any

    def read1(self, n: int, /) -> bytes:
        """At most ``n`` bytes, as soon as there are any."""

    def close(self) -> None:
        """Free the connection."""


#: Opens a URL with extra request headers. Tests hand in one that speaks plain http.
OpenUrl = Callable[[str, Mapping[str, str]], Response]


class HttpsOnly(urllib.request.HTTPRedirectHandler):
    """Follows redirects to https addresses only, and not many."""

    max_redirections = REDIRECTS

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Refuse to leave https; the answer may come from anyone on the way."""
        if urllib.parse.urlsplit(newurl).scheme != "https":
            fp.close()
            raise DownloadFailed(f"redirected to {plain_url(newurl)}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def open_https(url: str, headers: Mapping[str, str]) -> Response:
    """Open an https address; raises what ``urllib`` raises, ``DownloadFailed`` if not https."""
    if urllib.parse.urlsplit(url).scheme != "https":
        raise DownloadFailed(f"{plain_url(url)} is not https")
    request = urllib.request.Request(url, headers=dict(headers))
    answer: Response = _opener().open(request, timeout=TIMEOUT_S)
    return answer


@cache
def _opener() -> urllib.request.OpenerDirector:
    # Built by hand: build_opener() would also speak http, ftp and file.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        HttpsOnly(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def download(
    url: str,
    target: Path,
    part: Part,
    *,
    progress: Progress | None = None,
    open_url: OpenUrl = open_https,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Fetch ``url`` to ``target``, which exists afterwards only if size and sha256 are right.

    Bytes gather in ``<target>.part``; what is there is continued, by this call after a broken
    connection and by the next one after a kill. Only failures that may pass (timeouts, resets,
    5xx, 429) are tried again. Raises ``DownloadFailed`` with a reason of a few words,
    ``WeightsCorrupt`` if the bytes are not the catalogued ones, and ``OSError`` if they cannot be
    written.
    """
    partial = target.with_name(target.name + ".part")
    failures = 0
    resumed = _size(partial) > 0
    while True:
        before = _size(partial)
        try:
            if before < part.bytes:
                _continue(url, partial, part, progress, open_url)
            break
        except _Transient as error:
            moved = _size(partial) > before and not isinstance(error, _Stalled)
            failures = 0 if moved else failures + 1
            if failures > RETRIES:
                raise DownloadFailed(str(error)) from error
            sleep(BACKOFF_S * 2**failures)
    if _size(partial) != part.bytes or sha256_of(partial) != part.sha256:
        _drop(partial)
        if resumed:
            # The part left by an earlier call may have been the bad one: once more, from zero.
            download(url, target, part, progress=progress, open_url=open_url, sleep=sleep)
            return
        raise WeightsCorrupt(f"{part.name}: the bytes served are not the catalogued ones")
    partial.replace(target)
    _validator(partial).unlink(missing_ok=True)


def plain_url(url: str) -> str:
    """``url`` without user name, password, query and fragment: fit for logs and errors."""
    try:
        split = urllib.parse.urlsplit(url)
        host = (split.hostname or "") + (f":{split.port}" if split.port else "")
    except ValueError:
        return "an invalid address"
    return urllib.parse.urlunsplit((split.scheme, host, split.path, "", ""))


class _Transient(Exception):
    """A failure that may pass."""


class _Stalled(_Transient):
    """So few bytes that they do not count as progress: a server could drip for ever."""


def _continue(
    url: str, partial: Path, part: Part, progress: Progress | None, open_url: OpenUrl
) -> None:
    """One request: append to ``partial`` until it is complete or the connection breaks."""
    done = _size(partial)
    headers = {"User-Agent": "cleancut", "Accept-Encoding": "identity"}
    if done:
        headers["Range"] = f"bytes={done}-"
        kept_url, _, etag = _text(_validator(partial)).partition("\n")
        if etag and kept_url == plain_url(url):
            headers["If-Range"] = etag
    try:
        answer = open_url(url, headers)
    except Exception as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
            if error.code == 416:  # what is there cannot be continued
                _drop(partial)
        raise _refusal(error) from error
    try:
        done = _start_at(answer, done, part)
        etag = str(answer.headers.get("ETag") or "")
        if etag.startswith('"') and etag.isprintable():  # a weak one must not be used in If-Range
            _validator(partial).write_text(f"{plain_url(url)}\n{etag}", "utf-8")
        label = urllib.parse.urlsplit(url).hostname or "download"
        with partial.open("r+b" if done else "wb") as file:
            file.seek(done)
            _copy(answer, file, done, part, progress, label)
    finally:
        answer.close()


def _start_at(answer: Response, done: int, part: Part) -> int:
    """Offset in bytes at which the answer's body begins."""
    if answer.status == 206:
        unit, _, rest = str(answer.headers.get("Content-Range") or "").partition(" ")
        span, _, total = rest.partition("/")
        if unit != "bytes" or span.partition("-")[0] != str(done):
            raise DownloadFailed("the server continued at the wrong place")
        size = total
    else:
        done = 0
        size = str(answer.headers.get("Content-Length") or "*")
    if size.isdigit() and int(size) != part.bytes:
        raise WeightsCorrupt(f"serves {size} bytes, the catalogued file has {part.bytes}")
    return done


def _copy(
    answer: Response,
    file: IO[bytes],
    done: int,
    part: Part,
    progress: Progress | None,
    label: str,
) -> None:
    since, at_start = time.monotonic(), done
    while True:
        try:
            block = answer.read1(min(_CHUNK, part.bytes - done + 1))
        except (OSError, http.client.HTTPException) as error:
            raise _refusal(error) from error
        if not block:
            break
        done += len(block)
        if done > part.bytes:
            raise WeightsCorrupt(f"serves more than the catalogued {part.bytes} bytes")
        file.write(block)
        if progress:
            progress(done, part.bytes, label)
        if time.monotonic() - since > _STALL_S:
            if done - at_start < _STALL_BYTES:
                raise _Stalled("stalled")
            since, at_start = time.monotonic(), done
    if done < part.bytes:
        raise _Transient(f"the connection ended after {done} of {part.bytes} bytes")


def _refusal(error: BaseException) -> Exception:
    """``error`` as something to try again, or as the final reason in a few words."""
    reason: object = error
    if isinstance(error, urllib.error.HTTPError):
        if error.code in (408, 416, 429) or error.code >= 500:
            return _Transient(f"HTTP {error.code}")
        return DownloadFailed(f"HTTP {error.code}")
    if isinstance(error, urllib.error.URLError):
        reason = error.reason
    if isinstance(reason, DownloadFailed):
        return reason
    if isinstance(reason, socket.gaierror):
        return DownloadFailed("the host name does not resolve")
    if isinstance(reason, ssl.SSLCertVerificationError):
        return DownloadFailed("the certificate is not trusted (SSL_CERT_FILE names a bundle)")
    if isinstance(reason, TimeoutError):
        return _Transient("timed out")
    if isinstance(reason, ConnectionRefusedError):
        return DownloadFailed("connection refused")
    if isinstance(reason, ConnectionError | http.client.IncompleteRead | ssl.SSLEOFError):
        return _Transient("the connection broke")
    if isinstance(reason, OSError) and str(reason).startswith("Tunnel connection failed"):
        return DownloadFailed(f"the proxy said no ({str(reason).partition(': ')[2][:60]})")
    if isinstance(reason, OSError):
        return DownloadFailed(reason.strerror or type(reason).__name__)
    return DownloadFailed(f"not understood ({type(reason).__name__})")


def _validator(partial: Path) -> Path:
    return partial.with_name(partial.name + ".etag")


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _drop(partial: Path) -> None:
    partial.unlink(missing_ok=True)
    _validator(partial).unlink(missing_ok=True)
