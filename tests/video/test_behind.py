from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cleancut.errors import InputError, InputNotFound
from cleancut.options import Options
from cleancut.video.behind import Moving, Still, fitted, open_behind
from cleancut.video.frame import ColourTags

from .clips import HEIGHT, WIDTH, picture, write_clip

LIKE = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
ALPHA = np.zeros((HEIGHT, WIDTH), np.float32)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Ten pictures at 25 a second: 0.4 seconds."""
    return write_clip(tmp_path / "back.mkv", "ffv1", "bgr0")


def _number(shown: np.ndarray) -> int:
    errors = [np.abs(shown.astype(int) - picture(n)[..., :3]).mean() for n in range(10)]
    assert min(errors) < 1
    return int(np.argmin(errors))


def test_colours_and_pictures_take_the_size_depth_and_colours_of_the_frame() -> None:
    red = np.array([[[255, 0, 0]]], np.uint8)
    assert (fitted(red, LIKE, None) == (255, 0, 0)).all()
    deep = LIKE.astype(np.uint16)
    assert (fitted(red, deep, None) == (65535, 0, 0)).all()
    hdr = fitted(np.full((1, 1, 3), 255, np.uint8), deep, ColourTags(9, 16, 9))
    assert abs(hdr.mean() / 65535 - 0.58) < 0.01


def test_a_picture_covers_the_frame_and_is_fitted_once(tmp_path: Path) -> None:
    wide = np.zeros((50, 300, 3), np.uint8)
    wide[:, 100:200] = (10, 200, 30)
    Image.fromarray(wide).save(tmp_path / "wide.png")
    behind = open_behind(Options(background=str(tmp_path / "wide.png")))
    assert isinstance(behind, Still)
    back = behind.at(LIKE, ALPHA, 0.0, None)
    assert back.shape == LIKE.shape
    assert (back == (10, 200, 30)).all()
    assert behind.at(LIKE, ALPHA, 1.0, None) is back


def test_a_video_goes_by_time_and_begins_again(clip: Path) -> None:
    behind = open_behind(Options(background=str(clip)))
    assert behind is not None
    try:
        shown = [_number(behind.at(LIKE, ALPHA, n / 25 + 0.001, None)) for n in range(23)]
        assert shown == [n % 10 for n in range(23)]
        half = [_number(behind.at(LIKE, ALPHA, n / 50 + 0.001, None)) for n in range(8)]
        assert half == [0, 0, 1, 1, 2, 2, 3, 3]
    finally:
        behind.close()


def test_a_video_shows_the_same_at_a_time_wherever_one_begins(clip: Path) -> None:
    for first in (0.33, 0.05, 1.11):
        behind = open_behind(Options(background=str(clip)))
        assert behind is not None
        assert _number(behind.at(LIKE, ALPHA, first, None)) == int((first % 0.4) * 25)
        behind.close()


def test_frames_that_stay_for_long_are_found_from_the_middle(tmp_path: Path) -> None:
    slides = write_clip(
        tmp_path / "slides.mkv",
        "ffv1",
        "bgr0",
        count=3,
        times=[0, 10_000, 20_000],
        time_base=Fraction(1, 1000),
    )
    behind = Moving(slides, 120)
    assert _number(behind.at(LIKE, ALPHA, 19.0, None)) == 1
    behind.close()


def test_blur_has_no_ghost_of_the_subject_and_its_size_and_depth() -> None:
    rgb = np.full((360, 480, 3), 60, np.uint8)
    rgb[100:300, 150:330] = 250
    alpha = np.zeros((360, 480), np.float32)
    alpha[100:300, 150:330] = 1
    for text in ("blur", "blur:40", "blur:2"):
        behind = open_behind(Options(background=text))
        assert behind is not None
        back = behind.at(rgb, alpha, 0.0, None)
        assert back.shape == rgb.shape
        assert np.abs(back.astype(int) - 60).max() <= 1
        deep = behind.at(rgb.astype(np.uint16) * 257, alpha, 0.0, None)
        assert deep.dtype == np.uint16
        assert np.abs(deep / 257 - 60).max() <= 1


def test_nothing_stands_behind_what_lets_through() -> None:
    assert open_behind(Options()) is None
    assert open_behind(Options(background="#ff000080")) is None


def test_files_that_are_not_there_or_no_video_say_that_it_is_the_background(tmp_path: Path) -> None:
    with pytest.raises(InputNotFound, match="--background"):
        open_behind(Options(background=str(tmp_path / "none.mp4")))
    (tmp_path / "text.mp4").write_text("this is a text" * 50)
    with pytest.raises(InputError, match="--background"):
        open_behind(Options(background=str(tmp_path / "text.mp4")))


def test_a_still_gif_is_a_picture(tmp_path: Path) -> None:
    Image.new("RGB", (20, 20), (0, 0, 255)).save(tmp_path / "blue.gif")
    behind = open_behind(Options(background=str(tmp_path / "blue.gif")))
    assert isinstance(behind, Still)
    assert (behind.at(LIKE, ALPHA, 0.0, None) == (0, 0, 255)).all()
