"""A comparison as a file: what is written is read, and what strangers write is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cleancut.compare import comparison as module
from cleancut.compare.comparison import Comparison
from cleancut.errors import BadOption, InputNotFound
from tests.compare.comparisons import made_up


def values() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(made_up().to_json())
    return found


def refused(text: str) -> str:
    with pytest.raises(BadOption) as caught:
        Comparison.from_json(text, "f.json")
    assert len(caught.value.message) < 300
    return caught.value.message


def test_what_is_written_is_read_back() -> None:
    assert Comparison.from_json(made_up().to_json(), "f.json") == made_up()


def test_names_of_files_that_are_no_text_survive(tmp_path: Path) -> None:
    odd = replace(made_up(), data="b\udcffx")
    path = tmp_path / "f.json"
    path.write_bytes(odd.to_json().encode())
    assert Comparison.read(path) == odd


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e308", "-1", "1" + "0" * 400])
def test_numbers_that_no_measurement_gives_are_refused(number: str) -> None:
    for part, field in (("speed", "first_call"), ("sets", "pictures"), ("scores", "figures")):
        given = values()
        given[part][0][field] = {"mad": "HERE"} if field == "figures" else "HERE"
        text = json.dumps(given).replace('"HERE"', number)
        assert f"f.json.{part}[0].{field}" in refused(text)


def test_a_cache_may_have_cost_time() -> None:
    given = values()
    given["repeats"]["shares"] = {"0.00": -0.02}
    read = Comparison.from_json(json.dumps(given), "f.json").repeats
    assert read
    assert read.shares == {"0.00": -0.02}


def test_another_shape_is_refused_with_the_name_of_the_field() -> None:
    deep: list[Any] = []
    for _ in range(500):
        deep = [deep]
    for wrong, told in ((deep, "a list"), ({"a": 1}, "an object"), (True, "True"), (1, "1")):
        assert refused(json.dumps(values() | {"version": wrong})) == f"f.json.version is {told}"
    assert "machine.cores" in refused(
        json.dumps(values() | {"machine": {"cpu": "x", "cores": "4"}})
    )
    refused("[" * 200_000)
    refused(json.dumps(values() | {"x" * 100_000: 1}))
    refused(json.dumps(values() | {"software": {"x" * 100_000: 1}}))
    refused(json.dumps(values() | {"version": "x" * 100_000, "date": 1}))


@pytest.mark.parametrize("key", ["\u00b2", "9" * 5000, "-1", "<b>", "nan"])
def test_keys_that_stand_for_numbers_are_numbers(key: str) -> None:
    given = values()
    given["speed"][0]["by_threads"] = {key: 1.0}
    refused(json.dumps(given))
    given = values()
    given["repeats"]["shares"] = {key: 0.5}
    refused(json.dumps(given))


def test_more_rows_than_a_comparison_has_are_refused() -> None:
    many = values()
    many["systems"] = many["systems"][:1] * 101
    assert "systems has more than 100" in refused(json.dumps(many))


def test_reading_ends_where_no_comparison_is_as_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_BYTES", 1000)
    large = tmp_path / "large.json"
    large.write_text(" " * 1001)
    for path in (large, Path("/dev/zero")):
        if path.exists():
            with pytest.raises(BadOption, match="larger than any comparison"):
                Comparison.read(path)
    with pytest.raises(InputNotFound):
        Comparison.read(tmp_path)


@pytest.mark.parametrize(("number", "which"), [(0, "an older"), (2, "a newer")])
def test_a_file_of_another_version_is_called_that(number: int, which: str) -> None:
    said = refused(json.dumps({"format": number}))
    assert said == f"f.json was made by {which} cleancut, whose figures this one cannot read"
    assert refused("{}") == refused('{"format": true}') == "f.json holds no comparison"
