"""``cleancut bench compare``: the systems of the articles, ours and others, in every dimension."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cleancut.errors import BadOption

if TYPE_CHECKING:
    from cleancut.compare.comparison import Comparison
    from cleancut.compare.gallery import Gallery
    from cleancut.compare.run import Plan

EPILOG = """\
examples:
  cleancut bench compare                         pictures made on the spot, everything that is here
  cleancut bench compare --data pictures --html report.html
  cleancut bench compare --data shop-photos --models auto isnet rembg:u2netp --html report.html
  cleancut bench compare --data pictures --parts accuracy,speed --limit 5 --quick
  cleancut bench compare --install-peers         rembg and others, each in an environment of its own
  cleancut bench compare --from old.json --html report.html          nothing measured, only drawn
  cleancut bench compare --from old.json --parts speed --json new.json

A summary is printed; the whole report is what --html, --markdown or --json writes.
DIR holds SET/image/*.jpg and SET/alpha/*.png (true mattes), clips as SET/CLIP/image and
SET/CLIP/alpha, or any pictures at all: without true mattes there is no accuracy, but agreement,
speed and a gallery to look at. Answers are kept: a run that was cut short goes on where it was.
"""
#: As ``compare.comparison`` and ``compare.peers`` have them, which ``--help`` need not load.
PARTS = ("accuracy", "speed", "resources", "deployment", "video", "cache")
PEERS = ("rembg", "backgroundremover", "transparent-background")
_ENDED_EARLY = 130
_RUNS = 5
#: Switches that change what is measured.
_SAID = ("quick", "no_peers", "downloads")


def add_arguments(add: Callable[..., argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """The action ``compare``."""
    what = "every system in every dimension, on your pictures: report, charts, gallery"
    parser = add(
        "compare",
        help=what,
        description=what,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="your pictures (default: made up)")
    parser.add_argument(
        *("-m", "--models"),
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="systems: a model, NAME:raw (the network alone), rembg:u2netp, a path to an .onnx file"
        " (default: all that are here)",
    )
    parser.add_argument(
        "--parts", default="", metavar="LIST", help=f"of {','.join(PARTS)} (default: all)"
    )
    parser.add_argument("--only", default="", metavar="SET,SET", help="sets to take")
    parser.add_argument("--limit", type=int, metavar="N", help="pictures of each set")
    parser.add_argument(
        "--runs", type=int, default=_RUNS, metavar="N", help="timed runs (default: 5)"
    )
    parser.add_argument("--quick", action="store_true", help="one timed run, no 12-megapixel one")
    parser.add_argument("--jobs", type=int, metavar="N", help="pictures scored at once")
    parser.add_argument("--fresh", action="store_true", help="use no answer of an earlier run")
    parser.add_argument("--no-peers", action="store_true", help="leave other tools out")
    parser.add_argument(
        "--install-peers", action="store_true", help="install those that are not here (up to 5 GB)"
    )
    for name in PEERS:
        folder = f".venv-{name}"
        parser.add_argument(
            f"--{name}-venv",
            type=Path,
            default=Path(folder),
            metavar="FOLDER",
            help=f"where {name} is, or will be installed (default: {folder})",
        )
    parser.add_argument(
        "--downloads", action="store_true", help="ask the package index how large each tool is"
    )
    parser.add_argument(
        "--from", dest="before", type=Path, metavar="FILE", help="go on from the JSON of a run"
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the report as one page")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write it as Markdown")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure as JSON")
    return parser


def run(args: argparse.Namespace, tell: Callable[[str], None]) -> int:
    """Measure, write the reports, print what matters most; 130 if it was cut short."""
    from cleancut.cli.main import shown
    from cleancut.cli.progress import item_progress
    from cleancut.compare.comparison import Comparison
    from cleancut.compare.run import compare
    from cleancut.compare.summary import summary

    before = Comparison.read(args.before) if args.before else None
    plan = _plan(args, before)
    _check_targets(args)
    with item_progress() as step:
        found, gallery = compare(plan, tell, step, before=before, save=_saver(args))
    try:  # whoever reads the table may have gone away: the files come first
        _write(found, gallery, args)
    finally:
        for line in (*summary(found).splitlines(), "", *_reports(args, found)):
            print(shown(line))
    return 0 if found.complete and gallery.complete else _ENDED_EARLY


def _plan(args: argparse.Namespace, before: Comparison | None) -> Plan:
    from cleancut.compare import comparison
    from cleancut.compare.repeats import RepeatPlan
    from cleancut.compare.run import Plan
    from cleancut.compare.speed import SpeedPlan

    words = _words(args.parts)
    if unknown := [word for word in words if word not in PARTS]:
        raise BadOption(
            f"--parts: there is no part {unknown[0]!r}", hint=f"one of: {', '.join(PARTS)}"
        )
    asked = frozenset(part for part in comparison.PARTS if part in words)
    peers: dict[str, Path | None] = {
        name: None if args.no_peers else getattr(args, f"{name.replace('-', '_')}_venv")
        for name in PEERS
    }
    return Plan(
        data=args.data,
        models=tuple(word for text in args.models for word in _words(text)),
        parts=asked or frozenset(comparison.PARTS if before is None else ()),
        peers=peers,
        install=args.install_peers,
        only=tuple(_words(args.only)),
        limit=args.limit,
        speed=SpeedPlan.quick() if args.quick else SpeedPlan(runs=args.runs),
        repeats=RepeatPlan(runs=1) if args.quick else RepeatPlan(),
        jobs=args.jobs,
        fresh=args.fresh,
        downloads=args.downloads,
        drawn=args.html is not None,
        command=_command(args),
    )


def _command(args: argparse.Namespace) -> str:
    """What repeats this; folders by their names, since the report is sent to others."""
    words = ["cleancut bench compare"]
    if args.data:
        words.append(f"--data {shlex.quote(args.data.resolve().name)}")
    if args.models:
        words.append(f"--models {' '.join(shlex.quote(Path(one).name) for one in args.models)}")
    for name in ("parts", "only"):
        if text := getattr(args, name):
            words.append(f"--{name} {shlex.quote(text)}")
    if args.limit:
        words.append(f"--limit {args.limit}")
    if args.runs != _RUNS and not args.quick:
        words.append(f"--runs {args.runs}")
    if args.before:
        words.append(f"--from {shlex.quote(args.before.name)}")
    words += [f"--{name.replace('_', '-')}" for name in _SAID if getattr(args, name)]
    return " ".join(words)


def _words(text: str) -> Sequence[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _check_targets(args: argparse.Namespace) -> None:
    """Say now, not after an hour, that a report cannot be written or drawn."""
    from cleancut.errors import OutputNotWritable

    given = [target for target in (args.html, args.markdown, args.json) if target is not None]
    taken: set[str] = set()
    for target in given:
        real = Path(os.path.realpath(target))
        if str(real) in taken:
            raise BadOption(f"two reports cannot both be {target}", hint="give each its own file")
        taken.add(str(real))
        if real.is_dir() or real.is_symlink() or not real.parent.is_dir():
            raise OutputNotWritable(
                f"{target} cannot be written", hint="name a file in a folder that exists"
            )
        needed = [real] if real.exists() else []
        needed += [] if real.exists() and not real.is_file() else [real.parent]
        if not all(os.access(place, os.W_OK) for place in needed):
            raise OutputNotWritable(
                f"{target} may not be written", hint="choose another file, or mend its permissions"
            )
    if args.html:
        from cleancut.extras import extra

        with extra("compare"):
            import matplotlib  # noqa: F401


def _figures(args: argparse.Namespace) -> Path:
    """Where all figures are: minutes of measuring are not lost because no file was named."""
    from cleancut.weights.folders import cache_folder

    if args.json:
        return Path(args.json)
    if args.before and not args.parts:
        return Path(args.before)
    return cache_folder() / "bench-compare" / "last.json"


def _reports(args: argparse.Namespace, found: Comparison) -> Iterator[str]:
    """Where the whole report is, or how to get it without measuring again."""
    figures = shlex.quote(str(_figures(args)))
    written = [str(path) for path in (args.html, args.markdown, args.json) if path]
    yield f"The whole report: {', '.join(written) or 'nothing is measured again for it'}"
    if not written:
        data = f" --data {shlex.quote(str(args.data))}" if args.data else ""
        yield f"  cleancut bench compare --from {figures}{data} --html report.html"
    if any(facts.binary is not None for facts in found.sets):
        yield "Why, under which licence, and what to type:"
        yield f"  cleancut recommend --for USE --figures {figures}"


def _saver(args: argparse.Namespace) -> Callable[[Comparison], None]:
    """Keep what is measured so far, part by part."""
    from cleancut.imaging.files import write_atomic

    target = _figures(args)

    def save(found: Comparison) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(target, found.to_json().encode())

    return save


def _write(found: Comparison, gallery: Gallery, args: argparse.Namespace) -> None:
    from cleancut.compare.markdown import to_markdown
    from cleancut.compare.page import to_html
    from cleancut.imaging.files import write_atomic

    if args.json:
        write_atomic(args.json, found.to_json().encode())
    if args.markdown:
        write_atomic(args.markdown, f"{to_markdown(found)}\n".encode())
    if args.html:
        write_atomic(args.html, to_html(found, gallery).encode())
