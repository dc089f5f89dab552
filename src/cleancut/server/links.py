"""Links that whoever holds them may use until they end, without a key.

The signature is HMAC-SHA256 (RFC 2104) over path and end, so neither can be changed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time

from cleancut.errors import LinkExpired

_NUMBER = re.compile(r"[0-9]{1,12}")


def derived(secret: bytes, purpose: str) -> bytes:
    """A key of 32 bytes for one purpose: what is found out about one tells nothing of another."""
    return hmac.digest(secret, purpose.encode(), "sha256")


def secret_from(text: str) -> bytes:
    """The secret that an operator's words stand for."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


class Links:
    """Signs paths and checks signatures; ``secret`` is the server's."""

    def __init__(self, secret: bytes) -> None:
        self._key = derived(secret, "links")

    def signed(self, path: str, expires: float) -> str:
        """``path`` with the query that opens it until ``expires``, seconds since the epoch."""
        until = str(int(expires))
        return f"{path}?expires={until}&signature={self._signature(path, until)}"

    def check(self, path: str, expires: str, signature: str) -> None:
        """Raise ``LinkExpired`` unless ``signed`` made this link and it has not ended."""
        own = self._signature(path, expires)
        good = hmac.compare_digest(own.encode(), signature.encode("utf-8", "surrogatepass"))
        if not good or _NUMBER.fullmatch(expires) is None:
            raise LinkExpired("the link is not one of this server", hint="copy it again, whole")
        if int(expires) <= time.time():
            raise LinkExpired("the link has expired", hint="ask for the job again to get new links")

    def _signature(self, path: str, expires: str) -> str:
        text = f"{path}\n{expires}".encode("utf-8", "surrogatepass")
        return base64.urlsafe_b64encode(hmac.digest(self._key, text, "sha256")).decode().rstrip("=")
