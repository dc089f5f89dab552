from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cleancut.errors import WeightsCorrupt, WeightsMissing
from cleancut.models import faces
from cleancut.models.faces import FOLDER, SUMS, FaceFinder, load_faces
from tests.portraits import CHIN, Person, drawn


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return load_faces()


@pytest.mark.parametrize("scale", [0.25, 0.6, 1.0, 2.4])
def test_a_face_is_found_with_its_chin_and_eyes(finder: FaceFinder, scale: float) -> None:
    person = Person(320, 260, scale)
    (face,) = finder.find(drawn([person])[0])
    assert face.score > 0.85
    for point, (x, y) in (
        (face.chin, (0, CHIN)),
        (face.left_eye, (-30, -12)),
        (face.right_eye, (30, -12)),
        (face.mouth, (0, 52)),
    ):
        assert np.hypot(*np.subtract(point, person.at(x, y))) < 0.06 * 200 * scale
    assert abs(face.yaw) < 0.1


@pytest.mark.parametrize("lean", [-12.0, 7.0, 25.0])
def test_the_lean_of_a_head_is_measured(finder: FaceFinder, lean: float) -> None:
    (face,) = finder.find(drawn([Person(320, 260, 1.0, lean)])[0])
    assert abs(face.roll_deg - lean) < 2


def test_16_bits_and_floats_give_the_same_face(finder: FaceFinder) -> None:
    rgb, _ = drawn([Person(320, 260)])
    (face,) = finder.find(rgb)
    for other in (rgb.astype(np.uint16) * 257, rgb.astype(np.float32) / 255):
        (again,) = finder.find(other)
        assert np.allclose(again.chin, face.chin, atol=0.5)


def test_a_large_picture_gives_points_in_its_own_pixels(finder: FaceFinder) -> None:
    person = Person(1500, 1100, 4.0)
    (face,) = finder.find(drawn([person], (3000, 2400))[0])
    assert np.hypot(*np.subtract(face.chin, person.at(0, CHIN))) < 0.06 * 800


def test_two_people_are_two_and_the_larger_comes_first(finder: FaceFinder) -> None:
    people = [Person(200, 240, 0.7), Person(650, 260, 0.9)]
    found = finder.find(drawn(people, (900, 640))[0])
    assert [abs(face.centre[0] - x) < 9 for face, x in zip(found, (650, 200), strict=True)]
    assert found[0].height > found[1].height


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (700, 3), (33, 40)])
def test_a_picture_of_any_shape_is_looked_at(finder: FaceFinder, shape: tuple[int, int]) -> None:
    assert finder.find(np.full((*shape, 3), 128, np.uint8)) == ()


def test_nothing_is_found_in_noise_and_in_patterns(finder: FaceFinder) -> None:
    y, x = np.mgrid[:300, :400]
    noise: NDArray[np.uint8] = np.random.default_rng(3).integers(0, 256, (300, 400, 3), np.uint8)
    dots = np.repeat(((np.hypot(y % 60 - 30, x % 60 - 30) < 12) * 200)[..., None], 3, axis=2)
    assert finder.find(noise) == finder.find(dots.astype(np.uint8)) == ()


def test_the_networks_are_small_and_come_with_their_licence() -> None:
    assert sum((FOLDER / name).stat().st_size for name in SUMS) < 1_200_000
    for name in ("LICENSE", "NOTICE", "README.md"):
        assert (FOLDER / name).stat().st_size > 100


def test_a_damaged_or_missing_network_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in SUMS:
        shutil.copy(FOLDER / name, tmp_path)
    monkeypatch.setattr(faces, "FOLDER", tmp_path)
    file = tmp_path / "find.onnx"
    data = bytearray(file.read_bytes())
    data[5000] ^= 1
    file.write_bytes(data)
    with pytest.raises(WeightsCorrupt, match=r"find\.onnx is damaged"):
        load_faces.__wrapped__()
    file.unlink()
    with pytest.raises(WeightsMissing, match=r"find\.onnx is missing"):
        load_faces.__wrapped__()
