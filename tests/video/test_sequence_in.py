"""Numbered pictures: which files, in which order, at which times, at which depth."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from cleancut.errors import InputNotFound, UnreadableImage, UnreadableVideo
from cleancut.video.reading import open_video
from tests.video.clips import HEIGHT, WIDTH, picture


def save(path: Path, number: int, *, alpha: bool = False, deep: bool = False) -> None:
    pixels = picture(number) if alpha else picture(number)[..., :3]
    order = [2, 1, 0, 3][: pixels.shape[2]]
    stored = np.ascontiguousarray(pixels[..., order])
    cv2.imwrite(str(path), stored.astype(np.uint16) * 256 + number if deep else stored)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in (9, 10, 11, 100):
        save(tmp_path / f"shot2_{number}.png", number)
    (tmp_path / "notes.txt").write_text("not a picture")
    return tmp_path


@pytest.mark.parametrize("name", ["", "shot2_%d.png", "shot2_*.png", "*"])
def test_pictures_come_in_the_order_of_their_numbers(folder: Path, name: str) -> None:
    if name == "*":
        (folder / "notes.txt").unlink()
    with open_video(str(folder / name) if name else folder) as reader:
        frames = list(reader.frames())
        info = reader.info
    assert [frame.pts for frame in frames] == [0, 1, 2, 91]
    assert [frame.duration for frame in frames] == [1, 1, 89, 1]
    assert np.array_equal(frames[3].rgb, picture(100)[..., :3])
    assert (info.kind, info.frames, info.rate) == ("sequence", 4, Fraction(25))
    assert (info.width, info.height, info.bits, info.has_alpha) == (WIDTH, HEIGHT, 8, False)
    assert any(note.startswith("gaps: 88 ") for note in info.notes)


def test_rate_and_spans(folder: Path) -> None:
    with open_video(folder, rate=Fraction(30000, 1001)) as reader:
        assert reader.info.time_base == Fraction(1001, 30000)
        assert [frame.pts for frame in reader.frames(1, 91)] == [1, 2]
        assert [frame.pts for frame in reader.frames(2)] == [2, 91]


def test_zeros_of_a_pattern_are_heeded(tmp_path: Path) -> None:
    for name in ("f_0001.png", "f_0002.png", "f_3.png", "g_0004.png"):
        save(tmp_path / name, 1)
    with open_video(str(tmp_path / "f_%04d.png")) as reader:
        assert len(list(reader.frames())) == 2


def test_sixteen_bits_and_alpha_are_kept(tmp_path: Path) -> None:
    for number in range(3):
        save(tmp_path / f"{number}.png", number, alpha=True, deep=True)
    with open_video(tmp_path) as reader:
        assert (reader.info.bits, reader.info.has_alpha) == (16, True)
        frame = list(reader.frames())[2]
    assert frame.rgb.dtype == np.uint16
    assert np.array_equal(frame.rgb, picture(2)[..., :3].astype(np.uint16) * 256 + 2)
    assert frame.view.dtype == np.uint8
    assert frame.alpha is not None
    assert abs(frame.alpha * 255 - picture(2)[..., 3]).max() < 1


def test_a_first_picture_that_is_opaque_does_not_lose_the_alpha_of_others(tmp_path: Path) -> None:
    opaque = picture(0)
    opaque[..., 3] = 255
    cv2.imwrite(str(tmp_path / "1.png"), opaque)
    save(tmp_path / "2.png", 2, alpha=True)
    with open_video(tmp_path) as reader:
        assert reader.info.has_alpha
        first, second = reader.frames()
    assert first.alpha is not None
    assert (first.alpha == 1).all()
    assert second.alpha is not None
    assert second.alpha.min() == 0


def test_what_does_not_fit_names_the_file(tmp_path: Path) -> None:
    save(tmp_path / "1.png", 1)
    cv2.imwrite(str(tmp_path / "2.png"), np.zeros((10, 10, 3), np.uint8))
    with open_video(tmp_path) as reader, pytest.raises(UnreadableVideo, match=r"2\.png is 10 x 10"):
        list(reader.frames())
    (tmp_path / "2.png").write_bytes((tmp_path / "1.png").read_bytes()[:200])
    with open_video(tmp_path) as reader, pytest.raises(UnreadableImage, match=r"^2\.png: "):
        list(reader.frames())
    save(tmp_path / "b1.png", 1)
    with pytest.raises(UnreadableVideo, match="same number"):
        open_video(tmp_path)


@pytest.mark.parametrize("name", ["", "f_%05d.png", "f_*.png", "none/%d.png"])
def test_nothing_there_says_what_would_be(name: str, tmp_path: Path) -> None:
    (tmp_path / "clip.mov").write_bytes(b"x")
    with pytest.raises(InputNotFound, match="no numbered pictures") as caught:
        open_video(str(tmp_path / name))
    assert "%05d" in caught.value.hint
