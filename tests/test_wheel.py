"""The wheel, built and run as a user has it: nothing of this tree in sight."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from tests.portraits import Person, drawn

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from hatchling.builders.wheel import WheelBuilder

    folder = tmp_path_factory.mktemp("dist")
    (built,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    return Path(built)


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of a new environment: the wheel, and the packages that are here.

    A line in a .pth file lends those; unlike in a site folder of its own, no .pth file among them
    is read, so that this tree, installed editable, is not lent too.
    """
    place = tmp_path_factory.mktemp("env")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    folder = place / ("Scripts" if os.name == "nt" else "bin")
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "python"), "--quiet"]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", str(wheel)], check=True)
    asked = "import sysconfig; print(sysconfig.get_path('purelib'), end='')"
    site = subprocess.check_output([str(folder / "python"), "-c", asked], text=True)
    (Path(site) / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    return folder


def test_it_holds_what_is_needed_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0].split("-")[0] for name in names}
    assert tops == {"cleancut"}
    for part in (
        "cleancut/py.typed",
        "cleancut/catalog.toml",
        "cleancut/bundled/cleancut-nano.onnx",
        "cleancut/models/face_nets/LICENSE",
        "cleancut/server/web/index.html",
        "cleancut/cli/shells/bash.txt",
        ".dist-info/licenses/LICENSE",
        ".dist-info/licenses/src/cleancut/models/face_nets/NOTICE",
        ".dist-info/licenses/src/cleancut/server/web/vendor/client-zip.LICENSE.txt",
        "/share/man/man1/cleancut.1",
    ):
        assert any(name.endswith(part) for name in names), part
    for unwanted in ("__pycache__", "tests/", "docs/", ".pyc"):
        assert not [name for name in names if unwanted in name]
    assert wheel.stat().st_size < 13_000_000


@pytest.mark.slow
def test_it_cuts_with_an_empty_home_and_no_compiler(scripts: Path, tmp_path: Path) -> None:
    Image.fromarray(drawn([Person(160, 130)], (320, 320))[0]).save(tmp_path / "photo.png")
    home = tmp_path / "home"
    home.mkdir()
    plain = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}
    plain |= {"HOME": str(home), "PATH": str(scripts)}

    def run(*words: str) -> str:
        done = subprocess.run(
            [str(scripts / words[0]), *words[1:]],
            env=plain,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = run("python", "-c", "import cleancut; print(cleancut.__file__)")
    assert where.startswith(str(scripts.parent)), "it is this tree that was tried"
    run("cleancut", "cut", "photo.png", "-o", "cut.png")
    alpha = Image.open(tmp_path / "cut.png").getchannel("A")
    assert alpha.getextrema() == (0, 255)
    assert "cleancut-nano | bundled" in run("cleancut", "doctor", "--report")
    assert "completion words" in run("cleancut", "completion", "bash")
