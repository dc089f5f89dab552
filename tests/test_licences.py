"""What is installed with the package: nothing under the GPL, and a table that is true."""

from __future__ import annotations

import importlib.util
import re
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]


def _script() -> Any:
    spec = importlib.util.spec_from_file_location("licences", ROOT / "docs" / "licences.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _needed(name: str, extras: frozenset[str] = frozenset()) -> set[str]:
    """Names of all packages that an installation brings, as they are here."""
    found: set[str] = set()
    waiting = [(name, extras)]
    seen = set()
    while waiting:
        entry = waiting.pop()
        if entry in seen:
            continue
        seen.add(entry)
        found.add(entry[0])
        for text in metadata.requires(entry[0]) or ():
            wanted = Requirement(text)
            marks = [{"extra": extra} for extra in ("", *entry[1])]
            if wanted.marker is None or any(wanted.marker.evaluate(mark) for mark in marks):
                waiting.append((wanted.name.lower(), frozenset(wanted.extras)))
    return found


def _stated(name: str) -> str:
    about = metadata.metadata(name)
    texts = [about.get("License-Expression"), *(about.get_all("Classifier") or ())]
    licence = about.get("License") or ""
    texts.append(licence if len(licence) < 200 else "")
    return "\n".join(text for text in texts if text and "Audience" not in text)


def test_no_default_dependency_is_under_the_gpl() -> None:
    needed = _needed("cleancut")
    assert {"numpy", "onnxruntime", "pygments"} <= needed, "what these need is looked at too"
    for name in needed:
        assert not re.search(r"(?<!L)(?<!Lesser )(A?GPL|General Public)", _stated(name)), name


def test_a_gpl_licence_would_be_found() -> None:
    assert re.search(r"(?<!L)(?<!Lesser )(A?GPL|General Public)", "License :: GPL-3.0-or-later")


def test_the_table_names_every_package_and_a_licence_for_it() -> None:
    script = _script()
    text = (ROOT / "docs" / "licences.md").read_text("utf-8")
    found = re.findall(r"^\| ([\w.-]+) \| [^|]* \| ([^|]+?) \| (.*) \|$", text, re.MULTILINE)
    rows = [row for row in found if row[0] not in ("package", "---")]
    said = {(name, use.removeprefix("`cleancut[").removesuffix("]`")) for name, _, use in rows}
    wanted = {(name, extra or "everybody") for name, _, extra in script.rows()}
    assert said == wanted, "run: make licences"
    for name, licence, _ in rows:
        assert script.licence_of(name) in ("", licence), f"{name}: run: make licences"
