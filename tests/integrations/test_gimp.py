"""The plug-in for GIMP: what needs no GIMP with the real command, and all of it in GIMP 3."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import cleancut
from tests.portraits import Person, drawn

FOLDER = Path(__file__).parents[2] / "integrations" / "gimp" / "cleancut-gimp"
SCRIPT = Path(__file__).with_name("gimp_session.py")
CONSOLE = shutil.which("gimp-console-3.0")


@pytest.fixture(scope="module")
def command() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gimp_command", FOLDER / "command.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def picture(disc: NDArray[np.uint8], tmp_path: Path) -> Path:
    Image.fromarray(disc).save(tmp_path / "layer.png")
    return tmp_path / "layer.png"


def cleancut_words() -> list[str]:
    return [sys.executable, "-m", "cleancut"]


def test_gimp_finds_a_script_of_the_folders_name_that_may_be_run() -> None:
    script = FOLDER / f"{FOLDER.name}.py"
    assert script.stat().st_mode & stat.S_IXUSR
    for path in FOLDER.glob("*.py"):  # GIMP's Python on Debian 13, Windows and macOS
        ast.parse(path.read_text("utf-8"), feature_version=(3, 11))


def test_the_command_is_found(command: ModuleType, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "cleancut"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    path = {"PATH": str(program.parent)}
    assert command.find_command("", path) == [str(program)]
    assert command.find_command(f"'{program}' -x", path) == [str(program), "-x"]
    assert command.find_command("", path | {command.VARIABLE: str(program)}) == [str(program)]
    with pytest.raises(command.CommandFailed, match="pip install cleancut"):
        command.find_command("", {"PATH": str(tmp_path)})
    with pytest.raises(command.CommandFailed, match="nowhere"):
        command.find_command("/nowhere", path)


def test_a_real_run_writes_the_matte_and_waits_lively(
    command: ModuleType, picture: Path, tmp_path: Path
) -> None:
    waited: list[float] = []
    words = cleancut_words() + command.arguments(
        picture, tmp_path / "cut.png", model="echo", refine="off", only_mask=True
    )
    poisoned = {**os.environ, "PYTHONHOME": "/nowhere"}  # as an AppImage of GIMP sets it
    facts = command.run(words, poisoned, waiting=lambda: waited.append(time.monotonic()))
    assert facts["size"] == [128, 96]
    assert len(waited) >= 2
    with Image.open(tmp_path / "cut.png") as cut:
        assert cut.mode == "L"
        assert (cut.getpixel((64, 48)), cut.getpixel((5, 5))) == (255, 0)


@pytest.mark.parametrize(
    ("model", "said"), [("isnet", "cleancut models"), ("nonsense", "no model called 'nonsense'")]
)
def test_what_the_command_refuses_is_told_in_a_line(
    command: ModuleType, picture: Path, tmp_path: Path, model: str, said: str
) -> None:
    words = cleancut_words() + command.arguments(
        picture, tmp_path / "cut.png", model=model, refine="off", only_mask=True
    )
    with pytest.raises(command.CommandFailed, match=said) as caught:
        command.run(words, os.environ, waiting=lambda: None)
    assert "\n" not in str(caught.value)


def test_a_command_that_breaks_off_is_told(command: ModuleType) -> None:
    broken = [
        sys.executable,
        "-c",
        "import sys; print('out of luck', file=sys.stderr); sys.exit(9)",
    ]
    with pytest.raises(command.CommandFailed, match="out of luck"):
        command.run(broken, os.environ, waiting=lambda: None)
    with pytest.raises(command.CommandFailed, match="in silence"):
        command.run([sys.executable, "-c", ""], os.environ, waiting=lambda: None)


def test_who_stops_waiting_stops_the_command(command: ModuleType, tmp_path: Path) -> None:
    mark = tmp_path / "lived"
    sleeper = f"import time, pathlib; time.sleep(3); pathlib.Path({str(mark)!r}).touch()"

    def cancel() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        command.run([sys.executable, "-c", sleeper], os.environ, waiting=cancel)
    time.sleep(3.5)
    assert not mark.exists()


def test_a_selection_is_kept(command: ModuleType, picture: Path, tmp_path: Path) -> None:
    selected = np.zeros((96, 128), np.uint8)
    selected[2:12, 2:12] = 255
    command.write_scribbles(tmp_path / "marks.png", selected.tobytes(), 128, 96)
    with Image.open(tmp_path / "marks.png") as marks:
        painted = np.asarray(marks)
    assert np.array_equal(painted[..., 1] == 255, selected == 255)
    assert not painted[..., ::2].any()
    words = cleancut_words() + command.arguments(
        picture,
        tmp_path / "cut.png",
        model="echo",
        refine="off",
        only_mask=True,
        scribbles=tmp_path / "marks.png",
    )
    command.run(words, os.environ, waiting=lambda: None)
    with Image.open(tmp_path / "cut.png") as cut:
        assert cut.getpixel((6, 6)) == 255


@pytest.mark.weights
@pytest.mark.slow
@pytest.mark.skipif(CONSOLE is None, reason="needs GIMP 3 (Debian 13: apt install gimp)")
def test_in_gimp_the_mask_is_the_commands_matte(real_models: Path, tmp_path: Path) -> None:
    person, _ = drawn([Person(320, 240)])
    Image.fromarray(person).save(tmp_path / "photo.png")
    environ = {
        **os.environ,
        "HOME": str(tmp_path),
        "CLEANCUT_COMMAND": os.environ.get("CLEANCUT_COMMAND", " ".join(cleancut_words())),
        "CLEANCUT_TEST_FOLDER": str(tmp_path),
    }
    plugins = tmp_path / ".config" / "GIMP" / "3.0" / "plug-ins"
    shutil.copytree(FOLDER, plugins / FOLDER.name)
    assert CONSOLE is not None
    code = f"exec(open({str(SCRIPT)!r}).read())"
    done = subprocess.run(
        [CONSOLE, "-i", "--batch-interpreter=python-fu-eval", "-b", code, "--quit"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=240,
    )
    told = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert told["mask"] == "success", done.stdout + done.stderr
    assert told["layers"] == "['photo.png cutout', 'photo.png']", told
    assert told["again"].endswith("has a mask already; apply or delete it first")
    expected = cleancut.cutout(tmp_path / "photo.png", model="u2netp")
    mask = np.frombuffer((tmp_path / "mask.raw").read_bytes(), np.uint8).reshape(640, 640)
    assert np.array_equal(mask, np.asarray(expected.mask))
    with Image.open(tmp_path / "layer.png") as layer:
        assert layer.mode == "RGBA"
        assert np.array_equal(np.asarray(layer)[..., 3], mask)
