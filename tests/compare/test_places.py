from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cleancut.bench.sides import neutral_environ
from cleancut.compare import places as module
from cleancut.compare.peers import Installed
from cleancut.compare.places import places
from cleancut.errors import MissingDependency, WeightsMissing


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> None:
    """rembg is installed and can be lent weights; the others are not installed."""

    def installed(tool, folder, run):  # type: ignore[no-untyped-def]
        if tool.id != "rembg":
            raise MissingDependency(f"no {tool.id}")
        return Installed(folder / "bin" / "python", folder / "bin" / "rembg", {})

    def environ(tool, network, there, work, run):  # type: ignore[no-untyped-def]
        return {
            **neutral_environ(),
            "HTTPS_PROXY": "http://127.0.0.1:9",
            "HOME": "/somebody",
            "U2NET_HOME": str(work / network.row),
        }

    monkeypatch.setattr(module, "installed", installed)
    monkeypatch.setattr(module, "environ", environ)


@pytest.mark.usefixtures("there")
def test_every_tool_has_a_place_or_none(tmp_path: Path) -> None:
    found = places({"rembg": tmp_path, "backgroundremover": tmp_path}, tmp_path)
    assert list(found) == ["cleancut", "rembg", "backgroundremover", "transparent-background"]
    ours, rembg = found["cleancut"], found["rembg"]
    assert ours is not None
    assert (ours.python, dict(ours.lent)) == (Path(sys.executable), {})
    assert rembg is not None
    assert rembg.python == tmp_path / "bin" / "python"
    assert found["backgroundremover"] is None
    assert found["transparent-background"] is None


@pytest.mark.usefixtures("there")
def test_only_what_leads_to_weights_is_lent(tmp_path: Path) -> None:
    rembg = places({"rembg": tmp_path}, tmp_path)["rembg"]
    assert rembg is not None
    assert dict(rembg.lent) == {"U2NET_HOME": str(tmp_path / "u2netp")}


@pytest.mark.usefixtures("there")
def test_without_weights_a_tool_is_asked_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def environ(*_: object) -> dict[str, str]:
        raise WeightsMissing("u2netp is not pulled")

    monkeypatch.setattr(module, "environ", environ)
    rembg = places({"rembg": tmp_path}, tmp_path)["rembg"]
    assert rembg is not None
    assert dict(rembg.lent) == {}
