"""rembg in an environment of its own, with our weights: both sides run the same network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cleancut.errors import MissingDependency

VERSION = "2.0.86"
REQUIREMENT = f"rembg[cpu,cli]=={VERSION}"
#: The same for a GPU, with the libraries that CUDA needs and rembg does not ask for.
GPU_REQUIREMENTS = (f"rembg[gpu,cli]=={VERSION}", "onnxruntime-gpu[cuda,cudnn]")
#: Catalog id -> rembg's name of the same network; its file is the name with .onnx.
NAMES = {"isnet": "isnet-general-use", "u2netp": "u2netp"}

_INSTALL_TIMEOUT_S = 3600
#: Starting an interpreter takes a second; one that hangs must not hold up everything else.
_ASK_TIMEOUT_S = 120
#: Lies in environments made here; no other is ever installed into, since that changes its packages.
MARK = "made-by-cleancut-bench"
#: gradio comes only with [cli], without which ``rembg --help`` ends with an error.
_ASKED = ("rembg", "gradio", "onnxruntime", "onnxruntime-gpu", "numba", "numpy", "pillow")
_ASK = """
import json, sys
from importlib.metadata import PackageNotFoundError, version
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        pass
print(json.dumps(found))
"""

Run = Callable[[list[str], float], str]


@dataclass(frozen=True, slots=True)
class Peer:
    """An environment that holds rembg: its interpreter, its command, versions of what matters."""

    python: Path
    command: Path
    versions: Mapping[str, str]


def prepare(
    folder: Path, *, tell: Callable[[str], None], run: Run | None = None, gpu: bool = False
) -> Peer:
    """The environment in ``folder``, made and filled with rembg if it is not there.

    With ``gpu`` rembg is to run on one.

    An environment that somebody else made is used if it is complete and never changed.
    ``run(argv, timeout_s)`` runs a command and returns its stdout; a seam. Raises
    ``MissingDependency`` with the reason if rembg cannot be had.
    """
    run = run or run_quietly
    python, command = environment(folder, "rembg", tell=tell, run=run, flag="--peer-venv")
    found = _versions(python, folder, run)
    there = found.get("rembg")
    if there is not None and there != VERSION:
        raise MissingDependency(
            f"{folder} holds rembg {there}, not {VERSION}", hint="give another folder: --peer-venv"
        )
    wanted = GPU_REQUIREMENTS if gpu else (REQUIREMENT,)
    lacks = gpu and "onnxruntime-gpu" not in found
    if there is None or lacks or "gradio" not in found or not command.exists():
        if not (folder / MARK).exists():
            raise MissingDependency(
                f"{folder} lacks {wanted[0]}, and nothing is installed into an environment that"
                " this benchmark did not make",
                hint="give a new folder: --peer-venv",
            )
        tell(f"installing {wanted[0]} into {folder}")
        quiet = ["--quiet", "--no-input", "--disable-pip-version-check"]
        _step([str(python), "-m", "pip", "install", *quiet, *wanted], folder, run)
        found = _versions(python, folder, run)
    if found.get("rembg") != VERSION or not command.exists():
        raise MissingDependency(
            f"{wanted[0]} is not complete in {folder}", hint=f"delete {folder} and run again"
        )
    return Peer(python, command, found)


def environment(
    folder: Path, program: str, *, tell: Callable[[str], None], run: Run, flag: str
) -> tuple[Path, Path]:
    """The virtual environment ``folder``, made if it is not there: its Python and ``program``.

    One made here gets ``MARK``. ``MissingDependency``, naming ``flag``, if it is something else.
    """
    programs = folder / ("Scripts" if sys.platform == "win32" else "bin")
    suffix = ".exe" if sys.platform == "win32" else ""
    python = programs / f"python{suffix}"
    if not python.exists():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise MissingDependency(
                f"{folder} is not a virtual environment", hint=f"give another folder: {flag}"
            )
        tell(f"making {folder}")
        prepared([sys.executable, "-m", "venv", str(folder)], folder, run, program, flag)
        (folder / MARK).touch()
    return python, programs / f"{program}{suffix}"


def lend_weights(weights: Mapping[str, Path], home: Path, names: Mapping[str, str] = NAMES) -> None:
    """Put our verified files where rembg looks (``U2NET_HOME``), under its own ``names``.

    rembg takes a file that is there as it is, without hashing. Linked where the disk allows it;
    one that is there already is replaced whole, while others may be reading it.
    """
    home.mkdir(parents=True, exist_ok=True)
    for model, path in weights.items():
        target = home / f"{names[model]}.onnx"
        part = target.with_name(f".{target.name}.{os.getpid()}")
        for place in (os.link, os.symlink, shutil.copyfile):
            try:
                place(path.resolve(), part)
                break
            except OSError:
                if place is shutil.copyfile:
                    raise
        part.replace(target)
        # Two names of one file are left alone by rename(2).
        part.unlink(missing_ok=True)


def _versions(python: Path, folder: Path, run: Run) -> dict[str, str]:
    return versions(python, _ASKED, folder, run, f"rembg {VERSION}", "--peer-venv")


def versions(
    python: Path, packages: Sequence[str], folder: Path, run: Run, name: str, flag: str
) -> dict[str, str]:
    """Which of ``packages`` the interpreter ``python`` has, in which version.

    ``MissingDependency`` about ``name`` in ``folder`` if it cannot be asked, naming ``flag``.
    """
    ask = [str(python), "-c", _ASK, *packages]
    said = prepared(ask, folder, run, name, flag, timeout_s=_ASK_TIMEOUT_S)
    try:
        # What the environment says when Python starts comes before it.
        found = json.loads(said.strip().splitlines()[-1])
        return {package: str(found[package])[:80] for package in packages if package in found}
    except (ValueError, IndexError, TypeError, RecursionError) as error:
        raise MissingDependency(
            f"{folder} does not say which packages it holds", hint=f"give another folder: {flag}"
        ) from error


def _step(argv: list[str], folder: Path, run: Run) -> str:
    return prepared(argv, folder, run, f"rembg {VERSION}", "--peer-venv")


def prepared(
    argv: list[str],
    folder: Path,
    run: Run,
    name: str,
    flag: str,
    *,
    timeout_s: float = _INSTALL_TIMEOUT_S,
) -> str:
    """What one step of setting a peer up in ``folder`` has printed.

    ``MissingDependency`` with the reason if it fails; ``flag`` names another folder.
    """
    try:
        return run(argv, timeout_s)
    except subprocess.CalledProcessError as error:
        said = str(error.stderr or error.stdout or "").strip().splitlines()
        errors = [line for line in said if line.startswith("ERROR:")] or said[-1:]
        reason = errors[0] if errors else f"status {error.returncode}"
    except subprocess.TimeoutExpired:
        reason = "it took too long"
    except OSError as error:
        reason = str(error)
    raise MissingDependency(
        f"{name} cannot be prepared in {folder}: {reason[:200]}",
        hint=f"delete {folder} and run again, or give {flag}",
    )


def run_quietly(argv: list[str], timeout_s: float) -> str:
    """Run a command without this process's Python settings; what it printed."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        argv,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=True,
    )
    return done.stdout
