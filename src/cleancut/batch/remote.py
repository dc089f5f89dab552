"""Object stores through fsspec: ``s3`` (s3fs), ``gs`` (gcsfs) and ``az`` (adlfs).

Endpoints and credentials are those of the environment, as the stores' own tools read them
(``AWS_*``, ``GOOGLE_APPLICATION_CREDENTIALS``, ``AZURE_STORAGE_*``). An object appears whole or
not at all, which is why writing needs no temporary name.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

from cleancut.batch.storage import Folder, Found, LeaveOut, plain, scheme, too_large
from cleancut.errors import BadOption, InputNotFound, OutputNotWritable, StorageFailed
from cleancut.extras import extra

_PAGE = 1000
_LOST = ("NoSuchKey", "NoSuchBucket", "404")


@cache
def _system(kind: str) -> Any:
    """The fsspec file system, made once; importing it by hand gives the pip line."""
    with extra(kind):
        if kind == "s3":
            import s3fs  # type: ignore[import-untyped,unused-ignore] # noqa: F401
        elif kind == "gs":
            import gcsfs  # type: ignore[import-not-found,unused-ignore] # noqa: F401
        else:
            import adlfs  # type: ignore[import-not-found,unused-ignore] # noqa: F401
        import fsspec
    return fsspec.filesystem(kind, use_listings_cache=False)


def _open(place: str) -> tuple[Any, str]:
    """The file system of ``place`` and the key in it; ``BadOption`` without a bucket."""
    kind = scheme(place)
    key = place.partition("://")[2].rstrip("/")
    if not key or key.startswith("/") or "@" in key.partition("/")[0]:
        raise BadOption(f"{plain(place)} names no bucket", hint=f"like {kind}://bucket/folder")
    return _system(kind), key


@contextmanager
def _faults(place: str, *, writing: bool = False) -> Iterator[None]:
    """What fsspec and the stores' clients raise, as our errors and without their secrets."""
    try:
        yield
    except (BadOption, InputNotFound, OutputNotWritable, StorageFailed):
        raise
    except FileNotFoundError as error:
        if writing:
            raise OutputNotWritable(
                f"{plain(place)}: there is no such bucket", hint="create it first"
            ) from error
        raise InputNotFound(f"no such file: {plain(place)}", hint="check bucket and key") from error
    except PermissionError as error:
        kind = OutputNotWritable if writing else InputNotFound
        raise kind(
            f"{plain(place)} may not be {'written' if writing else 'read'}",
            hint="check the credentials in the environment and what they allow",
        ) from error
    except Exception as error:
        name = type(error).__name__
        if "Credentials" in name or "Credential" in name:
            raise StorageFailed(
                f"{plain(place)}: there are no credentials for this store",
                hint="set them in the environment, as for the store's own command line",
            ) from error
        if _empty_range(error):
            raise
        raise StorageFailed(
            f"{plain(place)} cannot be {'written' if writing else 'read'}: {_told(error)}",
            hint="check the endpoint and the connection, then run again",
        ) from error


def _told(error: Exception) -> str:
    """The kind of an error and the store's code for it; its text may hold a signed address."""
    answer = getattr(error, "response", None)
    code = answer.get("Error", {}).get("Code") if isinstance(answer, dict) else None
    if not code and isinstance(error, OSError) and error.strerror:
        code = error.strerror
    return f"{type(error).__name__}{f' ({code})' if code else ''}"[:120]


def _empty_range(error: BaseException) -> bool:
    """Whether a store refused the first byte of an object that has none (HTTP 416)."""
    text = f"{error} {_told(error) if isinstance(error, Exception) else ''}"
    return "InvalidRange" in text or "416" in text or "not satisfiable" in text.lower()


def read(place: str, *, max_bytes: int) -> bytes:
    """The bytes of an object, of which never more than ``max_bytes`` + 1 are asked for."""
    from cleancut.errors import UnreadableImage

    system, key = _open(place)
    data = b""
    try:
        with _faults(place):
            data = system.cat_file(key, start=0, end=max_bytes + 1)
    except Exception as error:
        if not _empty_range(error):
            raise
    if len(data) > max_bytes:
        raise too_large(place, max_bytes)
    if not data:
        raise UnreadableImage(f"{plain(place)} is empty (0 bytes)", hint="upload it again")
    return bytes(data)


def read_many(places: Sequence[str]) -> list[bytes]:
    """The bytes of many small objects, read side by side."""
    if not places:
        return []
    system, _ = _open(places[0])
    with _faults(places[0]):
        found = system.cat([_open(place)[1] for place in places])
    return [bytes(found[_open(place)[1]]) for place in places]


def write(place: str, data: bytes) -> None:
    """Put one object."""
    system, key = _open(place)
    facts: dict[str, Any] = {}
    kind = mimetypes.guess_type(key)[0]
    if kind and scheme(place) == "s3":
        facts["ContentType"] = kind
    with _faults(place, writing=True):
        system.pipe_file(key, data, **facts)


def fetch(place: str, path: str) -> None:
    """Copy an object to a local file, however large it is."""
    system, key = _open(place)
    with _faults(place):
        system.get_file(key, path)


def send(path: str, place: str) -> None:
    """Copy a local file to an object, however large it is."""
    system, key = _open(place)
    with _faults(place, writing=True):
        system.put_file(path, key)


def remove(place: str) -> None:
    """Delete one object; nothing happens if there is none."""
    system, key = _open(place)
    with _faults(place, writing=True):
        try:
            system.rm_file(key)
        except FileNotFoundError:
            return


def copy(source: str, target: str) -> None:
    """Copy within one store, without the bytes passing through here."""
    system, key = _open(source)
    with _faults(target, writing=True):
        system.cp_file(key, _open(target)[1])


def stat(place: str) -> Found:
    """Size and version of one object."""
    system, key = _open(place)
    with _faults(place):
        facts = system.info(key)
    if facts.get("type") == "directory":
        raise InputNotFound(f"{plain(place)} is a folder", hint="hand in the objects in it")
    size, version = _facts(facts)
    return Found(place, key.rpartition("/")[2], size, version)


def _facts(facts: dict[str, Any]) -> tuple[int | None, str]:
    size = facts.get("size")
    for name in ("ETag", "etag", "md5Hash", "content_md5", "generation", "LastModified", "mtime"):
        if facts.get(name):
            return size, str(facts[name]).strip('"')
    return size, ""


def is_folder(place: str) -> bool:
    """Whether anything lies under this prefix."""
    system, key = _open(place)
    with _faults(place):
        return bool(system.isdir(key))


def listing(folder: str) -> set[str]:
    """The names directly under a prefix; empty if there is nothing."""
    system, key = _open(folder)
    with _faults(folder):
        try:
            names = system.ls(key, detail=False)
        except FileNotFoundError:
            return set()
    return {name.rstrip("/").rpartition("/")[2] for name in names}


def folders(root: str, *, leave_out: LeaveOut) -> Iterator[Folder]:
    """``storage.folders`` for object stores: one listing a prefix."""
    system, base = _open(root)
    waiting = [""]
    while waiting:
        name = waiting.pop()
        key = f"{base}/{name}" if name else base
        place = f"{scheme(root)}://{key}"
        try:
            with _faults(place):
                files, below = _listed(system, key, leave_out)
        except (InputNotFound, StorageFailed) as error:
            if not name:
                raise
            leave_out("unreadable-folder", f"{plain(place)} ({error.message})")
            continue
        names = [file[0] for file in files]
        folder = Folder(place, name, names, below, partial(_found, place, name, files))
        yield folder
        prefix = f"{name}/" if name else ""
        waiting.extend(prefix + folder_name for folder_name in reversed(folder.folders))


_Listed = tuple[str, int | None, str]


def _listed(system: Any, key: str, leave_out: LeaveOut) -> tuple[list[_Listed], list[str]]:
    """Files (name, size, version) and folders directly under ``key``, sorted."""
    files: list[_Listed] = []
    below: set[str] = set()
    for facts in system.ls(key, detail=True):
        name = facts["name"].rstrip("/")[len(key) + 1 :]
        # An object may be called "a//b" or "..": no folder of that name can be made elsewhere.
        if not name or "/" in name or name in (".", ".."):
            if facts["name"].rstrip("/") != key or facts.get("type") == "directory":
                leave_out("odd-name", facts["name"])
            continue
        if facts.get("type") == "directory":
            below.add(name)
        elif not facts["name"].endswith("/"):
            files.append((name, *_facts(facts)))
    files.sort()
    return files, sorted(below)


def _found(place: str, below: str, files: Sequence[_Listed], at: int) -> Found:
    name, size, version = files[at]
    return Found(f"{place}/{name}", f"{below}/{name}" if below else name, size, version)
