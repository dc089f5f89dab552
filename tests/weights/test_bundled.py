"""The weights that ship inside the package."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

from cleancut.catalog import ModelSpec, catalog, default_models, find
from cleancut.errors import WeightsCorrupt, WeightsMissing
from cleancut.weights import folders
from cleancut.weights.importing import import_path
from cleancut.weights.pull import pull
from cleancut.weights.resolve import REINSTALL, is_pulled, resolve
from cleancut.weights.store import remove, verify

ROOT = Path(__file__).parents[2]
SHIPPED = [spec for spec in catalog().values() if spec.bundled]
#: What a wheel may weigh for each model that it brings, in bytes.
LIMIT = {"cleancut-nano": 7_000_000, "deeplabv3plus-portrait": 10_000_000}

shipped = pytest.mark.parametrize("spec", SHIPPED, ids=lambda spec: spec.id)


@pytest.fixture
def damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package whose bundled files are all there and of the right size, with one wrong byte."""
    folder = tmp_path / "bundled"
    shutil.copytree(folders.BUNDLED, folder)
    for path in folder.glob("*.onnx"):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    monkeypatch.setattr(folders, "BUNDLED", folder)
    return folder


@shipped
def test_it_is_here_without_a_pull_and_is_the_catalogued_file(spec: ModelSpec) -> None:
    found = resolve(spec)
    assert (found.where, found.prepared) == ("bundled", True)
    assert found.sha256 == spec.weights[0].sha256
    assert found.path == is_pulled(spec) == folders.BUNDLED / spec.weights[0].file
    assert found.path.stat().st_size == spec.weights[0].bytes <= LIMIT[spec.id]


@shipped
def test_it_cannot_come_from_elsewhere_and_is_not_among_the_defaults(spec: ModelSpec) -> None:
    assert [weight.sources for weight in spec.weights] == [()]
    assert spec not in default_models()


@shipped
def test_pulling_it_fetches_nothing(spec: ModelSpec) -> None:
    (done,) = pull([spec], open_url=lambda *_: pytest.fail("went to the network"))
    assert (done.already, done.path) == (True, folders.BUNDLED / spec.weights[0].file)


@shipped
def test_it_is_verified_and_never_removed(spec: ModelSpec) -> None:
    assert [(v.id, v.problem) for v in verify([spec.id])] == [(spec.id, "")]
    assert spec.id in [v.id for v in verify()]
    with pytest.raises(WeightsMissing, match="part of the package") as caught:
        remove([spec.id])
    assert "models pull" not in caught.value.hint
    assert is_pulled(spec)


@shipped
def test_only_what_was_made_of_it_is_removed(spec: ModelSpec, home: Path) -> None:
    copy = home / "cleancut" / "models" / spec.id / f"{spec.id}.int8.onnx"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(b"copy")
    assert remove([spec.id]) == [copy]
    assert resolve(spec).where == "bundled"


@shipped
def test_a_damaged_package_says_how_it_is_mended(spec: ModelSpec, damaged: Path) -> None:
    with pytest.raises(WeightsCorrupt, match="damaged") as caught:
        resolve(spec)
    assert caught.value.hint == f"run: {REINSTALL}"
    with pytest.raises(WeightsCorrupt):
        pull([spec], open_url=lambda *_: pytest.fail("went to the network"))
    (bad,) = verify([spec.id])
    assert bad.problem
    assert bad.remedy == REINSTALL


@shipped
def test_a_package_without_the_file_says_how_it_is_mended(
    spec: ModelSpec, damaged: Path, home: Path
) -> None:
    intact = ROOT / "src" / "cleancut" / "bundled" / spec.weights[0].file
    (damaged / spec.weights[0].file).unlink()
    for act in (resolve, lambda spec: pull([spec])):
        with pytest.raises(WeightsMissing, match="missing in the package") as caught:
            act(spec)
        assert caught.value.hint == f"run: {REINSTALL}"
    assert [v.problem for v in verify([spec.id])] == ["missing in the package"]
    import_path(intact)  # who has the file may bring it
    assert resolve(spec).where == "store"


def test_a_folder_of_the_users_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = find("cleancut-nano").weights[0].file
    shutil.copy(folders.BUNDLED / own, tmp_path / own)
    monkeypatch.setenv("CLEANCUT_MODELS", str(tmp_path))
    assert resolve(find("nano")).path == tmp_path / own


@pytest.mark.parametrize(("builder", "prefix"), [(WheelBuilder, ""), (SdistBuilder, "src/")])
def test_wheel_and_source_archive_hold_it(builder: type, prefix: str) -> None:
    held = {
        file.distribution_path.replace("\\", "/"): Path(file.path)
        for file in builder(str(ROOT)).recurse_included_files()
    }
    for spec in SHIPPED:
        name = f"{prefix}cleancut/bundled/{spec.weights[0].file}"
        assert held[name].stat().st_size == spec.weights[0].bytes
    networks = {name for name in held if re.search(r"/bundled/.*\.onnx$", name)}
    assert len(networks) == len(SHIPPED), "a file that no row of the catalog names"
