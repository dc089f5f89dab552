"""Find a model's weights on this machine, verified by sha256 before they are handed out.

Order: explicit path, ``CLEANCUT_MODELS``, bundled with the package, the store, rembg's folders.
Nothing is downloaded here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cleancut.catalog import ModelSpec, WeightFile
from cleancut.errors import WeightsCorrupt, WeightsMissing
from cleancut.weights.digest import remembered_sha256, sha256_of
from cleancut.weights.folders import Environ, Place, PlaceKind, cache_folder, places
from cleancut.weights.manifest import read_manifest

#: What puts a file of the package back.
REINSTALL = "pip install --force-reinstall --no-deps cleancut"


@dataclass(frozen=True, slots=True)
class Found:
    """A verified weight file.

    ``sha256`` is that of the file at ``path`` (a part of cache keys); ``prepared`` says that it is
    ready to run, False for a raw file in a foreign folder that still has its unused outputs.
    ``weight`` is None for a file given by path, which nothing can be checked against.
    """

    path: Path
    sha256: str
    where: PlaceKind | Literal["path"]
    weight: WeightFile | None = None
    prepared: bool = True


def resolve(spec: ModelSpec, *, environ: Environ | None = None) -> Found:
    """The first place that holds the weights of ``spec``, verified.

    Raises ``WeightsMissing`` if no place has them, ``WeightsCorrupt`` if the store's or the
    package's own file is not what it should be. A wrong file in any other folder is passed over
    and named in the error.
    """
    cache = cache_folder(environ)
    if spec.path is not None:
        return _given(spec.path.expanduser(), cache)
    wrong: list[Path] = []
    broken: Path | None = None
    for place, weight, path in candidates(spec, environ):
        if found := check(place, weight, path, cache):
            return found
        wrong.append(path)
        if place.kind in ("store", "bundled"):
            broken = path
    if broken:
        raise WeightsCorrupt(
            f"{spec.id}: {broken} is damaged or not the catalogued file",
            hint=f"run: {remedy(spec)}",
        )
    raise WeightsMissing(_missing(spec, wrong, environ), hint=f"run: {remedy(spec)}")


def remedy(spec: ModelSpec) -> str:
    """The command that puts the weights of ``spec`` onto this machine."""
    return REINSTALL if spec.bundled else f"cleancut models pull {spec.id}"


def is_pulled(spec: ModelSpec, *, environ: Environ | None = None) -> Path | None:
    """Where the weights seem to be, judged by name and size only; None if they are nowhere.

    For listings: cheap, and no promise. ``resolve`` is what verifies.
    """
    if spec.path is not None:
        path = spec.path.expanduser()
        return path if path.is_file() else None
    for place, weight, path in candidates(spec, environ):
        size = path.stat().st_size
        if len(weight.parts) == 1 and size == weight.bytes:
            return path
        kept = read_manifest(path) if place.keeps_manifests else None
        if kept and kept.bytes == size and kept.matches(weight):
            return path
    return None


def check(
    place: Place, weight: WeightFile, path: Path, cache: Path, *, rehash: bool = False
) -> Found | None:
    """``path`` as ``Found`` if it is the catalogued file or was prepared from it, else None.

    ``rehash`` reads the whole file even if its hash is remembered.
    """
    try:
        digest = sha256_of(path) if rehash else remembered_sha256(path, cache)
    except OSError:
        return None
    if len(weight.parts) == 1 and digest == weight.sha256:
        return Found(path, digest, place.kind, weight, prepared=not weight.prepare)
    kept = read_manifest(path) if place.keeps_manifests else None
    if kept and kept.sha256 == digest and kept.matches(weight):
        return Found(path, digest, place.kind, weight)
    return None


def candidates(
    spec: ModelSpec, environ: Environ | None = None
) -> Iterator[tuple[Place, WeightFile, Path]]:
    """Every existing file that may be the weights of ``spec``, best first, not verified."""
    for place in places(environ):
        if not _holds(place.folder.is_dir):
            continue
        for weight in spec.weights:
            for path in _paths(spec, weight, place):
                if _holds(path.is_file):
                    yield place, weight, path


def _holds(question: Callable[[], bool]) -> bool:
    """The answer, and no where a folder may not be entered (``is_dir`` raises until 3.14)."""
    try:
        return question()
    except OSError:
        return False


def _paths(spec: ModelSpec, weight: WeightFile, place: Place) -> list[Path]:
    """Where a place may keep the file: the store in one way, foreign folders in several."""
    if place.kind == "store":
        return [place.folder / spec.id / weight.file]
    if place.kind == "bundled":
        return [place.folder / weight.file]
    names = [weight.file, *weight.also_named]
    if len(weight.parts) == 1:
        names.append(weight.parts[0].name)
    # rembg's own spelling has underscores where ours has hyphens.
    own = dict.fromkeys(n for name in spec.names for n in (name, name.replace("-", "_")))
    names.extend(f"{name}.onnx" for name in own)
    folders = [place.folder, *(place.folder / name for name in own)]
    return [folder / name for folder in folders for name in dict.fromkeys(names)]


def _given(path: Path, cache: Path) -> Found:
    if not path.is_file():
        raise WeightsMissing(f"{path}: there is no such file", hint="check the path of the model")
    try:
        return Found(path, remembered_sha256(path, cache), "path")
    except OSError as error:
        raise WeightsMissing(
            f"{path}: cannot be read ({error.strerror})", hint="check the file's permissions"
        ) from error


def _missing(spec: ModelSpec, wrong: list[Path], environ: Environ | None) -> str:
    if spec.bundled:
        return f"{spec.id}: its file is missing in the package"
    looked = ", ".join(str(place.folder) for place in places(environ) if place.kind != "bundled")
    message = f"{spec.id}: the weights are not on this machine (looked in {looked})"
    if wrong:
        names = ", ".join(map(str, wrong[:3]))
        message += f"; passed over, wrong sha256: {names}"
    return message
