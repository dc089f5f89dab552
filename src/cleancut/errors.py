"""Every error that cleancut raises on purpose.

::

    CleancutError
    ├── InputError                  kind "input": what was handed in cannot be used
    │   ├── UnreadableImage         unreadable-image
    │   ├── UnsupportedFormat       unsupported-format
    │   ├── ImageTooLarge           image-too-large
    │   ├── BadOption               bad-option
    │   ├── BadArray                bad-array
    │   ├── InputNotFound           input-not-found
    │   ├── OutputNotWritable       output-not-writable
    │   └── NoSubject               no-subject
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
        └── StorageFailed           storage-failed

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


class UnsupportedFormat(InputError):
    """A picture format that cannot be read or written here."""

    code = "unsupported-format"


class ImageTooLarge(InputError):
    """More pixels than ``max_megapixels`` allows; found before decoding."""

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


class NoSubject(InputError):
    """The picture has no subject, and ``fail_if_empty`` was set."""

    code = "no-subject"


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
