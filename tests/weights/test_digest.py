from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest

from cleancut.weights import digest
from cleancut.weights.digest import remembered_sha256, sha256_of

LATER = time.time() + 3600


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files that were hashed for real."""
    seen: list[Path] = []

    def counted(path: Path) -> str:
        seen.append(path)
        return sha256_of(path)

    monkeypatch.setattr(digest, "sha256_of", counted)
    return seen


def test_a_file_is_hashed_once(tmp_path: Path, reads: list[Path]) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"one")
    for _ in range(3):
        found = remembered_sha256(file, tmp_path / "cache", now=LATER)
        assert found == hashlib.sha256(b"one").hexdigest()
    assert len(reads) == 1


def test_a_changed_file_of_the_same_size_is_hashed_again(tmp_path: Path, reads: list[Path]) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"one")
    remembered_sha256(file, tmp_path / "cache", now=LATER)
    time.sleep(0.02)
    file.write_bytes(b"two")
    found = remembered_sha256(file, tmp_path / "cache", now=LATER)
    assert found == hashlib.sha256(b"two").hexdigest()
    assert len(reads) == 2


def test_a_file_written_just_now_is_not_remembered(tmp_path: Path, reads: list[Path]) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"one")
    remembered_sha256(file, tmp_path / "cache")
    remembered_sha256(file, tmp_path / "cache")
    assert len(reads) == 2


@pytest.mark.parametrize("text", ["", "[]", "{", '{"identity": 1}', '{"sha256": "x"}'])
def test_a_damaged_stamp_is_ignored(tmp_path: Path, text: str) -> None:
    file, cache = tmp_path / "a", tmp_path / "cache"
    file.write_bytes(b"one")
    remembered_sha256(file, cache, now=LATER)
    (stamp,) = (cache / "sha256").iterdir()
    stamp.write_text(text)
    assert remembered_sha256(file, cache, now=LATER) == hashlib.sha256(b"one").hexdigest()


def test_a_cache_that_cannot_be_written_only_costs_time(tmp_path: Path, reads: list[Path]) -> None:
    file, cache = tmp_path / "a", tmp_path / "cache"
    file.write_bytes(b"one")
    cache.write_text("a file where the folder should be")
    for _ in range(2):
        assert remembered_sha256(file, cache, now=LATER) == hashlib.sha256(b"one").hexdigest()
    assert len(reads) == 2


def test_a_stamp_that_cannot_be_finished_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, cache = tmp_path / "a", tmp_path / "cache"
    file.write_bytes(b"one")

    def full(path: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert remembered_sha256(file, cache, now=LATER) == hashlib.sha256(b"one").hexdigest()
    assert list((cache / "sha256").iterdir()) == []
