"""How each contestant is started: for one picture as its user would, for many in one process."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cleancut import __version__
from cleancut.backends.machine import cpu_limit, cpu_model
from cleancut.bench.peer import Run
from cleancut.bench.sides import neutral_environ, our_versions
from cleancut.compare.comparison import System
from cleancut.compare.peers import TOOLS, environ, installed
from cleancut.compare.systems import RAW_OPTIONS, TOOL
from cleancut.errors import MissingDependency, UnknownModel
from cleancut.version import PIPELINE_VERSION
from cleancut.weights.folders import cache_folder, home

_CHILD = Path(__file__).with_name("child.py")
#: Raised whenever what a child does or writes changes.
_ANSWERS = 1
#: Where our side looks for weights, beside its home.
_FOLDERS = ("CLEANCUT_MODELS", "U2NET_HOME", "REMBG_HOME")
_FIELD = re.compile(r"\{(model|image|output|folder)\}")
_CUT: Mapping[str, tuple[str, ...]] = {
    "rembg": ("i", "-m", "{model}", "{image}", "{output}"),
    "backgroundremover": ("-m", "{model}", "-i", "{image}", "-o", "{output}"),
    "transparent-background": ("-m", "{model}", "-s", "{image}", "-d", "{folder}"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Starter:
    """What starts one contestant: interpreter, environment, command, options, versions.

    ``words`` are its command line for one picture, with {image}, {output} and {folder}.
    """

    system: System
    python: str
    env: Mapping[str, str]
    words: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    def cut(self, image: Path, output: Path) -> list[str]:
        """The tool's own command for one picture to PNG, which lies at ``written`` then."""
        fields = {
            "model": self.system.model,
            "image": str(image.absolute()),
            "output": str(output.absolute()),
            "folder": str(output.absolute().parent),
        }
        return [_FIELD.sub(lambda found: fields[found[1]], word) for word in self.words]

    def written(self, image: Path, output: Path) -> Path:
        """Where ``cut`` leaves its picture: one tool takes a folder and chooses the name."""
        if self.system.tool == "transparent-background":
            return output.absolute().with_name(f"{image.stem}_rgba.png")
        return output.absolute()

    def child(self, jobs: Path) -> list[str]:
        """The command that cuts many pictures in one process, see ``child.py``."""
        options = json.dumps(dict(self.options), sort_keys=True)
        words = [self.system.tool, self.system.model, options, str(jobs)]
        # -P: the folder of the script must not lend its modules to the tool.
        return [self.python, "-P", str(_CHILD), *words]

    def identity(self) -> dict[str, Any]:
        """Everything that decides its answers and their times, as plain JSON values."""
        return {
            "answers": _ANSWERS,
            "system": self.system.id,
            "model": self.system.model,
            "weights": self.system.weights,
            "options": dict(self.options),
            "versions": dict(self.versions),
            "machine": f"{cpu_model()}, {cpu_limit()} cores",
        }


def starter(
    system: System,
    work: Path,
    *,
    peers: Mapping[str, Path | None] | None = None,
    options: Mapping[str, Any] | None = None,
    run: Run | None = None,
) -> Starter:
    """How ``system`` is started here.

    ``work`` keeps the weights lent to other tools; keep it to make them once. ``peers`` is as in
    ``systems``. ``options`` are more of ``Options``, for ours only ({"device": "gpu"}). ``run`` is
    a seam. Raises ``WeightsMissing``, ``MissingDependency``, and ``UnknownModel`` for a row that
    others wrote.
    """
    if system.tool == TOOL:
        return _ours(system, options or {})
    if (tool := TOOLS.get(system.tool)) is None:
        raise UnknownModel(
            f"no tool called {system.tool[:60]!r} can be started",
            hint=f"one of: {', '.join(TOOLS)}",
        )
    folder = (peers or {}).get(tool.id)
    if folder is None:
        raise MissingDependency(
            f"no environment for {tool.id} is given",
            hint="run: cleancut bench compare --install-peers",
        )
    there = installed(tool, folder, run)
    network = next((one for one in tool.networks if one.name == system.model), None)
    if network is None:
        raise UnknownModel(
            f"{tool.id} is not compared with a network called {system.model[:60]!r}",
            hint=f"one of: {', '.join(known.name for known in tool.networks)}",
        )
    return Starter(
        system=system,
        python=str(there.python),
        env=environ(tool, network, there, work.absolute(), run),
        words=(str(there.command), *_CUT[tool.id]),
        versions=there.versions,
    )


def _ours(system: System, more: Mapping[str, Any]) -> Starter:
    env = {
        **neutral_environ(),
        "CLEANCUT_HOME": str(home().absolute()),
        "CLEANCUT_CACHE": str(cache_folder().absolute()),
    }
    env.update({name: os.environ[name] for name in _FOLDERS if os.environ.get(name)})
    if path := os.environ.get("PYTHONPATH"):  # run from a source tree
        env["PYTHONPATH"] = path
    options = {**(RAW_OPTIONS if system.raw else {}), **more}
    words = [sys.executable, "-m", "cleancut", "cut", "{image}", "-o", "{output}"]
    words += ["--model", "{model}", "--cache", "off", "--quiet"]
    for name, value in options.items():
        words += [f"--no-{name}"] if value is False else [f"--{name}", str(value)]
    return Starter(
        system=system,
        python=sys.executable,
        env=env,
        words=tuple(words),
        options=options,
        versions=software(TOOL),
    )


def software(tool: str, peers: Mapping[str, Path | None] | None = None) -> dict[str, str]:
    """Versions of what decides a tool's figures; ``MissingDependency`` if it is not installed."""
    if tool == TOOL:
        return {TOOL: __version__, "pipeline": str(PIPELINE_VERSION), **our_versions()}
    folder = (peers or {}).get(tool)
    if folder is None:
        return {}
    return dict(installed(TOOLS[tool], folder).versions)
