from __future__ import annotations

import pytest

from cleancut.catalog import find
from cleancut.cli import models
from cleancut.weights import pull as pulling


@pytest.fixture(autouse=True)
def _nothing_pulled(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("CLEANCUT_HOME", str(tmp_path))
    monkeypatch.setattr(pulling, "pull", lambda *_, **__: [])


def test_a_licence_with_obligations_is_told_before_the_download(
    capsys: pytest.CaptureFixture[str],
) -> None:
    models.pull_models(["rvm"])
    assert capsys.readouterr().err.startswith("rvm: weights under GPL-3.0; ")


@pytest.mark.parametrize("name", ["modnet", "isnet"])
def test_the_models_that_everybody_pulls_are_pulled_in_silence(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    models.pull_models([find(name)])
    assert "weights under" not in capsys.readouterr().err
