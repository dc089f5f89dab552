"""How large the archives are that pip would fetch for a tool, asked of the user's own index."""

from __future__ import annotations

import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cleancut.bench.measure import Sample
from cleancut.compare.tools import ToolRow
from cleancut.errors import RunError

_PIP_S = 1800.0
_HEAD_S = 30.0
_LARGEST_REPORT = 50 << 20

Run = Callable[[Sequence[str], Mapping[str, str], float], Sample]


def download_bytes(
    row: ToolRow, child: Mapping[str, Any], python: Path, work: Path, run: Run
) -> tuple[int, str]:
    """Bytes of all archives of a new installation, and how they were found out.

    ``child`` is what ``child_deployment`` said. Of an editable installation the requirements are
    asked for, and its own wheel is built. Raises ``RunError`` if pip cannot answer.
    """
    work.mkdir(parents=True, exist_ok=True)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet"]
    source = str(child.get("source", ""))
    pinned = f"{row.requirement}=={child['version']}"
    wanted = [str(line) for line in child["requires"]] if source else [pinned]
    report = work / "report.json"
    asked = [*pip, "install", "--dry-run", "--ignore-installed", "--only-binary=:all:"]
    for words in (asked, asked[:-1]):  # some packages have no wheels
        try:
            run([*words, "--report", str(report), *wanted], _environ(), _PIP_S)
            break
        except RunError as error:
            failed = error
    else:
        said = without_addresses(failed.message)[-160:]
        raise RunError(f"pip does not say what it would fetch: {said}")
    archives = _archives(report)
    total = sum(_size(url, name, pip, work, run) for name, url in archives)
    how = f"pip install --dry-run --ignore-installed {row.requirement}: {len(archives)} archives"
    if source:
        total += _own_wheel(pip, source, work, run)
        how = f"pip install --dry-run of its {len(archives)} packages, and its own wheel, built"
    return total, how


def without_addresses(text: str) -> str:
    """``text`` as others may read it: an index of one's own often has its password in its path."""
    return re.sub(r"\w+://\S+", "(an address)", text)


def _archives(report: Path) -> list[tuple[str, str]]:
    """Requirement and address of every archive in pip's installation report (version 1)."""
    try:
        if report.stat().st_size > _LARGEST_REPORT:
            raise ValueError("too large")
        rows = json.loads(report.read_bytes())["install"]
        return [
            (
                f"{row['metadata']['name']}=={row['metadata']['version']}",
                str(row["download_info"]["url"]),
            )
            for row in rows
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError("pip's report of what it would fetch cannot be read") from error


def _size(url: str, requirement: str, pip: Sequence[str], work: Path, run: Run) -> int:
    """Bytes of one archive: as its server says, else by fetching it."""
    if (told := _content_length(url)) is not None:
        return told
    folder = work / "archive"
    run(
        [*pip, "download", "--no-deps", "--dest", str(folder), requirement],
        _environ(),
        _PIP_S,
    )
    fetched = list(folder.iterdir())
    total = sum(path.stat().st_size for path in fetched)
    for path in fetched:
        path.unlink()
    return total


def _content_length(url: str) -> int | None:
    """What a HEAD request is told; None where there is no answer (no message names the address)."""
    if urlsplit(url).scheme not in ("http", "https"):
        return None
    request = urllib.request.Request(url, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=_HEAD_S) as answer:
            length = answer.headers.get("Content-Length", "")
    except (OSError, ValueError, urllib.error.URLError):
        return None
    return int(length) if length.isdigit() else None


def _own_wheel(pip: Sequence[str], source: str, work: Path, run: Run) -> int:
    folder = work / "wheel"
    run([*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), source], _environ(), _PIP_S)
    wheels = sorted(folder.glob("*.whl"), key=lambda path: path.stat().st_mtime)
    if not wheels:
        raise RunError("pip built no wheel")
    return wheels[-1].stat().st_size


def _environ() -> dict[str, str]:
    """The user's own: their index, proxy and certificates."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
