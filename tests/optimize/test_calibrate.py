from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cleancut.backends.fake import FakeSession
from cleancut.catalog import Recipe
from cleancut.errors import InputError, InputNotFound
from cleancut.optimize.calibrate import (
    Extremes,
    Pictures,
    choose_pictures,
    measure_extremes,
    ranges_of,
)


def folder_of(path: Path, count: int) -> Path:
    for number in range(count):
        folder = path / f"{number % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 10), (number, 0, 0)).save(folder / f"{number}.png")
    return path


def extremes(feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    picture = feeds["x"]
    return {"min 0": np.asarray(picture.min()), "max 0": np.asarray(picture.max())}


def seen(*pictures: list[tuple[float, float]]) -> np.ndarray:
    return np.array(pictures, np.float64).reshape(len(pictures), -1, 2)


NONE = np.zeros((0, 1, 2))


def test_a_range_is_the_median_over_pictures_so_that_outliers_do_not_widen_it() -> None:
    extremes = Extremes(seen([(-1.5, 5.0)], [(-2.0, 6.0)], [(-900.0, 700.0)]), NONE, "")
    assert ranges_of(extremes, ["t"], [0]) == {"t": (-2.0, 6.0)}


def test_of_two_kinds_of_pictures_the_smaller_sets_the_range_even_if_rare() -> None:
    rare = seen(*[[(0.0, 5.0)]] * 3, *[[(0.0, 200.0)]] * 17)
    assert ranges_of(Extremes(rare, NONE, ""), ["t"], [0]) == {"t": (0.0, 10.0)}
    usual = seen(*[[(0.0, 100.0)]] * 3, *[[(0.0, 150.0)]] * 17)
    assert ranges_of(Extremes(usual, NONE, ""), ["t"], [0]) == {"t": (0.0, 150.0)}


def test_scenes_speak_for_the_kind_that_the_photographs_lack() -> None:
    photographs = seen(*[[(0.0, 200.0)]] * 20)
    scenes = seen(*[[(0.0, 5.0)]] * 4, *[[(0.0, 300.0)]] * 12)
    assert ranges_of(Extremes(photographs, scenes, ""), ["t"], [0]) == {"t": (0.0, 10.0)}
    assert ranges_of(Extremes(photographs, 100 * scenes, ""), ["t"], [0]) == {"t": (0.0, 200.0)}


def test_a_tensor_that_is_mostly_zero_keeps_its_median() -> None:
    extremes = Extremes(seen(*[[(0.0, 0.0)]] * 4, *[[(0.0, 3.0)]] * 6), NONE, "")
    assert ranges_of(extremes, ["t"], [0]) == {"t": (0.0, 3.0)}


def test_wide_ranges_hold_four_pictures_in_five() -> None:
    extremes = Extremes(seen(*[[(-float(at), 1.0)] for at in range(11)]), NONE, "")
    assert ranges_of(extremes, ["t"], [0], wide=True) == {"t": (-8.0, 1.0)}


def test_tensors_that_meet_share_the_wider_range() -> None:
    extremes = Extremes(seen([(0.0, 2.0), (-1.0, 1.0), (0.0, 9.0)]), NONE, "")
    assert ranges_of(extremes, ["a", "b", "c"], [0, 0, 1]) == {
        "a": (-1.0, 2.0), "b": (-1.0, 2.0), "c": (0.0, 9.0),
    }  # fmt: skip


def test_the_same_pictures_are_chosen_every_time(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 20)
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.png").write_bytes(b"")
    first = choose_pictures(folder, 12)
    assert first == choose_pictures(folder, 12)
    assert (first.kind, len(set(first.paths)), first.scenes) == ("photographs", 12, 12)
    more = choose_pictures(folder, 100)
    assert (len(more.paths), more.scenes, len(more)) == (20, 32, 52)
    assert len(more.of_kind()) == 20


def test_too_few_pictures_or_no_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputNotFound, match="too few"):
        choose_pictures(folder_of(tmp_path / "few", 7), 100)
    with pytest.raises(InputNotFound, match="not a folder"):
        choose_pictures(tmp_path / "none", 100)


def look(pictures: Pictures, told: list[int] | None = None) -> Extremes:
    session = FakeSession(extremes, inputs={"x": (1, 3, 8, 8)}, outputs=("min 0", "max 0"))

    def progress(done: int, total: int, what: str) -> None:
        if told is not None:
            told.append(done)

    return measure_extremes(session, Recipe(size=(8, 8)), pictures, 1, progress)


def test_every_picture_is_measured_and_told(tmp_path: Path) -> None:
    told: list[int] = []
    paths = choose_pictures(folder_of(tmp_path, 10), 10).paths
    found = look(Pictures(paths, 2), told)
    assert (found.photographs.shape, found.scenes.shape) == ((10, 1, 2), (2, 1, 2))
    assert sorted(found.photographs[:, 0, 1] * 255) == pytest.approx(list(range(10)), abs=0.01)
    assert (found.pictures, len(found.sha256), told[-1]) == (10, 64, 12)


def test_the_digest_names_the_pictures(tmp_path: Path) -> None:
    paths = choose_pictures(folder_of(tmp_path, 10), 10).paths
    first = look(Pictures(paths, 0)).sha256
    assert look(Pictures(paths, 0)).sha256 == first
    assert look(Pictures(paths[:9], 0)).sha256 != first
    assert look(Pictures((), 2)).sha256 != first


def test_a_broken_picture_is_left_out_and_many_are_an_error(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 12)
    (folder / "0" / "0.png").write_bytes(b"broken")
    paths = choose_pictures(folder, 12).paths
    assert look(Pictures(paths, 1)).pictures == 11
    for path in paths[:5]:
        path.write_bytes(b"broken")
    with pytest.raises(InputNotFound, match="could be read"):
        look(Pictures(paths, 1))
    for path in paths[:9]:
        path.write_bytes(b"broken")
    with pytest.raises(InputError):
        look(Pictures(paths, 1))


def test_scenes_stand_in_where_there_is_no_folder() -> None:
    pictures = choose_pictures(None, 16)
    assert (pictures.kind, len(pictures)) == ("generated", 16)
    assert len(list(pictures.each(2))) == 2
