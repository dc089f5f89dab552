from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cleancut.distill import configs
from cleancut.distill.config import Data, Shares, TrainConfig, load_config
from cleancut.distill.data import Pictures
from cleancut.distill.labels import Label, Labels, read_labels
from cleancut.distill.people import PersonPictures, holds_person, pictures_of
from cleancut.errors import BadOption
from cleancut.imaging.encode import encode

SIDE = 64
NOTHING = Shares(photo=0, composite=0, portrait=0, drawn=0, empty=0)
PERSON = Data(subject="person", people=("ccp",), degrade=0, crop=1)


def row(photo: str, *, person: bool = False, teacher: str = "isnet") -> Label:
    return Label(photo, "0" * 64, SIDE, SIDE, (teacher, "u2netp"), 1, 0.95, 0.95, 0.25, person)


def config(shares: Shares, **data: Any) -> TrainConfig:
    return TrainConfig(kind="portrait", data=replace(PERSON, shares=shares, **data))


def labelled(tmp_path: Path, colours: Mapping[Label, int]) -> Labels:
    """Photographs of one grey each, a disc of which is the subject."""
    photos, folder = tmp_path / "photos", tmp_path / "labels"
    photos.mkdir()
    (folder / "mattes").mkdir(parents=True)
    y, x = np.mgrid[:SIDE, :SIDE]
    matte = ((np.hypot(y - SIDE / 2, x - SIDE / 2) < SIDE / 4) * 255).astype(np.uint8)
    for one, grey in colours.items():
        rgb = np.full((SIDE, SIDE, 3), grey, np.uint8)
        (photos / one.photo).write_bytes(encode(rgb, format="png"))
        grown = np.repeat(matte[..., None], 3, axis=2)
        (folder / "mattes" / f"{one.stem}.png").write_bytes(encode(grown, format="png"))
    (folder / "labels.jsonl").write_text("".join(one.to_json() + "\n" for one in colours))
    about = {"format": 1, "photos": str(photos), "teacher": {}}
    (folder / "about.json").write_text(json.dumps(about))
    return read_labels(folder)


def drawn_from(pictures: Pictures, count: int = 12) -> list[tuple[np.ndarray, np.ndarray]]:
    samples = (pictures.sample(np.random.default_rng(seed), SIDE) for seed in range(count))
    return [(rgb, alpha) for rgb, alpha, _ in samples]


def test_a_face_counts_where_the_portrait_network_was_believed() -> None:
    assert holds_person(row("in_a.jpg", person=True, teacher="modnet")) is True
    assert holds_person(row("in_a.jpg", person=True, teacher="isnet")) is None
    assert holds_person(row("in_a.jpg", person=True, teacher="a-file-of-mine")) is None


def test_without_a_face_there_is_nobody_also_where_the_portrait_network_saw_fur() -> None:
    assert holds_person(row("in_dog.jpg", teacher="modnet")) is False


def test_photographs_of_a_prefix_of_people_show_people_who_turn_away() -> None:
    assert holds_person(row("ccp_1.jpg"), ("ccp",)) is True
    assert holds_person(row("ccp_1.jpg")) is False


def test_people_keep_their_mattes_and_are_all_that_is_a_subject(tmp_path: Path) -> None:
    labels = labelled(tmp_path, {row("ccp_1.png"): 200, row("clo_1.png"): 60})
    pictures = pictures_of(config(replace(NOTHING, photo=1.0)), labels, ())
    for rgb, alpha in drawn_from(pictures):
        assert abs(int(rgb[0, 0, 0]) - 200) < 4
        assert 0.1 < alpha.mean() / 255 < 0.5


def test_everything_else_is_shown_with_an_empty_matte(tmp_path: Path) -> None:
    labels = labelled(tmp_path, {row("ccp_1.png"): 200, row("clo_1.png"): 60})
    pictures = pictures_of(config(replace(NOTHING, empty=1.0)), labels, ())
    samples = drawn_from(pictures)
    assert not any(alpha.any() for _, alpha in samples)
    assert sum(abs(int(rgb[0, 0, 0]) - 60) < 4 for rgb, _ in samples) > 4


def test_logos_are_nobody(tmp_path: Path) -> None:
    labels = labelled(tmp_path, {row("ccp_1.png"): 200, row("clo_1.png"): 60})
    pictures = pictures_of(config(replace(NOTHING, drawn=1.0)), labels, ())
    samples = drawn_from(pictures, 4)
    assert not any(alpha.any() for _, alpha in samples)
    assert any(rgb.std() > 1 for rgb, _ in samples)


def test_people_stand_before_other_things(tmp_path: Path) -> None:
    labels = labelled(tmp_path, {row("ccp_1.png"): 200, row("clo_1.png"): 60})
    scene = tmp_path / "scene.png"
    scene.write_bytes(encode(np.full((SIDE, SIDE, 3), 120, np.uint8), format="png"))
    pictures = pictures_of(config(replace(NOTHING, composite=1.0)), labels, (scene,))
    behind = [np.median(rgb[alpha == 0]) for rgb, alpha in drawn_from(pictures, 24)]
    assert sum(abs(level - 60) < 4 for level in behind) > sum(
        abs(level - 120) < 4 for level in behind
    )


def test_a_photograph_that_may_show_a_person_is_never_read(tmp_path: Path) -> None:
    doubtful = row("in_1.png", person=True)
    labels = labelled(tmp_path, {row("ccp_1.png"): 200, row("clo_1.png"): 60, doubtful: 90})
    (labels.photos / doubtful.photo).unlink()
    drawn_from(pictures_of(config(Shares(portrait=0)), labels, ()), 24)


def test_labels_without_people_are_refused(tmp_path: Path) -> None:
    labels = labelled(tmp_path, {row("clo_1.png"): 60})
    with pytest.raises(BadOption, match=r"shares\.photo"):
        pictures_of(config(replace(NOTHING, photo=1.0)), labels, ())


def test_with_nothing_else_and_no_scene_there_is_nothing_to_leave_alone(tmp_path: Path) -> None:
    labels = labelled(tmp_path, {row("ccp_1.png"): 200})
    with pytest.raises(BadOption, match=r"shares\.empty"):
        pictures_of(config(replace(NOTHING, photo=0.5, empty=0.5)), labels, ())


def test_the_portrait_students_configuration_asks_for_people() -> None:
    found = load_config(Path(next(iter(configs.__path__))) / "portrait.toml")
    assert (found.kind, found.data.subject, found.data.people) == ("portrait", "person", ("ccp",))
    assert found.data.shares.empty > 0.2


def test_other_students_get_every_subject(tmp_path: Path) -> None:
    labels = labelled(tmp_path, {row("clo_1.png"): 60})
    wanted = TrainConfig(data=Data(shares=replace(NOTHING, photo=1.0)))
    assert not isinstance(pictures_of(wanted, labels, ()), PersonPictures)
