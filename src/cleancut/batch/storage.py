"""Pictures and results wherever they are: this machine's disks, object stores, the web.

Places are plain text: a local path, or a URL with ``s3``, ``gs``, ``az`` (all three through
fsspec, ``remote.py``), ``http`` or ``https`` (read only, ``web.py``). Credentials come from where
the store's own tools look for them; none is ever part of a message.
"""

from __future__ import annotations

import os
import posixpath
import re
import stat as modes
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from cleancut.errors import BadOption, ImageTooLarge, InputNotFound, OutputNotWritable
from cleancut.imaging.files import MAX_FILE_BYTES, missing, read_bytes, write_atomic

STORES = ("s3", "gs", "az")
_WEB = ("http", "https")
#: Stands where the query of an address was, which may hold a key.
LEFT_OUT = "?..."
# One letter is a drive of Windows.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


@dataclass(frozen=True, slots=True)
class Found:
    """A file: where it is, its name below the folder that was walked (with /), its size in bytes.

    ``version`` tells one state of the file from another, "" where the place does not say.
    """

    url: str
    name: str
    size: int | None = None
    version: str = ""


@dataclass(slots=True)
class Folder:
    """One folder: its own name below the root ("" for the root), and what lies in it, sorted.

    ``folders`` are names of folders, which the reader may prune before going on. ``found(at)``
    looks at the file ``files[at]`` when it is asked, so that a million names stay names.
    """

    url: str
    name: str
    files: Sequence[str]
    folders: list[str]
    found: Callable[[int], Found]


#: Called with a reason and the place that was passed over.
LeaveOut = Callable[[str, str], None]


def _ignore(_reason: str, _place: str) -> None:
    """Nobody wants to know."""


def scheme(place: str) -> str:
    """ "s3", "gs", "az", "http", "https", or "" for a local path; ``BadOption`` for others."""
    match = _SCHEME.match(place)
    if match is None:
        return ""
    name = match[1].lower()
    if name not in (*STORES, *_WEB):
        raise BadOption(
            f"{name}:// is not a place that can be read",
            hint="s3://, gs://, az://, http(s):// or a path",
        )
    return name


def is_remote(place: str) -> bool:
    """Whether ``place`` is a URL and not a path of this machine."""
    return scheme(place) != ""


def is_web(place: str) -> bool:
    """Whether ``place`` is an address of the web, which can only be read, file by file."""
    return scheme(place) in _WEB


def canonical(place: str) -> str:
    """``place`` in the one form in which it is compared: absolute, without ``.`` and ``..``."""
    kind = scheme(place)
    if kind in _WEB:
        return place
    if kind:
        return f"{kind}://{place.partition('://')[2].rstrip('/')}"
    return os.path.abspath(place)  # noqa: PTH100 - Path.absolute() keeps ".."


def join(root: str, name: str) -> str:
    """The place called ``name`` (with /) below ``root``; ``BadOption`` if it would not be below."""
    if not name:
        return root
    parts = name.split("/")
    if name.startswith("/") or ".." in parts or "\0" in name:
        raise BadOption(f"{name!r:.200} does not stay below its folder")
    if is_remote(root):
        return f"{root.rstrip('/')}/{name}"
    return os.path.join(root, *parts)  # noqa: PTH118 - thrice as fast as Path, for a million names


def parent(place: str) -> str:
    """The folder in which ``place`` lies."""
    if is_remote(place):
        return place.rstrip("/").rpartition("/")[0]
    return os.path.dirname(place) or "."  # noqa: PTH120


def base_name(place: str) -> str:
    """The last part of a path or URL, without a query."""
    if is_web(place):
        from cleancut.batch import web

        return web.base_name(place)
    if is_remote(place):
        return posixpath.basename(place.rstrip("/"))
    return os.path.basename(os.path.abspath(place))  # noqa: PTH100, PTH119


def plain(place: str) -> str:
    """``place`` as it may be shown: no user, password or query, which may hold a key."""
    return keyless(place, mark="")[:300] if is_remote(place) else place


def keyless(place: str, *, mark: str = LEFT_OUT) -> str:
    """``place`` as it may be kept, whole but for user and password; ``mark`` is for a query."""
    if not is_remote(place):
        return place
    head, _, rest = place.partition("://")
    told = ""
    if is_web(place):
        rest, *query = re.split(r"[?#]", rest, maxsplit=1)
        told = mark if query else ""
    host, slash, path = rest.partition("/")
    return f"{head}://{host.rpartition('@')[2]}{slash}{path}{told}"


def read(place: str, *, max_bytes: int = MAX_FILE_BYTES, size: int | None = None) -> bytes:
    """The bytes of a file; ``size`` is what is known of its size (``Job.size``).

    Raises ``InputNotFound``, ``ImageTooLarge`` (more than ``max_bytes``, found before reading where
    the place says how large it is), ``UnreadableImage``, ``StorageFailed``.
    """
    if size is not None and size > max_bytes:
        raise too_large(place, max_bytes)
    kind = scheme(place)
    if kind in _WEB:
        from cleancut.batch import web

        return web.read(place, max_bytes=max_bytes)
    if kind:
        from cleancut.batch import remote

        return remote.read(place, max_bytes=max_bytes)
    with suppress(OSError, ValueError):
        facts = os.stat(place)  # noqa: PTH116
        if facts.st_size > max_bytes:
            raise too_large(place, max_bytes)
        _refuse_endless(place, facts.st_mode)
    return read_bytes(place)


def _refuse_endless(place: str, mode: int) -> None:
    """Raise ``InputNotFound`` for a pipe, a socket or a device: it may never end, or never begin.

    A pipe of the shell's own, ``/dev/fd/63``, is what somebody asked for.
    """
    if not (modes.S_ISREG(mode) or modes.S_ISDIR(mode) or place.startswith(("/dev/fd/", "/proc/"))):
        raise InputNotFound(
            f"{place} is no file but a pipe, a socket or a device",
            hint="save what it gives to a file first",
        )


def too_large(place: str, max_bytes: int) -> ImageTooLarge:
    """The error for a file of more than ``max_bytes``."""
    return ImageTooLarge(
        f"{plain(place)} is larger than {max_bytes / (1 << 20):.0f} MiB",
        hint="save a smaller copy first",
    )


def write(place: str, data: bytes) -> None:
    """Write a file whole or not at all, making its folder; when this returns it is durable.

    On a local disk file and folder are synced. Raises ``OutputNotWritable``, ``StorageFailed``.
    """
    kind = scheme(place)
    if kind in _WEB:
        raise OutputNotWritable(
            f"{plain(place)} cannot be written", hint="choose a folder or s3://"
        )
    if kind:
        from cleancut.batch import remote

        remote.write(place, data)
        return
    folder = parent(place)
    make_folder(folder)
    write_atomic(place, data)
    sync_folder(folder)


def make_folder(folder: str) -> None:
    """Make a local folder and those above it, durably; ``OutputNotWritable`` if that fails."""
    if os.path.isdir(folder):  # noqa: PTH112
        return
    above = parent(folder)
    if above != folder:
        make_folder(above)
    try:
        os.mkdir(folder)  # noqa: PTH102
    except FileExistsError:
        if not os.path.isdir(folder):  # noqa: PTH112
            raise OutputNotWritable(
                f"{folder} is a file, not a folder", hint="choose another output folder"
            ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise OutputNotWritable(
            f"the folder {folder} cannot be made: {reason}",
            hint="check the permissions, or choose another output folder",
        ) from error
    sync_folder(above)


def sync_folder(folder: str) -> None:
    """Make the names in a local folder durable, where the system has a way to do so."""
    if os.name == "nt":
        return
    with suppress(OSError):  # some network drives refuse; the file itself was synced
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def exists(place: str) -> bool:
    """Whether there is anything of this name, a broken link included."""
    if is_remote(place):
        try:
            stat(place)
        except InputNotFound:
            return False
        return True
    return os.path.lexists(place)


def stat(place: str) -> Found:
    """Size and version of one file; ``InputNotFound`` if there is none."""
    kind = scheme(place)
    if kind in _WEB:
        return Found(place, base_name(place))
    if kind:
        from cleancut.batch import remote

        return remote.stat(place)
    try:
        facts = os.stat(place)  # noqa: PTH116
    except FileNotFoundError as error:
        raise missing(place) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputNotFound(
            f"{place!s:.200} cannot be read: {reason}", hint="check the path"
        ) from error
    if modes.S_ISDIR(facts.st_mode):
        raise InputNotFound(f"{place} is a folder", hint="hand in the files in it")
    return Found(place, base_name(place), facts.st_size, version_of(facts))


def version_of(facts: os.stat_result) -> str:
    """Size and time of change, the version of a local file."""
    return f"{facts.st_size}-{facts.st_mtime_ns}"


def is_folder(place: str) -> bool:
    """Whether ``place`` is a folder, or a prefix under which something lies."""
    kind = scheme(place)
    if kind in _WEB:
        return False
    if kind:
        from cleancut.batch import remote

        return remote.is_folder(place)
    return os.path.isdir(place)  # noqa: PTH112


def remove(place: str) -> None:
    """Delete one file; nothing happens if there is none."""
    if is_remote(place):
        from cleancut.batch import remote

        remote.remove(place)
        return
    with suppress(FileNotFoundError):
        os.unlink(place)  # noqa: PTH108


def walk(root: str, *, leave_out: LeaveOut = _ignore) -> Iterator[Found]:
    """Every file below ``root``, folder by folder, sorted; looked at one by one."""
    for folder in folders(root, leave_out=leave_out):
        for at in range(len(folder.files)):
            yield folder.found(at)


def folders(root: str, *, leave_out: LeaveOut = _ignore) -> Iterator[Folder]:
    """``root`` and every folder below it, parents first, sorted; one is read when it is reached.

    A folder that cannot be read is told to ``leave_out`` and passed over, except the root itself:
    ``InputNotFound``. Links to folders are followed, but never back into ``root`` or twice.
    """
    if is_remote(root):
        from cleancut.batch import remote

        yield from remote.folders(root, leave_out=leave_out)
        return
    from cleancut.batch import tree

    yield from tree.folders(root, leave_out=leave_out)


def listing(folder: str) -> set[str]:
    """The names in one folder; empty if there is no such folder."""
    if is_remote(folder):
        from cleancut.batch import remote

        return remote.listing(folder)
    try:
        return set(os.listdir(folder))  # noqa: PTH208
    except (FileNotFoundError, NotADirectoryError):
        return set()
    except OSError as error:
        raise InputNotFound(
            f"{folder} cannot be read: {error.strerror}", hint="check the permissions"
        ) from error
