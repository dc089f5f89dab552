"""Write docs/licences.md: what cleancut installs beside itself, and under which licences.

Run by ``make licences`` where the extras are installed. A package that is not here keeps the
licence that the page says; a package that nobody has looked at is an error.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from cleancut.toml import tomllib

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "licences.md"
HEAD = """<!-- made by docs/licences.py; run `make licences` -->

# Licences of what is installed with it

cleancut is under Apache-2.0, and so are the models in the package; those that can be pulled are in
[models](models.md). Below is every package that cleancut names itself, with the licence that the
package states. `make sbom` writes all packages of an installation with their versions, those that
these need included, as CycloneDX: `sbom/cleancut.cdx.json`, and `sbom/cleancut-extras.cdx.json`
for the extras that need no GPU, cluster or training.

Wheels may hold libraries with licences of their own: that of opencv-python-headless FFmpeg
(LGPL-2.1), those of the extras `video` and `camera` (av) and `heic` (pillow-heif) x264 or x265,
which are under the **GPL-2.0**, as pyvirtualcam is. Nothing under the GPL comes with a plain
`pip install cleancut`. Who hands cleancut on with those extras should look at that first.

"""
#: What packages state in words of their own, as SPDX says it.
SPDX = {
    "MIT License": "MIT",
    "Apache License 2.0": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache License v2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "BSD 3-Clause License": "BSD-3-Clause",
    "OSI Approved :: Apache Software License": "Apache-2.0",
    "OSI Approved :: MIT License": "MIT",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "PSF": "PSF-2.0",
}
#: Packages whose metadata says nothing, or the whole text: as the LICENSE file in them says.
STATED = {"matplotlib": "PSF-2.0 (matplotlib's)", "onnxruntime-gpu": "MIT"}


def rows() -> list[tuple[str, str, str]]:
    """Name, range and extra of every requirement; the plain installation's have no extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    found = [*_of(project["dependencies"], "")]
    for extra, texts in project["optional-dependencies"].items():
        found += _of(texts, extra)
    return list(dict.fromkeys(found))


def _of(texts: list[str], extra: str) -> Iterator[tuple[str, str, str]]:
    for text in texts:
        wanted = Requirement(text)
        if wanted.name != "cleancut":
            marker = f" ({wanted.marker})" if wanted.marker else ""
            yield wanted.name, f"{wanted.specifier}{marker}", extra


def licence_of(name: str) -> str:
    """The licence that the installed package states; empty where it is not installed."""
    try:
        about = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return STATED.get(name, "")
    if expression := about.get("License-Expression"):
        return str(expression)
    stated = [STATED.get(name), about.get("License")]
    stated += [
        text.removeprefix("License :: ").removeprefix("OSI Approved :: ")
        for text in about.get_all("Classifier") or ()
        if text.startswith("License ::")
    ]
    short = (" ".join(text.split()) for text in stated if text and len(text) < 100)
    first = next((text for text in short if text not in ("UNKNOWN", "OSI Approved")), "")
    return SPDX.get(first, first)


def known() -> dict[str, str]:
    """Licences by package, as the page says now."""
    text = PAGE.read_text("utf-8") if PAGE.is_file() else ""
    return dict(re.findall(r"^\| ([\w.-]+) \| [^|]* \| ([^|]+?) \|", text, re.MULTILINE))


def page() -> str:
    """The page; raises ``SystemExit`` for a package without a licence."""
    before = known()
    table = "| package | versions | licence | for |\n|---|---|---|---|\n"
    for name, range_, extra in rows():
        licence = licence_of(name) or before.get(name)
        if not licence:
            raise SystemExit(f"install {name} once, so that its licence can be read")
        table += f"| {name} | {range_.replace('|', '/')} | {licence} "
        table += f"| {f'`cleancut[{extra}]`' if extra else 'everybody'} |\n"
    return HEAD + table


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    sys.exit(0)
