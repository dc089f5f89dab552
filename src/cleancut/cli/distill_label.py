"""``cleancut distill label``: what a teacher says about photographs that nobody has cut out."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleancut.cli.ending import signals
from cleancut.cli.flags import add_option_flags, options_from
from cleancut.cli.main import (
    EXIT_CODES,
    EXIT_SOME_FAILED,
    report,
    shown,
)
from cleancut.distill.label import Labelled, LabelOrder, Listener, label

if TYPE_CHECKING:
    from cleancut.errors import CleancutError

HELP = "let a teacher cut out photographs, for a student to learn from"
EPILOG = """\
A photograph is looked at in several views: 2 adds a mirrored one at three quarters of its size, 4
the other two combinations. The mean is the label; where the views differ the teacher does not know.
Ctrl-C finishes the photographs in work; the same command goes on where an interrupted one stopped.

examples:
  cleancut distill label photos -o labels
  cleancut distill label photos -o labels --teacher isnet --views 4
  cleancut distill label photos -o labels --limit 50     a first look at teacher and speed
  cleancut distill label photos -o labels --limit 0      write labels of the looks that are there

exit codes: 0 all labelled, 2 to 4 none could be, 5 some could not, 130 interrupted
"""

_FINISHING = "finishing the photographs in work; once more stops at once"
_OPTIONS = ("recipe", "backend", "device", "precision", "commercial_only")
_ABOUT = {"recipe": "how to feed an .onnx file given as --teacher"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``distill label``."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("photos", type=Path, metavar="PHOTOS", help="folder of photographs, searched deeply")
    add("-o", "--output", type=Path, metavar="LABELS", required=True, help="folder for the labels")
    add(
        "--teacher",
        dest="model",
        default="auto",
        metavar="NAME",
        help="who labels: auto, a model by name, or a path to an .onnx file (default: auto)",
    )
    add(
        "--views",
        type=int,
        choices=(1, 2, 4),
        default=2,
        help="looks at each photograph (default: 2)",
    )
    add("--limit", type=int, metavar="N", help="stop after N looks; 0 takes none")
    add("--fresh", action="store_true", help="begin anew; remove the labels that are there")
    add(
        "--adopt",
        action="store_true",
        help="take over mattes in LABELS/views with lines in LABELS/views.*.jsonl that name no "
        "digest of their photograph",
    )
    add("--jobs", type=int, metavar="N", help="photographs at once (default: the cores)")
    add("--threads", type=int, metavar="N", help="threads of one network (default: cores by jobs)")
    add("--json", action="store_true", help="print the summary as JSON")
    add("-q", "--quiet", action="store_true", help="print errors only")
    add_option_flags(parser, _OPTIONS, _ABOUT)


def run(args: argparse.Namespace) -> int:
    """Label the photographs and tell how it goes."""
    order = LabelOrder(
        photos=args.photos,
        target=args.output,
        options=options_from(args),
        views=args.views,
        jobs=args.jobs,
        threads=args.threads,
        limit=args.limit,
        fresh=args.fresh,
        adopt=args.adopt,
    )
    with signals(_FINISHING) as ending, _Teller(quiet=args.quiet) as teller:
        done = label(order, teller, stop=ending.stop)
    if args.json:
        print(json.dumps(facts(done, args.output), indent=1))
    elif not args.quiet:
        for line in summary(done, args.output):
            print(f"cleancut: {shown(line)}", file=sys.stderr)
    if ending.signum is not None:
        return ending.exit_code
    if not done.failed:
        return 0
    return EXIT_SOME_FAILED if done.photos else EXIT_CODES[done.failed[-1].kind]


def facts(done: Labelled, folder: Path) -> dict[str, Any]:
    """The summary as plain JSON values."""
    errors = [{"code": error.code, "message": error.message} for error in done.failed]
    return {"labels": str(folder), **asdict(done), "failed": errors}


def summary(done: Labelled, folder: Path) -> list[str]:
    """A few lines about the run."""
    told = [f"{done.photos} photographs labelled in {folder}"]
    for number, what in (
        (done.low, "of low agreement"),
        (done.people, "with people"),
        (done.partly, "in fewer views than asked for"),
        (len(done.failed), "failed"),
        (done.duplicates, "copies left out"),
    ):
        if number:
            told.append(f"{number} {what}")
    lines = ["; ".join(told)]
    looks = [f"{done.kept} looks of earlier runs"] if done.kept else []
    if done.looks:
        each = f"{done.seconds / done.looks:.2f} s each"
        looks.append(f"{done.looks} looks in {done.seconds:.0f} s, {each}")
    if looks:
        lines.append("; ".join(looks))
    if done.interrupted:
        lines.append("interrupted: run the same command again to go on")
    return lines


class _Teller(Listener):
    """Progress, errors and notes on stderr; a bar of its own for each stage."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._stage = ""
        self._bar = ExitStack()
        self._show: Any = None

    def __enter__(self) -> _Teller:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def progress(self, stage: str, done: int, total: int, label: str) -> None:
        """Show how far the stage is."""
        if self._quiet:
            return
        if stage != self._stage:
            from cleancut.cli.progress import item_progress

            self._bar.close()
            self._stage, self._show = stage, self._bar.enter_context(item_progress())
        self._show(done, total, shown(f"{stage} {label}"))

    def failed(self, photo: str, error: CleancutError) -> None:
        """One line."""
        report(error, photo)

    def note(self, text: str) -> None:
        """One line."""
        if not self._quiet:
            code, _, said = text.partition(": ")
            print(f"cleancut: note [{code}] {shown(said)}", file=sys.stderr)
