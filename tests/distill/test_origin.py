from __future__ import annotations

import json
from pathlib import Path

import pytest

from cleancut.distill.config import Data, TrainConfig, config_text
from cleancut.distill.labels import Label
from cleancut.distill.origin import Origin, origin_for, origin_of, read_terms
from cleancut.errors import BadOption, InputNotFound

TERMS = """
licence = "MIT"
[clo]
content = "clothes"
terms = "CC0"
free = true
"""


def labels(folder: Path, *names: str, teacher: str = "modnet", agreement: float = 0.9) -> Path:
    folder.mkdir(exist_ok=True)
    rows = [
        Label(name, "0" * 64, 8, 8, (teacher,), 2, agreement, 0.9, 0.3).to_json() for name in names
    ]
    with (folder / "labels.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(f"{row}\n" for row in rows)
    return folder


def test_photographs_are_counted_by_prefix_and_use(tmp_path: Path) -> None:
    folder = labels(tmp_path / "l", "clo_1.jpg", "clo_2.jpg", "in_1.jpg")
    labels(folder, "clo_3.jpg", agreement=0.2)
    (folder / "data.toml").write_text(TERMS)
    config = TrainConfig(start="modnet", data=Data(weights={"in": 0.0}))
    origin = origin_of(folder, config, backgrounds=[Path("x/wall_1.jpg")])
    counts = [(one.prefix, one.labelled, one.used, one.terms) for one in origin.photographs]
    assert counts == [("clo", 3, 2, "CC0"), ("in", 1, 0, "")]
    assert [(one.id, one.role, one.pictures) for one in origin.teachers] == [
        ("modnet", "teacher", 2),
        ("modnet", "start", 0),
    ]
    assert origin.licence == "MIT"
    assert origin.training_data() == (
        "photographs 2 clo_ (CC0); backgrounds 1 wall_ (terms not stated);"
        " drawn logos and text; labelled by modnet; begun from modnet"
    )


def test_commercial_use_is_allowed_only_where_every_part_allows_it(tmp_path: Path) -> None:
    folder = labels(tmp_path / "l", "clo_1.jpg")
    (folder / "data.toml").write_text(TERMS)
    assert origin_of(folder, TrainConfig()).commercial == "yes"
    labels(folder, "clo_2.jpg", teacher="isnet")
    assert origin_of(folder, TrainConfig()).commercial == "unclear"
    labels(folder, "clo_3.jpg", teacher="rmbg-2.0")
    other = labels(tmp_path / "m", "my_1.jpg")
    assert origin_of(other, TrainConfig()).commercial == "unclear"  # nobody states terms
    assert Origin().commercial == "unclear"


def test_a_run_keeps_it(tmp_path: Path) -> None:
    origin = origin_of(labels(tmp_path / "l", "clo_1.jpg"), TrainConfig(start="x/y/net.onnx"))
    origin.write(tmp_path)
    assert Origin.of(tmp_path) == origin
    assert origin.teachers[-1].id == "net.onnx"  # no folder of whoever trained
    assert Origin.of(tmp_path / "l") == Origin()
    facts = json.loads((tmp_path / "origin.json").read_text())
    facts["photographs"][0]["more"] = 1
    (tmp_path / "origin.json").write_text(json.dumps(facts))
    with pytest.raises(BadOption, match="damaged"):
        Origin.of(tmp_path)


def test_labels_that_are_given_win_over_the_run(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(config_text(TrainConfig()))
    folder = labels(tmp_path / "l", "clo_1.jpg")
    assert origin_for(tmp_path, None) == Origin()
    assert origin_for(tmp_path, folder).photographs[0].used == 1
    with pytest.raises(InputNotFound):
        origin_for(tmp_path, tmp_path / "none")


def test_names_that_all_differ_count_as_one(tmp_path: Path) -> None:
    folder = labels(tmp_path / "l", "clo_1.jpg", *(f"x{n}_.jpg" for n in range(30)))
    (folder / "data.toml").write_text(TERMS)
    found = origin_of(folder, TrainConfig()).photographs
    assert [(one.prefix, one.used) for one in found] == [("", 30), ("clo", 1)]


def test_terms_that_nobody_knows_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.toml"
    assert read_terms(path) == {}
    with pytest.raises(InputNotFound):
        read_terms(path, needed=True)
    for text in ("[clo]\nlicense = 'CC0'", "clo = 3", "not toml", "x = '" + "y" * (1 << 20) + "'"):
        path.write_text(text)
        with pytest.raises(BadOption):
            read_terms(path)
