from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cleancut.catalog import ModelSpec, WeightFile, find
from cleancut.errors import InputNotFound, UnknownModel, WeightsCorrupt, WeightsError
from cleancut.weights.importing import import_path
from cleancut.weights.pull import pull
from cleancut.weights.resolve import resolve
from cleancut.weights.store import verify
from tests.backends.graphs import conv


def prunes(monkeypatch: Any) -> None:
    """Preparing a file makes b"pruned" of it."""
    monkeypatch.setattr(
        "cleancut.weights.store.prepare",
        lambda weight, parts, target, keep: (target.write_bytes(b"pruned") and {}) or {},
    )


@pytest.fixture
def spec(make: Any, data: bytes, use_rows: Any) -> ModelSpec:
    found: ModelSpec = make.row(data)
    use_rows(found, make.row(b"other", id_="other"))
    return found


def test_a_file_is_recognised_by_its_hash(
    spec: ModelSpec, env: dict[str, str], data: bytes, tmp_path: Path
) -> None:
    (tmp_path / "whatever.bin").write_bytes(data)
    (done,) = import_path(tmp_path / "whatever.bin", environ=env)
    assert done.id == "tiny"
    assert resolve(spec, environ=env).path == done.path
    assert (tmp_path / "whatever.bin").read_bytes() == data


def test_an_unknown_file_names_its_hash_and_the_way_to_use_it(
    spec: ModelSpec, env: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "mine.onnx").write_bytes(b"mine")
    with pytest.raises(UnknownModel, match=hashlib.sha256(b"mine").hexdigest()) as caught:
        import_path(tmp_path / "mine.onnx", environ=env)
    assert f"--model {tmp_path / 'mine.onnx'}" in caught.value.hint
    with pytest.raises(WeightsCorrupt, match="not the weights of tiny"):
        import_path(tmp_path / "mine.onnx", "tiny", environ=env)
    with pytest.raises(InputNotFound):
        import_path(tmp_path / "gone.onnx", environ=env)


def test_the_right_file_of_another_model_is_refused(
    spec: ModelSpec, env: dict[str, str], data: bytes, tmp_path: Path
) -> None:
    (tmp_path / "a.onnx").write_bytes(data)
    with pytest.raises(WeightsCorrupt, match="not the weights of other"):
        import_path(tmp_path / "a.onnx", "other", environ=env)


def test_every_recognised_file_of_a_folder_is_taken(
    spec: ModelSpec, env: dict[str, str], data: bytes, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.onnx").write_bytes(data)
    (folder / "deep" / "b.onnx").write_bytes(b"other")
    (folder / "notes.txt").write_text("nothing")
    assert {done.id for done in import_path(folder, environ=env)} == {"tiny", "other"}


def test_a_folder_without_weights_is_said(
    spec: ModelSpec, env: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnknownModel, match="holds no weights"):
        import_path(tmp_path / "empty", environ=env)


def two_parts(make: Any) -> ModelSpec:
    parts = (make.part(b"graph", "g.json"), make.part(b"numbers", "g.bin"))
    return ModelSpec(
        "pair", "pair", "saliency", weights=(WeightFile("pair.onnx", parts, (), prepare="tfjs"),)
    )


def test_the_other_part_is_looked_for_beside_the_first(
    make: Any, env: dict[str, str], tmp_path: Path, use_rows: Any, monkeypatch: Any
) -> None:
    use_rows(two_parts(make))
    monkeypatch.setattr("cleancut.weights.importing.check_tools", lambda weight: None)

    def joined(weight: Any, parts: list[Path], target: Path, keep: str) -> dict[str, str]:
        target.write_bytes(b"+".join(part.read_bytes() for part in parts))
        return {"fake": "1"}

    monkeypatch.setattr("cleancut.weights.store.prepare", joined)
    (tmp_path / "g.json").write_bytes(b"graph")
    with pytest.raises(WeightsCorrupt, match=r"g\.bin") as caught:
        import_path(tmp_path / "g.json", environ=env)
    assert "g.bin" in caught.value.hint
    (tmp_path / "g.bin").write_bytes(b"numbers")
    (done,) = import_path(tmp_path / "g.json", environ=env)
    assert done.path.read_bytes() == b"graph+numbers"
    assert resolve(two_parts(make), environ=env).prepared


def test_a_copy_of_another_store_is_taken_with_its_manifests(
    make: Any, env: dict[str, str], tmp_path: Path, use_rows: Any, monkeypatch: Any, data: bytes
) -> None:
    spec = make.row(data, prepare="prune")
    use_rows(spec)
    prunes(monkeypatch)
    (tmp_path / "raw.onnx").write_bytes(data)
    (first,) = import_path(tmp_path / "raw.onnx", environ=env)
    copy = tmp_path / "usb"
    shutil.copytree(first.path.parent.parent, copy)
    elsewhere = env | {"CLEANCUT_HOME": str(tmp_path / "second")}
    (done,) = import_path(copy, environ=elsewhere)
    assert done.path.read_bytes() == b"pruned"
    assert resolve(spec, environ=elsewhere).path == done.path
    (again,) = import_path(done.path, environ=elsewhere)
    assert again.path == done.path


def test_a_prepared_file_whose_manifest_lies_is_not_taken(
    make: Any, env: dict[str, str], tmp_path: Path, use_rows: Any, monkeypatch: Any, data: bytes
) -> None:
    spec = make.row(data, prepare="prune")
    use_rows(spec)
    prunes(monkeypatch)
    (tmp_path / "raw.onnx").write_bytes(data)
    (first,) = import_path(tmp_path / "raw.onnx", environ=env)
    first.path.write_bytes(b"EVIL!!")
    with pytest.raises(UnknownModel):
        import_path(first.path, environ=env | {"CLEANCUT_HOME": str(tmp_path / "second")})
    use_rows(replace(spec, weights=(replace(spec.weights[0], parts=(make.part(b"new"),)),)))
    first.path.write_bytes(b"pruned")
    with pytest.raises(UnknownModel):
        import_path(first.path, environ=env | {"CLEANCUT_HOME": str(tmp_path / "second")})


def test_a_row_without_a_known_hash_takes_the_users_file_and_pins_it(tmp_path: Path) -> None:
    mine = conv(tmp_path / "my_export.onnx")
    imported = import_path(mine, "inspyrenet")
    assert [done.id for done in imported] == ["inspyrenet"]
    assert resolve(find("inspyrenet")).path == imported[0].path
    assert [stored.problem for stored in verify(["inspyrenet"])] == [""]
    damaged = bytearray(imported[0].path.read_bytes())
    damaged[-1] ^= 1
    imported[0].path.write_bytes(damaged)
    with pytest.raises(WeightsCorrupt):
        resolve(find("inspyrenet"))
    junk = tmp_path / "junk.onnx"
    junk.write_bytes(b"no model" * 50)
    with pytest.raises(WeightsCorrupt):
        import_path(junk, "inspyrenet")


def test_a_row_without_a_source_says_how_to_bring_the_file() -> None:
    with pytest.raises(WeightsError) as caught:
        pull(["inspyrenet"])
    assert "--name inspyrenet" in caught.value.hint


def test_a_failed_model_does_not_stop_the_others(use_rows: Any) -> None:
    spec = find("inspyrenet")
    use_rows(spec, replace(spec, id="sourceless", aliases=()))
    failed: list[str] = []

    def on_failure(spec: ModelSpec, error: WeightsError) -> None:
        failed.append(f"{spec.id} {error.code}")

    assert pull(["inspyrenet", "sourceless"], on_failure=on_failure) == []
    assert failed == ["inspyrenet weights-missing", "sourceless weights-missing"]
