from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cleancut.bench import pictures as demo
from cleancut.compare import pictures
from cleancut.compare.pictures import DRAWN_SET, find, group_of
from cleancut.errors import BadOption, DownloadFailed, InputNotFound


def paint(path: Path, level: int = 90, size: tuple[int, int] = (12, 8)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (level, 40, 200)).save(path)
    return path


def matte(path: Path, size: tuple[int, int] = (12, 8)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, 255).save(path)
    return path


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path) -> list[Path]:
        raise DownloadFailed("no network")

    monkeypatch.setattr(demo, "fetch_demo_pictures", refuse)


def test_sets_with_truth_are_pairs_with_digests_of_both_files(tmp_path: Path) -> None:
    paint(tmp_path / "my_pets" / "image" / "a.png")
    matte(tmp_path / "my_pets" / "alpha" / "a.png")
    (shot,) = find(tmp_path)
    assert (shot.name, shot.group) == ("my_pets/a", "animals")
    assert shot.alpha is not None
    assert len(shot.digest) == len(shot.truth_digest) == 64
    assert shot.digest != shot.truth_digest


def test_other_folders_are_looked_through_without_truth(tmp_path: Path) -> None:
    paint(tmp_path / "b.png")
    paint(tmp_path / "logos" / "2024" / "a.png", 10)
    paint(tmp_path / ".hidden" / "c.png")
    (tmp_path / "notes.txt").write_text("no picture")
    shots = find(tmp_path)
    assert [(shot.set, shot.stem) for shot in shots] == [(tmp_path.name, "b"), ("logos/2024", "a")]
    assert [shot.group for shot in shots] == ["other", "text"]
    assert all(shot.alpha is None and shot.truth_digest == "" for shot in shots)


def test_two_files_of_one_stem_are_two_pictures(tmp_path: Path) -> None:
    paint(tmp_path / "a.jpg")
    paint(tmp_path / "a.png")
    assert [shot.stem for shot in find(tmp_path)] == ["a", "a.png"]


def test_unsound_files_are_left_out_with_a_line_each(tmp_path: Path) -> None:
    paint(tmp_path / "good.png")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 40)
    (tmp_path / "text.webp").write_text("<html>")
    os.mkfifo(tmp_path / "pipe.png")
    lines: list[str] = []
    assert [shot.stem for shot in find(tmp_path, skip=lines.append)] == ["good"]
    names = [line.split(":")[0].split("/")[1] for line in lines]
    assert names == ["bad", "empty", "text"]


def test_a_truth_of_another_size_leaves_its_picture_out(tmp_path: Path) -> None:
    for stem, size in (("a", (12, 8)), ("b", (8, 12))):
        paint(tmp_path / "set" / "image" / f"{stem}.png")
        matte(tmp_path / "set" / "alpha" / f"{stem}.png", size)
    lines: list[str] = []
    assert [shot.stem for shot in find(tmp_path, skip=lines.append)] == ["a"]
    assert lines == ["set/b: the picture is 12x8, its alpha 8x12"]


def test_limit_is_by_set_and_only_names_sets(tmp_path: Path) -> None:
    for name in ("x/1.png", "x/2.png", "y/1.png", "y/2.png"):
        paint(tmp_path / name)
    assert [shot.name for shot in find(tmp_path, limit=1)] == ["x/1", "y/1"]
    assert [shot.name for shot in find(tmp_path, only=("y",))] == ["y/1", "y/2"]
    with pytest.raises(BadOption, match="no set 'z'") as raised:
        find(tmp_path, only=("z",))
    assert raised.value.hint == "it has: x, y"


def test_a_set_named_twice_and_a_limit_beyond_all_are_harmless(tmp_path: Path) -> None:
    paint(tmp_path / "x" / "1.png")
    paint(tmp_path / "y" / "1.png")
    assert [shot.name for shot in find(tmp_path, only=["y", "y"], limit=10**30)] == ["y/1"]


def test_a_folder_for_each_of_many_pictures_takes_no_time() -> None:
    rows = [pictures._Row(f"set {number}", "a", Path("a.png")) for number in range(30_000)]
    started = time.monotonic()
    assert len(list(pictures._chosen(rows, (), 1, "here"))) == len(rows)
    assert time.monotonic() - started < 5


def test_no_more_than_a_thousand_pictures_are_taken_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "MOST_PICTURES", 2)
    for number in range(5):
        paint(tmp_path / f"{number}.png")
    lines: list[str] = []
    assert len(find(tmp_path, skip=lines.append)) == 2
    assert lines == ["3 pictures: 2 are enough (see --limit)"]


def test_a_folder_with_nothing_to_compare_is_an_error_that_says_why(tmp_path: Path) -> None:
    with pytest.raises(InputNotFound, match="not a folder"):
        find(tmp_path / "missing")
    with pytest.raises(InputNotFound, match="holds no picture that can be read"):
        find(tmp_path)
    (tmp_path / "a.png").touch()
    with pytest.raises(InputNotFound, match="1 skipped, first "):
        find(tmp_path)


def test_unmatched_pairs_are_not_taken_for_pictures_without_truth(tmp_path: Path) -> None:
    paint(tmp_path / "set" / "image" / "a.png")
    matte(tmp_path / "set" / "alpha" / "b.png")
    with pytest.raises(InputNotFound, match="no picture with a true matte"):
        find(tmp_path)


@pytest.mark.usefixtures("offline")
def test_without_a_folder_graphics_are_drawn_once_with_exact_mattes(tmp_path: Path) -> None:
    lines: list[str] = []
    shots = find(None, cache=tmp_path, limit=3, skip=lines.append)
    assert lines == ["two photographs: no network"]
    assert [(shot.set, shot.group) for shot in shots] == [(DRAWN_SET, "text")] * 3
    for shot in shots:
        assert shot.alpha is not None
        with Image.open(shot.alpha) as image:
            alpha = np.asarray(image)
        assert alpha.shape == (640, 640)
        assert 0 < (alpha > 127).mean() < 0.9
    written = shots[0].image.stat().st_mtime_ns
    assert find(None, cache=tmp_path, limit=3) == shots
    assert shots[0].image.stat().st_mtime_ns == written


def test_the_demos_photographs_come_along_without_truth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(folder: Path) -> list[Path]:
        return [paint(folder / name) for name in ("astronaut.png", "chelsea.png")]

    monkeypatch.setattr(demo, "fetch_demo_pictures", fetch)
    shots = find(None, cache=tmp_path, limit=1)
    assert [shot.group for shot in shots] == ["text", "people", "animals"]
    assert [shot.alpha is None for shot in shots] == [False, True, True]


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("composite_people", "people"),
        ("alphamatting_train", "other"),
        ("davis_stills", "scenes"),
        ("Portraits-2024", "people"),
        ("catPictures", "animals"),
        ("catalogue", "products"),
        ("SHOES", "products"),
        ("company logos", "text"),
        ("manual", "other"),
        ("", "other"),
    ],
)
def test_a_set_is_grouped_by_the_words_in_its_name(name: str, group: str) -> None:
    assert group_of(name) == group
