from __future__ import annotations

from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from cleancut.compare import stored as place
from cleancut.compare.stored import stored
from cleancut.errors import BadOption, SetupError
from tests.compare.comparisons import made_up


def test_what_is_stored_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "measured.json"
    path.write_text(made_up().to_json(pictures=False), "utf-8")
    monkeypatch.setattr(place, "PATH", path)
    assert stored().speed == made_up().speed
    path.write_text("{}", "utf-8")
    with pytest.raises(BadOption):
        stored()


def test_a_package_without_measurements_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "PATH", tmp_path / "measured.json")
    with pytest.raises(SetupError) as caught:
        stored()
    assert "bench compare" in caught.value.hint


def test_data_beside_the_code_is_packed() -> None:
    root = Path(__file__).parents[2]
    packed = {Path(file.path) for file in WheelBuilder(str(root)).recurse_included_files()}
    beside = {path for path in place.PATH.parent.iterdir() if path.suffix in (".toml", ".json")}
    assert beside
    assert beside <= packed
