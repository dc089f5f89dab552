"""Words and fonts."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cleancut.distill import lettering
from cleancut.distill.lettering import fonts, lettered, phrase, signs, word


@pytest.fixture
def no_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lettering, "fonts", lambda: ())


@pytest.fixture
def one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder where fonts are looked for, instead of the system's."""
    monkeypatch.setattr(lettering, "_UNIX", (str(tmp_path),))
    monkeypatch.setattr(lettering, "_FOLDERS", {})
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    fonts.cache_clear()
    yield tmp_path
    fonts.cache_clear()


def test_words_are_many_and_letters_have_ink() -> None:
    rng = np.random.default_rng(0)
    words = {word(rng) for _ in range(60)}
    assert len(words) > 50
    mask = lettered(rng, "Og", 40)
    assert mask.dtype == np.uint8
    assert mask.max() == 255
    assert mask[0].any()
    assert mask[:, 0].any()
    assert len(phrase(rng)) > 0


@pytest.mark.usefixtures("no_fonts")
def test_without_any_font_the_one_inside_pillow_serves() -> None:
    small, large = (lettered(np.random.default_rng(0), "Hedge", size) for size in (16, 64))
    assert large.shape[0] > 3 * small.shape[0]
    assert large.any()


def test_holes_of_letters_are_empty() -> None:
    mask = lettered(np.random.default_rng(0), "O", 80, font="")
    middle = mask.shape[0] // 2, mask.shape[1] // 2
    assert mask[middle] == 0
    assert mask[middle[0], : middle[1]].max() == 255


def test_a_stroke_makes_letters_bolder_and_lines_taller() -> None:
    rng = np.random.default_rng(0)
    thin, bold = (lettered(rng, "ill", 48, font="", stroke=k) for k in (0, 3))
    assert bold.sum() > 1.5 * thin.sum()
    assert lettered(rng, "a\nb", 48, font="").shape[0] > 1.7 * thin.shape[0]


def test_a_text_without_ink_is_one_empty_pixel() -> None:
    assert lettered(np.random.default_rng(0), " ", 20, font="").tolist() == [[0]]
    assert lettered(np.random.default_rng(0), "", 20, font="").tolist() == [[0]]


@pytest.mark.usefixtures("one_folder")
def test_no_folder_of_fonts_means_no_fonts() -> None:
    assert fonts() == ()


def test_files_that_are_no_fonts_are_passed_over(one_folder: Path) -> None:
    (one_folder / "broken.ttf").write_bytes(b"\0\1\0\0 not a font")
    (one_folder / "empty.otf").write_bytes(b"")
    (one_folder / "folder.ttf").mkdir()
    assert fonts() == ()


def test_signs_are_of_fonts_that_have_them() -> None:
    for font, sign in signs()[::40]:
        assert font in fonts()
        assert lettered(np.random.default_rng(0), sign, 32, font=font).any()
