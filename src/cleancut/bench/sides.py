"""The two sides of a comparison: how each is started, and in which environment."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cleancut import __version__
from cleancut.bench import peer as rembg_peer
from cleancut.bench.measure import Sample, run_once
from cleancut.bench.peer import NAMES, Peer
from cleancut.errors import MissingDependency

_HERE = Path(__file__).parent
#: What a user may have set that would favour a side or lead it to other files.
_DROPPED = ("PYTHON", "CLEANCUT_", "REMBG_", "U2NET_", "NUMBA_", "OMP_", "MODEL_CHECKSUM")

#: Packages whose versions decide how fast ours is.
_OURS = ("onnxruntime", "openvino", "opencv-python-headless", "numpy", "pillow")

RunOnce = Callable[[list[str], Mapping[str, str]], Sample]
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Side:
    """One side: package name, interpreter, command, environment.

    ``names`` maps our model ids to the side's own, ``cut`` is its command line for one picture with
    {model}, {image} and {output}, ``cut_all`` that for a folder. ``run_once`` is a seam.
    """

    name: str
    python: str
    command: tuple[str, ...]
    cut: tuple[str, ...]
    cut_all: tuple[str, ...]
    names: Mapping[str, str]
    env: Mapping[str, str]
    run_once: RunOnce = run_once

    def run(self, *words: str) -> Sample:
        """Run the side's command with ``words``."""
        return self.run_once([*self.command, *words], self.env)

    def cut_picture(self, model: str, image: Path, output: Path) -> Sample:
        """Cut one picture in a process of its own; the file must be new and not empty."""
        from cleancut.errors import RunError

        output.unlink(missing_ok=True)
        fields = {"model": self.names[model], "image": str(image), "output": str(output)}
        sample = self.run(*(word.format_map(fields) for word in self.cut))
        if not output.is_file() or output.stat().st_size == 0:
            raise RunError(f"{self.name} ended without an error and wrote no picture")
        return sample

    def cut_folder(self, model: str, images: Path, output: Path, *more: str) -> Sample:
        """Cut every picture of a folder in one process into ``output``, which must not exist yet.

        ``more`` are words for the end of the command line. A side may end well with pictures
        missing, so they are counted (``RunError``).
        """
        from cleancut.errors import RunError

        output.mkdir(parents=True)
        fields = {"model": self.names[model], "image": str(images), "output": str(output)}
        sample = self.run(*(word.format_map(fields) for word in self.cut_all), *more)
        given, made = sum(1 for _ in images.iterdir()), sum(1 for _ in output.glob("*.png"))
        if made != given:
            raise RunError(f"{self.name} ended without an error and made {made} of {given}")
        return sample

    def import_package(self) -> Sample:
        """Import the package in a fresh process; prints JSON, see ``child_import``."""
        # -P: the folder of the script must not lend its modules to the package measured.
        script = str(_HERE / "child_import.py")
        return self.run_once([self.python, "-P", script, self.name], self.env)

    def call_often(self, model: str, image: Path, count: int) -> Sample:
        """Cut one picture ``count`` times in one process; prints JSON, see ``child_calls``."""
        script = str(_HERE / "child_calls.py")
        words = [self.name, self.names[model], str(image), str(count)]
        return self.run_once([self.python, "-P", script, *words], self.env)

    def at_home(self, home: Path) -> Side:
        """This side with the weights of ``home``, optimised copies included."""
        env = {name: value for name, value in self.env.items() if name != "CLEANCUT_MODELS"}
        return replace(self, env={**env, "CLEANCUT_HOME": str(home)})

    def fresh(self, folder: Path, *, bytecode: bool = True) -> Side:
        """This side as just installed: nothing compiled, measured or remembered yet.

        ``bytecode`` says whether .pyc files are missing too, those of Python itself included.
        """
        env = {
            **self.env,
            "NUMBA_CACHE_DIR": str(folder / "numba"),
            "CLEANCUT_CACHE": str(folder / "cache"),
        }
        if bytecode:
            env["PYTHONPYCACHEPREFIX"] = str(folder / "pycache")
        return replace(self, env=env)


def our_side(weights: Mapping[str, Path], work: Path) -> Side:
    """cleancut as it runs here, with a home and a cache of its own in ``work``.

    It finds ``weights`` (catalog id -> file) in the folders in which they lie.
    """
    folders = dict.fromkeys(str(path.parent) for path in weights.values())
    env = {
        **neutral_environ(),
        "CLEANCUT_HOME": str(work / "home"),
        "CLEANCUT_CACHE": str(work / "cache"),
        "CLEANCUT_MODELS": os.pathsep.join(folders),
    }
    if path := os.environ.get("PYTHONPATH"):  # run from a source tree
        env["PYTHONPATH"] = path
    return Side(
        name="cleancut",
        python=sys.executable,
        command=(sys.executable, "-m", "cleancut"),
        cut=("cut", "{image}", "-o", "{output}", "--model", "{model}", "--quiet"),
        cut_all=(
            *("batch", "{image}", "-o", "{output}", "--model", "{model}"),
            *("--cache", "off", "--quiet"),
        ),
        names={model: model for model in (*NAMES, *weights)},
        env=env,
    )


def rembg_side(peer: Peer, home: Path) -> Side:
    """rembg of ``peer``, with its models in ``home``."""
    return Side(
        name="rembg",
        python=str(peer.python),
        command=(str(peer.command),),
        cut=("i", "-m", "{model}", "{image}", "{output}"),
        cut_all=("p", "-m", "{model}", "{image}", "{output}"),
        names=NAMES,
        env={**neutral_environ(), "U2NET_HOME": str(home)},
    )


def rembg_or_reason(
    venv: Path | None, weights: Mapping[str, Path], work: Path, tell: Tell, *, gpu: bool = False
) -> tuple[Side | None, str]:
    """rembg's side and a line about it; None and the reason where it cannot be had.

    ``venv`` is where it is or will be installed, None to leave it out; with ``gpu`` for a GPU.
    """
    if venv is None:
        return None, "rembg: left out, as asked"
    try:
        peer = rembg_peer.prepare(venv.absolute(), tell=tell, gpu=gpu)
    except MissingDependency as error:
        return None, f"rembg: not measured, since {error.message}"
    rembg_peer.lend_weights(weights, work / "rembg")
    versions = ", ".join(f"{name} {number}" for name, number in peer.versions.items())
    return rembg_side(peer, work / "rembg"), (
        f"rembg: {versions}; it runs the very weight files that cleancut runs"
    )


def our_software() -> str:
    """A line with the versions of what runs on our side."""
    found = [f"{name} {number}" for name, number in our_versions().items()]
    python = f"Python {platform.python_version()} for both sides, {platform.system()}"
    return f"cleancut {__version__}: {', '.join(found)}; {python}"


def our_versions() -> dict[str, str]:
    """Versions of the packages that decide how fast ours is, where they are installed."""
    found = {}
    for name in _OURS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def neutral_environ(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment without what would steer one of the sides."""
    given = os.environ if environ is None else environ
    return {name: value for name, value in given.items() if not name.startswith(_DROPPED)}
