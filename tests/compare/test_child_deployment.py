from __future__ import annotations

import importlib
import json
import sys
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path

import pytest

from cleancut.compare import child_deployment as child


def package(
    site: Path, name: str, *requires: str, size: int = 100, meta: str = "", record: bool = True
) -> None:
    """An installed distribution with one module of ``size`` bytes."""
    module = site / f"{name}.py"
    module.write_bytes(b"#" * size)
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    lines = [f"Requires-Dist: {line}" for line in requires]
    (info / "METADATA").write_text(
        "\n".join([f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0", *lines, meta]) + "\n"
    )
    if record:
        (info / "RECORD").write_text(f"{name}.py,,\n{name}-gone.py,,\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    return tmp_path


def test_what_is_required_is_counted_once_with_its_own_requirements(site: Path) -> None:
    package(site, "topa", "mida", "leafa>=1", size=10)
    package(site, "mida", "leafa", "topa", size=20)
    package(site, "leafa", size=40)
    told = child.main("topa", [], "topa")
    assert told["bytes"] == {"topa": 10, "mida": 20, "leafa": 40}
    assert (told["version"], told["missing"]) == ("1.0", [])


def test_extras_and_markers_decide_what_counts(site: Path) -> None:
    package(
        site,
        "topb",
        "leafb; extra == 'cli'",
        "otherb; extra == 'gpu'",
        "oldb; python_version < '3'",
    )
    package(site, "leafb")
    assert set(child.main("topb", [], "topb")["bytes"]) == {"topb"}
    told = child.main("topb", ["cli"], "topb")
    assert set(told["bytes"]) == {"topb", "leafb"}
    assert told["requires"] == ["leafb"]
    assert told["missing"] == []


def test_an_extra_that_is_asked_for_later_is_followed_too(site: Path) -> None:
    package(site, "topc", "midc", "sidec")
    package(site, "midc", "leafc; extra == 'more'")
    package(site, "sidec", "midc[more]")
    package(site, "leafc")
    assert "leafc" in child.main("topc", [], "topc")["bytes"]


def test_what_is_not_installed_is_named(site: Path) -> None:
    package(site, "topd", "no-such-package-anywhere")
    assert child.main("topd", [], "topd")["missing"] == ["no-such-package-anywhere"]
    assert child.main("no-such-package-anywhere", [], "x")["version"] == ""


def test_without_a_record_nothing_is_guessed(site: Path) -> None:
    package(site, "tope", record=False)
    told = child.main("tope", [], "tope")
    assert (told["bytes"], told["unlisted"]) == ({}, ["tope"])


def test_of_an_editable_installation_the_folder_counts(site: Path, tmp_path: Path) -> None:
    package(site, "topf", record=True)
    (site / "topf.py").unlink()
    source = tmp_path / "source tree"
    (source / "topf" / "data").mkdir(parents=True)
    (source / "topf" / "__init__.py").write_bytes(b"#" * 7)
    (source / "topf" / "data" / "weights").write_bytes(b"w" * 1000)
    (source / "topf" / "__pycache__").mkdir()
    (source / "topf" / "__pycache__" / "x.cpython-20.pyc").write_bytes(b"p" * 99)
    (site / "topf-1.0.dist-info" / "direct_url.json").write_text(
        json.dumps({"url": source.as_uri(), "dir_info": {"editable": True}})
    )
    sys.path.insert(0, str(source))
    try:
        told = child.main("topf", [], "topf")
    finally:
        sys.path.remove(str(source))
    assert told["bytes"] == {"topf": 1007}
    assert told["source"] == str(source)


@pytest.mark.parametrize(
    ("meta", "licence"),
    [
        ("License-Expression: MIT", "MIT"),
        ("License: BSD", "BSD"),
        (
            "License: " + "x" * 61 + "\nClassifier: License :: OSI Approved :: MIT License",
            "MIT License",
        ),
        ("", ""),
    ],
)
def test_the_licence_is_what_the_metadata_names(site: Path, meta: str, licence: str) -> None:
    package(site, "topg", meta=meta)
    dist: Distribution = PathDistribution(site / "topg-1.0.dist-info")
    assert child.licence(dist) == licence
