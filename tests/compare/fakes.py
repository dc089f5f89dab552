"""A rembg for tests: what it does with a picture is decided by the picture's width."""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from cleancut.compare.comparison import System
from cleancut.compare.starters import Starter

#: Widths of pictures that something happens at.
FAILS, DIES, SLEEPS = 13, 14, 15

FAKE_REMBG = f"""
import os, signal, sys, time
from pathlib import Path

def note(text):
    with Path(__file__).with_name("log").open("a") as log:
        log.write(text + "\\n")

class Session:
    def get_providers(self):
        return ["FakeExecutionProvider"]
    inner_session = property(lambda self: self)

def new_session(name):
    note("session " + str(os.getpid()))
    if name == "broken":
        sys.exit("there are no weights")
    return Session()

def remove(image, session):
    print("a tool that talks")
    note("cut " + str(image.width))
    if image.width == {FAILS}:
        raise ValueError("an odd\\npicture")
    if image.width == {DIES}:
        os.kill(os.getpid(), signal.SIGKILL)
    if image.width == {SLEEPS}:
        time.sleep(600)
    cut = image.convert("RGBA")
    cut.putalpha(image.convert("RGB").getchannel("R"))
    return cut
"""


@dataclass(frozen=True)
class Shown:
    """A picture of tests."""

    image: Path
    digest: str


@dataclass(frozen=True)
class Fake:
    """The folder whose ``rembg`` is the fake."""

    folder: Path

    @property
    def log(self) -> list[str]:
        """What it did, line by line."""
        path = self.folder / "rembg" / "log"
        return path.read_text().splitlines() if path.exists() else []

    def pids(self) -> list[int]:
        """The processes that were started, in order."""
        return [int(line.split()[1]) for line in self.log if line.startswith("session")]

    def starter(self, model: str = "net") -> Starter:
        """How it is started."""
        return Starter(
            system=fake_system(model),
            python=sys.executable,
            env={**os.environ, "PYTHONPATH": str(self.folder)},
            words=(sys.executable, "{image}", "{output}"),
            versions={"rembg": "1"},
        )


def fake_rembg(folder: Path) -> Fake:
    """Write the fake."""
    (folder / "rembg").mkdir(parents=True)
    (folder / "rembg" / "__init__.py").write_text(FAKE_REMBG)
    return Fake(folder)


def fake_system(model: str = "net") -> System:
    """The fake as a contestant."""
    return System(id=f"rembg:{model}", title="fake", kind="peer", tool="rembg", model=model)


def picture(folder: Path, width: int, red: int = 200) -> Shown:
    """A PNG of that width, 10 pixels high."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{width}-{red}.png"
    Image.new("RGB", (width, 10), (red, 40, 90)).save(path)
    return Shown(path, hashlib.sha256(path.read_bytes()).hexdigest())
