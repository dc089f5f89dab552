"""``cleancut distill eval``: a student's figures on pictures with true mattes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from cleancut.cli.main import shown

HELP = "score a student on pictures with true mattes, beside other models"
EPILOG = """\
MODEL is the folder of a run (its averaged weights answer through torch), a checkpoint, an .onnx
file or a model by name. Scored is the network alone, its matte enlarged to the picture, without
refinement; the whole way is scored by: cleancut bench accuracy.

examples:
  cleancut distill eval run --pairs pictures --against u2netp
  cleancut distill eval mine.onnx --pairs pictures --against run --json figures.json
  cleancut distill eval run --pairs pictures --only portraits,products --limit 10
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``distill eval``."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("model", metavar="MODEL", help="a run's folder, a checkpoint, an .onnx file or a name")
    add(
        "--pairs",
        type=Path,
        metavar="DIR",
        required=True,
        help="SET/image/STEM.jpg and SET/alpha/STEM.png",
    )
    add(
        "--against",
        action="append",
        default=[],
        metavar="MODEL",
        help="another one to compare with; may be repeated",
    )
    add("--size", type=int, metavar="N", help="side of MODEL's input (default: its own)")
    add("--only", default="", metavar="SETS", help="names of sets, with commas")
    add("--limit", type=int, metavar="N", help="pictures of each set, spread over it")
    add("--json", type=Path, metavar="FILE", help="write every figure as JSON")
    add("-q", "--quiet", action="store_true", help="print the table only")


def run(args: argparse.Namespace) -> int:
    """Score the models and print one table."""
    from contextlib import nullcontext

    from cleancut.cli.progress import item_progress
    from cleancut.distill.evaluate import choose_pairs, evaluate_model, to_json, to_markdown
    from cleancut.imaging.files import write_atomic

    only = tuple(name.strip() for name in args.only.split(",") if name.strip())
    pairs = choose_pairs(args.pairs, only=only, limit=args.limit, skipped=teller(quiet=args.quiet))
    rows = []
    for what in (args.model, *args.against):
        size = args.size if what == args.model else None
        with nullcontext() if args.quiet else item_progress() as progress:
            rows.append(evaluate_model(what, pairs, size=size, progress=progress))
    print(to_markdown(rows))
    if args.json:
        write_atomic(args.json, to_json(rows, command_of(args)))
    return 0


def teller(*, quiet: bool) -> Callable[[str], None]:
    """What says a line on stderr about each thing that is no pair: the figures lack it."""

    def tell(line: str) -> None:
        if not quiet:
            print(f"cleancut: note [skipped] {shown(line)}", file=sys.stderr)

    return tell


def command_of(args: argparse.Namespace) -> str:
    """What was typed, without the folders that it was typed in."""
    words = ["cleancut distill eval", Path(args.model).name, "--pairs PAIRS"]
    words += [f"--against {Path(what).name}" for what in args.against]
    words += [f"--size {args.size}"] if args.size else []
    words += [f"--only {args.only}"] if args.only else []
    words += [f"--limit {args.limit}"] if args.limit else []
    return " ".join(words)
