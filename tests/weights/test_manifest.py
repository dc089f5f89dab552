from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cleancut.catalog import Part, WeightFile
from cleancut.weights.manifest import Manifest, manifest_path, manifest_text, read_manifest

WEIGHT = WeightFile("m.onnx", (Part("raw.onnx", 9, "a" * 64),), (), prepare="prune")
MANIFEST = Manifest(
    "m",
    "m.onnx",
    (("raw.onnx", 9, "a" * 64),),
    "prune",
    5,
    "b" * 64,
    "npm x@1",
    "2026-01-01T00:00:00Z",
    {"onnx": "1.19"},
)


def test_a_manifest_survives_the_disk(tmp_path: Path) -> None:
    file = tmp_path / "m.onnx"
    manifest_path(file).write_text(manifest_text(MANIFEST))
    assert manifest_path(file).name == "m.onnx.json"
    assert read_manifest(file) == MANIFEST


@pytest.mark.parametrize(
    "text",
    ["", "[]", "1", "{", "{}", "[" * 50_000, '{"version": 2}', " " * 70_000 + "{}"],
)
def test_what_is_no_manifest_is_none(tmp_path: Path, text: str) -> None:
    manifest_path(tmp_path / "m.onnx").write_text(text)
    assert read_manifest(tmp_path / "m.onnx") is None


@pytest.mark.parametrize(
    "change", [{"sha256": "x"}, {"sha256": 7}, {"parts": [[1]]}, {"tools": []}, {"bytes": "many"}]
)
def test_a_malformed_manifest_is_none(tmp_path: Path, change: dict[str, object]) -> None:
    row = json.loads(manifest_text(MANIFEST)) | change
    manifest_path(tmp_path / "m.onnx").write_text(json.dumps(row))
    assert read_manifest(tmp_path / "m.onnx") is None


def test_it_matches_only_the_same_parts_prepared_the_same_way() -> None:
    assert MANIFEST.matches(WEIGHT)
    assert replace(MANIFEST, parts=(("renamed.onnx", 9, "a" * 64),)).matches(WEIGHT)
    assert not replace(MANIFEST, parts=(("raw.onnx", 9, "c" * 64),)).matches(WEIGHT)
    assert not replace(MANIFEST, parts=()).matches(WEIGHT)
    assert not replace(MANIFEST, prepare="").matches(WEIGHT)
