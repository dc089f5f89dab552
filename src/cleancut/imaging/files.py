"""Bytes from anywhere, bytes to a file: the only code that touches paths."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

from cleancut.errors import (
    BadOption,
    ImageTooLarge,
    InputNotFound,
    OutputNotWritable,
    UnreadableImage,
)

#: No file larger than this is read: 120 megapixels of 16-bit RGBA, uncompressed, are 960 MB.
MAX_FILE_BYTES = 2 << 30
#: Asked of a file object at once: Python makes room for all of it before it reads.
_AT_ONCE, _AT_LEAST = 64 << 20, 64 << 10


@runtime_checkable
class Readable(Protocol):
    """A binary file object."""

    def read(self, size: int = -1, /) -> bytes:
        """Up to ``size`` bytes."""
        ...


Source: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | Readable


def read_bytes(source: Source) -> bytes:
    """Bytes of a path, a binary file object (from where it stands), or bytes themselves.

    Raises ``InputNotFound`` (missing, a folder, not permitted, an address), ``UnreadableImage``
    (0 bytes, read error), ``ImageTooLarge`` (over 2 GiB), ``BadOption`` (a text file object,
    another type).
    """
    if isinstance(source, bytes | bytearray | memoryview):
        data = bytes(source)
    elif isinstance(source, str | os.PathLike):
        if isinstance(source, str):
            _refuse_what_is_no_path(source)
        data = _read_path(Path(source))
    elif isinstance(source, Readable):
        data = _read_object(source)
    else:
        raise BadOption(
            f"a {type(source).__name__} is not a picture",
            hint="hand in a path, bytes, a binary file object, a PIL image or an array",
        )
    if not data:
        raise UnreadableImage("the file is empty (0 bytes)", hint="copy or download it again")
    return data


def _refuse_what_is_no_path(source: str) -> None:
    if not source.strip():
        raise InputNotFound("the path is empty", hint="give the name of a picture")
    if source.lower().startswith(("http://", "https://")):
        raise InputNotFound(
            f"{source} is an address, not a file", hint="download the picture first"
        )


def missing(path: str | os.PathLike[str]) -> InputNotFound:
    """The error for a path that leads nowhere."""
    if os.path.islink(path):  # noqa: PTH114
        goal = os.readlink(path)  # noqa: PTH115
        return InputNotFound(
            f"{path} is a link to {goal}, which is not there", hint="mend or remove the link"
        )
    return InputNotFound(f"no such file: {path}", hint="check the path")


def _read_path(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return _read_object(file, os.fstat(file.fileno()).st_size + 1)
    except FileNotFoundError as error:
        raise missing(path) from error
    except IsADirectoryError as error:
        raise InputNotFound(
            f"{path} is a folder", hint=f"hand in the files in it: {path / '*.jpg'}"
        ) from error
    except PermissionError as error:
        if path.is_dir():  # Windows says "permission denied" for a folder
            raise InputNotFound(f"{path} is a folder", hint="hand in the files in it") from error
        raise InputNotFound(
            f"{path} may not be read", hint="check the permissions of the file and its folders"
        ) from error
    except (OSError, ValueError) as error:  # a loop of links, a NUL in the name, a network drive
        raise InputNotFound(
            f"{path!s:.200} cannot be read: {error}", hint="check the path"
        ) from error


def _read_object(file: Readable, at_once: int = _AT_ONCE) -> bytes:
    at_once = min(max(at_once, _AT_LEAST), MAX_FILE_BYTES)
    parts: list[bytes] = []
    left = MAX_FILE_BYTES + 1
    while left > 0:  # a raw stream, a socket say, may give less than asked for
        try:
            part = file.read(min(left, at_once))
        except (IsADirectoryError, MemoryError):
            raise
        except Exception as error:  # the caller's own reader may raise anything
            raise UnreadableImage(f"reading failed: {error}", hint="open the file again") from error
        if not isinstance(part, bytes | bytearray):
            raise BadOption("the file object gives text, not bytes", hint="open it with mode 'rb'")
        if not part:
            break
        parts.append(bytes(part))
        left -= len(part)
    if left <= 0:
        raise ImageTooLarge("the file is larger than 2 GiB", hint="save a smaller copy first")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def write_atomic(path: str | os.PathLike[str], data: bytes) -> None:
    """Write ``data`` to ``path`` so that the file is there whole or not at all.

    A temporary file in the same folder is written, synced and renamed. An existing file keeps its
    permissions, a new one gets those of the umask; a symbolic link stays and its target is
    replaced; a device or pipe is written to directly. Raises ``OutputNotWritable``; on any failure,
    an interrupt included, nothing new stays behind.
    """
    try:
        target = Path(os.path.realpath(path))
        mode = _mode(target)
        if mode is not None and not stat.S_ISREG(mode):
            with target.open("wb") as device:
                device.write(data)
            return
        _replace(target, data, mode)
    except (OSError, ValueError) as error:
        raise not_writable(Path(path), error) from error


def _mode(target: Path) -> int | None:
    """The ``st_mode`` of what is there, None if nothing; OSError if it must not be replaced."""
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(target)
    if not os.access(target, os.W_OK):
        raise PermissionError(13, "the file is write-protected")
    return mode


def _replace(target: Path, data: bytes, mode: int | None) -> None:
    temporary = target.with_name(f".cleancut-{secrets.token_hex(6)}.part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        # Created with 0666 so that the kernel applies the umask; tempfile would leave 0600.
        with open(os.open(temporary, flags, 0o666), "wb") as file:  # noqa: PTH123
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            temporary.chmod(stat.S_IMODE(mode))
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def not_writable(path: Path, error: Exception) -> OutputNotWritable:
    """The error for a file that could not be written, in the disk's own words."""
    name = f"{path!s:.200}"
    if isinstance(error, IsADirectoryError):
        return OutputNotWritable(f"{name} is a folder", hint="name a file in it")
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return OutputNotWritable(f"{name}: its folder does not exist", hint="create it first")
    if isinstance(error, PermissionError):
        return OutputNotWritable(
            f"{name} may not be written: {error.strerror or error}",
            hint="check the permissions of the file and its folder, or choose another output",
        )
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputNotWritable(
            f"{name} cannot be written: the disk is full", hint="free space or choose another disk"
        )
    # str(error) of an OSError would name the temporary file.
    reason = (error.strerror if isinstance(error, OSError) else None) or error
    return OutputNotWritable(f"{name} cannot be written: {reason}", hint="choose another output")
