"""What remove.bg's API says when something is wrong: its codes, titles, details and statuses."""

from __future__ import annotations

import math
from typing import Any

from cleancut.errors import (
    AddressRefused,
    BadOption,
    BadRequest,
    BodyTooLarge,
    BodyTooSlow,
    Busy,
    CleancutError,
    FetchFailed,
    ImageTooLarge,
    KeyRefused,
    NoSubject,
    PictureCrashed,
    QuotaSpent,
    RateLimited,
    RequestError,
    TimedOut,
    UnreadableImage,
    UnsupportedFormat,
)
from cleancut.server.faults import status_of, told

#: Titles by code, in remove.bg's way of speaking.
TITLES = {
    "auth_failed": "API Key invalid",
    "failed_bg_download": "Failed to download background image",
    "failed_image_download": "Failed to download image",
    "failed_to_read_image": "Failed to read image",
    "file_too_large": "File too large",
    "improve_disabled": "Improvement program not enabled",
    "improve_limit_exceeded": "Improvement program limit exceeded",
    "insufficient_credits": "Insufficient credits",
    "invalid_add_shadow": "Invalid add_shadow parameter given",
    "invalid_bg_color": "Invalid bg_color parameter given",
    "invalid_bg_image_url": "Invalid bg_image_url parameter given",
    "invalid_channels": "Invalid channels parameter given",
    "invalid_crop": "Invalid crop parameter given",
    "invalid_crop_margin": "Invalid crop_margin parameter given",
    "invalid_dimensions": "Invalid image dimensions",
    "invalid_file_type": "Invalid file type",
    "invalid_format": "Invalid format parameter given",
    "invalid_image_url": "Invalid image_url parameter given",
    "invalid_parameters": "Invalid parameters",
    "invalid_position": "Invalid position parameter given",
    "invalid_roi": "Invalid roi parameter given",
    "invalid_scale": "Invalid scale parameter given",
    "invalid_semitransparency": "Invalid semitransparency parameter given",
    "invalid_shadow_opacity": "Invalid shadow_opacity parameter given",
    "invalid_shadow_type": "Invalid shadow_type parameter given",
    "invalid_size": "Invalid size parameter given",
    "invalid_type": "Invalid type parameter given",
    "invalid_type_level": "Invalid type_level parameter given",
    "missing_source": "No image given",
    "multiple_bg_sources": "Multiple background sources given",
    "multiple_sources": "Multiple image sources given",
    "rate_limit_exceeded": "Rate limit exceeded",
    "not_found": "Not found",
    "request_timeout": "Request timeout",
    "resolution_too_high": "Image resolution too high",
    "roi_exceeds_bounds": "Region of interest exceeds the image",
    "roi_region_empty": "Region of interest is empty",
    "server_error": "Server error",
    "server_unavailable": "Server not available",
    "unknown_foreground": (
        "Could not identify foreground in image. For details and recommendations see "
        "https://www.remove.bg/supported-images."
    ),
}

_READ = "JPEG, PNG or WebP"
_SHOWN = 80


class Refused(RequestError):
    """A request that remove.bg's door turns down with one of remove.bg's codes."""

    code = "bad-request"

    def __init__(
        self,
        removebg: str,
        detail: str,
        *,
        status: int = 400,
        title: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail, retry_after_s=retry_after_s)
        self.removebg = removebg
        self.status = status
        self.title = title or TITLES[removebg]

    def __reduce__(self) -> tuple[object, ...]:
        return (Refused, (self.removebg, self.message))

    def body(self) -> dict[str, Any]:
        """The JSON body of the answer."""
        error = {"title": self.title, "code": self.removebg}
        if self.message:
            error["detail"] = self.message
        return {"errors": [error]}

    def headers(self) -> dict[str, str]:
        """Headers of the answer."""
        if self.retry_after_s is None:
            return {}
        return {"Retry-After": str(max(1, math.ceil(self.retry_after_s)))}


def shown(value: str) -> str:
    """A client's value as it may be quoted back: short, one line, printable."""
    plain = "".join(c if c.isprintable() else "?" for c in value[: _SHOWN + 1])
    return repr(plain if len(plain) <= _SHOWN else plain[:_SHOWN] + "...")


def refusal(error: CleancutError, *, background: bool = False, megabytes: float = 22) -> Refused:
    """How remove.bg would say ``error``, which is about the background image if ``background``.

    Nothing of the server's own is in it: errors that are not the client's say only that they are.
    """
    if isinstance(error, Refused):
        return error
    retry = getattr(error, "retry_after_s", None)
    if isinstance(error, KeyRefused):
        missing = "needed" in error.message
        title = "Missing API Key" if missing else None
        return Refused("auth_failed", _told(error), status=403, title=title)
    if isinstance(error, QuotaSpent):
        return Refused("insufficient_credits", _told(error), status=402, retry_after_s=retry)
    if isinstance(error, RateLimited | Busy):
        return Refused("rate_limit_exceeded", _told(error), status=429, retry_after_s=retry or 1)
    if isinstance(error, BodyTooLarge):
        return Refused("file_too_large", f"File exceeds limit of {megabytes:.4g}MB")
    if isinstance(error, BodyTooSlow):
        return Refused("request_timeout", _told(error), status=408)
    if isinstance(error, TimedOut):
        return Refused("request_timeout", "The image took too long.", status=504)
    if isinstance(error, PictureCrashed):
        return Refused("failed_to_read_image", "The image could not be worked on.")
    return _about_picture(error, background) or _others(error, retry)


def _about_picture(error: CleancutError, background: bool) -> Refused | None:
    behind = background or error.message.startswith("--background")
    message = "The background image cannot be read" if behind else told(error)[0]
    if isinstance(error, ImageTooLarge):
        return Refused("resolution_too_high", _sentence(message))
    if isinstance(error, UnsupportedFormat):
        return Refused("invalid_file_type", f"Expected {_READ}: {_sentence(message)}")
    if isinstance(error, UnreadableImage):
        return Refused("failed_to_read_image", _sentence(message))
    if isinstance(error, NoSubject):
        return Refused("unknown_foreground", "")
    if isinstance(error, AddressRefused):
        field = "bg_image_url" if background else "image_url"
        return Refused(f"invalid_{field}", _sentence(told(error)[0]))
    if isinstance(error, FetchFailed):
        code = "failed_bg_download" if background else "failed_image_download"
        return Refused(code, _sentence(told(error)[0]))
    return None


def _others(error: CleancutError, retry: float | None) -> Refused:
    if isinstance(error, BadOption) and error.message.startswith("--roi"):
        return Refused("roi_exceeds_bounds", "The region of interest holds no pixel of the image.")
    if isinstance(error, BadRequest | BadOption):
        return Refused("invalid_parameters", _told(error))
    if (status := status_of(error)) in (404, 405):
        return Refused("not_found", _told(error), status=status)
    if error.kind == "input":
        return Refused("failed_to_read_image", "The image cannot be used.")
    if error.kind in ("setup", "resource"):
        return Refused(
            "server_unavailable",
            "The server cannot do it at the moment.",
            status=503,
            retry_after_s=retry,
        )
    return Refused("server_error", "Something went wrong on the server.", status=500)


def _told(error: CleancutError) -> str:
    message, hint = told(error)
    return f"{_sentence(message)} {_sentence(hint)}".strip()


def _sentence(text: str) -> str:
    text = text.strip()
    return text if not text or text[-1] in ".?!" else f"{text}."
