"""Bring weights that are already on this machine into the store: a file, or a folder of them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from cleancut.catalog import ModelSpec, Part, WeightFile, catalog, find
from cleancut.errors import InputNotFound, UnknownModel, WeightsCorrupt
from cleancut.weights.convert import check_tools
from cleancut.weights.digest import sha256_of
from cleancut.weights.folders import Environ, models_folder
from cleancut.weights.lock import held
from cleancut.weights.manifest import manifest_path, read_manifest
from cleancut.weights.resolve import Found
from cleancut.weights.store import disk_errors, lock_path, put, staging

_FILES_LIMIT = 2000


@dataclass(frozen=True, slots=True)
class Imported:
    """A model that came into the store, and the files it was made from."""

    id: str
    path: Path
    sha256: str
    files: tuple[Path, ...]


def import_path(
    path: Path, name: str | None = None, *, environ: Environ | None = None
) -> list[Imported]:
    """Recognise weights by sha256, whatever they are called, and prepare and store them.

    ``path`` is a file, or a folder, of which every recognised file is taken (two levels deep, so a
    copy of another machine's store works, prepared files and their manifests included). With
    ``name`` it must be that model; where the catalog knows no hash of it, any sound ONNX file is
    taken and pinned. Raises ``InputNotFound``, ``UnknownModel`` if nothing is
    recognised, ``WeightsCorrupt`` if it is not ``name``, ``MissingDependency`` if a conversion
    lacks its extra.
    """
    wanted = find(name) if name else None
    if path.is_dir():
        files = [p for p in _files(path) if p.stat().st_size in _sizes() or read_manifest(p)]
    elif path.is_file():
        files = [path]
    else:
        raise InputNotFound(f"{path}: there is no such file", hint="check the path")
    hashes = {_hash(file): file for file in files}
    done: dict[str, Imported] = {}
    for spec in [wanted] if wanted else list(catalog().values()):
        for row in spec.weights:
            weight = row
            if wanted and not row.pinned and path.is_file():
                weight = _brought(row, path, next(iter(hashes)))
            if spec.id not in done and (found := _take(spec, weight, hashes, path, environ)):
                done[spec.id] = found
    if not done:
        raise _unrecognised(path, hashes, wanted)
    return list(done.values())


def _brought(weight: WeightFile, path: Path, digest: str) -> WeightFile:
    """A row without a known hash, pinned to the file that the user says is the model."""
    return replace(weight, parts=(Part(path.name, path.stat().st_size, digest),))


def _take(
    spec: ModelSpec,
    weight: WeightFile,
    hashes: dict[str, Path],
    path: Path,
    environ: Environ | None,
) -> Imported | None:
    for digest, file in hashes.items():
        kept = read_manifest(file)
        if kept and kept.sha256 == digest and kept.model == spec.id and kept.matches(weight):
            return _copy_prepared(spec, weight, file, digest, environ)
    first = weight.parts[0].sha256
    if first not in hashes:
        return None
    parts = [_part(part, hashes, hashes[first].parent, path) for part in weight.parts]
    check_tools(weight)
    folder = models_folder(environ) / spec.id
    with disk_errors(folder), held(lock_path(spec, environ)):
        work = staging(spec, weight, environ)
        copies = [
            Path(shutil.copyfile(file, work / part.name))
            for part, file in zip(weight.parts, parts, strict=True)
        ]
        for part, copy in zip(weight.parts, copies, strict=True):
            if sha256_of(copy) != part.sha256:
                raise WeightsCorrupt(f"{part.name} changed while it was copied")
        found = put(spec, weight, copies, f"file {parts[0]}", environ=environ)
    return _imported(spec, found, tuple(parts))


def _part(part: Part, hashes: dict[str, Path], folder: Path, path: Path) -> Path:
    """The file of a part: among those looked at, else beside the first part."""
    beside = folder / part.name
    if part.sha256 in hashes:
        return hashes[part.sha256]
    if beside.is_file() and sha256_of(beside) == part.sha256:
        return beside
    raise WeightsCorrupt(
        f"{path}: {part.name}, which belongs to it, is missing or another file",
        hint=f"put {part.name} into the same folder",
    )


def _copy_prepared(
    spec: ModelSpec, weight: WeightFile, file: Path, digest: str, environ: Environ | None
) -> Imported:
    folder = models_folder(environ) / spec.id
    with disk_errors(folder), held(lock_path(spec, environ)):
        work, target = staging(spec, weight, environ), folder / weight.file
        if not (target.is_file() and target.samefile(file)):
            ready = Path(shutil.copyfile(file, work / "ready.onnx"))
            text = Path(shutil.copyfile(manifest_path(file), work / "ready.json"))
            if sha256_of(ready) != digest:
                raise WeightsCorrupt(f"{file} changed while it was copied")
            ready.replace(target)
            text.replace(manifest_path(target))
        shutil.rmtree(work.parent, ignore_errors=True)
    return _imported(spec, Found(target, digest, "store", weight), (file,))


def _imported(spec: ModelSpec, found: Found, files: tuple[Path, ...]) -> Imported:
    return Imported(spec.id, found.path, found.sha256, files)


def _files(folder: Path) -> Iterator[Path]:
    """Regular files in the folder and its folders, hidden ones left out."""
    seen = 0
    for pattern in ("*", "*/*"):
        for path in sorted(folder.glob(pattern)):
            if path.is_file() and not any(p.startswith(".") for p in path.parts[-2:]):
                seen += 1
                if seen > _FILES_LIMIT:
                    raise UnknownModel(
                        f"{folder}: more than {_FILES_LIMIT} files",
                        hint="name the folder that holds the weights",
                    )
                yield path


def _sizes() -> set[int]:
    return {p.bytes for s in catalog().values() for w in s.weights for p in w.parts}


def _hash(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise InputNotFound(
            f"{path}: cannot be read ({error.strerror})", hint="check the file's permissions"
        ) from error


def _unrecognised(
    path: Path, hashes: dict[str, Path], wanted: ModelSpec | None
) -> UnknownModel | WeightsCorrupt:
    hint = f"any ONNX runs by its path as a custom model: cleancut cut PICTURE --model {path}"
    if path.is_dir():
        return UnknownModel(f"{path}: holds no weights of the catalog", hint=hint)
    digest = next(iter(hashes))
    if wanted:
        return WeightsCorrupt(
            f"{path}: not the weights of {wanted.id} (sha256 {digest})", hint=hint
        )
    return UnknownModel(f"{path}: sha256 {digest} is not in the catalog", hint=hint)
