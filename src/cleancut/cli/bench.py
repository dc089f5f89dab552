"""``cleancut bench``: measurements that anyone can repeat."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

EPILOG = """\
examples:
  cleancut bench start                   both sides; rembg goes into .venv-rembg
  cleancut bench start --only 1,2 --runs 9
  cleancut bench start --no-rembg --image my.jpg --json start.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommands of ``bench``."""
    parser.epilog = EPILOG
    actions = parser.add_subparsers(dest="action", metavar="action", required=True)
    what = "start-up, memory and speed of one picture, beside rembg"
    start = actions.add_parser("start", help=what, description=what, allow_abbrev=False)
    start.add_argument("--runs", type=int, default=5, metavar="N", help="runs a side (default: 5)")
    start.add_argument(
        "--only", default="", metavar="LIST", help="numbers of measurements, like 1,3"
    )
    start.add_argument("--image", type=Path, metavar="FILE", help="photograph to measure with")
    start.add_argument(
        "--peer-venv",
        type=Path,
        default=Path(".venv-rembg"),
        metavar="FOLDER",
        help="where rembg is, or will be installed (default: .venv-rembg)",
    )
    start.add_argument("--no-rembg", action="store_true", help="measure only cleancut")
    start.add_argument("--json", type=Path, metavar="FILE", help="write every measurement as JSON")
    start.add_argument(
        "--write",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="put the table between the markers of a document (may be given again)",
    )


def run(args: argparse.Namespace) -> int:
    """Measure and print the table; the figures decide nothing about the exit code."""
    from cleancut.bench.report import to_markdown, write_block
    from cleancut.bench.start import Plan, numbers, start
    from cleancut.imaging.files import write_atomic

    plan = Plan(
        runs=args.runs,
        only=numbers(args.only),
        image=args.image,
        peer_venv=None if args.no_rembg else args.peer_venv,
    )
    report = start(plan, lambda line: print(f"bench: {line}", file=sys.stderr, flush=True))
    text = to_markdown(report)
    print(text)
    if args.json:
        write_atomic(args.json, json.dumps(report.to_dict(), indent=1).encode())
    for document in args.write:
        write_block(document, text)
    return 0
