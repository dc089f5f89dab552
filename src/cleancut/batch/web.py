"""Pictures from the web: one address at a time, read with limits.

Standard library only. Proxies and certificate bundles are those of the environment.
"""

from __future__ import annotations

import http.client
import posixpath
import urllib.error
import urllib.parse
import urllib.request
from functools import cache
from typing import IO, Any

from cleancut import __version__
from cleancut.batch.storage import LEFT_OUT, plain, too_large
from cleancut.errors import BadOption, InputNotFound, StorageFailed, UnreadableImage

TIMEOUT_S = 30.0
REDIRECTS = 5
_CHUNK = 1 << 18


class _WebOnly(urllib.request.HTTPRedirectHandler):
    """Follows few redirects, and none that leaves the web or goes from https to http."""

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
        """A request for ``newurl``, unless it may not be followed."""
        wanted = urllib.parse.urlsplit(newurl).scheme.lower()
        if wanted not in ("http", "https") or (wanted == "http" and req.type == "https"):
            fp.close()
            raise InputNotFound(
                f"{plain(req.full_url)} leads to a {wanted or 'broken'} address",
                hint="download the picture and hand in the file",
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@cache
def _opener() -> urllib.request.OpenerDirector:
    opener = urllib.request.build_opener(_WebOnly)
    opener.addheaders = [("User-Agent", f"cleancut/{__version__}"), ("Accept", "image/*,*/*;q=.5")]
    return opener


def base_name(url: str) -> str:
    """The name of the file behind an address, "picture" where the address does not have one."""
    path = urllib.parse.urlsplit(url).path
    return posixpath.basename(urllib.parse.unquote(path).rstrip("/")) or "picture"


def read(url: str, *, max_bytes: int) -> bytes:
    """The bytes behind ``url``; errors as ``storage.read``."""
    try:
        request = urllib.request.Request(_quoted(url))
        with _opener().open(request, timeout=TIMEOUT_S) as answer:
            declared = answer.headers.get("Content-Length", "")
            if declared.isdigit() and int(declared) > max_bytes:
                raise too_large(url, max_bytes)
            data = _read(answer, url, max_bytes)
    except (urllib.error.URLError, OSError, ValueError, http.client.HTTPException) as error:
        raise _fault(url, error) from error
    if declared.isdigit() and len(data) < int(declared):
        raise StorageFailed(
            f"{plain(url)}: the connection ended after {len(data)} of {declared} bytes",
            hint="run again with --retry-failed",
        )
    if not data:
        raise UnreadableImage(f"{plain(url)} is empty (0 bytes)", hint="check the address")
    return data


def _quoted(url: str) -> str:
    """Blanks and letters beyond ASCII in a pasted address, as browsers send them."""
    try:
        parts = urllib.parse.urlsplit(url)
        host = parts.netloc.encode("idna").decode("ascii") if parts.netloc else ""
    except (UnicodeError, ValueError) as error:
        raise BadOption(
            f"{plain(url)!r:.100} is not a web address", hint="like https://host/a.jpg"
        ) from error
    if f"?{parts.query}" == LEFT_OUT:
        raise BadOption(
            f"{plain(url)}: a report leaves out what follows the question mark, it may hold a key",
            hint="hand in the whole address",
        )
    if not host or "@" in host:
        raise BadOption(
            f"{plain(url)} is not a web address that can be read",
            hint="like https://host/a.jpg, without a user and password",
        )
    path = urllib.parse.quote(parts.path, safe="/%:@!$&'()*+,;=~-._")
    query = urllib.parse.quote(parts.query, safe="/%:@!$&'()*+,;=~-._?[]")
    return urllib.parse.urlunsplit((parts.scheme, host, path or "/", query, ""))


def _read(answer: Any, url: str, max_bytes: int) -> bytes:
    parts: list[bytes] = []
    done = 0
    while part := answer.read(_CHUNK):
        done += len(part)
        if done > max_bytes:
            raise too_large(url, max_bytes)
        parts.append(part)
    return b"".join(parts)


def _fault(url: str, error: Exception) -> Exception:
    if isinstance(error, urllib.error.HTTPError):
        error.close()  # it holds the answer's body
        if error.code in (408, 425, 429) or error.code >= 500:
            return StorageFailed(
                f"{plain(url)}: the server answered {error.code}",
                hint="run again later with --retry-failed",
            )
        told = "too many redirects" if error.code in (301, 302, 303, 307, 308) else "the server"
        return InputNotFound(
            f"{plain(url)}: {told} answered {error.code}".replace(
                "redirects answered", "redirects,"
            ),
            hint="check the address; it must be open without a login",
        )
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, TimeoutError):
        told = f"no answer within {TIMEOUT_S:.0f} seconds"
    elif isinstance(reason, OSError):
        told = reason.strerror or type(reason).__name__
    else:
        told = type(reason).__name__
    return StorageFailed(
        f"{plain(url)} cannot be read: {told}",
        hint="check the connection, then run again with --retry-failed",
    )
