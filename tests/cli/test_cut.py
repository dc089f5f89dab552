from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cleancut.cli.cut import plan
from cleancut.cli.main import main
from cleancut.errors import BadOption
from cleancut.options import Options

ECHO = ["--model", "echo"]


@pytest.fixture
def photo(disc: NDArray[np.uint8], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(disc).save("photo.png")
    return Path("photo.png")


def _pixels(path: str | Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image)


def test_the_cutout_lies_beside_the_picture(
    photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cut", "photo.png", *ECHO]) == 0
    assert _pixels("photo.cutout.png").shape == (96, 128, 4)
    assert "photo.png -> photo.cutout.png" in capsys.readouterr().err


def test_the_suffix_decides_the_format(photo: Path) -> None:
    for suffix, kind in [("webp", "WEBP"), ("jpg", "JPEG"), ("tif", "TIFF"), ("avif", "AVIF")]:
        assert main(["cut", "photo.png", "-o", f"out.{suffix}", *ECHO]) == 0
        with Image.open(f"out.{suffix}") as image:
            assert image.format == kind
    assert main(["cut", "photo.png", "-f", "webp", *ECHO]) == 0
    assert Path("photo.cutout.webp").is_file()


def test_a_folder_takes_many_and_no_two_collide(photo: Path, disc: NDArray[np.uint8]) -> None:
    Image.fromarray(disc).save("photo.jpg")
    Image.fromarray(255 - disc).save("PHOTO.bmp")
    assert main(["cut", "photo.png", "photo.jpg", "PHOTO.bmp", "-o", "out", *ECHO]) == 0
    names = sorted(path.name for path in Path("out").iterdir())
    assert names == ["PHOTO.bmp.cutout.png", "photo.cutout.png", "photo.jpg.cutout.png"]


def test_planned_names_never_collide() -> None:
    inputs = ["a/x.jpg", "b/x.jpg", "c/x.jpg", "x.jpg.png"]
    jobs, _ = plan(inputs, "out/", Options())
    targets = [job.target.lower() for job in jobs]
    assert len(set(targets)) == len(inputs)
    with pytest.raises(BadOption):
        plan(["a.jpg", "b.jpg"], "-", Options())


def test_mask_background_crop_and_size(photo: Path) -> None:
    assert main(["cut", "photo.png", "--only-mask", *ECHO]) == 0
    assert _pixels("photo.mask.png").shape == (96, 128)
    flags = ["--background", "#f00", "--crop", "--margin", "10%", "--max-side", "40", "-f", "jpg"]
    assert main(["cut", "photo.png", *flags, *ECHO]) == 0
    pixels = _pixels("photo.cutout.jpg")
    assert max(pixels.shape) == 40
    assert pixels[0, 0, 0] > 220 > 60 > pixels[0, 0, 1]


def test_json_is_one_line_a_picture(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.jpg").write_text("hello")
    assert main(["cut", "photo.png", "bad.jpg", "--json", "-o", "out/", *ECHO]) == 5
    good, bad = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert good["output"] == "out/photo.cutout.png"
    assert {"model", "backend", "size", "box", "coverage", "timings_ms", "notes"} <= set(good)
    assert {"decode", "model", "encode", "total"} <= set(good["timings_ms"])
    assert bad["error"]["code"] == "unreadable-image"


def test_stdin_to_stdout(photo: Path) -> None:
    command = [sys.executable, "-m", "cleancut", "cut", "-", *ECHO]
    done = subprocess.run(command, input=photo.read_bytes(), capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    with Image.open(io.BytesIO(done.stdout)) as image:
        assert image.mode == "RGBA"


def _one_line(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 1, captured.err
    assert "Traceback" not in captured.err
    return lines[0]


@pytest.mark.parametrize(
    ("words", "code", "exit_code"),
    [
        (["nope.jpg"], "input-not-found", 2),
        (["."], "input-not-found", 2),
        (["text.jpg"], "unreadable-image", 2),
        (["zero.jpg"], "unreadable-image", 2),
        (["short.png"], "unreadable-image", 2),
        (["photo.png", "-o", "photo.png"], "output-not-writable", 2),
        (["photo.png", "-o", "photo.png/x/y.png"], "output-not-writable", 2),
        (["photo.png", "-o", "x.xyz"], "unsupported-format", 2),
        (["photo.png", "--modle", "x"], "bad-option", 2),
        (["photo.png", "--quality", "many"], "bad-option", 2),
        (["photo.png", "--quality", "200"], "bad-option", 2),
        (["photo.png", "--background", "nocolour"], "bad-option", 2),
        (["photo.png", "--background", "none.jpg"], "input-not-found", 2),
        (["photo.png", "--max-megapixels", "0.01"], "image-too-large", 2),
        (["photo.png", "--only-mask", "--background", "red"], "bad-option", 2),
        ([], "bad-option", 2),
    ],
)
def test_bad_input_is_one_line_with_a_code(
    words: list[str], code: str, exit_code: int, photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("text.jpg").write_text("this is a letter")
    Path("zero.jpg").touch()
    Path("short.png").write_bytes(photo.read_bytes()[:-80])
    before = sorted(path.name for path in Path().iterdir())
    original = photo.read_bytes()
    assert main(["cut", *words, *ECHO]) == exit_code
    assert f"[{code}]" in _one_line(capsys)
    assert sorted(path.name for path in Path().iterdir()) == before  # no partial output
    assert photo.read_bytes() == original


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (["-m", "isnt"], "unknown-model", "cleancut models list"),
        (["-m", "u2net"], "weights-missing", "cleancut models pull u2net"),
        ([], "weights-missing", "cleancut models pull isnet"),
        (["-m", "isnet", "--commercial-only"], "licence-refused", "take one of"),
        (["-m", "net.onnx"], "weights-corrupt", ""),
    ],
)
def test_setup_problems_name_the_next_command(
    words: list[str], code: str, hint: str, photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("net.onnx").write_bytes(b"not a model" * 100)
    assert main(["cut", "photo.png", *words]) == 3
    line = _one_line(capsys)
    assert f"[{code}]" in line
    assert hint in line


def test_the_environment_can_demand_commercial_models(
    photo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLEANCUT_COMMERCIAL_ONLY", "1")
    assert main(["cut", "photo.png", "-m", "isnet"]) == 3
    assert "licence-refused" in _one_line(capsys)
    monkeypatch.setenv("CLEANCUT_COMMERCIAL_ONLY", "perhaps")
    assert main(["cut", "photo.png", "-m", "isnet"]) == 2
    assert "bad-option" in _one_line(capsys)


def test_a_missing_gpu_is_an_error_never_a_fallback(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.backends.graphs import conv

    conv(tmp_path / "tiny.onnx")
    words = ["-m", "tiny.onnx", "--recipe", "size=16", "--device", "gpu"]
    assert main(["cut", "photo.png", *words]) == 3
    assert "backend-unavailable" in _one_line(capsys)


def test_a_custom_network_runs_with_its_recipe(photo: Path, tmp_path: Path) -> None:
    from tests.backends.graphs import conv

    conv(tmp_path / "tiny.onnx")
    words = ["-m", "tiny.onnx", "--recipe", "size=16 mean=0.5 output=alpha", "--backend", "ort"]
    assert main(["cut", "photo.png", *words]) == 0
    assert _pixels("photo.cutout.png").shape == (96, 128, 4)


def test_an_unwritable_folder_is_told(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").touch()
    assert main(["cut", "photo.png", "-o", "file/sub/", *ECHO]) == 2
    assert "output-not-writable" in _one_line(capsys)


def test_no_subject_is_a_note_or_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (64, 64), (3, 3, 3)).save("empty.png")
    assert main(["cut", "empty.png", *ECHO]) == 0
    assert "note [no_subject]" in capsys.readouterr().err
    assert main(["cut", "empty.png", "--fail-if-empty", *ECHO]) == 2
    assert "[no-subject]" in _one_line(capsys)


def test_debug_shows_the_traceback(photo: Path) -> None:
    from cleancut.errors import InputNotFound

    with pytest.raises(InputNotFound):
        main(["cut", "nope.png", "--debug", *ECHO])
