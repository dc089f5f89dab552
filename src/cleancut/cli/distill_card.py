"""``cleancut distill card``: the model card of a student, with its curves."""

from __future__ import annotations

import argparse
from pathlib import Path

from cleancut.cli.distill_export import add_origin_arguments, origin_of
from cleancut.errors import BadOption

HELP = "write the model card of a student, and its curves"
EPILOG = """\
The card tells what the student was made of, by prefix and with the terms that LABELS/data.toml
states, whose mattes it learned from, its figures, its limits and how to make it again.

examples:
  cleancut distill eval nano --pairs pictures --against u2netp --json figures.json
  cleancut distill card nano --labels labels --figures figures.json -o docs/nano.md
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``distill card``."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("run_folder", type=Path, metavar="RUN", help="the folder of a run")
    add(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="the .md file to write, curves beside it (default: RUN/card.md)",
    )
    add("--figures", type=Path, metavar="FILE", help="what eval --json wrote")
    add_origin_arguments(parser)
    add("--machine", metavar="TEXT", help="where it was trained (default: this processor)")


def run(args: argparse.Namespace) -> int:
    """Write card and curves, and name them."""
    from cleancut.backends.machine import cpu_limit, cpu_model
    from cleancut.distill.card import model_card, read_evaluations
    from cleancut.distill.curve import draw_curves
    from cleancut.imaging.files import write_atomic

    target = args.output or args.run_folder / "card.md"
    if target.suffix.lower() != ".md":
        raise BadOption(f"-o {target.name}", hint=f"like: -o {target.stem}.md")
    evaluations, command = read_evaluations(args.figures) if args.figures else ((), "")
    origin = origin_of(args)
    curves = draw_curves(args.run_folder, target.with_suffix(".curves.png"))
    text = model_card(
        args.run_folder,
        origin=origin,
        evaluations=evaluations,
        command=command,
        machine=args.machine or f"{cpu_model()}, {cpu_limit()} cores",
        curves=curves.name,
    )
    write_atomic(target, text.encode())
    for path in (target, curves):
        print(path)
    return 0
