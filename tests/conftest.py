"""A home of its own for every test, pictures made in code, and real weights where asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cleancut import engine

_OWN = ("CLEANCUT_", "U2NET_HOME", "REMBG_HOME", "XDG_")


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home and cache, no settings of the machine's, no engine of another test's."""
    folder = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.startswith(_OWN) and name != "CLEANCUT_TEST_MODELS":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("CLEANCUT_HOME", str(folder / "cleancut"))
    monkeypatch.setenv("CLEANCUT_CACHE", str(folder / "cache"))
    monkeypatch.setattr(engine, "_shared", None)
    return folder


@pytest.fixture
def no_bundled(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that has lost the models that ship inside it."""
    from cleancut.weights import folders

    monkeypatch.setattr(folders, "BUNDLED", home / "lost")


@pytest.fixture
def disc() -> NDArray[np.uint8]:
    """A white disc on black, 96 x 128: the echo model cuts it out."""
    y, x = np.mgrid[:96, :128]
    edge = np.clip(30 - np.hypot(y - 48, x - 64) + 0.5, 0, 1)
    return np.repeat((edge * 255).astype(np.uint8)[..., None], 3, axis=2)


@pytest.fixture(scope="session")
def pulled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with u2netp, modnet and isnet, pulled by the command line from the registries.

    ``CLEANCUT_TEST_MODELS`` names a folder that keeps them between runs on a developer's machine.
    """
    kept = os.environ.get("CLEANCUT_TEST_MODELS")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("pulled")
    _pull(folder, "u2netp", "modnet", "isnet")
    return folder


def _pull(folder: Path, *names: str) -> None:
    environ = {**os.environ, "CLEANCUT_HOME": str(folder), "CLEANCUT_CACHE": str(folder / "cache")}
    command = [sys.executable, "-m", "cleancut", "models", "pull", *names]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def pulled_selfies(pulled: Path) -> Path:
    """The same folder with the two MediaPipe models, which are converted from TensorFlow.js."""
    _pull(pulled, "selfie", "selfie-landscape")
    return pulled


@pytest.fixture(scope="session")
def pulled_rvm(pulled: Path) -> Path:
    """The same folder with Robust Video Matting, which is translated from TensorFlow.js."""
    _pull(pulled, "rvm")
    return pulled


@pytest.fixture
def real_models(pulled: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use the pulled models and their measured backends in this test."""
    monkeypatch.setenv("CLEANCUT_HOME", str(pulled))
    monkeypatch.setenv("CLEANCUT_CACHE", str(pulled / "cache"))
    return pulled
