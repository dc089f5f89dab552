from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cleancut.cli.main import main
from cleancut.presets import presets


@pytest.fixture
def photo(disc: NDArray[np.uint8], tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(disc).save(path)
    return path


def opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.copy()


def test_the_list_shows_every_row_as_flags(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["presets"]) == 0
    told = capsys.readouterr().out
    for row in presets().values():
        assert f"  {row.id} " in told
        assert row.title in told
    assert "--canvas 2000x2000 --scale 90% --background white" in told
    assert "'#f2f2f2'" in told  # ready to be typed


def test_the_list_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["presets", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["id"] for row in rows] == list(presets())
    assert set(rows[0]) == {"id", "title", "group", "options", "note", "source"}


def test_cut_takes_a_preset_and_flags_win(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    words = ["cut", str(photo), "-o", str(out), "-q", "--model", "echo", "--preset", "ebay"]
    assert main(words) == 0
    image = opened(out)
    assert (image.size, image.mode) == ((1600, 1600), "RGB")
    assert image.getpixel((0, 0)) == (255, 255, 255)
    assert main([*words, "--canvas", "160x160", "--background", "#f00"]) == 0
    image = opened(out)
    assert image.size == (160, 160)
    assert image.getpixel((0, 0)) == (255, 0, 0)


def test_batch_takes_a_preset(photo: Path, tmp_path: Path) -> None:
    words = ["-o", str(tmp_path / "many"), "-q", "--model", "echo", "--preset", "google"]
    assert main(["batch", str(photo), *words, "--canvas", "150x150"]) == 0
    assert opened(tmp_path / "many" / "photo.png").size == (150, 150)


def test_an_unknown_preset_is_an_error_with_the_nearest(
    photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cut", str(photo), "--preset", "shopfy"]) == 2
    assert "did you mean shopify?" in capsys.readouterr().err


def test_a_preset_of_ones_own_is_a_file(photo: Path, tmp_path: Path) -> None:
    own, out = tmp_path / "shop.toml", tmp_path / "out.png"
    own.write_text('canvas = "120x90"\nscale = "50%"\nbackground = "#0f0"\n')
    words = ["cut", str(photo), "-o", str(out), "-q", "--model", "echo", "--preset", str(own)]
    assert main(words) == 0
    image = opened(out)
    assert (image.size, image.getpixel((0, 0))) == ((120, 90), (0, 255, 0))


@pytest.mark.parametrize(
    ("text", "said"),
    [("canvas = ", "--preset"), ("colour = 'red'", "colour"), ("canvas = 12", "not text")],
)
def test_a_file_of_nonsense_is_one_line(
    text: str, said: str, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.toml"
    own.write_text(text)
    assert main(["cut", str(photo), "--preset", str(own)]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1
    assert main(["cut", str(photo), "--preset", str(tmp_path / "none.toml")]) == 2
