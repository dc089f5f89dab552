from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cleancut.errors import UnknownModel, WeightsMissing
from cleancut.weights.manifest import manifest_path
from cleancut.weights.pull import pull
from cleancut.weights.store import installed, remove, verify


@pytest.fixture
def stored(make: Any, server: Any, env: dict[str, str], data: bytes, use_rows: Any) -> Path:
    """Two rows, of which ``tiny`` is in the store."""
    server.files["/a"] = data
    spec, other = make.row(data, make.https("/a")), make.row(b"other", id_="other")
    use_rows(spec, other)
    return pull([spec], environ=env, open_url=server.open)[0].path


def test_the_store_is_listed(stored: Path, env: dict[str, str], data: bytes) -> None:
    (found,) = installed(env)
    assert (found.id, found.path, found.bytes) == ("tiny", stored, len(data))
    assert found.manifest is not None
    assert found.manifest.source == "https://weights.example/a"


def test_a_sound_store_verifies(stored: Path, env: dict[str, str]) -> None:
    assert [v.problem for v in verify(environ=env)] == [""]
    assert [v.problem for v in verify(["tiny"], environ=env)] == [""]


def test_verify_reads_the_file_even_if_its_times_say_nothing_changed(
    stored: Path, env: dict[str, str], data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cleancut.weights.digest._identity", lambda path: (1, 1, 1, 1))
    verify(environ=env)
    stored.write_bytes(b"x" * len(data))
    assert verify(environ=env)[0].problem.startswith("the file is not the one")


def test_verify_says_what_is_wrong(stored: Path, env: dict[str, str]) -> None:
    stored.write_bytes(b"other")
    kept = json.loads(manifest_path(stored).read_text())
    kept["parts"][0][2] = "0" * 64
    manifest_path(stored).write_text(json.dumps(kept))
    assert "other weights" in verify(environ=env)[0].problem
    manifest_path(stored).unlink()
    assert "no manifest" in verify(environ=env)[0].problem


def test_what_is_not_stored_cannot_be_verified_or_removed(
    stored: Path, env: dict[str, str]
) -> None:
    for act in (verify, remove):
        with pytest.raises(WeightsMissing, match="other is not in the store"):
            act(["other"], environ=env)
        with pytest.raises(UnknownModel):
            act(["nothing-like-it"], environ=env)


def test_removing_leaves_no_file(stored: Path, env: dict[str, str]) -> None:
    partial = stored.parent / ".pull" / "tiny.onnx" / "tiny.onnx.part"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"half")
    assert set(remove(["tiny"], environ=env)) == {stored, manifest_path(stored), partial}
    assert not stored.parent.exists()
    assert installed(env) == []
