from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cleancut.distill.label import LabelOrder, label
from cleancut.distill.labels import LONGEST_PX, read_labels, read_photo
from cleancut.errors import BadOption, InputNotFound
from cleancut.imaging.encode import encode
from cleancut.options import Options
from tests.distill.photos import disc, save


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    photos = save(tmp_path / "photos", "clo_a.png", "b.png")
    label(LabelOrder(photos=photos, target=tmp_path / "labels", options=Options(model="echo")))
    return tmp_path / "labels"


def change(labels: Path, **facts: Any) -> None:
    lines = (labels / "labels.jsonl").read_text().splitlines()
    (labels / "labels.jsonl").write_text(json.dumps({**json.loads(lines[0]), **facts}) + "\n")


def test_a_folder_without_labels_says_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(InputNotFound) as raised:
        read_labels(tmp_path)
    assert "cleancut distill label" in raised.value.hint


def test_the_teacher_is_told_with_licence_and_training_data(labels: Path) -> None:
    teacher = read_labels(labels).about["teacher"]
    assert teacher["model"] == "echo"
    (network,) = teacher["networks"]
    assert network["weight_licence"] == "Apache-2.0"
    assert {"training_data", "sha256", "commercial"} <= set(network)


def test_photographs_that_were_moved_can_be_named(labels: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").rename(tmp_path / "elsewhere")
    with pytest.raises(InputNotFound, match="photos"):
        read_labels(labels)
    moved = read_labels(labels, photos=tmp_path / "elsewhere")
    assert moved.rgb(moved.rows[0]).shape == (48, 64, 3)


@pytest.mark.parametrize("name", ["../a.png", "/etc/a.png", "a/../../b.png", "", 7])
def test_a_label_leads_nowhere_but_into_the_folder(labels: Path, name: object) -> None:
    change(labels, photo=name)
    with pytest.raises(BadOption, match="line 1 is not a label"):
        read_labels(labels)


@pytest.mark.parametrize(
    "facts", [{"width": 0}, {"agreement": 1.5}, {"coverage": None}, {"views": "x"}]
)
def test_a_damaged_line_is_told_by_its_number(labels: Path, facts: dict[str, Any]) -> None:
    change(labels, **facts)
    with pytest.raises(BadOption, match="line 1"):
        read_labels(labels)


def test_a_matte_of_another_size_is_refused(labels: Path) -> None:
    found = read_labels(labels)
    (labels / "mattes" / "b.png").write_bytes(encode(disc(height=20)))
    with pytest.raises(BadOption, match="64x20, its label says 64x48"):
        found.matte(found.rows[0])


def test_large_photographs_are_labelled_smaller(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.png").write_bytes(encode(disc(height=30, width=2 * LONGEST_PX)))
    order = LabelOrder(photos=photos, target=tmp_path / "labels", options=Options(model="echo"))
    assert label(order).photos == 1
    found = read_labels(tmp_path / "labels")
    row = found.rows[0]
    assert (row.width, row.height) == (LONGEST_PX, 15)
    assert found.rgb(row).shape[:2] == found.matte(row).shape == (15, LONGEST_PX)


def test_what_is_seen_through_a_transparent_photograph_is_plain(tmp_path: Path) -> None:
    rgb = np.full((40, 40, 3), 20, np.uint8)
    alpha = np.ones((40, 40), np.float32)
    alpha[:20] = 0
    seen = read_photo(encode(rgb, alpha))
    assert (seen[:20] == 255).all()
    assert (seen[21:] == 20).all()


@pytest.mark.parametrize("gone", ["photos/clo_a.png", "labels/mattes/b.png"])
def test_files_that_are_gone_are_told_before_training(
    labels: Path, tmp_path: Path, gone: str
) -> None:
    read_labels(labels).check_files()
    (tmp_path / gone).unlink()
    with pytest.raises(InputNotFound, match=f"1 of 2 labelled .*{Path(gone).name}"):
        read_labels(labels).check_files()
