from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from cleancut.errors import WeightsError
from cleancut.weights.folders import cache_folder, home, models_folder, places

linux = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="XDG folders")


def test_the_chosen_home_and_cache_win() -> None:
    env = {"CLEANCUT_HOME": "/h", "CLEANCUT_CACHE": "/c", "XDG_DATA_HOME": "/x", "HOME": "/u"}
    assert home(env) == Path("/h")
    assert models_folder(env) == Path("/h/models")
    assert cache_folder(env) == Path("/c")


@linux
def test_xdg_folders_are_used_and_relative_ones_ignored() -> None:
    assert home({"HOME": "/u", "XDG_DATA_HOME": "/x"}) == Path("/x/cleancut")
    assert home({"HOME": "/u", "XDG_DATA_HOME": "x"}) == Path("/u/.local/share/cleancut")
    assert cache_folder({"HOME": "/u", "XDG_CACHE_HOME": "/k"}) == Path("/k/cleancut")
    assert cache_folder({"HOME": "/u"}) == Path("/u/.cache/cleancut")


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEANCUT_HOME", "/somewhere")
    assert home() == Path("/somewhere")


def test_places_come_in_the_documented_order() -> None:
    env = {
        "HOME": "/u",
        "USERPROFILE": "/u",
        "CLEANCUT_HOME": "/h",
        "CLEANCUT_MODELS": f"/a{os.pathsep}{os.pathsep}/b",
        "U2NET_HOME": "/old",
        "REMBG_HOME": "/new",
    }
    found = [(p.kind, str(p.folder)) for p in places(env) if p.kind != "bundled"]
    assert found == [
        ("folder", "/a"),
        ("folder", "/b"),
        ("store", "/h/models"),
        ("rembg", "/old"),
        ("rembg", "/new/models"),
        ("rembg", "/u/.u2net"),
        ("rembg", "/u/.rembg/models"),
    ]
    assert [p.kind for p in places(env)][2] == "bundled"


def test_manifests_are_not_believed_in_the_folders_of_rembg() -> None:
    believed = {p.kind for p in places({"HOME": "/u", "USERPROFILE": "/u"}) if p.keeps_manifests}
    assert believed == {"bundled", "store"}


def test_without_a_home_what_is_named_still_works(no_user: None) -> None:
    env = {"CLEANCUT_HOME": "/h", "CLEANCUT_CACHE": "/c"}
    assert home(env) == Path("/h")
    assert cache_folder(env) == Path("/c")
    assert [p.kind for p in places(env)] == ["bundled", "store"]


@pytest.mark.parametrize("chosen", [{}, {"CLEANCUT_HOME": "~nobody/x"}])
def test_no_home_is_an_error_that_says_what_to_set(no_user: None, chosen: dict[str, str]) -> None:
    with pytest.raises(WeightsError, match="home folder") as caught:
        home(chosen)
    assert "CLEANCUT_HOME" in caught.value.hint


@pytest.fixture
def no_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process whose user has no home: a container with any user id and no HOME."""

    def expanduser(path: Path) -> Path:
        if str(path).startswith("~"):
            raise RuntimeError("Could not determine home directory.")
        return path

    monkeypatch.setattr(Path, "expanduser", expanduser)
