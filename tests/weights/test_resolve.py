from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cleancut.catalog import Part, WeightFile, custom
from cleancut.errors import WeightsCorrupt, WeightsMissing
from cleancut.weights.manifest import Manifest, manifest_path, manifest_text
from cleancut.weights.resolve import is_pulled, resolve


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def with_manifest(path: Path, data: bytes, raw: Part, prepare: str = "prune") -> Path:
    """``data`` as a file that was prepared from ``raw``."""
    made = Manifest(
        "tiny", path.name, ((raw.name, raw.bytes, raw.sha256),), prepare, len(data),
        hashlib.sha256(data).hexdigest(), "test", "2026", {},
    )  # fmt: skip
    manifest_path(write(path, data)).write_text(manifest_text(made))
    return path


def test_weights_that_are_nowhere_name_the_command_and_the_places(
    make: Any, env: dict[str, str], data: bytes
) -> None:
    with pytest.raises(WeightsMissing) as caught:
        resolve(make.row(data), environ=env)
    assert caught.value.hint == "run: cleancut models pull tiny"
    assert str(Path(env["CLEANCUT_HOME"]) / "models") in caught.value.message
    assert ".u2net" in caught.value.message
    assert is_pulled(make.row(data), environ=env) is None


@pytest.mark.parametrize(
    "where",
    [
        "tiny.onnx",
        "other.onnx",
        "raw_name.onnx",
        "tiny-net.onnx",
        "tiny_net.onnx",
        "tiny/tiny.onnx",
        "tiny_net/tiny_net.onnx",
        "tiny-net/other.onnx",
    ],
)
def test_a_read_only_folder_may_be_laid_out_in_several_ways(
    make: Any, env: dict[str, str], data: bytes, tmp_path: Path, where: str
) -> None:
    spec = make.row(data, aliases=("tiny-net",))
    weight = replace(
        spec.weights[0], also_named=("other.onnx",), parts=(make.part(data, "raw_name.onnx"),)
    )
    spec = replace(spec, weights=(weight,))
    path = write(tmp_path / "ro" / where, data)
    env["CLEANCUT_MODELS"] = str(tmp_path / "ro")
    found = resolve(spec, environ=env)
    assert (found.path, found.where) == (path, "folder")
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert is_pulled(spec, environ=env) == path


def test_places_are_tried_in_order(
    make: Any, env: dict[str, str], data: bytes, tmp_path: Path
) -> None:
    spec = make.row(data)
    env["CLEANCUT_MODELS"] = str(tmp_path / "ro")
    expected = [
        ("rembg", tmp_path / "user/.rembg/models/tiny/tiny.onnx"),
        ("rembg", tmp_path / "user/.u2net/tiny.onnx"),
        ("store", tmp_path / "home/models/tiny/tiny.onnx"),
        ("folder", tmp_path / "ro/tiny.onnx"),
    ]
    for kind, path in expected:
        write(path, data)
        found = resolve(spec, environ=env)
        assert (found.where, found.path) == (kind, path)


def test_a_wrong_file_in_a_foreign_folder_is_passed_over_and_named(
    make: Any, env: dict[str, str], data: bytes, tmp_path: Path
) -> None:
    bad = write(tmp_path / "user/.u2net/tiny.onnx", b"x" * len(data))
    with pytest.raises(WeightsMissing, match="wrong sha256") as caught:
        resolve(make.row(data), environ=env)
    assert str(bad) in caught.value.message
    good = write(tmp_path / "user/.rembg/models/tiny/tiny.onnx", data)
    assert resolve(make.row(data), environ=env).path == good


def test_a_wrong_file_in_the_store_is_corrupt(
    make: Any, env: dict[str, str], data: bytes, tmp_path: Path
) -> None:
    write(tmp_path / "home/models/tiny/tiny.onnx", b"x" * len(data))
    with pytest.raises(WeightsCorrupt) as caught:
        resolve(make.row(data), environ=env)
    assert caught.value.hint == "run: cleancut models pull tiny"


def test_a_changed_file_is_noticed_although_its_hash_was_remembered(
    make: Any, env: dict[str, str], data: bytes, tmp_path: Path
) -> None:
    path = write(tmp_path / "home/models/tiny/tiny.onnx", data)
    resolve(make.row(data), environ=env)
    path.write_bytes(data[:-1] + b"!")
    with pytest.raises(WeightsCorrupt):
        resolve(make.row(data), environ=env)


def test_any_variant_of_a_row_counts_in_row_order(
    make: Any, env: dict[str, str], data: bytes, tmp_path: Path
) -> None:
    spec = make.row(data)
    second = WeightFile("small.onnx", (make.part(b"small", "small.onnx"),), ())
    spec = replace(spec, weights=(*spec.weights, second))
    write(tmp_path / "home/models/tiny/small.onnx", b"small")
    assert resolve(spec, environ=env).weight == second
    write(tmp_path / "home/models/tiny/tiny.onnx", data)
    assert resolve(spec, environ=env).weight == spec.weights[0]


@pytest.mark.parametrize("folder", ["home/models/tiny", "ro", "ro/tiny"])
def test_a_prepared_file_is_believed_with_its_manifest(
    make: Any, env: dict[str, str], data: bytes, tmp_path: Path, folder: str
) -> None:
    spec = make.row(data, prepare="prune")
    env["CLEANCUT_MODELS"] = str(tmp_path / "ro")
    path = with_manifest(tmp_path / folder / "tiny.onnx", b"pruned", make.part(data))
    found = resolve(spec, environ=env)
    assert (found.path, found.prepared) == (path, True)
    assert found.sha256 == hashlib.sha256(b"pruned").hexdigest()
    assert is_pulled(spec, environ=env) == path


def test_a_manifest_in_a_folder_of_rembg_is_not_believed(
    make: Any, env: dict[str, str], data: bytes, tmp_path: Path
) -> None:
    with_manifest(tmp_path / "user/.u2net/tiny.onnx", b"pruned", make.part(data))
    with pytest.raises(WeightsMissing):
        resolve(make.row(data, prepare="prune"), environ=env)


def test_a_raw_file_of_rembg_is_handed_out_as_not_prepared(
    make: Any, env: dict[str, str], data: bytes, tmp_path: Path
) -> None:
    write(tmp_path / "user/.u2net/tiny.onnx", data)
    assert not resolve(make.row(data, prepare="prune"), environ=env).prepared


def test_tampering_with_file_or_manifest_is_noticed(
    make: Any, env: dict[str, str], data: bytes, tmp_path: Path
) -> None:
    spec, path = make.row(data, prepare="prune"), tmp_path / "home/models/tiny/tiny.onnx"
    with_manifest(path, b"pruned", make.part(data))
    path.write_bytes(b"PRUNED")
    with pytest.raises(WeightsCorrupt):
        resolve(spec, environ=env)
    with_manifest(path, b"pruned", make.part(b"other weights"))
    with pytest.raises(WeightsCorrupt):
        resolve(spec, environ=env)
    with_manifest(path, b"pruned", make.part(data))
    manifest_path(path).unlink()
    with pytest.raises(WeightsCorrupt):
        resolve(spec, environ=env)


def test_a_model_given_by_path_is_used_where_it_is(
    env: dict[str, str], data: bytes, tmp_path: Path
) -> None:
    path = write(tmp_path / "mine.onnx", data)
    found = resolve(custom(path), environ=env)
    assert (found.path, found.where, found.weight) == (path, "path", None)
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    with pytest.raises(WeightsMissing, match="no such file"):
        resolve(custom(tmp_path / "gone.onnx"), environ=env)


def test_a_listing_imports_nothing_heavy() -> None:
    code = (
        "import sys; from cleancut.catalog import catalog;"
        "from cleancut.weights.resolve import is_pulled;"
        "[is_pulled(s) for s in catalog().values()];"
        "heavy = {'numpy', 'onnx', 'ssl', 'urllib.request', 'subprocess'};"
        "print(sorted(heavy.intersection(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_folder_that_may_not_be_entered_is_passed_over(
    make: Any, env: dict[str, str], data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbidden = tmp_path / "forbidden"
    env["CLEANCUT_MODELS"] = f"{forbidden}{os.pathsep}{tmp_path / 'open'}"
    write(tmp_path / "open" / "tiny.onnx", data)
    stat = Path.stat

    def refuse(path: Path, **options: Any) -> os.stat_result:
        if path.is_relative_to(forbidden):
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", refuse)
    for allowed in (False, True):  # the folder itself, then only what is in it
        if allowed:
            monkeypatch.setattr(Path, "is_dir", lambda path: True)
        assert resolve(make.row(data), environ=env).path == tmp_path / "open" / "tiny.onnx"
        assert is_pulled(make.row(data), environ=env) == tmp_path / "open" / "tiny.onnx"
