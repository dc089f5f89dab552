"""Which photographs are to be labelled: everything below a folder, each content once."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cleancut.distill.labels import stem_of
from cleancut.errors import BadOption, CleancutError, InputError, InputNotFound
from cleancut.imaging.files import read_bytes

_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".avif", ".heic", ".heif")
)


@dataclass(frozen=True, slots=True)
class Photo:
    """A photograph: ``name`` is its path below the folder, with "/"."""

    name: str
    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class Photographs:
    """``photos`` in the order of their digests, which is no order of names or folders.

    ``failed`` are the errors of files that cannot be read or told apart from others;
    ``duplicates`` are pairs of names, the copy before what it is a copy of.
    """

    photos: tuple[Photo, ...]
    failed: tuple[tuple[str, CleancutError], ...]
    duplicates: tuple[tuple[str, str], ...]


def check_folder(folder: Path) -> None:
    """Raise ``InputNotFound`` unless ``folder`` is one."""
    if not folder.is_dir():
        raise InputNotFound(f"{folder} is not a folder", hint="give a folder of photographs")


def find_photographs(
    folder: Path,
    apart_from: Path,
    progress: Callable[[int, int, str], None],
    stop: threading.Event,
) -> Photographs:
    """The photographs in ``folder`` and below, but none below ``apart_from``.

    Hidden files and folders, pipes and devices are passed over and links to folders not followed.
    Raises
    ``InputNotFound`` if there is no photograph. Once ``stop`` is set what was seen so far is told.
    """
    check_folder(folder)
    names = sorted(_names(folder, apart_from.resolve()))
    if not names:
        raise InputNotFound(f"{folder} holds no photographs", hint="give a folder of photographs")
    by_digest: dict[str, Photo] = {}
    by_stem: dict[str, str] = {}
    failed: list[tuple[str, CleancutError]] = []
    duplicates: list[tuple[str, str]] = []
    for number, name in enumerate(names, 1):
        if stop.is_set():
            break
        try:
            digest = hashlib.sha256(read_bytes(folder / name)).hexdigest()
        except InputError as error:
            failed.append((name, error))
            continue
        twin = by_digest.get(digest)
        other = by_stem.get(stem_of(name).casefold())
        if twin is not None:
            duplicates.append((name, twin.name))
        elif other is not None:
            failed.append((name, _same_name(name, other)))
        else:
            by_digest[digest] = Photo(name, folder / name, digest)
            by_stem[stem_of(name).casefold()] = name
        progress(number, len(names), name)
    photos = tuple(by_digest[digest] for digest in sorted(by_digest))
    return Photographs(photos, tuple(failed), tuple(duplicates))


def _names(folder: Path, apart_from: Path) -> Iterator[str]:
    for place, below, files in os.walk(folder):
        here = Path(place)
        below[:] = [
            name for name in below if name[0] != "." and (here / name).resolve() != apart_from
        ]
        for name in files:
            if name[0] == "." or Path(name).suffix.lower() not in _SUFFIXES:
                continue
            if (here / name).is_file():  # reading a pipe would wait for ever
                yield (here / name).relative_to(folder).as_posix()


def _same_name(name: str, other: str) -> BadOption:
    return BadOption(
        f"{name} differs from {other} in its suffix only, and their mattes would be one file",
        hint="rename one of them",
    )
