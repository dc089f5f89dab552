from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cleancut.cli.main import main
from cleancut.result import Result

ECHO = ["--model", "echo"]


@pytest.fixture
def png(disc: NDArray[np.uint8]) -> bytes:
    data = io.BytesIO()
    Image.fromarray(disc).save(data, "PNG")
    return data.getvalue()


@pytest.fixture
def unsure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every other picture, beginning with the first, is cut with a confidence of .3."""
    from cleancut import pipeline

    monkeypatch.setenv("CLEANCUT_RESULT_CACHE", "off")  # equal pictures are cut each
    cut, seen = pipeline.cutout, []

    def cutout(*args: object, **kwargs: object) -> Result:
        from dataclasses import replace

        seen.append(1)
        result = cut(*args, **kwargs)  # type: ignore[arg-type]
        return replace(result, confidence=0.3 if len(seen) % 2 else 0.9)

    monkeypatch.setattr(pipeline, "cutout", cutout)


@pytest.mark.usefixtures("unsure")
def test_unsure_results_are_copied_into_a_folder_beside_them(
    png: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(png)
    out = tmp_path / "out"
    inputs = [str(tmp_path / name) for name in ("a.png", "b.png")]
    assert main(["cut", *inputs, "-o", f"{out}/", "--review-below", "0.6", *ECHO]) == 0
    (copied,) = (out / "review").iterdir()
    assert copied.name.startswith("a.")
    assert copied.read_bytes() == (out / copied.name).read_bytes()
    assert "confidence 0.30" in capsys.readouterr().err


@pytest.mark.usefixtures("unsure")
def test_json_says_what_was_put_aside(
    png: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.png").write_bytes(png)
    aside = tmp_path / "look"
    words = ["--review-below", ".6", "--review-folder", str(aside), "--json", *ECHO]
    assert main(["cut", str(tmp_path / "a.png"), *words]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["confidence"], facts["reasons"]) == (0.3, [])
    assert Path(facts["review"]).parent == aside
    assert Path(facts["review"]).is_file()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--review-below", "1.5"], "out of range"),
        (["--review-below", "nan"], "out of range"),
        (["--review-folder", "x"], "--review-below 0.6"),
        (["--review-below", ".5", "-o", "-"], "needs files"),
    ],
)
def test_what_cannot_be_reviewed_is_said_first(
    words: list[str], told: str, png: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.png").write_bytes(png)
    assert main(["cut", str(tmp_path / "a.png"), *words, *ECHO]) == 2
    assert told in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_result_on_stdout_is_not_quietly_left_unreviewed(
    png: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(png)))
    assert main(["cut", "-", "--review-below", ".5", *ECHO]) == 2
    assert "needs files" in capsys.readouterr().err


def test_a_review_folder_overwrites_neither_results_of_one_name_nor_an_input(
    png: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.png").write_bytes(png)
    x, y = (str(tmp_path / folder / "a.png") for folder in ("x", "y"))
    review = ["--review-below", "1", "--review-folder"]
    assert main(["cut", x, y, *review, str(tmp_path / "look"), *ECHO]) == 2
    assert "a.cutout.png twice" in capsys.readouterr().err
    assert main(["cut", x, "-o", str(tmp_path / "a.png"), *review, str(tmp_path / "x"), *ECHO]) == 2
    assert "never overwritten" in capsys.readouterr().err
    assert Path(x).read_bytes() == png
    assert not (tmp_path / "look").exists()
