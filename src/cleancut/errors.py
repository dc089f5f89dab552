"""Every error that cleancut raises on purpose.

::

    CleancutError
    ├── InputError                  kind "input": what was handed in cannot be used
    │   ├── UnreadableImage         unreadable-image
    │   ├── UnreadableVideo         unreadable-video
    │   ├── NoVideoStream           no-video-stream
    │   ├── UnsupportedFormat       unsupported-format
    │   ├── ImageTooLarge           image-too-large
    │   ├── BadOption               bad-option
    │   ├── BadArray                bad-array
    │   ├── InputNotFound           input-not-found
    │   ├── OutputNotWritable       output-not-writable
    │   ├── PathRefused             path-refused
    │   ├── NoSubject               no-subject
    │   ├── NoPerson                no-person
    │   ├── ManyPeople              many-people
    │   └── RequestError            what a client asked of the server
    │       ├── BadRequest          bad-request
    │       ├── NotFound            not-found
    │       ├── MethodNotAllowed    method-not-allowed
    │       ├── KeyRefused          key-refused
    │       ├── RateLimited         rate-limited
    │       ├── QuotaSpent          quota-spent
    │       ├── BodyTooLarge        body-too-large
    │       ├── BodyTooSlow         body-too-slow
    │       ├── AddressRefused      address-refused
    │       ├── FetchFailed         fetch-failed
    │       ├── JobNotFound         job-not-found
    │       ├── JobConflict         job-conflict
    │       └── LinkExpired         link-expired
    ├── SetupError                  kind "setup": this installation cannot do it yet
    │   ├── UnknownModel            unknown-model
    │   ├── LicenceRefused          licence-refused
    │   ├── MissingDependency       missing-dependency
    │   ├── BackendUnavailable      backend-unavailable
    │   ├── ClusterUnavailable      cluster-unavailable
    │   ├── CacheUnavailable        cache-unavailable
    │   └── WeightsError
    │       ├── WeightsMissing      weights-missing
    │       ├── WeightsCorrupt      weights-corrupt
    │       └── DownloadFailed      download-failed
    └── RunError                    kind "resource" or "bug": it went wrong while running
        ├── InferenceFailed         inference-failed
        ├── OutOfMemory             out-of-memory
        ├── PictureCrashed          crashed
        ├── TimedOut                timed-out
        ├── StorageFailed           storage-failed
        ├── Busy                    busy
        └── Cancelled               cancelled

``code`` is stable and documented, ``kind`` decides exit code and HTTP status, ``hint`` is the next
thing to do, most often a command to type.
"""

from __future__ import annotations

from typing import ClassVar, Literal

Kind = Literal["input", "setup", "resource", "bug"]


class CleancutError(Exception):
    """Base of all errors raised on purpose.

    ``str(error)`` is one line saying what is wrong; ``error.hint`` is what to do about it.
    """

    code: ClassVar[str] = "cleancut-error"
    kind: ClassVar[Kind] = "bug"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process borders (batch workers); the keyword-only hint must survive.
        return (_rebuild, (type(self), self.message, self.hint))


def _rebuild(cls: type[CleancutError], message: str, hint: str) -> CleancutError:
    return cls(message, hint=hint)


class InputError(CleancutError):
    """What was handed in cannot be used."""

    code = "input-error"
    kind = "input"


class UnreadableImage(InputError):
    """The bytes are not a picture, or the picture is broken."""

    code = "unreadable-image"


class UnreadableVideo(InputError):
    """The file is not a video, or it is broken so that no frame of it can be decoded."""

    code = "unreadable-video"


class NoVideoStream(InputError):
    """The file is sound only, or the only picture in it is a cover."""

    code = "no-video-stream"


class UnsupportedFormat(InputError):
    """A picture format that cannot be read or written here."""

    code = "unsupported-format"


class ImageTooLarge(InputError):
    """More pixels than ``max_megapixels`` allows; found before they are made."""

    code = "image-too-large"


class BadOption(InputError):
    """An option has a value that it cannot have, or two options contradict each other."""

    code = "bad-option"


class BadArray(InputError):
    """An array of the wrong shape, type or range, or one that holds NaN."""

    code = "bad-array"


class InputNotFound(InputError):
    """The input path does not exist, is a folder, or may not be read."""

    code = "input-not-found"


class OutputNotWritable(InputError):
    """The output path cannot be written, or is the input itself."""

    code = "output-not-writable"


class PathRefused(InputError):
    """A path outside the folders that an agent may use."""

    code = "path-refused"


class NoSubject(InputError):
    """The picture has no subject, and ``fail_if_empty`` was set."""

    code = "no-subject"


class NoPerson(InputError):
    """A head was asked for, and no person's face was found in the subject."""

    code = "no-person"


class ManyPeople(InputError):
    """A head was asked for, and the subject is more than one person."""

    code = "many-people"


class RequestError(InputError):
    """A request that the server cannot or will not serve.

    ``retry_after_s`` is when it is worth another try, None where it never is.
    """

    code = "request-error"

    def __init__(self, message: str, *, hint: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class BadRequest(RequestError):
    """A body that cannot be read: broken multipart or JSON, a field missing or given twice."""

    code = "bad-request"


class NotFound(RequestError):
    """The server has nothing at this path."""

    code = "not-found"


class MethodNotAllowed(RequestError):
    """The path does not take this method."""

    code = "method-not-allowed"


class KeyRefused(RequestError):
    """No API key was given, or one that is unknown or revoked."""

    code = "key-refused"


class RateLimited(RequestError):
    """The key has had its requests for now."""

    code = "rate-limited"


class QuotaSpent(RequestError):
    """The key has had its megapixels for this period."""

    code = "quota-spent"


class BodyTooLarge(RequestError):
    """More bytes than the server takes in one request."""

    code = "body-too-large"


class BodyTooSlow(RequestError):
    """The request's body did not arrive in time."""

    code = "body-too-slow"


class AddressRefused(RequestError):
    """A URL that the server will not ask: not http(s), or of a private or reserved address."""

    code = "address-refused"


class FetchFailed(RequestError):
    """The picture behind a URL could not be fetched."""

    code = "fetch-failed"


class JobNotFound(RequestError):
    """No such job, or it belongs to another key, or it has expired."""

    code = "job-not-found"


class JobConflict(RequestError):
    """The job is not in a state in which this can be done, or its idempotency key was used."""

    code = "job-conflict"


class LinkExpired(RequestError):
    """A result link that is past its time, or whose signature is wrong."""

    code = "link-expired"


class SetupError(CleancutError):
    """This installation cannot do it yet."""

    code = "setup-error"
    kind = "setup"


class UnknownModel(SetupError):
    """No row of the catalog has this name."""

    code = "unknown-model"


class LicenceRefused(SetupError):
    """``commercial_only`` is on and the model is not clearly usable commercially."""

    code = "licence-refused"


class MissingDependency(SetupError):
    """An optional package is not installed; the hint is the pip line."""

    code = "missing-dependency"


class BackendUnavailable(SetupError):
    """The backend, device or precision that was asked for cannot be had on this machine."""

    code = "backend-unavailable"


class CacheUnavailable(SetupError):
    """The result cache cannot be looked at or emptied; cutting goes on without it."""

    code = "cache-unavailable"


class ClusterUnavailable(SetupError):
    """The cluster cannot be reached or started, has no room, or its nodes lack something."""

    code = "cluster-unavailable"


class WeightsError(SetupError):
    """Something is wrong with a model's weights."""

    code = "weights-error"


class WeightsMissing(WeightsError):
    """The weights are not on this machine; nothing is downloaded without being asked."""

    code = "weights-missing"


class WeightsCorrupt(WeightsError):
    """The file's sha256 is not the catalog's, or the file is not a model."""

    code = "weights-corrupt"


class DownloadFailed(WeightsError):
    """No source of the weights could be reached; the message lists each with its reason."""

    code = "download-failed"


class RunError(CleancutError):
    """It went wrong while running."""

    code = "run-error"
    kind: ClassVar[Kind] = "bug"


class InferenceFailed(RunError):
    """The backend refused the graph or failed while running it."""

    code = "inference-failed"


class OutOfMemory(RunError):
    """Memory ran out while working on one picture."""

    code = "out-of-memory"
    kind = "resource"


class PictureCrashed(RunError):
    """The process that worked on the picture crashed or was killed; the others went on."""

    code = "crashed"


class TimedOut(RunError):
    """The picture took longer than it may."""

    code = "timed-out"
    kind = "resource"


class StorageFailed(RunError):
    """An object store or a web server could not be reached, or gave up in the middle."""

    code = "storage-failed"
    kind = "resource"


class Busy(RunError):
    """As many pictures wait as may; ``retry_after_s`` is when there will likely be room."""

    code = "busy"
    kind = "resource"

    def __init__(self, message: str, *, hint: str = "", retry_after_s: float = 1.0) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class Cancelled(RunError):
    """It was called off before it was done."""

    code = "cancelled"
    kind = "resource"
