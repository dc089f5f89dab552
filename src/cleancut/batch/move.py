"""Inputs that are through go to a folder of their own; nothing is ever lost or replaced there.

Only ``--move-done`` asks for this. A picture is moved after its output is durable and the ledger
says so; a run that was killed in between is completed by the next.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from typing import IO

from cleancut.batch import names, storage
from cleancut.batch.inputs import Inputs, check_places
from cleancut.batch.job import Job
from cleancut.errors import BadOption, InputNotFound, OutputNotWritable

_CHUNK = 1 << 20


def check_move(inputs: Inputs, out: str, folder: str) -> None:
    """Refuse a folder for done inputs that cannot work, before any picture is cut.

    Raises ``BadOption`` (addresses of the web cannot be moved; inputs and folder must both be on
    this machine or both in one object store) and ``OutputNotWritable``.
    """
    try:
        check_places(inputs, folder)
    except OutputNotWritable as error:
        raise OutputNotWritable(f"--move-done: {error.message}", hint=error.hint) from error
    places = [tree.place for tree in inputs.trees] + [place for place, _ in inputs.files]
    wanted = storage.scheme(folder)
    for place in places:
        if storage.is_web(place) or storage.scheme(place) != wanted:
            raise BadOption(
                f"--move-done: {storage.plain(place)} cannot be moved to {storage.plain(folder)}",
                hint="both on this machine, or both in one object store",
            )
    if storage.canonical(folder) == storage.canonical(out):
        raise BadOption(
            "--move-done: the inputs would go among the results", hint="choose another folder"
        )


def move_done(job: Job, folder: str) -> str | None:
    """Move the source of a done job to ``folder``, keeping its tree; where it is now.

    None if there is nothing to move: the source is gone (moved before), or has changed since it
    was read and is to be done again. A file that is there already stays, and the source gets
    another name; if it is the same file, byte for byte, a killed run left both, and the source
    goes. Raises ``OutputNotWritable``; then the source is where it was.
    """
    try:
        if storage.stat(job.source).version != job.version:
            return None
    except InputNotFound:
        return None
    move = _move_object if storage.is_remote(job.source) else _move_file
    for name in _names(job):
        target = storage.join(folder, name)
        if move(job.source, target):
            return target
    raise OutputNotWritable(
        f"{storage.plain(job.source)} cannot be moved: every name is taken",
        hint=f"choose another folder than {storage.plain(folder)}",
    )


def _names(job: Job) -> Iterator[str]:
    path = job.path or storage.base_name(job.source)
    above, slash, own = path.rpartition("/")
    stem, suffix = names.split(own)
    yield path
    yield f"{above}{slash}{stem}-{job.id[:6]}{suffix}"
    # Later states of the same picture: the version tells them apart.
    yield f"{above}{slash}{stem}-{names.digest(job.id + job.version)}{suffix}"


def _move_file(source: str, target: str) -> bool:
    """Whether ``source`` is at ``target`` now; False if something else is there."""
    if os.path.lexists(target):
        if not _same(source, target):
            return False
        _unlink(source)
        return True
    if os.path.islink(source):  # noqa: PTH114
        raise OutputNotWritable(
            f"{source} is a link, which is not moved", hint="move what it points at by hand"
        )
    folder = storage.parent(target)
    storage.make_folder(folder)
    try:
        # A link fails where a rename would replace what somebody has put there just now.
        os.link(source, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise _failed(source, folder, error) from error
        return _copy_and_unlink(source, target)
    storage.sync_folder(folder)
    _unlink(source)
    return True


def _copy_and_unlink(source: str, target: str) -> bool:
    """For another disk, or one that knows no links."""
    folder = storage.parent(target)
    fresh = os.path.join(folder, f".cleancut-{names.digest(target)}.part")  # noqa: PTH118
    try:
        with open(source, "rb") as given, open(fresh, "wb") as file:  # noqa: PTH123
            shutil.copyfileobj(given, file, _CHUNK)
            file.flush()
            os.fsync(file.fileno())
        with suppress(OSError):  # a drive that knows no owners or times still holds the bytes
            shutil.copystat(source, fresh)
        if os.path.lexists(target):
            return False
        os.rename(fresh, target)  # noqa: PTH104
        storage.sync_folder(folder)
    except OSError as error:
        raise _failed(source, folder, error) from error
    finally:
        with suppress(FileNotFoundError):
            os.unlink(fresh)  # noqa: PTH108
    _unlink(source)
    return True


def _unlink(source: str) -> None:
    try:
        os.unlink(source)  # noqa: PTH108
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputNotWritable(
            f"{source} was copied, but cannot be removed: {error.strerror}",
            hint="check the permissions of its folder, then run again",
        ) from error
    storage.sync_folder(storage.parent(source))


def _same(source: str, target: str) -> bool:
    """Whether two files hold the same bytes."""
    try:
        if os.path.samefile(source, target):  # noqa: PTH121
            # One file under two names is a move half done, but a name of its own would be lost
            # if both are spellings of one name.
            return not _same_name(source, target)
        if os.path.getsize(source) != os.path.getsize(target):  # noqa: PTH202
            return False
        with open(source, "rb") as one, open(target, "rb") as other:  # noqa: PTH123
            return _alike(one, other)
    except OSError:
        return False


def _same_name(source: str, target: str) -> bool:
    one, other = (os.path.realpath(place) for place in (source, target))
    return names.fold(one) == names.fold(other)


def _alike(one: IO[bytes], other: IO[bytes]) -> bool:
    while part := one.read(_CHUNK):
        if part != other.read(_CHUNK):
            return False
    return not other.read(1)


def _failed(source: str, folder: str, error: OSError) -> OutputNotWritable:
    return OutputNotWritable(
        f"{source} cannot be moved to {folder}: {error.strerror or error}",
        hint="check the disk's space and the folder's permissions, then run again",
    )


def _move_object(source: str, target: str) -> bool:
    from cleancut.batch import remote

    if storage.exists(target):
        if storage.stat(target).version != storage.stat(source).version:
            return False
    else:
        remote.copy(source, target)
    storage.remove(source)
    return True
