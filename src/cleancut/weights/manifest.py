"""The manifest beside a stored file: what it was made from, and what it is.

A pruned or converted file has another hash than the download. The manifest ties the two together:
the stored file must match the manifest, and the manifest's sources must match the catalog.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cleancut.catalog import WeightFile

_SHA256 = re.compile(r"[0-9a-f]{64}")
_LIMIT = 1 << 16  # bytes; a real manifest has about 700


@dataclass(frozen=True, slots=True)
class Manifest:
    """``parts`` are (name, bytes, sha256) as downloaded; ``bytes`` and ``sha256`` as stored."""

    model: str
    file: str
    parts: tuple[tuple[str, int, str], ...]
    prepare: str
    bytes: int
    sha256: str
    source: str
    date: str
    tools: dict[str, str]

    def matches(self, weight: WeightFile) -> bool:
        """Whether it was made from exactly the catalogued parts, in the catalogued way.

        Where the catalog has no hash the user brought the file: the manifest pins what it was.
        """
        if not weight.pinned:
            return self.file == weight.file and self.prepare == weight.prepare
        wanted = tuple((part.bytes, part.sha256) for part in weight.parts)
        made_from = tuple((size, sha256) for _, size, sha256 in self.parts)
        return made_from == wanted and self.prepare == weight.prepare


def manifest_path(file: Path) -> Path:
    """``isnet.onnx`` -> ``isnet.onnx.json``."""
    return file.with_name(file.name + ".json")


def read_manifest(file: Path) -> Manifest | None:
    """The manifest beside ``file``; None if there is none or it is not one."""
    import json

    try:
        with manifest_path(file).open("rb") as handle:
            raw = handle.read(_LIMIT + 1)
        if len(raw) > _LIMIT:
            return None
        return _from_json(json.loads(raw))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def manifest_text(manifest: Manifest) -> str:
    """JSON, one key a line."""
    import json

    return json.dumps({"version": 1, **asdict(manifest)}, indent=1) + "\n"


def _from_json(row: dict[str, Any]) -> Manifest | None:
    if row["version"] != 1 or not _SHA256.fullmatch(row["sha256"]):
        return None
    return Manifest(
        model=str(row["model"]),
        file=str(row["file"]),
        parts=tuple((str(name), int(size), str(sha)) for name, size, sha in row["parts"]),
        prepare=str(row["prepare"]),
        bytes=int(row["bytes"]),
        sha256=row["sha256"],
        source=str(row["source"]),
        date=str(row["date"]),
        tools={str(name): str(version) for name, version in row["tools"].items()},
    )
