"""What one package takes on disk with all that it pulls in, as JSON; a script.

Runs under the interpreter in which the package is installed, so it imports nothing of cleancut and
nothing but the standard library and ``packaging``, which pip brings along.
"""

from __future__ import annotations

import importlib.metadata as metadata
import importlib.util
import json
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

try:
    from packaging.requirements import Requirement
except ModuleNotFoundError:
    from pip._vendor.packaging.requirements import Requirement  # type: ignore[assignment]


def main(name: str, extras: list[str], module: str) -> dict[str, Any]:
    """Sizes in bytes of ``name[extras]`` and of every distribution that it requires here."""
    found = installed(name, set(extras))
    missing = sorted(key for key, dist in found.items() if dist is None)
    there = {key: dist for key, dist in found.items() if dist is not None}
    counted: set[Path] = set()
    sizes, unlisted = {}, []
    for key, dist in there.items():
        files = files_of(dist, module if key == plain(name) else "")
        if files is None:
            unlisted.append(key)
            continue
        fresh = set(files) - counted
        counted |= fresh
        sizes[key] = sum(path.stat().st_size for path in fresh)
    own = there.get(plain(name))
    return {
        "version": "" if own is None else own.version,
        "licence": "" if own is None else licence(own),
        "source": "" if own is None else editable_folder(own),
        "requires": [] if own is None else direct_requirements(own, set(extras)),
        "bytes": sizes,
        "versions": {key: dist.version for key, dist in there.items()},
        "missing": missing,
        "unlisted": unlisted,
    }


def installed(name: str, extras: set[str]) -> dict[str, metadata.Distribution | None]:
    """``name`` and all that its metadata requires here, by name; None for what is not installed.

    Requirements whose markers do not hold for this interpreter, or whose extras nobody asks for,
    are not counted.
    """
    found: dict[str, metadata.Distribution | None] = {}
    asked: dict[str, set[str]] = {}
    queue = [(name, extras)]
    while queue:
        wanted, wanted_extras = queue.pop()
        key = plain(wanted)
        fresh = wanted_extras - asked.get(key, set())
        if key in found and not fresh:
            continue
        asked[key] = asked.get(key, set()) | wanted_extras
        try:
            dist = metadata.distribution(wanted)
        except metadata.PackageNotFoundError:
            found[key] = None
            continue
        found[key] = dist
        for text in dist.requires or ():
            requirement = Requirement(text)
            if holds(requirement, asked[key]):
                queue.append((requirement.name, set(requirement.extras)))
    return found


def holds(requirement: Requirement, extras: set[str]) -> bool:
    """Whether the requirement's marker holds here for one of ``extras``, or for none."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": e}) for e in {"", *extras})


def direct_requirements(dist: metadata.Distribution, extras: set[str]) -> list[str]:
    """What ``dist`` itself asks for here, without markers, as pip takes it."""
    lines = []
    for text in dist.requires or ():
        requirement = Requirement(text)
        if holds(requirement, extras):
            requirement.marker = None
            lines.append(str(requirement))
    return lines


def files_of(dist: metadata.Distribution, module: str) -> list[Path] | None:
    """The files that ``dist``'s RECORD lists; None where there is no such list.

    An editable installation lists only a pointer: of that it is the package's folder, with what
    this interpreter compiled of it.
    """
    if editable_folder(dist) and module:
        spec = importlib.util.find_spec(module)
        roots = [] if spec is None else list(spec.submodule_search_locations or ())
        compiled = f".{sys.implementation.cache_tag}."
        return [
            path.resolve()
            for root in roots
            for path in Path(root).rglob("*")
            if path.is_file() and ("__pycache__" not in path.parts or compiled in path.name)
        ]
    if dist.files is None:
        return None
    paths = (Path(str(dist.locate_file(file))) for file in dist.files)
    return [path.resolve() for path in paths if path.is_file()]


def editable_folder(dist: metadata.Distribution) -> str:
    """The source folder of an editable installation (PEP 610), or ""."""
    try:
        told = json.loads(dist.read_text("direct_url.json") or "{}")
    except ValueError:
        return ""
    if not told.get("dir_info", {}).get("editable"):
        return ""
    return unquote(urlsplit(str(told.get("url", ""))).path)


def licence(dist: metadata.Distribution) -> str:
    """The licence as the metadata names it; of a whole text only what a classifier says."""
    about: Any = dist.metadata
    stated = str(about.get("License-Expression") or about.get("License") or "").strip()
    if stated and "\n" not in stated and len(stated) <= 60:
        return stated
    kinds = [line for line in about.get_all("Classifier") or () if line.startswith("License ::")]
    return " AND ".join(str(line).rpartition(" :: ")[2] for line in kinds)


def plain(name: str) -> str:
    """A name as package indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    told = main(sys.argv[1], json.loads(sys.argv[2]), sys.argv[3])
    sys.stdout.write(json.dumps(told) + "\n")
