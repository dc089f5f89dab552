"""From inputs to jobs: what is there, and where each cutout goes. Lazy, sorted, repeatable."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from cleancut.batch import names, storage
from cleancut.batch.inputs import (
    Inputs,
    LeftOut,
    Tree,
    below,
    resolve,
    takes,
    takes_folder,
)
from cleancut.batch.job import Job
from cleancut.batch.ledger import FOLDER


def plan(
    inputs: Inputs | Sequence[str],
    out: str,
    *,
    suffix: str,
    exclude: Sequence[str] = (),
    reserved: Sequence[str] = (),
    left_out: LeftOut | None = None,
) -> Iterator[Job]:
    """A job for every picture of ``inputs``, drawn as it is needed.

    ``out`` is the output folder, ``suffix`` that of the output's format ("png"). Folders named by
    ``out`` and ``exclude`` are never read, nor are other runs' outputs below an input.
    ``reserved`` are names at the top of ``out`` that no folder gets, like that of the review
    folder. ``left_out`` counts what is passed over. Only the names of one folder are in memory at
    a time; the order depends on nothing but the names.
    """
    chosen = inputs if isinstance(inputs, Inputs) else resolve(inputs)
    skipped = left_out if left_out is not None else LeftOut()
    skipped.add("twice", chosen.twice)
    yield from _files(chosen, out, suffix, reserved)
    for tree in chosen.trees:
        yield from _tree(tree, out, suffix, (out, *exclude), reserved, skipped)


def count(
    inputs: Inputs | Sequence[str],
    out: str,
    *,
    exclude: Sequence[str] = (),
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """How many jobs ``plan`` gives, without looking at any file; for a forecast.

    ``stop`` is asked at every folder and ends the counting early.
    """
    chosen = inputs if isinstance(inputs, Inputs) else resolve(inputs)
    total = len(chosen.files)
    for tree in chosen.trees:
        for _folder, picked in _picked(tree, (out, *exclude), LeftOut()):
            total += len(picked)
            if stop():
                return total
    return total


def _files(chosen: Inputs, out: str, suffix: str, reserved: Sequence[str]) -> Iterator[Job]:
    paths = [path for _, path in chosen.files]
    tops = {tree.label.partition("/")[0] for tree in chosen.trees} | set(reserved)
    above = {
        "/".join(map(names.safe, path.split("/")[:depth]))
        for path in paths
        if "/" in path
        for depth in range(1, path.count("/") + 1)
    }
    wholes = [place for place, _ in chosen.files]
    targets = names.targets(paths, suffix, reserved=tops | above, wholes=wholes)
    doubled = _doubled(paths)
    for (place, path), name in zip(chosen.files, targets, strict=True):
        found = _look(place)
        identity = storage.canonical(place)
        if not storage.is_remote(place) and path not in doubled:
            # The same as if its folder had been named, so that either way finds the other's work.
            folder = storage.base_name(storage.parent(place))
            identity = path if "/" in path else f"{folder}/{path}"
        yield Job(
            id=names.digest(identity),
            source=place,
            target=storage.join(out, name),
            name=name,
            version=found.version,
            size=found.size,
            path=path,
        )


def _doubled(paths: Sequence[str]) -> set[str]:
    seen: set[str] = set()
    return {path for path in paths if path in seen or seen.add(path)}  # type: ignore[func-returns-value]


def _look(place: str) -> storage.Found:
    """Size and version of a named file; one that is missing fails when it is read."""
    from cleancut.errors import CleancutError

    try:
        return storage.stat(place)
    except CleancutError:
        return storage.Found(place, place)


def _tree(
    tree: Tree,
    out: str,
    suffix: str,
    exclude: Sequence[str],
    reserved: Sequence[str],
    left_out: LeftOut,
) -> Iterator[Job]:
    # Names of folders are given once, when the folder above them is read.
    places = {"": tree.label}
    prefix = storage.canonical(tree.place) if storage.is_remote(tree.place) else tree.identity
    for folder, picked in _picked(tree, exclude, left_out):
        where = places.pop(folder.name)
        kept = reserved if not where else ()
        called = names.folders(folder.folders, reserved=kept)
        inner = f"{folder.name}/" if folder.name else ""
        outer = f"{where}/" if where else ""
        for own, name in zip(folder.folders, called, strict=True):
            places[inner + own] = outer + name
        files = [folder.files[at] for at in picked]
        for at, name in zip(
            picked, names.targets(files, suffix, reserved=[*called, *kept]), strict=True
        ):
            found = folder.found(at)
            yield Job(
                id=names.digest(f"{prefix}/{found.name}"),
                source=found.url,
                target=storage.join(out, outer + name),
                name=outer + name,
                version=found.version,
                size=found.size,
                path=f"{tree.label}/{found.name}" if tree.label else found.name,
            )


def _picked(
    tree: Tree, exclude: Sequence[str], left_out: LeftOut
) -> Iterator[tuple[storage.Folder, list[int]]]:
    """Folders of ``tree``, pruned, each with the indices of the files that are taken."""
    unread = {name for place in exclude if (name := below(place, tree.place)) is not None}
    for folder in storage.folders(tree.place, leave_out=left_out):
        if folder.name and FOLDER in folder.folders:  # another run's output: cutouts, not pictures
            left_out("output-folder", folder.name)
            folder.folders.clear()
            yield folder, []
            continue
        inner = f"{folder.name}/" if folder.name else ""
        kept = []
        for name in folder.folders:
            if inner + name in unread:
                left_out("output-folder", inner + name)
            elif takes_folder(name):
                kept.append(name)
            else:
                left_out("hidden", f"{inner}{name}/")
        deeper = tree.depth is None or inner.count("/") < tree.depth
        folder.folders[:] = kept if deeper else []
        picked = []
        for at, name in enumerate(folder.files):
            if tree.pattern is not None and not tree.pattern.match(inner + name):
                continue
            reason = takes(name, any_suffix=tree.any_suffix)
            if reason is None:
                picked.append(at)
            else:
                left_out(reason, inner + name)
        yield folder, picked
