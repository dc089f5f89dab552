"""The store: put weights into it, list, verify and remove them; those in the package are verified.

A model's folder is ``<home>/models/<id>/``. Files come into it by an atomic rename after their
hashes were checked and they were synced to disk, so that at any moment there is the old file, the
new one, or none.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cleancut.catalog import ModelSpec, WeightFile, catalog, find
from cleancut.errors import WeightsError, WeightsMissing
from cleancut.weights.convert import prepare
from cleancut.weights.digest import sha256_of
from cleancut.weights.folders import Environ, cache_folder, home, models_folder, places
from cleancut.weights.lock import held
from cleancut.weights.manifest import Manifest, manifest_path, manifest_text, read_manifest
from cleancut.weights.optimized import Optimized, copy_path, copy_text, problem_of_copy
from cleancut.weights.resolve import Found, candidates, check, remedy


@dataclass(frozen=True, slots=True)
class Stored:
    """One file in the store or the package; ``problem`` is empty, or says what is wrong with it.

    ``int8`` marks the copy that was made of the weights.
    """

    id: str
    path: Path
    bytes: int
    manifest: Manifest | None
    problem: str = ""
    int8: bool = False

    @property
    def remedy(self) -> str:
        """The command that puts a sound file in its place."""
        return f"cleancut models optimize {self.id}" if self.int8 else remedy(find(self.id))


def installed(environ: Environ | None = None) -> list[Stored]:
    """What is in the store, by the catalog's order; not verified."""
    return [
        Stored(spec.id, path, path.stat().st_size, read_manifest(path))
        for spec in catalog().values()
        for place, _, path in candidates(spec, environ)
        if place.kind == "store"
    ]


def verify(names: Iterable[str] = (), *, environ: Environ | None = None) -> list[Stored]:
    """Hash the stored files again; each answer's ``problem`` is empty if it is sound.

    Without ``names`` all files of the store and the package, int8 copies included. Raises
    ``UnknownModel`` for a wrong name and ``WeightsMissing`` for a model that is in neither.
    """
    wanted = [find(name) for name in names]
    found: list[Stored] = []
    for spec in wanted or catalog().values():
        mine = [c for c in candidates(spec, environ) if c[0].kind in ("store", "bundled")]
        if spec.bundled and not mine:
            found.append(_lost(spec, environ))
            continue
        if wanted and not mine and not copy_path(spec, environ).is_file():
            raise _not_stored(spec)
        for place, weight, path in mine:
            sound = check(place, weight, path, cache_folder(environ), rehash=True)
            problem = "" if sound else _problem(weight, path)
            found.append(Stored(spec.id, path, path.stat().st_size, read_manifest(path), problem))
        if copy := _verify_copy(spec, environ):
            found.append(copy)
    return found


def _lost(spec: ModelSpec, environ: Environ | None) -> Stored:
    (folder,) = (place.folder for place in places(environ) if place.kind == "bundled")
    return Stored(spec.id, folder / spec.weights[0].file, 0, None, "missing in the package")


def _verify_copy(spec: ModelSpec, environ: Environ | None) -> Stored | None:
    path = copy_path(spec, environ)
    if not path.is_file():
        return None
    problem = problem_of_copy(spec, environ)
    return Stored(spec.id, path, path.stat().st_size, None, problem, int8=True)


def remove(names: Iterable[str], *, environ: Environ | None = None) -> list[Path]:
    """Delete models from the store, interrupted downloads included; the files deleted.

    Of a model that ships with the package only what was made of it here, its int8 copy. Raises
    ``WeightsMissing`` for a model that is not in the store.
    """
    removed: list[Path] = []
    for spec in [find(name) for name in names]:
        folder = models_folder(environ) / spec.id
        if not folder.is_dir():
            raise _not_stored(spec)
        with disk_errors(folder), held(lock_path(spec, environ)):
            removed.extend(path for path in sorted(folder.rglob("*")) if path.is_file())
            shutil.rmtree(folder)
    return removed


def delete_copy(spec: ModelSpec, *, environ: Environ | None = None) -> list[Path]:
    """Delete the int8 copy of a model and keep the model; the files deleted.

    Raises ``WeightsMissing`` if there is no copy.
    """
    path = copy_path(spec, environ)
    with disk_errors(path.parent), held(lock_path(spec, environ)):
        removed = [file for file in (path, manifest_path(path)) if file.is_file()]
        for file in removed:
            file.unlink()
    if not removed:
        raise WeightsMissing(
            f"{spec.id} has no int8 copy in the store",
            hint=f"run: cleancut models optimize {spec.id}",
        )
    return removed


def put(
    spec: ModelSpec,
    weight: WeightFile,
    parts: list[Path],
    source: str,
    *,
    environ: Environ | None = None,
) -> Found:
    """Prepare verified ``parts``, which lie in ``staging()``, and move the result into the store.

    To be called with the model's lock held. The parts are used up. Whatever fails, the old file
    stays as it is.
    """
    work = staging(spec, weight, environ)
    ready = work / "ready.onnx"
    if weight.prepare:
        tools = prepare(weight, parts, ready, spec.recipe.output)
        digest = sha256_of(ready)
    else:
        parts[0].replace(ready)
        tools, digest = {}, weight.sha256
    manifest = Manifest(
        model=spec.id,
        file=weight.file,
        parts=tuple((part.name, part.bytes, part.sha256) for part in weight.parts),
        prepare=weight.prepare,
        bytes=ready.stat().st_size,
        sha256=digest,
        source=source,
        date=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        tools=tools,
    )
    target = models_folder(environ) / spec.id / weight.file
    text = work / "ready.json"
    text.write_text(manifest_text(manifest), "utf-8")
    for path in (ready, text):
        _sync(path)
    ready.replace(target)
    text.replace(manifest_path(target))
    _sync_folder(target.parent)
    shutil.rmtree(work.parent, ignore_errors=True)
    return Found(target, digest, "store", weight)


def put_copy(
    spec: ModelSpec, copy: Optimized, ready: Path, *, environ: Environ | None = None
) -> Optimized:
    """Move the int8 copy ``ready``, which lies on the store's disk, beside its original.

    To be called with the model's lock held. Whatever fails, an earlier copy stays as it is; a
    crash between both renames leaves one that is refused as damaged.
    """
    target = copy_path(spec, environ)
    text = ready.with_name(ready.name + ".json")
    text.write_text(copy_text(copy), "utf-8")
    for path in (ready, text):
        _sync(path)
    ready.replace(target)
    text.replace(manifest_path(target))
    _sync_folder(target.parent)
    return copy


def staging(spec: ModelSpec, weight: WeightFile, environ: Environ | None = None) -> Path:
    """Folder for what is unfinished, on the store's disk; an interrupted pull goes on here."""
    folder = models_folder(environ) / spec.id / ".pull" / weight.file
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def lock_path(spec: ModelSpec, environ: Environ | None = None) -> Path:
    """The lock file of a model; outside its folder, so that removing the model leaves it."""
    return home(environ) / "locks" / f"{spec.id}.lock"


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn ``OSError`` into ``WeightsError``: a full disk, a read-only or forbidden folder."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise full_disk(folder) from error
        raise WeightsError(
            f"{folder}: cannot be written ({error.strerror or error})",
            hint="set CLEANCUT_HOME to a folder you may write to",
        ) from error


def _problem(weight: WeightFile, path: Path) -> str:
    kept = read_manifest(path)
    if kept is None:
        return "not the catalogued file, and no manifest says what it was made from"
    if not kept.matches(weight):
        return "made from other weights than the catalogued ones"
    return "the file is not the one its manifest describes"


def _not_stored(spec: ModelSpec) -> WeightsMissing:
    if spec.bundled:
        return WeightsMissing(
            f"{spec.id} is a part of the package; the store has nothing of it",
            hint="it goes with: pip uninstall cleancut",
        )
    return WeightsMissing(f"{spec.id} is not in the store", hint=f"run: {remedy(spec)}")


def full_disk(folder: Path, need: int = 0) -> WeightsError:
    """The error of a disk on which ``need`` bytes (0: unknown) find no place."""
    wanted = f"free {need >> 20} MB there" if need else "free some space there"
    return WeightsError(
        f"{folder}: not enough space on the disk",
        hint=f"{wanted}, or set CLEANCUT_HOME to a folder on another disk",
    )


def _sync(path: Path) -> None:
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name != "nt":  # Windows cannot open folders
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
